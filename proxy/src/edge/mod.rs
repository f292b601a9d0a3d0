//! The rim: takes facts from a session, asks `policy`, and does what it says, phase by phase.

mod compress;
mod decide;
mod deliver;
mod dictionaries;
mod disclose;
mod downstream;
mod fail;
mod fetch;
mod follow;
mod lookup;
mod network_first;
mod pass;
pub mod purge;
mod shared;
mod snapshot;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use forebay_config::Route;
use http::{HeaderMap, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{BError, Error, ErrorSource};

pub use disclose::FOREBAY_DEBUG;
pub use downstream::Downstream;
pub use shared::{Known, NoShared, Shared};
use snapshot::Held;
pub use snapshot::{Loaded, Snapshot};

use crate::event::{Answered, Coded, Disclosed, Trail};
use crate::policy::request::Plan;

/// The edge, as pingora drives it.
#[derive(Clone, Debug)]
pub struct Edge {
    shared: Arc<Shared>,
}

impl Edge {
    /// An edge on what is shared.
    #[must_use]
    pub const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

/// One request, from its head to the log.
#[derive(Debug)]
pub struct Context {
    begun: Instant,
    snapshot: Held,
    route: Option<Arc<Route>>,
    trail: Trail,
    passing: Option<Box<pass::Passing>>,
    /// What the client is told beside the trail.
    disclosed: Option<Box<Disclosed>>,
    /// What the body that it gets was made of.
    coded: Option<Coded>,
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context {
            begun: Instant::now(),
            snapshot: Held::new(self.shared.snapshot()),
            route: None,
            trail: Trail::default(),
            passing: None,
            disclosed: None,
            coded: None,
        }
    }

    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<bool, BError> {
        session.set_write_timeout(Some(deliver::SLOWEST_READ));
        // Where a chunked body ends, readers have disagreed before: what follows it on the same
        // connection is not read as a request.
        let chunked = session.req_header().headers.contains_key(header::TRANSFER_ENCODING);
        session.set_pipelining_enabled(!chunked);
        // Who has said all there is to say may still want the answer (RFC 9112 §9.6).
        session.set_abort_on_close(false);
        downstream::head_is_whole(session);
        let secret = context.snapshot.settings.server.debug_secret.as_ref();
        let discloses = disclose::shows(session.req_header_mut(), secret);
        if purge::method::is_meant(session, context) {
            purge::method::answer(&self.shared, session, context).await?;
            return Ok(true);
        }
        let asked = match decide::read(&context.snapshot, session) {
            Ok(asked) => asked,
            Err(refusal) => {
                context.trail.detail = Some(refusal.detail);
                // Whatever follows on this connection may be part of what was refused.
                session.set_keepalive(None);
                fail::refuse(session, context, refusal.status).await?;
                return Ok(true);
            }
        };
        context.route = Some(Arc::clone(&asked.route));
        context.disclosed = discloses.then(|| Box::new(disclose::of(&asked)));
        match asked.plan {
            Plan::LookUp => {
                let answered = follow::answer(&self.shared, session, context, asked).await;
                // What is not said to be the origin's fault is that of the client's connection:
                // nothing else is touched there.
                answered.map(|()| true).map_err(|mut error| {
                    if *error.esource() == ErrorSource::Unset {
                        error.as_down();
                    }
                    error
                })
            }
            Plan::Pass(fwd, detail) => {
                context.trail = Trail { fwd: Some(fwd), detail, ..Trail::default() };
                context.passing =
                    Some(Box::new(pass::Passing::new(asked, self.shared.store.epoch())));
                Ok(false)
            }
        }
    }

    async fn upstream_peer(
        &self,
        _: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>, BError> {
        pass::peer(context).await
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<(), BError> {
        pass::request(request, context)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<(), BError> {
        pass::response(&self.shared, session, response, context)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        _: &mut Context,
    ) -> Result<(), BError> {
        pass::frame(session, response);
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Context,
    ) -> Result<Option<std::time::Duration>, BError> {
        pass::body(&self.shared, body, end, context)?;
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        _: &mut HeaderMap,
        context: &mut Context,
    ) -> Result<Option<Bytes>, BError> {
        pass::trailers(&self.shared, context)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        fail::failed(session, error, context).await
    }

    fn suppress_error_log(&self, _: &Session, _: &Context, error: &Error) -> bool {
        // A client that goes away is no fault of ours.
        *error.esource() == ErrorSource::Downstream
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        downstream::is_answered(session);
        context.snapshot.meters.count(&Answered {
            route: context.route.as_ref().map(|route| Arc::clone(&route.name)),
            status: session.response_written().map_or(0, |head| head.status.as_u16()),
            trail: context.trail,
            bytes: session.body_bytes_sent() as u64,
            coded: context.coded.filter(|_| error.is_none()),
            took: context.begun.elapsed(),
        });
    }
}
