//! Points in time as fields write them (RFC 9110 §5.6.7), and the fields that hold one.

use std::io::Write as _;

use http::header::{DATE, EXPIRES, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::time::Timestamp;

/// How long an `IMF-fixdate` is, in bytes.
pub const LENGTH: usize = 29;

/// The first and the last second that four digits of a year can say, since the Unix epoch.
const FIRST: i64 = -62_167_219_200;
const LAST: i64 = 253_402_300_799;

const SECONDS_PER_DAY: i64 = 86_400;
const DAYS_PER_400_YEARS: i64 = 146_097;
/// From the first of March of the year 0, where leap years are easy to count, to the Unix epoch.
const DAYS_BEFORE_EPOCH: i64 = 719_468;

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What `Expires` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// Stale from this point on.
    At(Timestamp),
    /// Something that cannot be read: stale already.
    Invalid,
}

/// Reads an HTTP date in any of its three forms.
///
/// The name of the weekday must be one, but need not be the right one; letters may be of either
/// case, as they are from some origins. Nothing else is let pass.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Timestamp> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    //# A recipient that parses a timestamp value in an HTTP field MUST accept
    //# all three HTTP-date formats.
    imf_fixdate(value).or_else(|| rfc850_date(value)).or_else(|| asctime_date(value))
}

/// Prints an `IMF-fixdate`, which is always 29 bytes long.
///
/// A point outside of the years 0 to 9999 is printed as the nearest inside.
#[must_use]
pub fn print(at: Timestamp) -> [u8; LENGTH] {
    let seconds = at.as_seconds().clamp(FIRST, LAST);
    let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = civil(days);
    // The Unix epoch was a Thursday.
    let weekday = name_at(&WEEKDAYS, (days + 4).rem_euclid(7));
    let month = name_at(&MONTHS, month - 1);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = [b' '; LENGTH];
    write!(
        &mut text[..],
        "{weekday:.3}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    )
    .expect("an IMF-fixdate has 29 bytes");
    text
}

/// Prints an `IMF-fixdate` as a field value.
#[must_use]
pub fn value(at: Timestamp) -> HeaderValue {
    HeaderValue::from_bytes(&print(at)).expect("an IMF-fixdate is a field value")
}

/// What `Expires` says; `None` if it is absent.
///
/// Several lines that differ are invalid, since nobody knows which one was meant.
#[must_use]
pub fn expires(headers: &HeaderMap) -> Option<Expires> {
    headers.get(EXPIRES)?;
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
    //# A cache recipient MUST interpret invalid date formats, especially the
    //# value "0", as representing a time in the past (i.e., "already expired").
    Some(only_line(headers, &EXPIRES).and_then(parse).map_or(Expires::Invalid, Expires::At))
}

/// When the origin made the response: the first line of `Date`, if it can be read.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    headers.get(DATE).and_then(|line| parse(line.as_bytes()))
}

/// What `Last-Modified` says; `None` also if it cannot be read, or its lines differ.
#[must_use]
pub fn last_modified(headers: &HeaderMap) -> Option<Timestamp> {
    only_line(headers, &LAST_MODIFIED).and_then(parse)
}

/// What `If-Modified-Since` asks for; `None` also if it cannot be read, or its lines differ.
#[must_use]
pub fn if_modified_since(headers: &HeaderMap) -> Option<Timestamp> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
    //# A recipient MUST ignore the If-Modified-Since header field if the
    //# received field value is not a valid HTTP-date, the field value has more
    //# than one member, or if the request method is neither GET nor HEAD.
    only_line(headers, &IF_MODIFIED_SINCE).and_then(parse)
}

/// What `If-Unmodified-Since` asks for; `None` also if it cannot be read, or its lines differ.
#[must_use]
pub fn if_unmodified_since(headers: &HeaderMap) -> Option<Timestamp> {
    only_line(headers, &IF_UNMODIFIED_SINCE).and_then(parse)
}

