//! Decides whether the answer to a `POST` may answer later `GET`s (RFC 9110 §9.3.3).

use forebay_config::{Policy, Strategy};
use http::{HeaderMap, Method, StatusCode, header};

use super::admit::{Admission, Arrival, admit};
use super::identity;
use super::request::{Ask, bypass};
use crate::key::Target;

/// Says whether what came for `ask` on `target`, asked with `fields`, is kept for `GET`.
#[must_use]
pub fn kept(
    ask: &Ask,
    target: &Target,
    fields: &HeaderMap,
    arrival: &Arrival<'_>,
    rules: &Policy,
) -> Option<Admission> {
    let named = arrival.fields.get(header::CONTENT_LOCATION)?.to_str();
    let same = named.is_ok_and(|named| target.join(named).as_ref() == Some(target));
    let uses_cache = rules.strategy != Strategy::Bypass
        && !ask.ambiguous
        && bypass(fields, rules).is_none()
        && identity::is_whole(target, fields, &rules.key);
    if ask.method != Method::POST || arrival.status != StatusCode::OK || !same || !uses_cache {
        return None;
    }
    let admission = admit(ask, arrival, target.path(), rules);
    // A later `GET` would say something else in these: the origin gave no answer to that.
    let edits = identity::edits(fields, &rules.key);
    let is_as_asked = edits.iter().all(|(name, _)| !admission.vary.contains(name));
    (admission.verdict.is_ok() && is_as_asked).then_some(admission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{NOW, head, rules};

    #[track_caller]
    fn check(options: &str, request: &str, response: &str, expected: bool) {
        let (method, fields) = request.split_once('|').unwrap_or((request, ""));
        let (fields, response) = (head(fields), head(response));
        let ask = Ask::read(&Method::from_bytes(method.trim().as_bytes()).unwrap(), &fields, true);
        let target = Target::parse("http", "a.example", "/a?b=1").unwrap();
        let arrival = Arrival {
            status: StatusCode::OK,
            fields: &response,
            asked: NOW,
            arrived: NOW,
            ranged: false,
        };
        let found = kept(&ask, &target, &fields, &arrival, &rules(options)).is_some();
        assert_eq!(found, expected, "{options} {request} {response:?}");
    }

    const NAMED: &str = "Cache-Control: max-age=60 | Content-Location: /a?b=1";

    #[test]
    fn keeps_what_says_that_it_is_the_answer_to_get() {
        check("", "POST", NAMED, true);
        check("", "POST", "Cache-Control: max-age=60", false);
        check("", "POST", "Cache-Control: max-age=60 | Content-Location: /a", false);
        check("", "POST", "Content-Location: /a?b=1", false);
        check("", "PUT", NAMED, false);
        check("strategy = 'bypass'", "POST", NAMED, false);
        check("bypass_if = { cookies = ['sid'] }", "POST | Cookie: sid=1", NAMED, false);
    }

    #[test]
    fn keeps_nothing_that_was_made_for_more_than_its_key() {
        check("key = { query = { allow = ['b'] } }", "POST", NAMED, true);
        check("key = { query = { allow = [] } }", "POST", NAMED, false);
        check("key = { cookies = [] }", "POST", NAMED, true);
        check("key = { cookies = [] }", "POST | Cookie: sid=1", NAMED, false);
        check("key = { host = false }", "POST", NAMED, false);
    }

    #[test]
    fn keeps_nothing_that_a_get_would_have_asked_for_in_other_words() {
        let varies = format!("{NAMED} | Vary: Accept-Encoding");
        check("", "POST | Accept-Encoding: br, gzip", &varies, true);
        check("", "POST | Accept-Encoding: deflate", &varies, false);
        check("", "POST | Accept-Encoding: deflate", NAMED, true);
        let languages = "key = { languages = ['en', 'de'] }";
        check(languages, "POST | Accept-Language: de", NAMED, true);
        check(languages, "POST | Accept-Language: fr", NAMED, false);
    }
}
