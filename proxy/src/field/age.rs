//! `Age`: how old a response already was when it arrived (RFC 9111 §5.1).

use http::HeaderMap;
use http::header::AGE;

use super::list;
use super::number::delta_seconds;
use crate::time::Seconds;

/// The age a response says it has; zero if it says none that can be read.
#[must_use]
pub fn age(headers: &HeaderMap) -> Seconds {
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
    //# a cache encountering a message with a list-based Age field value SHOULD
    //# use the first member of the field value, discarding subsequent ones.
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
    //# If the field value (after discarding additional members, as per above)
    //# is invalid (e.g., it contains something other than a non-negative
    //# integer), a cache SHOULD ignore the field.
    list::members(headers, &AGE).next().and_then(delta_seconds).unwrap_or(Seconds::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(lines: &[&str], expected: u64) {
        assert_eq!(age(&testing::lines("age", lines)), Seconds(expected), "{lines:?}");
    }

    #[test]
    fn reads_a_non_negative_integer() {
        check(&[], 0);
        check(&["7200"], 7200);
        check(&["2147483647"], 2_147_483_647);
        check(&["2147483649"], 2_147_483_648);
        check(&["99999999999999999999999"], 2_147_483_648);
    }

    #[test]
    fn ignores_anything_else() {
        for text in ["abc", "-7200", "7200.0", "", "7200;a=b", "\"7200\""] {
            check(&[text], 0);
        }
    }

    #[test]
    fn uses_the_first_member() {
        check(&["7200, 0"], 7200);
        check(&["0, 7200"], 0);
        check(&["7200", "0"], 7200);
        check(&["0", "7200"], 0);
        check(&["abc, 7200"], 0);
    }

    proptest! {
        #[test]
        fn never_passes_the_largest_delta(lines: Vec<Vec<u8>>) {
            prop_assert!(age(&testing::hostile("age", &lines)) <= Seconds::MAX_DELTA);
        }

        #[test]
        fn reads_what_was_printed(seconds in 0..=Seconds::MAX_DELTA.0) {
            prop_assert_eq!(age(&testing::lines("age", &[&seconds.to_string()])), Seconds(seconds));
        }
    }
}
