//! A stored response: a head and a body kept under a key (RFC 9111 §2).

mod bytes;
pub mod region;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ::bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ring::digest;

use crate::field::coding::Coding;
use crate::field::range::ContentRange;
use crate::field::vary;
use crate::time::{Seconds, Timestamp};
use region::Region;
pub use versions::{Difference, Standing, Versions};

/// The head of a stored response, with all that decides about its reuse worked out once.
#[derive(Clone, Debug)]
pub struct StoredHead {
    /// The status it was stored with.
    pub status: StatusCode,
    /// The fields it was stored with.
    pub fields: Fields,
    /// What decides whether it may answer.
    pub freshness: Freshness,
    /// Which requests it may answer, beyond its key.
    pub selecting: Selecting,
    /// What part of the whole it holds; `None` if it is the whole (RFC 9111 §3.3).
    pub part: Option<ContentRange>,
    /// Whether the rules that it was stored under have it compressed for who wants it, whatever
    /// its length.
    pub compressible: bool,
    /// The content coding that the body is stored in, if it is one that the edge can read.
    pub coding: Option<Coding>,
    /// The names by which it may be purged, and the cache groups of its origin.
    pub tags: Box<[TagHash]>,
    /// The position in the log of purges up to which they were noted here when it was asked for;
    /// noted when it is stored.
    pub since: u64,
}

/// A tag in 16 bytes, cut from SHA-256: an origin chooses how long a tag is, and not how much is
/// kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagHash([u8; 16]);

impl TagHash {
    /// That of `tag`.
    #[must_use]
    pub fn of(tag: &str) -> Self {
        let whole = digest::digest(&digest::SHA256, tag.as_bytes());
        let mut bytes = [0; 16];
        for (byte, digest) in bytes.iter_mut().zip(whole.as_ref()) {
            *byte = *digest;
        }
        Self(bytes)
    }
}

/// A stored response. Cloning shares head and body.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The head and its facts.
    pub head: Arc<StoredHead>,
    /// The body.
    pub body: Body,
}

impl Stored {
    /// Bytes that this stored response takes, its own bookkeeping included.
    #[must_use]
    pub fn size(&self) -> u64 {
        /// `Stored` itself, the counters of its `Arc`s, and the tables of the allocator.
        const OVERHEAD: u64 = 160;
        let head = size_of::<StoredHead>()
            + self.head.fields.len()
            + self.head.selecting.size()
            + size_of_val(&*self.head.tags);
        let body = if self.body.region().is_some() { 0 } else { self.body.length() };
        let body = body + self.body.coded_length() + self.body.versions_size();
        OVERHEAD + head as u64 + body + 48 * self.body.pieces() as u64
    }
}

/// What decides whether a stored response may answer (RFC 9111 §4.2), worked out when it was
/// stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When the response came in: `response_time` (RFC 9111 §4.2.3).
    pub arrived: Timestamp,
    /// How old it was by then: `corrected_initial_age` (RFC 9111 §4.2.3).
    pub initial_age: Seconds,
    /// How long it is fresh, counted from an age of zero (RFC 9111 §4.2.1).
    pub lifetime: Seconds,
    /// `no-cache`: it must be validated before each use (RFC 9111 §5.2.2.4).
    pub always_validate: bool,
    /// It must not be used stale: `must-revalidate`, `proxy-revalidate`, `s-maxage`
    /// (RFC 9111 §4.2.4).
    pub never_stale: bool,
    /// How long past its lifetime it may answer while it is revalidated (RFC 5861 §3).
    pub while_revalidate: Seconds,
    /// How long past its lifetime it may answer in place of an error, if anybody said
    /// (RFC 5861 §4).
    pub if_error: Option<Seconds>,
    /// It was purged, and answers only in place of an origin that fails.
    pub withdrawn: bool,
}

impl Freshness {
    /// `current_age` (RFC 9111 §4.2.3).
    #[must_use]
    pub const fn age(&self, now: Timestamp) -> Seconds {
        self.initial_age.plus(now.since(self.arrived))
    }

    /// How much of its lifetime is left; negative once it is stale (RFC 9211 §2.4).
    #[must_use]
    pub fn ttl(&self, now: Timestamp) -> i64 {
        let lifetime = i64::try_from(self.lifetime.0).unwrap_or(i64::MAX);
        lifetime.saturating_sub(i64::try_from(self.age(now).0).unwrap_or(i64::MAX))
    }

