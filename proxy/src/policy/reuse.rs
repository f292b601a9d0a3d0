//! Decides whether a stored response may answer a request (RFC 9111 §4).

use crate::event::{Detail, Fwd};
use crate::field::cache_control::{MaxStale, RequestDirectives};
use crate::stored::Freshness;
use crate::time::{Seconds, Timestamp};

/// Whether a stored response may answer, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It is fresh enough.
    Fresh,
    /// It is stale, but the request says that this will do (RFC 9111 §5.2.1.2).
    Tolerated,
    /// It is stale and may answer while it is revalidated in the background (RFC 5861 §3).
    WhileRevalidate,
    /// It may answer before the origin is asked, which comes first but rests.
    Resting,
    /// It must be validated first, because of this.
    Validate(Fwd),
}

impl Reuse {
    /// The fact that `Cache-Status` tells beside `hit` or `fwd`.
    #[must_use]
    pub const fn detail(self) -> Option<Detail> {
        match self {
            Self::Tolerated => Some(Detail::MaxStale),
            Self::WhileRevalidate => Some(Detail::StaleWhileRevalidate),
            Self::Resting => Some(Detail::OriginResting),
            Self::Validate(Fwd::Miss) => Some(Detail::NetworkFirst),
            Self::Fresh | Self::Validate(_) => None,
        }
    }
}

