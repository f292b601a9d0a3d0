//! Decides which stored responses are dictionaries for which others (RFC 9842).
//!
//! A bundler writes a hash of what a file says into its name, so each deploy brings a file of another
//! name that says almost the same. Files on one route, of one host, whose names differ in the hash
//! alone are versions of one [`Bundle`]: a client that has kept one of them gets the next one as a
//! difference from that.
//!
//! Which dictionary a client has it proves with the SHA-256 of it. It gets nothing that it could not
//! have asked for without: a difference holds what the whole body does.

use std::ops::RangeInclusive;

use forebay_config::{Compress, Route};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::identity::Edit;
use crate::field::dictionary::{AVAILABLE, DictionaryCoding, Hash, ID, Pattern, USE_AS, Weights};
use crate::field::etag::EntityTag;
use crate::field::vary::Vary;
use crate::key::{Key, Scope, Target};
use crate::stored::StoredHead;

/// The least and the most bytes of a dictionary, and of what is coded with one: a small one saves
/// little, and for a large one an encoder takes hundreds of megabytes.
pub const SIZES: RangeInclusive<u64> = 1024..=8 * 1024 * 1024;
/// A hash in a name has so many characters.
const HASH_LENGTHS: RangeInclusive<usize> = 6..=64;
/// One that is not hexadecimal has so many at least.
const LEAST_NOT_HEX: usize = 8;

/// What a request says of dictionaries that concerns the bundle that it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The paths of its versions.
    pub pattern: Pattern,
    /// The dictionary that the client has.
    pub available: Option<Hash>,
    /// How much it likes each coding with it.
    pub weights: Weights,
}

impl Bundle {
    /// The bundle of which `target` asks for a version with `fields`, if `route` uses dictionaries.
    #[must_use]
    pub fn of(target: &Target, fields: &HeaderMap, route: &Route) -> Option<Self> {
        if !route.policy.compress.dictionaries {
            return None;
        }
        let pattern = pattern(target.path())?;
        let (available, weights) = (Hash::available(fields), Weights::read(fields));
        Some(Self { pattern, available, weights })
    }

    /// What the registry of dictionaries knows it by, where `target` is one of its versions, by
    /// `route`.
    #[must_use]
    pub fn family(&self, target: &Target, route: &Route) -> Key {
        let parts = [
            ("route", Some(route.name.as_bytes())),
            ("before", Some(self.pattern.before.as_bytes())),
            ("after", Some(self.pattern.after.as_bytes())),
        ];
        let scope = Scope { scheme: true, host: true };
        Key::chosen(&target.root(), scope, parts.into_iter())
    }
}

impl Bundle {
    /// Whether the response with `head`, whose fields are `kept` and whose plain body has `length`
    /// bytes if that is known, is a version of it that may be a dictionary, and may be coded with
    /// one. It has to be one that is compressed.
    #[must_use]
    pub fn takes(&self, head: &StoredHead, kept: &HeaderMap, length: Option<u64>) -> bool {
        let is_whole = head.status == StatusCode::OK && head.part.is_none();
        let fits = length.is_none_or(|length| SIZES.contains(&length));
        // What one person gets is for no other to be told apart from.
        let is_personal =
            |name: &HeaderName| [header::AUTHORIZATION, header::COOKIE].contains(name);
        let is_shared = !head.selecting.names().iter().any(is_personal);
        // What the origin says of dictionaries it says for all its clients.
        is_whole && fits && is_shared && !kept.contains_key(USE_AS)
    }

    /// The codings with a dictionary that the client takes, best first, where it likes what it gets
    /// without one by `weight`. `own` is the hash of what it asks for, if that is known.
    pub fn codings(
        &self,
        weight: u16,
        own: Option<Hash>,
    ) -> impl Iterator<Item = (DictionaryCoding, Hash)> {
        let mut codings = DictionaryCoding::ALL;
        // Of those that are liked equally, the first stays first.
        codings.sort_by_key(|coding| u16::MAX - self.weights.of(*coding));
        let weights = self.weights;
        let is_liked = move |coding: &DictionaryCoding| weights.of(*coding) >= weight.max(1);
        let available = self.available.filter(|hash| Some(*hash) != own);
        available.into_iter().flat_map(move |hash| {
            codings.into_iter().filter(is_liked).map(move |coding| (coding, hash))
        })
    }

