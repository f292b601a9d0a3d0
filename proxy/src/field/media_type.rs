//! The media type of a response, held against patterns (RFC 9110 §8.3).

use http::{HeaderMap, header};

/// Whether the media type that `fields` tell is one of `patterns`, which are in lower case:
/// `text/css`, `text/*`, `application/*+json`.
///
/// Where there are several, one reader takes the first and another the last: each has to be.
#[must_use]
pub fn is_one_of(fields: &HeaderMap, patterns: &[String]) -> bool {
    let said = fields.get_all(header::CONTENT_TYPE);
    let is_meant = |said: &[u8]| patterns.iter().any(|pattern| matches(said, pattern));
    said.iter().next().is_some() && said.iter().all(|said| is_meant(essence(said.as_bytes())))
}

/// A media type without its parameters.
fn essence(said: &[u8]) -> &[u8] {
    said.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

fn matches(said: &[u8], pattern: &str) -> bool {
    let Some((start, end)) = pattern.split_once('*') else {
        return said.eq_ignore_ascii_case(pattern.as_bytes());
    };
    said.split_at_checked(start.len()).is_some_and(|(first, rest)| {
        first.eq_ignore_ascii_case(start.as_bytes())
            && rest
                .len()
                .checked_sub(end.len())
                .and_then(|length| rest.split_at_checked(length))
                .is_some_and(|(_, last)| last.eq_ignore_ascii_case(end.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(lines: &[&str], patterns: &[&str], expected: bool) {
        let headers = testing::lines("content-type", lines);
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        assert_eq!(is_one_of(&headers, &patterns), expected, "{lines:?} {patterns:?}");
    }

    #[test]
    fn knows_a_type_whatever_its_case_and_parameters() {
        check(&["text/css"], &["text/css"], true);
        check(&["Text/CSS ; charset=utf-8"], &["a/b", "text/css"], true);
        check(&["text/css2"], &["text/css"], false);
        check(&["text"], &["text/css"], false);
        check(&["text/css"], &[], false);
    }

    #[test]
    fn knows_a_type_by_how_it_begins_and_ends() {
        check(&["IMAGE/png"], &["image/*"], true);
        check(&["images/png"], &["image/*"], false);
        check(&["application/ld+JSON; a=b"], &["application/*+json"], true);
        check(&["application/json"], &["application/*+json"], false);
        check(&["application/+json"], &["application/*+json"], true);
        check(&["text/ld+json"], &["application/*+json"], false);
        check(&["application/ld+json2"], &["application/*+json"], false);
        check(&["application/"], &["application/*+json"], false);
    }

    #[test]
    fn takes_several_types_only_if_each_is_meant() {
        check(&["text/css", "text/html"], &["text/*"], true);
        check(&["text/css", "image/png"], &["text/*"], false);
        check(&[], &["text/*"], false);
        check(&[""], &["text/*"], false);
    }
}
