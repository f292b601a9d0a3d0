//! Decides how parts of one body may be put together (RFC 9111 §3.3, §3.4).

use http::HeaderMap;

use crate::field::etag;
use crate::field::range::{ByteRange, ContentRange};
use crate::stored::Body;

/// Where a part belongs beside one that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Right before it.
    Before,
    /// Right after it.
    After,
}

impl Side {
    /// The stored part and the new one, put together.
    #[must_use]
    pub fn join(self, held: &Body, new: &Body) -> Body {
        let (first, second) = match self {
            Self::Before => (new, held),
            Self::After => (held, new),
        };
        Body::new(first.as_slice().iter().chain(second.as_slice()).cloned().collect())
    }
}

/// Two parts that fit, and what they make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Where the new part belongs.
    pub side: Side,
    /// What both make; `None` if that is the whole.
    pub part: Option<ContentRange>,
}

/// Whether the part `new` continues the stored part `held`.
///
/// Only parts with the same strong validator may be combined (RFC 9111 §3.4).
#[must_use]
pub fn fit(held: (&HeaderMap, &ContentRange), new: (&HeaderMap, &ContentRange)) -> Option<Fit> {
    let ((held_fields, held), (new_fields, new)) = (held, new);
    let (ours, theirs) = (etag::etag(held_fields)?, etag::etag(new_fields)?);
    if !ours.strong_eq(&theirs) || held.complete != new.complete {
        return None;
    }
    let (complete, held, new) = (held.complete?, held.range?, new.range?);
    let (side, both) = if new.last.checked_add(1) == Some(held.first) {
        (Side::Before, ByteRange { first: new.first, last: held.last })
    } else if held.last.checked_add(1) == Some(new.first) {
        (Side::After, ByteRange { first: held.first, last: new.last })
    } else {
        return None;
    };
    let whole = both.first == 0 && both.last.checked_add(1) == Some(complete);
    let part = ContentRange { range: Some(both), complete: Some(complete) };
    Some(Fit { side, part: (!whole).then_some(part) })
}

