//! Decides whether a request may use the cache (RFC 9111 §4, §5.2.1).

use forebay_config::{Policy, Strategy};
use http::{HeaderMap, Method, header};

use crate::event::{Detail, Fwd};
use crate::field::cache_control::RequestDirectives;

/// What a request asks of the cache, read once from its head.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its `Cache-Control`, or `Pragma`.
    pub directives: RequestDirectives,
    /// It carries `Authorization` (RFC 9111 §3.5).
    pub authorized: bool,
    /// It carries a body, or announces one.
    pub has_body: bool,
    /// It asks to switch protocols (RFC 9110 §7.8).
    pub upgrade: bool,
    /// Its path would take another route if it were read as some origins read it.
    pub ambiguous: bool,
    /// It carries `If-Match` or `If-Unmodified-Since`, which a cache must not evaluate
    /// (RFC 9111 §4.3.2).
    pub for_origin: bool,
}

impl Ask {
    /// Reads the facts of a request head.
    #[must_use]
    pub fn read(method: &Method, fields: &HeaderMap, has_body: bool) -> Self {
        Self {
            method: method.clone(),
            directives: RequestDirectives::parse(fields),
            authorized: fields.contains_key(header::AUTHORIZATION),
            has_body,
            upgrade: fields.contains_key(header::UPGRADE),
            ambiguous: false,
            for_origin: fields.contains_key(header::IF_MATCH)
                || fields.contains_key(header::IF_UNMODIFIED_SINCE),
        }
    }
}

/// What to do with a request before anything is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Look it up; go forward if nothing may answer.
    LookUp,
    /// Pass it on as it is, and its answer back; store nothing unless it is a `POST`.
    Pass(Fwd, Option<Detail>),
}

/// Says whether `ask` may use the cache on a route with `rules`.
#[must_use]
pub fn plan(ask: &Ask, fields: &HeaderMap, rules: &Policy) -> Plan {
    if rules.strategy == Strategy::Bypass {
        return Plan::Pass(Fwd::Bypass, Some(Detail::RouteBypass));
    }
    if ask.ambiguous {
        return Plan::Pass(Fwd::Bypass, Some(Detail::AmbiguousPath));
    }
    if ask.method != Method::GET && ask.method != Method::HEAD {
        return Plan::Pass(Fwd::Method, None);
    }
    // Content of a GET is in no key: an answer that depends on it would poison others.
    if ask.has_body || ask.upgrade || ask.for_origin {
        return Plan::Pass(Fwd::Request, None);
    }
    if is_bypassed(fields, rules) {
        return Plan::Pass(Fwd::Bypass, Some(Detail::BypassIf));
    }
    Plan::LookUp
}

/// Whether `fields` carry what keeps a request from the cache on a route with `rules`.
#[must_use]
pub fn is_bypassed(fields: &HeaderMap, rules: &Policy) -> bool {
    rules.bypass_if.headers.iter().any(|name| fields.contains_key(name))
        || (!rules.bypass_if.cookies.is_empty() && carries_cookie(fields, &rules.bypass_if.cookies))
}

fn carries_cookie(fields: &HeaderMap, names: &[String]) -> bool {
    fields
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .filter_map(|pair| pair.split(|&byte| byte == b'=').next())
        .any(|name| names.iter().any(|wanted| wanted.as_bytes() == name.trim_ascii()))
}
