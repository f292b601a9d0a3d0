//! Reads the unsigned decimal numbers that fields are made of.

use crate::time::Seconds;

/// Reads `1*DIGIT`, stopping at the largest value; `None` if anything else is in it.
#[must_use]
pub fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// Reads `delta-seconds`; `None` if it is not a non-negative integer.
#[must_use]
pub fn delta_seconds(text: &[u8]) -> Option<Seconds> {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-1.2.2
    //# If a cache receives a delta-seconds value greater than the greatest
    //# integer it can represent, or if any of its subsequent calculations
    //# overflows, the cache MUST consider the value to be 2147483648 (2^31)
    //# or the greatest positive integer it can conveniently represent.
    digits(text).map(|number| Seconds(number).min(Seconds::MAX_DELTA))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(delta_seconds(text.as_bytes()), expected.map(Seconds), "{text:?}");
    }

    #[test]
    fn reads_whole_numbers_only() {
        check("0", Some(0));
        check("003600", Some(3600));
        check("2147483647", Some(2_147_483_647));
        check("2147483649", Some(2_147_483_648));
        check("99999999999999999999999999", Some(2_147_483_648));
        for text in ["", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "'1'", "1a", "a1", "\u{661}"]
        {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn reads_what_was_printed(number: u64) {
            prop_assert_eq!(digits(number.to_string().as_bytes()), Some(number));
        }
    }
}
