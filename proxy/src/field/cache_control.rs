//! `Cache-Control` of responses and requests, and `Pragma` of requests (RFC 9111 §5.2, §5.4).

use std::borrow::Cow;
use std::fmt;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName};

use super::list;
use super::number::delta_seconds;
use crate::time::Seconds;

/// More field names than this in one directive, and it covers the whole response.
const MAX_FIELDS: usize = 64;

/// What `no-cache` or `private` covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole response.
    Whole,
    /// These fields only, in the order they were named, each once.
    Fields(Vec<HeaderName>),
}

/// The cache directives of a response (RFC 9111 §5.2.2, RFC 5861, RFC 8246).
///
/// Of several values of one directive the first counts (RFC 9111 §4.2.1), and the widest scope. A
/// `max-age` or `s-maxage` that is not a non-negative integer is `Some(Seconds(0))`: stale at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// Whether the field was there at all, whatever it said.
    pub present: bool,
    /// `no-store` (§5.2.2.5).
    pub no_store: bool,
    /// `no-cache`, perhaps for some fields only (§5.2.2.4).
    pub no_cache: Option<Scope>,
    /// `private`, perhaps for some fields only (§5.2.2.7).
    pub private: Option<Scope>,
    /// `public` (§5.2.2.9).
    pub public: bool,
    /// `must-revalidate` (§5.2.2.2).
    pub must_revalidate: bool,
    /// `proxy-revalidate` (§5.2.2.8).
    pub proxy_revalidate: bool,
    /// `must-understand` (§5.2.2.3).
    pub must_understand: bool,
    /// `no-transform` (§5.2.2.6).
    pub no_transform: bool,
    /// `immutable` (RFC 8246).
    pub immutable: bool,
    /// `max-age` (§5.2.2.1).
    pub max_age: Option<Seconds>,
    /// `s-maxage` (§5.2.2.10).
    pub s_maxage: Option<Seconds>,
    /// `stale-while-revalidate` (RFC 5861 §3); zero if malformed.
    pub stale_while_revalidate: Option<Seconds>,
    /// `stale-if-error` (RFC 5861 §4); zero if malformed.
    pub stale_if_error: Option<Seconds>,
}

/// How stale a response a request accepts: `max-stale` (RFC 9111 §5.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// However stale.
    Any,
    /// Stale for no longer than this.
    AtMost(Seconds),
}

/// The cache directives of a request (RFC 9111 §5.2.1).
///
/// Of several values of one directive the first counts. A malformed `max-age` is zero; a malformed
/// `min-fresh`, `max-stale` or `stale-if-error` is as if it were absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// `no-store` (§5.2.1.5).
    pub no_store: bool,
    /// `no-cache` (§5.2.1.4), or `Pragma: no-cache` where there is no `Cache-Control` (§5.4).
    pub no_cache: bool,
    /// `only-if-cached` (§5.2.1.7).
    pub only_if_cached: bool,
    /// `no-transform` (§5.2.1.6).
    pub no_transform: bool,
    /// `max-age` (§5.2.1.1).
    pub max_age: Option<Seconds>,
    /// `min-fresh` (§5.2.1.3).
    pub min_fresh: Option<Seconds>,
    /// `max-stale` (§5.2.1.2).
    pub max_stale: Option<MaxStale>,
    /// `stale-if-error` (RFC 5861 §4).
    pub stale_if_error: Option<Seconds>,
}

impl ResponseDirectives {
    /// Reads `Cache-Control`.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut directives =
            Self { present: headers.contains_key(CACHE_CONTROL), ..Self::default() };
        for member in list::members(headers, &CACHE_CONTROL) {
            directives.add(&Directive::parse(member));
        }
        directives
    }

    /// Whether no directive that is known here was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { present: self.present, ..Self::default() }
    }

    fn add(&mut self, directive: &Directive<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
        //# Cache directives are identified by a token, to be compared case-
        //# insensitively, and have an optional argument that can use both token
        //# and quoted-string syntax.
        match directive.name.to_ascii_lowercase().as_slice() {
            b"no-store" => self.no_store = true,
            b"no-cache" => widen(&mut self.no_cache, directive.scope()),
            b"private" => widen(&mut self.private, directive.scope()),
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"no-transform" => self.no_transform = true,
            b"immutable" => self.immutable = true,
            b"max-age" => first(&mut self.max_age, directive.lifetime()),
            b"s-maxage" => first(&mut self.s_maxage, directive.lifetime()),
            b"stale-while-revalidate" => {
                first(&mut self.stale_while_revalidate, directive.lifetime());
            }
            b"stale-if-error" => first(&mut self.stale_if_error, directive.lifetime()),
            //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.3
            //# A cache MUST ignore unrecognized cache directives.
            _ => {}
        }
    }
}

