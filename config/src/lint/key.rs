//! The lints about the key: what tells too little apart, and what tells too much.

use super::view::{Policy, View};
use super::{Draft, list};
use crate::decode::Written;
use crate::kind::Token;

/// Finds keys in which hosts or schemes are one.
pub(super) fn lacks_host_or_scheme(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let Some(key) = policy.at.value.key.as_ref().filter(|_| policy.at.value.caches()) else {
        return Vec::new();
    };
    let host = key.value.host.as_ref().map(|host| (host, "host", "hosts"));
    let scheme = key.value.scheme.as_ref().map(|scheme| (scheme, "scheme", "schemes"));
    let off = host.into_iter().chain(scheme).filter(|(option, ..)| !option.value);
    off.map(|(option, name, plural)| {
        let danger = format!(
            "all {plural} share what is stored on {}: what the origin says to one is told to all",
            policy.on_routes()
        );
        let mend = (policy.table_within("key"), format!("{name} = true"));
        Draft::at(option, danger, mend)
    })
    .collect()
}

/// Finds parameters that reach the origin though they are not in the key.
pub(super) fn forwards_what_is_not_keyed(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let key = policy.at.value.key.as_ref().filter(|_| policy.at.value.caches());
    let Some(query) = key.and_then(|key| key.value.query.as_ref()) else { return Vec::new() };
    let query = &query.value;
    let left_out = query.allow.is_some()
        || query.deny.as_ref().is_some_and(|deny| !deny.value.0.is_empty())
        || query.drop_tracking.as_ref().is_some_and(|drop| drop.value);
    let forward = query.forward.as_ref().filter(|forward| forward.value && left_out);
    let draft = |forward: &Written<bool>| {
        let danger = format!(
            "the origin gets parameters that are not in the key: whoever asks first on {} chooses \
             with them what everybody is given",
            policy.on_routes()
        );
        let mend = (policy.table_within("key.query"), "forward = false".to_owned());
        Draft::at(forward, danger, mend)
    };
    forward.map(draft).into_iter().collect()
}

/// Finds fields in the key that have as many values as there are devices.
pub(super) fn has_raw_hints(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let is_hint = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("sec-ch-") || matches!(&*name, "dpr" | "width" | "viewport-width")
    };
    keyed(policy, is_hint, |name| {
        let danger = format!(
            "every value of {name} that a client thinks of is a variant of its own, and drives \
             the others out"
        );
        (danger, Some("device = true"))
    })
}

/// Finds fields in the key that are different for nearly every client.
pub(super) fn has_raw_clients(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let key = policy.at.value.key.as_ref();
    let chosen = key.is_some_and(|key| key.value.languages.is_some());
    let is_raw = |name: &str| {
        name.eq_ignore_ascii_case("user-agent")
            || name.eq_ignore_ascii_case("cookie")
            || (name.eq_ignore_ascii_case("accept-language") && !chosen)
    };
    keyed(policy, is_raw, |name| {
        let instead = match name.to_ascii_lowercase().as_str() {
            "user-agent" => "device = true",
            "cookie" => "cookies = [] # and the names of those that the answer depends on",
            _ => "languages = [\"en\"] # and the others that the origin has",
        };
        let danger = format!(
            "{name} is different for nearly every client, so that hardly any response answers \
             twice"
        );
        (danger, Some(instead))
    })
}

/// A finding for each field in the key that `is_meant`; `said` gives the danger and what the key
/// should have instead.
fn keyed(
    policy: &Policy<'_>,
    is_meant: impl Fn(&str) -> bool,
    said: impl Fn(&str) -> (String, Option<&'static str>),
) -> Vec<Draft> {
    let options = &policy.at.value;
    if !options.caches() {
        return Vec::new();
    }
    let draft = |header: &Written<Token>| {
        let others = options.keyed_headers().map(|other| other.value.0.as_str());
        let headers = format!("headers = {}", list(others.filter(|other| !is_meant(other))));
        let (danger, instead) = said(&header.value.0);
        let toml = instead.map_or(headers.clone(), |instead| format!("{headers}\n{instead}"));
        Draft::at(header, danger, (policy.table_within("key"), toml))
    };
    options.keyed_headers().filter(|header| is_meant(&header.value.0)).map(draft).collect()
}
