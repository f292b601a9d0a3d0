//! `Range` and `Content-Range`, for bytes only (RFC 9110 §14).

use std::fmt;

use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};

use super::number::digits;
use super::{date, list};

/// A request for more ranges than this gets the whole.
pub const MAX_RANGES: usize = 16;
/// A request where more pairs of ranges than this overlap gets the whole.
const MAX_OVERLAPS: usize = 2;

/// The ranges a request asks for: at least one, at most [`MAX_RANGES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSpec(Vec<Span>);

/// One range as it was asked for, before the length of the body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// `5-9`: from one byte to another, both included.
    Between(u64, u64),
    /// `5-`: from this byte on.
    From(u64),
    /// `-5`: so many bytes at the end.
    Last(u64),
}

/// A range of bytes, both ends included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The position of the first byte.
    pub first: u64,
    /// The position of the last byte, not before the first.
    pub last: u64,
}

/// What to send for a range request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The whole body, as if no range had been asked for.
    Whole,
    /// 416: nothing of the body lies in any of the ranges.
    Unsatisfiable,
    /// These parts: at least one, none touching another, all inside the body.
    Parts(Vec<ByteRange>),
}

/// What `Content-Range` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The range the body holds; `None` in a 416.
    pub range: Option<ByteRange>,
    /// How long the whole is, if that is known. One of the two is.
    pub complete: Option<u64>,
}

impl RangeSpec {
    /// Reads `Range`.
    ///
    /// `None`, and so the whole, if it is absent, malformed, in several lines, in another unit than
    /// bytes, or asks for more than [`MAX_RANGES`].
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Option<Self> {
        let line = date::only_line(headers, &RANGE)?;
        let (unit, set) = line.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        let mut spans = Vec::new();
        for member in list::split(set) {
            if spans.len() == MAX_RANGES {
                return None;
            }
            spans.push(Span::parse(member)?);
        }
        (!spans.is_empty()).then_some(Self(spans))
    }

    /// The ranges in the order they were asked for.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.0
    }
}

impl Span {
    fn parse(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (&text[..dash], &text[dash + 1..]);
        if first.is_empty() {
            return digits(last).map(Self::Last);
        }
        let first = digits(first)?;
        if last.is_empty() {
            return Some(Self::From(first));
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1
        //# An int-range is invalid if the last-pos value is present and less
        //# than first-pos.
        digits(last).filter(|last| *last >= first).map(|last| Self::Between(first, last))
    }

    /// The part of a body of `length` bytes that lies in it.
    fn within(self, length: u64) -> Option<ByteRange> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::Between(first, last) => (first, last.min(end)),
            Self::From(first) => (first, end),
            Self::Last(0) => return None,
            //= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
            //# If the selected representation is shorter than the specified
            //# suffix-length, the entire representation is used.
            Self::Last(count) => (length.saturating_sub(count), end),
        };
        (first <= last).then_some(ByteRange { first, last })
    }
}

impl ByteRange {
    /// How many bytes it holds.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// What to send of a body of `length` bytes.
///
/// Parts that overlap or touch become one, and then all come in the order of the body; otherwise
/// they come as they were asked for. A set of ranges that asks for more bytes than there are, or
/// has more than two overlaps, is an attack or a mistake, and gets the whole (RFC 9110 §14.2).
#[must_use]
pub fn resolve(spec: &RangeSpec, length: u64) -> Resolved {
    let asked: Vec<ByteRange> = spec.0.iter().filter_map(|span| span.within(length)).collect();
    if asked.is_empty() {
        // Some bytes at the end of an empty body are all of it, and no range can say so.
        let wants_end = |span: &Span| matches!(span, Span::Last(count) if *count > 0);
        let is_whole = length == 0 && spec.0.iter().any(wants_end);
        return if is_whole { Resolved::Whole } else { Resolved::Unsatisfiable };
    }
    let total = asked.iter().fold(0_u64, |sum, range| sum.saturating_add(range.length()));
    if total > length || overlaps(&asked) > MAX_OVERLAPS {
        return Resolved::Whole;
    }
    let merged = merged(&asked);
    Resolved::Parts(if merged.len() == asked.len() { asked } else { merged })
}

/// How many pairs of ranges overlap.
fn overlaps(ranges: &[ByteRange]) -> usize {
    let later = |at: usize| ranges.iter().skip(at + 1);
    ranges
        .iter()
        .enumerate()
        .map(|(at, range)| later(at).filter(|other| range.overlaps(**other)).count())
        .sum()
}

/// The same bytes in the order of the body, with no two parts that touch.
fn merged(ranges: &[ByteRange]) -> Vec<ByteRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.first, range.last));
    let mut merged: Vec<ByteRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            Some(before) if range.first <= before.last.saturating_add(1) => {
                before.last = before.last.max(range.last);
            }
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

