//! What happened to a request, told once: the trail that `Cache-Status`, the log and the metrics
//! are printed from.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

/// Why a request went forward (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fwd {
    /// The rules do not let this request use the cache.
    Bypass,
    /// Its method cannot be answered from the cache.
    Method,
    /// Nothing is stored under its URI.
    UriMiss,
    /// Something is stored under its URI, but no variant that it selects.
    VaryMiss,
    /// Nothing stored was used, for another reason: what is stored is fresh, but the route asks the
    /// origin first (`detail=network-first`).
    Miss,
    /// The request itself asked for it, as by `Cache-Control: no-cache`.
    Request,
    /// What is stored is stale.
    Stale,
    /// What is stored is a part that does not cover the request.
    Partial,
}

impl Fwd {
    /// Every reason, for tables of metrics.
    pub const ALL: [Self; 8] = [
        Self::Bypass,
        Self::Method,
        Self::UriMiss,
        Self::VaryMiss,
        Self::Miss,
        Self::Request,
        Self::Stale,
        Self::Partial,
    ];

    /// The token of RFC 9211.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// The one fact that decided, where `Fwd` alone does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// Answered stale while it is revalidated (RFC 5861 §3).
    StaleWhileRevalidate,
    /// Answered stale in place of an error (RFC 5861 §4).
    StaleIfError,
    /// Answered fresh in place of an error, where the origin was asked first all the same.
    FreshIfError,
    /// Answered stale because the request allows it (RFC 9111 §5.2.1.2).
    MaxStale,
    /// Forwarded though what is stored is fresh: the route asks the origin first.
    NetworkFirst,
    /// Answered from what is stored: the origin had not begun to answer by the `deadline`.
    Deadline,
    /// Answered from what is stored: the origin failed lately and is left alone for a while.
    OriginResting,
    /// `only-if-cached`, and nothing could answer (RFC 9111 §5.2.1.7).
    OnlyIfCached,
    /// Not stored: the route bypasses the cache.
    RouteBypass,
    /// Not looked up: the request carries a field or a cookie of `bypass_if`.
    BypassIf,
    /// Not looked up: some origins would read the path as one of another route.
    AmbiguousPath,
    /// Not stored: the response says `no-store`.
    NoStore,
    /// Not stored: the request says `no-store`.
    RequestNoStore,
    /// Not stored: the response says `private`.
    Private,
    /// Not stored: the request carried `Authorization`, and the response does not allow it.
    Authorization,
    /// Not stored: the response sets a cookie.
    SetCookie,
    /// Not stored: its media type is none of the route's `types`.
    ContentType,
    /// Not stored: `Vary: *`.
    VaryStar,
    /// Not stored: neither origin nor route says how long, and no heuristic applies.
    NoFreshness,
    /// Not stored: it was stale when it came, and could not be validated.
    Expired,
    /// Not stored: an answer to this method is not stored.
    Method,
    /// Not stored: this status is not stored.
    Status,
    /// Not stored: larger than `cache.max_object`.
    TooLarge,
    /// Not stored: an answer to `HEAD` has no body.
    Head,
    /// Not stored: a part without what RFC 9111 §3.3 asks for.
    Part,
    /// Forwarded alone: this URI lately gave an answer that could not be shared.
    HitForMiss,
    /// The origin could not be reached.
    OriginUnreachable,
    /// The origin did not answer in time.
    OriginTimeout,
    /// The origin answered what is not HTTP.
    OriginInvalid,
    /// The origin closed before its answer was whole.
    OriginClosed,
    /// No origin serves this host and path.
    NoRoute,
    /// The request is malformed.
    BadRequest,
    /// `PURGE` from an address that `server.purge_from` does not have.
    PurgeRefused,
}

