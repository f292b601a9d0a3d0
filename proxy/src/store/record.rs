//! A stored response as bytes: what a file of the disk tier holds, and a value in Redis.
//!
//! A record is a magic word, the version of this format, how long its head is and the checksum of
//! that; the head; and then the body, and each body that was made of it. The head has the whole
//! key, and a checksum for each block of each body, so that a part of a body can be read alone.
//! What is read is believed in nothing: a record that is not as it was written is a [`Fault`].

use std::borrow::Cow;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};

use super::tally::Fault;
use crate::field::coding::Coding;
use crate::field::range::{ByteRange, ContentRange};
use crate::key::Key;
use crate::stored::region::{BLOCK, Region, checksum, checksums};
use crate::stored::{
    Body, Coded, Fields, Freshness, Kept, Maker, Selecting, Standing, Stored, StoredHead, TagHash,
};
use crate::time::{Seconds, Timestamp};

/// How a record begins.
const MAGIC: [u8; 7] = *b"forebay";
/// The version of the format. Another one is another format: nothing of it is read.
const VERSION: u8 = 1;
/// The magic word, the version, the length of the head in four bytes and its checksum in eight.
const PROLOGUE: usize = MAGIC.len() + 1 + 4 + 8;
/// The longest head. One as long has the checksums of a body of 100 GiB.
const MOST_HEAD: usize = 16 << 20;
/// A larger body that compression has no say in stays on disk.
const STAYS: u64 = 1 << 20;
/// Up to so many bytes a body is copied out of a record in memory, so that it does not hold the
/// whole of it.
const COPY_BELOW: usize = 64 * 1024;

/// A stored response, ready to be written.
#[derive(Debug)]
pub struct Record {
    head: Bytes,
    bodies: Vec<Body>,
}

impl Record {
    /// The record of `stored` under `key`; nothing if its head is longer than any reader takes.
    #[must_use]
    pub fn new(key: &Key, stored: &Stored) -> Option<Self> {
        let mut parts = vec![Part::new(None, Made::AsStored, &stored.body)];
        let mut bodies = vec![stored.body.clone()];
        for coding in Coding::ALL.into_iter().map(Some).chain([None]) {
            match stored.body.coded(coding) {
                Some(Coded::Kept(kept)) => {
                    parts.push(Part::new(coding, Made::by(kept.by), &kept.body));
                    bodies.push(kept.body.clone());
                }
                Some(Coded::NotSmaller) => parts.push(Part::none(coding, Made::NotSmaller)),
                Some(Coded::Unreadable) => parts.push(Part::none(coding, Made::Unreadable)),
                None => {}
            }
        }
        let head = Head::new(key, stored, parts);
        let head = postcard::to_stdvec(&head).expect("a vector takes what it is given");
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(PROLOGUE + head.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum(&head).to_le_bytes());
        bytes.extend_from_slice(&head);
        (head.len() <= MOST_HEAD).then(|| Self { head: bytes.into(), bodies })
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.head.len() as u64 + self.bodies.iter().map(Body::length).sum::<u64>()
    }

    /// All before the bodies.
    #[must_use]
    pub const fn head(&self) -> &Bytes {
        &self.head
    }

    /// The bodies, which follow the head in this order.
    #[must_use]
    pub fn bodies(&self) -> &[Body] {
        &self.bodies
    }

    /// All of it, in pieces; nothing if a body stays on disk.
    #[must_use]
    pub fn pieces(&self) -> Option<Vec<Bytes>> {
        let bodies = self.bodies.iter();
        if bodies.clone().any(|body| body.region().is_some()) {
            return None;
        }
        let bodies = bodies.flat_map(|body| body.as_slice().iter().cloned());
        Some(std::iter::once(self.head.clone()).chain(bodies).collect())
    }
}

