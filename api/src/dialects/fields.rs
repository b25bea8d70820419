//! Reads a client's JSON object field by field and knows the path of each, so that nothing is lost without a name.
//!
//! Every field is either taken, ignored by name, or refused by [`Fields::finish`]: a field that nobody thought of can
//! not disappear in a translation. Values stay slices of the body until they are taken. `null` reads as absent,
//! which is how all the APIs mean it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::borrowed::Text;
use crate::canonical::{Json, Place};
use crate::error::Untranslatable;

/// An object's fields that have not been taken yet.
pub(super) struct Fields<'a> {
    path: String,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// A value that is written either as text or as a list of typed parts.
pub(super) enum TextOrParts<'a> {
    Text(String),
    Parts(Vec<Fields<'a>>),
}

impl<'a> Fields<'a> {
    /// The top-level object of a body.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, Untranslatable> {
        let entries: Entries<'a> = serde_json::from_slice(body)
            .map_err(|error| Untranslatable::new(format!("The body is not a JSON object: {error}.")))?;
        Ok(Self { path: String::new(), entries: entries.0 })
    }

    /// The object `value`, which stands at `path`.
    pub(super) fn of(value: &'a RawValue, path: String) -> Result<Self, Untranslatable> {
        let entries: Entries<'a> = read(value, &path)?;
        Ok(Self { path, entries: entries.0 })
    }

    /// The same object, each name as `rename` has it if it has one.
    pub(super) fn renamed(mut self, rename: impl Fn(&str) -> Option<String>) -> Self {
        for (name, _) in &mut self.entries {
            if let Some(renamed) = rename(name) {
                *name = Cow::Owned(renamed);
            }
        }
        self
    }

    /// Where this object stands.
    pub(super) fn place(&self) -> Place {
        Place(self.path.clone())
    }

    /// Where this object's field `name` stands.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether the field is there and says something.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, value)| key == name && value.get() != "null")
    }

    /// The field's value, unread.
    pub(super) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.entries.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.entries.remove(at);
        (value.get() != "null").then_some(value)
    }

    /// The field's value, if it is there.
    pub(super) fn optional<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>, Untranslatable> {
        let path = self.path_of(name);
        self.raw(name).map(|value| read(value, &path)).transpose()
    }

    /// The field's value.
    pub(super) fn required<T: Deserialize<'a>>(&mut self, name: &str) -> Result<T, Untranslatable> {
        self.optional(name)?.ok_or_else(|| self.missing(name))
    }

    /// The field's JSON as written.
    pub(super) fn json(&mut self, name: &str) -> Option<Json> {
        self.raw(name).map(|value| Json(value.to_owned()))
    }

    /// The field, an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, Untranslatable> {
        let path = self.path_of(name);
        self.raw(name).map(|value| Self::of(value, path)).transpose()
    }

    /// The field, a list of objects; absent reads as empty.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Self>, Untranslatable> {
        let path = self.path_of(name);
        self.raw(name).map_or(Ok(Vec::new()), |value| list(value, &path))
    }

    /// The field, a list of objects or one object alone; absent reads as empty.
    pub(super) fn one_or_more(&mut self, name: &str) -> Result<Vec<Self>, Untranslatable> {
        let path = self.path_of(name);
        match self.raw(name) {
            Some(value) if value.get().starts_with('{') => Ok(vec![Self::of(value, path)?]),
            Some(value) => list(value, &path),
            None => Ok(Vec::new()),
        }
    }

    /// The field, text or a list of objects.
    pub(super) fn text_or_parts(&mut self, name: &str) -> Result<Option<TextOrParts<'a>>, Untranslatable> {
        let path = self.path_of(name);
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        if value.get().starts_with('[') {
            list(value, &path).map(|parts| Some(TextOrParts::Parts(parts)))
        } else {
            read(value, &path).map(|text| Some(TextOrParts::Text(text)))
        }
    }

    /// Forgets fields that may be dropped.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        self.entries.retain(|(key, _)| !names.contains(&key.as_ref()));
    }

    /// Refuses the field `name` because of `why`, a sentence.
    pub(super) fn refuse(&self, name: &str, why: &str) -> Untranslatable {
        let path = self.path_of(name);
        let message = format!("`{path}` cannot be translated for this model: {why}");
        Untranslatable::at(path, message)
    }

    /// Refuses the field `name` unless it is absent or holds one of `harmless`, given as JSON.
    pub(super) fn only(&mut self, name: &str, harmless: &[&str], why: &str) -> Result<(), Untranslatable> {
        match self.raw(name) {
            Some(value) if !harmless.contains(&value.get()) => Err(self.refuse(name, why)),
            Some(_) | None => Ok(()),
        }
    }

    /// Every field must have been taken by now; one that holds `null` says nothing.
    pub(super) fn finish(self) -> Result<(), Untranslatable> {
        match self.entries.iter().find(|(_, value)| value.get() != "null") {
            None => Ok(()),
            Some((name, _)) => {
                Err(self.refuse(name, "its API has no such field, and dropping it could change the answer."))
            }
        }
    }

    fn missing(&self, name: &str) -> Untranslatable {
        let path = self.path_of(name);
        let message = format!("`{path}` is missing.");
        Untranslatable::at(path, message)
    }
}

/// Reads `value`, which stands at `path`.
fn read<'a, T: Deserialize<'a>>(value: &'a RawValue, path: &str) -> Result<T, Untranslatable> {
    serde_json::from_str(value.get()).map_err(|error| {
        let error = error.to_string();
        // The position counts from the start of the value, which would mislead.
        let what = error.split(" at line ").next().unwrap_or_default();
        Untranslatable::at(path, format!("`{path}` cannot be read: {what}."))
    })
}

fn list<'a>(value: &'a RawValue, path: &str) -> Result<Vec<Fields<'a>>, Untranslatable> {
    let values: Vec<&'a RawValue> = read(value, path)?;
    let objects = values.into_iter().enumerate();
    objects.map(|(index, value)| Fields::of(value, format!("{path}[{index}]"))).collect()
}

/// An object's members in order, repeated ones included.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Members).map(Entries)
    }
}
