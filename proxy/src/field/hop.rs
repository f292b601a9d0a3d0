//! Fields that are for the next hop only (RFC 9110 §7.6.1, RFC 9111 §3.1).

use http::header::{
    CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

use super::list;

/// The fields that are never forwarded and never stored, whether nominated or not.
static HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The fields that no nomination takes away: sorted by name.
///
/// `Connection: Cookie` would otherwise make the origin answer for somebody else, and
/// `Connection: Cache-Control` would make a private response public.
const END_TO_END: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "cache-groups",
    "cache-status",
    "cache-tag",
    "cdn-cache-control",
    "clear-site-data",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "cookie",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "etag",
    "expect",
    "expires",
    "forebay-cache-control",
    "forebay-device",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "permissions-policy",
    "pragma",
    "range",
    "referer",
    "referrer-policy",
    "retry-after",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "server",
    "set-cookie",
    "strict-transport-security",
    "surrogate-control",
    "surrogate-key",
    "trailer",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-content-type-options",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-frame-options",
    "x-real-ip",
    "x-request-id",
];

/// Takes the fields that are for this hop only out of `headers`.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in hop_by_hop(headers) {
        headers.remove(name);
    }
}

/// The names of the fields in `headers` that are for this hop only: each once, none absent.
#[must_use]
pub fn hop_by_hop(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> =
        headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().collect();
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    //# Intermediaries MUST parse a received Connection header field before a
    //# message is forwarded and, for each connection-option in this field,
    //# remove any header or trailer field(s) from the message with the same
    //# name as the connection-option
    for option in list::members(headers, &CONNECTION) {
        // An option that is no field name nominates nothing.
        let Ok(name) = HeaderName::from_bytes(option) else { continue };
        if headers.contains_key(&name) && !is_end_to_end(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether `headers` say that the field `name` is for this hop only, which others are not told of.
#[must_use]
pub fn is_nominated(headers: &HeaderMap, name: &str) -> bool {
    list::members(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
        && END_TO_END.binary_search(&name).is_err()
        && !HOP_BY_HOP.iter().any(|known| known == name)
}

/// Whether a field is for all recipients, and so must not be nominated by `Connection`.
#[must_use]
pub fn is_end_to_end(name: &HeaderName) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    //# A sender MUST NOT send a connection option corresponding to a field
    //# that is intended for all recipients of the content.
    END_TO_END.binary_search(&name.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(connection: &[&str], present: &[&'static str], kept: &[&str]) {
        let mut headers = testing::lines("connection", connection);
        for name in present {
            testing::append(&mut headers, name, &["1", "2"]);
        }
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, kept, "{connection:?} {present:?}");
    }

    #[test]
    fn keeps_its_list_sorted() {
        assert!(END_TO_END.is_sorted());
        assert!(HOP_BY_HOP.iter().all(|name| !is_end_to_end(name)));
    }

    #[test]
    fn strips_what_is_always_for_one_hop() {
        let all: Vec<&'static str> = HOP_BY_HOP.iter().map(HeaderName::as_str).collect();
        check(&["close"], &all, &[]);
        check(&[], &["a", "trailer", "te"], &["a", "trailer"]);
    }

    #[test]
    fn strips_what_is_nominated() {
        check(&["A, b"], &["a", "b", "c"], &["c"]);
        check(&["a", ", x-secret"], &["a", "x-secret", "c"], &["c"]);
        check(&["close, not a name, \"c\""], &["c"], &["c"]);
        check(&["connection, connection"], &["c"], &["c"]);
    }

    #[test]
    fn knows_what_is_nominated() {
        let headers = testing::lines("connection", &["Upgrade, x-a", "cookie, X-B"]);
        for (name, expected) in
            [("x-a", true), ("x-b", true), ("x-c", false), ("cookie", false), ("upgrade", false)]
        {
            assert_eq!(is_nominated(&headers, name), expected, "{name}");
        }
    }

    #[test]
    fn strips_no_field_that_is_for_everybody() {
        let guarded = ["age", "authorization", "cache-control", "content-length", "cookie", "date"];
        check(&[&guarded.join(",")], &guarded, &guarded);
        let guarded = ["etag", "host", "set-cookie", "vary", "x-forwarded-for"];
        check(&[&guarded.join(",")], &guarded, &guarded);
    }

    proptest! {
        #[test]
        fn names_only_what_is_there_and_may_go(lines: Vec<Vec<u8>>, nominated in "[a-c, ]{0,9}") {
            let mut headers = testing::hostile("connection", &lines);
            testing::append(&mut headers, "connection", &[&nominated]);
            for name in ["a", "b", "cookie", "te"] {
                testing::append(&mut headers, name, &["1"]);
            }
            let names = hop_by_hop(&headers);
            prop_assert!(names.iter().all(|name| headers.contains_key(name)));
            prop_assert!(!names.iter().any(is_end_to_end));
            strip_hop_by_hop(&mut headers);
            prop_assert_eq!(hop_by_hop(&headers), Vec::<HeaderName>::new());
        }
    }
}
