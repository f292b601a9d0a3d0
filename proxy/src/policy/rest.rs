//! Decides when an origin that keeps failing is asked again, on a route that asks it first.

use std::time::Duration;

use crate::policy::fail::Trouble;
use crate::time::Timestamp;

/// How long an origin rests after its first failure; after each further one, twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest that it rests.
const LONGEST: Duration = Duration::from_secs(30);
/// As many failures as make the longest rest; more are not counted.
const MOST_FAILURES: u8 = 6;

/// How an origin has been doing on one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// How often it failed in a row.
    failures: u8,
    /// How it failed last; nothing if it is well.
    trouble: Option<Trouble>,
    /// Until when it is not asked if something stored can answer.
    until: Timestamp,
    /// What began before this tells nothing new by failing: a hundred requests that were under
    /// way together are one failure, and so is what fails while the origin rests.
    news_since: Timestamp,
}

/// Whether a request goes to the origin for which something stored could answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It does: the origin is well.
    Ask,
    /// It does, and it alone, to see whether the origin is well again.
    Try,
    /// It does not: the origin rests after this.
    Wait(Trouble),
}

impl Rest {
    /// Whether a request goes to the origin at `now`.
    #[must_use]
    pub fn turn(&self, now: Timestamp) -> Turn {
        match self.trouble {
            // An end further away than any rest was set by a clock that has been put back since.
            Some(trouble) if now < self.until && self.until <= now.after(LONGEST) => {
                Turn::Wait(trouble)
            }
            Some(_) => Turn::Try,
            None => Turn::Ask,
        }
    }

    /// What holds once a request has gone at `now` to try. If nothing is heard of it, another one
    /// goes after as long a rest.
    #[must_use]
    pub fn tried(self, now: Timestamp) -> Self {
        Self { until: now.after(length(self.failures)), news_since: now, ..self }
    }

    /// What holds after a request that went forward at `began` has met with `trouble` by `now`.
    #[must_use]
    pub fn failed(self, trouble: Trouble, began: Timestamp, now: Timestamp) -> Self {
        if began < self.news_since {
            return self;
        }
        let failures = self.failures.saturating_add(1).min(MOST_FAILURES);
        let until = now.after(length(failures));
        Self { failures, trouble: Some(trouble), until, news_since: until }
    }

    /// Whether nothing is known against it.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        self.trouble.is_none()
    }
}

/// How long a rest is after so many failures.
fn length(failures: u8) -> Duration {
    let doublings = u32::from(failures.clamp(1, MOST_FAILURES) - 1);
    FIRST.saturating_mul(1 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Trouble::{Disconnected, Error};
    use super::*;
    use crate::policy::testing::NOW;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + milliseconds)
    }

    /// What holds after requests that went forward at these times each failed at once.
    fn after(failures: &[i64]) -> Rest {
        failures
            .iter()
            .fold(Rest::default(), |rest, &began| rest.failed(Disconnected, at(began), at(began)))
    }

    #[track_caller]
    fn check(rest: Rest, milliseconds: i64, expected: Turn) {
        assert_eq!(rest.turn(at(milliseconds)), expected, "{rest:?} at {milliseconds}");
    }

    const WAIT: Turn = Turn::Wait(Disconnected);

    #[test]
    fn asks_while_nothing_has_failed() {
        check(Rest::default(), 0, Turn::Ask);
        assert!(Rest::default().is_well());
        assert!(!after(&[0]).is_well());
    }

    #[test]
    fn rests_for_a_second_after_the_first_failure() {
        check(after(&[0]), 0, WAIT);
        check(after(&[0]), 999, WAIT);
        check(after(&[0]), 1000, Turn::Try);
        check(after(&[0]), 1_000_000, Turn::Try);
    }

    #[test]
    fn rests_twice_as_long_after_each_further_failure_up_to_half_a_minute() {
        let mut rest = Rest::default();
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
            rest = rest.failed(Disconnected, at(now), at(now));
            check(rest, now + seconds * 1000 - 1, WAIT);
            check(rest, now + seconds * 1000, Turn::Try);
            now += seconds * 1000;
        }
    }

    #[test]
    fn tells_after_what_it_rests() {
        let rest = after(&[0]).failed(Error, at(1000), at(1001));
        check(rest, 1500, Turn::Wait(Error));
    }

    #[test]
    fn counts_what_failed_together_once() {
        check(after(&[0, 0, 0, 0]), 1000, Turn::Try);
        // It was under way when the other failed.
        let rest = after(&[0]).failed(Disconnected, at(-100), at(900));
        check(rest, 1000, Turn::Try);
        // It had nothing stored, and went forward while the origin rested.
        let rest = after(&[0]).failed(Disconnected, at(900), at(5000));
        check(rest, 1000, Turn::Try);
    }

    #[test]
    fn lets_one_request_try_when_the_rest_is_over() {
        let rest = after(&[0]).tried(at(1500));
        check(rest, 1500, WAIT);
        check(rest, 2499, WAIT);
        // Nothing was heard of it.
        check(rest, 2500, Turn::Try);
        let failed = rest.failed(Disconnected, at(1500), at(1600));
        check(failed, 3599, WAIT);
        check(failed, 3600, Turn::Try);
        // What went forward before does not speak for it.
        assert_eq!(rest.failed(Disconnected, at(1499), at(1600)), rest);
    }

    #[test]
    fn believes_no_end_that_a_clock_put_back_has_moved_away() {
        check(after(&[0]), -28_999, WAIT);
        check(after(&[0]), -30_000, Turn::Try);
    }

    /// One thing that happens to an origin.
    #[derive(Clone, Debug)]
    enum Step {
        Later(i64),
        Fails { ago: i64 },
        Turn,
    }

    fn a_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..5000_i64).prop_map(Step::Later),
            (0..5000_i64).prop_map(|ago| Step::Fails { ago }),
            Just(Step::Turn),
        ]
    }

    proptest! {
        #[test]
        fn lets_one_request_try_in_a_second_at_most_and_one_in_half_a_minute_at_least(
            steps in prop::collection::vec(a_step(), 0..100),
        ) {
            let mut rest = after(&[0]);
            let mut now = 0;
            let mut tried = None;
            for step in steps {
                match step {
                    Step::Later(milliseconds) => now += milliseconds,
                    Step::Fails { ago } => {
                        rest = rest.failed(Disconnected, at(now - ago), at(now));
                    }
                    Step::Turn => match rest.turn(at(now)) {
                        Turn::Ask => prop_assert!(false, "it was never well"),
                        Turn::Try => {
                            prop_assert!(tried.is_none_or(|last| now - last >= 1000));
                            tried = Some(now);
                            rest = rest.tried(at(now));
                        }
                        Turn::Wait(_) => {}
                    },
                }
                prop_assert_eq!(rest.turn(at(now).after(LONGEST)), Turn::Try);
            }
        }
    }
}
