//! Says how a request was answered, as `Cache-Status` (RFC 9211).

use std::fmt::Write as _;

use crate::event::{Detail, Disclosed, Tier, Trail};

/// The name under which this cache speaks of itself.
pub const NAME: &str = "forebay";

/// Prints the member of `Cache-Status` for `trail`.
#[must_use]
pub fn cache_status(trail: &Trail) -> String {
    let mut text = String::with_capacity(64);
    text.push_str(NAME);
    if trail.hit {
        text.push_str("; hit");
    } else if let Some(fwd) = trail.fwd {
        text.push_str("; fwd=");
        text.push_str(fwd.token());
    }
    if let Some(status) = trail.fwd_status {
        number(&mut text, "; fwd-status=", i64::from(status));
    }
    if let Some(ttl) = trail.ttl {
        number(&mut text, "; ttl=", ttl);
    }
    if trail.stored {
        text.push_str("; stored");
    }
    if trail.collapsed {
        text.push_str("; collapsed");
    }
    let detail = trail.detail.map(Detail::token);
    if let Some(detail) = detail.or_else(|| trail.tier.map(Tier::token)) {
        text.push_str("; detail=");
        text.push_str(detail);
    }
    text
}

/// Adds to a member of `Cache-Status` what is disclosed: the key (RFC 9211 §2.7), and the route as
/// a parameter of our own.
pub fn disclose(text: &mut String, disclosed: &Disclosed) {
    let Disclosed { key, route, place } = disclosed;
    for (name, value) in [("; key=", key.as_str()), ("; route=", &format!("{route} ({place})"))] {
        text.push_str(name);
        quoted(text, value);
    }
}