impl RequestDirectives {
    /// Reads `Cache-Control`, and `Pragma` in its place where there is none.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for member in list::members(headers, &CACHE_CONTROL) {
            directives.add(&Directive::parse(member));
        }
        if !headers.contains_key(CACHE_CONTROL) {
            directives.no_cache = list::members(headers, &PRAGMA)
                .any(|member| member.eq_ignore_ascii_case(b"no-cache"));
        }
        directives
    }

    fn add(&mut self, directive: &Directive<'_>) {
        match directive.name.to_ascii_lowercase().as_slice() {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"no-transform" => self.no_transform = true,
            b"max-age" => first(&mut self.max_age, directive.lifetime()),
            b"min-fresh" => first_valid(&mut self.min_fresh, directive.seconds()),
            b"stale-if-error" => first_valid(&mut self.stale_if_error, directive.seconds()),
            b"max-stale" => first_valid(&mut self.max_stale, directive.max_stale()),
            _ => {}
        }
    }
}

/// One directive as it was written.
struct Directive<'a> {
    name: &'a [u8],
    /// The argument without its quotes; empty where it was malformed, `None` where there was none.
    argument: Option<Cow<'a, [u8]>>,
}

impl<'a> Directive<'a> {
    fn parse(member: &'a [u8]) -> Self {
        let Some(equals) = member.iter().position(|&byte| byte == b'=') else {
            return Self { name: member, argument: None };
        };
        let (written, value) = (&member[..equals], &member[equals + 1..]);
        let name = list::trim(written);
        // No whitespace may stand around "=". The directive is still recognised, since the origin
        // meant to limit something, but what it says cannot be relied on.
        let is_spaced = name.len() != written.len() || list::trim(value).len() != value.len();
        let argument = if is_spaced {
            Cow::Borrowed(&[][..])
        } else {
            list::unquote(value).unwrap_or(Cow::Borrowed(value))
        };
        Self { name, argument: Some(argument) }
    }

    fn seconds(&self) -> Option<Seconds> {
        self.argument.as_deref().and_then(delta_seconds)
    }

    fn lifetime(&self) -> Seconds {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
        //# Caches are encouraged to consider responses that have invalid
        //# freshness information (e.g., a max-age directive with non-integer
        //# content) to be stale.
        self.seconds().unwrap_or(Seconds::ZERO)
    }

    fn max_stale(&self) -> Option<MaxStale> {
        match &self.argument {
            None => Some(MaxStale::Any),
            Some(argument) => delta_seconds(argument).map(MaxStale::AtMost),
        }
    }

    fn scope(&self) -> Scope {
        self.argument.as_deref().map_or(Scope::Whole, Scope::of)
    }
}

