//! Decides what is done with a request before anything is looked up: which route it takes, whether
//! it may use the cache, and what it is looked up under.

use std::borrow::Cow;
use std::sync::Arc;

use forebay_config::{Fields, Route, RouteRequest, Routes, Strategy};
use http::{HeaderMap, Method};

use super::dictionary::{self, Bundle};
use super::encode;
use super::identity::{self, Edit};
use super::passed_on;
use super::request::{Ask, Plan, plan};
use crate::field::hop;
use crate::key::{Key, Target};

/// A request, as far as it decides.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What it asks for.
    pub target: &'a Target,
    /// Its method.
    pub method: &'a Method,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// It carries a body, or announces one.
    pub has_body: bool,
}

/// What was decided about a request.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The route that it takes.
    pub route: Arc<Route>,
    /// What it asks of the cache.
    pub ask: Ask,
    /// What to do with it.
    pub plan: Plan,
    /// What it is looked up under.
    pub key: Key,
    /// What the origin is asked for; nothing if it is what the client asks for.
    pub target: Option<Target>,
    /// What changes in its fields first.
    pub edits: Vec<Edit>,
}

impl Request<'_> {
    /// Hands `take` what the routes have to know of it.
    pub fn with_route_request<T>(&self, take: impl FnOnce(&RouteRequest<'_>) -> T) -> T {
        take(&RouteRequest {
            host: self.target.host(),
            path: self.target.path(),
            method: self.method.as_str(),
            query: self.target.query(),
            fields: &Lines(self.fields),
        })
    }
}

/// Decides about `request`; nothing if no route takes it.
#[must_use]
pub fn decide(routes: &Routes, request: &Request<'_>) -> Option<Decision> {
    let Request { target, method, fields, has_body } = *request;
    let mut ask = Ask::read(method, fields, has_body);
    let route = request.with_route_request(|asked| {
        let route = routes.find(asked)?;
        ask.ambiguous = is_ambiguous(routes, asked, target.loose_path().as_deref(), route);
        Some(route)
    })?;
    let plan = plan(&ask, fields, &route.policy);
    let rules = &route.policy.key;
    let key = identity::key(target, route);
    // What is passed on stays as it is, but for words of the edge's own: nobody else will be given
    // its answer.
    let (target, edits) = match plan {
        Plan::LookUp => {
            ask.bundle = Bundle::of(target, fields, route);
            let edits = identity::edits(fields, rules).into_iter();
            let edits = edits.chain(dictionary::edits(fields, &route.policy.compress));
            (identity::asked(target, route), edits.collect())
        }
        Plan::Pass(..) => {
            let conditions = [encode::if_match(fields), passed_on::if_none_match(fields)];
            let mut edits: Vec<_> = identity::class(fields, rules).into_iter().collect();
            edits.extend(conditions.into_iter().flatten());
            edits.extend(passed_on::undated(&ask, fields, &route.policy));
            (Cow::Borrowed(target), edits)
        }
    };
    let target = match target {
        Cow::Borrowed(_) => None,
        Cow::Owned(target) => Some(target),
    };
    Some(Decision { route: Arc::clone(route), ask, plan, key, target, edits })
}

/// The fields of a request, for the routes.
struct Lines<'a>(&'a HeaderMap);

impl Fields for Lines<'_> {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        // What the origin does not get to see must not choose what its answer is stored as.
        !hop::is_nominated(self.0, name)
            && self.0.get_all(name).iter().any(|line| holds(line.as_bytes()))
    }
}

/// Whether the path would take another route as some origins read it, which is `loose` if that is
/// another path: what one person sees there could be stored for all under this route.
fn is_ambiguous(
    routes: &Routes,
    request: &RouteRequest<'_>,
    loose: Option<&str>,
    route: &Route,
) -> bool {
    let find = |path: &str| routes.find(&RouteRequest { path, ..*request });
    let path = loose.unwrap_or(request.path);
    let other = loose.is_some_and(|path| find(path).is_none_or(|other| other.index != route.index));
    // Where case does not matter to an origin, only a route that bypasses the cache does.
    let bypasses = |route: &Route| route.policy.strategy == Strategy::Bypass;
    let capital = path.bytes().any(|byte| byte.is_ascii_uppercase());
    other
        || (capital
            && !bypasses(route)
            && find(&path.to_ascii_lowercase()).is_some_and(|other| bypasses(other)))
}

/// The keys under which something may be stored for `target`, by whichever route it was asked for.
pub fn keys<'a>(routes: &'a Routes, target: &'a Target) -> impl Iterator<Item = Key> + 'a {
    let routes = routes.for_target(target.host(), target.path());
    routes.map(|route| identity::key(target, route))
}
