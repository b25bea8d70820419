//! Images and documents as Bedrock knows them: by formats of its own, and documents by plain names.

use std::collections::BTreeSet;

/// Media types and Bedrock's words for them; the first of several is the one that is read back.
const IMAGES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/jpg", "jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
];

const DOCUMENTS: [(&str, &str); 9] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("application/msword", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/markdown", "md"),
];

/// The document's name where the client gives none; a neutral one, as Bedrock asks for.
const UNNAMED: &str = "document";

/// Bedrock's bound on a name, with room for a number.
const NAME_CHARS: usize = 190;

pub(super) fn image_format(media_type: &str) -> Option<&'static str> {
    format(&IMAGES, media_type)
}

pub(super) fn document_format(media_type: &str) -> Option<&'static str> {
    format(&DOCUMENTS, media_type)
}

pub(super) fn image_type(format: &str) -> Option<&'static str> {
    media_type(&IMAGES, format)
}

pub(super) fn document_type(format: &str) -> Option<&'static str> {
    media_type(&DOCUMENTS, format)
}

fn format(known: &[(&str, &'static str)], media_type: &str) -> Option<&'static str> {
    known.iter().find(|(name, _)| name.eq_ignore_ascii_case(media_type)).map(|(_, format)| *format)
}

fn media_type(known: &[(&'static str, &str)], format: &str) -> Option<&'static str> {
    known.iter().find(|(_, name)| *name == format).map(|(media_type, _)| *media_type)
}

/// Names of one request's documents, of which Bedrock takes each once.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// `title` in the letters that Bedrock takes, told apart from those before.
    pub(super) fn name(&mut self, title: Option<&str>) -> String {
        let plain = plain(title.unwrap_or_default());
        let numbered = (2_u64..).map(|number| format!("{plain} ({number})"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        let name = names.find(|name| !self.0.contains(name)).expect("numbers do not run out");
        self.0.insert(name.clone());
        name
    }
}

/// Letters and digits, single spaces, hyphens, round and square brackets.
fn plain(title: &str) -> String {
    let known = |letter: char| letter.is_ascii_alphanumeric() || "-()[]".contains(letter);
    let replaced: String = title
        .chars()
        .map(|letter| match letter {
            letter if known(letter) => letter,
            letter if letter.is_whitespace() => ' ',
            _ => '-',
        })
        .collect();
    let words: Vec<&str> = replaced.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(NAME_CHARS).collect();
    if name.is_empty() { UNNAMED.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_are_plain_and_differ() {
        let mut names = Names::default();
        #[rustfmt::skip]
        let cases = [
            // title                    name               why
            (Some("Report (2026)"),     "Report (2026)"),  // as it is
            (Some("Report (2026)"),     "Report (2026) (2)"),
            (Some("a_b.pdf"),           "a-b-pdf"),
            (Some(" two \t words\n"),   "two words"),
            (Some("Größe"),             "Gr--e"),
            (None,                      "document"),
            (Some(""),                  "document (2)"),
        ];
        for (title, name) in cases {
            assert_eq!(names.name(title), name, "{title:?}");
        }
        assert!(names.name(Some(&"x".repeat(1000))).len() <= 200, "Bedrock's bound");
    }
}
