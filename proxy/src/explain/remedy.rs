//! Says in a sentence what a fact means, and what would have to change for a response to be stored
//! and to answer others.

use forebay_config::Policy;
use http::HeaderMap;

use crate::event::{Detail, Fwd};
use crate::policy::request::{Bypass, bypass};

/// What the sentences speak about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// The fields of the request.
    pub(super) fields: &'a HeaderMap,
    /// The rules of its route.
    pub(super) rules: &'a Policy,
    /// The status of the answer; zero while there is none.
    pub(super) status: u16,
}

/// Why a request goes forward.
pub(super) const fn of_forward(fwd: Fwd) -> &'static str {
    match fwd {
        Fwd::Bypass => "the rules do not let this request use the cache",
        Fwd::Method => "only GET and HEAD are answered from the cache",
        Fwd::UriMiss => "nothing is stored under the key",
        Fwd::VaryMiss => "what is stored under the key was selected by other field values",
        Fwd::Miss => "what is stored is fresh, but the route asks the origin first",
        Fwd::Request => "the request itself demands the origin's answer",
        Fwd::Stale => "what is stored is stale",
        Fwd::Partial => "what is stored is a part that does not cover the request",
    }
}

/// What `detail` means for `subject`.
pub(super) fn reason(detail: Detail, subject: &Subject<'_>) -> String {
    let fixed = match detail {
        Detail::BypassIf => return bypassed(subject),
        Detail::Status => return format!("a {} is not stored", subject.status),
        Detail::ContentType => return of_type(subject.rules),
        Detail::StaleWhileRevalidate => "a stale response answers while it is revalidated",
        Detail::StaleIfError => "a stale response answers in place of an error",
        Detail::FreshIfError => "what is stored answers in place of an error",
        Detail::MaxStale => "the request allows a stale response with max-stale",
        Detail::NetworkFirst => "the strategy of the policy asks the origin first",
        Detail::Deadline => "the origin had not begun to answer by the deadline",
        Detail::OriginResting => "the origin failed lately and is left alone for a while",
        Detail::OnlyIfCached => "the request says only-if-cached, and nothing stored may answer",
        Detail::RouteBypass => "the strategy of the policy is \"bypass\"",
        Detail::AmbiguousPath => "some origins would read the path as one of another route",
        Detail::NoStore => "the response says no-store",
        Detail::RequestNoStore => "the request says no-store",
        Detail::Private => "the response says private",
        Detail::Authorization => {
            "the request has Authorization, and the response does not say that it is for everybody"
        }
        Detail::SetCookie => "the response sets a cookie",
        Detail::VaryStar => {
            "the response varies by what no request tells: `Vary: *`, or the client's address"
        }
        Detail::NoFreshness => "nobody says how long the response is fresh",
        Detail::Expired => "the response is stale when it comes, and cannot be validated",
        Detail::Method => "the answer to this method is not stored",
        Detail::TooLarge => "the body is larger than cache.max_object",
        Detail::Head => "an answer to HEAD has no body to store",
        Detail::Part => "a part without its range and the length of the whole cannot be stored",
        Detail::HitForMiss => "this URL lately gave an answer that could not be shared",
        Detail::OriginUnreachable => "the origin could not be reached",
        Detail::OriginTimeout => "the origin did not answer in time",
        Detail::OriginInvalid => "the origin's answer cannot be used",
        Detail::OriginClosed => "the origin closed before its answer was whole",
        Detail::NoRoute => "no route takes this host and path",
        Detail::BadRequest => "the request is malformed",
    };
    fixed.to_owned()
}

fn bypassed(subject: &Subject<'_>) -> String {
    match bypass(subject.fields, subject.rules) {
        Some(Bypass::Cookie(name)) => {
            format!("the cookie `{}` is one of bypass_if.cookies", name.escape_ascii())
        }
        Some(Bypass::Field(name)) => format!("the field `{name}` is one of bypass_if.headers"),
        None => "the request has a field or a cookie of bypass_if".to_owned(),
    }
}

fn of_type(rules: &Policy) -> String {
    let types = rules.types.as_deref().unwrap_or_default().join(", ");
    format!("the media type of the response is none of the policy's types ({types})")
}

/// What would have to change for a response to be stored and to answer others, in spite of
/// `detail`; nothing if nothing can, or need.
pub(super) fn remedy(detail: Detail, subject: &Subject<'_>) -> Option<String> {
    let policy = &subject.rules.name;
    let text = match detail {
        Detail::RouteBypass => {
            format!("give the route a policy that caches, in place of `{policy}`")
        }
        Detail::BypassIf => bypass_remedy(subject)?,
        Detail::NoStore => "the origin has to leave out no-store; no setting overrules it".into(),
        Detail::Private => "the origin has to leave out private; no setting overrules it, for \
                            what is for one person is never shared"
            .into(),
        Detail::Authorization => "the origin has to say `public` or `s-maxage`, if everybody may \
                                  see the response"
            .into(),
        Detail::SetCookie => {
            format!(
                "the origin leaves Set-Cookie out, or write `set_cookie = \"strip\"` in the \
                     policy `{policy}`"
            )
        }
        Detail::VaryStar => "the origin has to name in Vary the fields that select".into(),
        Detail::NoFreshness => ttl_remedy(subject),
        Detail::Expired => format!(
            "the origin sends a longer max-age, or an ETag to validate by; or write \
             `ttl_mode = \"override\"` and a ttl in the policy `{policy}`"
        ),
        Detail::Status => return None,
        Detail::ContentType => format!("add the media type to `types` of the policy `{policy}`"),
        Detail::TooLarge => "raise cache.max_object".into(),
        Detail::Head => "ask with GET".into(),
        Detail::Part => "the origin has to send Content-Range with the length of the whole".into(),
        Detail::AmbiguousPath => "ask for the path in its plain form".into(),
        Detail::NoRoute => "write a route that takes this host and path".into(),
        Detail::Method
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
    Some(text)
}

fn bypass_remedy(subject: &Subject<'_>) -> Option<String> {
    let policy = &subject.rules.name;
    let text = match bypass(subject.fields, subject.rules)? {
        Bypass::Cookie(name) => format!(
            "if `{}` says nothing about the person, name only the cookies that do in \
             bypass_if.cookies of the policy `{policy}`",
            name.escape_ascii()
        ),
        Bypass::Field(name) => format!(
            "if the answer does not depend on `{name}`, take it out of bypass_if.headers of the \
             policy `{policy}`"
        ),
    };
    Some(text)
}

fn ttl_remedy(subject: &Subject<'_>) -> String {
    let Subject { rules, status, .. } = *subject;
    let takes_ttl = matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308);
    let option = if takes_ttl {
        "ttl = \"5m\"".to_owned()
    } else {
        format!("ttl_by_status = {{ {status} = \"10s\" }}")
    };
    format!(
        "the origin sends `Cache-Control: max-age=...`, or write `{option}` in the policy `{}`",
        rules.name
    )
}