impl ContentRange {
    /// Reads `Content-Range`; `None` if it is absent, malformed, repeated or in another unit.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Option<Self> {
        let line = date::only_line(headers, &CONTENT_RANGE)?;
        let (unit, rest) = line.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        let (range, complete) = (&rest[..slash], &rest[slash + 1..]);
        let complete = if complete == b"*" { None } else { Some(exact(complete)?) };
        if range == b"*" {
            return complete.map(|length| Self { range: None, complete: Some(length) });
        }
        let dash = range.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (exact(&range[..dash])?, exact(&range[dash + 1..])?);
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
        //# A Content-Range field value is invalid if it contains a range-resp
        //# that has a last-pos value less than its first-pos value, or a
        //# complete-length value less than or equal to its last-pos value.
        if last < first || complete.is_some_and(|complete| complete <= last) {
            return None;
        }
        Some(Self { range: Some(ByteRange { first, last }), complete })
    }

    /// Prints it as a field value.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("a content range is ASCII")
    }
}

/// Reads a number that must not be cut off: `None` if it is too large.
fn exact(text: &[u8]) -> Option<u64> {
    digits(text).filter(|number| *number < u64::MAX)
}

impl fmt::Display for RangeSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "bytes=";
        for span in &self.0 {
            match span {
                Span::Between(first, last) => write!(out, "{gap}{first}-{last}")?,
                Span::From(first) => write!(out, "{gap}{first}-")?,
                Span::Last(count) => write!(out, "{gap}-{count}")?,
            }
            gap = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            Some(ByteRange { first, last }) => write!(out, "bytes {first}-{last}/")?,
            None => out.write_str("bytes */")?,
        }
        match self.complete {
            Some(length) => write!(out, "{length}"),
            None => out.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    fn spec(lines: &[&str]) -> Option<RangeSpec> {
        RangeSpec::parse(&testing::lines("range", lines))
    }

    #[test]
    fn reads_byte_ranges() {
        let check = |line: &str, expected: &[Span]| {
            assert_eq!(spec(&[line]), Some(RangeSpec(expected.to_vec())), "{line}");
        };
        check("bytes=0-1", &[Span::Between(0, 1)]);
        check("BYTES=1-", &[Span::From(1)]);
        check("bytes=-5", &[Span::Last(5)]);
        check("bytes=0-0 ,, 2-3,-1", &[Span::Between(0, 0), Span::Between(2, 3), Span::Last(1)]);
        check("bytes=0-99999999999999999999999", &[Span::Between(0, u64::MAX)]);
    }

    #[test]
    fn ignores_what_is_malformed_or_too_much() {
        for line in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=1",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=0 - 1",
            "bytes=+0-1",
            "bytes=1--2",
            "bytes=0-1, x",
            "items=0-1",
            "bytes 0-1",
        ] {
            assert_eq!(spec(&[line]), None, "{line}");
        }
        assert_eq!(spec(&["bytes=0-1", "bytes=2-3"]), None);
        assert!(spec(&[&format!("bytes={}", vec!["0-0"; MAX_RANGES].join(","))]).is_some());
        assert!(spec(&[&format!("bytes={}", vec!["0-0"; MAX_RANGES + 1].join(","))]).is_none());
    }

    fn parts(parts: &[(u64, u64)]) -> Resolved {
        Resolved::Parts(parts.iter().map(|&(first, last)| ByteRange { first, last }).collect())
    }

    #[expect(clippy::needless_pass_by_value, reason = "a case reads better without ampersands")]
    #[track_caller]
    fn check(line: &str, length: u64, expected: Resolved) {
        assert_eq!(resolve(&spec(&[line]).unwrap(), length), expected, "{line} of {length}");
    }

    #[test]
    fn cuts_ranges_to_the_body() {
        check("bytes=0-1", 11, parts(&[(0, 1)]));
        check("bytes=1-", 11, parts(&[(1, 10)]));
        check("bytes=-1", 11, parts(&[(10, 10)]));
        check("bytes=-99", 11, parts(&[(0, 10)]));
        check("bytes=5-99", 11, parts(&[(5, 10)]));
        check("bytes=0-", u64::MAX, parts(&[(0, u64::MAX - 1)]));
    }

    #[test]
    fn knows_what_cannot_be_satisfied() {
        check("bytes=11-", 11, Resolved::Unsatisfiable);
        check("bytes=-0", 11, Resolved::Unsatisfiable);
        check("bytes=0-", 0, Resolved::Unsatisfiable);
        check("bytes=-5", 0, Resolved::Whole);
        check("bytes=99-, 0-0", 11, parts(&[(0, 0)]));
    }

    #[test]
    fn joins_parts_that_touch() {
        check("bytes=0-1, 2-3", 11, parts(&[(0, 3)]));
        check("bytes=8-9, 0-3, 2-5", 11, parts(&[(0, 5), (8, 9)]));
        check("bytes=8-9, 0-3", 11, parts(&[(8, 9), (0, 3)]));
    }

    #[test]
    fn refuses_abusive_sets() {
        check("bytes=0-, 0-", 11, Resolved::Whole);
        check("bytes=0-9, 5-9", 11, Resolved::Whole);
        check("bytes=0-1, 0-1, 0-1", 100, Resolved::Whole);
        check("bytes=0-2, 2-4, 4-6", 100, parts(&[(0, 6)]));
    }

    #[test]
    fn reads_content_range() {
        let check = |line: &str, range: Option<(u64, u64)>, complete: Option<u64>| {
            let range = range.map(|(first, last)| ByteRange { first, last });
            let found = ContentRange::parse(&testing::lines("content-range", &[line]));
            assert_eq!(found, Some(ContentRange { range, complete }), "{line}");
        };
        check("bytes 4-9/10", Some((4, 9)), Some(10));
        check("Bytes 0-0/*", Some((0, 0)), None);
        check("bytes */10", None, Some(10));
        for line in [
            "",
            "bytes",
            "bytes */*",
            "bytes 4-9",
            "bytes 9-4/10",
            "bytes 4-10/10",
            "items 0-1/2",
            "bytes 4-/10",
            "bytes=4-9/10",
            "bytes 4-9/10/11",
            "bytes 4-9/99999999999999999999",
        ] {
            let found = ContentRange::parse(&testing::lines("content-range", &[line]));
            assert_eq!(found, None, "{line}");
        }
    }

    fn a_span() -> impl Strategy<Value = Span> {
        prop_oneof![
            (0..40_u64, 0..40_u64).prop_map(|(first, more)| Span::Between(first, first + more)),
            any::<u64>().prop_map(Span::From),
            (0..40_u64).prop_map(Span::From),
            (0..40_u64).prop_map(Span::Last),
        ]
    }

    proptest! {
        #[test]
        fn reads_the_spec_that_was_printed(
            spans in proptest::collection::vec(a_span(), 1..=MAX_RANGES),
        ) {
            let expected = RangeSpec(spans);
            prop_assert_eq!(spec(&[&expected.to_string()]), Some(expected));
        }

        #[test]
        fn reads_the_content_range_that_was_printed(
            first in 0..1_000_u64, more in 0..1_000_u64, rest in proptest::option::of(1..1_000_u64),
        ) {
            let range = ByteRange { first, last: first + more };
            let complete = rest.map(|rest| range.last + rest);
            let expected = ContentRange { range: Some(range), complete };
            let headers = testing::lines("content-range", &[&expected.to_string()]);
            prop_assert_eq!(ContentRange::parse(&headers), Some(expected));
        }

        #[test]
        fn sends_the_bytes_that_were_asked_for_and_each_once(
            spans in proptest::collection::vec(a_span(), 1..=MAX_RANGES), length in 0..50_u64,
        ) {
            let wanted = |byte: u64| spans.iter().any(|span| {
                span.within(length).is_some_and(|range| (range.first..=range.last).contains(&byte))
            });
            if let Resolved::Parts(parts) = resolve(&RangeSpec(spans.clone()), length) {
                prop_assert!(!parts.is_empty());
                for byte in 0..length {
                    let sent = parts.iter().filter(|part| (part.first..=part.last).contains(&byte));
                    prop_assert_eq!(sent.count(), usize::from(wanted(byte)));
                }
                prop_assert!(parts.iter().all(|part| part.last < length));
            }
        }
    }
}