impl Detail {
    /// The token that `Cache-Status`, the log and the metrics show.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::StaleWhileRevalidate => "stale-while-revalidate",
            Self::StaleIfError => "stale-if-error",
            Self::FreshIfError => "fresh-if-error",
            Self::MaxStale => "max-stale",
            Self::NetworkFirst => "network-first",
            Self::Deadline => "deadline",
            Self::OriginResting => "origin-resting",
            Self::OnlyIfCached => "only-if-cached",
            Self::RouteBypass => "route-bypass",
            Self::BypassIf => "bypass-if",
            Self::AmbiguousPath => "ambiguous-path",
            Self::NoStore => "no-store",
            Self::RequestNoStore => "request-no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::ContentType => "content-type",
            Self::VaryStar => "vary-star",
            Self::NoFreshness => "no-freshness",
            Self::Expired => "expired",
            Self::Method => "method",
            Self::Status => "status",
            Self::TooLarge => "too-large",
            Self::Head => "head",
            Self::Part => "part",
            Self::HitForMiss => "hit-for-miss",
            Self::OriginUnreachable => "origin-unreachable",
            Self::OriginTimeout => "origin-timeout",
            Self::OriginInvalid => "origin-invalid",
            Self::OriginClosed => "origin-closed",
            Self::NoRoute => "no-route",
            Self::BadRequest => "bad-request",
            Self::PurgeRefused => "purge-refused",
        }
    }
}

/// How the origin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection could be made.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It answered what is not HTTP, or not allowed.
    Invalid,
    /// It closed before its answer was whole.
    Closed,
}

impl Failure {
    /// The status that says so to a client (RFC 9110 §15.6.3, §15.6.5).
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Unreachable | Self::Invalid | Self::Closed => StatusCode::BAD_GATEWAY,
        }
    }

    /// The fact that the trail tells.
    #[must_use]
    pub const fn detail(self) -> Detail {
        match self {
            Self::Unreachable => Detail::OriginUnreachable,
            Self::Timeout => Detail::OriginTimeout,
            Self::Invalid => Detail::OriginInvalid,
            Self::Closed => Detail::OriginClosed,
        }
    }
}

/// Where a stored response is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// In the memory of this edge.
    Memory,
    /// On the disk of this edge.
    Disk,
    /// In the Redis of a fleet.
    Redis,
}

impl Tier {
    /// Its name in `Cache-Status`, the log and the metrics.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Redis => "redis",
        }
    }
}

/// How a request was answered: the parameters of one `Cache-Status` member (RFC 9211 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Why it went forward; `None` for a hit, or if it went nowhere.
    pub fwd: Option<Fwd>,
    /// Answered from what was stored, without going forward.
    pub hit: bool,
    /// Where that had to be looked for, if it was not in memory.
    pub tier: Option<Tier>,
    /// The status that the origin answered with.
    pub fwd_status: Option<u16>,
    /// What is left of the lifetime of the answer, in seconds.
    pub ttl: Option<i64>,
    /// The origin's answer was stored.
    pub stored: bool,
    /// It shared another request's forward request.
    pub collapsed: bool,
    /// The fact that decided.
    pub detail: Option<Detail>,
    /// From going forward to the head of the answer.
    pub waited: Option<Duration>,
}

/// What a client is told beside the trail if it shows that it may know.
#[derive(Clone, Debug)]
pub struct Disclosed {
    /// The key that it was looked up under.
    pub key: String,
    /// The route that it took.
    pub route: Arc<str>,
    /// Where that begins in the settings.
    pub place: String,
}

impl Trail {
    /// Notes that the origin answered with `status`, and whether that was stored.
    pub fn note_answer(&mut self, status: u16, verdict: Result<(), Detail>) {
        self.fwd_status = Some(status);
        self.stored = verdict.is_ok();
        self.detail = verdict.err().or(self.detail);
    }
}

/// A body that has been put into another content coding.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The route of the request that wanted it.
    pub route: Arc<str>,
    /// The coding, by its name; `identity` if it is the plain body.
    pub coding: &'static str,
    /// Bytes of the body.
    pub before: u64,
    /// Bytes of what it became.
    pub after: u64,
    /// How long it took.
    pub took: Duration,
}

/// A whole body that a client got in a coding of the edge's making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coded {
    /// The coding, by its name.
    pub coding: &'static str,
    /// How many bytes it would have had as the origin sent it.
    pub instead_of: u64,
}

/// A request that has been answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The route that it took.
    pub route: Option<Arc<str>>,
    /// The status that the client got; zero if it got none.
    pub status: u16,
    /// How it was answered.
    pub trail: Trail,
    /// Bytes of body that the client got.
    pub bytes: u64,
    /// What these were made of, if they were made by the edge and it is known how many those were.
    pub coded: Option<Coded>,
    /// From the request's head to the end of the answer.
    pub took: Duration,
}
