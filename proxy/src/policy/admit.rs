//! Decides whether a response may be stored, and how long it is fresh (RFC 9111 §3, §4.2).

use forebay_config::{Policy, SetCookie, Strategy};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::event::Detail;
use crate::field::cache_control::ResponseDirectives;
use crate::field::range::ContentRange;
use crate::field::vary::Vary;
use crate::field::{date, media_type, targeted};
use crate::policy::lifetime::{Lifetime, Source, Word, is_heuristic};
use crate::policy::request::Ask;
use crate::policy::{encode, identity};
use crate::stored::Freshness;
use crate::time::{Seconds, Timestamp};

/// The fields that speak to this cache before `Cache-Control` does, in order (RFC 9213 §2.2).
pub const TARGETED: [HeaderName; 2] = [
    HeaderName::from_static("forebay-cache-control"),
    HeaderName::from_static("cdn-cache-control"),
];

/// What a browser is told of a response under a hashed name (RFC 8246).
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A response as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without those that are for one hop.
    pub fields: &'a HeaderMap,
    /// When the request for it was sent.
    pub asked: Timestamp,
    /// When its head came in.
    pub arrived: Timestamp,
    /// The request asked for a part.
    pub ranged: bool,
}

/// What was decided about a response.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Whether it may be stored; if not, the fact that forbids it.
    pub verdict: Result<(), Detail>,
    /// Its freshness, also if it may not be stored.
    pub freshness: Freshness,
    /// By whose word it has that lifetime; nothing if nobody says.
    pub word: Option<Word>,
    /// Which request fields select it.
    pub vary: Vec<HeaderName>,
    /// The fields that the route adds to those that `Vary` names.
    pub also_varies: Vec<HeaderName>,
    /// What part of the whole it is.
    pub part: Option<ContentRange>,
    /// Whether it is compressed for who wants it, whatever its length.
    pub compressible: bool,
    /// What clients are told in `Cache-Control`, if the origin left it open.
    pub cache_control: Option<HeaderValue>,
    /// `Set-Cookie` is to be left out of what is stored and sent.
    pub strip_cookies: bool,
}

/// Says whether `arrival` may be stored on a route with `rules`, and how long it is fresh.
#[must_use]
pub fn admit(ask: &Ask, arrival: &Arrival<'_>, path: &str, rules: &Policy) -> Admission {
    let targeted = targeted::targeted(arrival.fields, &TARGETED).map(|(_, said)| said);
    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
    //# all other directives of any kind in the Cache-Control and Expires header
    //# fields MUST be ignored
    let expires = if targeted.is_some() { None } else { date::expires(arrival.fields) };
    let said = targeted.unwrap_or_else(|| ResponseDirectives::parse(arrival.fields));
    let immutable = arrival.status == StatusCode::OK && rules.immutable.matches(path);
    let source = Source { said: &said, expires, arrival, rules, immutable };
    let lifetime = source.lifetime();
    let vary = Vary::parse(arrival.fields);
    let part = (arrival.status == StatusCode::PARTIAL_CONTENT)
        .then(|| ContentRange::parse(arrival.fields))
        .flatten();
    let freshness = source.freshness(lifetime.map_or(Seconds::ZERO, |(lifetime, _)| lifetime));
    let mut verdict = storable(ask, arrival, &said, rules);
    if verdict.is_ok() && varies_beyond_requests(&vary, rules) {
        verdict = Err(Detail::VaryStar);
    }
    if verdict.is_ok() && arrival.status == StatusCode::PARTIAL_CONTENT {
        // Without its range and the length of the whole, nothing can be cut out of a part.
        let is_usable = part.is_some_and(|part| part.range.is_some() && part.complete.is_some());
        verdict = if is_usable { Ok(()) } else { Err(Detail::Part) };
    }
    let verdict = verdict.and_then(|()| worthwhile(ask, &source, lifetime, &freshness));
    let said_vary = if let Vary::Fields(names) = vary { names } else { Vec::new() };
    let silent = !said.present && expires.is_none();
    let also_varies = identity::untold(&said_vary, &rules.key);
    let mut vary = identity::vary(said_vary, &rules.key);
    let compressible = encode::judge(arrival.status, &vary, arrival.fields, None, rules).is_ok();
    if compressible {
        encode::merge(&mut vary, &rules.key);
    }
    Admission {
        freshness,
        word: lifetime.map(|(_, word)| word),
        compressible,
        also_varies,
        vary,
        part,
        // `public` would let the caches behind this one share what this one may not.
        cache_control: (immutable && silent && verdict.is_ok()).then_some(IMMUTABLE),
        strip_cookies: rules.set_cookie == SetCookie::Strip && verdict.is_ok(),
        verdict,
    }
}

