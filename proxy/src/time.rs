//! Points in time and lengths of time as HTTP counts them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A length of time in whole seconds, never negative: `delta-seconds` of RFC 9111 §1.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// What a `delta-seconds` too large to hold is taken for (RFC 9111 §1.2.2).
    pub const MAX_DELTA: Self = Self(2_147_483_648);

    /// Adds, stopping at the largest value.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Takes `other` away, stopping at zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Duration> for Seconds {
    fn from(length: Duration) -> Self {
        Self(length.as_secs())
    }
}

impl From<Seconds> for Duration {
    fn from(length: Seconds) -> Self {
        Self::from_secs(length.0)
    }
}

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `seconds` after the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The point `milliseconds` after the Unix epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole seconds that have passed since `earlier`; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Seconds {
        let milliseconds = self.0.saturating_sub(earlier.0);
        Seconds(if milliseconds < 0 { 0 } else { milliseconds.unsigned_abs() / 1000 })
    }

    /// The point `length` later.
    #[must_use]
    pub fn after(self, length: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Reads the clock of the machine: the only place that does.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to the clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(Timestamp(0), |length| Timestamp::default().after(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_whole_seconds_that_have_passed() {
        let start = Timestamp::from_millis(1_999);
        assert_eq!(Timestamp::from_millis(2_998).since(start), Seconds(0));
        assert_eq!(Timestamp::from_millis(2_999).since(start), Seconds(1));
    }

    #[test]
    fn counts_no_time_since_a_point_in_the_future() {
        assert_eq!(Timestamp::from_seconds(1).since(Timestamp::from_seconds(9)), Seconds::ZERO);
    }
}
