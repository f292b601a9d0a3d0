//! The lints about what belongs to one person: credentials, sessions, cookies.

use std::collections::BTreeSet;

use super::Draft;
use super::view::{Policy, Route, View, on_routes};
use crate::condition::{Condition, Wanted};
use crate::decode::Written;
use crate::name::NamePattern;
use crate::options;
use crate::person::is_of_session;
use crate::settings::SetCookie;

/// Finds a `ttl` that also holds for requests with credentials.
pub(super) fn ignores_authorization(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let options = &policy.at.value;
    let is_it = |name: &str| name.eq_ignore_ascii_case("authorization");
    let minded = options.bypassing_headers().any(is_it)
        || options.keyed_headers().any(|header| is_it(&header.value.0));
    let draft = |ttl| {
        let danger = format!(
            "nothing is said of Authorization on {}: who sends it is given what is stored for \
             everybody, and what the origin marks public, s-maxage or must-revalidate for one is \
             stored for all",
            policy.on_routes()
        );
        let toml = options.bypass_if_also(None, Some("Authorization"));
        Draft::at(ttl, danger, (policy.table(), toml))
    };
    options.own_ttl().filter(|_| !minded).map(draft).into_iter().collect()
}

/// Finds cached routes whose answers may depend on who is logged in.
pub(super) fn caches_sessions(policy: &Policy<'_>, view: &View<'_>) -> Vec<Draft> {
    let options = &policy.at.value;
    if let Some(keyed) = options.keyed_cookies() {
        let bad = keyed.iter().filter(|cookie| {
            let name = cookie.value.to_string();
            is_of_session(&name) && !is_bypassed(options, &name)
        });
        return bad
            .filter(|_| options.caches())
            .map(|cookie| session_in_key(policy, cookie))
            .collect();
    }
    let Some(ttl) = options.own_ttl() else { return Vec::new() };
    if options.bypassing_cookies().next().is_none() {
        let danger = format!(
            "the origin gets every cookie on {}, and what it answers to one visitor's is stored \
             for all",
            policy.on_routes()
        );
        let toml = "key = { cookies = [] } # if no answer depends on a cookie; or else the session \
                    cookie in bypass_if.cookies";
        return vec![Draft::at(ttl, danger, (policy.table(), toml.to_owned()))];
    }
    forgotten(policy, view).into_iter().map(|(cookie, by, routes)| {
        let danger = format!(
            "policies.{by} knows the cookie \"{cookie}\" as one that must not meet the cache; here, \
             on {}, the same origin gets it and the answer is stored for all",
            on_routes(&routes)
        );
        let toml = options.bypass_if_also(Some(&cookie.to_string()), None);
        Draft::at(policy.at, danger, (policy.table(), toml))
    }).collect()
}

fn session_in_key(policy: &Policy<'_>, cookie: &Written<NamePattern>) -> Draft {
    let options = &policy.at.value;
    let danger = format!(
        "\"{}\" looks like the cookie of a session: on {} each visitor fills the cache with \
         responses that answer nobody else",
        cookie.value,
        policy.on_routes()
    );
    let name = cookie.value.to_string();
    Draft::at(cookie, danger, (policy.table(), options.bypass_if_also(Some(&name), None)))
}

/// The cookies that other policies bypass and `policy` forgets, with the name of the policy that
/// does, and the routes of `policy` whose origin they share.
fn forgotten<'a>(
    policy: &Policy<'a>,
    view: &View<'a>,
) -> Vec<(&'a NamePattern, &'a str, Vec<Route<'a>>)> {
    let mut found: Vec<(&'a NamePattern, &'a str, Vec<Route<'a>>)> = Vec::new();
    for other in view.policies.iter().filter(|other| other.name != policy.name) {
        if other.at.value.bypassing_cookies().next().is_none() {
            continue;
        }
        let origins: BTreeSet<&str> = other.routes.iter().map(|route| route.origin).collect();
        let shares = |route: &&Route<'a>| origins.contains(route.origin);
        let routes: Vec<_> = policy.routes.iter().filter(shares).copied().collect();
        for cookie in other.at.value.bypassing_cookies().filter(|_| !routes.is_empty()) {
            let name = cookie.to_string();
            let known = is_bypassed(&policy.at.value, &name)
                || found.iter().any(|(told, ..)| *told == cookie);
            if is_of_session(&name) && !known {
                found.push((cookie, other.name, routes.clone()));
            }
        }
    }
    found
}

/// Finds cached routes that are for those who have a session.
pub(super) fn caches_route_of_sessions(route: &Route<'_>, _: &View<'_>) -> Vec<Draft> {
    let policy = route.policy;
    // Where the key has a word on cookies, the origin gets no others.
    if !policy.caches() || policy.keyed_cookies().is_some() {
        return Vec::new();
    }
    let matched = route.at.value.r#match.iter().flat_map(|matched| &matched.value.cookie);
    let cookies = matched.flat_map(|cookies| &cookies.value.list);
    let bad = cookies.filter(|cookie| {
        let Condition { name, wanted } = &cookie.value;
        *wanted != Wanted::Absent && is_of_session(name) && !is_bypassed(policy, name)
    });
    bad.map(|cookie| {
        let name = &cookie.value.name;
        let danger = format!(
            "\"{name}\" looks like the cookie of a session: all who have one are of this route, \
             and what policies.{} stores for one of them it gives to the others",
            route.policy_name
        );
        Draft::at(cookie, danger, (route.table(), "policy = \"session\"".to_owned()))
    })
    .collect()
}

/// Finds where responses for one person are compressed.
pub(super) fn compresses_secrets(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let compress = policy.at.value.compress.as_ref();
    let codings = compress.and_then(|written| written.value.codings.as_ref());
    let is_made = codings.is_some_and(|codings| !codings.value.0.is_empty());
    let personal = compress.and_then(|written| written.value.personal.as_ref());
    let draft = |personal| {
        let danger = format!(
            "what one person gets is compressed on {}: where it repeats what its client sent, its \
             length tells the secrets in it",
            policy.on_routes()
        );
        let mend = (policy.table_within("compress"), "personal = false".to_owned());
        Draft::at(personal, danger, mend)
    };
    personal.filter(|personal| is_made && personal.value).map(draft).into_iter().collect()
}

/// Whether every cookie that `name`, perhaps a pattern, means keeps a request from the cache.
fn is_bypassed(policy: &options::Policy, name: &str) -> bool {
    policy.bypassing_cookies().any(|pattern| pattern.matches(name.as_bytes()))
}

/// Finds `Set-Cookie` that is stored.
pub(super) fn stores_cookies(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let stores = |written: &&Written<SetCookie>| written.value == SetCookie::Store;
    let found = policy.at.value.set_cookie.as_ref().filter(stores);
    let draft = |written| {
        let danger = format!(
            "a cookie that the origin sets for one visitor is stored and given to all on {}",
            policy.on_routes()
        );
        Draft::at(written, danger, (policy.table(), "set_cookie = \"strip\"".to_owned()))
    };
    found.filter(|_| policy.at.value.caches()).map(draft).into_iter().collect()
}
