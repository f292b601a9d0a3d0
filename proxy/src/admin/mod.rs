//! The admin listener: what ops ask of a running edge. Never on the edge's own listener.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, Method, StatusCode, header};
use subtle::ConstantTimeEq;

use crate::edge::Shared;
use crate::observe::{Holdings, Observer};

/// What the admin listener answers from.
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
/// What stands before the token; case does not matter (RFC 9110 §11.1).
const SCHEME: &[u8] = b"Bearer ";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Leaves the token out, so that no log has it.
impl fmt::Debug for Admin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Admin").field("ready", &self.ready).finish_non_exhaustive()
    }
}

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
        let given = given.and_then(|value| value.split_at_checked(SCHEME.len()));
        given.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case(SCHEME) && given.ct_eq(token.as_bytes()).into()
        })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SETTINGS: &str = "
        version = 1
        listeners.web.address = '127.0.0.1:0'
        origins.one.servers = ['http://127.0.0.1:1']
        routes = [{ name = 'all', match = { path = '/**' }, origin = 'one', policy = 'api' }]";

    fn admin(token: Option<&str>, ready: bool) -> Admin {
        let settings = forebay_config::parse("test.toml", SETTINGS, Path::new(""), &|_| None);
        let observer = Arc::new(Observer::new().unwrap());
        let shared = Arc::new(Shared::new(settings.unwrap(), &observer).unwrap());
        let ready = Arc::new(AtomicBool::new(ready));
        Admin::new(shared, observer, token.map(str::to_owned), ready)
    }

    fn answered(admin: &Admin, method: &Method, path: &str, credentials: &[&str]) -> u16 {
        let fields = credentials
            .iter()
            .map(|value| (header::AUTHORIZATION, value.parse().unwrap()))
            .collect();
        admin.answer(method, path, &fields).status.as_u16()
    }

    /// The status of `GET /metrics` where the token `s3cret` is demanded.
    #[track_caller]
    fn check(credentials: &[&str], expected: u16) {
        let admin = admin(Some("s3cret"), true);
        let status = answered(&admin, &Method::GET, "/metrics", credentials);
        assert_eq!(status, expected, "{credentials:?}");
    }

    #[tokio::test]
    async fn admits_who_has_the_token() {
        check(&["Bearer s3cret"], 200);
        check(&["bearer s3cret"], 200);
        check(&["BEARER s3cret"], 200);
    }

    #[tokio::test]
    async fn admits_nobody_else() {
        check(&[], 401);
        for given in ["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2"] {
            check(&[given], 401);
        }
        for given in ["Bearer S3CRET", "Basic s3cret", "Bearer\ts3cret", "Bearer s3cret, x"] {
            check(&[given], 401);
        }
        check(&["Bearer wrong", "Bearer s3cret"], 401);
    }

    #[tokio::test]
    async fn demands_no_token_where_there_is_none() {
        assert_eq!(answered(&admin(None, true), &Method::GET, "/metrics", &[]), 200);
    }

    #[tokio::test]
    async fn tells_its_health_without_a_token() {
        for (ready, expected) in [(true, 200), (false, 503)] {
            let admin = admin(Some("s3cret"), ready);
            assert_eq!(answered(&admin, &Method::GET, "/readyz", &[]), expected);
            assert_eq!(answered(&admin, &Method::GET, "/healthz", &[]), 200);
            assert_eq!(answered(&admin, &Method::HEAD, "/healthz", &[]), 200);
        }
    }

    #[tokio::test]
    async fn answers_only_what_it_knows_and_only_for_reading() {
        let admin = admin(Some("s3cret"), true);
        for path in ["/", "/metrics/", "/healthz/", "/metric", "", "/METRICS"] {
            assert_eq!(answered(&admin, &Method::GET, path, &["Bearer s3cret"]), 404, "{path}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(answered(&admin, &method, "/healthz", &[]), 405);
            assert_eq!(answered(&admin, &method, "/metrics", &["Bearer s3cret"]), 405);
            assert_eq!(answered(&admin, &method, "/metrics", &[]), 401);
        }
    }

    #[tokio::test]
    async fn shows_what_is_stored_and_what_is_arriving() {
        let answer = admin(None, true).answer(&Method::GET, "/metrics", &HeaderMap::new());
        assert_eq!(answer.kind, METRICS);
        for name in ["forebay_stored_bytes 0", "forebay_stored_keys 0", "forebay_arriving_bytes 0"]
        {
            assert!(answer.body.contains(name), "{}", answer.body);
        }
    }

    #[tokio::test]
    async fn prints_no_token() {
        assert!(!format!("{:?}", admin(Some("s3cret"), true)).contains("s3cret"));
    }
}
