//! Reads a request: who asks for what, and whether the cache may be used.

use std::sync::Arc;

use forebay_config::Route;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::Snapshot;
use super::network_first::NetworkFirst;
use crate::event::Detail;
use crate::key::{Key, Target};
use crate::origin::Origin;
use crate::policy::decide::{self, Decision};
use crate::policy::forward::Client;
use crate::policy::identity::Edit;
use crate::policy::look_up::Wanted;
use crate::policy::request::{Ask, Plan};
use crate::policy::sound;

/// A request that is understood.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The settings that hold for it to its end.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) ask: Ask,
    pub(super) plan: Plan,
    pub(super) target: Target,
    pub(super) key: Key,
    pub(super) client: Client,
    pub(super) route: Arc<Route>,
    pub(super) origin: Arc<Origin>,
}

impl Asked {
    /// What its route remembers, if that asks the origin first.
    pub(super) fn network_first(&self) -> Option<&NetworkFirst> {
        self.snapshot.network_first.of(&self.route)
    }

    /// What a request with `fields` wants of what is stored.
    pub(super) fn wanted<'a>(&'a self, fields: &'a HeaderMap) -> Wanted<'a> {
        Wanted { ask: &self.ask, fields, rules: &self.route.policy }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) detail: Detail,
}

const MALFORMED: Refusal = Refusal { status: StatusCode::BAD_REQUEST, detail: Detail::BadRequest };
const NO_ROUTE: Refusal = Refusal { status: StatusCode::NOT_FOUND, detail: Detail::NoRoute };
const BROKEN_SETTINGS: Refusal =
    Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, detail: Detail::NoRoute };

/// Reads the request that `session` has received, as `snapshot` says.
///
/// # Errors
///
/// Why it is refused.
pub(super) fn read(snapshot: &Arc<Snapshot>, session: &mut Session) -> Result<Asked, Refusal> {
    join_cookies(session.req_header_mut())?;
    let target = target_of(session)?;
    let has_body = !session.as_mut().is_body_empty();
    let scheme = scheme_of(session);
    let address = session.client_addr().and_then(|address| address.as_inet()).map(|at| at.ip());
    let head = session.req_header();
    let request =
        decide::Request { target: &target, method: &head.method, fields: &head.headers, has_body };
    let decision = decide::decide(&snapshot.settings.routes, &request).ok_or(NO_ROUTE)?;
    let Decision { route, ask, plan, key, edits, .. } = decision;
    let target = decision.target.unwrap_or(target);
    let origin = snapshot.origins.get(&route.origin.name).ok_or(BROKEN_SETTINGS)?;
    let origin = Arc::clone(origin);
    let counts = matches!(plan, Plan::Pass(..)) || route.policy.key.scheme;
    let client = Client {
        address,
        scheme: counts.then_some(scheme),
        host: target.authority().to_owned(),
        version: match head.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        },
    };
    rewrite(session.req_header_mut(), &edits)?;
    let snapshot = Arc::clone(snapshot);
    Ok(Asked { snapshot, ask, plan, target, key, client, route, origin })
}

/// What the request that `session` has received asks for, if its head is sound.
///
/// # Errors
///
/// Why it is refused.
pub(super) fn target_of(session: &Session) -> Result<Target, Refusal> {
    check(session)?;
    let head = session.req_header();
    // Before HTTP/1.1 there was one host to an address.
    let listener = (head.version == Version::HTTP_10).then(|| session.server_addr()).flatten();
    target(head, scheme_of(session), listener.map(ToString::to_string).as_deref())
}

fn scheme_of(session: &Session) -> &'static str {
    let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    if tls { "https" } else { "http" }
}

/// Makes `edits` in the head, so that all that is decided later sees what was decided here.
fn rewrite(head: &mut RequestHeader, edits: &[Edit]) -> Result<(), Refusal> {
    for (name, value) in edits {
        match value {
            Some(value) => {
                head.insert_header(name, value).map_err(|_invalid| MALFORMED)?;
            }
            None => drop(head.remove_header(name)),
        }
    }
    Ok(())
}

/// Refuses a head that leaves a doubt.
fn check(session: &Session) -> Result<(), Refusal> {
    let head = session.req_header();
    let raw = session.as_http1().map(|http1| http1.get_headers_raw_bytes());
    let head = sound::Head {
        method: &head.method,
        version: head.version,
        path: head.uri.path_and_query().map_or("", |path| path.as_str()),
        fields: &head.headers,
        raw: raw.as_deref().unwrap_or(b""),
    };
    sound::check(&head)
        .map_err(|unsound| Refusal { status: unsound.status(), detail: Detail::BadRequest })
}

/// Joins what HTTP/2 may split (RFC 9113 §8.2.3): to an origin, and to a rule, it is one field.
fn join_cookies(head: &mut RequestHeader) -> Result<(), Refusal> {
    let crumbs = head.headers.get_all(header::COOKIE);
    if crumbs.iter().nth(1).is_none() {
        return Ok(());
    }
    let joined = crumbs.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    head.insert_header(header::COOKIE, joined).map_err(|_invalid| MALFORMED)
}

/// What the request asks for (RFC 9112 §3.2, RFC 9113 §8.3.1).
fn target(head: &RequestHeader, scheme: &str, listener: Option<&str>) -> Result<Target, Refusal> {
    let authority = authority(head, listener)?;
    if !head.raw_path_is_utf8() {
        return Err(MALFORMED);
    }
    // `OPTIONS *` speaks of the server, not of a path; it takes the route of the root.
    let path = match head.raw_path() {
        b"*" => "/",
        _ => head.uri.path_and_query().map_or("/", |path| path.as_str()),
    };
    Target::parse(scheme, authority, path).map_err(|error| {
        log::debug!("refused: {error}");
        MALFORMED
    })
}

/// The host that is asked for; `listener` if the request need not name one. Two that differ are
/// one attack.
fn authority<'a>(head: &'a RequestHeader, listener: Option<&'a str>) -> Result<&'a str, Refusal> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(one), None) => Some(one.to_str().map_err(|_not_ascii| MALFORMED)?.trim()),
        (Some(_), Some(_)) => return Err(MALFORMED),
    };
    match (head.uri.authority().map(http::uri::Authority::as_str), host) {
        (Some(named), Some(host)) if !named.eq_ignore_ascii_case(host) => Err(MALFORMED),
        (Some(named), _) => Ok(named),
        (None, Some(host)) => Ok(host),
        (None, None) => listener.ok_or(MALFORMED),
    }
}
