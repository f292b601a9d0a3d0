//! Says what would have to change for a response to be stored and to answer others.

use forebay_config::PRESETS;

use super::reason::{Speaks, Subject};
use crate::event::Detail;
use crate::policy::lifetime::takes_ttl;
use crate::policy::request::{Bypass, bypass};

impl Subject<'_> {
    /// What would have to change for a response to be stored and to answer others, in spite of
    /// `detail`; nothing if nothing can, or need.
    pub(super) fn remedy(&self, detail: Detail) -> Option<String> {
        let fixed = match detail {
            Detail::RouteBypass => return Some(self.for_route()),
            Detail::BypassIf => return self.for_bypass(),
            Detail::NoStore => return Some(self.for_no_store()),
            Detail::SetCookie => return Some(self.for_cookie()),
            Detail::NoFreshness => return Some(self.for_no_freshness()),
            Detail::Expired => return Some(self.for_expired().to_owned()),
            Detail::ContentType => return Some(self.for_type()),
            Detail::VaryStar if self.keeps_addresses_apart() => {
                return Some(format!(
                    "take X-Forwarded-For out of key.headers of {}",
                    self.policy()
                ));
            }
            Detail::VaryStar if self.varies_by_address() => {
                "the origin has to leave X-Forwarded-For out of Vary, and answer all alike"
            }
            Detail::VaryStar => "the origin has to name in Vary the request fields that select",
            Detail::Private => {
                "the origin has to leave out private, if the response is the same for everybody; \
                 no setting overrules it, for what is for one person is never shared"
            }
            Detail::Authorization => {
                "the origin has to say `public` or `s-maxage`, if everybody may see the response"
            }
            Detail::TooLarge => "raise cache.max_object",
            Detail::Head => "ask with GET",
            Detail::Part => {
                "the origin has to send Content-Range with the part and the length of the whole"
            }
            Detail::AmbiguousPath => {
                "ask for the path in its plain form: without encoded slashes, doubled slashes, \
                 backslashes or capitals that the routes do not have"
            }
            Detail::NoRoute => "write a route that takes it",
            Detail::PurgeRefused => "add the address to server.purge_from",
            Detail::Status
            | Detail::Method
            | Detail::RequestNoStore
            | Detail::OnlyIfCached
            | Detail::NetworkFirst
            | Detail::Deadline
            | Detail::OriginResting
            | Detail::StaleWhileRevalidate
            | Detail::StaleIfError
            | Detail::FreshIfError
            | Detail::MaxStale
            | Detail::HitForMiss
            | Detail::OriginUnreachable
            | Detail::OriginTimeout
            | Detail::OriginInvalid
            | Detail::OriginClosed
            | Detail::BadRequest => return None,
        };
        Some(fixed.to_owned())
    }

    /// The policy, so that it can be found.
    fn policy(&self) -> String {
        let name = &self.rules.name;
        let heading = format!("[{name}]");
        if PRESETS.lines().any(|line| line == heading) {
            // To write a built-in policy replaces the whole of it.
            format!(
                "the policy `{name}` (if that is the built-in one: in a policy of your own, which \
                 the route names in its place)"
            )
        } else {
            format!("the policy `{name}`")
        }
    }

    fn for_route(&self) -> String {
        format!(
            "if the answers of this route are the same for everybody, give it a policy that caches \
             in place of `{}`",
            self.rules.name
        )
    }

    fn for_cookie(&self) -> String {
        format!(
            "the origin leaves Set-Cookie out; or, if the response is the same for everybody but \
             for its cookie, write `set_cookie = \"strip\"` in {}",
            self.policy()
        )
    }

    fn for_type(&self) -> String {
        format!(
            "if such responses are the same for everybody, add their media type to `types` of {}",
            self.policy()
        )
    }

    fn for_no_store(&self) -> String {
        match self.speaks() {
            Speaks::ToAll => {
                "the origin has to leave out no-store, or to say in CDN-Cache-Control \
                              what caches like this one may do; no setting overrules it"
                    .to_owned()
            }
            Speaks::ToUs(name) => {
                format!("the origin has to leave no-store out of {name}; no setting overrules it")
            }
        }
    }

    fn for_bypass(&self) -> Option<String> {
        let policy = self.policy();
        let text = match bypass(self.fields, self.rules)? {
            Bypass::Cookie(name) => format!(
                "if `{}` says nothing about the person, name in bypass_if.cookies of {policy} only \
                 the cookies that do",
                name.escape_ascii()
            ),
            Bypass::Field(name) => format!(
                "if the answer does not depend on `{name}`, take it out of bypass_if.headers of \
                 {policy}"
            ),
        };
        Some(text)
    }

    fn for_expired(&self) -> &'static str {
        if self.must_be_validated() {
            "the origin sends an ETag or Last-Modified to validate it by, or leaves out no-cache"
        } else {
            "the origin sends an ETag or Last-Modified to validate it by, or a longer max-age"
        }
    }

    fn for_no_freshness(&self) -> String {
        if self.must_be_validated() {
            return self.for_expired().to_owned();
        }
        let option = match self.response {
            Some(response) if !takes_ttl(response.status) => {
                format!("ttl_by_status = {{ {} = \"10s\" }}", response.status.as_u16())
            }
            Some(_) | None => "ttl = \"5m\"".to_owned(),
        };
        let field = match self.speaks() {
            Speaks::ToAll => "Cache-Control",
            Speaks::ToUs(name) => name,
        };
        format!("the origin sends `{field}: max-age=...`, or write `{option}` in {}", self.policy())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Explanation, Question, Written, WrittenResponse, explain};
    use crate::time::Timestamp;

    /// What is said of `METHOD | Field: value -> STATUS | Field: value` where the policy `p` has
    /// these options.
    fn explained(options: &str, exchange: &str) -> Explanation {
        let text = format!(
            "version = 1
            listeners.web.address = '127.0.0.1:0'
            origins.one.servers = ['http://127.0.0.1:1']
            cache.max_object = '10B'
            routes = [{{ name = 'all', match = {{ path = '/**' }}, origin = 'one', policy = 'p' }}]
            policies.p = {{ {options} }}"
        );
        let settings = forebay_config::parse("a.toml", &text, Path::new(""), &|_| None).unwrap();
        let part = |text: &str| {
            let (first, fields) = text.split_once('|').unwrap_or((text, ""));
            let fields = fields.split('|').filter_map(|field| field.trim().split_once(": "));
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            (first.trim().to_owned(), fields.map(owned).collect::<Vec<_>>())
        };
        let (request, response) = exchange.split_once(" -> ").unwrap();
        let ((method, fields), (status, said)) = (part(request), part(response));
        let response = WrittenResponse { status: status.parse().unwrap(), fields: said };
        let written = Written { method, url: "/a".to_owned(), fields, response: Some(response) };
        let question = Question::try_from(written).unwrap();
        explain(&settings, &question, None, Timestamp::from_seconds(1_000_000_000))
    }

    /// What would have to change, or nothing.
    #[track_caller]
    fn check(options: &str, exchange: &str, because: &str, remedy: &str) {
        let found = explained(options, exchange);
        assert!(found.because.contains(because), "{exchange}: {}", found.because);
        let text = found.to_make_it_cacheable.unwrap_or_default();
        assert!(
            text.contains(remedy) && text.is_empty() == remedy.is_empty(),
            "{exchange}: {text}"
        );
    }

    #[test]
    fn names_the_option_to_change() {
        check("", "GET -> 200", "nobody says", "write `ttl = \"5m\"` in the policy `p`");
        let by_status = "write `ttl_by_status = { 404 = \"10s\" }` in the policy `p`";
        check("ttl = '5m'", "GET -> 404", "nobody says", by_status);
        let strip = "write `set_cookie = \"strip\"` in the policy `p`";
        check("ttl = '5m'", "GET -> 200 | Set-Cookie: a=b", "sets a cookie", strip);
        let types = "add their media type to `types` of the policy `p`";
        let of_type = "the media type text/html is none of `types` of the policy (text/css)";
        check("types = ['text/css']", "GET -> 200 | Content-Type: text/html", of_type, types);
        check("types = ['text/css']", "GET -> 200", "has no Content-Type", types);
        check("strategy = 'bypass'", "GET -> 200", "\"bypass\"", "in place of `p`");
        let long = "GET -> 200 | Content-Length: 11";
        check("ttl = '5m'", long, "larger than cache.max_object", "raise cache.max_object");
        let cookies = "bypass_if = { cookies = ['s*'] }";
        let named = "name in bypass_if.cookies of the policy `p` only the cookies that do";
        check(cookies, "GET | Cookie: sid=1 -> 200", "the cookie `sid` is one of", named);
        let fields = "bypass_if = { headers = ['X-A'] }";
        let out = "take it out of bypass_if.headers of the policy `p`";
        check(fields, "GET | X-A: 1 -> 200", "the field `x-a` is one of", out);
        let apart = "key = { headers = ['X-Forwarded-For'] }, ttl = '5m'";
        check(apart, "GET -> 200", "keeps X-Forwarded-For apart", "out of key.headers of");
    }

    #[test]
    fn says_what_the_origin_must_send() {
        let no_store = "GET -> 200 | Cache-Control: no-store";
        check("ttl = '5m'", no_store, "says no-store", "leave out no-store");
        let targeted = "GET -> 200 | CDN-Cache-Control: no-store";
        let out = "leave no-store out of CDN-Cache-Control";
        check("", targeted, "says no-store in CDN-Cache-Control", out);
        let targeted = "GET -> 200 | CDN-Cache-Control: public | Cache-Control: max-age=9";
        check("", targeted, "nobody says", "sends `CDN-Cache-Control: max-age=...`");
        let own = "GET | Authorization: Basic eDp5 -> 200 | Cache-Control: max-age=9";
        check("", own, "the request has Authorization", "`public` or `s-maxage`");
        check("ttl = '5m'", "GET -> 200 | Vary: *", "`Vary: *`", "name in Vary");
        let address = "GET -> 200 | Vary: X-Forwarded-For";
        check("ttl = '5m'", address, "varies by X-Forwarded-For", "leave X-Forwarded-For out");
        check("", "GET -> 200 | Cache-Control: no-cache", "says no-cache", "sends an ETag");
        check("", "GET -> 200 | Cache-Control: max-age=0", "is stale when it comes", "an ETag");
        check("ttl = '5m'", "GET | Range: bytes=0-1 -> 206", "a part is stored only if", "Range");
    }

    #[test]
    fn advises_nothing_where_nothing_helps() {
        check("ttl = '5m'", "GET -> 416", "a 416 is not stored", "");
        let part = "a 404 is not stored if a part was asked for";
        check("", "GET | Range: bytes=0-1 -> 404 | Cache-Control: max-age=9", part, "");
        let unknown = "GET -> 299 | Cache-Control: must-understand, max-age=9";
        check("", unknown, "nobody knows how a 299 is cached", "");
        check("ttl = '5m'", "GET | Cache-Control: no-store -> 200", "request says no-store", "");
        check("ttl = '5m'", "POST -> 200", "only GET and HEAD", "");
        check("ttl = '5m'", "GET -> 304", "nothing was asked that a 304 could answer", "");
        check("ttl = '5m'", "GET -> 200", "is stored, and fresh for 5m by ttl of the policy", "");
    }

    #[test]
    fn never_advises_to_share_what_is_private() {
        let private = "GET -> 200 | Cache-Control: private | Set-Cookie: a=b";
        let found = explained("ttl = '5m', ttl_mode = 'override'", private);
        let remedy = found.to_make_it_cacheable.unwrap();
        assert!(remedy.contains("no setting overrules it"), "{remedy}");
        for option in ["ttl_mode", "override", "strip", "set_cookie"] {
            assert!(!remedy.contains(option), "{remedy}");
        }
    }
}