/// Reads a record that is in memory as a whole.
///
/// # Errors
///
/// What is wrong with it; [`Fault::Foreign`] if it is not that of `key`.
pub fn decode(key: &Key, record: &Bytes) -> Result<Stored, Fault> {
    let end = Outline::end(record)?;
    let head = record.get(..end).ok_or(Fault::Torn)?;
    Outline::read(key, head, record.len() as u64)?.into_stored(|start, length| {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let body = start..start.saturating_add(length);
        let body = record.get(body.clone()).map(|_| record.slice(body)).ok_or(Fault::Torn)?;
        Ok(if length < COPY_BELOW { Bytes::copy_from_slice(&body) } else { body })
    })
}

/// The head of a record, and where its bodies are.
#[derive(Debug)]
pub struct Outline {
    head: StoredHead,
    /// What was found out about the body that is no body itself.
    notes: Vec<(Option<Coding>, Coded)>,
    unfit: bool,
    bodies: Vec<Place>,
}

/// Where a body is in a record.
#[derive(Debug)]
struct Place {
    /// What it was made for, and by whom; nothing for what was stored.
    made: Option<(Option<Coding>, Maker)>,
    start: u64,
    length: u64,
    sums: Arc<[u64]>,
}

impl Outline {
    /// Where the head of a record ends, which begins with `bytes`.
    ///
    /// # Errors
    ///
    /// That it is no record, or that of another version.
    pub fn end(bytes: &[u8]) -> Result<usize, Fault> {
        let (prologue, _) = bytes.split_first_chunk::<PROLOGUE>().ok_or(Fault::Torn)?;
        let rest = prologue.strip_prefix(&MAGIC).ok_or(Fault::Foreign)?;
        let (version, rest) = rest.split_first().ok_or(Fault::Torn)?;
        if *version != VERSION {
            return Err(Fault::Version);
        }
        let (length, _) = rest.split_first_chunk::<4>().ok_or(Fault::Torn)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > MOST_HEAD {
            return Err(Fault::Torn);
        }
        Ok(PROLOGUE + length)
    }

    /// Reads `bytes`, all up to where the head [ends](Self::end), of a record that is `total` bytes
    /// long.
    ///
    /// # Errors
    ///
    /// What is wrong with it; [`Fault::Foreign`] if it is not that of `key`.
    pub fn read(key: &Key, bytes: &[u8], total: u64) -> Result<Self, Fault> {
        let (prologue, head) = bytes.split_at_checked(PROLOGUE).ok_or(Fault::Torn)?;
        let sum = prologue.last_chunk().map(|sum| u64::from_le_bytes(*sum));
        if sum != Some(checksum(head)) {
            return Err(Fault::Torn);
        }
        let Ok((head, [])) = postcard::take_from_bytes::<Head<'_>>(head) else {
            return Err(Fault::Torn);
        };
        if head.key != key.as_bytes() {
            return Err(Fault::Foreign);
        }
        head.outline(bytes.len() as u64, total).ok_or(Fault::Torn)
    }

    /// The head.
    #[must_use]
    pub const fn head(&self) -> &StoredHead {
        &self.head
    }

    /// Whether the body stays on disk: it is large, and nothing is made of it.
    #[must_use]
    pub fn stays(&self) -> bool {
        let head = &self.head;
        let is_plain = !head.compressible && head.coding.is_none() && head.part.is_none();
        let [stored] = &*self.bodies else { return false };
        is_plain && stored.length > STAYS
    }

    /// The stored response, with bodies that `read` gives: so many bytes from there on.
    ///
    /// # Errors
    ///
    /// What `read` says; [`Fault::Torn`] if a body is not as it was written.
    pub fn into_stored(
        self,
        mut read: impl FnMut(u64, usize) -> Result<Bytes, Fault>,
    ) -> Result<Stored, Fault> {
        let mut whole = Body::default();
        let mut coded = self.notes;
        for place in &self.bodies {
            let length = usize::try_from(place.length).map_err(|_too_long| Fault::Torn)?;
            let bytes = read(place.start, length)?;
            if checksums(std::iter::once(&bytes)) != *place.sums {
                return Err(Fault::Torn);
            }
            let body = if bytes.is_empty() { Body::default() } else { Body::new(vec![bytes]) };
            match place.made {
                None => whole = body,
                Some((coding, by)) => coded.push((coding, Coded::Kept(Kept::new(body, by)))),
            }
        }
        for (coding, coded) in &coded {
            whole = whole.with_coded(*coding, coded);
        }
        if self.unfit {
            whole = whole.with_versions(|versions| versions.standing = Standing::Unfit);
        }
        Ok(Stored { head: Arc::new(self.head), body: whole })
    }

    /// The stored response, whose body stays in `file`.
    ///
    /// # Errors
    ///
    /// [`Fault::Torn`] if it has no body that [stays](Self::stays) there.
    pub fn into_stored_in(self, file: File) -> Result<Stored, Fault> {
        let body = self.bodies.into_iter().find(|body| body.made.is_none()).ok_or(Fault::Torn)?;
        let region = Region::new(Arc::new(file), body.start, body.length, body.sums);
        let body = Body::on_disk(region.ok_or(Fault::Torn)?);
        Ok(Stored { head: Arc::new(self.head), body })
    }
}

