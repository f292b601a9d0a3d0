//! Decides what to answer when the origin fails: something stale, or an error (RFC 9111 §4.2.4,
//! RFC 5861 §4).

use http::StatusCode;

use crate::field::cache_control::RequestDirectives;
use crate::policy::reuse::{self, Reuse};
use crate::stored::Freshness;
use crate::time::{Seconds, Timestamp};

/// Whether a status stands for an error that something stale may replace (RFC 5861 §4).
#[must_use]
pub const fn is_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// What went wrong with a forward request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The origin could not be asked, or gave no answer: the cache is disconnected.
    Disconnected,
    /// The origin answered with an error.
    Error,
}

/// For how long past its lifetime something stale may answer when the origin cannot be asked and
/// nobody said otherwise.
const WHILE_DISCONNECTED: Seconds = Seconds(24 * 60 * 60);

/// Whether what is stored may answer in place of an origin that was asked and met with `trouble`.
///
/// What is fresh may, where only the route wanted the origin to be asked.
#[must_use]
pub fn may_stand_in(
    stored: &Freshness,
    request: &RequestDirectives,
    trouble: Trouble,
    now: Timestamp,
) -> bool {
    reuse::decide(stored, request, now) == Reuse::Fresh
        || may_serve_stale(stored, request, trouble, now)
}

/// Whether what is stored may answer before the origin has, since that rests after `trouble` or
/// is late.
///
/// The origin might still have the better answer: a request that says itself how old an answer
/// may be is taken at its word.
#[must_use]
pub fn may_go_ahead(
    stored: &Freshness,
    request: &RequestDirectives,
    trouble: Trouble,
    now: Timestamp,
) -> bool {
    let is_choosy =
        request.max_age.is_some() || request.min_fresh.is_some() || request.max_stale.is_some();
    !matches!(reuse::decide(stored, request, now), Reuse::Validate(_))
        || (!is_choosy && may_serve_stale(stored, request, trouble, now))
}

/// Whether what is stored may answer stale in spite of `trouble`.
///
/// For as long as `stale-if-error` says, by the response, by the request, or by the route; never
/// against the word of the response. A cache that is disconnected may do so by itself
/// (RFC 9111 §4.2.4).
fn may_serve_stale(
    stored: &Freshness,
    request: &RequestDirectives,
    trouble: Trouble,
    now: Timestamp,
) -> bool {
    if stored.never_stale || stored.always_validate || request.no_cache {
        return false;
    }
    let by_itself = match trouble {
        Trouble::Disconnected => WHILE_DISCONNECTED,
        Trouble::Error => Seconds::ZERO,
    };
    let allowed = request.stale_if_error.max(stored.if_error).unwrap_or(by_itself);
    allowed > Seconds::ZERO && stored.staleness(now) <= allowed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Trouble::{Disconnected, Error};
    use super::*;
    use crate::policy::testing::{MINUTE, NOW, head};

    const DAY: i64 = 24 * 60 * 60;

    fn if_error(seconds: u64) -> Freshness {
        Freshness { if_error: Some(Seconds(seconds)), ..MINUTE }
    }

    #[track_caller]
    fn check(stored: Freshness, request: &str, trouble: Trouble, staleness: i64, expected: bool) {
        let request = RequestDirectives::parse(&head(&format!("Cache-Control: {request}")));
        let now = Timestamp::from_seconds(NOW.as_seconds() + 60 + staleness);
        assert_eq!(may_serve_stale(&stored, &request, trouble, now), expected, "{request:?}");
    }

    #[test]
    fn knows_the_statuses_that_stand_for_an_error() {
        let errors: Vec<u16> =
            (100..600).filter(|status| is_error(StatusCode::from_u16(*status).unwrap())).collect();
        assert_eq!(errors, [500, 502, 503, 504]);
    }

    #[test]
    fn lets_what_is_fresh_stand_in_for_whatever_failed() {
        let stands_in = |stored: &Freshness, request: &str, trouble, age: i64| {
            let request = RequestDirectives::parse(&head(&format!("Cache-Control: {request}")));
            let now = Timestamp::from_seconds(NOW.as_seconds() + age);
            may_stand_in(stored, &request, trouble, now)
        };
        for trouble in [Disconnected, Error] {
            assert!(stands_in(&MINUTE, "", trouble, 59));
            assert!(stands_in(&Freshness { never_stale: true, ..MINUTE }, "", trouble, 59));
            assert!(stands_in(&if_error(0), "", trouble, 59));
            assert!(!stands_in(&Freshness { always_validate: true, ..MINUTE }, "", trouble, 59));
            assert!(!stands_in(&MINUTE, "no-cache", trouble, 59));
        }
        assert!(stands_in(&MINUTE, "", Disconnected, 60));
        assert!(!stands_in(&MINUTE, "", Error, 60));
        assert!(stands_in(&if_error(30), "", Error, 90));
    }

    #[test]
    fn replaces_an_error_only_if_somebody_said_so() {
        check(MINUTE, "", Error, 0, false);
        check(MINUTE, "", Error, 1, false);
        check(if_error(30), "", Error, 30, true);
        check(if_error(30), "", Error, 31, false);
        check(if_error(0), "", Error, 0, false);
        check(MINUTE, "stale-if-error=30", Error, 30, true);
        check(MINUTE, "stale-if-error=30", Error, 31, false);
    }

    #[test]
    fn takes_the_longer_of_what_request_and_response_allow() {
        check(if_error(30), "stale-if-error=60", Error, 60, true);
        check(if_error(60), "stale-if-error=30", Error, 60, true);
        check(if_error(60), "stale-if-error=30", Error, 61, false);
    }

    #[test]
    fn answers_for_a_day_by_itself_while_it_is_disconnected() {
        check(MINUTE, "", Disconnected, 1, true);
        check(MINUTE, "", Disconnected, DAY, true);
        check(MINUTE, "", Disconnected, DAY + 1, false);
        check(if_error(30), "", Disconnected, 31, false);
        check(if_error(0), "", Disconnected, 1, false);
    }

    #[test]
    fn answers_nothing_stale_against_the_word_of_response_or_request() {
        for trouble in [Disconnected, Error] {
            check(Freshness { never_stale: true, ..if_error(30) }, "", trouble, 1, false);
            check(Freshness { always_validate: true, ..if_error(30) }, "", trouble, 1, false);
            check(if_error(30), "no-cache", trouble, 1, false);
            check(if_error(30), "max-age=0", trouble, 1, true);
        }
    }

    proptest! {
        #[test]
        fn never_serves_stale_what_must_be_validated(
            never_stale: bool,
            limit in prop::option::of(0..100_u64),
            asked in prop::option::of(0..100_u64),
            disconnected: bool,
            staleness in 0..200_i64,
        ) {
            let stored = Freshness {
                never_stale,
                always_validate: !never_stale,
                if_error: limit.map(Seconds),
                ..MINUTE
            };
            let request = RequestDirectives {
                stale_if_error: asked.map(Seconds),
                ..RequestDirectives::default()
            };
            let now = Timestamp::from_seconds(NOW.as_seconds() + 60 + staleness);
            let trouble = if disconnected { Disconnected } else { Error };
            prop_assert!(!may_serve_stale(&stored, &request, trouble, now));
        }
    }
}
