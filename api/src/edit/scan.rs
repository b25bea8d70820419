//! Finds where the members of a JSON object stand. The text has been validated before; on anything else the scan gives
//! up, and never panics.

use std::ops::Range;

use memchr::memchr2;

/// Where an object's parts stand in its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// The opening brace.
    pub(super) open: usize,
    /// In the order of the text; a name may come twice.
    pub(super) members: Vec<Member>,
}

/// One member: its name with the quotes, and its value without space around.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The members of the object that `text` is; None if it is not one.
pub(super) fn object(text: &[u8]) -> Option<Object> {
    let open = skip_space(text, 0);
    let mut at = skip_space(text, after(text, open, b'{')?);
    let mut members = Vec::new();
    if text.get(at) == Some(&b'}') {
        return Some(Object { open, members });
    }
    loop {
        let key = at..string_end(text, at)?;
        let colon = skip_space(text, key.end);
        let start = skip_space(text, after(text, colon, b':')?);
        let value = start..value_end(text, start)?;
        at = skip_space(text, value.end);
        members.push(Member { key, value });
        match text.get(at)? {
            b',' => at = skip_space(text, at + 1),
            b'}' => return Some(Object { open, members }),
            _ => return None,
        }
    }
}

/// Whether a member's name, as it stands in the text with its quotes, is `field`.
pub(super) fn key_is(key: &[u8], field: &str) -> bool {
    if key.contains(&b'\\') {
        return serde_json::from_slice::<String>(key).is_ok_and(|name| name == field);
    }
    key.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) == Some(field.as_bytes())
}

fn after(text: &[u8], at: usize, expected: u8) -> Option<usize> {
    (text.get(at) == Some(&expected)).then_some(at + 1)
}

fn skip_space(text: &[u8], from: usize) -> usize {
    let space = text[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    from + space.count()
}

fn value_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => string_end(text, start),
        b'{' | b'[' => nested_end(text, start),
        _ => {
            let end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            text[start..].iter().position(end).map(|length| start + length)
        }
    }
}

/// Just past the string whose opening quote is at `start`.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = after(text, start, b'"')?;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Just past the list or object that opens at `start`. Kinds of brackets need not be told apart in valid JSON.
fn nested_end(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' => at = string_end(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}