/// The head as it is written. Its fields are in this order in every record of this version.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    key: &'a [u8],
    status: u16,
    #[serde(borrow)]
    fields: &'a [u8],
    freshness: Times,
    #[serde(borrow)]
    selecting: Vec<(&'a str, Option<&'a [u8]>)>,
    /// First and last byte, and how long the whole is.
    part: Option<(u64, u64, u64)>,
    compressible: bool,
    coding: u8,
    #[serde(borrow)]
    tags: Cow<'a, [u8]>,
    since: u64,
    unfit: bool,
    #[serde(borrow)]
    parts: Vec<Part<'a>>,
}

/// What decides whether it may answer.
#[derive(Serialize, Deserialize)]
struct Times {
    arrived: i64,
    initial_age: u64,
    lifetime: u64,
    always_validate: bool,
    never_stale: bool,
    while_revalidate: u64,
    if_error: Option<u64>,
    withdrawn: bool,
}

/// A body, or that there is none.
#[derive(Serialize, Deserialize)]
struct Part<'a> {
    coding: u8,
    made: Made,
    length: u64,
    /// Eight bytes for each block.
    #[serde(borrow)]
    sums: Cow<'a, [u8]>,
}

/// What became of a body in a coding. New variants come last.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Made {
    AsStored,
    Quick,
    Best,
    Origin,
    NotSmaller,
    Unreadable,
}

impl Made {
    const fn by(maker: Maker) -> Self {
        match maker {
            Maker::Quick => Self::Quick,
            Maker::Best => Self::Best,
            Maker::Origin => Self::Origin,
        }
    }
}

/// The number of a coding in a record, or of there being none.
const fn number(coding: Option<Coding>) -> u8 {
    match coding {
        None => 0,
        Some(Coding::Br) => 1,
        Some(Coding::Gzip) => 2,
        Some(Coding::Zstd) => 3,
    }
}

/// The coding with that number; nothing if there is none.
fn coding(said: u8) -> Option<Option<Coding>> {
    Coding::ALL.into_iter().map(Some).chain([None]).find(|coding| number(*coding) == said)
}

impl Part<'_> {
    fn new(coding: Option<Coding>, made: Made, body: &Body) -> Self {
        let sums = match body.region() {
            Some(region) => region.sums().to_vec(),
            None => checksums(body.as_slice()),
        };
        let sums = Cow::Owned(sums.iter().flat_map(|sum| sum.to_le_bytes()).collect());
        Self { coding: number(coding), made, length: body.length(), sums }
    }

    const fn none(coding: Option<Coding>, made: Made) -> Self {
        Self { coding: number(coding), made, length: 0, sums: Cow::Borrowed(&[]) }
    }

    /// Where it is, if it begins at `start`; nothing if it has not a checksum for each block.
    fn place(&self, made: Option<(Option<Coding>, Maker)>, start: u64) -> Option<Place> {
        let (sums, []) = self.sums.as_chunks::<8>() else { return None };
        let is_right = sums.len() as u64 == self.length.div_ceil(BLOCK);
        let sums = sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect();
        is_right.then_some(Place { made, start, length: self.length, sums })
    }
}

