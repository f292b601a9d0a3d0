//! Passes a request on as it is and its answer back, and looks at what it means for what is
//! stored.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{BError, Error, ErrorType};

use super::decide::Asked;
use super::fetch;
use super::{Context, Shared, deliver, downstream};
use crate::event::Failure;
use crate::field::{self, hop};
use crate::policy::admit::Arrival;
use crate::policy::sanitised::{NOT_FOR_CLIENTS, Sanitised};
use crate::policy::{decide, forward, invalidate, post};
use crate::store::memory::Epoch;
use crate::stored::{Body, Stored, StoredHead};
use crate::time::{self, Timestamp};

/// A request that is passed on.
#[derive(Debug)]
pub(super) struct Passing {
    asked: Asked,
    since: Timestamp,
    began: Instant,
    keeping: Option<Keeping>,
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
    pub(super) fn new(asked: Asked) -> Self {
        Self { asked, since: time::now(), began: Instant::now(), keeping: None }
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
    passing.invalidate(shared, response);
    passing.keeping = passing.keep(shared, session, response);
    context.trail.waited = Some(passing.began.elapsed());
    context.trail.fwd_status = Some(response.status.as_u16());
    context.trail.stored = passing.keeping.is_some();
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        clean(response);
        normalise_date(response)?;
        downstream::keep_date(session, response);
    }
    downstream::is_arriving(session);
    deliver::sign(response, context)
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

fn normalise_date(response: &mut ResponseHeader) -> Result<(), BError> {
    let sent = field::date::date(&response.headers).unwrap_or_else(time::now);
    response.insert_header(header::DATE, field::date::value(sent))
}

/// Takes a piece of the answer's body, which is stored after the last.
pub(super) fn body(shared: &Shared, piece: Option<&Bytes>, end: bool, context: &mut Context) {
    let Some(passing) = &mut context.passing else { return };
    let Some(keeping) = &mut passing.keeping else { return };
    if let Some(piece) = piece {
        keeping.length += piece.len() as u64;
        keeping.pieces.push(piece.clone());
    }
    if keeping.length > passing.asked.snapshot.settings.cache.max_object {
        passing.keeping = None;
    } else if end && let Some(Keeping { head, pieces, epoch, .. }) = passing.keeping.take() {
        let stored = Stored { head: Arc::new(head), body: Body::new(pieces) };
        fetch::store(shared, &passing.asked, &stored, epoch);
    }
}

impl Passing {
    fn invalidate(&self, shared: &Shared, response: &ResponseHeader) {
        let Asked { ask, target, snapshot, .. } = &self.asked;
        for target in invalidate::targets(&ask.method, target, response.status, &response.headers) {
            for key in decide::keys(&snapshot.settings.routes, &target) {
                shared.store.invalidate(&key);
            }
        }
    }

    fn keep(
        &self,
        shared: &Shared,
        session: &Session,
        response: &ResponseHeader,
    ) -> Option<Keeping> {
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
            head: sanitised.stored(response.status, &admission, asked),
            pieces: Vec::new(),
            length: 0,
            epoch: shared.store.epoch(),
        })
    }
}
