//! Decides whether what is stored may answer on a route that asks its origin first.

use crate::event::Fwd;
use crate::field::cache_control::RequestDirectives;
use crate::policy::fail::may_go_ahead;
use crate::policy::rest::Turn;
use crate::policy::reuse::{self, Reuse};
use crate::stored::Freshness;
use crate::time::Timestamp;

/// Says whether what was stored with `stored` may answer a request with `request` that goes to the
/// origin first if `turn` lets it.
#[must_use]
pub fn network_first(
    stored: &Freshness,
    request: &RequestDirectives,
    turn: Turn,
    now: Timestamp,
) -> Reuse {
    let goes = Reuse::Validate(match reuse::decide(stored, request, now) {
        Reuse::Fresh => Fwd::Miss,
        Reuse::Tolerated | Reuse::WhileRevalidate | Reuse::Resting => Fwd::Stale,
        Reuse::Validate(why) => why,
    });
    match turn {
        Turn::Ask | Turn::Try => goes,
        Turn::Wait(trouble) if may_go_ahead(stored, request, trouble, now) => Reuse::Resting,
        Turn::Wait(_) => goes,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::cache_control::MaxStale;
    use crate::policy::fail::Trouble::{Disconnected, Error};
    use crate::policy::testing::{MINUTE, NOW, head};
    use crate::time::Seconds;

    const NEVER_STALE: Freshness = Freshness { never_stale: true, ..MINUTE };
    const NO_CACHE: Freshness = Freshness { always_validate: true, ..MINUTE };
    const IF_ERROR: Freshness = Freshness { if_error: Some(Seconds(30)), ..MINUTE };
    const REVALIDATE: Freshness = Freshness { while_revalidate: Seconds(30), ..MINUTE };
    const DOWN: Turn = Turn::Wait(Disconnected);
    const ERRS: Turn = Turn::Wait(Error);
    const MISS: Reuse = Reuse::Validate(Fwd::Miss);
    const STALE: Reuse = Reuse::Validate(Fwd::Stale);
    const FOR_REQUEST: Reuse = Reuse::Validate(Fwd::Request);

    #[track_caller]
    fn check(stored: &Freshness, request: &str, turn: Turn, age: i64, expected: Reuse) {
        let fields = head(&format!("Cache-Control: {request}"));
        let request = RequestDirectives::parse(&fields);
        let now = Timestamp::from_seconds(NOW.as_seconds() + age);
        assert_eq!(network_first(stored, &request, turn, now), expected, "{request:?} at {age}");
    }

    #[test]
    fn asks_the_origin_whatever_is_stored() {
        for turn in [Turn::Ask, Turn::Try] {
            check(&MINUTE, "", turn, 0, MISS);
            check(&MINUTE, "", turn, 60, STALE);
            check(&MINUTE, "max-stale", turn, 60, STALE);
            check(&REVALIDATE, "", turn, 60, STALE);
            check(&MINUTE, "no-cache", turn, 0, FOR_REQUEST);
            check(&NO_CACHE, "", turn, 0, STALE);
        }
    }

    #[test]
    fn answers_what_is_fresh_while_the_origin_rests() {
        for turn in [DOWN, ERRS] {
            check(&MINUTE, "", turn, 59, Reuse::Resting);
            check(&NEVER_STALE, "", turn, 59, Reuse::Resting);
            check(&MINUTE, "max-age=10", turn, 10, Reuse::Resting);
        }
    }

    #[test]
    fn answers_stale_while_the_origin_rests_for_as_long_as_if_it_failed() {
        check(&MINUTE, "", DOWN, 60, Reuse::Resting);
        check(&MINUTE, "", DOWN, 60 + 86_400, Reuse::Resting);
        check(&MINUTE, "", DOWN, 61 + 86_400, STALE);
        check(&MINUTE, "", ERRS, 60, STALE);
        check(&IF_ERROR, "", ERRS, 90, Reuse::Resting);
        check(&IF_ERROR, "", ERRS, 91, STALE);
        check(&REVALIDATE, "", ERRS, 90, Reuse::Resting);
        check(&MINUTE, "max-stale=5", ERRS, 65, Reuse::Resting);
    }

    #[test]
    fn asks_the_origin_though_it_rests_where_response_or_request_wants_it() {
        check(&NEVER_STALE, "", DOWN, 60, STALE);
        check(&NO_CACHE, "", DOWN, 0, STALE);
        check(&MINUTE, "no-cache", DOWN, 0, FOR_REQUEST);
        check(&MINUTE, "max-age=10", DOWN, 11, FOR_REQUEST);
        check(&MINUTE, "max-age=100", DOWN, 60, STALE);
        check(&MINUTE, "min-fresh=10", DOWN, 51, FOR_REQUEST);
        check(&MINUTE, "min-fresh=0", DOWN, 60, STALE);
        check(&MINUTE, "max-stale=5", DOWN, 66, STALE);
    }

    prop_compose! {
        fn a_request()(
            no_cache in prop::bool::weighted(0.1),
            max_age in prop::option::of(0..100_u64),
            min_fresh in prop::option::of(0..50_u64),
            max_stale in prop::option::of(0..50_u64),
            stale_if_error in prop::option::of(0..50_u64),
        ) -> RequestDirectives {
            RequestDirectives {
                no_cache,
                max_age: max_age.map(Seconds),
                min_fresh: min_fresh.map(Seconds),
                max_stale: max_stale.map(|most| MaxStale::AtMost(Seconds(most))),
                stale_if_error: stale_if_error.map(Seconds),
                ..RequestDirectives::default()
            }
        }
    }

    proptest! {
        #[test]
        fn never_answers_unasked_older_than_the_request_or_staler_than_the_response_allows(
            request in a_request(),
            never_stale: bool,
            always_validate in prop::bool::weighted(0.1),
            age in 0..200_i64,
            turn in prop::sample::select(&[Turn::Ask, Turn::Try, DOWN, ERRS][..]),
        ) {
            let stored = Freshness { never_stale, always_validate, ..IF_ERROR };
            let now = Timestamp::from_seconds(NOW.as_seconds() + age);
            let reuse = network_first(&stored, &request, turn, now);
            if reuse == Reuse::Resting {
                prop_assert!(matches!(turn, Turn::Wait(_)));
                prop_assert!(!always_validate && !request.no_cache);
                prop_assert!(!never_stale || stored.is_fresh(now));
                prop_assert!(request.max_age.is_none_or(|most| stored.age(now) <= most));
            } else {
                prop_assert!(matches!(reuse, Reuse::Validate(_)));
            }
        }
    }
}