impl<'a> Head<'a> {
    fn new(key: &'a Key, stored: &'a Stored, parts: Vec<Part<'a>>) -> Self {
        let head = &*stored.head;
        let part = head.part.and_then(|part| {
            let range = part.range?;
            Some((range.first, range.last, part.complete?))
        });
        let selecting = head.selecting.iter();
        let selecting = selecting.map(|(name, value)| (name.as_str(), value.map(|value| &**value)));
        let standing = stored.body.versions().map(|versions| versions.standing);
        Self {
            key: key.as_bytes(),
            status: head.status.as_u16(),
            fields: head.fields.as_wire(),
            freshness: Times::new(&head.freshness),
            selecting: selecting.collect(),
            part,
            compressible: head.compressible,
            coding: number(head.coding),
            tags: Cow::Owned(head.tags.iter().flat_map(|tag| *tag.as_bytes()).collect()),
            since: head.since,
            // What clients may have is found out anew, for its body is to be kept for them, too.
            unfit: standing == Some(Standing::Unfit),
            parts,
        }
    }

    /// What it says, if that makes sense in a record of `total` bytes whose bodies begin at
    /// `start`.
    fn outline(&self, start: u64, total: u64) -> Option<Outline> {
        let (first, others) = self.parts.split_first()?;
        // Each coding once, and the plain body.
        if first.made != Made::AsStored || others.len() > Coding::ALL.len() + 1 {
            return None;
        }
        let mut bodies = vec![first.place(None, start)?];
        let mut notes = Vec::new();
        let mut end = start.checked_add(first.length)?;
        for part in others {
            let coding = coding(part.coding)?;
            let by = match part.made {
                Made::AsStored => return None,
                Made::Quick => Maker::Quick,
                Made::Best => Maker::Best,
                Made::Origin => Maker::Origin,
                Made::NotSmaller => {
                    notes.push((coding, Coded::NotSmaller));
                    continue;
                }
                Made::Unreadable => {
                    notes.push((coding, Coded::Unreadable));
                    continue;
                }
            };
            bodies.push(part.place(Some((coding, by)), end)?);
            end = end.checked_add(part.length)?;
        }
        let head = self.stored_head(first.length)?;
        (end == total).then_some(Outline { head, notes, unfit: self.unfit, bodies })
    }

    /// The head of a stored response whose body has that length.
    fn stored_head(&self, length: u64) -> Option<StoredHead> {
        let Ok(status) = StatusCode::from_u16(self.status) else { return None };
        let selecting = self.selecting.iter().map(|(name, value)| {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return None };
            Some((name, value.map(Bytes::copy_from_slice)))
        });
        let (tags, []) = self.tags.as_chunks() else { return None };
        let part = match self.part {
            None => None,
            Some((first, last, complete)) => {
                // The body is the range, and lies in the whole.
                let is_right =
                    first <= last && last < complete && last - first == length.checked_sub(1)?;
                let range = Some(ByteRange { first, last });
                Some(is_right.then_some(ContentRange { range, complete: Some(complete) })?)
            }
        };
        Some(StoredHead {
            status,
            fields: Fields::from_wire(Bytes::copy_from_slice(self.fields))?,
            freshness: self.freshness.freshness(),
            selecting: Selecting::from_parts(selecting.collect::<Option<Vec<_>>>()?),
            part,
            compressible: self.compressible,
            coding: coding(self.coding)?,
            tags: tags.iter().map(|tag| TagHash::from_bytes(*tag)).collect(),
            since: self.since,
        })
    }
}

