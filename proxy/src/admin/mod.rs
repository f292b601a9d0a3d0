//! The admin listener: what ops ask of a running edge. Never on the edge's own listener.

mod explain;
mod purge;
pub mod reload;
mod stats;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use subtle::ConstantTimeEq;

use crate::edge::Shared;
use crate::observe::{Holdings, Observer};
use reload::{Refused, Reloader, Wish, with_causes};

/// What the admin listener answers from.
pub struct Admin {
    shared: Arc<Shared>,
    observer: Arc<Observer>,
    reloader: Arc<Reloader>,
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
    /// The methods that may be asked with, where another was.
    pub allow: Option<&'static str>,
}

impl Answer {
    /// One line, or several, in plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: &str) -> Self {
        Self { status, kind: TEXT, body: format!("{text}\n"), allow: None }
    }

    /// `value` in JSON.
    fn json(value: &impl Serialize) -> Self {
        match serde_json::to_string_pretty(value) {
            Ok(body) => Self { status: StatusCode::OK, kind: JSON, body: body + "\n", allow: None },
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// What stands before the token; case does not matter (RFC 9110 §11.1).
const SCHEME: &[u8] = b"Bearer ";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Something that can be asked.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    path: &'static str,
    /// With which methods, as `Allow` says it.
    allow: &'static str,
    /// Whether it is for everybody who reaches the listener.
    open: bool,
    question: Question,
}

#[derive(Clone, Copy, Debug)]
enum Question {
    Health,
    Readiness,
    Metrics,
    Stats,
    Purge,
    Receipt,
    Reload,
    Explain,
}

impl Endpoint {
    /// What `path` has in place of the `{id}` of this one, or nothing where that has none; `None` if
    /// it is another path.
    fn id<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.path.strip_suffix("{id}") {
            Some(folder) => path.strip_prefix(folder).filter(|id| !id.is_empty()),
            None => (path == self.path).then_some(""),
        }
    }
}

const READ: &str = "GET, HEAD";
const CHANGE: &str = "POST";

/// All that can be asked.
const ENDPOINTS: &[Endpoint] = &[
    // Whether it lives is no secret, and who asks has no token at hand.
    Endpoint { path: "/healthz", allow: READ, open: true, question: Question::Health },
    Endpoint { path: "/readyz", allow: READ, open: true, question: Question::Readiness },
    Endpoint { path: "/metrics", allow: READ, open: false, question: Question::Metrics },
    Endpoint { path: "/stats", allow: READ, open: false, question: Question::Stats },
    Endpoint { path: "/explain", allow: CHANGE, open: false, question: Question::Explain },
    Endpoint { path: "/purge", allow: CHANGE, open: false, question: Question::Purge },
    Endpoint { path: "/purge/{id}", allow: READ, open: false, question: Question::Receipt },
    Endpoint { path: "/reload", allow: CHANGE, open: false, question: Question::Reload },
];

