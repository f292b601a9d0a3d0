//! What a stored body is to clients that have another version of it (RFC 9842).

use bytes::Bytes;

use crate::field::dictionary::{DictionaryCoding, Hash};

/// A body is kept as what differs from so many dictionaries; past that the oldest goes.
const MOST: usize = 4;

/// What is known of a body as a version among others.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// Whether clients may keep it as a dictionary.
    pub standing: Standing,
    /// The newest comes last.
    differences: Vec<Difference>,
}

/// Whether clients may keep a body as a dictionary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// It is too long or too short for that, or cannot be read.
    Unfit,
    /// They may, and those that have it say this of it.
    Known(Hash),
}

/// What became of a body that was to be told as what differs from a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which coding.
    pub coding: DictionaryCoding,
    /// The dictionary.
    pub from: Hash,
    /// The coded body; nothing if that is not smaller, or could not be made.
    pub made: Option<Bytes>,
}

impl Versions {
    /// The hash of the body, if clients may have it.
    #[must_use]
    pub const fn hash(&self) -> Option<Hash> {
        match self.standing {
            Standing::Known(hash) => Some(hash),
            Standing::Unknown | Standing::Unfit => None,
        }
    }

    /// What became of it in `coding` for who has the dictionary `from`; nothing if nobody has tried.
    #[must_use]
    pub fn difference(&self, coding: DictionaryCoding, from: Hash) -> Option<&Difference> {
        self.differences.iter().find(|known| known.coding == coding && known.from == from)
    }

    /// Notes what became of it, unless that is known: one tag means the same bytes for ever.
    pub fn add(&mut self, difference: Difference) {
        if self.difference(difference.coding, difference.from).is_some() {
            return;
        }
        if self.differences.len() >= MOST {
            self.differences.remove(0);
        }
        self.differences.push(difference);
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> u64 {
        let made = self.differences.iter().filter_map(|known| known.made.as_ref());
        let made: usize = made.map(Bytes::len).sum();
        (size_of::<Self>() + self.differences.capacity() * size_of::<Difference>() + made) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(from: &[u8], made: Option<&'static [u8]>) -> Difference {
        let made = made.map(Bytes::from_static);
        Difference { coding: DictionaryCoding::Dcb, from: Hash::of(from), made }
    }

    fn made(versions: &Versions, from: &[u8]) -> Option<Option<Bytes>> {
        let found = versions.difference(DictionaryCoding::Dcb, Hash::of(from));
        found.map(|known| known.made.clone())
    }

    #[test]
    fn finds_what_was_made_of_a_dictionary_in_a_coding() {
        let mut versions = Versions::default();
        versions.add(difference(b"a", Some(b"1")));
        versions.add(difference(b"b", None));
        assert_eq!(made(&versions, b"a"), Some(Some(Bytes::from_static(b"1"))));
        assert_eq!(made(&versions, b"b"), Some(None));
        assert_eq!(made(&versions, b"c"), None);
        assert_eq!(versions.difference(DictionaryCoding::Dcz, Hash::of(b"a")), None);
    }

    #[test]
    fn keeps_what_it_has_and_the_newest() {
        let mut versions = Versions::default();
        versions.add(difference(b"a", Some(b"1")));
        versions.add(difference(b"a", Some(b"2")));
        assert_eq!(made(&versions, b"a"), Some(Some(Bytes::from_static(b"1"))));
        for from in [b"b", b"c", b"d", b"e"] {
            versions.add(difference(from, None));
        }
        assert_eq!(made(&versions, b"a"), None);
        assert_eq!(made(&versions, b"e"), Some(None));
    }

    #[test]
    fn counts_what_was_made() {
        let mut versions = Versions::default();
        versions.add(difference(b"a", None));
        let before = versions.size();
        versions.add(difference(b"b", Some(b"12345")));
        assert!(versions.size() >= before + 5);
    }
}
