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
        (None, Some(theirs)) => theirs.weak,
        (_, None) => match (stored.get(header::LAST_MODIFIED), answer.get(header::LAST_MODIFIED)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (_, _) => true,
        },
    }
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
    // The time that it was validated is now; an older Age would count twice.
    fields.remove(header::AGE);
    for name in answer.keys().filter(|name| !of_body.contains(name)) {
        fields.remove(name);
        for value in answer.get_all(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}
