//! Decides whether a request may use the cache (RFC 9111 §4, §5.2.1).

use forebay_config::{Policy, Strategy};
use http::{HeaderMap, Method, header};

use super::dictionary::Bundle;
use crate::event::{Detail, Fwd};
use crate::field::cache_control::RequestDirectives;
use crate::field::coding::Weights;
use crate::field::{cookie, list};

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
    /// How much it likes each content coding, in its own words: what selects among variants no
    /// longer has the weights.
    pub codings: Weights,
    /// The bundle that it wants a version of, where the route uses dictionaries.
    pub bundle: Option<Bundle>,
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
            upgrade: asks_to_switch(fields),
            ambiguous: false,
            for_origin: fields.contains_key(header::IF_MATCH)
                || fields.contains_key(header::IF_UNMODIFIED_SINCE),
            codings: Weights::read(fields),
            bundle: None,
        }
    }

    /// Whether it goes forward in no company, since the answer to it might be its own.
    #[must_use]
    pub fn goes_alone(&self) -> bool {
        self.authorized
            || self.method != Method::GET
            || self.directives.no_cache
            || self.directives.no_store
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
    if bypass(fields, rules).is_some() {
        return Plan::Pass(Fwd::Bypass, Some(Detail::BypassIf));
    }
    Plan::LookUp
}