    /// How long it has been stale; zero while it is fresh, and at the very moment it turns stale.
    #[must_use]
    pub const fn staleness(&self, now: Timestamp) -> Seconds {
        self.age(now).minus(self.lifetime)
    }

    /// Whether it is fresh (RFC 9111 §4.2).
    #[must_use]
    pub const fn is_fresh(&self, now: Timestamp) -> bool {
        // Equality is stale: fresh means lifetime > age.
        !self.withdrawn && self.lifetime.0 > self.age(now).0
    }
}

/// The request fields that selected a stored response among its variants (RFC 9111 §4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selecting {
    names: Box<[HeaderName]>,
    values: Box<[Option<Bytes>]>,
}

impl Selecting {
    /// Notes what `request` said in the fields that `Vary` names.
    #[must_use]
    pub fn new(names: &[HeaderName], request: &HeaderMap) -> Self {
        Self { names: names.into(), values: vary::secondary(names, request).into() }
    }

    /// Whether `request` selects the same variant.
    #[must_use]
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.names.is_empty() || *self.values == *vary::secondary(&self.names, request)
    }

    /// The names of the fields that select.
    #[must_use]
    pub fn names(&self) -> &[HeaderName] {
        &self.names
    }

    fn size(&self) -> usize {
        let values: usize = self.values.iter().flatten().map(Bytes::len).sum();
        values + self.names.len() * (size_of::<HeaderName>() + size_of::<Option<Bytes>>())
    }
}

/// Field lines in one piece of memory, as HTTP/1.1 writes them.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    wire: Bytes,
}

impl Fields {
    /// Writes down `map`.
    #[must_use]
    pub fn new(map: &HeaderMap) -> Self {
        let size = map.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let mut wire = BytesMut::with_capacity(size);
        for (name, value) in map {
            wire.put_slice(name.as_str().as_bytes());
            wire.put_slice(b": ");
            wire.put_slice(value.as_bytes());
            wire.put_slice(b"\r\n");
        }
        Self { wire: wire.freeze() }
    }

    /// The lines, name and value. No copy is made of a value.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        let mut rest = self.wire.clone();
        std::iter::from_fn(move || {
            let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
            let line = rest.split_to(end + 2).slice(..end);
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = HeaderName::from_bytes(line.get(..colon)?);
            let value = HeaderValue::from_maybe_shared(line.slice(colon + 2..));
            let valid = "lines are written from names and values that were valid";
            Some((name.expect(valid), value.expect(valid)))
        })
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<HeaderValue> {
        self.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The lines as a map.
    #[must_use]
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(16);
        for (name, value) in self.iter() {
            map.append(name, value);
        }
        map
    }

    /// Bytes that the lines take.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.wire.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }
}

/// The body of a stored response, in the pieces in which it arrived or in one.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pieces: Pieces,
    length: u64,
    /// What was found out about it and made of it since it came.
    since: Option<Arc<Since>>,
}

/// What was found out about a body and made of it.
#[derive(Clone, Debug, Default)]
struct Since {
    /// What was made of it in each coding, and plain.
    coded: [Option<Coded>; PLACES],
    /// What it is to clients that have another version of it.
    versions: Versions,
}

/// What became of a body that was to be put into another content coding.
#[derive(Clone, Debug)]
pub enum Coded {
    /// It is this.
    Kept(Kept),
    /// It is not smaller, and is not made again.
    NotSmaller,
    /// It cannot be made: what is stored is not in the coding that it claims, or would take more
    /// room without it than a stored response may.
    Unreadable,
}

/// A body that was made of a stored one.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The body.
    pub body: Body,
    /// Who made it.
    pub by: Maker,
    hits: Arc<AtomicU32>,
}

/// Who made a body of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The edge, in haste: the next time it may be other bytes.
    Quick,
    /// The edge, as well as it can.
    Best,
    /// The origin, which has it beside the other.
    Origin,
}

impl Kept {
    /// A body made by `by` that has not answered yet.
    #[must_use]
    pub fn new(body: Body, by: Maker) -> Self {
        Self { body, by, hits: Arc::default() }
    }

