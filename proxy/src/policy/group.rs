//! Decides which stored responses belong together, and which of them a change invalidates
//! (RFC 9875).

use std::collections::BTreeSet;

use forebay_config::{KeyRules, Route, Routes};
use http::{HeaderMap, Method, StatusCode};

use super::invalidate::is_change;
use crate::field::tags;
use crate::key::Target;
use crate::stored::TagHash;

/// The groups of a response with `fields` that was asked for as `target` on `route`, as tags.
#[must_use]
pub fn groups(target: &Target, route: &Route, fields: &HeaderMap) -> Vec<TagHash> {
    //= https://www.rfc-editor.org/rfc/rfc9875#section-2.1
    //# They both share the same URI origin
    let site = site(target, route);
    tags::groups(fields).iter().map(|name| TagHash::of(&tag(&site, name))).collect()
}

/// The names of the groups that are out of date after `status` answered `method`.
#[must_use]
pub fn outdated(method: &Method, status: StatusCode, answer: &HeaderMap) -> Vec<Box<str>> {
    //= https://www.rfc-editor.org/rfc/rfc9875#section-3
    //# The Cache-Group-Invalidation header field MUST be ignored on responses
    //# to requests that have a safe method
    if is_change(method, status) { tags::invalidated_groups(answer) } else { Vec::new() }
}

/// The groups with these `names` of which something may be stored for the origin of `target`, by
/// whichever of `routes` it was asked for, as tags.
#[must_use]
pub fn of_origin(names: &[Box<str>], target: &Target, routes: &Routes) -> Vec<String> {
    if names.is_empty() {
        return Vec::new();
    }
    let routes = routes.for_host(target.host());
    let sites: BTreeSet<String> = routes.map(|route| site(target, route)).collect();
    let groups = |name: &str| -> Vec<_> { sites.iter().map(|site| tag(site, name)).collect() };
    names.iter().flat_map(|name| groups(name)).collect()
}

/// The group `name` of `site` as a tag: no response can name that as its own, since no field has a
/// zero byte.
fn tag(site: &str, name: &str) -> String {
    format!("{site}\0{name}")
}

/// What of the origin of `target` tells apart what is stored by `route`, as the key does. Where
/// hosts share, those do that take the route.
fn site(target: &Target, route: &Route) -> String {
    let KeyRules { scheme, host, .. } = route.policy.key;
    let scheme = if scheme { target.scheme().as_str() } else { "*" };
    if host {
        format!("{scheme}://{}", target.authority())
    } else {
        format!("{scheme}://* {}", route.name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_config::Settings;

    use super::*;
    use crate::policy::testing::head;

    /// Hosts are apart on the first route, the two others share theirs, and on the last schemes
    /// share.
    fn settings() -> Settings {
        let text = "version = 1
            listeners.web.address = '127.0.0.1:0'
            origins.one.servers = ['http://origin.example']
            policies.shared = { key.host = false }
            policies.both = { key.scheme = false }
            [[routes]]
            name = 'own'
            match = { path = '/own/**' }
            origin = 'one'
            policy = 'api'
            [[routes]]
            name = 'shared'
            match = { path = '/shared/**', host = ['a.example', 'b.example'] }
            origin = 'one'
            policy = 'shared'
            [[routes]]
            name = 'both'
            match = { path = '/**' }
            origin = 'one'
            policy = 'both'";
        forebay_config::parse("test.toml", text, Path::new(""), &|_| None).unwrap()
    }

    /// Whether a change of `changed` invalidates what is stored of `stored`, by the route of that
    /// number, where the one names `outdated` and the other `groups`.
    fn is_invalidated(
        stored: (&str, usize),
        groups_of: &str,
        changed: &str,
        outdated_of: &str,
    ) -> bool {
        let settings = settings();
        let target = |url: &str| {
            let (scheme, rest) = url.split_once("://").unwrap();
            Target::parse(scheme, rest, "/").unwrap()
        };
        let route = settings.routes.iter().nth(stored.1).unwrap();
        let fields = head(&format!("Cache-Groups: {groups_of}"));
        let kept = groups(&target(stored.0), route, &fields);
        let answer = head(&format!("Cache-Group-Invalidation: {outdated_of}"));
        let names = outdated(&Method::POST, StatusCode::OK, &answer);
        of_origin(&names, &target(changed), &settings.routes)
            .iter()
            .any(|group| kept.contains(&TagHash::of(group)))
    }

    const A: &str = "http://a.example";

    #[test]
    fn takes_responses_for_one_group_that_share_a_name() {
        for number in 0..3 {
            assert!(is_invalidated((A, number), r#""one", "two""#, A, r#""zero", "two";x=1"#));
            assert!(!is_invalidated((A, number), r#""one", "two""#, A, r#""three", "On""#));
            assert!(!is_invalidated((A, number), r#""one""#, A, "one"));
            assert!(!is_invalidated((A, number), r#""one""#, A, r#""one", &"#));
        }
    }

    #[test]
    fn leaves_the_groups_of_another_origin_alone() {
        for other in ["http://b.example", "https://a.example", "http://a.example:81"] {
            assert!(!is_invalidated((A, 0), r#""one""#, other, r#""one""#), "{other}");
        }
    }

    #[test]
    fn shares_groups_where_the_key_shares_responses() {
        assert!(is_invalidated((A, 1), r#""one""#, "http://b.example", r#""one""#));
        assert!(!is_invalidated((A, 1), r#""one""#, "http://c.example", r#""one""#));
        assert!(is_invalidated((A, 2), r#""one""#, "https://a.example", r#""one""#));
        assert!(!is_invalidated((A, 2), r#""one""#, "https://b.example", r#""one""#));
    }

    #[test]
    fn invalidates_no_group_without_a_change() {
        let answer = head(r#"Cache-Group-Invalidation: "one""#);
        for (method, status, expected) in [
            (Method::POST, 200, 1),
            (Method::DELETE, 303, 1),
            (Method::GET, 200, 0),
            (Method::HEAD, 200, 0),
            (Method::OPTIONS, 204, 0),
            (Method::POST, 400, 0),
            (Method::POST, 500, 0),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(outdated(&method, status, &answer).len(), expected, "{method} {status}");
        }
    }
}