/// The value of a field that has one line, or only lines that say the same.
pub(super) fn only_line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).into_iter();
    let first = lines.next()?;
    lines.all(|line| line == first).then_some(first.as_bytes())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(value: &[u8]) -> Option<Timestamp> {
    let (weekday, rest) = value.split_at_checked(3)?;
    position(&WEEKDAYS.map(|name| name.split_at(3).0), weekday)?;
    let rest = rest.strip_prefix(b", ")?;
    let (day, rest) = two_digits(rest)?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let (year, rest) = four_digits(rest.strip_prefix(b" ")?)?;
    let (second, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    is_gmt(rest).then(|| timestamp(year, month, day, second))?
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850_date(value: &[u8]) -> Option<Timestamp> {
    let comma = value.iter().position(|&byte| byte == b',')?;
    let (weekday, rest) = value.split_at(comma);
    position(&WEEKDAYS, weekday)?;
    let (day, rest) = two_digits(rest.strip_prefix(b", ")?)?;
    let (month, rest) = month(rest.strip_prefix(b"-")?)?;
    let (year, rest) = two_digits(rest.strip_prefix(b"-")?)?;
    let (second, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    //# Recipients of a timestamp value in rfc850-date format, which uses a two-
    //# digit year, MUST interpret a timestamp that appears to be more than 50
    //# years in the future as representing the most recent year in the past
    //# that had the same last two digits.
    // 2069 is less than 50 years ahead, and an epoch written as 1970 must not become 2070.
    let year = if year < 70 { 2000 + year } else { 1900 + year };
    is_gmt(rest).then(|| timestamp(year, month, day, second))?
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime_date(value: &[u8]) -> Option<Timestamp> {
    let (weekday, rest) = value.split_at_checked(3)?;
    position(&WEEKDAYS.map(|name| name.split_at(3).0), weekday)?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let (day, rest) = match rest {
        [b' ', digit, rest @ ..] => (number(&[*digit])?, rest),
        _ => two_digits(rest)?,
    };
    let (second, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    let (year, rest) = four_digits(rest.strip_prefix(b" ")?)?;
    rest.is_empty().then(|| timestamp(year, month, day, second))?
}

/// The point in time of a date in the Gregorian calendar; `None` if there was no such day.
fn timestamp(year: i64, month: i64, day: i64, second: i64) -> Option<Timestamp> {
    let days = days_since_epoch(year, month, day);
    // The thirty-first of April turns up as the first of May.
    (civil(days) == (year, month, day))
        .then(|| Timestamp::from_seconds(days * SECONDS_PER_DAY + second))
}

/// Days from the Unix epoch to a date.
///
/// Counts years from March, so that a leap day is the last of its year, and months from March in
/// steps of 30.6 days, which falls on the right day for each.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 306 + 5) / 10 + day - 1 - DAYS_BEFORE_EPOCH
}

/// Year, month (from 1) and day (from 1) of the date so many days from the Unix epoch.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_EPOCH;
    let (cycle, day) = (days.div_euclid(DAYS_PER_400_YEARS), days.rem_euclid(DAYS_PER_400_YEARS));
    // Takes away the leap days of the cycle so far; what is left has 365 days a year.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (day * 10 + 5) / 306;
    let day = day - (month * 306 + 5) / 10 + 1;
    let month = (month + 2) % 12 + 1;
    let year = cycle * 400 + year + i64::from(month <= 2);
    (year, month, day)
}

/// `08:49:37`, in seconds since midnight. A leap second counts as the one after it.
fn time_of_day(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = two_digits(text)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?)?;
    let (second, rest) = two_digits(rest.strip_prefix(b":")?)?;
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 3600 + minute * 60 + second, rest))
}

fn month(text: &[u8]) -> Option<(i64, &[u8])> {
    let (name, rest) = text.split_at_checked(3)?;
    Some((position(&MONTHS, name)? + 1, rest))
}

fn is_gmt(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b" GMT")
}

fn two_digits(text: &[u8]) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    Some((number(digits)?, rest))
}

fn four_digits(text: &[u8]) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((number(digits)?, rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
    })
}

fn position(names: &[&str], name: &[u8]) -> Option<i64> {
    (0_i64..)
        .zip(names)
        .find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name))
        .map(|(at, _)| at)
}

