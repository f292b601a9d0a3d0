//! Passes a request on as it is and its answer back, in the coding that the client likes, and looks at what it means for what is
//! stored.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{BError, Error, ErrorType};

use super::compress::Recoding;
use super::decide::Asked;
use super::fetch;
use super::{Context, Shared, deliver, downstream};
use crate::event::Failure;
use crate::field::{self, coding, hop};
use crate::policy::admit::Arrival;
use crate::policy::encode::Form;
use crate::policy::sanitised::{NOT_FOR_CLIENTS, Sanitised};
use crate::policy::{decide, forward, group, invalidate, passed_on, post};
use crate::store::memory::Epoch;
use crate::stored::{Body, Stored, StoredHead};
use crate::time::{self, Timestamp};

/// A request that is passed on.
#[derive(Debug)]
pub(super) struct Passing {
    asked: Asked,
    /// The moment before it was passed on.
    epoch: Epoch,
    since: Timestamp,
    began: Instant,
    keeping: Option<Keeping>,
    recoding: Option<Recoding>,
}

/// An answer to `POST` that may answer later `GET`s (RFC 9110 §9.3.3), on its way to the store.
#[derive(Debug)]
struct Keeping {
    head: StoredHead,
    pieces: Vec<Bytes>,
    length: u64,
    epoch: Epoch,
}

impl Passing {
    /// Begins to pass on what was `asked` at `epoch`.
    pub(super) fn new(asked: Asked, epoch: Epoch) -> Self {
        let (since, began) = (time::now(), Instant::now());
        Self { asked, epoch, since, began, keeping: None, recoding: None }
    }
}

/// Where to pass the request on to.
pub(super) async fn peer(context: &Context) -> Result<Box<HttpPeer>, BError> {
    let Some(passing) = &context.passing else {
        return Error::e_explain(ErrorType::InternalError, "a request that is not passed on");
    };
    passing.asked.origin.peer().await.map(Box::new).map_err(|failure: Failure| {
        Error::create(
            ErrorType::HTTPStatus(failure.status().as_u16()),
            pingora::ErrorSource::Upstream,
            None,
            None,
        )
    })
}

/// Says what the origin is asked.
pub(super) fn request(request: &mut RequestHeader, context: &Context) -> Result<(), BError> {
    let Some(asked) = context.passing.as_ref().map(|passing| &passing.asked) else {
        return Ok(());
    };
    if request.raw_path() != b"*" {
        request.set_raw_path(asked.target.path_and_query().as_bytes())?;
    }
    for name in forward::forged(&request.headers) {
        request.remove_header(&name);
    }
    for (name, value) in forward::vouched(&asked.client) {
        request.append_header(name, value)?;
    }
    let host = asked.origin.settings().host.as_deref().unwrap_or(asked.target.authority());
    request.insert_header(header::HOST, host)
}

/// Looks at the answer: what it invalidates, whether it is kept, and how it is told.
pub(super) fn response(
    shared: &Arc<Shared>,
    session: &Session,
    response: &mut ResponseHeader,
    context: &mut Context,
) -> Result<(), BError> {
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        clean(response);
        return Ok(());
    }
    if !(100..600).contains(&response.status.as_u16()) {
        return Error::e_explain(ErrorType::InvalidHTTPHeader, "a status above 599")
            .map_err(|error: BError| error.into_up());
    }
    let Some(passing) = &mut context.passing else { return Ok(()) };
    let is_outdated = shared.store.is_outdated(&passing.asked.key, passing.epoch);
    passing.invalidate(shared, response);
    // Its own change does not outdate it.
    passing.epoch = passing.epoch.after_changes(shared.store.epoch());
    passing.keeping = passing.keep(session, response).filter(|_| !is_outdated);
    context.trail.waited = Some(passing.began.elapsed());
    context.trail.fwd_status = Some(response.status.as_u16());
    context.trail.stored = passing.keeping.is_some();
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        clean(response);
        normalise_date(response)?;
        downstream::keep_date(session, response);
        passing.recode(shared, session, response)?;
    }
    downstream::is_arriving(session);
    deliver::sign(response, context)
}

/// Has the end of the connection tell the end of a body of unknown length to a client of HTTP/1.0,
/// which knows no chunks (RFC 9112 §6.1).
pub(super) fn frame(session: &mut Session, response: &mut ResponseHeader) {
    let knows_none = session.req_header().version == Version::HTTP_10;
    if knows_none && response.remove_header(&header::TRANSFER_ENCODING).is_some() {
        session.set_keepalive(None);
    }
}

/// Removes what is for one hop, but for what pingora frames the body by.
fn clean(response: &mut ResponseHeader) {
    for name in hop::hop_by_hop(&response.headers) {
        if name != header::TRANSFER_ENCODING && name != header::CONNECTION {
            response.remove_header(&name);
        }
    }
    for name in NOT_FOR_CLIENTS {
        response.remove_header(&name);
    }
}

