//! Where a purge stands in the log of purges.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// How many bits of a position tell purges of the same millisecond apart.
const SEQUENCE_BITS: u32 = 20;

/// A position in the log of purges: a later purge has a larger one, on whichever edge it was asked
/// for. It is written as the ids of a Redis Stream are: milliseconds since the Unix epoch, a dash,
/// and a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before every purge.
    pub const START: Self = Self(0);

    /// The position that is kept as this number in the head of a stored response.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number that is kept of it in the head of a stored response.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The first of the millisecond `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self::of(now.as_millis().max(0).unsigned_abs(), 0)
    }

    /// The one after this of a purge that is asked for `now`, whatever the clock says.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        self.following().max(Self::at(now))
    }

    /// The one right after this.
    #[must_use]
    pub const fn following(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Milliseconds since the Unix epoch, and which of their purges.
    #[must_use]
    pub const fn parts(self) -> (u64, u64) {
        (self.0 >> SEQUENCE_BITS, self.0 & ((1 << SEQUENCE_BITS) - 1))
    }

    /// A sequence that does not fit runs on into the next millisecond.
    fn of(milliseconds: u64, sequence: u64) -> Self {
        let first = milliseconds.min(u64::MAX >> SEQUENCE_BITS) << SEQUENCE_BITS;
        Self(first.saturating_add(sequence))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (milliseconds, sequence) = self.parts();
        write!(out, "{milliseconds}-{sequence}")
    }
}

/// What is read is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected milliseconds, a dash and a number, such as 1790000000000-0")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let number = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse()
                .map_err(|_not_one| NoPosition)
                .and_then(|number| if is_plain { Ok(number) } else { Err(NoPosition) })
        };
        let (milliseconds, sequence) = text.split_once('-').ok_or(NoPosition)?;
        Ok(Self::of(number(milliseconds)?, number(sequence)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_written_like_the_id_of_a_stream() {
        let position = Position::at(Timestamp::from_millis(1_790_000_000_000));
        assert_eq!(position.to_string(), "1790000000000-0");
        assert_eq!(position.following().to_string(), "1790000000000-1");
        for text in ["", "1", "-", "1-", "-1", "1-1-1", "+1-0", "1--1", "a-0", "1-0 "] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text}");
        }
    }

    proptest! {
        #[test]
        fn is_read_as_it_was_written(number: u64) {
            let position = Position::from_number(number);
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn grows_whatever_the_clock_says(clock in prop::collection::vec(any::<i64>(), 1..20)) {
            let mut last = Position::START;
            for now in clock {
                let next = last.next(Timestamp::from_millis(now.saturating_abs() >> 24));
                prop_assert!(next > last);
                last = next;
            }
        }

        #[test]
        fn orders_as_ids_are_ordered(one: (u32, u16), other: (u32, u16)) {
            let position = |(time, sequence): (u32, u16)| {
                Position::of(u64::from(time), u64::from(sequence))
            };
            prop_assert_eq!(position(one).cmp(&position(other)), one.cmp(&other));
        }
    }
}
