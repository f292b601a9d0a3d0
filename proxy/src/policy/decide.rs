//! Decides what is done with a request before anything is looked up: which route it takes, whether
//! it may use the cache, and what it is looked up under.

use std::sync::Arc;

use forebay_config::{Route, Routes, Strategy};
use http::{HeaderMap, Method};

use super::identity::{self, Edit};
use super::request::{Ask, Plan, plan};
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
    /// What the origin is asked for.
    pub target: Target,
    /// What changes in its fields first.
    pub edits: Vec<Edit>,
}

/// Decides about `request`; nothing if no route takes it.
#[must_use]
pub fn decide(routes: &Routes, request: &Request<'_>) -> Option<Decision> {
    let Request { target, method, fields, has_body } = *request;
    let route = routes.find(target.host(), target.path())?;
    let mut ask = Ask::read(method, fields, has_body);
    ask.ambiguous = is_ambiguous(routes, target, route);
    let plan = plan(&ask, fields, &route.policy);
    // What is passed on stays as it is: nobody else will be given its answer.
    let (target, edits) = match plan {
        Plan::LookUp => {
            let rules = &route.policy.key;
            (identity::asked(target, rules), identity::edits(fields, rules))
        }
        Plan::Pass(..) => (target.clone(), Vec::new()),
    };
    let key = identity::key(&target, route);
    Some(Decision { route: Arc::clone(route), ask, plan, key, target, edits })
}

/// Whether the path would take another route as some origins read it: what one person sees there
/// could be stored for all under this route.
fn is_ambiguous(routes: &Routes, target: &Target, route: &Route) -> bool {
    let find = |path: &str| routes.find(target.host(), path);
    let loose = target.loose_path();
    let path = loose.as_deref().unwrap_or(target.path());
    let other = loose
        .as_deref()
        .is_some_and(|path| find(path).is_none_or(|other| other.index != route.index));
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
    routes.find(target.host(), target.path()).into_iter().map(|route| identity::key(target, route))
}
