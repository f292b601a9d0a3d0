//! Whatever is asked for in whatever coding, what arrives is what the origin sent: drawn at random.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use forebay::field::coding::Coding;
use forebay::transform::decode::Decoder;
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::support::bodies::{
    Condition, Kept, Named, OfOrigin, Resource, Stuff, Wanted, resources, takes, wanted,
};
use crate::support::{Drawer, Edge, Framing, Origin, Reply, Request, look_again, number, soon};

/// The smallest body that is compressed.
const MIN_SIZE: usize = 1024;
/// How often a resource is asked for, twice at once each time.
const STEPS: usize = 8;

/// A complete body as it was sent under a strong tag.
struct Whole {
    bytes: Vec<u8>,
    seen_at: String,
}

/// A part of what has a strong tag.
struct Part {
    tag: String,
    first: usize,
    bytes: Vec<u8>,
    complete: usize,
    seen_at: String,
}

/// How often something was seen, so that it is known to be seen at all.
#[derive(Default, Debug)]
struct Counts {
    coded: BTreeMap<String, usize>,
    parts_of_coded: usize,
    several_parts: usize,
    not_modified: usize,
    not_satisfiable: usize,
}

/// One resource and all that was seen of it.
struct Case {
    name: String,
    path: String,
    resource: Resource,
    /// What the policy has the edge make.
    codings: Vec<&'static str>,
    /// The body that the origin has now.
    bytes: Vec<u8>,
    number: usize,
    wholes: BTreeMap<String, Whole>,
    /// For each tag, strong or weak, the number of the body that it is about.
    tags: BTreeMap<String, usize>,
    parts: Vec<Part>,
}

/// An exchange, to be told where something is wrong with it.
struct Exchange<'a> {
    case: &'a Case,
    sent: String,
    reply: &'a Reply,
}

impl fmt::Display for Exchange<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { name, resource, codings, number, .. } = self.case;
        let Self { sent, reply, .. } = self;
        write!(out, "{name}, body {number}, codings {codings:?}:\n{resource:#?}\n{sent}{reply}")
    }
}

fn is_strong(tag: &str) -> bool {
    !tag.starts_with("W/")
}

