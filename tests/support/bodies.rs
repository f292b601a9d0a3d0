//! Bodies, the answers that bring them, and requests for them in some coding, drawn at random.

use bytes::Bytes;
use forebay::field::coding::Coding;
use forebay::transform::encode::{Effort, encode_whole};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Answer, Framing, Received};

/// A body by how it is made.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) stuff: Stuff,
    pub(crate) length: usize,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stuff {
    Words,
    Noise,
    Zeros,
    /// By turns words and noise.
    Both,
}

impl Body {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        const WORDS: [&str; 8] =
            ["the ", "edge ", "keeps ", "what ", "an origin ", "sent, ", "größer ", "once.\n"];
        let mut numbers = numbers(self.seed);
        let mut bytes = Vec::with_capacity(self.length + 16);
        while bytes.len() < self.length {
            let [first, ..] = numbers();
            let has_words = match self.stuff {
                Stuff::Words => true,
                Stuff::Both => (bytes.len() / 512).is_multiple_of(2),
                Stuff::Noise | Stuff::Zeros => false,
            };
            if has_words {
                bytes.extend(WORDS[usize::from(first) % WORDS.len()].bytes());
            } else if self.stuff == Stuff::Zeros {
                bytes.extend([0; 8]);
            } else {
                bytes.extend(numbers());
            }
        }
        bytes.truncate(self.length);
        bytes
    }

    /// It in at most so many pieces of any lengths.
    fn pieces(&self, bytes: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut numbers = numbers(self.seed ^ 1);
        let mut rest = bytes;
        let mut pieces = Vec::new();
        for _ in 1..most {
            let [high, low, ..] = numbers();
            let at = usize::from(u16::from_be_bytes([high, low])) % (rest.len() + 1);
            let (piece, after) = rest.split_at(at);
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces.push(rest.to_vec());
        pieces
    }
}

/// Eight bytes after eight, as a seed has it (xorshift).
fn numbers(seed: u64) -> impl FnMut() -> [u8; 8] {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes()
    }
}

fn bodies() -> impl Strategy<Value = Body> {
    let stuff = select(&[Stuff::Words, Stuff::Words, Stuff::Noise, Stuff::Zeros, Stuff::Both][..]);
    let length = prop_oneof![3 => 0..3000_usize, 3 => 0..30_000_usize, 1 => 0..204_800_usize];
    (stuff, length, any::<u64>()).prop_map(|(stuff, length, seed)| Body { stuff, length, seed })
}

/// What the cache does with an answer, as far as its `Cache-Control` says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kept {
    Yes,
    /// As something else has it: a tag, what came before.
    Maybe,
    /// Not, and yet it may be coded on its way.
    No,
    /// It is left as it is.
    AsIs,
}

/// The origin's own part in codings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum OfOrigin {
    /// It makes none.
    Plain,
    /// It makes the last of these that is asked for, and says that it depends on that.
    AsAsked,
    /// It always makes this one, and says nothing of that.
    Always(Coding),
}

/// What a path is answered with: its first body, and its second one from some point on.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) bodies: [Body; 2],
    pub(crate) media_type: &'static str,
    pub(crate) cache_control: &'static str,
    pub(crate) kept: Kept,
    pub(crate) of_origin: OfOrigin,
    pub(crate) vary: Option<&'static str>,
    /// What stands before the tag; nothing where there is no tag.
    pub(crate) tag: Option<&'static str>,
    last_modified: bool,
    pub(crate) framing: Framing,
    most_pieces: usize,
}

const MEDIA_TYPES: [(&str, bool); 11] = [
    ("text/html; charset=utf-8", true),
    ("TEXT/CSS", true),
    ("application/json", true),
    ("text/javascript", true),
    ("image/svg+xml", true),
    ("application/wasm", true),
    ("application/ld+json; a=b", true),
    ("image/png", false),
    ("application/octet-stream", false),
    ("video/mp4", false),
    ("nothing of the kind", false),
];

