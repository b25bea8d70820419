//! When texts that change are worth loading. Editors truncate, write in pieces and rename, and a folder is copied file
//! by file; what stands still from one look to the next is taken as whole. Texts are compared and not events counted:
//! other files of the same folder, such as logs, may never be quiet.

use super::plan::Text;

/// Looks until texts that never stand still are taken all the same.
pub(super) const MOST_LOOKS: usize = 20;

/// What was seen since texts began to differ from the loaded ones.
#[derive(Default)]
pub(super) struct Settling {
    last: Option<Vec<Text>>,
    looks: usize,
}

/// What follows from a look at the texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// They are what is loaded.
    Unchanged,
    /// They differ, and may be half written.
    Again,
    /// They are worth loading.
    Settled(Vec<Text>),
}

impl Settling {
    /// Takes what is read `now`; the caller looks again after a while, if told to.
    pub(super) fn look(&mut self, loaded: &[Text], now: Vec<Text>) -> Look {
        if now == loaded {
            *self = Self::default();
            return Look::Unchanged;
        }
        self.looks += 1;
        if self.last.as_ref() == Some(&now) || self.looks >= MOST_LOOKS {
            *self = Self::default();
            return Look::Settled(now);
        }
        self.last = Some(now);
        Look::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<Text> {
        vec![Text { name: "a.yaml".to_owned(), text: Ok(text.to_owned()) }]
    }

    #[test]
    fn texts_are_loaded_when_they_stand_still() {
        let settled = |text| Look::Settled(texts(text));
        #[rustfmt::skip]
        let looks = [
            ("old",  Look::Unchanged),    // some other file changed
            ("",     Look::Again),        // truncated
            ("ne",   Look::Again),        // half of it
            ("new",  Look::Again),        // all of it, which nobody can know yet
            ("new",  settled("new")),     // it stands still
            ("new",  Look::Unchanged),    // loaded now
            ("newer", Look::Again),       // the next edit
            ("new",  Look::Unchanged),    // taken back
            ("newer", Look::Again),       // what was seen before that does not count
            ("newer", settled("newer")),
        ];
        let (mut settling, mut loaded) = (Settling::default(), texts("old"));
        for (at, (now, want)) in looks.into_iter().enumerate() {
            let look = settling.look(&loaded, texts(now));
            assert_eq!(look, want, "look {at}");
            if let Look::Settled(taken) = look {
                loaded = taken;
            }
        }
    }

    #[test]
    fn texts_that_never_stand_still_are_loaded_in_the_end() {
        let mut settling = Settling::default();
        for look in 1..MOST_LOOKS {
            assert_eq!(settling.look(&[], texts(&look.to_string())), Look::Again, "look {look}");
        }
        assert_eq!(settling.look(&[], texts("last")), Look::Settled(texts("last")));
        assert_eq!(settling.look(&[], texts("next")), Look::Again, "and it begins anew");
    }
}