/// Whether two tags are the same but for how strong they are.
fn weakly_match(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

impl Case {
    fn request(&self, wanted: &Wanted) -> Request {
        let tag = |named: Named| match named {
            Named::Seen(at) if !self.tags.is_empty() => {
                self.tags.keys().nth(at % self.tags.len()).expect("it has so many").clone()
            }
            Named::Seen(_) | Named::Unknown => "\"unknown\"".to_owned(),
        };
        let mut request = Request::new(wanted.method, &self.path);
        if let Some(codings) = &wanted.codings {
            request = request.field("Accept-Encoding", codings);
        }
        request = match wanted.condition {
            None => request,
            Some(Condition::NoneMatch(named)) => request.field("If-None-Match", &tag(named)),
            Some(Condition::AnyMatch) => request.field("If-None-Match", "*"),
            Some(Condition::ModifiedSince) => {
                request.field("If-Modified-Since", "Tue, 01 Dec 2020 00:00:00 GMT")
            }
        };
        if let Some((range, if_range)) = &wanted.range {
            request = request.field("Range", range);
            if let Some(named) = if_range {
                request = request.field("If-Range", &tag(*named));
            }
        }
        request
    }

    /// Whether the edge brings it into what each client likes best.
    fn is_for_coding(&self) -> bool {
        self.resource.is_compressible() && !self.codings.is_empty()
    }

    /// Whether its length, if that is known, says that it is not worth it.
    fn is_small(&self) -> bool {
        self.resource.of_origin == OfOrigin::Plain && self.bytes.len() < MIN_SIZE
    }

    /// Whether each answer has to say that it depends on `Accept-Encoding`.
    fn has_to_vary(&self) -> bool {
        match self.resource.of_origin {
            OfOrigin::AsAsked => true,
            OfOrigin::Plain | OfOrigin::Always(_) => {
                self.is_for_coding() && self.resource.kept != Kept::Maybe && !self.is_small()
            }
        }
    }

    /// Whether nobody may be sent a coding.
    fn stays_plain(&self) -> bool {
        let is_left = matches!(self.resource.framing, Framing::Sized) && self.is_small();
        self.resource.of_origin == OfOrigin::Plain && (is_left || !self.is_for_coding())
    }

    /// Whether everybody gets it in the one coding that it comes in.
    fn stays_coded(&self) -> bool {
        matches!(self.resource.of_origin, OfOrigin::Always(_)) && !self.is_for_coding()
    }

    /// Whether the edge is sure to have each coding of it, soon.
    fn gets_coded(&self) -> bool {
        self.has_to_vary()
            && self.is_for_coding()
            && self.resource.kept == Kept::Yes
            && self.resource.of_origin == OfOrigin::Plain
            && self.resource.bodies[self.number].stuff == Stuff::Words
    }

    /// A coding that the edge makes, or all where it makes none.
    fn liked(&self) -> &'static str {
        self.codings.last().copied().unwrap_or("gzip, br, zstd")
    }

    /// Holds `reply` to `wanted` against all that is known.
    fn check(&mut self, wanted: &Wanted, request: &Request, reply: &Reply, counts: &mut Counts) {
        let sent = String::from_utf8_lossy(&request.http1()).into_owned();
        let exchange = Exchange { case: self, sent, reply };
        assert!(reply.whole, "it was cut off: {exchange}");
        let coding = self.check_fields(wanted, &exchange);
        let told = exchange.to_string();
        let tag = reply.field("etag");
        if let Some(tag) = tag.clone().filter(|_| reply.code != 416) {
            let known = *self.tags.entry(tag).or_insert(self.number);
            assert_eq!(known, self.number, "its tag is that of another body: {told}");
        }
        let strong = tag.as_deref().filter(|tag| is_strong(tag));
        match reply.code {
            200 if wanted.method == "HEAD" => self.check_length(strong, reply, &told),
            200 => {
                self.check_whole(strong, coding, reply, told);
                *counts.coded.entry(coding.map_or("plain", Coding::token).into()).or_default() += 1;
            }
            206 => {
                check_if_range(request, strong, &told);
                counts.parts_of_coded += usize::from(coding.is_some());
                counts.several_parts += self.check_parts(strong, coding, reply, &told);
            }
            304 => {
                check_not_modified(wanted, request, reply, &told);
                counts.not_modified += 1;
            }
            416 => {
                assert!(wanted.range.is_some(), "nobody asked for a part: {told}");
                counts.not_satisfiable += 1;
            }
            _ => panic!("nobody asked for that: {told}"),
        }
    }

    /// Whether the fields are right; gives the coding that they name.
    fn check_fields(&self, wanted: &Wanted, exchange: &Exchange<'_>) -> Option<Coding> {
        let reply = exchange.reply;
        let named = reply.field("content-encoding");
        if let Some(named) = &named {
            assert!(!self.stays_plain(), "it is not to be coded: {exchange}");
            let is_taken = wanted.codings.as_ref().is_some_and(|codings| takes(codings, named));
            let is_fine = is_taken || self.stays_coded();
            assert!(is_fine, "the client does not take it: {exchange}");
        }
        if self.has_to_vary() && matches!(reply.code, 200 | 206 | 304) {
            let vary = reply.field("vary").unwrap_or_default().to_ascii_lowercase();
            let is_told = vary.split(", ").any(|name| name == "accept-encoding");
            assert!(is_told, "it does not say that it varies: {exchange}");
        }
        let is_named = |coding: &Coding| named.as_deref() == Some(coding.token());
        let coding = Coding::ALL.into_iter().find(is_named);
        assert_eq!(coding.is_some(), named.is_some(), "an unknown coding: {exchange}");
        coding
    }

    fn check_length(&mut self, strong: Option<&str>, reply: &Reply, told: &str) {
        let whole = strong.and_then(|tag| self.wholes.get(tag));
        if let (Some(whole), Some(length)) = (whole, reply.field("content-length")) {
            assert_eq!(length, whole.bytes.len().to_string(), "it has another length: {told}");
        }
    }

    fn check_whole(
        &mut self,
        strong: Option<&str>,
        coding: Option<Coding>,
        reply: &Reply,
        told: String,
    ) {
        let plain = coding.map_or_else(|| reply.bytes.clone(), |it| decoded(it, reply, &told));
        assert!(plain == self.bytes, "it is not what the origin sent: {told}");
        let Some(tag) = strong else { return };
        let whole = Whole { bytes: reply.bytes.clone(), seen_at: told };
        let known = self.wholes.entry(tag.to_owned()).or_insert_with(|| Whole {
            bytes: whole.bytes.clone(),
            seen_at: whole.seen_at.clone(),
        });
        let is_same = known.bytes == whole.bytes;
        assert!(is_same, "one tag for two: {}\nand before: {}", whole.seen_at, known.seen_at);
    }

    /// Looks at each part, and keeps those that have a strong tag until the whole is known; gives
    /// how many parts there are beyond the first.
    fn check_parts(
        &mut self,
        strong: Option<&str>,
        coding: Option<Coding>,
        reply: &Reply,
        told: &str,
    ) -> usize {
        let kind = reply.field("content-type").unwrap_or_default();
        let parts = match kind.split_once("multipart/byteranges; boundary=") {
            None => {
                let range = reply.field("content-range");
                vec![(range.unwrap_or_default(), reply.bytes.clone())]
            }
            Some((_, boundary)) => parts_of(&reply.bytes, boundary.trim_matches('"'), told),
        };
        let beyond_the_first = parts.len() - 1;
        for (range, bytes) in parts {
            let (first, complete) = placed(&range, bytes.len(), told);
            if coding.is_none() {
                let slice = self.bytes.get(first..first + bytes.len());
                assert_eq!(complete, self.bytes.len(), "of another length: {told}");
                assert!(slice == Some(&bytes[..]), "not a part of what the origin sent: {told}");
            }
            let seen_at = told.to_owned();
            let part = |tag: &str| Part { tag: tag.to_owned(), first, bytes, complete, seen_at };
            self.parts.extend(strong.map(part));
        }
        beyond_the_first
    }

    /// Holds every part against the whole with the same tag.
    fn check_slices(&self) {
        for Part { tag, first, bytes, complete, seen_at } in &self.parts {
            let Some(whole) = self.wholes.get(tag) else { continue };
            let slice = whole.bytes.get(*first..first + bytes.len());
            let is_slice = slice == Some(&bytes[..]) && *complete == whole.bytes.len();
            assert!(is_slice, "not a part of the whole: {seen_at}\nwhich is {}", whole.seen_at);
        }
    }
}

