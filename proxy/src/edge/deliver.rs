//! Writes an answer to the client.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use log::debug;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora::{BError, Error, ErrorType};
use tokio::time::timeout;

use super::{Context, downstream};
use crate::collapse::{Arriving, End, Passenger};
use crate::event::{Coded, Failure};
use crate::field::range::ByteRange;
use crate::policy::answer::{self, Answer};
use crate::policy::look_up::Serving;
use crate::policy::sanitised::NOT_FOR_CLIENTS;
use crate::policy::status;
use crate::stored::region::Region;
use crate::stored::{Fields, Stored};
use crate::time::{Seconds, Timestamp};

/// The longest that a client may take to read what was sent last.
pub(super) const SLOWEST_READ: Duration = Duration::from_mins(1);

/// `Cache-Status` (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// `Server-Timing` (W3C).
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// An answer, ready to be written.
pub(super) struct Reply {
    status: StatusCode,
    fields: HeaderMap,
    ttl: Option<i64>,
    /// It is stored, or is about to be.
    is_shared: bool,
    /// The length of the body, or of what `GET` would have got.
    length: Option<u64>,
    body: Source,
    /// What the body was made of.
    coded: Option<Coded>,
}

/// Where a body comes from.
enum Source {
    /// There is none.
    Nothing,
    /// It is there.
    Pieces(Vec<Bytes>),
    /// It is on disk, and this of it is sent.
    OnDisk(Arc<Region>, Range<u64>),
    /// It is arriving; what is sent is this many bytes, after this many that are left out.
    Arriving(Passenger<Failure>, u64, u64),
}

impl Reply {
    /// What `serving` says of `stored`.
    pub(super) fn stored(stored: &Stored, serving: Serving, now: Timestamp) -> Self {
        let Serving { fields, body, answer, .. } = serving;
        let length = body.length();
        let complete = stored.head.part.and_then(|part| part.complete).unwrap_or(length);
        // Where the stored part begins in the whole.
        let begin = stored.head.part.and_then(|part| part.range).map_or(0, |range| range.first);
        let cut = |range: &ByteRange| {
            body.slice(range.first - begin, (range.last - begin).saturating_add(1))
        };
        let mut reply = Self {
            status: stored.head.status,
            fields,
            ttl: Some(stored.head.freshness.ttl(now)),
            is_shared: true,
            length: Some(length),
            body: Source::Nothing,
            coded: None,
        };
        reply.set_age(stored.head.freshness.age(now));
        match (&answer, body.region()) {
            // All of it is an answer to who wants several parts as well (RFC 9110 §14.2).
            (Answer::Whole | Answer::Missing | Answer::Parts(_), Some(region)) => {
                reply.body = Source::OnDisk(Arc::clone(region), 0..length);
            }
            (Answer::Part(range), Some(region)) => {
                reply.become_part(*range, complete);
                let end = range.last.saturating_add(1).min(length);
                reply.body = Source::OnDisk(Arc::clone(region), range.first..end);
            }
            (Answer::Whole | Answer::Missing, None) => {
                reply.body = Source::Pieces(body.as_slice().to_vec());
            }
            (Answer::Part(range), None) => {
                reply.become_part(*range, complete);
                reply.body = Source::Pieces(cut(range));
            }
            (Answer::Parts(ranges), None) => reply.become_parts(ranges, complete, cut),
            (Answer::NotModified, _) => reply.become_not_modified(),
            (Answer::Unsatisfiable, _) => reply.become_unsatisfiable(complete),
        }
        reply
    }

    /// A stored response whose body is being made anew, if one is wanted, under these `fields`.
    pub(super) fn being_made(
        stored: &Stored,
        fields: HeaderMap,
        body: Option<Passenger<Failure>>,
        now: Timestamp,
    ) -> Self {
        let mut reply = Self {
            status: stored.head.status,
            fields,
            ttl: Some(stored.head.freshness.ttl(now)),
            is_shared: true,
            length: None,
            body: body.map_or(Source::Nothing, |body| Source::Arriving(body, 0, u64::MAX)),
            coded: None,
        };
        reply.set_age(stored.head.freshness.age(now));
        reply
    }

