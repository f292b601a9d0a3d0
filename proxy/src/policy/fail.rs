//! Decides what to answer when the origin fails: something stale, or an error (RFC 9111 §4.2.4,
//! RFC 5861 §4).

use http::StatusCode;

use crate::field::cache_control::RequestDirectives;
use crate::stored::Freshness;
use crate::time::{Seconds, Timestamp};

/// Whether a status stands for an error that something stale may replace (RFC 5861 §4).
#[must_use]
pub const fn is_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// What went wrong with a forward request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The origin could not be asked, or gave no answer: the cache is disconnected.
    Disconnected,
    /// The origin answered with an error.
    Error,
}

/// For how long past its lifetime something stale may answer when the origin cannot be asked and
/// nobody said otherwise.
const WHILE_DISCONNECTED: Seconds = Seconds(24 * 60 * 60);

/// Whether what is stored may answer in spite of `trouble`.
///
/// For as long as `stale-if-error` says, by the response, by the request, or by the route; never
/// against the word of the response. A cache that is disconnected may do so by itself
/// (RFC 9111 §4.2.4).
#[must_use]
pub fn may_serve_stale(
    stored: &Freshness,
    request: &RequestDirectives,
    trouble: Trouble,
    now: Timestamp,
) -> bool {
    if stored.never_stale || stored.always_validate || request.no_cache {
        return false;
    }
    let by_itself = match trouble {
        Trouble::Disconnected => WHILE_DISCONNECTED,
        Trouble::Error => Seconds::ZERO,
    };
    let allowed = request.stale_if_error.max(stored.if_error).unwrap_or(by_itself);
    allowed > Seconds::ZERO && stored.staleness(now) <= allowed
}