/// Says whether what was stored with `stored` may answer a request with `request`.
#[must_use]
pub fn decide(stored: &Freshness, request: &RequestDirectives, now: Timestamp) -> Reuse {
    if stored.always_validate || stored.withdrawn {
        return Reuse::Validate(Fwd::Stale);
    }
    if request.no_cache {
        return Reuse::Validate(if stored.is_fresh(now) { Fwd::Request } else { Fwd::Stale });
    }
    let age = stored.age(now);
    let too_old = request.max_age.is_some_and(|limit| age > limit);
    if stored.is_fresh(now) {
        let left = stored.lifetime.minus(age);
        let too_short = request.min_fresh.is_some_and(|wanted| left < wanted);
        return if too_old || too_short { Reuse::Validate(Fwd::Request) } else { Reuse::Fresh };
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
    //# A cache MUST NOT generate a stale response if it is prohibited by an
    //# explicit in-protocol directive
    if stored.never_stale {
        return Reuse::Validate(Fwd::Stale);
    }
    let staleness = stored.staleness(now);
    // Who wants a response that stays fresh for a while tolerates no stale one.
    let refused = too_old || request.min_fresh.is_some();
    match request.max_stale {
        Some(MaxStale::Any) if !refused => return Reuse::Tolerated,
        Some(MaxStale::AtMost(limit)) if !refused && staleness <= limit => return Reuse::Tolerated,
        Some(_) => return Reuse::Validate(Fwd::Stale),
        None => {}
    }
    if stored.while_revalidate > Seconds::ZERO
        && staleness <= stored.while_revalidate
        && request.max_age.is_none()
        && !refused
    {
        return Reuse::WhileRevalidate;
    }
    Reuse::Validate(Fwd::Stale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{MINUTE, NOW, head};

    const NO_CACHE: Freshness = Freshness { always_validate: true, ..MINUTE };
    const NEVER_STALE: Freshness =
        Freshness { never_stale: true, while_revalidate: Seconds(30), ..MINUTE };
    const REVALIDATE: Freshness = Freshness { while_revalidate: Seconds(30), ..MINUTE };
    const FOR_REQUEST: Reuse = Reuse::Validate(Fwd::Request);
    const STALE: Reuse = Reuse::Validate(Fwd::Stale);

    fn asking(cache_control: &str) -> RequestDirectives {
        RequestDirectives::parse(&head(&format!("Cache-Control: {cache_control}")))
    }

    #[track_caller]
    fn check(stored: &Freshness, request: &str, age: i64, expected: Reuse) {
        let now = Timestamp::from_seconds(NOW.as_seconds() + age);
        assert_eq!(decide(stored, &asking(request), now), expected, "{request} at {age}");
    }

    #[test]
    fn answers_until_its_age_reaches_its_lifetime() {
        check(&MINUTE, "", 0, Reuse::Fresh);
        check(&MINUTE, "", 59, Reuse::Fresh);
        check(&MINUTE, "", 60, STALE);
        check(&MINUTE, "", 100_000, STALE);
        check(&Freshness { lifetime: Seconds::ZERO, ..MINUTE }, "", 0, STALE);
    }

    #[test]
    fn counts_the_age_it_arrived_with() {
        let aged = Freshness { initial_age: Seconds(50), ..MINUTE };
        check(&aged, "", 9, Reuse::Fresh);
        check(&aged, "", 10, STALE);
        check(&aged, "max-age=50", 0, Reuse::Fresh);
        check(&aged, "max-age=49", 0, FOR_REQUEST);
    }

    #[test]
    fn is_validated_before_each_use_if_the_response_says_no_cache() {
        check(&NO_CACHE, "", 0, STALE);
        check(&NO_CACHE, "max-stale", 0, STALE);
        check(&Freshness { while_revalidate: Seconds(90), ..NO_CACHE }, "", 61, STALE);
    }

    #[test]
    fn is_validated_once_it_was_purged() {
        let purged = Freshness { withdrawn: true, ..REVALIDATE };
        for request in ["", "max-stale", "max-age=60"] {
            check(&purged, request, 0, STALE);
            check(&purged, request, 70, STALE);
        }
    }

    #[test]
    fn is_validated_if_the_request_says_no_cache() {
        check(&MINUTE, "no-cache", 0, FOR_REQUEST);
        check(&MINUTE, "no-cache, max-stale", 0, FOR_REQUEST);
        // Nothing fresh was there for the request to refuse (RFC 9211 §2.2).
        check(&MINUTE, "no-cache", 60, STALE);
        check(&REVALIDATE, "no-cache", 70, STALE);
        check(&NO_CACHE, "no-cache", 0, STALE);
    }

    #[test]
    fn obeys_max_age_of_the_request() {
        check(&MINUTE, "max-age=10", 10, Reuse::Fresh);
        check(&MINUTE, "max-age=10", 11, FOR_REQUEST);
        check(&MINUTE, "max-age=0", 0, Reuse::Fresh);
        check(&MINUTE, "max-age=0", 1, FOR_REQUEST);
        check(&MINUTE, "max-age=1000", 60, STALE);
        check(&REVALIDATE, "max-age=1000", 60, STALE);
    }

    #[test]
    fn obeys_min_fresh() {
        check(&MINUTE, "min-fresh=60", 0, Reuse::Fresh);
        check(&MINUTE, "min-fresh=10", 50, Reuse::Fresh);
        check(&MINUTE, "min-fresh=10", 51, FOR_REQUEST);
        check(&REVALIDATE, "min-fresh=0", 60, STALE);
        check(&MINUTE, "min-fresh=10, max-stale=100", 51, FOR_REQUEST);
        check(&MINUTE, "min-fresh=10, max-stale=100", 61, STALE);
    }

    #[test]
    fn obeys_max_stale() {
        check(&MINUTE, "max-stale", 100_000, Reuse::Tolerated);
        check(&MINUTE, "max-stale=5", 65, Reuse::Tolerated);
        check(&MINUTE, "max-stale=5", 66, STALE);
        check(&MINUTE, "max-stale=0", 60, Reuse::Tolerated);
        check(&MINUTE, "max-stale, max-age=70", 70, Reuse::Tolerated);
        check(&MINUTE, "max-stale, max-age=70", 71, STALE);
    }

    #[test]
    fn answers_stale_while_it_is_revalidated() {
        check(&REVALIDATE, "", 59, Reuse::Fresh);
        check(&REVALIDATE, "", 60, Reuse::WhileRevalidate);
        check(&REVALIDATE, "", 90, Reuse::WhileRevalidate);
        check(&REVALIDATE, "", 91, STALE);
        // The request says how stale is too stale.
        check(&REVALIDATE, "max-stale=5", 66, STALE);
    }

    #[test]
    fn answers_nothing_stale_against_the_word_of_the_response() {
        check(&NEVER_STALE, "", 59, Reuse::Fresh);
        check(&NEVER_STALE, "", 60, STALE);
        check(&NEVER_STALE, "max-stale", 60, STALE);
    }

    #[test]
    fn tells_why_it_answers_or_does_not() {
        assert_eq!(Reuse::Fresh.detail(), None);
        assert_eq!(Reuse::Tolerated.detail(), Some(Detail::MaxStale));
        assert_eq!(Reuse::WhileRevalidate.detail(), Some(Detail::StaleWhileRevalidate));
        assert_eq!(Reuse::Resting.detail(), Some(Detail::OriginResting));
        assert_eq!(Reuse::Validate(Fwd::Stale).detail(), None);
        assert_eq!(Reuse::Validate(Fwd::Miss).detail(), Some(Detail::NetworkFirst));
    }

    /// How freely it may answer: this never grows with its age.
    const fn freedom(reuse: Reuse) -> u8 {
        match reuse {
            Reuse::Fresh => 2,
            Reuse::Tolerated | Reuse::WhileRevalidate | Reuse::Resting => 1,
            Reuse::Validate(_) => 0,
        }
    }

    prop_compose! {
        fn a_freshness()(
            initial_age in 0..50_u64,
            lifetime in 0..50_u64,
            always_validate: bool,
            never_stale: bool,
            while_revalidate in 0..50_u64,
        ) -> Freshness {
            Freshness {
                withdrawn: false,
                arrived: NOW,
                initial_age: Seconds(initial_age),
                lifetime: Seconds(lifetime),
                always_validate,
                never_stale,
                while_revalidate: Seconds(while_revalidate),
                if_error: None,
            }
        }
    }

    prop_compose! {
        fn a_request()(
            no_cache in prop::bool::weighted(0.1),
            max_age in prop::option::of(0..100_u64),
            min_fresh in prop::option::of(0..50_u64),
            max_stale in prop::option::of(prop::option::of(0..50_u64)),
        ) -> RequestDirectives {
            RequestDirectives {
                no_cache,
                max_age: max_age.map(Seconds),
                min_fresh: min_fresh.map(Seconds),
                max_stale: max_stale
                    .map(|most| most.map_or(MaxStale::Any, |most| MaxStale::AtMost(Seconds(most)))),
                ..RequestDirectives::default()
            }
        }
    }

    proptest! {
        #[test]
        fn never_turns_fresh_again_as_time_passes(
            stored in a_freshness(), request in a_request(), early in 0..150_i64, more in 0..150_i64,
        ) {
            let at = |seconds| Timestamp::from_seconds(NOW.as_seconds() + seconds);
            let sooner = decide(&stored, &request, at(early));
            let later = decide(&stored, &request, at(early + more));
            prop_assert!(freedom(later) <= freedom(sooner), "{sooner:?}, then {later:?}");
        }
    }
}
