//! Decides what a 304, or an answer to `HEAD`, changes in a stored response (RFC 9111 §3.2,
//! §4.3.4, §4.3.5).

use http::{HeaderMap, header};

use crate::field::etag;

/// Whether a 304 with `answer` speaks of the stored response that was to be validated.
#[must_use]
pub fn applies(stored: &HeaderMap, answer: &HeaderMap) -> bool {
    match (etag::etag(stored), etag::etag(answer)) {
        //= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.4
        //# If the new response contains one or more strong validators [...]
        //# If none of the stored responses contains at least one of the same
        //# strong validators, then the cache MUST NOT use the new response to
        //# update any stored responses.
        (Some(ours), Some(theirs)) if !theirs.weak => ours.strong_eq(&theirs),
        (Some(ours), Some(theirs)) => ours.weak_eq(&theirs),
        (None, Some(theirs)) if !theirs.weak => false,
        // A weak validator must be one that is stored: the tag is not, the date may be.
        (None, Some(_)) => same_modified(stored, answer) == Some(true),
        (_, None) => same_modified(stored, answer).unwrap_or(true),
    }
}

/// Whether both were last modified at the same time; `None` if one of them does not say.
fn same_modified(stored: &HeaderMap, answer: &HeaderMap) -> Option<bool> {
    let (ours, theirs) = (stored.get(header::LAST_MODIFIED)?, answer.get(header::LAST_MODIFIED)?);
    Some(ours == theirs)
}

/// Whether an answer to `HEAD` shows that the stored response still stands (RFC 9111 §4.3.5).
#[must_use]
pub fn confirmed_by_head(stored: &HeaderMap, length: u64, answer: &HeaderMap) -> bool {
    let same_length = answer
        .get(header::CONTENT_LENGTH)
        .is_none_or(|value| value.as_bytes() == length.to_string().as_bytes());
    let same = |name| answer.get(&name).is_none_or(|value| stored.get(&name) == Some(value));
    same_length && same(header::ETAG) && same(header::LAST_MODIFIED)
}

/// The stored fields, updated with what `answer` carries (RFC 9111 §3.2).
#[must_use]
pub fn updated(stored: &HeaderMap, answer: &HeaderMap) -> HeaderMap {
    // These describe the stored body, which a 304 does not replace.
    let of_body = [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_RANGE];
    let mut fields = stored.clone();
    // It was validated now; an older Age or Date would make it as old as before.
    fields.remove(header::AGE);
    fields.remove(header::DATE);
    for name in answer.keys().filter(|name| !of_body.contains(name)) {
        fields.remove(name);
        for value in answer.get_all(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{head, print};

    #[track_caller]
    fn check(stored: &str, answer: &str, expected: bool) {
        assert_eq!(applies(&head(stored), &head(answer)), expected, "{stored} and {answer}");
    }

    #[test]
    fn takes_a_304_for_the_stored_response_only_with_its_validator() {
        check("ETag: \"a\"", "ETag: \"a\"", true);
        check("ETag: \"a\"", "ETag: \"b\"", false);
        check("ETag: W/\"a\"", "ETag: \"a\"", false);
        check("ETag: \"a\"", "ETag: W/\"a\"", true);
        check("ETag: W/\"a\"", "ETag: W/\"a\"", true);
        check("ETag: W/\"a\"", "ETag: W/\"b\"", false);
        check("", "ETag: \"a\"", false);
        check("", "ETag: W/\"a\"", false);
        check("Last-Modified: x", "ETag: \"a\" | Last-Modified: x", false);
        check("Last-Modified: x", "ETag: W/\"a\" | Last-Modified: x", true);
        check("Last-Modified: x", "ETag: W/\"a\" | Last-Modified: y", false);
    }

    #[test]
    fn goes_by_the_date_where_the_304_has_no_tag() {
        check("Last-Modified: x", "Last-Modified: x", true);
        check("Last-Modified: x", "Last-Modified: y", false);
        check("ETag: \"a\" | Last-Modified: x", "Last-Modified: y", false);
    }

    #[test]
    fn takes_a_304_without_validators_for_the_one_that_was_asked_about() {
        check("", "", true);
        check("ETag: \"a\"", "", true);
        check("Last-Modified: x", "", true);
    }

    #[track_caller]
    fn check_head(stored: &str, answer: &str, expected: bool) {
        let confirmed = confirmed_by_head(&head(stored), 10, &head(answer));
        assert_eq!(confirmed, expected, "{stored} and {answer}");
    }

    #[test]
    fn believes_an_answer_to_head_unless_it_differs() {
        check_head("ETag: \"a\"", "", true);
        check_head("ETag: \"a\"", "Content-Length: 10 | ETag: \"a\"", true);
        check_head("", "Content-Length: 11", false);
        check_head("", "Content-Length: ten", false);
        check_head("ETag: \"a\"", "Content-Length: 10 | ETag: \"b\"", false);
        check_head("", "ETag: \"b\"", false);
        check_head("Last-Modified: x", "Last-Modified: y", false);
        check_head("Last-Modified: x", "Last-Modified: x", true);
    }

    #[track_caller]
    fn check_updated(stored: &str, answer: &str, expected: &str) {
        let updated = updated(&head(stored), &head(answer));
        assert_eq!(print(&updated), expected, "{stored} and {answer}");
    }

    #[test]
    fn replaces_all_lines_of_the_fields_that_the_answer_has() {
        check_updated("A: 1 | B: 2", "A: 3", "a: 3 | b: 2");
        check_updated("A: 1 | A: 2", "A: 3", "a: 3");
        check_updated("A: 1", "A: 2 | A: 3", "a: 2 | a: 3");
        check_updated("A: 1", "C: 4", "a: 1 | c: 4");
        check_updated("Content-Type: a/b", "Content-Type: c/d", "content-type: c/d");
    }

    #[test]
    fn counts_the_age_from_the_validation() {
        check_updated("Age: 100 | Date: x", "", "");
        check_updated("Age: 100 | Date: x", "Date: y", "date: y");
        check_updated("Age: 100 | Date: x", "Age: 2 | Date: y", "age: 2 | date: y");
    }

    proptest! {
        #[test]
        fn never_touches_what_describes_the_body(
            stored in prop::collection::vec((0..5_usize, "[a-z0-9]{1,3}"), 0..6),
            answer in prop::collection::vec((0..5_usize, "[a-z0-9]{1,3}"), 0..6),
        ) {
            let of_body = [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_RANGE];
            let other = [header::ETAG, header::CONTENT_TYPE];
            let map = |lines: &[(usize, String)]| -> HeaderMap {
                let names: Vec<_> = of_body.iter().chain(&other).cloned().collect();
                lines.iter().map(|(at, value)| (names[*at].clone(), value.parse().unwrap())).collect()
            };
            let (stored, answer) = (map(&stored), map(&answer));
            let updated = updated(&stored, &answer);
            let all = |map: &HeaderMap, name: &http::HeaderName| -> Vec<_> {
                map.get_all(name).iter().cloned().collect()
            };
            for name in of_body {
                prop_assert_eq!(all(&updated, &name), all(&stored, &name));
            }
            for name in other {
                let newest = if answer.contains_key(&name) { &answer } else { &stored };
                prop_assert_eq!(all(&updated, &name), all(newest, &name));
            }
        }
    }
}