    /// What `answer` says of an answer that is arriving, under these `fields`, whose body has
    /// `length` if that is known; `now` if its age is to be told.
    pub(super) fn arriving(
        arriving: &Arriving,
        fields: HeaderMap,
        answer: &Answer,
        (passenger, length): (Passenger<Failure>, Option<u64>),
        now: Option<Timestamp>,
    ) -> Self {
        let complete = length.unwrap_or(0);
        let mut reply = Self {
            status: arriving.head.status,
            fields,
            ttl: now.map(|now| arriving.head.freshness.ttl(now)),
            is_shared: arriving.verdict.is_ok(),
            length,
            body: Source::Nothing,
            coded: None,
        };
        if let Some(now) = now {
            reply.set_age(arriving.head.freshness.age(now));
        }
        match answer {
            Answer::Part(range) => {
                reply.become_part(*range, complete);
                reply.body = Source::Arriving(passenger, range.first, range.length());
            }
            Answer::NotModified => reply.become_not_modified(),
            Answer::Unsatisfiable => reply.become_unsatisfiable(complete),
            // Several parts are cut from what is there, not from what comes: all of it is an
            // answer as well (RFC 9110 §14.2).
            Answer::Whole | Answer::Parts(_) | Answer::Missing => {
                reply.body = Source::Arriving(passenger, 0, u64::MAX);
            }
        }
        reply
    }

    /// Notes that its body was put into `coding` in place of one of `length`, if that is known.
    pub(super) fn made(mut self, coding: Option<&'static str>, length: Option<u64>) -> Self {
        let is_whole =
            !matches!(self.body, Source::Nothing) && self.status != StatusCode::PARTIAL_CONTENT;
        let made = coding.zip(length).filter(|_| is_whole);
        self.coded = made.map(|(coding, instead_of)| Coded { coding, instead_of });
        self
    }

    /// Whether it is fresh, if its age is told.
    pub(super) fn is_fresh(&self) -> bool {
        self.ttl.is_some_and(|ttl| ttl > 0)
    }

    /// Lets clients keep it for `ttl`, if the route says so and it is one that many get.
    fn set_browser_ttl(&mut self, ttl: Option<Duration>) {
        if let Some(value) = answer::told(self.status, &self.fields, ttl, self.is_shared) {
            self.fields.insert(header::CACHE_CONTROL, value);
            self.fields.remove(header::EXPIRES);
        }
    }

    fn set_age(&mut self, age: Seconds) {
        self.fields.insert(header::AGE, HeaderValue::from(age.0));
    }

    fn become_part(&mut self, range: ByteRange, complete: u64) {
        self.status = StatusCode::PARTIAL_CONTENT;
        self.fields.insert(header::CONTENT_RANGE, answer::content_range(Some(range), complete));
        self.length = Some(range.length());
    }

    fn become_parts(
        &mut self,
        ranges: &[ByteRange],
        complete: u64,
        cut: impl Fn(&ByteRange) -> Vec<Bytes>,
    ) {
        self.status = StatusCode::PARTIAL_CONTENT;
        let kind = self.fields.remove(header::CONTENT_TYPE);
        self.fields.remove(header::CONTENT_RANGE);
        // Nobody who made the body can know it.
        let boundary = format!("forebay-{:016x}", RandomState::new().hash_one(complete));
        let pieces = answer::multipart(&boundary, kind.as_ref(), ranges, complete, cut);
        let kind = format!("multipart/byteranges; boundary={boundary}");
        if let Ok(kind) = HeaderValue::try_from(kind) {
            self.fields.insert(header::CONTENT_TYPE, kind);
        }
        self.length = Some(pieces.iter().map(|piece| piece.len() as u64).sum());
        self.body = Source::Pieces(pieces);
    }

