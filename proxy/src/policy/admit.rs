//! Decides whether a response may be stored, and how long it is fresh (RFC 9111 §3, §4.2).

use std::time::Duration;

use forebay_config::{Policy, SetCookie, TtlMode};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::event::Detail;
use crate::field::cache_control::ResponseDirectives;
use crate::field::date::Expires;
use crate::field::range::ContentRange;
use crate::field::vary::Vary;
use crate::field::{age, date, targeted};
use crate::policy::request::Ask;
use crate::stored::Freshness;
use crate::time::{Seconds, Timestamp};

/// The fields that speak to this cache before `Cache-Control` does, in order (RFC 9213 §2.2).
pub const TARGETED: [HeaderName; 2] = [
    HeaderName::from_static("forebay-cache-control"),
    HeaderName::from_static("cdn-cache-control"),
];

/// How long a response under a hashed name is fresh: a year.
const HASHED_NAME: Duration = Duration::from_hours(365 * 24);
/// What a browser is told of a response under a hashed name (RFC 8246).
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The longest lifetime that is guessed from `Last-Modified`.
const LONGEST_GUESS: Seconds = Seconds(24 * 60 * 60);

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
    /// Which request fields select it.
    pub vary: Vec<HeaderName>,
    /// What part of the whole it is.
    pub part: Option<ContentRange>,
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
    let freshness = source.freshness(lifetime.unwrap_or(Seconds::ZERO));
    let mut verdict = storable(ask, arrival, &said, rules);
    if verdict.is_ok() && varies_beyond_requests(&vary) {
        verdict = Err(Detail::VaryStar);
    }
    if verdict.is_ok() && arrival.status == StatusCode::PARTIAL_CONTENT {
        verdict = part.as_ref().map_or(Err(Detail::Part), |_| Ok(()));
    }
    let verdict = verdict.and_then(|()| worthwhile(ask, &source, lifetime, &freshness));
    let silent = !said.present && expires.is_none();
    Admission {
        freshness,
        vary: if let Vary::Fields(names) = vary { names } else { Vec::new() },
        part,
        cache_control: (immutable && silent && verdict.is_ok()).then_some(IMMUTABLE),
        strip_cookies: rules.set_cookie == SetCookie::Strip && verdict.is_ok(),
        verdict,
    }
}

/// Whether no request can tell that it selects the same: everything selects, or the address of
/// the client does, which the edge says in its own words.
fn varies_beyond_requests(vary: &Vary) -> bool {
    match vary {
        Vary::Nothing => false,
        Vary::Everything => true,
        Vary::Fields(names) => names.iter().any(|name| name == "x-forwarded-for"),
    }
}

/// Whether anything forbids to store it (RFC 9111 §3).
fn storable(
    ask: &Ask,
    arrival: &Arrival<'_>,
    said: &ResponseDirectives,
    rules: &Policy,
) -> Result<(), Detail> {
    let status = arrival.status;
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
    Ok(())
}

/// Whether storing it could ever save anything, given that nothing forbids it.
fn worthwhile(
    ask: &Ask,
    source: &Source<'_>,
    lifetime: Option<Seconds>,
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
    let usable_stale =
        freshness.while_revalidate.0 > 0 || freshness.if_error.is_some_and(|limit| limit.0 > 0);
    let kept = |allowed: bool, otherwise: Detail| if allowed { Ok(()) } else { Err(otherwise) };
    match lifetime {
        // A status that is not heuristically cacheable needs freshness, not only a validator.
        None => kept(validator && is_heuristic(source.arrival.status), Detail::NoFreshness),
        Some(_) if freshness.always_validate => kept(validator, Detail::Expired),
        Some(_) if freshness.is_fresh(freshness.arrived) => Ok(()),
        Some(_) => kept(validator || usable_stale, Detail::Expired),
    }
}

