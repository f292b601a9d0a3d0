//! The admin listener: what ops ask of a running edge. Never on the edge's own listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, Method, StatusCode, header};
use subtle::ConstantTimeEq;

use crate::edge::Shared;
use crate::observe::{Holdings, Observer};

/// What the admin listener answers from.
#[derive(Debug)]
pub struct Admin {
    shared: Arc<Shared>,
    observer: Arc<Observer>,
    token: Option<String>,
    ready: Arc<AtomicBool>,
}

/// An answer of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its media type.
    pub kind: &'static str,
    /// Its body.
    pub body: String,
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Admin {
    /// Answers for `shared`; `ready` is false until the edge serves, and once it stops.
    #[must_use]
    pub const fn new(
        shared: Arc<Shared>,
        observer: Arc<Observer>,
        token: Option<String>,
        ready: Arc<AtomicBool>,
    ) -> Self {
        Self { shared, observer, token, ready }
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, method: &Method, path: &str, fields: &HeaderMap) -> Answer {
        let say = |status: StatusCode, text: &str| Answer {
            status,
            kind: TEXT,
            body: format!("{text}\n"),
        };
        // Whether it lives is no secret, and who asks has no token at hand.
        let known = match path {
            "/healthz" | "/readyz" => true,
            "/metrics" if self.admits(fields) => true,
            "/metrics" => return say(StatusCode::UNAUTHORIZED, "a bearer token is needed"),
            _ => false,
        };
        if !known {
            return say(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics");
        }
        if method != Method::GET && method != Method::HEAD {
            return say(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        }
        match path {
            "/healthz" => say(StatusCode::OK, "alive"),
            "/readyz" if self.ready.load(Ordering::Relaxed) => say(StatusCode::OK, "ready"),
            "/readyz" => say(StatusCode::SERVICE_UNAVAILABLE, "not ready"),
            _ => self.metrics(),
        }
    }

    /// Whether the request carries the token, if one is demanded.
    fn admits(&self, fields: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = fields.get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        let given = given.and_then(|value| value.strip_prefix(b"Bearer "));
        given.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
    }

    fn metrics(&self) -> Answer {
        let holdings = Holdings {
            bytes: self.shared.store.bytes(),
            keys: self.shared.store.keys(),
            arriving: self.shared.flights.held(),
        };
        match self.observer.text(&holdings) {
            Ok(body) => Answer { status: StatusCode::OK, kind: METRICS, body },
            Err(error) => Answer {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                kind: TEXT,
                body: format!("{error}\n"),
            },
        }
    }
}