/// The one range that is missing to make the stored part whole.
///
/// `None` if there is more than one, if the length of the whole is not known, or if there is no
/// strong validator to tell that the rest belongs to it (RFC 9110 §13.1.5).
#[must_use]
pub fn missing(fields: &HeaderMap, held: &ContentRange) -> Option<ByteRange> {
    let strong = etag::etag(fields).is_some_and(|tag| !tag.weak);
    let (range, complete) = (held.range?, held.complete?);
    let last = complete.checked_sub(1)?;
    if !strong {
        None
    } else if range.first == 0 && range.last < last {
        Some(ByteRange { first: range.last + 1, last })
    } else if range.first > 0 && range.last == last {
        Some(ByteRange { first: 0, last: range.first - 1 })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::head;

    const STRONG: &str = "ETag: \"a\"";

    fn part(text: &str) -> ContentRange {
        ContentRange::parse(&head(&format!("Content-Range: bytes {text}"))).unwrap()
    }

    fn fitted(held: (&str, &str), new: (&str, &str)) -> Option<Fit> {
        fit((&head(held.0), &part(held.1)), (&head(new.0), &part(new.1)))
    }

    /// What the part `new` makes of the part `held`, both with the same strong tag.
    #[track_caller]
    fn check(held: &str, new: &str, expected: Option<(Side, Option<&str>)>) {
        let expected = expected.map(|(side, both)| Fit { side, part: both.map(part) });
        assert_eq!(fitted((STRONG, held), (STRONG, new)), expected, "{held} and {new}");
    }

    #[test]
    fn puts_parts_together_that_touch() {
        check("2-3/10", "4-5/10", Some((Side::After, Some("2-5/10"))));
        check("2-3/10", "0-1/10", Some((Side::Before, Some("0-3/10"))));
        check("0-3/10", "4-9/10", Some((Side::After, None)));
        check("4-9/10", "0-3/10", Some((Side::Before, None)));
        check("1-3/10", "4-9/10", Some((Side::After, Some("1-9/10"))));
        check("0-3/10", "4-8/10", Some((Side::After, Some("0-8/10"))));
    }

    #[test]
    fn puts_nothing_together_that_overlaps_or_leaves_a_gap() {
        for new in ["5-9/10", "3-9/10", "0-3/10", "1-2/10"] {
            check("0-3/10", new, None);
        }
        check("5-9/10", "0-3/10", None);
    }

    #[test]
    fn puts_nothing_together_of_another_or_unknown_length() {
        check("0-3/10", "4-9/11", None);
        check("0-3/*", "4-9/*", None);
        check("0-3/10", "4-9/*", None);
        check("0-3/10", "*/10", None);
    }

    #[test]
    fn puts_only_parts_with_the_same_strong_validator_together() {
        for (ours, theirs) in [
            ("", ""),
            (STRONG, ""),
            ("", STRONG),
            (STRONG, "ETag: \"b\""),
            (STRONG, "ETag: W/\"a\""),
            ("ETag: W/\"a\"", "ETag: W/\"a\""),
            ("Last-Modified: x", "Last-Modified: x"),
        ] {
            assert_eq!(fitted((ours, "0-3/10"), (theirs, "4-9/10")), None, "{ours} and {theirs}");
        }
    }

    #[track_caller]
    fn check_missing(fields: &str, held: &str, expected: Option<(u64, u64)>) {
        let expected = expected.map(|(first, last)| ByteRange { first, last });
        assert_eq!(missing(&head(fields), &part(held)), expected, "{fields} {held}");
    }

    #[test]
    fn knows_the_one_range_that_is_missing() {
        check_missing(STRONG, "0-3/10", Some((4, 9)));
        check_missing(STRONG, "4-9/10", Some((0, 3)));
        check_missing(STRONG, "9-9/10", Some((0, 8)));
        check_missing(STRONG, "0-9/10", None);
        check_missing(STRONG, "1-8/10", None);
        check_missing(STRONG, "0-3/*", None);
        check_missing(STRONG, "*/10", None);
        check_missing("ETag: W/\"a\"", "0-3/10", None);
        check_missing("Last-Modified: x", "0-3/10", None);
    }

    proptest! {
        #[test]
        fn makes_exactly_the_union_of_parts_that_fit(
            first in (0..12_u64, 0..12_u64), second in (0..12_u64, 0..12_u64), rest in 0..3_u64,
        ) {
            let range = |(first, more): (u64, u64)| ByteRange { first, last: first + more };
            let (held, new) = (range(first), range(second));
            let complete = held.last.max(new.last) + 1 + rest;
            let part = |range| ContentRange { range: Some(range), complete: Some(complete) };
            let fields = head(STRONG);
            let whole = ByteRange { first: 0, last: complete - 1 };
            let holds = |range: ByteRange, byte: u64| (range.first..=range.last).contains(&byte);
            if let Some(fit) = fit((&fields, &part(held)), (&fields, &part(new))) {
                let both = fit.part.map_or(whole, |part| part.range.unwrap());
                for byte in 0..complete {
                    prop_assert!(!(holds(held, byte) && holds(new, byte)), "{byte} comes twice");
                    prop_assert_eq!(holds(both, byte), holds(held, byte) || holds(new, byte));
                }
                prop_assert_eq!(fit.part.is_none(), both == whole);
                prop_assert_eq!(fit.side == Side::Before, new.first < held.first);
            } else {
                prop_assert!(held.last + 1 != new.first && new.last + 1 != held.first);
            }
        }

        #[test]
        fn fits_what_it_says_is_missing(first in 0..12_u64, more in 0..12_u64, rest in 0..12_u64) {
            let held = ContentRange {
                range: Some(ByteRange { first, last: first + more }),
                complete: Some(first + more + 1 + rest),
            };
            let fields = head(STRONG);
            if let Some(range) = missing(&fields, &held) {
                let new = ContentRange { range: Some(range), ..held };
                prop_assert_eq!(fit((&fields, &held), (&fields, &new)).unwrap().part, None);
            } else {
                prop_assert_eq!(first == 0, rest == 0, "one range would do");
            }
        }
    }
}