/// Everything that speaks about the lifetime of one response.
struct Source<'a> {
    said: &'a ResponseDirectives,
    expires: Option<Expires>,
    arrival: &'a Arrival<'a>,
    rules: &'a Policy,
    immutable: bool,
}

impl Source<'_> {
    /// How long it is fresh: what the origin says, what the route says, or a guess, as the route
    /// wants it; `None` if nobody knows.
    fn lifetime(&self) -> Option<Seconds> {
        match self.rules.ttl_mode {
            TtlMode::Override => {
                self.of_route().or_else(|| self.explicit()).or_else(|| self.guess())
            }
            TtlMode::Default => {
                self.explicit().or_else(|| self.of_route()).or_else(|| self.guess())
            }
            TtlMode::Respect => {
                self.explicit().or_else(|| self.guess()).or_else(|| self.of_route())
            }
        }
    }

    /// What the origin says (RFC 9111 §4.2.1).
    fn explicit(&self) -> Option<Seconds> {
        self.said.s_maxage.or(self.said.max_age).or_else(|| match self.expires? {
            Expires::At(expires) => Some(expires.since(self.date())),
            Expires::Invalid => Some(Seconds::ZERO),
        })
    }

    /// Whether the `ttl` of a route is meant for such a status. An error is not kept for as long
    /// as what was asked for; `ttl_by_status` can say so.
    fn takes_ttl(&self) -> bool {
        let status = self.arrival.status;
        is_heuristic(status) && !status.is_client_error() && !status.is_server_error()
    }

    /// What the route says.
    fn of_route(&self) -> Option<Seconds> {
        let by_status = self.rules.ttl_by_status.get(&self.arrival.status.as_u16()).copied();
        by_status
            .or_else(|| self.immutable.then_some(HASHED_NAME))
            .or_else(|| self.takes_ttl().then_some(self.rules.ttl).flatten())
            .map(Seconds::from)
    }

    /// A tenth of the time since it was last modified, a day at most (RFC 9111 §4.2.2).
    fn guess(&self) -> Option<Seconds> {
        let allowed =
            self.rules.heuristic && (is_heuristic(self.arrival.status) || self.said.public);
        if !allowed {
            return None;
        }
        let modified = date::last_modified(self.arrival.fields)?;
        Some(Seconds(self.date().since(modified).0 / 10).min(LONGEST_GUESS))
    }

    /// When the origin made it: `Date`, or else when it came in (RFC 9110 §6.6.1).
    fn date(&self) -> Timestamp {
        date::date(self.arrival.fields).unwrap_or(self.arrival.arrived)
    }

    fn freshness(&self, lifetime: Seconds) -> Freshness {
        let Arrival { asked, arrived, fields, .. } = *self.arrival;
        let apparent_age = arrived.since(self.date());
        let corrected_age = age::age(fields).plus(arrived.since(asked));
        let overridden = self.rules.ttl_mode == TtlMode::Override && self.of_route().is_some();
        let never_stale = self.said.must_revalidate
            || self.said.proxy_revalidate
            || (self.said.s_maxage.is_some() && !overridden);
        let or_rule = |said: Option<Seconds>, rule: Option<Duration>| {
            said.or_else(|| rule.map(Seconds::from))
        };
        let while_revalidate =
            or_rule(self.said.stale_while_revalidate, self.rules.stale_while_revalidate);
        Freshness {
            arrived,
            initial_age: apparent_age.max(corrected_age),
            lifetime,
            // A `no-cache` that names fields is taken for one that names none.
            always_validate: self.said.no_cache.is_some() && !overridden,
            never_stale,
            while_revalidate: while_revalidate.unwrap_or(Seconds::ZERO),
            if_error: or_rule(self.said.stale_if_error, self.rules.stale_if_error),
        }
    }
}

/// Statuses that are heuristically cacheable (RFC 9110 §15.1).
const fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses whose caching requirements this cache knows (RFC 9111 §3).
fn is_understood(status: StatusCode) -> bool {
    status.canonical_reason().is_some()
}
