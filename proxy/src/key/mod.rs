//! What a stored response is kept under (RFC 9111 §2, "cache key").
//!
//! A [`Target`] is what a request asks for, in the one form that all ways to write it share. A
//! [`Key`] is its scheme, authority, path and query as bytes, with the length of each in front, so
//! that no two different sets of parts make the same bytes.

pub mod query;
mod target;
mod url;

use std::fmt;

use bytes::Bytes;
use ring::digest;

pub use target::{Scheme, Target, TargetError};
pub use url::Url;

/// The first byte of every key; another one means that the parts have another meaning.
const VERSION: u8 = 1;

/// The primary key of a stored response; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The key of a target, all of which counts.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        Self::chosen(target, Scope { scheme: true, host: true }, std::iter::empty())
    }

    /// The key of what of a target is in `scope`, with further parts.
    ///
    /// A further part is the name and the value of something else that counts, such as a route;
    /// `None` where there is no value. Their order counts.
    #[must_use]
    pub fn chosen<'a>(
        target: &Target,
        scope: Scope,
        further: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Self {
        let (authority, query) = (target.authority(), target.query());
        let length = authority.len() + target.path().len() + query.map_or(0, str::len) + 32;
        let mut bytes = Vec::with_capacity(length);
        bytes.push(VERSION);
        push(&mut bytes, scope.scheme.then(|| target.scheme().as_str().as_bytes()));
        push(&mut bytes, scope.host.then_some(authority.as_bytes()));
        push(&mut bytes, Some(target.path().as_bytes()));
        push(&mut bytes, query.map(str::as_bytes));
        for (name, value) in further {
            push(&mut bytes, Some(name.as_bytes()));
            push(&mut bytes, value);
        }
        Self(Bytes::from(bytes))
    }

    /// The key as bytes, the same on every machine and in every release with the same first byte.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Takes bytes that [`as_bytes`](Self::as_bytes) gave; `None` if they are no key.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        let mut parts = Parts(bytes.strip_prefix(&[VERSION])?);
        let count = parts.by_ref().count();
        (parts.0.is_empty() && count >= 4 && count % 2 == 0).then_some(Self(bytes))
    }

    /// The key in 16 bytes.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        let whole = digest::digest(&digest::SHA256, &self.0);
        let mut bytes = [0; 16];
        for (byte, digest) in bytes.iter_mut().zip(whole.as_ref()) {
            *byte = *digest;
        }
        KeyDigest(bytes)
    }

    /// A number that spreads keys evenly and is the same on every machine.
    ///
    /// Two keys may share it, and somebody who tries can make many that do: it places keys, and
    /// never stands for one.
    #[must_use]
    pub fn hash64(&self) -> u64 {
        // FNV-1a, and the finish of splitmix64 to spread its high bits.
        let hash = self.0.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }

    /// What its URL says of a place.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        let mut parts = self.parts();
        let mut next = || parts.next().flatten();
        let (scheme, authority) = (next(), next());
        Place { scheme, authority, path: next().unwrap_or_default() }
    }

    /// Its parts in order: scheme, authority, path, query, then names and values.
    fn parts(&self) -> Parts<'_> {
        Parts(self.0.strip_prefix(&[VERSION]).unwrap_or_default())
    }
}

/// The URL in a key, without its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The scheme, if it counts.
    pub scheme: Option<&'a [u8]>,
    /// Host and port, if they count.
    pub authority: Option<&'a [u8]>,
    /// The path.
    pub path: &'a [u8],
}

/// A key in 16 bytes, to remember that something happened to it: a client chooses how long a key
/// is, and not how much is remembered of it.
///
/// It is cut from SHA-256, so that nobody finds two keys that share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 16]);

impl KeyDigest {
    /// Takes bytes that [`as_bytes`](Self::as_bytes) gave.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, the same on every machine.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Prints 32 hexadecimal digits.
impl fmt::Display for KeyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Which parts of a target count, beside its path and its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Its scheme.
    pub scheme: bool,
    /// Its host and port.
    pub host: bool,
}

/// Adds one part: how long it is plus one, in four bytes, then the part; zero if it is absent.
fn push(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    let length = part.map_or(0, |part| u32::try_from(part.len()).unwrap_or(u32::MAX - 1) + 1);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part.unwrap_or_default());
}

/// The parts of a key; ends early where the bytes are no key.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let Some(length) = u32::from_be_bytes(*length).checked_sub(1) else {
            self.0 = rest;
            return Some(None);
        };
        let (part, rest) = rest.split_at_checked(usize::try_from(length).unwrap_or(usize::MAX))?;
        self.0 = rest;
        Some(Some(part))
    }
}