/// What of a request keeps it from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass<'a> {
    /// This field, by the name that the settings write.
    Field(&'a str),
    /// This cookie, by the name that the request writes.
    Cookie(&'a [u8]),
}

/// What of `fields` keeps a request from the cache on a route with `rules`.
#[must_use]
pub fn bypass<'a>(fields: &'a HeaderMap, rules: &'a Policy) -> Option<Bypass<'a>> {
    let named = rules.bypass_if.headers.iter().find(|name| fields.contains_key(name.as_str()));
    named.map(|name| Bypass::Field(name)).or_else(|| {
        let patterns = &rules.bypass_if.cookies;
        if patterns.is_empty() {
            return None;
        }
        // In doubt it is not looked up: what one person sees must not be stored for all.
        let meant = |name: &[u8]| patterns.iter().any(|pattern| pattern.matches(name));
        cookie::any_name(fields, meant).map(Bypass::Cookie)
    })
}

/// Whether a request asks for another protocol than HTTP. Curl and others offer `h2c` with every
/// request; it is not taken up (RFC 9113 §3.1).
fn asks_to_switch(fields: &HeaderMap) -> bool {
    list::members(fields, &header::UPGRADE).any(|name| !name.eq_ignore_ascii_case(b"h2c"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{head, rules};

    const BY_RULE: Plan = Plan::Pass(Fwd::Bypass, Some(Detail::BypassIf));
    const BY_ROUTE: Plan = Plan::Pass(Fwd::Bypass, Some(Detail::RouteBypass));
    const BY_METHOD: Plan = Plan::Pass(Fwd::Method, None);
    const BY_REQUEST: Plan = Plan::Pass(Fwd::Request, None);

    fn planned(method: &str, fields: &str, has_body: bool, options: &str) -> Plan {
        let (method, fields) = (Method::from_bytes(method.as_bytes()).unwrap(), head(fields));
        plan(&Ask::read(&method, &fields, has_body), &fields, &rules(options))
    }

    #[track_caller]
    fn check(method: &str, fields: &str, options: &str, expected: Plan) {
        assert_eq!(planned(method, fields, false, options), expected, "{method} {fields}");
    }

    #[test]
    fn looks_up_only_get_and_head() {
        check("GET", "", "", Plan::LookUp);
        check("HEAD", "", "", Plan::LookUp);
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY", "get"] {
            check(method, "", "", BY_METHOD);
        }
    }

    #[test]
    fn looks_up_what_carries_credentials_or_directives() {
        let fields = "Authorization: Basic eA== | Cookie: a=b | Cache-Control: no-cache, no-store \
                      | Pragma: no-cache | Range: bytes=0-1 | If-None-Match: \"a\"";
        check("GET", fields, "", Plan::LookUp);
    }

    #[test]
    fn passes_on_what_only_the_origin_can_answer() {
        check("GET", "If-Match: \"a\"", "", BY_REQUEST);
        check("GET", "If-Unmodified-Since: x", "", BY_REQUEST);
        check("GET", "Upgrade: websocket", "", BY_REQUEST);
        assert_eq!(planned("GET", "", true, ""), BY_REQUEST);
        assert_eq!(planned("HEAD", "", true, ""), BY_REQUEST);
    }

    #[test]
    fn passes_on_what_some_origins_read_as_another_path() {
        let fields = HeaderMap::new();
        let ask = Ask { ambiguous: true, ..Ask::read(&Method::GET, &fields, false) };
        let expected = Plan::Pass(Fwd::Bypass, Some(Detail::AmbiguousPath));
        assert_eq!(plan(&ask, &fields, &rules("")), expected);
    }

    #[test]
    fn passes_everything_on_if_the_route_bypasses_the_cache() {
        check("GET", "", "strategy = 'bypass'", BY_ROUTE);
        check("POST", "", "strategy = 'bypass'", BY_ROUTE);
    }

    #[test]
    fn passes_on_what_has_a_field_of_bypass_if() {
        let rules = "bypass_if = { headers = ['X-Preview', 'authorization'] }";
        check("GET", "X-Preview: ", rules, BY_RULE);
        check("GET", "x-preview: 0", rules, BY_RULE);
        check("HEAD", "Authorization: Basic eA==", rules, BY_RULE);
        check("GET", "X-Previews: 1", rules, Plan::LookUp);
        check("POST", "X-Preview: 1", rules, BY_METHOD);
    }

    #[test]
    fn says_what_keeps_a_request_from_the_cache() {
        let rules = rules("bypass_if = { cookies = ['s*d'], headers = ['X-Preview'] }");
        let found = |text: &str| format!("{:?}", bypass(&head(text), &rules));
        assert_eq!(found("x-preview: 1 | Cookie: sid=1"), "Some(Field(\"x-preview\"))");
        assert_eq!(found("Cookie: a=1; sid=1"), format!("Some(Cookie({:?}))", b"sid"));
        assert_eq!(found("Cookie: a=1; ids=1"), "None");
    }

    #[test]
    fn passes_on_what_has_a_cookie_of_bypass_if() {
        let rules = "bypass_if = { cookies = ['sid', 'b'] }";
        for cookies in ["sid=1", "sid=", "sid", "a=1; sid=2", "a=1;sid=2", "a=sid; b=", " sid =1"] {
            check("GET", &format!("Cookie: {cookies}"), rules, BY_RULE);
        }
        check("GET", "Cookie: a=1 | Cookie: sid=2", rules, BY_RULE);
        for cookies in ["SID=1", "a=sid", "asid=1", "sida=1", "a=b;", "", "=sid"] {
            check("GET", &format!("Cookie: {cookies}"), rules, Plan::LookUp);
        }
        check("GET", "X-Cookie: sid=1", rules, Plan::LookUp);
    }

    proptest! {
        #[test]
        fn never_looks_up_what_carries_a_cookie_of_bypass_if(
            before in "([a-z]{1,4}=[ -:<-~]{0,4}; ?){0,3}",
            after in "(;[ -:<-~]{0,6}){0,3}",
            value in "(=[a-z0-9\"=]{0,5})?",
            method in "GET|HEAD|POST",
            has_body: bool,
        ) {
            let rules = "bypass_if = { cookies = ['sid'] }";
            let cookies = format!("{before}sid{value}{after}");
            let mut fields = HeaderMap::new();
            fields.append(header::COOKIE, cookies.parse().unwrap());
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let plan = plan(&Ask::read(&method, &fields, has_body), &fields, &crate::policy::testing::rules(rules));
            prop_assert_ne!(plan, Plan::LookUp, "{}", cookies);
        }
    }
}