impl Scope {
    /// Reads the list of field names that an argument is; anything else covers the whole response.
    pub(super) fn of(names: &[u8]) -> Self {
        let mut fields = Vec::new();
        for member in list::split(names) {
            let Ok(name) = HeaderName::from_bytes(member) else { return Self::Whole };
            if fields.len() == MAX_FIELDS {
                return Self::Whole;
            }
            if !fields.contains(&name) {
                fields.push(name);
            }
        }
        if fields.is_empty() { Self::Whole } else { Self::Fields(fields) }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//# either the first occurrence should be used or the response should be
//# considered stale.
fn first(slot: &mut Option<Seconds>, value: Seconds) {
    slot.get_or_insert(value);
}

fn first_valid<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

pub(super) fn widen(slot: &mut Option<Scope>, more: Scope) {
    match (&mut *slot, more) {
        (Some(Scope::Whole), _) => {}
        (Some(Scope::Fields(fields)), Scope::Fields(others)) => {
            for name in others {
                if fields.len() == MAX_FIELDS {
                    *slot = Some(Scope::Whole);
                    return;
                }
                if !fields.contains(&name) {
                    fields.push(name);
                }
            }
        }
        (None | Some(Scope::Fields(_)), more) => *slot = Some(more),
    }
}

/// Prints the directives as a `Cache-Control` field value that parses to the same.
impl fmt::Display for ResponseDirectives {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.no_store, "no-store"),
            (self.public, "public"),
            (self.must_revalidate, "must-revalidate"),
            (self.proxy_revalidate, "proxy-revalidate"),
            (self.must_understand, "must-understand"),
            (self.no_transform, "no-transform"),
            (self.immutable, "immutable"),
        ];
        let scopes = [(&self.no_cache, "no-cache"), (&self.private, "private")];
        let lengths = [
            (self.max_age, "max-age"),
            (self.s_maxage, "s-maxage"),
            (self.stale_while_revalidate, "stale-while-revalidate"),
            (self.stale_if_error, "stale-if-error"),
        ];
        let mut gap = "";
        for (_, name) in flags.iter().filter(|(is_set, _)| *is_set) {
            write!(out, "{gap}{name}")?;
            gap = ", ";
        }
        for (scope, name) in scopes {
            match scope {
                None => continue,
                Some(Scope::Whole) => write!(out, "{gap}{name}")?,
                Some(Scope::Fields(fields)) => {
                    let fields: Vec<&str> = fields.iter().map(HeaderName::as_str).collect();
                    write!(out, "{gap}{name}=\"{}\"", fields.join(", "))?;
                }
            }
            gap = ", ";
        }
        for (length, name) in lengths {
            let Some(length) = length else { continue };
            write!(out, "{gap}{name}={}", length.0)?;
            gap = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ETAG, SET_COOKIE};
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    fn response(lines: &[&str]) -> ResponseDirectives {
        ResponseDirectives::parse(&testing::lines("cache-control", lines))
    }

    fn request(lines: &[&str]) -> RequestDirectives {
        RequestDirectives::parse(&testing::lines("cache-control", lines))
    }

    #[track_caller]
    fn check_max_age(lines: &[&str], expected: Option<u64>) {
        assert_eq!(response(lines).max_age, expected.map(Seconds), "{lines:?}");
    }

    #[test]
    fn reads_max_age() {
        check_max_age(&["max-age=3600"], Some(3600));
        check_max_age(&["MaX-aGe=3600"], Some(3600));
        check_max_age(&["max-age=\"3600\""], Some(3600));
        check_max_age(&["max-age=003600"], Some(3600));
        check_max_age(&["foobar, max-age=3600"], Some(3600));
        check_max_age(&["foobar=\"a, b\"", "max-age=3600"], Some(3600));
        check_max_age(&["max-age=99999999999"], Some(2_147_483_648));
        check_max_age(&["s-maxage=1"], None);
        check_max_age(&[""], None);
    }

    #[test]
    fn takes_the_first_of_several_values() {
        check_max_age(&["max-age=1800, max-age=1"], Some(1800));
        check_max_age(&["max-age=1", "max-age=1800"], Some(1));
        check_max_age(&["max-age=x, max-age=1800"], Some(0));
    }

    #[test]
    fn takes_invalid_freshness_for_stale() {
        for value in ["-3600", "'3600'", "3600.0", "3600a", "a3600", "", " 3600", "\"", "\"\""] {
            check_max_age(&[&format!("max-age={value}")], Some(0));
        }
        check_max_age(&["max-age =3600"], Some(0));
        check_max_age(&["max-age"], Some(0));
    }

    #[test]
    fn sees_no_directive_inside_a_quoted_string() {
        check_max_age(&["extension=\"max-age=3600\", max-age=1"], Some(1));
        check_max_age(&["max-age=1, extension=\"max-age=3600\""], Some(1));
        assert!(!response(&["extension=\"no-store, private\""]).no_store);
    }

    #[test]
    fn sees_a_directive_behind_a_stray_quote() {
        assert!(response(&["extension=\"a, no-store"]).no_store);
    }

    #[test]
    fn reads_every_response_directive() {
        let all = "No-Store, no-cache, private=\"Set-Cookie, etag, set-cookie\", public, \
                   must-revalidate, proxy-revalidate, must-understand, no-transform, immutable, \
                   max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4, other=5";
        let expected = ResponseDirectives {
            present: true,
            no_store: true,
            no_cache: Some(Scope::Whole),
            private: Some(Scope::Fields(vec![SET_COOKIE, ETAG])),
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            no_transform: true,
            immutable: true,
            max_age: Some(Seconds(1)),
            s_maxage: Some(Seconds(2)),
            stale_while_revalidate: Some(Seconds(3)),
            stale_if_error: Some(Seconds(4)),
        };
        assert_eq!(response(&[all]), expected);
    }

