//! What a tier counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::event::Tier;

/// Declares an enum of which each variant has a name that people see.
macro_rules! named {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $manual:literal])+ $variant:ident = $text:literal,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $manual])+ $variant,)+ }

        impl $name {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

named! {
    /// What went wrong in a tier. It never takes an answer away: a look-up misses, and what was to
    /// be stored is not.
    Fault {
        /// A record is not as it was written.
        Torn = "torn",
        /// A record is that of another key, or none of ours.
        Foreign = "foreign",
        /// A record was written in another format.
        Version = "version",
        /// There is no room left.
        Full = "full",
        /// It cannot be reached, or failed.
        Io = "io",
        /// It took longer than it may.
        Late = "late",
        /// More is under way than it may have.
        Busy = "busy",
        /// It failed before, and is left alone for a while.
        Resting = "resting",
    }
}

named! {
    /// Why a tier let go of a stored response.
    Gone {
        /// The tier holds as many bytes as it may.
        Bytes = "bytes",
        /// The tier holds as many entries as it may.
        Entries = "entries",
        /// It was purged, or invalidated by a change.
        Purged = "purged",
        /// Its record was of no use.
        Unusable = "unusable",
    }
}

/// The upper ends of the ranges in which look-ups are counted by how long they took.
pub const LATENCIES: [Duration; 10] = [
    Duration::from_micros(20),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
];

/// What a tier has counted since it began.
#[derive(Debug, Default)]
pub struct Tally {
    /// Look-ups that found something.
    pub hits: Count,
    /// Look-ups that found nothing.
    pub misses: Count,
    /// Stored responses that were written.
    pub stores: Count,
    /// Bytes that were written.
    pub bytes_written: Count,
    /// Bytes that were read.
    pub bytes_read: Count,
    faults: [Count; Fault::ALL.len()],
    gone: [Count; Gone::ALL.len()],
    latencies: [Count; LATENCIES.len() + 1],
    nanoseconds: Count,
}

/// How much a tier holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Bytes that are stored.
    pub bytes: u64,
    /// Bytes that may be.
    pub most_bytes: u64,
    /// Stored responses; in memory, the keys that have any.
    pub entries: u64,
}

/// A tier as it is at the moment.
#[derive(Clone, Copy, Debug)]
pub struct TierState<'a> {
    /// Which one it is.
    pub tier: Tier,
    /// What it has counted.
    pub tally: &'a Tally,
    /// What it holds, if it knows.
    pub holds: Option<Holds>,
    /// Whether it can be used.
    pub is_up: bool,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// Adds `more`.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// What it has come to.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    /// How often this went wrong.
    #[must_use]
    pub fn faults(&self, fault: Fault) -> &Count {
        // Each has its place: the table is as long as there are variants.
        &self.faults[fault as usize]
    }

    /// How many stored responses went for this reason.
    #[must_use]
    pub fn gone(&self, why: Gone) -> &Count {
        &self.gone[why as usize]
    }

    /// Counts a look-up that took so long.
    pub fn took(&self, time: Duration) {
        let range = LATENCIES.iter().position(|end| time <= *end).unwrap_or(LATENCIES.len());
        self.latencies[range].one();
        self.nanoseconds.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many look-ups took up to the end of each range of [`LATENCIES`], and longer than all,
    /// each counted once; and the seconds of all together.
    #[must_use]
    pub fn latencies(&self) -> ([u64; LATENCIES.len() + 1], f64) {
        let seconds = Duration::from_nanos(self.nanoseconds.get()).as_secs_f64();
        (std::array::from_fn(|range| self.latencies[range].get()), seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_thing_apart() {
        let tally = Tally::default();
        for (number, fault) in (1..).zip(Fault::ALL) {
            tally.faults(*fault).add(number);
        }
        for (number, fault) in (1..).zip(Fault::ALL) {
            assert_eq!(tally.faults(*fault).get(), number, "{}", fault.name());
        }
        tally.gone(Gone::Unusable).one();
        assert_eq!(tally.gone(Gone::Unusable).get(), 1);
        assert_eq!(tally.gone(Gone::Bytes).get(), 0);
    }

    #[test]
    fn counts_a_look_up_in_the_range_of_its_time() {
        let tally = Tally::default();
        for micros in [1, 20, 21, 1_000_000] {
            tally.took(Duration::from_micros(micros));
        }
        let (ranges, seconds) = tally.latencies();
        assert_eq!((ranges[0], ranges[1], ranges[10]), (2, 1, 1));
        assert!((seconds - 1.000_042).abs() < 1e-9);
    }
}