/// Leaves out what holds the token, so that no log has it.
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
        reloader: Arc<Reloader>,
        ready: Arc<AtomicBool>,
    ) -> Self {
        Self { shared, observer, reloader, ready }
    }

    /// What a request with this head asks, before its body is read.
    ///
    /// # Errors
    ///
    /// The answer, if it is refused.
    pub fn admit(
        &self,
        method: &Method,
        path: &str,
        fields: &HeaderMap,
    ) -> Result<Endpoint, Answer> {
        let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.id(path).is_some()) else {
            let paths: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
            let text = format!("there are {}", paths.join(", "));
            return Err(Answer::text(StatusCode::NOT_FOUND, &text));
        };
        if !endpoint.open && !self.knows(fields) {
            return Err(Answer::text(StatusCode::UNAUTHORIZED, "a bearer token is needed"));
        }
        if !endpoint.open && is_led_here(fields) {
            let text =
                "Host must be an IP address or localhost, and Origin the same, if it is sent";
            return Err(Answer::text(StatusCode::FORBIDDEN, text));
        }
        if !endpoint.allow.split(", ").any(|allowed| allowed == method.as_str()) {
            let text = format!("only {}", endpoint.allow.replace(", ", " and "));
            let refused = Answer::text(StatusCode::METHOD_NOT_ALLOWED, &text);
            return Err(Answer { allow: Some(endpoint.allow), ..refused });
        }
        Ok(*endpoint)
    }

    /// Answers a request that was admitted, and has this path, these fields and this body.
    pub async fn answer(
        &self,
        endpoint: Endpoint,
        path: &str,
        fields: &HeaderMap,
        body: &[u8],
    ) -> Answer {
        match endpoint.question {
            Question::Health => Answer::text(StatusCode::OK, "alive"),
            Question::Readiness if self.ready.load(Ordering::Relaxed) => {
                Answer::text(StatusCode::OK, "ready")
            }
            Question::Readiness => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "not ready"),
            Question::Metrics => self.metrics(),
            Question::Stats => stats::answer(&self.shared, &self.observer),
            Question::Purge => purge::answer(&self.shared, body).await,
            Question::Receipt => {
                purge::receipt(&self.shared, endpoint.id(path).unwrap_or_default()).await
            }
            Question::Reload => self.reload().await,
            Question::Explain => explain::answer(&self.shared, fields, body),
        }
    }

    /// Whether the request carries the token, if one is demanded.
    fn knows(&self, fields: &HeaderMap) -> bool {
        let snapshot = self.shared.snapshot();
        let Some(token) = &snapshot.settings.admin.token else { return true };
        let given = fields.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let given = given.and_then(|value| value.split_at_checked(SCHEME.len()));
        given.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case(SCHEME) && given.ct_eq(token.reveal().as_bytes()).into()
        })
    }

    fn metrics(&self) -> Answer {
        let holdings = Holdings {
            arriving: self.shared.flights.held(),
            encodings: self.shared.compressor.under_way() + self.shared.dictionaries.under_way(),
            encodings_waiting: self.shared.compressor.waiting(),
        };
        let tiers: Vec<_> = self.shared.store.each().collect();
        match self.observer.text(&holdings, &tiers, &self.shared.in_use()) {
            Ok(body) => Answer { status: StatusCode::OK, kind: METRICS, body, allow: None },
            Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, &with_causes(&error)),
        }
    }

    async fn reload(&self) -> Answer {
        match self.reloader.reload(Wish::Request).await {
            Ok(applied) => Answer::text(StatusCode::OK, &applied.to_string()),
            Err(refused) => {
                let status = match refused {
                    Refused::NoFile => StatusCode::CONFLICT,
                    Refused::Faults(_) | Refused::Setup(_) | Refused::Restart { .. } => {
                        StatusCode::UNPROCESSABLE_ENTITY
                    }
                    Refused::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
                };
                Answer::text(status, &with_causes(&refused))
            }
        }
    }
}