    #[test]
    fn takes_the_widest_scope() {
        let check = |lines: &[&str], expected: Scope| {
            assert_eq!(response(lines).private, Some(expected), "{lines:?}");
        };
        check(&["private=etag"], Scope::Fields(vec![ETAG]));
        check(&["private=etag", "private=\"set-cookie\""], Scope::Fields(vec![ETAG, SET_COOKIE]));
        check(&["private, private=\"etag\""], Scope::Whole);
        check(&["private=\"etag\", private"], Scope::Whole);
        check(&["private=\"\""], Scope::Whole);
        check(&["private=\"no field name\""], Scope::Whole);
        check(&["private = \"etag\""], Scope::Whole);
    }

    #[test]
    fn tells_an_absent_field_from_one_that_says_nothing() {
        assert!(!ResponseDirectives::parse(&HeaderMap::new()).present);
        assert!(response(&["other"]).present);
        assert!(response(&["other"]).is_empty());
        assert!(!response(&["public"]).is_empty());
    }

    #[test]
    fn reads_every_request_directive() {
        let all = "no-store, no-cache, only-if-cached, no-transform, max-age=1, min-fresh=2, \
                   max-stale=3, stale-if-error=4";
        let expected = RequestDirectives {
            no_store: true,
            no_cache: true,
            only_if_cached: true,
            no_transform: true,
            max_age: Some(Seconds(1)),
            min_fresh: Some(Seconds(2)),
            max_stale: Some(MaxStale::AtMost(Seconds(3))),
            stale_if_error: Some(Seconds(4)),
        };
        assert_eq!(request(&[all]), expected);
        assert_eq!(request(&["max-stale"]).max_stale, Some(MaxStale::Any));
    }

    #[test]
    fn lets_no_malformed_request_directive_loosen_anything() {
        let found = request(&["max-age=x, min-fresh=x, max-stale=x, stale-if-error=x"]);
        let expected =
            RequestDirectives { max_age: Some(Seconds::ZERO), ..RequestDirectives::default() };
        assert_eq!(found, expected);
    }

    #[test]
    fn reads_pragma_only_without_cache_control() {
        let mut headers = testing::lines("pragma", &["x, No-Cache"]);
        assert!(RequestDirectives::parse(&headers).no_cache);
        testing::append(&mut headers, "cache-control", &["max-age=1"]);
        assert!(!RequestDirectives::parse(&headers).no_cache);
        assert!(!RequestDirectives::parse(&testing::lines("pragma", &["other"])).no_cache);
    }

    fn a_scope() -> impl Strategy<Value = Option<Scope>> {
        prop_oneof![
            Just(None),
            Just(Some(Scope::Whole)),
            Just(Some(Scope::Fields(vec![ETAG]))),
            Just(Some(Scope::Fields(vec![SET_COOKIE, ETAG]))),
        ]
    }

    fn a_length() -> impl Strategy<Value = Option<Seconds>> {
        proptest::option::of((0..=Seconds::MAX_DELTA.0).prop_map(Seconds))
    }

    proptest! {
        #[test]
        fn reads_what_was_printed(
            flags: [bool; 7],
            scopes in [a_scope(), a_scope()],
            lengths in [a_length(), a_length(), a_length(), a_length()],
        ) {
            let [no_store, public, must_revalidate, proxy_revalidate, ..] = flags;
            let [no_cache, private] = scopes;
            let directives = ResponseDirectives {
                present: true,
                no_store,
                no_cache,
                private,
                public,
                must_revalidate,
                proxy_revalidate,
                must_understand: flags[4],
                no_transform: flags[5],
                immutable: flags[6],
                max_age: lengths[0],
                s_maxage: lengths[1],
                stale_while_revalidate: lengths[2],
                stale_if_error: lengths[3],
            };
            prop_assert_eq!(response(&[&directives.to_string()]), directives);
        }

        #[test]
        fn never_loses_no_store(before in ".{0,30}", after in ".{0,30}") {
            let lines = [before.into_bytes(), b"no-store".to_vec(), after.into_bytes()];
            let headers = testing::hostile("cache-control", &lines);
            prop_assert!(ResponseDirectives::parse(&headers).no_store);
            prop_assert!(RequestDirectives::parse(&headers).no_store);
        }
    }
}
