//! Decides which stored responses an answer to an unsafe method invalidates (RFC 9111 §4.4).

use http::{HeaderMap, Method, StatusCode, header};

use crate::key::Target;

/// The URIs whose stored responses are out of date after `status` answered `method` on `target`.
///
/// `Location` and `Content-Location` count only for the same origin: a site must not invalidate
/// what another one owns.
#[must_use]
pub fn targets(
    method: &Method,
    target: &Target,
    status: StatusCode,
    answer: &HeaderMap,
) -> Vec<Target> {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method);
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A "non-error response" is one with a 2xx (Successful) or 3xx (Redirection) status code.
    if safe || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let named = [header::LOCATION, header::CONTENT_LOCATION]
        .into_iter()
        .filter_map(|name| answer.get(name)?.to_str().map(|uri| target.join(uri)).unwrap_or(None))
        .filter(|other| other.same_origin(target));
    std::iter::once(target.clone()).chain(named).collect()
}
