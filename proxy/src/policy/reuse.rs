//! Decides whether a stored response may answer a request (RFC 9111 §4).

use crate::event::{Detail, Fwd};
use crate::field::cache_control::{MaxStale, RequestDirectives};
use crate::stored::Freshness;
use crate::time::{Seconds, Timestamp};

/// Whether a stored response may answer, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It is fresh enough.
    Fresh,
    /// It is stale, but the request says that this will do (RFC 9111 §5.2.1.2).
    Tolerated,
    /// It is stale and may answer while it is revalidated in the background (RFC 5861 §3).
    WhileRevalidate,
    /// It must be validated first, because of this.
    Validate(Fwd),
}

impl Reuse {
    /// The fact that `Cache-Status` tells beside `hit`.
    #[must_use]
    pub const fn detail(self) -> Option<Detail> {
        match self {
            Self::Tolerated => Some(Detail::MaxStale),
            Self::WhileRevalidate => Some(Detail::StaleWhileRevalidate),
            Self::Fresh | Self::Validate(_) => None,
        }
    }
}

/// Says whether what was stored with `stored` may answer a request with `request`.
#[must_use]
pub fn decide(stored: &Freshness, request: &RequestDirectives, now: Timestamp) -> Reuse {
    if request.no_cache {
        return Reuse::Validate(Fwd::Request);
    }
    if stored.always_validate {
        return Reuse::Validate(Fwd::Stale);
    }
    let age = stored.age(now);
    let too_old = request.max_age.is_some_and(|limit| age > limit);
    if stored.is_fresh(now) {
        let left = stored.lifetime.minus(age);
        let too_short = request.min_fresh.is_some_and(|wanted| left < wanted);
        return if too_old || too_short { Reuse::Validate(Fwd::Request) } else { Reuse::Fresh };
    }
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.4
    //# A cache MUST NOT generate a stale response if it is prohibited by an
    //# explicit in-protocol directive
    if stored.never_stale {
        return Reuse::Validate(Fwd::Stale);
    }
    let staleness = stored.staleness(now);
    let tolerated = match request.max_stale {
        Some(MaxStale::Any) => true,
        Some(MaxStale::AtMost(limit)) => staleness <= limit,
        None => false,
    };
    if tolerated && !too_old {
        return Reuse::Tolerated;
    }
    if stored.while_revalidate > Seconds::ZERO
        && staleness <= stored.while_revalidate
        && request.max_age.is_none()
        && request.min_fresh.is_none()
    {
        return Reuse::WhileRevalidate;
    }
    Reuse::Validate(Fwd::Stale)
}
