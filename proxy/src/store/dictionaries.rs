//! Keeps the bodies that clients may have as dictionaries (RFC 9842), bounded in bytes.
//!
//! They stay here when the stored response that they came from is gone: what a client has kept of
//! the last deploy is of use for as long as it has it.

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::field::dictionary::Hash;
use crate::key::Key;

/// At most so many are kept.
const MOST: u64 = 1024;
/// What the tables take for each, about.
const OVERHEAD: u64 = 370;

/// Bodies that clients may have, by what they are versions of and their hash.
#[derive(Debug)]
pub struct Registry {
    bodies: Cache<(Key, Hash), Bytes>,
}

impl Registry {
    /// A registry that holds at most `capacity` bytes.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        // Each counts for its share at least, so that they are not too many.
        let share = capacity / MOST;
        let bodies = Cache::builder()
            .max_capacity(capacity)
            .weigher(move |(family, _): &(Key, Hash), body: &Bytes| {
                let size = OVERHEAD + (family.as_bytes().len() + body.len()) as u64;
                u32::try_from(size.max(share)).unwrap_or(u32::MAX)
            })
            // The newest are what clients will have, whatever it displaces.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { bodies }
    }

    /// Keeps `body`, whose hash is `hash`, as a version of `family`.
    pub fn keep(&self, family: &Key, hash: Hash, body: Bytes) {
        self.bodies.insert((family.clone(), hash), body);
    }

    /// The version of `family` whose hash is `hash`.
    #[must_use]
    pub fn find(&self, family: &Key, hash: Hash) -> Option<Bytes> {
        self.bodies.get(&(family.clone(), hash))
    }

    /// How many are kept.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bodies.entry_count()
    }

    /// How many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bodies.weighted_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Target;

    fn family(path: &str) -> Key {
        Key::of(&Target::parse("http", "a.example", path).unwrap())
    }

    fn keep(dictionaries: &Registry, path: &str, body: &Bytes) -> Hash {
        let hash = Hash::of(body);
        dictionaries.keep(&family(path), hash, body.clone());
        dictionaries.bodies.run_pending_tasks();
        hash
    }

    #[test]
    fn finds_a_body_as_a_version_of_its_family_alone() {
        let dictionaries = Registry::new(1 << 20);
        let body = Bytes::from_static(b"body");
        let hash = keep(&dictionaries, "/a", &body);
        assert_eq!(dictionaries.find(&family("/a"), hash), Some(body));
        assert_eq!(dictionaries.find(&family("/b"), hash), None);
        assert_eq!(dictionaries.find(&family("/a"), Hash::of(b"other")), None);
    }

    #[test]
    fn keeps_the_newest_within_its_bounds() {
        let dictionaries = Registry::new(100 * 1024);
        let mut last = Hash::of(b"");
        for at in 0..100_u8 {
            last = keep(&dictionaries, "/a", &Bytes::from(vec![at; 10 * 1024]));
        }
        assert!(dictionaries.find(&family("/a"), last).is_some());
        assert!(dictionaries.bytes() <= 100 * 1024 && dictionaries.count() <= 9);
    }

    #[test]
    fn keeps_no_more_than_so_many() {
        let dictionaries = Registry::new(1 << 30);
        for at in 0..2 * MOST {
            keep(&dictionaries, "/a", &Bytes::from(at.to_string()));
        }
        assert!((1..=MOST).contains(&dictionaries.count()), "{}", dictionaries.count());
    }
}
