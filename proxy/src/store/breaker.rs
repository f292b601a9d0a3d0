//! Lets a tier rest that keeps failing, and tries now and then whether it works again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many calls in a row must fail before the tier rests.
const FAULTS: u64 = 5;
/// How long the first rest is; each further one is twice as long.
const FIRST_REST: Duration = Duration::from_secs(1);
/// How long a rest is at most.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Decides which calls to a tier are made.
///
/// After some faults in a row nobody calls it for a while. Then one caller may, and what it reports
/// decides for all. While all is well, and while the tier rests, a call costs one atomic load.
#[derive(Debug)]
pub struct Breaker {
    began: Instant,
    /// A [`State`] in one word.
    state: AtomicU64,
}

/// That a call may be made. What became of it is reported with it; one whose outcome nobody
/// reports keeps nothing up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    turn: u64,
}

impl Breaker {
    /// A breaker that lets all through.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { began: now, state: AtomicU64::new(0) }
    }

    /// Whether a call may be made at `now`; `None` while the tier rests.
    #[must_use]
    pub fn admit(&self, now: Instant) -> Option<Pass> {
        let mut word = self.state.load(Ordering::Relaxed);
        loop {
            let state = State::of(word);
            if state.until == 0 {
                return Some(Pass { turn: state.turn });
            }
            let now = self.millis(now);
            if now < state.until {
                return None;
            }
            // Until the probe is back, or lost, the others are told that the rest goes on.
            let until = now + rest(state.count);
            let probe = State { until, turn: State::next(state.turn), ..state };
            match self.swap(word, probe) {
                Ok(()) => return Some(Pass { turn: probe.turn }),
                Err(other) => word = other,
            }
        }
    }

    /// Reports that the call of `pass` came back: all may call.
    ///
    /// Where others have meanwhile found out more recent things, this changes nothing.
    pub fn succeeded(&self, pass: Pass) {
        let mut word = self.state.load(Ordering::Relaxed);
        loop {
            let state = State::of(word);
            if state.turn != pass.turn || (state.until == 0 && state.count == 0) {
                return;
            }
            // A closed breaker stays in its turn: others who call are no less recent.
            let turn = if state.until == 0 { state.turn } else { State::next(state.turn) };
            match self.swap(word, State { until: 0, turn, count: 0 }) {
                Ok(()) => return,
                Err(other) => word = other,
            }
        }
    }

    /// Reports that the call of `pass` failed. True if the tier rests from now on.
    ///
    /// What was under way together counts no further once the rest has begun.
    pub fn failed(&self, pass: Pass, now: Instant) -> bool {
        let mut word = self.state.load(Ordering::Relaxed);
        loop {
            let state = State::of(word);
            if state.turn != pass.turn {
                return false;
            }
            let rests = state.until > 0 || state.count + 1 >= FAULTS;
            let next = if rests {
                let count = if state.until > 0 { (state.count + 1).min(MOST) } else { 1 };
                let until = self.millis(now) + rest(count);
                State { until, turn: State::next(state.turn), count }
            } else {
                State { count: state.count + 1, ..state }
            };
            match self.swap(word, next) {
                Ok(()) => return rests,
                Err(other) => word = other,
            }
        }
    }

    /// Whether a call at `now` would be refused. Unlike [`admit`](Self::admit), it changes nothing.
    #[must_use]
    pub fn is_resting(&self, now: Instant) -> bool {
        let until = State::of(self.state.load(Ordering::Relaxed)).until;
        until > 0 && self.millis(now) < until
    }

    fn swap(&self, word: u64, next: State) -> Result<(), u64> {
        let (from, to) = (Ordering::Relaxed, Ordering::Relaxed);
        self.state.compare_exchange_weak(word, next.word(), from, to).map(drop)
    }

    /// Milliseconds since the beginning, and one, so that zero is none of them.
    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began).as_millis();
        u64::try_from(since).map_or(LATEST, |since| since.saturating_add(1).min(LATEST))
    }
}

/// How long the rest after `count` rests without a success is, in milliseconds.
fn rest(count: u64) -> u64 {
    let doubled = FIRST_REST.as_millis() << count.saturating_sub(1).min(MOST);
    u64::try_from(doubled.min(LONGEST_REST.as_millis())).unwrap_or(u64::MAX)
}

/// After this many rests, none is longer than the one before.
const MOST: u64 = 15;
/// The latest point in time that has room, some thirty years after the beginning.
const LATEST: u64 = (1 << 40) - (1 << 20);

/// What is known of the tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// When the rest ends, in milliseconds; zero if the tier does not rest.
    until: u64,
    /// Which stretch this is: a call that was let through in an earlier one no longer counts.
    turn: u64,
    /// The faults in a row, or, in a rest, the rests in a row.
    count: u64,
}

impl State {
    const fn of(word: u64) -> Self {
        Self { until: word >> 24, turn: (word >> 8) & 0xffff, count: word & 0xff }
    }

    const fn word(self) -> u64 {
        self.until << 24 | self.turn << 8 | self.count
    }

