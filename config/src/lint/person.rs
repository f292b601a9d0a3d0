//! The lints about what belongs to one person: credentials, sessions, cookies.

use std::collections::BTreeSet;

use super::Draft;
use super::view::{Policy, Route, View, on_routes};
use crate::condition::{Condition, Wanted};
use crate::decode::Written;
use crate::name::NamePattern;
use crate::options;
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

/// Finds responses for one person that are compressed.
pub(super) fn compresses_secrets(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let options = &policy.at.value;
    if !options.compresses() {
        return Vec::new();
    }
    let cookies = options.keyed_cookies().into_iter().flatten().filter_map(|cookie| {
        let name = cookie.value.to_string();
        let is_bad = is_of_session(&name) && !is_bypassed(options, &name);
        is_bad.then(|| secret_compressed(policy, cookie, &name))
    });
    let headers = options.keyed_headers().filter_map(|header| {
        let name = header.value.0.as_str();
        let is_bad = is_credential(name)
            && !options.bypassing_headers().any(|other| other.eq_ignore_ascii_case(name));
        is_bad.then(|| secret_compressed(policy, header, name))
    });
    cookies.chain(headers).collect()
}

fn secret_compressed<T>(policy: &Policy<'_>, written: &Written<T>, name: &str) -> Draft {
    let danger = format!(
        "\"{name}\" looks as if it told persons apart: on {} a response for one of them is \
         compressed, and if it repeats what the client sent, its length tells the secrets in it",
        policy.on_routes()
    );
    Draft::at(written, danger, (policy.table(), "compress = { codings = [] }".to_owned()))
}

/// Whether a field looks as if it told who asks, other than those whose responses are never
/// compressed.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_minded = matches!(name.as_str(), "authorization" | "cookie");
    !is_minded && (is_of_session(&name) || name.contains("api-key") || name.contains("apikey"))
}

/// Whether every cookie that `name`, perhaps a pattern, means keeps a request from the cache.
fn is_bypassed(policy: &options::Policy, name: &str) -> bool {
    policy.bypassing_cookies().any(|pattern| pattern.matches(name.as_bytes()))
}

/// Whether a cookie looks as if it told one person from all others; `name` may be a pattern.
fn is_of_session(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
    let has = |part: &str| name.contains(part);
    // An author is no authorisation.
    let auth = has("authori") || (has("auth") && !has("author"));
    name.chars().all(|c| c == '*')
        || auth
        || has("sess")
        || has("token")
        || has("jwt")
        || words().any(|word| matches!(word, "sid" | "login" | "logged" | "remember"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_field_of_a_person_by_its_name() {
        for name in ["X-Api-Key", "X-Auth-User", "X-Session", "X-ApiKey", "Token"] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["Authorization", "Cookie", "X-Tenant", "Accept", "X-Key"] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn knows_the_cookie_of_a_session_by_its_name() {
        for name in [
            "sessionid",
            "PHPSESSID",
            "JSESSIONID",
            "connect.sid",
            "sid",
            "auth_token",
            "wordpress_logged_in_*",
            "jwt",
            "XSRF-TOKEN",
            "Authorization",
            "*",
        ] {
            assert!(is_of_session(name), "{name}");
        }
        for name in ["theme", "lang", "author", "inside", "sidebar", "cart_open", "_ga"] {
            assert!(!is_of_session(name), "{name}");
        }
    }
}
