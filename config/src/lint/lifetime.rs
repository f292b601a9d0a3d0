//! The lints about how long responses are kept.

use std::time::Duration;

use super::Draft;
use super::view::{Policy, View};
use crate::decode::Written;
use crate::settings::{Strategy, TtlMode};
use crate::text::write_duration;

/// The longest time for which an error may be fresh.
const LONGEST_ERROR: Duration = Duration::from_secs(10);

/// The longest time for which a stale response may outlive a failing origin: what the law gives to
/// erase what somebody wants erased.
const LONGEST_STALE: Duration = Duration::from_hours(30 * 24);

/// Finds policies that know better than the origin.
pub(super) fn overrides_origin(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let options = &policy.at.value;
    let by_status = options.ttl_by_status.iter().any(|map| !map.value.0.is_empty());
    let acts = options.caches() && (options.ttl.is_some() || by_status);
    let is_it = |mode: &&Written<TtlMode>| acts && mode.value == TtlMode::Override;
    let draft = |mode| {
        let danger = format!(
            "on {} no max-age, no-cache or Expires of the origin counts any more: what it wants \
             validated or dropped soon is kept all the same",
            policy.on_routes()
        );
        Draft::at(mode, danger, (policy.table(), "ttl_mode = \"default\"".to_owned()))
    };
    options.ttl_mode.as_ref().filter(is_it).map(draft).into_iter().collect()
}

/// Finds errors that are fresh for long.
pub(super) fn keeps_errors(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let options = &policy.at.value;
    let map = options.ttl_by_status.iter().filter(|_| options.caches());
    let each = map.flat_map(|map| &map.value.0);
    let long = each.filter(|(status, ttl)| **status >= 400 && ttl.value > LONGEST_ERROR);
    long.map(|(status, ttl)| {
        let danger = format!(
            "one {status}, which may be over in a second or be provoked by one client, is the \
             answer to all for {} on {}",
            write_duration(ttl.value),
            policy.on_routes()
        );
        let toml = format!("{status} = \"{}\"", write_duration(LONGEST_ERROR));
        Draft::at(ttl, danger, (policy.table_within("ttl_by_status"), toml))
    })
    .collect()
}

/// Finds policies whose stale responses the origin forbids with the very word that makes them
/// fresh.
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.10
//# The s-maxage directive incorporates the semantics of the
//# proxy-revalidate response directive
pub(super) fn waits_for_s_maxage(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let options = &policy.at.value;
    if !options.caches() || options.mode() != TtlMode::Respect {
        return Vec::new();
    }
    let swr = Strategy::StaleWhileRevalidate;
    let strategy = options.strategy.as_ref().filter(|strategy| strategy.value == swr);
    let window = options.stale_while_revalidate.as_ref().filter(|swr| !swr.value.is_zero());
    let said = format!(
        "on {} the lifetime is what the origin says, and if it says s-maxage, it forbids stale \
         answers with it (RFC 9111 §5.2.2.10): then this never acts",
        policy.on_routes()
    );
    let mend = || {
        let toml = "# let the origin send CDN-Cache-Control: max-age=60 in place of s-maxage";
        (policy.table(), toml.to_owned())
    };
    let window = window.map(|window| Draft::at(window, said.as_str(), mend()));
    let draft = window.or_else(|| Some(Draft::at(strategy?, said.as_str(), mend())));
    draft.into_iter().collect()
}

/// Finds stale responses that outlive what must be erased.
pub(super) fn outlives_erasure(policy: &Policy<'_>, _: &View<'_>) -> Vec<Draft> {
    let options = &policy.at.value;
    let long = |limit: &&Written<Duration>| options.caches() && limit.value > LONGEST_STALE;
    let draft = |limit| {
        let danger = format!(
            "if the origin fails, what it erased may still be answered {} later on {}; the law \
             may ask for it to be gone within a month",
            write_duration(LONGEST_STALE),
            policy.on_routes()
        );
        Draft::at(limit, danger, (policy.table(), "stale_if_error = \"7d\"".to_owned()))
    };
    options.stale_if_error.as_ref().filter(long).map(draft).into_iter().collect()
}
