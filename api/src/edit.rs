//! Changing a few top-level fields of a JSON body without copying the rest of it.
//!
//! ```text
//! {"model":"a","messages":[ … 2 MB … ],"stream":true}
//!  ───────▶ set model ─ kept as a slice ────────────▶ append stream_options
//! ```
//!
//! Order, white space and number spellings of what stays are untouched; a body that needs no change leaves as the
//! very `Bytes` it came in. Names are compared after unescaping.

use std::cell::OnceCell;
use std::ops::Range;

use bytes::Bytes;
use serde::de::IgnoredAny;

mod scan;

/// A body as a few slices, sent one after the other: untouched parts are never copied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segments(Vec<Bytes>);

impl Segments {
    /// Length of the whole body in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// True if there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// The slices in the order to send them, to be looked at.
    pub fn parts(&self) -> &[Bytes] {
        &self.0
    }

    /// The slices in the order to send them.
    pub fn into_parts(self) -> Vec<Bytes> {
        self.0
    }

    /// The body in one piece; copies unless it is one already.
    pub fn concat(mut self) -> Bytes {
        match self.0.len() {
            1 => self.0.swap_remove(0),
            _ => self.0.concat().into(),
        }
    }

    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.0.push(part);
        }
    }
}

impl From<Bytes> for Segments {
    fn from(body: Bytes) -> Self {
        Self(vec![body])
    }
}

/// Changes to top-level fields of a JSON body (CRD bodyMutation). Values are JSON literals, checked when built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BodyEdits {
    set: Vec<(String, Bytes)>,
    remove: Vec<String>,
}

impl BodyEdits {
    /// Fields to set, with their JSON literals, and fields to remove. A field named in both is set. The error names the
    /// field whose value is no JSON.
    pub fn new(set: Vec<(String, String)>, remove: Vec<String>) -> Result<Self, (String, serde_json::Error)> {
        let mut checked = Vec::with_capacity(set.len());
        for (field, literal) in set {
            if let Err(error) = serde_json::from_str::<IgnoredAny>(&literal) {
                return Err((field, error));
            }
            checked.push((field, Bytes::from(literal.trim().to_owned())));
        }
        Ok(Self { set: checked, remove })
    }

    /// True if a body stays as it is.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

/// A JSON object on its way to being changed. What is not an object stays as it is.
pub(crate) struct Draft {
    body: Bytes,
    /// Looked for only when it is needed: most bodies leave as they came.
    object: OnceCell<Option<scan::Object>>,
    /// The last word on a field wins: its new value, or its removal.
    changes: Vec<(String, Option<Bytes>)>,
}

impl Draft {
    pub(crate) fn read(body: Bytes) -> Self {
        Self { body, object: OnceCell::new(), changes: Vec::new() }
    }

    /// The value that `field` will have, as JSON. Given twice, the last one counts, as with most readers.
    pub(crate) fn value(&self, field: &str) -> Option<Bytes> {
        if let Some((_, change)) = self.changes.iter().find(|(name, _)| name == field) {
            return change.clone();
        }
        let object = self.object()?;
        let member = object.members.iter().rfind(|member| self.is_named(member, field))?;
        Some(self.body.slice(member.value.clone()))
    }

    /// Replaces `field` where it stands, or appends it. `value` must be JSON.
    pub(crate) fn set(&mut self, field: &str, value: Bytes) {
        self.change(field, Some(value));
    }

    pub(crate) fn remove(&mut self, field: &str) {
        self.change(field, None);
    }

    /// Takes on an operator's edits, on top of what was changed before.
    pub(crate) fn mutate(&mut self, edits: &BodyEdits) {
        for field in &edits.remove {
            self.remove(field);
        }
        for (field, value) in &edits.set {
            self.set(field, value.clone());
        }
    }

    pub(crate) fn finish(self) -> Segments {
        if self.changes.is_empty() {
            return Segments::from(self.body);
        }
        match self.object() {
            Some(object) => Writer::new(&self, object).write(),
            None => Segments::from(self.body),
        }
    }

    fn change(&mut self, field: &str, value: Option<Bytes>) {
        self.changes.retain(|(name, _)| name != field);
        self.changes.push((field.to_owned(), value));
    }

    fn object(&self) -> Option<&scan::Object> {
        self.object.get_or_init(|| scan::object(&self.body)).as_ref()
    }

    fn is_named(&self, member: &scan::Member, field: &str) -> bool {
        scan::key_is(&self.body[member.key.clone()], field)
    }
}

/// Walks over the members once and cuts the body where something changes.
struct Writer<'a> {
    draft: &'a Draft,
    object: &'a scan::Object,
    /// All before this has been written or cut out.
    cursor: usize,
    /// Where the last member that stays ends.
    kept_end: Option<usize>,
    out: Segments,
}

impl<'a> Writer<'a> {
    fn new(draft: &'a Draft, object: &'a scan::Object) -> Self {
        Self { draft, object, cursor: 0, kept_end: None, out: Segments(Vec::new()) }
    }

    fn write(mut self) -> Segments {
        let changes = &self.draft.changes;
        let mut placed = vec![false; changes.len()];
        for (index, member) in self.object.members.iter().enumerate() {
            let change = changes.iter().position(|(field, _)| self.draft.is_named(member, field));
            match change.map(|change| (change, &changes[change].1)) {
                None => self.kept_end = Some(member.value.end),
                Some((change, Some(value))) if !placed[change] => {
                    placed[change] = true;
                    self.replace(member.value.clone(), value.clone());
                    self.kept_end = Some(member.value.end);
                }
                // Removed, or given again after it was replaced.
                Some(_) => self.cut(index),
            }
        }

        for ((field, value), placed) in changes.iter().zip(placed) {
            if let (Some(value), false) = (value, placed) {
                self.append(field, value.clone());
            }
        }
        self.out.push(self.draft.body.slice(self.cursor..));
        self.out
    }

    fn replace(&mut self, range: Range<usize>, with: Bytes) {
        if range.start > self.cursor {
            self.out.push(self.draft.body.slice(self.cursor..range.start));
        }
        self.out.push(with);
        self.cursor = range.end;
    }

    /// Takes a member out with the comma before it, or, where nothing before it stays, the comma after it.
    fn cut(&mut self, index: usize) {
        let members = &self.object.members;
        let member = &members[index];
        let range = match (self.kept_end, members.get(index + 1)) {
            (Some(kept_end), _) => kept_end..member.value.end,
            (None, Some(next)) => member.key.start..next.key.start,
            (None, None) => member.key.start..member.value.end,
        };
        self.replace(range, Bytes::new());
    }

    /// Puts a new member after the last one that stays.
    fn append(&mut self, field: &str, value: Bytes) {
        let end = self.cursor.max(self.kept_end.unwrap_or(self.object.open + 1));
        self.replace(end..end, Bytes::new());
        let key = serde_json::to_string(field).expect("a string always serialises");
        let comma = if self.kept_end.is_some() { "," } else { "" };
        self.out.push(Bytes::from(format!("{comma}{key}:")));
        self.out.push(value);
        self.kept_end = Some(self.cursor);
    }
}

#[cfg(test)]
#[path = "edit_test.rs"]
mod tests;
