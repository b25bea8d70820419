//! Edits as a table, and against `serde_json::Value` on many seeded objects.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{BodyEdits, Draft};

fn edits(set: &[(&str, &str)], remove: &[&str]) -> BodyEdits {
    let set = set.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    BodyEdits::new(set, remove.iter().map(|field| (*field).to_owned()).collect()).unwrap()
}

fn edited(body: &str, edits: &BodyEdits) -> String {
    let mut draft = Draft::read(Bytes::from(body.to_owned()));
    draft.mutate(edits);
    String::from_utf8(draft.finish().concat().to_vec()).unwrap()
}

/// Body, what to set, what to remove, result.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], &'a str);

#[test]
fn changes_only_what_it_must() {
    #[rustfmt::skip]
    let cases: [Case<'_>; 21] = [
        // body                          set                        remove        result                              why
        (r#"{"a":1,"b":2}"#,             &[],                       &[],          r#"{"a":1,"b":2}"#),              // nothing to do
        (r#"{"a":1,"b":2}"#,             &[("a", "9")],             &[],          r#"{"a":9,"b":2}"#),              // in place
        (r#"{ "a" : 1 , "b":2 }"#,       &[("b", "[3]")],           &[],          r#"{ "a" : 1 , "b":[3] }"#),      // space stays
        (r#"{"a":1}"#,                   &[("c", "3")],             &[],          r#"{"a":1,"c":3}"#),              // appended
        (r#"{ "a":1 }"#,                 &[("c", "3")],             &[],          r#"{ "a":1,"c":3 }"#),
        ("{}",                           &[("c", "3")],             &[],          r#"{"c":3}"#),                    // no comma
        (" { } ",                        &[("c", "3"), ("d", "4")], &[],          r#" {"c":3,"d":4 } "#),
        (r#"{"a":1,"b":2,"c":3}"#,       &[],                       &["a"],       r#"{"b":2,"c":3}"#),              // first
        (r#"{"a":1,"b":2,"c":3}"#,       &[],                       &["b"],       r#"{"a":1,"c":3}"#),              // middle
        (r#"{"a":1,"b":2,"c":3}"#,       &[],                       &["c"],       r#"{"a":1,"b":2}"#),              // last
        (r#"{"a":1,"b":2,"c":3}"#,       &[],                       &["a", "b"],  r#"{"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#,       &[],                       &["b", "c"],  r#"{"a":1}"#),
        (r#"{"a":1,"b":2}"#,             &[("z", "0")],             &["a", "b"],  r#"{"z":0}"#),                    // emptied, then filled
        (r#"{"a":1}"#,                   &[],                       &["a"],       "{}"),
        (r#"{"a":1}"#,                   &[],                       &["x"],       r#"{"a":1}"#),                    // nothing there
        (r#"{"a":1,"b":2,"a":3}"#,       &[("a", "9")],             &[],          r#"{"a":9,"b":2}"#),              // given twice, set once
        (r#"{"a":1,"b":2,"a":3}"#,       &[],                       &["a"],       r#"{"b":2}"#),
        (r#"{"\u0061":1,"b":"\"}"}"#,    &[("a", "9")],             &[],          r#"{"\u0061":9,"b":"\"}"}"#),     // names are unescaped
        (r#"{"o":{"a":[1,"]}"]},"b":2}"#,&[("a", "9")],             &["b"],       r#"{"o":{"a":[1,"]}"]},"a":9}"#), // nested names are not fields
        (r#"{"a":1}"#,                   &[("a", "2")],             &["a"],       r#"{"a":2}"#),                    // set wins over remove
        (r"[1]",                         &[("a", "2")],             &[],          "[1]"),                           // not an object
    ];
    for (body, set, remove, expected) in cases {
        assert_eq!(edited(body, &edits(set, remove)), expected, "{body} {set:?} {remove:?}");
    }
}

#[test]
fn what_stays_is_not_copied() {
    let body = Bytes::from_static(br#"{"model":"a","messages":[1,2,3],"x":1}"#);
    let untouched = Draft::read(body.clone()).finish().into_parts();
    assert_eq!(untouched.iter().map(|part| part.as_ptr()).collect::<Vec<_>>(), [body.as_ptr()]);

    let mut draft = Draft::read(body.clone());
    draft.set("model", Bytes::from_static(b"\"b\""));
    let parts = draft.finish().into_parts();
    assert_eq!(parts.len(), 3, "before, the value, after: {parts:?}");
    assert_eq!(parts[0].as_ptr(), body.as_ptr());
    assert_eq!(parts[2].as_ptr(), body[12..].as_ptr());
}

#[test]
fn values_must_be_json() {
    for literal in ["", "{", "a", "1 2", "\"\u{1}\""] {
        let (field, _) =
            BodyEdits::new(vec![("f".to_owned(), literal.to_owned())], Vec::new()).expect_err(literal);
        assert_eq!(field, "f");
    }
    assert!(edits(&[], &[]).is_empty());
}

#[test]
fn cut_texts_never_panic() {
    let body = br#" {"a\"b" : [{"x":"\\"},-1.5e3,true] , "c":{} , "d":null} "#;
    for end in 0..=body.len() {
        let mut draft = Draft::read(Bytes::copy_from_slice(&body[..end]));
        draft.set("c", Bytes::from_static(b"1"));
        draft.remove("d");
        drop(draft.finish());
    }
    for text in ["}", "]", "{]}", "{\"a\":]", "{\"a\":}", "\"", "{\"", "{\"\\"] {
        drop(Draft::read(Bytes::from(text)).finish());
    }
}

/// A small generator, so that a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn space(&mut self) -> &'static str {
        ["", "", "", " ", "\n\t", "\r\n"][usize::try_from(self.below(6)).unwrap()]
    }

    fn name(&mut self) -> &'static str {
        ["a", "b", "model", "q\"\\", "é", "\u{1F600}", "", "stream"][usize::try_from(self.below(8)).unwrap()]
    }

    fn key(&mut self) -> String {
        let name = self.name();
        match self.below(3) {
            // All characters escaped by number, surrogate pairs too.
            0 => {
                let units: Vec<_> = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                format!("\"{}\"", units.concat())
            }
            _ => Value::from(name).to_string(),
        }
    }

    fn value(&mut self, depth: u64) -> String {
        match self.below(if depth > 0 { 8 } else { 6 }) {
            0 => "null".to_owned(),
            1 => "-12.50e+3".to_owned(),
            2 => "true".to_owned(),
            3 => r#""x\"}],\\""#.to_owned(),
            4 => "7".to_owned(),
            5 => "\"\"".to_owned(),
            6 => {
                let items: Vec<_> = (0..self.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}{}]", self.space(), items.join(", "))
            }
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: u64) -> String {
        let mut members = Vec::new();
        for _ in 0..self.below(6) {
            let key = self.key();
            let member =
                [self.space(), &key, self.space(), ":", self.space(), &self.value(depth), self.space()];
            members.push(member.concat());
        }
        format!("{}{{{}{}}}{}", self.space(), members.join(","), self.space(), self.space())
    }
}

#[test]
fn agrees_with_a_parsed_object() {
    for seed in 0..3_000 {
        let mut dice = Dice(seed);
        let body = dice.object(3);
        let set: Vec<_> = (0..dice.below(3)).map(|_| (dice.name().to_owned(), dice.value(1))).collect();
        let remove: Vec<_> = (0..dice.below(3)).map(|_| dice.name().to_owned()).collect();

        let mut expected: Map<String, Value> = serde_json::from_str(&body).unwrap();
        for field in &remove {
            expected.remove(field);
        }
        for (field, value) in &set {
            expected.insert(field.clone(), serde_json::from_str(value).unwrap());
        }
        let edits = BodyEdits::new(set, remove).unwrap();
        let result = edited(&body, &edits);
        let parsed: Value =
            serde_json::from_str(&result).unwrap_or_else(|error| panic!("seed {seed}: {error}: {result}"));
        assert_eq!(parsed, Value::Object(expected), "seed {seed}: {body} → {result}");
    }
}