/// Prints the key for a person to read: the URL, with `*` for what does not count, then
/// `{name: value}` for each further part.
impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.parts().map(|part| part.map(<[u8]>::escape_ascii));
        let mut next = || parts.next().flatten();
        for (part, end) in [(next(), "://"), (next(), "")] {
            match part {
                Some(part) => write!(out, "{part}{end}")?,
                None => write!(out, "*{end}")?,
            }
        }
        if let Some(path) = next() {
            write!(out, "{path}")?;
        }
        if let Some(query) = next() {
            write!(out, "?{query}")?;
        }
        while let Some(Some(name)) = parts.next() {
            match parts.next().flatten() {
                Some(value) => write!(out, " {{{name}: {value}}}")?,
                None => write!(out, " {{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: Scope = Scope { scheme: true, host: true };

    fn key(scheme: &str, authority: &str, path: &str) -> Key {
        Key::of(&Target::parse(scheme, authority, path).unwrap())
    }

    #[test]
    fn is_one_for_all_ways_to_write_a_target() {
        assert_eq!(key("http", "A.Example:80", "/%7eb/../c"), key("HTTP", "a.example", "/c"));
    }

    #[test]
    fn keeps_different_targets_apart() {
        let keys = [
            key("http", "a.example", "/"),
            key("https", "a.example", "/"),
            key("http", "b.example", "/"),
            key("http", "a.example:8080", "/"),
            key("http", "a.example", "/?"),
            key("http", "a.example", "/?a"),
            key("http", "a.example", "/a"),
            key("http", "a.example", "/A"),
            key("http", "a.example", "//"),
            key("http", "a.example", "/%2F"),
            key("http", "a.example", "/%3F"),
        ];
        for (at, one) in keys.iter().enumerate() {
            for other in keys.iter().skip(at + 1) {
                assert_ne!(one, other);
                assert_ne!(one.hash64(), other.hash64());
                assert_ne!(one.digest(), other.digest());
            }
        }
    }

    #[test]
    fn keeps_the_borders_of_its_parts() {
        let target = Target::parse("http", "a.example", "/").unwrap();
        let with = |parts: &[(&'static str, Option<&'static [u8]>)]| {
            Key::chosen(&target, ALL, parts.iter().copied())
        };
        assert_ne!(with(&[("a", Some(b"bc"))]), with(&[("ab", Some(b"c"))]));
        assert_ne!(with(&[("a", Some(b""))]), with(&[("a", None)]));
        assert_ne!(with(&[("a", None)]), with(&[]));
    }

    #[test]
    fn prints_for_a_person() {
        let target = Target::parse("http", "A.Example:8080", "/b?c").unwrap();
        assert_eq!(Key::of(&target).to_string(), "http://a.example:8080/b?c");
        let parts: [(&str, Option<&[u8]>); 2] = [("accept", Some(b"x\n")), ("b", None)];
        let chosen = Key::chosen(&target, ALL, parts.into_iter());
        assert_eq!(chosen.to_string(), r"http://a.example:8080/b?c {accept: x\n} {b}");
        let path_alone = Scope { scheme: false, host: false };
        let chosen = Key::chosen(&target, path_alone, std::iter::empty());
        assert_eq!(chosen.to_string(), "*://*/b?c");
    }

    #[test]
    fn prints_a_digest_byte_by_byte() {
        let mut bytes = [0; 16];
        (bytes[0], bytes[15]) = (1, 0xab);
        assert_eq!(KeyDigest(bytes).to_string(), "010000000000000000000000000000ab");
    }

    #[test]
    fn hashes_the_same_for_ever() {
        assert_eq!(key("https", "a.example", "/b?c").hash64(), 2_727_028_150_396_970_446);
    }

    proptest! {
        #[test]
        fn comes_back_from_its_bytes(
            path in "/[a-z/]{0,9}", query in proptest::option::of("[a-z=&]{0,9}"),
            further in proptest::collection::vec(("[a-z]{0,3}", any::<Option<Vec<u8>>>()), 0..4),
            scheme: bool, host: bool,
        ) {
            let target = Target::parse("http", "a.example", &path).unwrap();
            let target = target.with_query(query.as_deref());
            let parts = further.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
            let key = Key::chosen(&target, Scope { scheme, host }, parts);
            prop_assert_eq!(Key::from_bytes(key.as_bytes().clone()), Some(key));
        }

        #[test]
        fn takes_any_bytes_without_harm(bytes: Vec<u8>) {
            if let Some(key) = Key::from_bytes(Bytes::from(bytes)) {
                prop_assert!(key.to_string().is_ascii());
            }
        }
    }
}