    fn become_not_modified(&mut self) {
        self.status = StatusCode::NOT_MODIFIED;
        self.fields = answer::of_not_modified(&self.fields);
        self.length = None;
        self.body = Source::Nothing;
    }

    fn become_unsatisfiable(&mut self, complete: u64) {
        self.status = StatusCode::RANGE_NOT_SATISFIABLE;
        self.fields = answer::of_not_modified(&self.fields);
        self.fields.insert(header::CONTENT_RANGE, answer::content_range(None, complete));
        self.length = Some(0);
        self.body = Source::Nothing;
    }
}

/// Writes `reply` and tells in it how it came about.
pub(super) async fn send(
    session: &mut Session,
    context: &mut Context,
    mut reply: Reply,
) -> Result<(), BError> {
    let ttl = context.route.as_ref().and_then(|route| route.policy.browser_ttl);
    reply.set_browser_ttl(ttl);
    if context.trail.hit || context.trail.collapsed {
        context.trail.ttl = reply.ttl;
    }
    let session = session.as_downstream_mut();
    let framing = Framing::of(&reply, session.req_header().version);
    let to_head = session.req_header().method == Method::HEAD;
    if framing == Framing::Close {
        session.set_keepalive(None);
    }
    let mut head = head(reply.status, reply.fields, framing);
    sign(&mut head, context)?;
    downstream::keep_date(session, &head);
    write_head(session, head).await?;
    if framing == Framing::NoBody || to_head {
        return Ok(());
    }
    context.coded = reply.coded;
    match reply.body {
        Source::Nothing => session.write_response_body(Bytes::new(), true).await,
        Source::Pieces(pieces) => {
            for piece in pieces {
                session.write_response_body(piece, false).await?;
            }
            session.write_response_body(Bytes::new(), true).await
        }
        Source::OnDisk(region, range) => read_out(session, &region, range).await,
        Source::Arriving(passenger, skip, take) => {
            downstream::is_arriving(session);
            relay(session, passenger, skip, take).await
        }
    }
}

/// How many blocks of a body on disk are read at once, and are in memory until they are written.
const READ_AHEAD: usize = 4;

/// The longest that a disk may take for these.
const SLOWEST_DISK: Duration = Duration::from_secs(10);

/// Writes what lies in `range` of a body that is on disk.
async fn read_out(
    session: &mut ServerSession,
    region: &Arc<Region>,
    mut range: Range<u64>,
) -> Result<(), BError> {
    while !range.is_empty() {
        let (region, wanted) = (Arc::clone(region), range.clone());
        let read = tokio::task::spawn_blocking(move || read_some(&region, wanted));
        let Ok(Ok(Ok(pieces))) = timeout(SLOWEST_DISK, read).await else {
            // As with an origin that fails midway: the connection is closed.
            return Error::e_explain(ErrorType::FileReadError, "a stored body cannot be read")
                .map_err(|error: BError| error.into_in());
        };
        for piece in pieces {
            range.start += piece.len() as u64;
            session.write_response_body(piece, false).await?;
        }
    }
    session.write_response_body(Bytes::new(), true).await
}

