//! One spelling of members: Google's parser takes `systemInstruction` and `system_instruction` alike.

use crate::dialects::fields::Fields;
use crate::error::Untranslatable;

/// The object with its members' names in camel case. A member that is then there twice is refused as an unknown one.
pub(super) fn camel(fields: Fields<'_>) -> Fields<'_> {
    fields.renamed(camel_case)
}

/// The member `name`, an object, in camel case too.
pub(super) fn object<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Option<Fields<'a>>, Untranslatable> {
    Ok(fields.object(name)?.map(camel))
}

/// The member `name`, a list of objects or, as Google's parser also takes it, one object alone.
pub(super) fn objects<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Vec<Fields<'a>>, Untranslatable> {
    Ok(fields.one_or_more(name)?.into_iter().map(camel).collect())
}

/// `name` in camel case.
pub(super) fn camel_name(name: &str) -> String {
    camel_case(name).unwrap_or_else(|| name.to_owned())
}

/// `snake_case` as `camelCase`; None if it is already.
fn camel_case(name: &str) -> Option<String> {
    if !name.contains('_') {
        return None;
    }
    let mut camel = String::with_capacity(name.len());
    for word in name.split('_') {
        match word.chars().next() {
            Some(first) if !camel.is_empty() => {
                camel.push(first.to_ascii_uppercase());
                camel.push_str(&word[first.len_utf8()..]);
            }
            Some(_) | None => camel.push_str(word),
        }
    }
    Some(camel)
}

#[cfg(test)]
mod tests {
    use super::camel_case;

    #[test]
    fn names() {
        #[rustfmt::skip]
        let cases = [
            ("system_instruction",   Some("systemInstruction")),
            ("systemInstruction",    None),
            ("contents",             None),
            ("_responseJsonSchema",  Some("responseJsonSchema")), // an older name of the same
            ("a__b_",                Some("aB")),
            ("_é_éa",                Some("ééa")),
        ];
        for (name, camel) in cases {
            assert_eq!(camel_case(name).as_deref(), camel, "{name}");
        }
    }
}
