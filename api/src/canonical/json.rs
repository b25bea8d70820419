//! Two small values of the model: JSON that is carried unread, and where a part stood.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// JSON that is carried as its author wrote it: schemas, cache marks. Equal when the text is.
#[derive(Clone, Debug)]
pub(crate) struct Json(pub(crate) Box<RawValue>);

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The client's own path to a part (`messages[2].content[0]`). It is no part of the meaning, so any two are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place(pub(crate) String);

impl PartialEq for Place {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}