/// Whether a page of another site may have led the browser of an operator here: by a name of its
/// own that it lets point to this machine, or by a form.
fn is_led_here(fields: &HeaderMap) -> bool {
    let said = |name| fields.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    if fields.contains_key(header::AUTHORIZATION) {
        // No page can have a browser send a token that it does not know.
        return false;
    }
    let host = said(header::HOST);
    let is_here = std::str::from_utf8(host).is_ok_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        host.is_empty()
            || name.eq_ignore_ascii_case("localhost")
            || host.parse::<SocketAddr>().is_ok()
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    });
    let origin = said(header::ORIGIN);
    let is_own = origin.is_empty() || origin.strip_prefix(b"http://") == Some(host);
    !(is_here && is_own)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::edge::Loaded;

    const SETTINGS: &str = "
        version = 1
        listeners.web.address = '127.0.0.1:0'
        origins.one.servers = ['http://127.0.0.1:1']
        routes = [{ name = 'all', match = { path = '/**' }, origin = 'one', policy = 'api' }]";

    fn admin(token: Option<&str>, ready: bool) -> Admin {
        let variable =
            |name: &str| token.filter(|_| name == "FOREBAY_ADMIN_TOKEN").map(str::to_owned);
        let settings = forebay_config::parse("test.toml", SETTINGS, Path::new(""), &variable);
        let loaded = Loaded { settings: settings.unwrap(), hash: "0123456789abcdef".to_owned() };
        let observer = Arc::new(Observer::new().unwrap());
        let shared = Arc::new(Shared::new(loaded, &observer).unwrap());
        let ready = Arc::new(AtomicBool::new(ready));
        let reloader = Reloader::new(Arc::clone(&shared), Arc::clone(&observer), None);
        Admin::new(shared, observer, Arc::new(reloader), ready)
    }

    async fn answer(admin: &Admin, method: &Method, path: &str, credentials: &[&str]) -> Answer {
        let fields = credentials
            .iter()
            .map(|value| (header::AUTHORIZATION, value.parse().unwrap()))
            .collect();
        match admin.admit(method, path, &fields) {
            Ok(endpoint) => admin.answer(endpoint, path, &HeaderMap::new(), b"").await,
            Err(answer) => answer,
        }
    }

    async fn answered(admin: &Admin, method: &Method, path: &str, credentials: &[&str]) -> u16 {
        answer(admin, method, path, credentials).await.status.as_u16()
    }

    /// The status of `GET /metrics` where the token `s3cret` is demanded.
    async fn check(credentials: &[&str], expected: u16) {
        let admin = admin(Some("s3cret"), true);
        let status = answered(&admin, &Method::GET, "/metrics", credentials).await;
        assert_eq!(status, expected, "{credentials:?}");
    }

    #[tokio::test]
    async fn admits_who_has_the_token() {
        check(&["Bearer s3cret"], 200).await;
        check(&["bearer s3cret"], 200).await;
        check(&["BEARER s3cret"], 200).await;
    }

    #[tokio::test]
    async fn admits_nobody_else() {
        check(&[], 401).await;
        for given in ["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2"] {
            check(&[given], 401).await;
        }
        for given in ["Bearer S3CRET", "Basic s3cret", "Bearer\ts3cret", "Bearer s3cret, x"] {
            check(&[given], 401).await;
        }
        check(&["Bearer wrong", "Bearer s3cret"], 401).await;
    }

    #[tokio::test]
    async fn demands_no_token_where_there_is_none() {
        assert_eq!(answered(&admin(None, true), &Method::GET, "/metrics", &[]).await, 200);
    }

    #[tokio::test]
    async fn tells_its_health_without_a_token() {
        for (ready, expected) in [(true, 200), (false, 503)] {
            let admin = admin(Some("s3cret"), ready);
            assert_eq!(answered(&admin, &Method::GET, "/readyz", &[]).await, expected);
            assert_eq!(answered(&admin, &Method::GET, "/healthz", &[]).await, 200);
            assert_eq!(answered(&admin, &Method::HEAD, "/healthz", &[]).await, 200);
        }
    }

    #[tokio::test]
    async fn answers_only_what_it_knows_and_only_as_it_may_be_asked() {
        let admin = admin(Some("s3cret"), true);
        for path in ["/", "/metrics/", "/healthz/", "/metric", "", "/METRICS"] {
            assert_eq!(
                answered(&admin, &Method::GET, path, &["Bearer s3cret"]).await,
                404,
                "{path}"
            );
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(answered(&admin, &method, "/healthz", &[]).await, 405);
            assert_eq!(answered(&admin, &method, "/metrics", &["Bearer s3cret"]).await, 405);
            assert_eq!(answered(&admin, &method, "/metrics", &[]).await, 401);
        }
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let refused = answer(&admin, &method, "/reload", &["Bearer s3cret"]).await;
            assert_eq!((refused.status.as_u16(), refused.allow), (405, Some("POST")));
            assert_eq!(answered(&admin, &method, "/reload", &[]).await, 401);
        }
        assert_eq!(answered(&admin, &Method::POST, "/reload", &[]).await, 401);
    }

    #[tokio::test]
    async fn has_nothing_to_read_again_where_there_is_no_file() {
        let answer = answer(&admin(None, true), &Method::POST, "/reload", &[]).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!(answer.body, "no settings file to read again\n");
    }

    #[tokio::test]
    async fn shows_what_is_stored_and_what_is_arriving() {
        let answer = answer(&admin(None, true), &Method::GET, "/metrics", &[]).await;
        assert_eq!(answer.kind, METRICS);
        for name in [
            "forebay_tier_bytes{tier=\"memory\"} 0",
            "forebay_tier_entries{tier=\"memory\"} 0",
            "forebay_arriving_bytes 0",
        ] {
            assert!(answer.body.contains(name), "{}", answer.body);
        }
    }

    #[tokio::test]
    async fn prints_no_token() {
        assert!(!format!("{:?}", admin(Some("s3cret"), true)).contains("s3cret"));
    }
}