    /// The next turn. That the numbers begin anew takes longer than any call.
    const fn next(turn: u64) -> u64 {
        (turn + 1) & 0xffff
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is done to a breaker, and what must come of it.
    enum Step {
        /// A call is made and fails.
        Fails,
        /// A call is made and comes back.
        Works,
        /// A call is made, and nobody ever hears of it.
        IsLost,
        /// A call is refused.
        Refused,
        /// Time passes, in milliseconds.
        Later(u64),
    }
    use Step::{Fails, IsLost, Later, Refused, Works};

    #[track_caller]
    fn check(steps: &[Step]) {
        let mut now = Instant::now();
        let breaker = Breaker::new(now);
        for (at, step) in steps.iter().enumerate() {
            let pass = || breaker.admit(now).unwrap_or_else(|| panic!("step {at}: refused"));
            match step {
                Fails => drop(breaker.failed(pass(), now)),
                Works => breaker.succeeded(pass()),
                IsLost => drop(pass()),
                Refused => assert_eq!(breaker.admit(now), None, "step {at}"),
                Later(millis) => now += Duration::from_millis(*millis),
            }
        }
    }

    #[test]
    fn four_faults_in_a_row_do_not_matter() {
        check(&[Fails, Fails, Fails, Fails, Works, Fails, Fails, Fails, Fails, Works]);
    }

    #[test]
    fn five_faults_in_a_row_begin_a_rest() {
        check(&[Fails, Fails, Fails, Fails, Fails, Refused, Later(999), Refused, Later(1), Works]);
    }

    #[test]
    fn one_caller_tries_and_the_others_wait_for_it() {
        check(&[Fails, Fails, Fails, Fails, Fails, Later(1000), IsLost, Refused]);
    }

    #[test]
    fn a_probe_that_is_lost_makes_room_for_another() {
        let mut steps = vec![Fails, Fails, Fails, Fails, Fails];
        steps.extend([Later(1000), IsLost, Refused, Later(1000), Works, Works, Works]);
        check(&steps);
    }

    #[test]
    fn each_rest_is_twice_as_long_up_to_half_a_minute() {
        let mut steps = vec![Fails, Fails, Fails, Fails, Fails];
        for millis in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] {
            steps.extend([Later(millis - 1), Refused, Later(1), Fails]);
        }
        steps.extend([Later(30_000), Works, Fails, Fails, Fails, Fails, Fails, Refused]);
        steps.extend([Later(1_000), Works]);
        check(&steps);
    }

    #[test]
    fn what_was_under_way_together_is_one_failure() {
        let now = Instant::now();
        let breaker = Breaker::new(now);
        let passes: Vec<Pass> = (0..20).filter_map(|_| breaker.admit(now)).collect();
        let rests: Vec<bool> = passes.iter().map(|pass| breaker.failed(*pass, now)).collect();
        assert_eq!(rests.iter().position(|rests| *rests), Some(4));
        assert_eq!(rests.iter().filter(|rests| **rests).count(), 1);
        assert!(breaker.is_resting(now + Duration::from_millis(999)));
        assert!(!breaker.is_resting(now + Duration::from_secs(1)));
    }

    #[test]
    fn a_success_from_before_the_rest_does_not_end_it() {
        let now = Instant::now();
        let breaker = Breaker::new(now);
        let early = breaker.admit(now).unwrap();
        for _ in 0..5 {
            breaker.failed(breaker.admit(now).unwrap(), now);
        }
        breaker.succeeded(early);
        assert_eq!(breaker.admit(now), None);
    }

    proptest! {
        /// Against a model that is told all: a rest is at most half a minute, and when a tier works
        /// again, so does the breaker.
        #[test]
        fn comes_back_whatever_happened(
            events in prop::collection::vec((0_u8..4, 0_u64..40_000), 0..200),
        ) {
            let mut now = Instant::now();
            let breaker = Breaker::new(now);
            let mut open: Vec<Pass> = Vec::new();
            for (kind, number) in events {
                match kind {
                    0 => open.extend(breaker.admit(now)),
                    1 => drop(open.pop().map(|pass| breaker.failed(pass, now))),
                    2 => drop(open.pop().map(|pass| breaker.succeeded(pass))),
                    _ => now += Duration::from_millis(number),
                }
            }
            now += LONGEST_REST;
            let pass = breaker.admit(now);
            prop_assert!(pass.is_some(), "it rests for longer than it may");
            breaker.succeeded(pass.unwrap());
            for _ in 0..100 {
                prop_assert!(breaker.admit(now).is_some(), "it rests though the tier works");
            }
        }

        #[test]
        fn lets_one_call_through_at_the_end_of_a_rest(callers in 2_usize..50, later in 0_u64..99) {
            let now = Instant::now();
            let breaker = Breaker::new(now);
            for _ in 0..5 {
                breaker.failed(breaker.admit(now).unwrap(), now);
            }
            let end = now + Duration::from_millis(1000 + later);
            prop_assert_eq!((0..callers).filter_map(|_| breaker.admit(end)).count(), 1);
        }

        #[test]
        fn a_state_fits_into_a_word(until in 0..=LATEST, turn in 0_u64..0x1_0000, count in 0_u64..=0xff) {
            let state = State { until, turn, count };
            prop_assert_eq!(State::of(state.word()), state);
        }
    }
}
