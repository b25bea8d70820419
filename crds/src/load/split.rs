//! Cuts a text into documents at the lines that YAML keeps for that, so that a fault in one leaves the others whole.
//!
//! A line that begins with `---` is a document's beginning even inside a block text (YAML 1.2.2, section 9.1.2), hence
//! no parser is needed to find them.

/// One document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// Of the whole text, counted from 1.
    pub(super) first_line: usize,
}

/// Editors of Windows put it first in a file; files put together have it before any document (YAML 1.2.2, section 5.2).
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The documents that hold anything but comments and directives.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut at) = (0, 1, 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let next = at + line.len();
        let bare = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let begin = next - bare.len();
        if is_marker(bare, "---") && at > start {
            documents.push(Document { text: &text[start..at], first_line });
            (start, first_line) = (begin, number);
        } else if begin > at && !text[start..at].lines().any(has_content) {
            (start, first_line) = (begin, number);
        } else if is_marker(line, "...") {
            documents.push(Document { text: &text[start..at], first_line });
            (start, first_line) = (next, number + 1);
        }
        at = next;
    }
    documents.push(Document { text: &text[start..], first_line });
    documents.retain(|document| document.text.lines().any(has_content));
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn has_content(line: &str) -> bool {
    let line = line.strip_prefix("---").unwrap_or(line);
    let rest = line.trim_start();
    !rest.is_empty() && !rest.starts_with('#') && !line.starts_with('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut() {
        #[rustfmt::skip]
        let rows = [
            ("a: 1\n---\nb: 2\n",                vec![("a: 1\n", 1), ("---\nb: 2\n", 2)]), // plain
            ("# only words\n---\na: 1",          vec![("---\na: 1", 2)]),                  // comments are no document
            ("%YAML 1.2\n---\na: 1",             vec![("---\na: 1", 2)]),                  // nor are directives
            ("---\n---\n\n---\na: 1",            vec![("---\na: 1", 4)]),                  // nor is nothing
            ("a: |\n  x\n---\nb: 2",             vec![("a: |\n  x\n", 1), ("---\nb: 2", 3)]), // a block text ends
            ("a: |\n  ---\n  x\n",               vec![("a: |\n  ---\n  x\n", 1)]),         // indented is text
            ("a: 1\n...\nb: 2",                  vec![("a: 1\n", 1), ("b: 2", 3)]),        // ended by dots
            ("---a: 1",                          vec![("---a: 1", 1)]),                    // no marker
            ("--- {a: 1}\r\n--- {b: 2}",         vec![("--- {a: 1}\r\n", 1), ("--- {b: 2}", 2)]), // content beside
            ("\u{feff}a: 1\n---\nb: 2",         vec![("a: 1\n", 1), ("---\nb: 2", 2)]), // a mark of byte order
            ("a: 1\n\u{feff}---\nb: 2",         vec![("a: 1\n", 1), ("---\nb: 2", 2)]), // files put together
            ("a: 1\n---\n\u{feff}b: 2",         vec![("a: 1\n", 1), ("b: 2", 3)]),     // the same, with a line between
            ("a: 1\n---\n\u{feff}---\nb: 2",    vec![("a: 1\n", 1), ("---\nb: 2", 3)]), // and with two
            ("a: |\n  x\u{feff}y\n",            vec![("a: |\n  x\u{feff}y\n", 1)]),    // inside a text it is text
            ("",                                 vec![]),                                  // nothing at all
        ];
        for (text, want) in rows {
            let got: Vec<_> =
                documents(text).iter().map(|document| (document.text, document.first_line)).collect();
            assert_eq!(got, want, "{text:?}");
        }
    }
}