    /// Says in `fields` of an answer that another client gets another one by what it says of
    /// dictionaries, and what the answer is a dictionary for, if it is one.
    pub fn tell(&self, fields: &mut HeaderMap, is_dictionary: bool) {
        let told = match Vary::parse(fields) {
            Vary::Nothing => false,
            Vary::Everything => true,
            Vary::Fields(names) => names.contains(&AVAILABLE),
        };
        if !told {
            fields.append(header::VARY, HeaderValue::from_static("Available-Dictionary"));
        }
        if let Some(value) = self.pattern.use_as().filter(|_| is_dictionary) {
            fields.insert(USE_AS, value);
        }
    }
}

/// What has to change in the fields of a request that is looked up: where the edge uses dictionaries
/// the origin sees nothing of them, so that nothing it says depends on what a client has.
pub fn edits(asked: &HeaderMap, rules: &Compress) -> impl Iterator<Item = Edit> {
    let names = [AVAILABLE, ID].into_iter().filter(|_| rules.dictionaries);
    names.filter(|name| asked.contains_key(name)).map(|name| (name, None))
}

/// The tag of the response in `coding` with the dictionary `hash` whose plain one has `tag`.
#[must_use]
pub fn tag(tag: &EntityTag, coding: DictionaryCoding, hash: Hash) -> EntityTag {
    let opaque = [&tag.opaque, suffix(coding).as_bytes(), hash.short().as_bytes()].concat();
    EntityTag { weak: tag.weak, opaque: opaque.into() }
}

/// What the tag of the plain response is if `opaque` is that of one coded with a dictionary, and
/// with which coding.
#[must_use]
pub fn without_dictionary(opaque: &[u8]) -> Option<(&[u8], DictionaryCoding)> {
    let (rest, hash) = opaque.split_at_checked(opaque.len().checked_sub(Hash::SHORT)?)?;
    let is_hash = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !hash.iter().all(is_hash) {
        return None;
    }
    let split = |coding| Some((rest.strip_suffix(suffix(coding).as_bytes())?, coding));
    DictionaryCoding::ALL.into_iter().find_map(split)
}

const fn suffix(coding: DictionaryCoding) -> &'static str {
    match coding {
        DictionaryCoding::Dcb => "-dcb-",
        DictionaryCoding::Dcz => "-dcz-",
    }
}

/// The paths of the versions of the file at `path`: `/app.*.js` for `/app.3f2a9b1c.js`. Nothing if
/// there is no hash in its name, or nothing else.
#[must_use]
pub fn pattern(path: &str) -> Option<Pattern> {
    let name_at = path.rfind('/')? + 1;
    let mut found = None;
    let mut at = name_at;
    for piece in path.get(name_at..)?.split(['.', '-', '_']) {
        if looks_like_hash(piece) {
            found = Some(at..at + piece.len());
        }
        at += piece.len() + 1;
    }
    let found = found?;
    let (before, after) = (path.get(..found.start)?, path.get(found.end..)?);
    let stem = before.get(name_at..)?;
    // A name without another word would tell a file from no other: `/*.js`.
    let is_named = |rest: &str| rest.split('.').next().is_some_and(|word| word.len() > 1);
    let named = stem.bytes().any(|byte| byte.is_ascii_alphanumeric())
        || (after.starts_with(['-', '_']) && is_named(after));
    named.then(|| Pattern { before: before.to_owned(), after: after.to_owned() })
}