fn name_at<'a>(names: &[&'a str], at: i64) -> &'a str {
    (0_i64..).zip(names).find(|(index, _)| *index == at).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse(text.as_bytes()).map(Timestamp::as_seconds), expected, "{text}");
    }

    #[test]
    fn reads_all_three_forms() {
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777));
        check("Sun Nov  6 08:49:37 1994", Some(784_111_777));
        check("Sun Nov 16 08:49:37 1994", Some(784_975_777));
        check("Thursday, 18-Aug-50 02:01:18 GMT", Some(2_544_400_878));
        check("Thursday, 01-Jan-70 00:00:00 GMT", Some(0));
        check("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1));
        check("Tue, 19 Jan 2038 14:14:08 GMT", Some(2_147_523_248));
        check("Sun, 21 Nov 2286 04:46:39 GMT", Some(10_000_039_599));
        check("Mon, 01 Jan 0001 00:00:00 GMT", Some(-62_135_596_800));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(LAST));
        check("Sat, 01 Jan 0000 00:00:00 GMT", Some(FIRST));
    }

    #[test]
    fn forgives_case_and_the_wrong_weekday() {
        check("THU, 18 Aug 2050 02:01:18 GMT", Some(2_544_400_878));
        check("Thu, 18 AUG 2050 02:01:18 GMT", Some(2_544_400_878));
        check("Thu, 18 Aug 2050 02:01:18 gMT", Some(2_544_400_878));
        check("Thu Aug  8 02:01:18 2050", Some(2_543_536_878));
    }

    #[test]
    fn reads_nothing_else() {
        for text in [
            "",
            "0",
            "-1",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 02:60:18 GMT",
            "Thu, 18 Aug 2050 02:01:61 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMT ",
            "Thu, 31 Apr 2050 02:01:18 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Mon, 29 Feb 1900 00:00:00 GMT",
            "Thu, 00 Aug 2050 02:01:18 GMT",
            "Xxx, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Xxx 2050 02:01:18 GMT",
        ] {
            check(text, None);
        }
        check("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400));
        check("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800));
    }

    #[test]
    fn prints_29_bytes() {
        let check = |seconds, expected: &str| {
            let text = print(Timestamp::from_seconds(seconds));
            assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(i64::MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
        check(i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn takes_an_unreadable_expires_for_the_past() {
        let good = "Thu, 18 Aug 2050 02:01:18 GMT";
        let at = Expires::At(Timestamp::from_seconds(2_544_400_878));
        let check = |lines: &[&str], expected| {
            assert_eq!(expires(&testing::lines("expires", lines)), expected, "{lines:?}");
        };
        check(&[], None);
        check(&[good], Some(at));
        check(&[good, good], Some(at));
        check(&["0"], Some(Expires::Invalid));
        check(&[""], Some(Expires::Invalid));
        check(&[good, "0"], Some(Expires::Invalid));
        check(&[good, "Thu, 18 Aug 2050 02:01:19 GMT"], Some(Expires::Invalid));
    }

    #[test]
    fn relies_on_no_last_modified_that_contradicts_itself() {
        let good = "Sun, 06 Nov 1994 08:49:37 GMT";
        let check = |lines: &[&str], expected: Option<i64>| {
            let found = last_modified(&testing::lines("last-modified", lines));
            assert_eq!(found, expected.map(Timestamp::from_seconds), "{lines:?}");
        };
        check(&[good], Some(784_111_777));
        check(&[good, "Sun, 06 Nov 1994 08:49:38 GMT"], None);
        check(&["yesterday"], None);
    }

    proptest! {
        #[test]
        fn reads_what_was_printed(seconds in FIRST..=LAST) {
            let at = Timestamp::from_seconds(seconds);
            prop_assert_eq!(parse(&print(at)), Some(at));
        }

        #[test]
        fn reads_any_bytes_without_harm(value: Vec<u8>) {
            if let Some(at) = parse(&value) {
                prop_assert_eq!(parse(&print(at)), Some(at));
            }
        }
    }
}
