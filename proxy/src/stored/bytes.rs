//! What a stored response is made of, as bytes and back, for who writes it down.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use xxhash_rust::xxh3::Xxh3;

use super::{Fields, Selecting, TagHash};

impl TagHash {
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

impl Fields {
    /// Takes lines that [`as_wire`](Self::as_wire) gave; nothing if they are no field lines.
    #[must_use]
    pub fn from_wire(wire: Bytes) -> Option<Self> {
        let mut rest = &*wire;
        while !rest.is_empty() {
            let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
            let (line, after) = rest.split_at(end);
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, value) = line.split_at(colon);
            let value = value.strip_prefix(b": ")?;
            if HeaderName::from_bytes(name).is_err() || HeaderValue::from_bytes(value).is_err() {
                return None;
            }
            rest = after.strip_prefix(b"\r\n")?;
        }
        Some(Self { wire })
    }

    /// The lines as HTTP/1.1 writes them.
    #[must_use]
    pub const fn as_wire(&self) -> &Bytes {
        &self.wire
    }
}

impl Selecting {
    /// Takes names and values that [`iter`](Self::iter) gave.
    #[must_use]
    pub fn from_parts(parts: impl IntoIterator<Item = (HeaderName, Option<Bytes>)>) -> Self {
        let (names, values): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Self { names: names.into(), values: values.into() }
    }

    /// Each field that selects, with what the request said in it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&HeaderName, Option<&Bytes>)> {
        self.names.iter().zip(self.values.iter().map(Option::as_ref))
    }

    /// A number that tells this variant from others, the same on every machine. Two may share it:
    /// it places variants, and never stands for one.
    #[must_use]
    pub fn variant(&self) -> u64 {
        let mut hasher = Xxh3::new();
        let mut add = |part: Option<&[u8]>| {
            let length = part.map_or(0, |part| part.len() as u64 + 1);
            hasher.update(&length.to_le_bytes());
            hasher.update(part.unwrap_or_default());
        };
        for (name, value) in self.iter() {
            add(Some(name.as_str().as_bytes()));
            add(value.map(|value| &**value));
        }
        hasher.digest()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::stored::testing::request;

    fn selecting(names: &[&'static str], request: &HeaderMap) -> Selecting {
        let names: Vec<_> = names.iter().map(|name| HeaderName::from_static(name)).collect();
        Selecting::new(&names, request)
    }

    #[test]
    fn takes_field_lines_and_nothing_else() {
        let check = |wire: &'static str, expected: bool| {
            let fields = Fields::from_wire(Bytes::from_static(wire.as_bytes()));
            assert_eq!(fields.is_some(), expected, "{wire:?}");
        };
        check("", true);
        check("a: b\r\n", true);
        check("a: \r\nb: c: d\r\n", true);
        for bad in ["a: b", "a: b\r", "a:b\r\n", "a:\r\n", ": b\r\n", "a\r\n", "\r\n", "a b: c\r\n"]
        {
            check(bad, false);
        }
        check("a: b\nc: d\r\n", false);
        check("a: b\r\n\r\n", false);
    }

    #[test]
    fn tells_variants_apart_by_names_and_values() {
        let none = HeaderMap::new();
        let all = [
            selecting(&[], &none),
            selecting(&["x-a"], &none),
            selecting(&["x-b"], &none),
            selecting(&["x-a", "x-b"], &none),
            selecting(&["x-a"], &request("x-a", "")),
            selecting(&["x-a"], &request("x-a", "1")),
            selecting(&["x-a", "x-b"], &request("x-a", "1")),
            selecting(&["x-a", "x-b"], &request("x-b", "1")),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| one.variant() != other.variant()));
            let parts = one.iter().map(|(name, value)| (name.clone(), value.cloned()));
            assert_eq!(Selecting::from_parts(parts), *one);
        }
    }

    #[test]
    fn numbers_variants_the_same_for_ever() {
        let number = selecting(&["x-a", "x-b"], &request("x-a", "1")).variant();
        assert_eq!(number, 18_227_063_648_101_120_645);
    }

    proptest! {
        #[test]
        fn reads_any_lines_that_it_takes(wire in "[a: \r\n\u{1}\u{e9}]{0,20}") {
            if let Some(fields) = Fields::from_wire(Bytes::from(wire)) {
                let again = Fields::new(&fields.to_map());
                prop_assert_eq!(again.len(), fields.len());
            }
        }
    }
}