const CACHE_CONTROL: [(&str, Kept); 9] = [
    ("max-age=600", Kept::Yes),
    ("public, max-age=600", Kept::Yes),
    ("s-maxage=600, max-age=0", Kept::Yes),
    ("max-age=0", Kept::Maybe),
    ("no-cache", Kept::Maybe),
    ("max-age=0, stale-while-revalidate=60", Kept::Maybe),
    ("max-age=600, no-transform", Kept::AsIs),
    ("private, max-age=600", Kept::AsIs),
    ("no-store", Kept::No),
];

impl Resource {
    /// Whether the edge brings each of its bodies into the coding that is liked best, if it is not
    /// too small.
    pub(crate) fn is_compressible(&self) -> bool {
        let (_, is_of_type) =
            MEDIA_TYPES.iter().find(|(name, _)| *name == self.media_type).expect("one of them");
        *is_of_type && self.kept != Kept::AsIs && self.vary != Some("Cookie")
    }

    /// What the origin answers when it has the body with that number.
    pub(crate) fn answer(&self, number: usize, request: &Received) -> Answer {
        if request.method == "POST" {
            return Answer::status(204);
        }
        let body = &self.bodies[number];
        let coding = self.coding(request);
        let name = coding.map_or("plain", Coding::token);
        let tag = self.tag.map(|before| format!("{before}\"{number}.{name}\""));
        let asked = request.field("if-none-match").unwrap_or_default();
        let is_known = tag.as_ref().is_some_and(|tag| asked.split(", ").any(|one| one == tag));
        let plain = Bytes::from(body.bytes());
        let bytes = match coding {
            None => plain,
            Some(coding) => encode_whole(coding, Effort::Quick, &[plain]).expect("it can be coded"),
        };
        let pieces = body.pieces(&bytes, self.most_pieces);
        let mut answer = Answer::pieces(pieces, self.framing);
        if is_known {
            answer = Answer::status(304);
        }
        answer = answer.field("Cache-Control", self.cache_control);
        answer = answer.field("Content-Type", self.media_type);
        let by_coding = (self.of_origin == OfOrigin::AsAsked).then_some("Accept-Encoding");
        let last_modified = self.last_modified.then_some("Sun, 01 Nov 2020 00:00:00 GMT");
        for (field, value) in [
            ("Content-Encoding", coding.map(Coding::token)),
            ("ETag", tag.as_deref()),
            ("Last-Modified", last_modified),
            ("Vary", self.vary),
            ("Vary", by_coding),
        ] {
            answer = value.into_iter().fold(answer, |answer, value| answer.field(field, value));
        }
        answer
    }

    /// The coding that the origin makes for `request`.
    fn coding(&self, request: &Received) -> Option<Coding> {
        match self.of_origin {
            OfOrigin::Plain => None,
            OfOrigin::Always(coding) => Some(coding),
            OfOrigin::AsAsked => {
                let asked = request.field("accept-encoding")?;
                Coding::ALL.into_iter().rev().find(|coding| takes(&asked, coding.token()))
            }
        }
    }
}

pub(crate) fn resources() -> impl Strategy<Value = Resource> {
    let said = (
        select(&MEDIA_TYPES[..]),
        select(&CACHE_CONTROL[..]),
        weighted(0.2, select(&["Accept-Language", "Accept-Encoding", "Cookie"][..])),
        prop_oneof![3 => Just(Some("")), 1 => Just(Some("W/")), 1 => Just(None)],
        any::<bool>(),
    );
    let of_origin = prop_oneof![
        3 => Just(OfOrigin::Plain),
        1 => Just(OfOrigin::AsAsked),
        1 => select(&Coding::ALL[..]).prop_map(OfOrigin::Always),
    ];
    let framing = select(&[Framing::Sized, Framing::Chunked, Framing::UntilClose][..]);
    ([bodies(), bodies()], said, of_origin, framing, 1..8_usize).prop_map(
        |(bodies, (media, cache, vary, tag, last_modified), of_origin, framing, most_pieces)| {
            let ((media_type, _), (cache_control, kept)) = (media, cache);
            Resource {
                bodies,
                media_type,
                cache_control,
                kept,
                of_origin,
                vary,
                tag,
                last_modified,
                framing,
                most_pieces,
            }
        },
    )
}