/// Reads the first blocks of `range`.
fn read_some(region: &Region, mut range: Range<u64>) -> std::io::Result<Vec<Bytes>> {
    let mut pieces = Vec::with_capacity(READ_AHEAD);
    while pieces.len() < READ_AHEAD && !range.is_empty() {
        let piece = region.read(range.start, range.end)?;
        range.start += piece.len() as u64;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Waits for `news`, unless the client goes away before.
///
/// # Errors
///
/// That it went away.
pub(super) async fn unless_gone<T>(
    session: &mut ServerSession,
    news: impl Future<Output = T>,
) -> Result<T, BError> {
    let deserted = downstream::deserted(session);
    tokio::select! {
        biased;
        news = news => Ok(news),
        gone = session.read_body_or_idle(true) => {
            Err(gone.map_or_else(Error::into_down, |_| gone_away()))
        }
        () = deserted => Err(gone_away()),
    }
}

fn gone_away() -> BError {
    Error::explain(ErrorType::ConnectionClosed, "the client went away").into_down()
}

/// Writes a head, in the time that a client may take to read.
///
/// # Errors
///
/// That it could not be written, or not in time.
pub(super) async fn write_head(
    session: &mut ServerSession,
    head: ResponseHeader,
) -> Result<(), BError> {
    let written = timeout(SLOWEST_READ, session.write_response_header(Box::new(head))).await;
    written.unwrap_or_else(|_late| Err(gone_away()))
}

/// Writes a body while it arrives.
async fn relay(
    session: &mut ServerSession,
    mut passenger: Passenger<Failure>,
    mut skip: u64,
    mut take: u64,
) -> Result<(), BError> {
    while take > 0 {
        let mut piece = match unless_gone(session, passenger.piece()).await? {
            Ok(piece) => piece,
            Err(End::Whole) => break,
            Err(End::Broken) => {
                // To end it as if it were whole would be a lie: the connection is closed.
                debug!("the answer broke off on its way");
                return Error::e_explain(ErrorType::ConnectionClosed, "the answer broke off")
                    .map_err(|error: BError| error.into_up());
            }
        };
        let length = piece.len() as u64;
        if skip >= length {
            skip -= length;
            continue;
        }
        // `skip` and `take` are below the length of the piece where they cut it, so they fit.
        let from = usize::try_from(std::mem::take(&mut skip)).unwrap_or(0);
        let to = usize::try_from(take).map_or(piece.len(), |take| piece.len().min(from + take));
        piece = piece.slice(from..to);
        take -= piece.len() as u64;
        session.write_response_body(piece, false).await?;
    }
    session.write_response_body(Bytes::new(), true).await
}

/// How the end of an answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// It has no body.
    NoBody,
    /// By its length.
    Length(u64),
    /// By a last chunk.
    Chunked,
    /// By the end of the connection, or of the stream.
    Close,
}

impl Framing {
    fn of(reply: &Reply, version: Version) -> Self {
        match reply.length {
            _ if matches!(reply.status.as_u16(), 204 | 304) => Self::NoBody,
            Some(length) => Self::Length(length),
            None if version == Version::HTTP_11 => Self::Chunked,
            None => Self::Close,
        }
    }
}

fn head(status: StatusCode, mut fields: HeaderMap, framing: Framing) -> ResponseHeader {
    for name in NOT_FOR_CLIENTS {
        fields.remove(name);
    }
    fields.remove(header::CONTENT_LENGTH);
    match framing {
        Framing::Length(length) => {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Framing::Chunked => {
            fields.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Framing::NoBody | Framing::Close => {}
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status;
    parts.headers = fields;
    parts.into()
}

/// Says who answers, and how it came about.
pub(super) fn sign(head: &mut ResponseHeader, context: &Context) -> Result<(), BError> {
    let trail = &context.trail;
    let mut answered = status::cache_status(trail);
    if let Some(disclosed) = &context.disclosed {
        status::disclose(&mut answered, disclosed);
    }
    head.append_header(header::VIA, "1.1 forebay")?;
    head.append_header(CACHE_STATUS, answered)?;
    head.append_header(SERVER_TIMING, status::server_timing(trail))?;
    Ok(())
}

/// Writes an interim response.
pub(super) async fn interim(
    session: &mut Session,
    status: StatusCode,
    fields: &Fields,
) -> Result<(), BError> {
    if session.req_header().version == Version::HTTP_10 {
        return Ok(());
    }
    let mut head = ResponseHeader::build(status, None)?;
    for (name, value) in fields.iter() {
        head.append_header(name, value)?;
    }
    write_head(session.as_downstream_mut(), head).await
}
