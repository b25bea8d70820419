//! Scalars: variables put in after parsing, so that a value can't become YAML, and plain texts read by the core
//! schema of YAML 1.2.

use serde_json::{Number, Value};

use super::Variables;

/// A text with its variables put in.
pub(super) struct Replaced {
    pub(super) text: String,
    /// At least one variable was put in.
    pub(super) any: bool,
}

/// Why a text could not be completed: what was found and what was expected.
pub(super) struct Unset {
    pub(super) value: String,
    pub(super) expected: String,
}

/// `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign; any other `$` is itself.
pub(super) fn replace(text: &str, variables: Variables<'_>) -> Result<Replaced, Unset> {
    let Some(variables) = variables else {
        return Ok(Replaced { text: text.to_owned(), any: false });
    };
    let mut out = String::with_capacity(text.len());
    let mut any = false;
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(inner) = after.strip_prefix('{') {
            let Some((inside, tail)) = inner.split_once('}') else {
                return Err(malformed(after));
            };
            out.push_str(&lookup(inside, variables)?);
            any = true;
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(Replaced { text: out, any })
}

/// True when the text is one variable and nothing else.
pub(super) fn is_one_variable(text: &str) -> bool {
    text.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|inside| !inside.contains(['$', '}']))
}

fn lookup(inside: &str, variables: &dyn Fn(&str) -> Option<String>) -> Result<String, Unset> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(malformed(&format!("{{{inside}}}")));
    }
    match (variables(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unset {
            value: format!("${{{name}}}"),
            expected: format!("the variable {name} to be set, or a default: ${{{name}:-…}}"),
        }),
    }
}

fn malformed(found: &str) -> Unset {
    Unset {
        value: crate::problem::shown(&format!("${found}")),
        expected: "${NAME} or ${NAME:-default}; write $${ for the signs themselves".to_owned(),
    }
}

/// A plain scalar by the core schema (YAML 1.2.2, section 10.3.2). Numbers that JSON lacks stay texts.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let radix = |prefix: &str, radix| {
        let digits = text.strip_prefix(prefix)?;
        let clean = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        clean.then(|| u64::from_str_radix(digits, radix).ok())?.map(Number::from)
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !unsigned.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = whole.parse::<i64>() {
            return Some(number.into());
        }
        if let Ok(number) = whole.parse::<u64>() {
            return Some(number.into());
        }
    }
    let float = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    float.then(|| text.parse().ok())?.and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_texts_are_read() {
        #[rustfmt::skip]
        let rows = [
            ("12", json!(12)), ("-3", json!(-3)), ("+3", json!(3)), ("0x1F", json!(31)), ("0o17", json!(15)),
            ("1.5", json!(1.5)), ("1e3", json!(1000.0)), (".5", json!(0.5)),
            ("18446744073709551615", json!(u64::MAX)),
            ("true", json!(true)), ("~", json!(null)),
            ("yes", json!("yes")),           // YAML 1.2 knows true and false alone
            ("1.2.3.4", json!("1.2.3.4")),   // an address is no number
            ("2024-01-01", json!("2024-01-01")),
            (".", json!(".")), ("-", json!("-")), ("1-2", json!("1-2")), (".inf", json!(".inf")), ("0x+1", json!("0x+1")),
            ("1e999", json!("1e999")),       // no number of JSON's
        ];
        for (text, want) in rows {
            assert_eq!(plain(text), want, "{text}");
        }
    }

    #[test]
    fn variables_are_put_in() {
        let variables = |name: &str| match name {
            "A" => Some("a: [b]".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        #[rustfmt::skip]
        let rows = [
            ("x${A}y",        Ok("xa: [b]y")),  // as it is
            ("${B:-b}",       Ok("b")),         // the default
            ("${EMPTY:-b}",   Ok("b")),         // also for an empty one
            ("${EMPTY}",      Ok("")),          // empty is set
            ("${B:-}",        Ok("")),          // an empty default
            ("$${A} $$5 $5 ^x$", Ok("${A} $5 $5 ^x$")), // escapes; other dollars stay
            ("${B}",          Err("${B}")),     // not set
            ("${B",           Err("${B")),      // not closed
            ("${1B}",         Err("${1B}")),    // no name
            ("${}",           Err("${}")),      // no name
        ];
        for (text, want) in rows {
            let got = replace(text, Some(&variables));
            let got = got.as_ref().map(|got| got.text.as_str()).map_err(|unset| unset.value.as_str());
            assert_eq!(got, want, "{text}");
        }
        assert_eq!(replace("${B}", None).ok().map(|got| got.text).as_deref(), Some("${B}"));
    }
}