impl Times {
    fn new(freshness: &Freshness) -> Self {
        Self {
            arrived: freshness.arrived.as_millis(),
            initial_age: freshness.initial_age.0,
            lifetime: freshness.lifetime.0,
            always_validate: freshness.always_validate,
            never_stale: freshness.never_stale,
            while_revalidate: freshness.while_revalidate.0,
            if_error: freshness.if_error.map(|time| time.0),
            withdrawn: freshness.withdrawn,
        }
    }

    fn freshness(&self) -> Freshness {
        Freshness {
            arrived: Timestamp::from_millis(self.arrived),
            initial_age: Seconds(self.initial_age),
            lifetime: Seconds(self.lifetime),
            always_validate: self.always_validate,
            never_stale: self.never_stale,
            while_revalidate: Seconds(self.while_revalidate),
            if_error: self.if_error.map(Seconds),
            withdrawn: self.withdrawn,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::key::Target;
    use crate::stored::Difference;
    use crate::stored::testing::stored;

    fn key(path: &str) -> Key {
        Key::of(&Target::parse("http", "a.example", path).unwrap())
    }

    fn encoded(key: &Key, stored: &Stored) -> Bytes {
        let record = Record::new(key, stored).unwrap();
        let bytes = record.pieces().unwrap().concat();
        assert_eq!(bytes.len() as u64, record.length());
        bytes.into()
    }

    fn body(length: usize, salt: u8) -> Body {
        let bytes: Vec<u8> = (0..251).map(|byte: u8| byte ^ salt).cycle().take(length).collect();
        let (one, two) = bytes.split_at(length / 3);
        Body::new(vec![Bytes::copy_from_slice(one), Bytes::copy_from_slice(two)])
    }

    /// Everything that is kept of a stored response, to be compared.
    fn shown(stored: &Stored) -> String {
        let whole = |body: &Body| checksum(&body.as_slice().concat());
        let coded = |coding| match stored.body.coded(coding) {
            Some(Coded::Kept(kept)) => format!("{:?} {}", kept.by, whole(&kept.body)),
            None => "nothing".to_owned(),
            Some(Coded::NotSmaller) => "not smaller".to_owned(),
            Some(Coded::Unreadable) => "unreadable".to_owned(),
        };
        let coded: Vec<_> = Coding::ALL.into_iter().map(Some).chain([None]).map(coded).collect();
        let unfit = stored.body.versions().is_some_and(|known| known.standing == Standing::Unfit);
        format!("{:?} {} {coded:?} {unfit}", stored.head, whole(&stored.body))
    }

    prop_compose! {
        fn freshness()(
            (arrived, initial_age, lifetime) in any::<(i64, u64, u64)>(),
            (always_validate, never_stale, withdrawn) in any::<(bool, bool, bool)>(),
            while_revalidate: u64,
            if_error: Option<u64>,
        ) -> Freshness {
            Times {
                arrived, initial_age, lifetime, always_validate, never_stale, while_revalidate,
                if_error, withdrawn,
            }.freshness()
        }
    }

    fn any_coding() -> impl Strategy<Value = Option<Coding>> {
        (0..4_u8).prop_map(|number| coding(number).unwrap())
    }

    fn any_coded() -> impl Strategy<Value = Coded> {
        let makers = [Maker::Quick, Maker::Best, Maker::Origin];
        prop_oneof![
            Just(Coded::NotSmaller),
            Just(Coded::Unreadable),
            (0..200_000_usize, prop::sample::select(makers.to_vec()))
                .prop_map(|(length, by)| Coded::Kept(Kept::new(body(length, 7), by))),
        ]
    }

    prop_compose! {
        fn any_head()(
            status in 100..1000_u16,
            lines in vec(("[a-z-]{1,5}", "[ -~\u{e9}]{0,9}"), 0..5),
            selecting in vec(("[a-z-]{1,5}", any::<Option<Vec<u8>>>()), 0..4),
            freshness in freshness(),
            (compressible, is_part, since) in any::<(bool, bool, u64)>(),
            coding in any_coding(),
            tags in vec(any::<[u8; 16]>(), 0..4),
        ) -> (StoredHead, bool) {
            let mut map = HeaderMap::new();
            for (name, value) in &lines {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let selecting = selecting.into_iter().map(|(name, value)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.map(Bytes::from))
            });
            let head = StoredHead {
                status: StatusCode::from_u16(status).unwrap(),
                fields: Fields::new(&map),
                freshness,
                selecting: Selecting::from_parts(selecting),
                part: None,
                compressible,
                coding,
                tags: tags.into_iter().map(TagHash::from_bytes).collect(),
                since,
            };
            (head, is_part)
        }
    }

    prop_compose! {
        fn any_stored()(
            (mut head, is_part) in any_head(),
            length in prop_oneof![0..300_usize, 60_000..200_000_usize],
            coded in vec((any_coding(), any_coded()), 0..5),
            unfit: bool,
        ) -> Stored {
            if is_part && length > 0 {
                let range = Some(ByteRange { first: 5, last: length as u64 + 4 });
                head.part = Some(ContentRange { range, complete: Some(length as u64 + 5) });
            }
            let mut body = body(length, 0);
            for (coding, coded) in &coded {
                body = body.with_coded(*coding, coded);
            }
            if unfit {
                body = body.with_versions(|versions| versions.standing = Standing::Unfit);
            }
            Stored { head: Arc::new(head), body }
        }
    }

    /// A record that has one of everything.
    fn full() -> (Key, Stored) {
        let mut fields = HeaderMap::new();
        fields.append("content-type", HeaderValue::from_static("text/plain"));
        let mut response = stored("the body", &["x-a", "x-b"], &fields);
        let head = Arc::make_mut(&mut response.head);
        head.fields = Fields::new(&fields);
        head.tags = [TagHash::of("one"), TagHash::of("two")].into();
        head.since = 1 << 60;
        let kept = Coded::Kept(Kept::new(body(40, 1), Maker::Best));
        response.body = response.body.with_coded(Some(Coding::Br), &kept);
        response.body = response.body.with_coded(Some(Coding::Zstd), &Coded::NotSmaller);
        (key("/a?b"), response)
    }

    #[test]
    fn tells_every_byte_that_is_another() {
        let (key, response) = full();
        let record = encoded(&key, &response);
        for at in 0..record.len() {
            for flip in [1, 0x80, 0xff] {
                let mut other = record.to_vec();
                other[at] ^= flip;
                let fault = decode(&key, &other.into()).expect_err("it is another");
                let expected = match at {
                    0..7 => Fault::Foreign,
                    7 => Fault::Version,
                    _ => Fault::Torn,
                };
                assert_eq!(fault, expected, "{at} {flip}");
            }
        }
    }

    #[test]
    fn tells_a_record_that_is_shorter_or_longer() {
        let (key, response) = full();
        let record = encoded(&key, &response);
        for length in 0..record.len() {
            assert_eq!(decode(&key, &record.slice(..length)).unwrap_err(), Fault::Torn, "{length}");
        }
        let longer = [&*record, b"x"].concat();
        assert_eq!(decode(&key, &longer.into()).unwrap_err(), Fault::Torn);
    }

    #[test]
    fn is_for_its_own_key() {
        let (key, response) = full();
        let record = encoded(&key, &response);
        assert_eq!(decode(&self::key("/a?c"), &record).unwrap_err(), Fault::Foreign);
    }

    #[test]
    fn keeps_its_format_for_ever() {
        // Another sum means another format: then `VERSION` has to be another too.
        let (key, response) = full();
        assert_eq!((VERSION, checksum(&encoded(&key, &response))), (1, 5_822_901_214_563_644_143));
    }

    #[test]
    fn believes_no_head_that_makes_no_sense() {
        let (key, response) = full();
        let check = |change: &dyn Fn(&mut Head<'_>)| {
            let record = Record::new(&key, &response).unwrap();
            let (_, head) = record.head.split_at(PROLOGUE);
            let mut head = postcard::from_bytes::<Head<'_>>(head).unwrap();
            change(&mut head);
            let head = postcard::to_stdvec(&head).unwrap();
            let mut bytes = record.head[..8].to_vec();
            bytes.extend_from_slice(&u32::try_from(head.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(&checksum(&head).to_le_bytes());
            bytes.extend_from_slice(&head);
            for body in &record.bodies {
                bytes.extend_from_slice(&body.as_slice().concat());
            }
            decode(&key, &bytes.into()).err()
        };
        assert_eq!(check(&|_| {}), None);
        let changes: [&dyn Fn(&mut Head<'_>); 14] = [
            &|head| head.key = b"",
            &|head| head.status = 99,
            &|head| head.fields = b"a:b\r\n",
            &|head| head.selecting[0].0 = "a b",
            &|head| head.part = Some((9, 1, 20)),
            &|head| head.part = Some((0, 7, 7)),
            &|head| head.part = Some((0, u64::MAX, u64::MAX)),
            &|head| head.coding = 4,
            &|head| head.tags = Cow::Borrowed(b"short"),
            &|head| head.parts.clear(),
            &|head| head.parts[0].made = Made::Best,
            &|head| head.parts[1].made = Made::AsStored,
            &|head| head.parts[1].length = u64::MAX,
            &|head| head.parts[0].sums = Cow::Borrowed(b"1234567"),
        ];
        for (number, change) in changes.iter().enumerate() {
            assert!(check(change).is_some(), "{number}");
        }
    }

    #[test]
    fn keeps_no_version_that_clients_may_have() {
        let (key, mut response) = full();
        let hash = crate::field::dictionary::Hash::of(b"the body");
        let coding = crate::field::dictionary::DictionaryCoding::Dcb;
        response.body = response.body.with_versions(|versions| {
            versions.standing = Standing::Known(hash);
            versions.add(Difference { coding, from: hash, made: None });
        });
        let read = decode(&key, &encoded(&key, &response)).unwrap();
        let versions = read.body.versions().unwrap();
        assert_eq!((versions.hash(), versions.difference(coding, hash)), (None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn reads_what_was_written(response in any_stored(), path in "/[a-z]{0,9}") {
            let key = key(&path);
            let read = decode(&key, &encoded(&key, &response)).unwrap();
            prop_assert_eq!(shown(&read), shown(&response));
        }

        #[test]
        fn tells_any_byte_of_any_record_that_is_another(
            response in any_stored(), at: prop::sample::Index, flip in 1..=u8::MAX,
        ) {
            let key = key("/");
            let mut record = encoded(&key, &response).to_vec();
            let at = at.index(record.len());
            record[at] ^= flip;
            prop_assert!(decode(&key, &record.clone().into()).is_err());
            record[at] ^= flip;
            record.truncate(at);
            prop_assert!(decode(&key, &record.into()).is_err());
        }
    }

    proptest! {
        #[test]
        fn reads_any_bytes_without_harm(bytes: Vec<u8>, head: Vec<u8>) {
            let key = key("/");
            prop_assert!(decode(&key, &bytes.clone().into()).is_err());
            // A head of any bytes, with the right sum before it.
            let mut record = MAGIC.to_vec();
            record.push(VERSION);
            record.extend_from_slice(&u32::try_from(head.len()).unwrap().to_le_bytes());
            record.extend_from_slice(&checksum(&head).to_le_bytes());
            record.extend_from_slice(&head);
            record.extend_from_slice(&bytes);
            prop_assert!(decode(&key, &record.into()).is_err());
        }
    }
}