/// Whether a piece of a name looks drawn by lot, as no word and no number does.
fn looks_like_hash(piece: &str) -> bool {
    let has = |is: fn(&u8) -> bool| piece.as_bytes().iter().any(is);
    if !HASH_LENGTHS.contains(&piece.len()) || !piece.bytes().all(|it| it.is_ascii_alphanumeric()) {
        return false;
    }
    let (digits, letters) = (has(u8::is_ascii_digit), has(u8::is_ascii_alphabetic));
    let is_hex = piece.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_mixed = piece.len() >= LEAST_NOT_HEX && has(u8::is_ascii_uppercase);
    digits && letters && (is_hex || is_mixed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{head, route};
    use crate::stored::testing;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let found = pattern(path).map(|found| format!("{}*{}", found.before, found.after));
        assert_eq!(found.as_deref(), expected, "{path}");
    }

    #[test]
    fn finds_the_hash_that_bundlers_write_into_a_name() {
        check("/app.3f2a9b1c.js", Some("/app.*.js"));
        check("/static/js/main.3F2A9B1C.chunk.js", Some("/static/js/main.*.chunk.js"));
        check("/assets/index-DhX3kd9a.css", Some("/assets/index-*.css"));
        check("/_next/chunks/framework-2c79e2a64abdb08b.js", Some("/_next/chunks/framework-*.js"));
        check("/chunk-ABCD2345.js", Some("/chunk-*.js"));
        check("/a/3f2a9b1c/app_3f2a9b.js", Some("/a/3f2a9b1c/app_*.js"));
        check("/3f2a9b1c.3f2a9b1d.js", Some("/3f2a9b1c.*.js"));
        check("/3f2a9b1c-vendor.js", Some("/*-vendor.js"));
        check("/app-3f2a9b1c", Some("/app-*"));
    }

    #[test]
    fn takes_no_word_and_no_number_for_a_hash() {
        for path in [
            "/",
            "/app.js",
            "/app.20240101.js",
            "/app.facade.js",
            "/jquery-bootstrap5.min.js",
            "/app-1.2.3.js",
            "/README.md",
            "/app.3f2a9.js",
            "/app.3f2a9b1c/index.js",
            // The name is the hash: nothing tells it from other files.
            "/3f2a9b1c.js",
            "/-3f2a9b1c.js",
            "/3f2a9b1c",
        ] {
            check(path, None);
        }
    }

    const HASH: &str = ":Q0uY/8NzbLkNrkBBoVPG8YWGbaN1JJOHk8Bd7PCgHos=:";

    fn bundle(path: &str, fields: &str) -> Option<Bundle> {
        let route = route("compress = { dictionaries = true }");
        let target = Target::parse("http", "a.example", path).unwrap();
        Bundle::of(&target, &head(fields), &route)
    }

    #[test]
    fn tells_bundles_apart_by_all_but_the_hash() {
        let family = |path| {
            let target = Target::parse("http", "a.example", path).unwrap();
            bundle(path, "").unwrap().family(&target, &route(""))
        };
        assert_eq!(family("/app.3f2a9b1c.js"), family("/app.3f2a9b1d.js"));
        assert_eq!(family("/app.3f2a9b1c.js"), family("/app.3f2a9b1d.js?x=1"));
        assert_ne!(family("/app.3f2a9b1c.js"), family("/app.3f2a9b1c.css"));
        assert_ne!(family("/app.3f2a9b1c.js"), family("/a/app.3f2a9b1c.js"));
    }

    #[test]
    fn uses_dictionaries_only_where_the_settings_say_so() {
        let target = Target::parse("http", "a.example", "/app.3f2a9b1c.js").unwrap();
        assert_eq!(Bundle::of(&target, &HeaderMap::new(), &route("")), None);
        assert_eq!(bundle("/app.js", ""), None);
    }

    #[track_caller]
    fn check_codings(accepted: &str, weight: u16, expected: &[DictionaryCoding]) {
        let fields = format!("Available-Dictionary: {HASH} | Accept-Encoding: {accepted}");
        let bundle = bundle("/app.3f2a9b1c.js", &fields).unwrap();
        let codings: Vec<_> = bundle.codings(weight, None).map(|(coding, _)| coding).collect();
        assert_eq!(codings, expected, "{accepted} {weight}");
        assert_eq!(bundle.codings(weight, bundle.available).count(), 0);
    }

    #[test]
    fn chooses_a_coding_that_is_liked_as_much_as_one_without_a_dictionary() {
        use DictionaryCoding::{Dcb, Dcz};
        check_codings("gzip, br, zstd, dcb, dcz", 1000, &[Dcb, Dcz]);
        check_codings("br, dcz, dcb;q=0.9", 500, &[Dcz, Dcb]);
        check_codings("br, dcz, dcb;q=0.9", 1000, &[Dcz]);
        check_codings("dcz;q=0.001", 0, &[Dcz]);
        check_codings("dcz;q=0, *", 0, &[]);
        check_codings("br", 0, &[]);
    }

    #[test]
    fn takes_what_is_worth_it_and_for_everybody() {
        let bundle = bundle("/app.3f2a9b1c.js", "").unwrap();
        let takes = |status: u16, fields: &str, selecting: &[&'static str], length| {
            let mut stored = testing::head(selecting, &HeaderMap::new());
            stored.status = StatusCode::from_u16(status).unwrap();
            bundle.takes(&stored, &head(fields), length)
        };
        for length in [None, Some(1024), Some(8 << 20)] {
            assert!(takes(200, "", &["x-tongue"], length), "{length:?}");
        }
        assert!(!takes(200, "", &[], Some(1023)) && !takes(200, "", &[], Some((8 << 20) + 1)));
        assert!(!takes(404, "", &[], None));
        assert!(!takes(200, "Use-As-Dictionary: match=\"/*\"", &[], None));
        assert!(!takes(200, "", &["cookie"], None) && !takes(200, "", &["authorization"], None));
    }

    #[track_caller]
    fn check_told(fields: &str, is_dictionary: bool, vary: &[&str], use_as: Option<&str>) {
        let mut fields = head(fields);
        let bundle = bundle("/app.3f2a9b1c.js", "").unwrap();
        bundle.tell(&mut fields, is_dictionary);
        bundle.tell(&mut fields, is_dictionary);
        let lines: Vec<_> =
            fields.get_all(header::VARY).iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines, vary);
        assert_eq!(fields.get(USE_AS).map(|value| value.to_str().unwrap()), use_as);
    }

    #[test]
    fn tells_what_an_answer_is_a_dictionary_for() {
        check_told("", true, &["Available-Dictionary"], Some("match=\"/app.*.js\""));
        check_told(
            "Vary: accept-encoding",
            false,
            &["accept-encoding", "Available-Dictionary"],
            None,
        );
        check_told("Vary: *", false, &["*"], None);
        check_told("Vary: available-dictionary", false, &["available-dictionary"], None);
    }

    proptest! {
        #[test]
        fn gives_back_the_tag_of_the_plain_response(
            opaque in "[!-~&&[^\"]]{0,12}",
            body: Vec<u8>,
            coding in prop::sample::select(&DictionaryCoding::ALL[..]),
            weak: bool,
        ) {
            let plain = EntityTag { weak, opaque: opaque.into_bytes().into() };
            let coded = tag(&plain, coding, Hash::of(&body));
            prop_assert_eq!(coded.weak, weak);
            prop_assert_eq!(without_dictionary(&coded.opaque), Some((&plain.opaque[..], coding)));
        }

        #[test]
        fn the_paths_of_a_bundle_have_one_pattern(
            before in "/([a-z]{1,4}/){0,2}[a-z]{2,6}[.-]",
            one in "[0-9a-f]{8}",
            other in "[0-9a-f]{8}",
            after in "([.-][a-z]{1,5}){1,2}",
        ) {
            let found = |hash: &str| pattern(&format!("{before}{hash}{after}"));
            if let (Some(one), Some(other)) = (found(&one), found(&other)) {
                prop_assert_eq!(&one, &other);
                prop_assert_eq!(one, Pattern { before, after });
            }
        }

        #[test]
        fn finds_no_more_in_a_path_than_there_is(path in "/[ -~]{0,40}") {
            if let Some(found) = pattern(&path) {
                prop_assert!(path.starts_with(&found.before) && path.ends_with(&found.after));
                prop_assert!(path.len() >= found.before.len() + found.after.len() + 6);
            }
        }
    }
}
