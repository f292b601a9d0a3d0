//! Points in time as heads and JSON write them.

use std::time::{Duration, UNIX_EPOCH};

use crate::time::Timestamp;

/// Writes an IMF-fixdate, as `Last-Modified` needs it; times before 1970 become 1970.
pub(super) fn http(point: Timestamp) -> String {
    let since = u64::try_from(point.as_seconds()).unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(since))
}

/// Reads an HTTP date of any of the three kinds; `None` if it is none.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let Ok(point) = httpdate::parse_http_date(text) else { return None };
    let Ok(since) = point.duration_since(UNIX_EPOCH) else { return None };
    Some(Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)))
}

/// Writes `2026-02-03T04:05:06Z`.
pub(super) fn iso(point: Timestamp) -> String {
    let seconds = point.as_seconds();
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let within = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (within / 3600, within / 60 % 60, within % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date `days` after 1970-01-01 in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_the_date_that_the_calendar_shows() {
        assert_eq!(iso(Timestamp::from_seconds(0)), "1970-01-01T00:00:00Z");
        assert_eq!(iso(Timestamp::from_seconds(951_782_400)), "2000-02-29T00:00:00Z");
        assert_eq!(iso(Timestamp::from_seconds(1_756_706_461)), "2025-09-01T06:01:01Z");
        assert_eq!(iso(Timestamp::from_seconds(1_767_225_599)), "2025-12-31T23:59:59Z");
    }

    proptest! {
        #[test]
        fn reads_back_the_date_it_wrote(seconds in 0i64..4_000_000_000) {
            let point = Timestamp::from_seconds(seconds);
            prop_assert_eq!(read(&http(point)), Some(point));
        }
    }
}