/// Adds a string of a structured field (RFC 8941 §3.3.3); what cannot stand in one is left out.
fn quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars().filter(|c| matches!(c, ' '..='~')) {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

/// Prints `Server-Timing` for `trail`: how it was answered, and how long the origin took.
#[must_use]
pub fn server_timing(trail: &Trail) -> String {
    let answered = match trail.fwd {
        _ if trail.hit => "hit",
        Some(fwd) => fwd.token(),
        None => "none",
    };
    trail.waited.map_or_else(
        || format!("edge;desc={answered}"),
        |waited| format!("edge;desc={answered}, origin;dur={:.1}", waited.as_secs_f64() * 1000.0),
    )
}

/// The largest number of a structured field (RFC 8941 §3.3.1).
const LARGEST: i64 = 999_999_999_999_999;

fn number(text: &mut String, name: &str, value: i64) {
    text.push_str(name);
    let value = value.clamp(-LARGEST, LARGEST);
    if write!(text, "{value}").is_err() {
        // Writing to a `String` does not fail.
        text.push('0');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use sfv::{BareItem, ListEntry, Parser};

    use super::*;
    use crate::event::Fwd;

    #[test]
    fn discloses_the_key_and_the_route_as_strings() {
        let mut text = "forebay; hit".to_owned();
        let key = "http://a.example/\u{e9}?\"b\" {c: \\n}".to_owned();
        let place = "line 7".to_owned();
        disclose(&mut text, &Disclosed { key, route: "all".into(), place });
        let expected =
            "forebay; hit; key=\"http://a.example/?\\\"b\\\" {c: \\\\n}\"; route=\"all (line 7)\"";
        assert_eq!(text, expected);
    }

    /// Every fact that is told beside a reason.
    const DETAILS: [Detail; 11] = [
        Detail::StaleWhileRevalidate,
        Detail::StaleIfError,
        Detail::MaxStale,
        Detail::NetworkFirst,
        Detail::OriginResting,
        Detail::OnlyIfCached,
        Detail::RouteBypass,
        Detail::NoStore,
        Detail::VaryStar,
        Detail::HitForMiss,
        Detail::OriginUnreachable,
    ];
    const QUIET: Trail = Trail {
        fwd: None,
        hit: false,
        tier: None,
        fwd_status: None,
        ttl: None,
        stored: false,
        collapsed: false,
        detail: None,
        waited: None,
    };
    const HIT: Trail = Trail { hit: true, ..QUIET };
    const MISS: Trail = Trail { fwd: Some(Fwd::UriMiss), ..QUIET };

    #[track_caller]
    fn check(trail: Trail, expected: &str) {
        assert_eq!(cache_status(&trail), expected);
    }

    #[test]
    fn tells_how_a_request_was_answered() {
        check(QUIET, "forebay");
        check(HIT, "forebay; hit");
        check(Trail { ttl: Some(57), ..HIT }, "forebay; hit; ttl=57");
        check(
            Trail { ttl: Some(-3), detail: Some(Detail::StaleWhileRevalidate), ..HIT },
            "forebay; hit; ttl=-3; detail=stale-while-revalidate",
        );
        check(
            Trail { fwd_status: Some(200), stored: true, collapsed: true, ..MISS },
            "forebay; fwd=uri-miss; fwd-status=200; stored; collapsed",
        );
        check(Trail { detail: Some(Detail::BadRequest), ..QUIET }, "forebay; detail=bad-request");
    }

    #[test]
    fn names_the_reasons_as_rfc_9211_does() {
        let names = Fwd::ALL.map(Fwd::token);
        let registered =
            ["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"];
        assert_eq!(names, registered);
    }

    #[test]
    fn prints_no_number_that_a_structured_field_cannot_hold() {
        check(Trail { ttl: Some(i64::MAX), ..HIT }, "forebay; hit; ttl=999999999999999");
        check(Trail { ttl: Some(i64::MIN), ..HIT }, "forebay; hit; ttl=-999999999999999");
    }

    #[test]
    fn tells_where_a_hit_was_found_if_nothing_else_decided() {
        let disk = Trail { tier: Some(Tier::Disk), ..HIT };
        check(disk, "forebay; hit; detail=disk");
        let stale = Trail { detail: Some(Detail::MaxStale), ..disk };
        check(stale, "forebay; hit; detail=max-stale");
    }

    #[test]
    fn tells_in_server_timing_how_long_the_origin_took() {
        assert_eq!(server_timing(&HIT), "edge;desc=hit");
        assert_eq!(server_timing(&QUIET), "edge;desc=none");
        let waited = Some(Duration::from_micros(12_345));
        let expected = "edge;desc=uri-miss, origin;dur=12.3";
        assert_eq!(server_timing(&Trail { waited, ..MISS }), expected);
    }

    proptest! {
        #[test]
        fn prints_one_member_of_a_structured_list(
            fwd in prop::option::of(prop::sample::select(&Fwd::ALL[..])),
            hit: bool,
            fwd_status in prop::option::of(100..1000_u16),
            ttl: Option<i64>,
            stored: bool,
            collapsed: bool,
            detail in prop::option::of(prop::sample::select(&DETAILS[..])),
        ) {
            let trail = Trail { fwd, hit, fwd_status, ttl, stored, collapsed, detail, ..QUIET };
            let text = cache_status(&trail);
            let list = Parser::parse_list(text.as_bytes()).expect("a list of RFC 8941");
            prop_assert_eq!(list.len(), 1);
            let ListEntry::Item(item) = &list[0] else { panic!("{text} is an inner list") };
            prop_assert_eq!(item.bare_item.as_token(), Some("forebay"));
            let said = |name: &str| item.params.get(name);
            prop_assert!(said("hit").is_none() || said("fwd").is_none(), "{text}");
            prop_assert_eq!(said("hit").is_some(), hit);
            prop_assert_eq!(said("fwd").is_some(), fwd.is_some() && !hit);
            prop_assert_eq!(said("stored").is_some(), stored);
            prop_assert_eq!(said("collapsed").is_some(), collapsed);
            let number = |name| said(name).and_then(BareItem::as_int);
            prop_assert_eq!(number("fwd-status"), fwd_status.map(i64::from));
            prop_assert_eq!(number("ttl").is_some(), ttl.is_some());
            prop_assert_eq!(said("detail").and_then(BareItem::as_token), detail.map(Detail::token));
        }
    }
}
