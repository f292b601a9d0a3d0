//! Says in a sentence why a request goes forward, and what a fact means.

use forebay_config::Policy;
use http::{HeaderMap, header};

use super::Response;
use crate::event::{Detail, Fwd};
use crate::field::cache_control::ResponseDirectives;
use crate::field::targeted;
use crate::policy::admit::TARGETED;
use crate::policy::request::{Ask, Bypass, bypass};
use crate::stored::Stored;

/// What the sentences speak about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// The fields of the request, as it came.
    pub(super) fields: &'a HeaderMap,
    /// What the request asks of the cache.
    pub(super) ask: &'a Ask,
    /// The rules of its route.
    pub(super) rules: &'a Policy,
    /// The origin's answer.
    pub(super) response: Option<&'a Response>,
    /// What is stored for it.
    pub(super) stored: Option<&'a Stored>,
    /// Nobody has looked what is stored.
    pub(super) nobody_looked: bool,
}

/// Which field of a response says what this cache may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// One that speaks to everybody.
    ToAll,
    /// One that speaks to caches like this one alone.
    ToUs(&'static str),
}

impl Subject<'_> {
    /// Why the request goes forward.
    pub(super) fn of_forward(&self, fwd: Fwd) -> String {
        let freshness = self.stored.map(|stored| &stored.head.freshness);
        let fixed = match fwd {
            Fwd::Bypass => "the rules do not let this request use the cache",
            Fwd::Method => "only GET and HEAD are answered from the cache",
            Fwd::UriMiss if self.nobody_looked => {
                "it may use the cache, and nothing is taken to be stored for it (a running edge \
                 tells what is: --live)"
            }
            Fwd::UriMiss => "nothing is stored under the key",
            Fwd::VaryMiss => {
                "what is stored under the key was selected by other values of request fields"
            }
            Fwd::Miss => {
                "what is stored is fresh, but the strategy of the policy asks the origin \
                          first"
            }
            Fwd::Request => self.of_request(),
            Fwd::Stale if freshness.is_some_and(|freshness| freshness.always_validate) => {
                "what is stored has to be validated before each use, as its no-cache says"
            }
            Fwd::Stale => "what is stored is stale",
            Fwd::Partial => "what is stored is a part that does not cover the request",
        };
        fixed.to_owned()
    }

    /// What of the request keeps it from what is stored.
    const fn of_request(&self) -> &'static str {
        let directives = &self.ask.directives;
        if self.ask.has_body {
            "the request has a body, which is in no key"
        } else if self.ask.upgrade {
            "the request asks to switch protocols"
        } else if self.ask.for_origin {
            "only the origin can say whether If-Match or If-Unmodified-Since holds"
        } else if directives.no_cache {
            "the request says no-cache"
        } else if directives.max_age.is_some() {
            "the request wants a younger response, as its max-age or min-fresh says"
        } else {
            "the request wants a response that stays fresh for longer, as its min-fresh says"
        }
    }

    /// What `detail` means.
    pub(super) fn reason(&self, detail: Detail) -> String {
        let fixed = match detail {
            Detail::BypassIf => return self.bypassed(),
            Detail::Status => return self.of_status(),
            Detail::ContentType => return self.of_type(),
            Detail::NoStore => return self.of_response("no-store"),
            Detail::Private => return self.of_response("private"),
            Detail::Authorization => {
                "the request has Authorization, and the response does not say \
                                      that it is for everybody"
            }
            Detail::VaryStar => self.of_vary(),
            Detail::Expired => self.of_expired(),
            Detail::Part => self.of_part(),
            Detail::StaleWhileRevalidate => {
                "what is stored is stale, and answers while it is revalidated in the background"
            }
            Detail::StaleIfError => "what is stored is stale, and answers in place of an error",
            Detail::FreshIfError => "what is stored is fresh, and answers in place of an error",
            Detail::MaxStale => {
                "what is stored is stale, and the request allows that with max-stale"
            }
            Detail::NetworkFirst => "the strategy of the policy asks the origin first",
            Detail::Deadline => "the origin had not begun to answer by the deadline of the policy",
            Detail::OriginResting => {
                "the origin failed lately and is left alone for a while, so that what is stored \
                 answers"
            }
            Detail::OnlyIfCached if self.nobody_looked => {
                "the request says only-if-cached, and nothing is taken to be stored for it (a \
                 running edge tells what is: --live)"
            }
            Detail::OnlyIfCached => {
                "the request says only-if-cached, and nothing stored may answer"
            }
            Detail::RouteBypass => "the strategy of the policy is \"bypass\"",
            Detail::AmbiguousPath => {
                "some origins would read this path as one of another route, for which there are \
                 other rules"
            }
            Detail::RequestNoStore => "the request says no-store",
            Detail::SetCookie => "the response sets a cookie",
            Detail::NoFreshness if self.must_be_validated() => self.of_expired(),
            Detail::NoFreshness => "nobody says how long the response is fresh",
            Detail::Method => "the answer to this method is not stored",
            Detail::TooLarge => "the body is larger than cache.max_object",
            Detail::Head => "an answer to HEAD has no body to store",
            Detail::HitForMiss => {
                "requests for this URL go forward alone for a minute, since it lately gave an \
                 answer that could not be shared"
            }
            Detail::OriginUnreachable => "the origin could not be reached",
            Detail::OriginTimeout => "the origin did not answer in time",
            Detail::OriginInvalid => "the origin's answer cannot be used",
            Detail::OriginClosed => "the origin closed before its answer was whole",
            Detail::NoRoute => "no route takes this request",
            Detail::BadRequest => "the request is malformed",
            Detail::PurgeRefused => "server.purge_from does not have the address of who asks",
        };
        fixed.to_owned()
    }

    /// The status of the answer; zero while there is none.
    pub(super) fn status(&self) -> u16 {
        self.response.map_or(0, |response| response.status.as_u16())
    }

    /// Which field of the response counts.
    pub(super) fn speaks(&self) -> Speaks {
        let said = self.response.and_then(|it| targeted::targeted(&it.fields, &TARGETED));
        said.map_or(Speaks::ToAll, |(name, _)| {
            let ours = name == targeted::FOREBAY_CACHE_CONTROL;
            Speaks::ToUs(if ours { "Forebay-Cache-Control" } else { "CDN-Cache-Control" })
        })
    }

    fn said(&self) -> ResponseDirectives {
        let Some(response) = self.response else { return ResponseDirectives::default() };
        targeted::targeted(&response.fields, &TARGETED)
            .map_or_else(|| ResponseDirectives::parse(&response.fields), |(_, said)| said)
    }

    fn of_response(&self, directive: &str) -> String {
        match self.speaks() {
            Speaks::ToAll => format!("the response says {directive}"),
            Speaks::ToUs(name) => format!("the response says {directive} in {name}"),
        }
    }

    fn of_status(&self) -> String {
        let status = self.status();
        let is_known = self.response.is_some_and(|it| it.status.canonical_reason().is_some());
        if matches!(status, 304 | 416) {
            format!("a {status} is not stored")
        } else if self.said().must_understand && !is_known {
            format!("the response says must-understand, and nobody knows how a {status} is cached")
        } else {
            format!("a {status} is not stored if a part was asked for")
        }
    }

    fn of_type(&self) -> String {
        let types = self.rules.types.as_deref().unwrap_or_default().join(", ");
        let meant = format!("`types` of the policy ({types})");
        let said = self.response.and_then(|it| it.fields.get(header::CONTENT_TYPE));
        match said {
            Some(said) => {
                format!("the media type {} is none of {meant}", said.as_bytes().escape_ascii())
            }
            None => format!("the response has no Content-Type, and so none of {meant}"),
        }
    }

    fn of_vary(&self) -> &'static str {
        if self.keeps_addresses_apart() {
            "the policy keeps X-Forwarded-For apart, the client's address: every client would have \
             a response of its own"
        } else if self.varies_by_address() {
            "the response varies by X-Forwarded-For, the client's address: every client would have \
             a response of its own"
        } else {
            "the response says `Vary: *`: it varies by what no request tells"
        }
    }

    /// Whether the rules keep apart what only differs by the address of the client.
    pub(super) fn keeps_addresses_apart(&self) -> bool {
        self.rules.key.headers.iter().any(|name| name == "x-forwarded-for")
    }

    /// Whether the response says that it varies by the address of the client.
    pub(super) fn varies_by_address(&self) -> bool {
        let Some(response) = self.response else { return false };
        let mut said = crate::field::list::members(&response.fields, &header::VARY);
        !said.any(|name| name == b"*")
    }

    fn of_expired(&self) -> &'static str {
        if self.must_be_validated() {
            "the response says no-cache, and has neither ETag nor Last-Modified to validate it by"
        } else {
            "the response is stale when it comes, and has neither ETag nor Last-Modified to \
             validate it by"
        }
    }

    /// Whether the response says no-cache, and cannot be validated.
    pub(super) fn must_be_validated(&self) -> bool {
        let has = |name| self.response.is_some_and(|it| it.fields.contains_key(name));
        self.said().no_cache.is_some() && !has(header::ETAG) && !has(header::LAST_MODIFIED)
    }

    fn of_part(&self) -> &'static str {
        "a part is stored only if Content-Range tells which one it is, and of how much"
    }

    fn bypassed(&self) -> String {
        match bypass(self.fields, self.rules) {
            Some(Bypass::Cookie(name)) => {
                format!("the cookie `{}` is one of bypass_if.cookies", name.escape_ascii())
            }
            Some(Bypass::Field(name)) => format!("the field `{name}` is one of bypass_if.headers"),
            None => "the request has a field or a cookie of bypass_if".to_owned(),
        }
    }
}
