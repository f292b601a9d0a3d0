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
            Detail::Expired => {
                "the origin sends an ETag or Last-Modified to validate it by, or a longer max-age"
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

    fn for_no_freshness(&self) -> String {
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