/// A tag that a client names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// One of those that were seen before.
    Seen(usize),
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition {
    NoneMatch(Named),
    AnyMatch,
    ModifiedSince,
}

/// What a client says beside the path.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) method: &'static str,
    pub(crate) codings: Option<String>,
    pub(crate) condition: Option<Condition>,
    pub(crate) range: Option<(String, Option<Named>)>,
}

pub(crate) fn wanted() -> impl Strategy<Value = Wanted> {
    let method = prop_oneof![9 => Just("GET"), 1 => Just("HEAD")];
    let condition = prop_oneof![
        4 => named().prop_map(Condition::NoneMatch),
        1 => Just(Condition::AnyMatch),
        1 => Just(Condition::ModifiedSince),
    ];
    let range = (ranges(), weighted(0.3, named()));
    (method, weighted(0.9, accepted()), weighted(0.3, condition), weighted(0.3, range)).prop_map(
        |(method, codings, condition, range)| Wanted { method, codings, condition, range },
    )
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![4 => (0..50_usize).prop_map(Named::Seen), 1 => Just(Named::Unknown)]
}

fn ranges() -> impl Strategy<Value = String> {
    let bound = || prop_oneof![2 => 0..200_u32, 2 => 0..3000_u32, 1 => 0..210_000_u32];
    let one = prop_oneof![
        3 => (bound(), bound()).prop_map(|(one, other)| {
            format!("{}-{}", one.min(other), one.max(other))
        }),
        1 => bound().prop_map(|first| format!("{first}-")),
        1 => bound().prop_map(|length| format!("-{length}")),
    ];
    let some = prop_oneof![3 => vec(one.clone(), 1), 1 => vec(one, 2..4)];
    some.prop_map(|ranges| format!("bytes={}", ranges.join(", ")))
}

/// A value of `Accept-Encoding`, with sense or without.
fn accepted() -> impl Strategy<Value = String> {
    const USUAL: [&str; 6] = [
        "gzip, deflate, br, zstd",
        "gzip, deflate, br",
        "gzip",
        "identity",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        "gzip, identity;q=0",
    ];
    const NAMES: [&str; 14] = [
        "br", "gzip", "zstd", "identity", "*", "br", "gzip", "zstd", "deflate", "x-gzip", "BR",
        "dcb", "???", "",
    ];
    const WEIGHTS: [&str; 9] =
        ["", ";q=0", ";q=0.5", ";q=1", ";q=0.001", " ; Q=0.7", ";q=abc", ";q=1.5", ";level=3"];
    let member = (select(&NAMES[..]), of(select(&WEIGHTS[..])))
        .prop_map(|(name, weight)| format!("{name}{}", weight.unwrap_or_default()));
    prop_oneof![
        select(&USUAL[..]).prop_map(str::to_owned),
        vec(member, 0..6).prop_map(|members| members.join(", ")),
    ]
}

/// Whether a client that says `accepted` takes `coding`. Where it says two things of it, or nothing
/// that can be read, both are right.
pub(crate) fn takes(accepted: &str, coding: &str) -> bool {
    let members: Vec<_> = accepted
        .split(',')
        .map(|member| {
            let mut pieces = member.split(';').map(|piece| piece.trim().to_ascii_lowercase());
            let name = pieces.next().expect("a split has a first part");
            (name.strip_prefix("x-").unwrap_or(&name).to_owned(), !pieces.any(|it| it == "q=0"))
        })
        .collect();
    let of = |name: &str| -> Vec<bool> {
        members.iter().filter(|member| member.0 == name).map(|member| member.1).collect()
    };
    let named = of(coding);
    let decisive = if named.is_empty() { of("*") } else { named };
    decisive.contains(&true)
}