    /// Counts an answer with it, and says how many there were.
    #[must_use]
    pub fn hit(&self) -> u32 {
        self.hits.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Forgets how many answers there were.
    pub fn forget_hits(&self) {
        self.hits.store(0, Ordering::Relaxed);
    }

    /// Whether it is to take the place of `other`, which is here already: if it is smaller, or hardly
    /// larger, for a tag that promises its bytes is worth a few of them.
    fn replaces(&self, other: &Self) -> bool {
        let most = other.body.length + other.body.length / 16;
        self.by != Maker::Quick && other.by == Maker::Quick && self.body.length <= most
    }
}

#[derive(Clone, Debug, Default)]
enum Pieces {
    #[default]
    None,
    One(Bytes),
    Many(Arc<[Bytes]>),
    /// It stays on disk.
    OnDisk(Arc<Region>),
}

/// Up to this many bytes, pieces are joined: one copy when stored, fewer writes on every hit.
const JOIN_BELOW: u64 = 128 * 1024;

/// What can be made of a body: each coding, and the plain one.
const PLACES: usize = Coding::ALL.len() + 1;

/// The place of what is made, which is the plain body if it has no coding.
fn place(coding: Option<Coding>) -> usize {
    Coding::ALL.iter().position(|other| Some(*other) == coding).unwrap_or(Coding::ALL.len())
}

impl Body {
    /// Takes the pieces over, joined if they are small.
    #[must_use]
    pub fn new(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let pieces = match <[Bytes; 1]>::try_from(pieces) {
            Ok([one]) => Pieces::One(one),
            Err(none) if none.is_empty() => Pieces::None,
            Err(many) if length <= JOIN_BELOW => Pieces::One(many.concat().into()),
            Err(many) => Pieces::Many(many.into()),
        };
        Self { pieces, length, since: None }
    }

    /// A body that stays on disk. It is only for being sent: nothing is made of it.
    #[must_use]
    pub fn on_disk(region: Region) -> Self {
        Self { length: region.length(), pieces: Pieces::OnDisk(Arc::new(region)), since: None }
    }

    /// Where it is on disk, if it stays there.
    #[must_use]
    pub fn region(&self) -> Option<&Arc<Region>> {
        match &self.pieces {
            Pieces::OnDisk(region) => Some(region),
            Pieces::None | Pieces::One(_) | Pieces::Many(_) => None,
        }
    }

    /// What became of it in `coding`, or plain if that is nothing; nothing if nobody has tried.
    #[must_use]
    pub fn coded(&self, coding: Option<Coding>) -> Option<&Coded> {
        self.since.as_ref()?.coded.get(place(coding))?.as_ref()
    }

    /// The same with what became of it in `coding`, unless what is there is better.
    #[must_use]
    pub fn with_coded(&self, coding: Option<Coding>, coded: &Coded) -> Self {
        let mut since = self.since.as_deref().cloned().unwrap_or_default();
        if let Some(slot) = since.coded.get_mut(place(coding)) {
            match (&slot, coded) {
                (Some(Coded::Kept(here)), Coded::Kept(new)) if !new.replaces(here) => {}
                (Some(Coded::Kept(_)), Coded::NotSmaller | Coded::Unreadable) => {}
                _ => *slot = Some(coded.clone()),
            }
        }
        Self { since: Some(Arc::new(since)), ..self.clone() }
    }

    /// What is known of it as a version among others, if anything is.
    #[must_use]
    pub fn versions(&self) -> Option<&Versions> {
        self.since.as_ref().map(|since| &since.versions)
    }

    /// The same with another thing known of it as a version among others.
    #[must_use]
    pub fn with_versions(&self, change: impl FnOnce(&mut Versions)) -> Self {
        let mut since = self.since.as_deref().cloned().unwrap_or_default();
        change(&mut since.versions);
        Self { since: Some(Arc::new(since)), ..self.clone() }
    }

    /// Where it is in memory; nothing if it is empty.
    #[must_use]
    pub fn address(&self) -> Option<usize> {
        let first = self.as_slice().first().filter(|_| self.length > 0);
        first.map(|piece| piece.as_ptr().addr())
    }

    /// Whether both are the same bytes in memory.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.length == other.length && self.length > 0 && self.address() == other.address()
    }

    fn versions_size(&self) -> u64 {
        self.versions().map_or(0, Versions::size)
    }

    fn coded_length(&self) -> u64 {
        /// The table, and for each body its `Arc`s.
        const OVERHEAD: u64 = 96;
        let kept = |coded: &Coded| match coded {
            Coded::Kept(kept) => kept.body.length + OVERHEAD + 48 * kept.body.pieces() as u64,
            Coded::NotSmaller | Coded::Unreadable => 0,
        };
        self.since.iter().flat_map(|since| since.coded.iter().flatten()).map(kept).sum()
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// How many pieces it is kept in.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.as_slice().len()
    }