/// The value of a field that is sent once at most.
fn sent(request: &Request, name: &str) -> Option<String> {
    let head = String::from_utf8(request.http1()).expect("it was drawn as text");
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
}

fn check_if_range(request: &Request, strong: Option<&str>, told: &str) {
    let Some(named) = sent(request, "If-Range") else { return };
    assert_eq!(Some(named.as_str()), strong, "the client has parts of something else: {told}");
}

fn check_not_modified(wanted: &Wanted, request: &Request, reply: &Reply, told: &str) {
    assert!(wanted.condition.is_some(), "it has no condition: {told}");
    let named = sent(request, "If-None-Match");
    let Some(named) = named.filter(|named| named != "*") else { return };
    let tag = reply.field("etag").unwrap_or_else(|| panic!("a 304 without its tag: {told}"));
    assert!(weakly_match(&named, &tag), "the client has another one: {told}");
}

/// The body of `reply` without its coding.
fn decoded(coding: Coding, reply: &Reply, told: &str) -> Vec<u8> {
    let mut decoder = Decoder::new(coding, 1 << 20);
    let body = decoder.write(&reply.bytes).unwrap_or_else(|error| panic!("{error}: {told}"));
    decoder.finish().unwrap_or_else(|error| panic!("{error}: {told}"));
    body.to_vec()
}

/// Where a part of so many bytes begins, and how long the whole is, as `Content-Range` has it.
fn placed(range: &str, length: usize, told: &str) -> (usize, usize) {
    let numbers = range.strip_prefix("bytes ").unwrap_or_default().split(['-', '/']);
    let numbers = numbers.map(|text| text.parse::<usize>());
    let Ok(&[first, last, complete]) = numbers.collect::<Result<Vec<_>, _>>().as_deref() else {
        panic!("no Content-Range in {range:?}: {told}")
    };
    assert_eq!(last + 1 - first, length, "not as long as {range}: {told}");
    (first, complete)
}

/// The parts between the boundaries, each with its `Content-Range`.
fn parts_of(bytes: &[u8], boundary: &str, told: &str) -> Vec<(String, Vec<u8>)> {
    let find = |bytes: &[u8], what: &str| {
        bytes.windows(what.len()).position(|window| window == what.as_bytes())
    };
    let (next, mut rest) = (format!("--{boundary}"), bytes);
    let mut parts = Vec::new();
    loop {
        let at = find(rest, &next).unwrap_or_else(|| panic!("no boundary: {told}"));
        rest = &rest[at + next.len()..];
        if rest.starts_with(b"--") {
            return parts;
        }
        let end = find(rest, "\r\n\r\n").unwrap_or_else(|| panic!("a part without head: {told}"));
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let range = head.lines().find_map(|line| line.strip_prefix("content-range: "));
        let range = range.unwrap_or_default().to_owned();
        rest = &rest[end + 4..];
        let end = find(rest, &format!("\r\n{next}"));
        let end = end.unwrap_or_else(|| panic!("a part without end: {told}"));
        parts.push((range, rest[..end].to_vec()));
    }
}

/// What an edge is told to make.
fn some_codings() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => Just(vec!["br", "zstd", "gzip"]).prop_shuffle(),
        1 => subsequence(vec!["br", "zstd", "gzip"], 0..3),
    ]
}