impl Admission {
    /// What becomes of the whole answer, whose body has `length` if that is known, where no body
    /// over `limit` is stored.
    ///
    /// # Errors
    ///
    /// The fact that forbids to store it.
    pub fn of_whole(&self, ask: &Ask, length: Option<u64>, limit: u64) -> Result<(), Detail> {
        if ask.method == Method::HEAD {
            return Err(Detail::Head);
        }
        self.verdict?;
        if length.is_some_and(|length| length > limit) { Err(Detail::TooLarge) } else { Ok(()) }
    }
}

/// Whether no request can tell that it selects the same: everything selects, or the address of
/// the client does, which the edge says in its own words.
fn varies_beyond_requests(vary: &Vary, rules: &Policy) -> bool {
    let address = "x-forwarded-for";
    let said = match vary {
        Vary::Nothing => false,
        Vary::Everything => true,
        Vary::Fields(names) => names.iter().any(|name| name == address),
    };
    said || rules.key.headers.iter().any(|name| name == address)
}

/// Whether anything forbids to store it (RFC 9111 §3).
fn storable(
    ask: &Ask,
    arrival: &Arrival<'_>,
    said: &ResponseDirectives,
    rules: &Policy,
) -> Result<(), Detail> {
    let status = arrival.status;
    if ![Method::GET, Method::HEAD, Method::POST].contains(&ask.method) {
        return Err(Detail::Method);
    }
    if status.is_informational()
        || matches!(status.as_u16(), 304 | 416)
        || (arrival.ranged && !matches!(status.as_u16(), 200 | 206))
    {
        return Err(Detail::Status);
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
    //# When a cache that implements the must-understand directive receives a
    //# response that includes it, the cache SHOULD ignore the no-store directive
    //# if it understands and implements the status code's caching requirements.
    if said.must_understand {
        if !is_understood(status) {
            return Err(Detail::Status);
        }
    } else if said.no_store {
        return Err(Detail::NoStore);
    }
    // A `private` that names fields is taken for one that names none: nothing leaks.
    if said.private.is_some() {
        return Err(Detail::Private);
    }
    if ask.directives.no_store {
        return Err(Detail::RequestNoStore);
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3.5
    //# A shared cache MUST NOT use a cached response to a request with an
    //# Authorization header field (Section 11.6.2 of [HTTP]) to satisfy any
    //# subsequent request unless the response contains a Cache-Control field
    //# with a response directive (Section 5.2.2) that allows it
    let allowed = said.public || said.must_revalidate || said.s_maxage.is_some();
    if ask.authorized && !allowed {
        return Err(Detail::Authorization);
    }
    if rules.set_cookie == SetCookie::Skip && arrival.fields.contains_key(header::SET_COOKIE) {
        return Err(Detail::SetCookie);
    }
    let is_typed =
        rules.types.as_ref().is_none_or(|types| media_type::is_one_of(arrival.fields, types));
    if status.is_success() && status != StatusCode::NO_CONTENT && !is_typed {
        return Err(Detail::ContentType);
    }
    Ok(())
}

/// Whether storing it could ever save anything, given that nothing forbids it.
fn worthwhile(
    ask: &Ask,
    source: &Source<'_>,
    lifetime: Option<Lifetime>,
    freshness: &Freshness,
) -> Result<(), Detail> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3
    //# Responses to POST requests are only cacheable when they include explicit
    //# freshness information (see Section 4.2.1 of [CACHING]) and a
    //# Content-Location header field that has the same value as the POST's target URI
    if ask.method != Method::GET && source.explicit().is_none() {
        return Err(Detail::NoFreshness);
    }
    let fields = source.arrival.fields;
    let validator = fields.contains_key(header::ETAG) || fields.contains_key(header::LAST_MODIFIED);
    // Where the origin is asked first, what is stored is there for when it does not answer.
    let kept_for_failure =
        source.rules.strategy == Strategy::NetworkFirst && !freshness.never_stale;
    let usable_stale = freshness.while_revalidate > Seconds::ZERO
        || freshness.if_error.map_or(kept_for_failure, |limit| limit > Seconds::ZERO);
    let kept = |allowed: bool, otherwise: Detail| if allowed { Ok(()) } else { Err(otherwise) };
    match lifetime {
        // A status that is not heuristically cacheable needs freshness, not only a validator.
        None => kept(validator && is_heuristic(source.arrival.status), Detail::NoFreshness),
        Some(_) if freshness.always_validate => kept(validator, Detail::Expired),
        Some(_) if freshness.is_fresh(freshness.arrived) => Ok(()),
        Some(_) => kept(validator || usable_stale, Detail::Expired),
    }
}

/// Statuses whose caching requirements this cache knows (RFC 9111 §3).
fn is_understood(status: StatusCode) -> bool {
    status.canonical_reason().is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::Strategy;

    use super::*;
    use crate::policy::testing::{NOW, head, rules};

    const A_DAY_AGO: &str = "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT";
    const IN_A_MINUTE: &str = "Expires: Sun, 06 Nov 1994 08:50:37 GMT";

    /// What is decided about an exchange that is written
    /// `METHOD | Field: value -> STATUS | Field: value`.
    fn admitted(exchange: &str, options: &str) -> Admission {
        let (request, response) = exchange.split_once(" -> ").unwrap();
        let (method, asked) = request.split_once('|').unwrap_or((request, ""));
        let (status, fields) = response.split_once('|').unwrap_or((response, ""));
        let (asked, fields) = (head(asked), head(fields));
        let method = Method::from_bytes(method.trim().as_bytes()).unwrap();
        let arrival = Arrival {
            status: status.trim().parse().unwrap(),
            fields: &fields,
            asked: NOW,
            arrived: NOW,
            ranged: asked.contains_key(header::RANGE),
        };
        let ask = Ask::read(&method, &asked, false);
        admit(&ask, &arrival, "/app.0123abcd.js", &rules(options))
    }

    /// Whether it is stored and for how many seconds it is fresh, or why it is not stored.
    #[track_caller]
    fn check_with(options: &str, exchange: &str, expected: Result<u64, Detail>) {
        let admission = admitted(exchange, options);
        let found = admission.verdict.map(|()| admission.freshness.lifetime.0);
        assert_eq!(found, expected, "{exchange}");
    }

    #[track_caller]
    fn check(exchange: &str, expected: Result<u64, Detail>) {
        check_with("", exchange, expected);
    }

    #[test]
    fn takes_the_lifetime_from_the_most_specific_directive() {
        check("GET -> 200 | Cache-Control: max-age=60", Ok(60));
        check("GET -> 200 | Cache-Control: max-age=60, s-maxage=90", Ok(90));
        check("GET -> 200 | Cache-Control: s-maxage=0, max-age=60 | ETag: \"a\"", Ok(0));
        check(&format!("GET -> 200 | {IN_A_MINUTE}"), Ok(60));
        check(&format!("GET -> 200 | {IN_A_MINUTE} | Cache-Control: max-age=90"), Ok(90));
        let date = "Date: Sun, 06 Nov 1994 08:49:27 GMT";
        check(&format!("GET -> 200 | {IN_A_MINUTE} | {date}"), Ok(70));
        check("GET -> 200 | Cache-Control: max-age=60 | Expires: 0", Ok(60));
        check("GET -> 200 | Cache-Control: max-age=x | ETag: \"a\"", Ok(0));
        check("GET -> 200 | Expires: 0 | ETag: \"a\"", Ok(0));
    }

    #[test]
    fn obeys_a_targeted_field_alone() {
        check("GET -> 200 | CDN-Cache-Control: max-age=9 | Cache-Control: no-store", Ok(9));
        let both = "Forebay-Cache-Control: max-age=8 | CDN-Cache-Control: max-age=9";
        check(&format!("GET -> 200 | {both}"), Ok(8));
        let strict = "CDN-Cache-Control: no-store | Cache-Control: max-age=60";
        check(&format!("GET -> 200 | {strict}"), Err(Detail::NoStore));
        let silent = "CDN-Cache-Control: must-revalidate | Cache-Control: max-age=60";
        check(&format!("GET -> 200 | {silent} | {IN_A_MINUTE}"), Err(Detail::NoFreshness));
        check("GET -> 200 | CDN-Cache-Control: &&& | Cache-Control: max-age=60", Ok(60));
    }

    #[test]
    fn guesses_a_tenth_of_the_time_since_it_was_modified() {
        check(&format!("GET -> 200 | {A_DAY_AGO}"), Ok(8640));
        check("GET -> 200 | Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT", Ok(0));
        check("GET -> 200 | Last-Modified: Mon, 06 Nov 1989 08:49:37 GMT", Ok(86_400));
        check(&format!("GET -> 404 | {A_DAY_AGO}"), Ok(8640));
        check(&format!("GET -> 302 | {A_DAY_AGO}"), Err(Detail::NoFreshness));
        check(&format!("GET -> 302 | {A_DAY_AGO} | Cache-Control: public"), Ok(8640));
        check_with("heuristic = false", &format!("GET -> 200 | {A_DAY_AGO}"), Ok(0));
    }

    #[test]
    fn stores_without_a_lifetime_only_what_can_be_validated() {
        check("GET -> 200", Err(Detail::NoFreshness));
        check("GET -> 200 | ETag: \"a\"", Ok(0));
        check("GET -> 302 | ETag: \"a\"", Err(Detail::NoFreshness));
        check("GET -> 200 | Cache-Control: max-age=0", Err(Detail::Expired));
        check("GET -> 200 | Cache-Control: max-age=60 | Age: 60", Err(Detail::Expired));
        check("GET -> 200 | Cache-Control: max-age=60 | Age: 59", Ok(60));
        check("GET -> 200 | Cache-Control: no-cache, max-age=60", Err(Detail::Expired));
        check("GET -> 200 | Cache-Control: no-cache, max-age=60 | ETag: \"a\"", Ok(60));
    }

    #[test]
    fn stores_what_is_stale_at_once_if_it_may_answer_stale() {
        let stale = "GET -> 200 | Cache-Control: max-age=0";
        check(&format!("{stale}, stale-while-revalidate=9"), Ok(0));
        check(&format!("{stale}, stale-if-error=9"), Ok(0));
        check(&format!("{stale}, stale-if-error=0"), Err(Detail::Expired));
        check_with("stale_if_error = '9s'", stale, Ok(0));
    }

    #[test]
    fn obeys_no_store_and_private() {
        check("GET -> 200 | Cache-Control: max-age=60, no-store", Err(Detail::NoStore));
        check("GET -> 200 | Cache-Control: max-age=60, private", Err(Detail::Private));
        let fields = "GET -> 200 | Cache-Control: s-maxage=60, private=\"Set-Cookie\"";
        check(fields, Err(Detail::Private));
        let asked = "GET | Cache-Control: no-store -> 200 | Cache-Control: max-age=60";
        check(asked, Err(Detail::RequestNoStore));
    }

    #[test]
    fn ignores_no_store_where_must_understand_is_understood() {
        let said = "Cache-Control: max-age=60, no-store, must-understand";
        check(&format!("GET -> 200 | {said}"), Ok(60));
        check(&format!("GET -> 299 | {said}"), Err(Detail::Status));
        check(&format!("GET -> 200 | {said}, private"), Err(Detail::Private));
        check("GET -> 299 | Cache-Control: max-age=60", Ok(60));
    }

    #[test]
    fn stores_for_credentials_only_what_is_said_to_be_for_all() {
        for (said, expected) in [
            ("max-age=60", Err(Detail::Authorization)),
            ("max-age=60, proxy-revalidate", Err(Detail::Authorization)),
            ("max-age=60, public", Ok(60)),
            ("max-age=60, must-revalidate", Ok(60)),
            ("s-maxage=60", Ok(60)),
        ] {
            let asked = "GET | Authorization: Basic eA==";
            check(&format!("{asked} -> 200 | Cache-Control: {said}"), expected);
        }
    }

    #[test]
    fn stores_any_final_status_but_those_that_speak_of_one_request() {
        for status in [200, 201, 204, 299, 301, 302, 307, 404, 410, 500, 503, 599] {
            check(&format!("GET -> {status} | Cache-Control: max-age=60"), Ok(60));
        }
        for status in [100, 101, 103, 304, 416] {
            let exchange = format!("GET -> {status} | Cache-Control: max-age=60");
            check(&exchange, Err(Detail::Status));
        }
    }

    #[test]
    fn stores_no_answer_to_a_method_that_is_not_for_reading() {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"] {
            let exchange = format!("{method} -> 200 | Cache-Control: max-age=60");
            check(&exchange, Err(Detail::Method));
        }
    }

    #[test]
    fn stores_an_answer_to_post_only_with_explicit_freshness() {
        check("POST -> 200 | Cache-Control: max-age=60", Ok(60));
        check(&format!("POST -> 200 | {A_DAY_AGO} | ETag: \"a\""), Err(Detail::NoFreshness));
        let options = "ttl = '9s'\nttl_mode = 'override'";
        check_with(options, "POST -> 200", Err(Detail::NoFreshness));
    }

    #[test]
    fn stores_nothing_that_varies_by_everything() {
        check("GET -> 200 | Cache-Control: max-age=60 | Vary: *", Err(Detail::VaryStar));
        check("GET -> 200 | Cache-Control: max-age=60 | Vary: a, *", Err(Detail::VaryStar));
        let by_address = "GET -> 200 | Cache-Control: max-age=60 | Vary: a, X-Forwarded-For";
        check(by_address, Err(Detail::VaryStar));
        let counts = "key = { headers = ['X-Forwarded-For'] }";
        let admission = admitted("GET -> 200 | Cache-Control: max-age=60", counts);
        assert_eq!(admission.verdict, Err(Detail::VaryStar));
        let admission = admitted("GET -> 200 | Cache-Control: max-age=60 | Vary: B, a", "");
        assert_eq!(admission.verdict, Ok(()));
        assert_eq!(admission.vary, ["a", "b"]);
    }

    #[test]
    fn stores_a_part_only_if_it_says_which() {
        for (range, expected) in [
            ("bytes 0-4/10", Ok(60)),
            ("bytes 0-4/*", Err(Detail::Part)),
            ("bytes */10", Err(Detail::Part)),
            ("bytes 4-0/10", Err(Detail::Part)),
            ("lines 0-4/10", Err(Detail::Part)),
        ] {
            let asked = "GET | Range: bytes=0-4 -> 206 | Cache-Control: max-age=60";
            check(&format!("{asked} | Content-Range: {range}"), expected);
        }
        check("GET -> 206 | Cache-Control: max-age=60", Err(Detail::Part));
        let whole = "GET | Range: bytes=0-4 -> 200 | Cache-Control: max-age=60";
        check(&format!("{whole} | Content-Range: bytes 0-4/10"), Ok(60));
        assert_eq!(admitted(&format!("{whole} | Content-Range: bytes 0-4/10"), "").part, None);
        let failed = "GET | Range: bytes=0-4 -> 404 | Cache-Control: max-age=60";
        check(failed, Err(Detail::Status));
    }

    #[test]
    fn treats_a_cookie_as_the_route_says() {
        let exchange = "GET -> 200 | Cache-Control: max-age=60 | Set-Cookie: a=b";
        check(exchange, Err(Detail::SetCookie));
        check_with("set_cookie = 'store'", exchange, Ok(60));
        check_with("set_cookie = 'strip'", exchange, Ok(60));
        assert!(admitted(exchange, "set_cookie = 'strip'").strip_cookies);
        assert!(!admitted(exchange, "set_cookie = 'store'").strip_cookies);
        // Who gets an answer that is not shared gets the cookie with it.
        let own = "GET -> 200 | Cache-Control: private | Set-Cookie: a=b";
        assert!(!admitted(own, "set_cookie = 'strip'").strip_cookies);
    }

    #[test]
    fn lets_the_route_speak_in_its_turn() {
        for (mode, silent, dated, said) in
            [("respect", 9, 8640, 60), ("default", 9, 9, 60), ("override", 9, 9, 9)]
        {
            let options = format!("ttl = '9s'\nttl_mode = '{mode}'");
            check_with(&options, "GET -> 200", Ok(silent));
            check_with(&options, &format!("GET -> 200 | {A_DAY_AGO}"), Ok(dated));
            check_with(&options, "GET -> 200 | Cache-Control: max-age=60", Ok(said));
            for status in [302, 404, 410, 500, 501] {
                let exchange = format!("GET -> {status}");
                check_with(&options, &exchange, Err(Detail::NoFreshness));
            }
            check_with(&options, "GET -> 301", Ok(9));
        }
        let by_status = "ttl = '9s'\nttl_mode = 'default'\nttl_by_status = { 302 = '5s' }";
        check_with(by_status, "GET -> 302", Ok(5));
        check_with(by_status, "GET -> 200", Ok(9));
    }

    #[test]
    fn never_overrides_what_forbids_to_store() {
        let options = "ttl = '9s'\nttl_mode = 'override'";
        check_with(options, "GET -> 200 | Cache-Control: no-store", Err(Detail::NoStore));
        check_with(options, "GET -> 200 | Cache-Control: private", Err(Detail::Private));
        check_with(options, "GET -> 200 | Set-Cookie: a=b", Err(Detail::SetCookie));
        let asked = "GET | Authorization: Basic eA== -> 200";
        check_with(options, asked, Err(Detail::Authorization));
    }

    #[test]
    fn keeps_a_file_with_a_hashed_name_for_a_year() {
        let options = "immutable = ['**/*.[0-9a-f]{8,}.*']";
        let said = |exchange: &str| admitted(exchange, options).cache_control;
        check_with(options, "GET -> 200", Ok(365 * 24 * 60 * 60));
        check_with(options, "GET -> 200 | Cache-Control: max-age=60", Ok(60));
        check_with(options, "GET -> 404", Err(Detail::NoFreshness));
        assert_eq!(said("GET -> 200"), Some(IMMUTABLE));
        assert_eq!(said("GET -> 404"), None);
        assert_eq!(said("GET -> 200 | Cache-Control: max-age=60"), None);
        assert_eq!(said("GET -> 200 | Expires: 0"), None);
        assert_eq!(said("GET -> 200 | CDN-Cache-Control: max-age=9"), None);
        assert_eq!(said("GET -> 200 | CDN-Cache-Control: max-age=9 | Expires: 0"), None);
    }

    #[test]
    fn tells_no_other_cache_to_share_what_it_may_not_share_itself() {
        let options = "immutable = ['/**']";
        let said = |exchange: &str| admitted(exchange, options).cache_control;
        assert_eq!(said("GET | Authorization: Basic eA== -> 200"), None);
        assert_eq!(said("GET -> 200 | Set-Cookie: a=b"), None);
        assert_eq!(said("GET -> 200 | CDN-Cache-Control: private"), None);
    }

    #[test]
    fn works_out_how_old_it_already_is() {
        let age = |fields: &str, delay: i64| {
            let fields = head(fields);
            let arrival = Arrival {
                status: StatusCode::OK,
                fields: &fields,
                asked: Timestamp::from_seconds(NOW.as_seconds() - delay),
                arrived: NOW,
                ranged: false,
            };
            let ask = Ask::read(&Method::GET, &HeaderMap::new(), false);
            admit(&ask, &arrival, "/", &rules("")).freshness.initial_age.0
        };
        assert_eq!(age("", 0), 0);
        assert_eq!(age("Age: 30", 0), 30);
        assert_eq!(age("Age: 30", 5), 35);
        assert_eq!(age("Date: Sun, 06 Nov 1994 08:48:37 GMT", 5), 60);
        assert_eq!(age("Date: Sun, 06 Nov 1994 08:48:37 GMT | Age: 58", 5), 63);
        assert_eq!(age("Date: Sun, 06 Nov 1994 08:59:37 GMT | Age: 3", 0), 3);
    }

    #[test]
    fn notes_what_may_never_answer_stale() {
        for (said, never_stale, always_validate) in [
            ("max-age=1", false, false),
            ("max-age=1, must-revalidate", true, false),
            ("max-age=1, proxy-revalidate", true, false),
            ("s-maxage=1", true, false),
            ("max-age=1, no-cache", false, true),
            ("max-age=1, no-cache=\"a\"", false, true),
        ] {
            let freshness = admitted(&format!("GET -> 200 | Cache-Control: {said}"), "").freshness;
            let found = (freshness.never_stale, freshness.always_validate);
            assert_eq!(found, (never_stale, always_validate), "{said}");
        }
    }

    #[test]
    fn lets_the_route_say_how_long_it_may_answer_stale_where_the_origin_does_not() {
        let options = "stale_while_revalidate = '7s'\nstale_if_error = '8s'";
        let found = |said: &str, options: &str| {
            let exchange = format!("GET -> 200 | Cache-Control: {said}");
            let freshness = admitted(&exchange, options).freshness;
            (freshness.while_revalidate.0, freshness.if_error.map(|limit| limit.0))
        };
        assert_eq!(found("max-age=1", ""), (0, None));
        assert_eq!(found("max-age=1", options), (7, Some(8)));
        let said = "max-age=1, stale-while-revalidate=0, stale-if-error=0";
        assert_eq!(found(said, options), (0, Some(0)));
        let said = "max-age=1, stale-while-revalidate=2, stale-if-error=3";
        assert_eq!(found(said, options), (2, Some(3)));
    }

    #[test]
    fn lets_the_strategy_say_for_a_day_how_long_it_may_answer_while_it_is_revalidated() {
        let strategy = "strategy = 'stale-while-revalidate'";
        let found = |said: &str, options: &str| {
            let options = format!("{strategy}\n{options}");
            let exchange = format!("GET -> 200 | Cache-Control: {said}");
            admitted(&exchange, &options).freshness.while_revalidate.0
        };
        assert_eq!(found("max-age=1", ""), 86_400);
        assert_eq!(found("max-age=1", "stale_while_revalidate = '7s'"), 7);
        assert_eq!(found("max-age=1", "stale_while_revalidate = '0s'"), 0);
        assert_eq!(found("max-age=1, stale-while-revalidate=2", ""), 2);
        check_with(strategy, "GET -> 200 | Cache-Control: max-age=0", Ok(0));
        let forbidden = "GET -> 200 | Cache-Control: max-age=0, must-revalidate";
        check_with(strategy, forbidden, Err(Detail::Expired));
    }

    #[test]
    fn stores_what_is_stale_at_once_for_when_the_origin_that_is_asked_first_fails() {
        let options = "strategy = 'network-first'";
        let stale = "GET -> 200 | Cache-Control: max-age=0";
        check_with(options, stale, Ok(0));
        check_with(options, &format!("{stale}, must-revalidate"), Err(Detail::Expired));
        check_with(options, &format!("{stale}, stale-if-error=0"), Err(Detail::Expired));
        check_with(options, "GET -> 200", Err(Detail::NoFreshness));
    }

    fn some_of(pool: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
        prop::collection::vec(prop::sample::select(pool), 0..5)
    }

    const DIRECTIVES: &[&str] = &[
        "public",
        "max-age=60",
        "s-maxage=60",
        "must-revalidate",
        "immutable",
        "stale-while-revalidate=60",
        "x=\"a, b\"",
        "",
    ];
    const FORBIDDING: &[&str] =
        &["private", "no-store", "PRIVATE", "No-Store", "private=\"a\"", "no-store=1", "private="];
    const OTHERS: &[&str] = &[
        "ETag: \"a\"",
        A_DAY_AGO,
        IN_A_MINUTE,
        "Vary: a",
        "Set-Cookie: a=b",
        "Age: 1",
        "Content-Range: bytes 0-1/2",
        "CDN-Cache-Control: &",
        "Pragma: cache",
    ];
    const OPTIONS: &[&str] = &[
        "",
        "ttl = '9s'",
        "ttl_mode = 'override'",
        "set_cookie = 'store'",
        "immutable = ['/**']",
        "ttl_by_status = { 404 = '9s', 302 = '9s', 200 = '9s' }",
        "stale_while_revalidate = '9s'",
        "heuristic = false",
    ];

    proptest! {
        #[test]
        fn never_stores_what_says_private_or_no_store(
            before in some_of(DIRECTIVES),
            forbidding in prop::sample::select(FORBIDDING),
            after in some_of(DIRECTIVES),
            lines: bool,
            others in some_of(OTHERS),
            status in prop::sample::select(&[200, 206, 302, 404, 500, 599][..]),
            method in prop::sample::select(&["GET", "POST", "HEAD"][..]),
            options in prop::sample::subsequence(OPTIONS, 0..=OPTIONS.len()),
        ) {
            let directives = [before, vec![forbidding], after].concat();
            let gap = if lines { " | Cache-Control: " } else { ", " };
            let said = format!("Cache-Control: {}", directives.join(gap));
            let exchange =
                format!("{method} -> {status} | {said} | {}", others.join(" | "));
            let admission = admitted(&exchange, &options.join("\n"));
            prop_assert!(admission.verdict.is_err(), "{exchange}");
        }
    }
}
