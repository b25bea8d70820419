//! Consumers by what they present: the SHA-256 of a key, or issuer and subject of a verified token.
//!
//! Keys are never kept, only their hashes. Two hashes are compared in the same time wherever they differ: how far a guess
//! got can't be measured.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ring::digest::{SHA256, digest};

use crate::snapshot::ResourceName;

/// A caller, as budgets and the ledger know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The resource's name.
    pub name: ResourceName,
    /// The same as one text, `namespace/name`: what the ledger books by.
    pub full_name: String,
    /// The organisation that it belongs to.
    pub organization: Option<String>,
    /// The team that it belongs to.
    pub team: Option<String>,
    /// The user that it is.
    pub user: Option<String>,
    /// What else budgets may tell it by.
    pub labels: BTreeMap<String, String>,
}

/// Whose key was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The consumer.
    pub consumer: Arc<Consumer>,
    /// The key, as `namespace/consumer/key`: names of keys alone differ only within one consumer.
    pub key: String,
    /// The first second (since 1970) at which the key is refused.
    pub not_after_s: Option<u64>,
}

/// Why a key identifies nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// No consumer has it.
    Unknown,
    /// It was valid once.
    Expired {
        /// The key, as `namespace/consumer/key`.
        key: String,
    },
}

/// All consumers.
#[derive(Debug, Default)]
pub struct ConsumerTable {
    by_key: HashMap<Digest, Holder>,
    by_subject: HashMap<String, HashMap<String, Arc<Consumer>>>,
    all: Vec<Arc<Consumer>>,
}

/// The SHA-256 of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest([u8; 32]);

/// Who has what another one asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) by: String,
}

/// Collects consumers.
#[derive(Debug, Default)]
pub(crate) struct ConsumerBuilder(ConsumerTable);

impl ConsumerTable {
    /// Whose key this is, at `now_s` seconds since 1970.
    pub fn find(&self, presented: &[u8], now_s: u64) -> Result<&Holder, KeyRefused> {
        let holder = self.by_key.get(&Digest::of(presented)).ok_or(KeyRefused::Unknown)?;
        match holder.not_after_s {
            Some(not_after_s) if not_after_s <= now_s => Err(KeyRefused::Expired { key: holder.key.clone() }),
            Some(_) | None => Ok(holder),
        }
    }

    /// Whose subject this is. The token was verified by the caller.
    pub fn by_subject(&self, issuer: &str, subject: &str) -> Option<&Arc<Consumer>> {
        self.by_subject.get(issuer)?.get(subject)
    }

    /// Every consumer, in the order of the resources.
    pub fn all(&self) -> &[Arc<Consumer>] {
        &self.all
    }

    pub(super) fn keys_of(&self, consumer: &Consumer) -> usize {
        self.by_key.values().filter(|holder| holder.consumer.name == consumer.name).count()
    }

    /// No consumer is configured: nobody is asked to prove anything.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Digest {
    /// Of a key as it is presented.
    pub(crate) fn of(key: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(bytes)
    }

    /// Of `sha256:` and 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64)?;
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl PartialEq for Digest {
    /// Takes the same time wherever they differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl ConsumerBuilder {
    /// Takes a consumer; what it presents follows.
    pub(crate) fn add(&mut self, consumer: &Arc<Consumer>) {
        self.0.all.push(Arc::clone(consumer));
    }

    /// Takes a key. The first who has it keeps it.
    pub(crate) fn add_key(&mut self, digest: Digest, holder: Holder) -> Result<(), Taken> {
        if let Some(other) = self.0.by_key.get(&digest) {
            return Err(Taken { by: other.key.clone() });
        }
        self.0.by_key.insert(digest, holder);
        Ok(())
    }

    /// Takes a subject. The first who has it keeps it.
    pub(crate) fn add_subject(
        &mut self,
        (issuer, subject): (&str, &str),
        consumer: &Arc<Consumer>,
    ) -> Result<(), Taken> {
        let subjects = self.0.by_subject.entry(issuer.to_owned()).or_default();
        if let Some(other) = subjects.get(subject) {
            return Err(Taken { by: other.full_name.clone() });
        }
        subjects.insert(subject.to_owned(), Arc::clone(consumer));
        Ok(())
    }

    pub(crate) fn build(self) -> ConsumerTable {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(name: &str) -> Arc<Consumer> {
        Arc::new(Consumer {
            name: ResourceName::new("default", name),
            full_name: format!("default/{name}"),
            organization: None,
            team: None,
            user: None,
            labels: BTreeMap::new(),
        })
    }

    #[test]
    fn a_key_is_found_by_its_hash_until_it_expires() {
        let mut builder = ConsumerBuilder::default();
        let holder =
            |key: &str, not_after_s| Holder { consumer: consumer("alice"), key: key.to_owned(), not_after_s };
        builder.add_key(Digest::of(b"sk-1"), holder("one", Some(100))).unwrap();
        assert_eq!(
            builder.add_key(Digest::of(b"sk-1"), holder("two", None)),
            Err(Taken { by: "one".into() })
        );
        builder.add_key(Digest::of(b"sk-2"), holder("two", None)).unwrap();
        let table = builder.build();
        #[rustfmt::skip]
        let rows = [
            ("sk-1", 99,       Ok("one"),                                           "its last second"),
            ("sk-1", 100,      Err(KeyRefused::Expired { key: "one".into() }),      "over"),
            ("sk-2", u64::MAX, Ok("two"),                                           "for ever"),
            ("sk-3", 0,        Err(KeyRefused::Unknown),                            "nobody's"),
            ("",     0,        Err(KeyRefused::Unknown),                            "no key is nobody's"),
        ];
        for (key, now_s, want, why) in rows {
            let got = table.find(key.as_bytes(), now_s).map(|holder| holder.key.as_str());
            assert_eq!(got, want, "{why}");
        }
    }

    #[test]
    fn hashes_are_those_of_sha256() {
        // FIPS 180-4, the message "abc".
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::parse(abc), Some(Digest::of(b"abc")));
        assert_ne!(Digest::parse(abc), Some(Digest::of(b"abd")));
        assert_eq!(Digest::parse(&abc[..70]), None);
    }

    #[test]
    fn a_subject_is_one_issuers() {
        let mut builder = ConsumerBuilder::default();
        builder.add_subject(("https://a", "1"), &consumer("alice")).unwrap();
        builder.add_subject(("https://b", "1"), &consumer("bob")).unwrap();
        let taken = builder.add_subject(("https://a", "1"), &consumer("eve"));
        assert_eq!(taken, Err(Taken { by: "default/alice".into() }));
        let table = builder.build();
        let name =
            |issuer, subject| table.by_subject(issuer, subject).map(|consumer| consumer.name.name.as_str());
        assert_eq!(name("https://a", "1"), Some("alice"));
        assert_eq!(name("https://b", "1"), Some("bob"));
        assert_eq!((name("https://a", "2"), name("https://c", "1")), (None, None));
    }
}