    /// The pieces, in order; none where it is on disk.
    #[must_use]
    pub fn as_slice(&self) -> &[Bytes] {
        match &self.pieces {
            Pieces::None | Pieces::OnDisk(_) => &[],
            Pieces::One(one) => std::slice::from_ref(one),
            Pieces::Many(many) => many,
        }
    }

    /// The bytes from `start` up to but not including `end`, sharing memory. What lies outside of
    /// the body is left out.
    #[must_use]
    pub fn slice(&self, start: u64, end: u64) -> Vec<Bytes> {
        let mut at = 0_u64;
        let mut out = Vec::new();
        for piece in self.as_slice() {
            let length = piece.len() as u64;
            let (from, to) = (start.max(at) - at, end.min(at + length).saturating_sub(at));
            if from < to {
                // Both lie within a piece, so they fit.
                let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
                out.push(piece.slice(range));
            }
            at += length;
        }
        out
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of those who keep stored responses share.

    use super::{Body, Fields, Freshness, Selecting, Stored, StoredHead};
    use crate::time::{Seconds, Timestamp};
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
    use std::sync::Arc;

    /// A request with one field.
    pub(crate) fn request(name: &'static str, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).unwrap();
        std::iter::once((HeaderName::from_static(name), value)).collect()
    }

    /// A head without fields that is fresh for a minute and is selected by what `request` says in
    /// the fields that `vary` names.
    pub(crate) fn head(vary: &[&'static str], request: &HeaderMap) -> StoredHead {
        let vary: Vec<_> = vary.iter().map(|name| HeaderName::from_static(name)).collect();
        StoredHead {
            status: StatusCode::OK,
            fields: Fields::default(),
            freshness: Freshness {
                arrived: Timestamp::from_seconds(0),
                initial_age: Seconds::ZERO,
                lifetime: Seconds(60),
                always_validate: false,
                never_stale: false,
                while_revalidate: Seconds::ZERO,
                if_error: None,
                withdrawn: false,
            },
            selecting: Selecting::new(&vary, request),
            part: None,
            compressible: false,
            coding: None,
            tags: Box::default(),
            since: 0,
        }
    }

    /// A stored response with that body and such a head.
    pub(crate) fn stored(body: &str, vary: &[&'static str], request: &HeaderMap) -> Stored {
        let body = Body::new(vec![Bytes::copy_from_slice(body.as_bytes())]);
        Stored { head: Arc::new(head(vary, request)), body }
    }

    /// The body of a stored response.
    pub(crate) fn body(stored: &Stored) -> String {
        String::from_utf8(stored.body.as_slice().concat()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::{head, request, stored};
    use super::*;

    #[track_caller]
    fn check_selects(vary: &[&'static str], first: &HeaderMap, second: &HeaderMap, same: bool) {
        let selecting = head(vary, first).selecting;
        assert!(selecting.matches(first), "{vary:?} {first:?}");
        assert_eq!(selecting.matches(second), same, "{vary:?} {first:?} {second:?}");
    }

    #[test]
    fn is_selected_by_requests_that_say_the_same_in_the_fields_of_vary() {
        let none = HeaderMap::new();
        let english = request("accept-language", "en");
        check_selects(&[], &english, &none, true);
        check_selects(&["accept-language"], &english, &english, true);
        check_selects(&["accept-language"], &english, &request("accept-language", "de"), false);
        check_selects(&["accept-language"], &english, &none, false);
        check_selects(&["accept-language"], &none, &english, false);
        check_selects(&["x-a", "x-b"], &request("x-a", "1"), &request("x-b", "1"), false);
        check_selects(&["x-a"], &request("x-a", "a,b"), &request("x-a", "a, b"), true);
        check_selects(&["x-a"], &request("x-a", ""), &none, false);
    }

    #[test]
    fn tells_a_field_by_its_name() {
        let fields = Fields::new(&request("x-a", "b: c"));
        assert_eq!(fields.get(&HeaderName::from_static("x-a")), Some("b: c".parse().unwrap()));
        assert_eq!(fields.get(&HeaderName::from_static("x")), None);
        assert_eq!(fields.len(), b"x-a: b: c\r\n".len());
        assert!(!fields.is_empty() && Fields::default().is_empty());
    }

    #[test]
    fn joins_small_pieces_and_leaves_large_ones() {
        let pieces = |count: usize, size: usize| {
            let body = Body::new(vec![Bytes::from(vec![0; size]); count]);
            assert_eq!(body.length(), (count * size) as u64);
            body.pieces()
        };
        assert_eq!(pieces(0, 1), 0);
        assert_eq!(pieces(1, 1_000_000), 1);
        assert_eq!(pieces(4, 32 * 1024), 1);
        assert_eq!(pieces(4, 32 * 1024 + 1), 4);
    }

    #[test]
    fn counts_what_it_takes() {
        let none = HeaderMap::new();
        let small = stored("", &[], &none).size();
        assert_eq!(stored("12345", &[], &none).size() - small, 5);
        let long = request("x-a", &"v".repeat(1000));
        assert!(stored("", &["x-a"], &long).size() >= small + 1000);
        let mut fields = head(&[], &none);
        fields.fields = Fields::new(&long);
        let body = stored("", &[], &none).body;
        assert!(Stored { head: Arc::new(fields), body }.size() >= small + 1000);
    }

    #[test]
    fn keeps_of_a_coding_what_is_better() {
        let made = |length: usize, by| {
            Coded::Kept(Kept::new(Body::new(vec![Bytes::from(vec![0; length])]), by))
        };
        // What is kept after both became of a body, one after the other: its length, and who made it.
        let check = |first: Coded, second: Coded, expected: Option<(u64, Maker)>| {
            let body = stored("a body", &[], &HeaderMap::new()).body;
            let body = body.with_coded(None, &first).with_coded(None, &second);
            let kept = body.coded(None).and_then(|coded| match coded {
                Coded::Kept(kept) => Some((kept.body.length(), kept.by)),
                Coded::NotSmaller | Coded::Unreadable => None,
            });
            assert_eq!(kept, expected, "{first:?} {second:?}");
            assert!(body.coded(Some(Coding::Br)).is_none());
        };
        let (quick, best) = (Maker::Quick, Maker::Best);
        check(made(9, quick), made(8, quick), Some((9, quick)));
        check(made(9, quick), made(9, best), Some((9, best)));
        check(made(160, quick), made(170, best), Some((170, best)));
        check(made(160, quick), made(171, best), Some((160, quick)));
        check(made(9, best), made(8, quick), Some((9, best)));
        check(made(9, best), Coded::NotSmaller, Some((9, best)));
        check(Coded::NotSmaller, made(8, best), Some((8, best)));
        check(made(9, quick), Coded::Unreadable, Some((9, quick)));
        check(Coded::Unreadable, Coded::NotSmaller, None);
    }

    #[test]
    fn keeps_all_lines_of_a_field_in_order() {
        let mut map = HeaderMap::new();
        map.append("x-a", HeaderValue::from_static("1"));
        map.append("x-b", HeaderValue::from_static(""));
        map.append("x-a", HeaderValue::from_static("2"));
        assert_eq!(Fields::new(&map).to_map(), map);
    }

    #[test]
    fn is_stale_as_soon_as_its_age_reaches_its_lifetime() {
        let freshness = Freshness {
            arrived: Timestamp::from_seconds(100),
            initial_age: Seconds(10),
            lifetime: Seconds(60),
            always_validate: false,
            never_stale: false,
            while_revalidate: Seconds::ZERO,
            if_error: None,
            withdrawn: false,
        };
        assert!(freshness.is_fresh(Timestamp::from_seconds(149)));
        assert!(!freshness.is_fresh(Timestamp::from_seconds(150)));
        assert_eq!(freshness.ttl(Timestamp::from_seconds(149)), 1);
        assert_eq!(freshness.ttl(Timestamp::from_seconds(153)), -3);
    }

    proptest! {
        #[test]
        fn gives_back_the_fields_that_it_wrote_down(
            lines in prop::collection::vec(("[a-e]", prop::collection::vec(32_u8..127, 0..9)), 0..9),
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in &lines {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                map.append(name, HeaderValue::from_bytes(value).unwrap());
            }
            let fields = Fields::new(&map);
            prop_assert_eq!(fields.to_map(), map);
            prop_assert_eq!(fields.iter().count(), lines.len());
        }

        #[test]
        fn cuts_the_same_bytes_out_of_pieces_as_out_of_one(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            start in 0_usize..250,
            length in 0_usize..250,
        ) {
            let whole = pieces.concat();
            let expected: Vec<u8> = whole.iter().copied().skip(start).take(length).collect();
            let many = Body {
                length: whole.len() as u64,
                pieces: Pieces::Many(pieces.into_iter().map(Bytes::from).collect()),
                ..Body::default()
            };
            prop_assert_eq!(many.slice(start as u64, (start + length) as u64).concat(), expected);
        }
    }
}