/// How often what was made in haste is asked for, in which time it is made as well as can be; that
/// takes its place only if it is no larger.
const UNTIL_BEST: usize = 100;
/// How often what is not sure to change is asked for, in which time it might.
const A_FEW: usize = 20;

/// Asks for `case` until the edge has made a coding, and made it well.
async fn settle(edge: &Edge, case: &mut Case, counts: &mut Counts) {
    let coding = case.liked();
    let codings = Some(coding.to_owned());
    let wanted = Wanted { method: "GET", codings, condition: None, range: None };
    let name = case.name.clone();
    let asked = async {
        let (mut coded, mut plain) = (0, 0);
        let gets_strong = case.gets_coded() && case.resource.tag == Some("");
        let enough = if gets_strong { UNTIL_BEST } else { A_FEW };
        while coded < enough && (case.gets_coded() || plain < A_FEW) {
            let request = case.request(&wanted);
            let reply = edge.send(&request).await;
            // As in `try_one`.
            if case.number == 0 || reply.cache_status_value("collapsed").is_none() {
                case.check(&wanted, &request, &reply, counts);
            }
            if reply.field("content-encoding").is_none() {
                plain += 1;
            } else if reply.field("etag").is_some_and(|tag| is_strong(&tag)) {
                return;
            } else {
                coded += 1;
            }
            look_again().await;
        }
    };
    soon(&format!("{name} in {coding}"), asked).await;
}

/// Asks for a resource again and again, and lets it change at some point.
async fn try_one(origin: &Origin, edge: &Edge, drawer: &mut Drawer, mut case: Case) -> Counts {
    let mut counts = Counts::default();
    let number = Arc::new(AtomicUsize::new(0));
    let (script, now) = (case.resource.clone(), Arc::clone(&number));
    origin
        .answers_by(&case.path, move |request| script.answer(now.load(Ordering::SeqCst), request));
    let changes_at = drawer.draw(&(1..STEPS * 2));
    for step in 0..STEPS {
        if step == changes_at {
            number.store(1, Ordering::SeqCst);
            edge.send(&Request::new("POST", &case.path).body("")).await.status(204);
            (case.number, case.bytes) = (1, case.resource.bodies[1].bytes());
        }
        let (one, mut other) = drawer.draw(&(wanted(), wanted()));
        if drawer.draw(&any::<bool>()) {
            other.codings = Some(case.liked().to_owned());
        }
        let requests = (case.request(&one), case.request(&other));
        let replies = tokio::join!(edge.send(&requests.0), edge.send(&requests.1));
        for (wanted, request, reply) in
            [(&one, &requests.0, &replies.0), (&other, &requests.1, &replies.1)]
        {
            case.check(wanted, request, reply, &mut counts);
        }
        let is_new = step == 0 || step == changes_at;
        if is_new && drawer.draw(&prop::bool::weighted(0.7)) {
            settle(edge, &mut case, &mut counts).await;
        }
    }
    case.check_slices();
    counts
}

impl Counts {
    fn add(&mut self, other: Self) {
        for (coding, count) in other.coded {
            *self.coded.entry(coding).or_default() += count;
        }
        self.parts_of_coded += other.parts_of_coded;
        self.several_parts += other.several_parts;
        self.not_modified += other.not_modified;
        self.not_satisfiable += other.not_satisfiable;
    }

    /// Whether all of it was seen.
    fn is_complete(&self) -> bool {
        let rest =
            [self.parts_of_coded, self.several_parts, self.not_modified, self.not_satisfiable];
        self.coded.len() == 4 && rest.iter().all(|count| *count > 0)
    }
}

#[tokio::test]
async fn what_arrives_is_what_the_origin_sent() {
    let seed = number("CODINGS_SEED", 1);
    let (edges, cases) = (number("CODINGS_EDGES", 12), number("CODINGS_CASES", 8));
    let mut counts = Counts::default();
    for edge_number in 0..edges {
        let mut drawer = Drawer::new(seed * 1000 + edge_number);
        let codings = drawer.draw(&some_codings());
        let origin = Origin::start().await;
        let edge = Edge::with_policy(&origin, &format!("compress.codings = {codings:?}")).await;
        for case in 0..cases {
            let resource = drawer.draw(&resources());
            let case = Case {
                name: format!("seed {seed}, edge {edge_number}, case {case}"),
                path: format!("/c{case}"),
                bytes: resource.bodies[0].bytes(),
                resource,
                codings: codings.clone(),
                number: 0,
                wholes: BTreeMap::new(),
                tags: BTreeMap::new(),
                parts: Vec::new(),
            };
            counts.add(try_one(&origin, &edge, &mut drawer, case).await);
        }
    }
    assert!(edges < 12 || counts.is_complete(), "something is never seen: {counts:?}");
}
