//! Decides which stored responses an answer to an unsafe method invalidates (RFC 9111 §4.4).

use http::{HeaderMap, Method, StatusCode, header};

use crate::key::Target;

/// The URIs whose stored responses are out of date after `status` answered `method` on `target`.
///
/// `Location` and `Content-Location` count only for the same origin: a site must not invalidate
/// what another one owns.
#[must_use]
pub fn targets(
    method: &Method,
    target: &Target,
    status: StatusCode,
    answer: &HeaderMap,
) -> Vec<Target> {
    if !is_change(method, status) {
        return Vec::new();
    }
    let named = [header::LOCATION, header::CONTENT_LOCATION]
        .into_iter()
        .filter_map(|name| answer.get(name)?.to_str().map(|uri| target.join(uri)).unwrap_or(None))
        .filter(|other| other.same_origin(target));
    std::iter::once(target.clone()).chain(named).collect()
}

/// Whether what is stored may be out of date after `status` answered `method`.
pub(super) fn is_change(method: &Method, status: StatusCode) -> bool {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method);
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.4
    //# A "non-error response" is one with a 2xx (Successful) or 3xx (Redirection) status code.
    !safe && (status.is_success() || status.is_redirection())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::head;

    fn named(method: &str, status: u16, answer: &str) -> Vec<String> {
        let target = Target::parse("http", "a.example", "/things/1?x=y").unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let found = targets(&method, &target, status, &head(answer));
        found.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check(method: &str, status: u16, answer: &str, expected: &[&str]) {
        assert_eq!(named(method, status, answer), expected, "{method} {status} {answer}");
    }

    const ITSELF: &str = "http://a.example/things/1?x=y";

    #[test]
    fn takes_every_method_that_is_not_known_to_be_safe_for_unsafe() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get"] {
            check(method, 200, "", &[ITSELF]);
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            check(method, 200, "Location: /b", &[]);
        }
    }

    #[test]
    fn invalidates_nothing_after_an_error() {
        for status in [200, 201, 204, 299, 301, 303, 304, 399] {
            check("POST", status, "", &[ITSELF]);
        }
        for status in [101, 400, 404, 409, 500, 503, 599] {
            check("POST", status, "Location: /b", &[]);
        }
    }

    #[test]
    fn invalidates_what_the_answer_names_on_the_same_origin() {
        check("POST", 201, "Location: /b", &[ITSELF, "http://a.example/b"]);
        check("POST", 201, "Location: 2", &[ITSELF, "http://a.example/things/2"]);
        check("POST", 200, "Content-Location: ?z", &[ITSELF, "http://a.example/things/1?z"]);
        let both = "Location: http://a.example/b | Content-Location: http://A.example:80/c";
        check("PUT", 200, both, &[ITSELF, "http://a.example/b", "http://a.example/c"]);
    }

    #[test]
    fn leaves_what_another_origin_owns_alone() {
        for other in ["http://b.example/b", "https://a.example/b", "http://a.example:81/b", "//b/"]
        {
            check("POST", 201, &format!("Location: {other}"), &[ITSELF]);
            check("POST", 201, &format!("Content-Location: {other}"), &[ITSELF]);
        }
        check("POST", 201, "Location: http://[", &[ITSELF]);
    }

    proptest! {
        #[test]
        fn never_leaves_its_origin(location in "[ -~]{0,30}", host in "[a-c]", port in 79..82_u16) {
            let target = Target::parse("http", "a.example", "/a").unwrap();
            let mut answer = HeaderMap::new();
            answer.append(header::LOCATION, location.parse().unwrap());
            let other = format!("http://{host}.example:{port}{location}");
            answer.append(header::CONTENT_LOCATION, other.parse().unwrap());
            let found = targets(&Method::POST, &target, StatusCode::CREATED, &answer);
            prop_assert_eq!(found.first(), Some(&target));
            prop_assert!(found.iter().all(|found| found.same_origin(&target)), "{found:?}");
        }
    }
}