/// Puts what of `fields` a coding changes in place of what `response` has.
fn replace(response: &mut ResponseHeader, fields: &HeaderMap) -> Result<(), BError> {
    for name in [
        header::ACCEPT_RANGES,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::ETAG,
        header::VARY,
    ] {
        if response.headers.get_all(&name).iter().eq(fields.get_all(&name)) {
            continue;
        }
        response.remove_header(&name);
        for value in fields.get_all(&name) {
            response.append_header(name.clone(), value)?;
        }
    }
    Ok(())
}

fn normalise_date(response: &mut ResponseHeader) -> Result<(), BError> {
    let sent = field::date::date(&response.headers).unwrap_or_else(time::now);
    response.insert_header(header::DATE, field::date::value(sent))
}

/// Takes a piece of the answer's body, which is stored after the last, and puts what the client
/// gets of it in its place.
pub(super) fn body(
    shared: &Shared,
    piece: &mut Option<Bytes>,
    end: bool,
    context: &mut Context,
) -> Result<(), BError> {
    let Some(passing) = &mut context.passing else { return Ok(()) };
    passing.take(shared, piece.as_ref(), end);
    let Some(recoding) = &mut passing.recoding else { return Ok(()) };
    // To end it as if it were whole would be a lie: the connection is closed.
    let broken = |error| Error::because(ErrorType::ConnectionClosed, "the answer broke off", error);
    let made = recoding.step(piece.take().unwrap_or_default(), end);
    *piece = Some(made.map_err(|error| broken(error).into_up())?);
    if end {
        context.coded = recoding.count();
        passing.recoding = None;
    }
    Ok(())
}

/// What is still to be sent of the body when trailers come behind it, in place of those: they could
/// not be told from the body then.
pub(super) fn trailers(shared: &Shared, context: &mut Context) -> Result<Option<Bytes>, BError> {
    let is_held = context.passing.as_ref().is_some_and(|passing| passing.recoding.is_some());
    let mut rest = None;
    body(shared, &mut rest, true, context)?;
    Ok(rest.filter(|_| is_held))
}

impl Passing {
    /// Puts the answer into the coding that the client likes best, if it may be.
    fn recode(
        &mut self,
        shared: &Shared,
        session: &Session,
        response: &mut ResponseHeader,
    ) -> Result<(), BError> {
        let Asked { ask, client, route, .. } = &self.asked;
        let asked = &session.req_header().headers;
        if response.status == StatusCode::NOT_MODIFIED {
            let fields = passed_on::not_modified(asked, &response.headers);
            return fields.map_or(Ok(()), |fields| replace(response, &fields));
        }
        let form = passed_on::form(ask, asked, response.status, &response.headers, &route.policy);
        let form = match (form, coding::of_body(&response.headers)) {
            // Before HTTP/1.1, an end that nobody announced could not be told from a broken one.
            (Form::Made(to), Ok(from)) if client.version != "1.0" => {
                self.recoding = Recoding::begin(shared, &self.asked, from, to);
                if self.recoding.is_some() { form } else { Form::AsSent }
            }
            (Form::Made(_), _) => Form::AsSent,
            (Form::AsSent | Form::AsIs(_), _) => form,
        };
        replace(response, &passed_on::fields(form, response.headers.clone()))
    }

    /// Takes a piece of the body as the origin sent it.
    fn take(&mut self, shared: &Shared, piece: Option<&Bytes>, end: bool) {
        let Some(keeping) = &mut self.keeping else { return };
        if let Some(piece) = piece {
            keeping.length += piece.len() as u64;
            keeping.pieces.push(piece.clone());
        }
        if keeping.length > self.asked.snapshot.settings.cache.max_object {
            self.keeping = None;
        } else if end && let Some(Keeping { head, pieces, epoch, .. }) = self.keeping.take() {
            let stored = Stored { head: Arc::new(head), body: Body::new(pieces) };
            fetch::store(shared, &self.asked, &stored, epoch);
        }
    }

    fn invalidate(&self, shared: &Arc<Shared>, response: &ResponseHeader) {
        let Asked { ask, target, snapshot, .. } = &self.asked;
        for target in invalidate::targets(&ask.method, target, response.status, &response.headers) {
            for key in decide::keys(&snapshot.settings.routes, &target) {
                shared.store.invalidate(&key);
            }
        }
        let names = group::outdated(&ask.method, response.status, &response.headers);
        shared.invalidate_tagged(&group::of_origin(&names, target, &snapshot.settings.routes));
    }

    fn keep(&self, session: &Session, response: &ResponseHeader) -> Option<Keeping> {
        let Asked { ask, target, route, .. } = &self.asked;
        let asked = &session.req_header().headers;
        let rules = &route.policy;
        // Most answers are told from those that are kept by this alone.
        response.headers.get(header::CONTENT_LOCATION)?;
        let sanitised = Sanitised::new(&response.headers);
        let arrival = Arrival {
            status: response.status,
            fields: &sanitised.fields,
            asked: self.since,
            arrived: time::now(),
            ranged: false,
        };
        let admission = post::kept(ask, target, asked, &arrival, rules)?;
        Some(Keeping {
            head: sanitised.stored(response.status, &admission, asked, (target, route)),
            pieces: Vec::new(),
            length: 0,
            epoch: self.epoch,
        })
    }
}
