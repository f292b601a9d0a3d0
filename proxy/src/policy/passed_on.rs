//! Decides in which content coding an answer that is passed on reaches its client (RFC 9110 §8.4).
//!
//! The rules are those of [`encode`], with three differences. What `bypass_if` names may make an
//! answer one person's own. A coding of the origin that the client takes is not made anew for the
//! sake of a few bytes, since the work would serve nobody else. And the origin judges conditions: it
//! is told its own tag beside that of the coding, and the client is told the one that it has.

use forebay_config::Policy;
use http::{HeaderMap, Method, StatusCode, header};

use super::encode::{self, AsIs, Form};
use super::identity::Edit;
use super::request::{Ask, bypass};
use crate::field::coding;
use crate::field::etag::{self, Condition, EntityTag, IfRange};
use crate::field::number;
use crate::field::vary::Vary;
use crate::stored::Maker;

/// Says in which form an answer with this `status` and these `fields` reaches the client, who asked
/// `ask` with the fields `asked` on a route with `rules`.
#[must_use]
pub fn form(
    ask: &Ask,
    asked: &HeaderMap,
    status: StatusCode,
    fields: &HeaderMap,
    rules: &Policy,
) -> Form {
    let verdict = judge(asked, status, fields, rules);
    let (Ok(()), Ok(sent)) = (verdict, coding::of_body(fields)) else {
        return Form::AsIs(verdict.err().unwrap_or(AsIs::Coded));
    };
    let takes_as_sent = sent.is_some_and(|sent| ask.codings.of(sent) > 0);
    // An answer to `HEAD` has no body, but others get another form of it.
    if takes_as_sent || ask.method == Method::HEAD {
        return Form::AsSent;
    }
    encode::choose(ask, sent, &rules.compress)
}

fn judge(
    asked: &HeaderMap,
    status: StatusCode,
    fields: &HeaderMap,
    rules: &Policy,
) -> Result<(), AsIs> {
    let length = fields.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| number::digits(length.as_bytes().trim_ascii()));
    let names = match Vary::parse(fields) {
        Vary::Nothing | Vary::Everything => Vec::new(),
        Vary::Fields(names) => names,
    };
    encode::judge(status, &names, fields, length, rules)?;
    if length == Some(0) {
        return Err(AsIs::Small);
    }
    let is_named = !rules.compress.personal.is_empty() && bypass(asked, rules).is_some();
    let is_own = is_named || encode::is_own(asked, fields, rules);
    if is_own { Err(AsIs::Own) } else { Ok(()) }
}

/// The fields of the answer in `form`, made of those that the origin sent.
#[must_use]
pub fn fields(form: Form, sent: HeaderMap) -> HeaderMap {
    let mut fields = form.fields(sent, Maker::Quick);
    if matches!(form, Form::Made(_)) {
        // The parts that the origin has are those of another body.
        fields.remove(header::ACCEPT_RANGES);
    }
    fields
}

/// What has to change in `If-None-Match`, so that the origin finds its own tag where the client
/// says that of a coding: it is put behind the others.
#[must_use]
pub fn if_none_match(asked: &HeaderMap) -> Option<Edit> {
    let condition = etag::if_none_match(asked)?;
    encode::with_sent_tags(asked, header::IF_NONE_MATCH, &condition)
}

/// What has to change where `ask` is for a part of what was last modified at a date: the client may
/// have the beginning of it in a coding of the edge's making, which has the same date. The origin
/// is asked for the whole, on a route with `rules`.
#[must_use]
pub fn undated(ask: &Ask, asked: &HeaderMap, rules: &Policy) -> Vec<Edit> {
    let is_dated = || matches!(etag::if_range(asked), Some(IfRange::Date(_)));
    let may_be_coded = matches!(encode::choose(ask, None, &rules.compress), Form::Made(_));
    if may_be_coded && is_dated() {
        vec![(header::RANGE, None), (header::IF_RANGE, None)]
    } else {
        Vec::new()
    }
}

/// The fields of a 304 that says with these `fields` that what the client has, who asked with the
/// fields `asked`, still stands; nothing if they stay as they are.
#[must_use]
pub fn not_modified(asked: &HeaderMap, fields: &HeaderMap) -> Option<HeaderMap> {
    let Some(Condition::Tags(had)) = etag::if_none_match(asked) else { return None };
    let told = etag::etag(fields)?;
    let is_of = |had: &&EntityTag| {
        had.weak_eq(&told) || encode::sent_tag(had).is_some_and(|sent| sent.weak_eq(&told))
    };
    // Tags that were added stand behind those that they were made of, so this is one of the client.
    let had = had.iter().find(is_of).filter(|had| !had.weak_eq(&told))?;
    let mut fields = Form::AsSent.fields(fields.clone(), Maker::Quick);
    fields.insert(header::ETAG, had.value());
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::coding::Coding;
    use crate::policy::testing::{head, print, rules};

    const BR: Form = Form::Made(Some(Coding::Br));

    #[track_caller]
    fn check(options: &str, asked: &str, (status, response): (u16, &str), expected: Form) {
        let (method, asked) = asked.split_once('|').unwrap_or((asked, ""));
        let (asked, response) = (head(asked), head(response));
        let method = Method::from_bytes(method.trim().as_bytes()).unwrap();
        let ask = Ask::read(&method, &asked, false);
        let status = StatusCode::from_u16(status).unwrap();
        let found = form(&ask, &asked, status, &response, &rules(options));
        assert_eq!(found, expected, "{options} {method} {asked:?} {status} {response:?}");
    }

    const JSON: (u16, &str) = (200, "Content-Type: application/json");

    #[test]
    fn compresses_what_anybody_may_get() {
        for method in ["GET", "POST", "PUT", "DELETE", "QUERY"] {
            check("", &format!("{method} | Accept-Encoding: gzip, br"), JSON, BR);
            check("", &format!("{method} | Accept-Encoding: deflate"), JSON, Form::AsSent);
            check("", method, JSON, Form::AsSent);
        }
        check("", "HEAD | Accept-Encoding: br", JSON, Form::AsSent);
        let no_transform = "POST | Accept-Encoding: br | Cache-Control: no-transform";
        check("", no_transform, JSON, Form::AsSent);
    }

    #[test]
    fn leaves_what_is_one_persons_own() {
        let own = Form::AsIs(AsIs::Own);
        for field in ["Authorization: Basic eA==", "Cookie: a=b"] {
            check("", &format!("POST | Accept-Encoding: br | {field}"), JSON, own);
        }
        // The origin gets every cookie, though not all are in the key.
        let cookies = "key = { cookies = ['theme'] }";
        check(cookies, "POST | Accept-Encoding: br | Cookie: theme=1; sid=1", JSON, own);
        check(cookies, "POST | Accept-Encoding: br | Cookie: theme=1", JSON, BR);
        let headers = "bypass_if = { headers = ['X-Api-Key'] }";
        check(headers, "POST | Accept-Encoding: br | X-Api-Key: x", JSON, own);
        check(headers, "POST | Accept-Encoding: br", JSON, BR);
        for field in ["Set-Cookie: a=b", "Cache-Control: private", "CDN-Cache-Control: private"] {
            let response = format!("Content-Type: application/json | {field}");
            check("", "POST | Accept-Encoding: br", (200, &response), own);
        }
        let varies = "Content-Type: application/json | Vary: Cookie";
        check("", "GET | Accept-Encoding: br", (200, varies), Form::AsIs(AsIs::Personal));
    }

    #[test]
    fn compresses_what_is_one_persons_own_where_that_is_wanted() {
        let wanted = "compress = { personal = true }\nbypass_if = { headers = ['X-Api-Key'] }";
        for field in ["Authorization: Basic eA==", "Cookie: a=b", "X-Api-Key: x"] {
            check(wanted, &format!("GET | Accept-Encoding: br | {field}"), JSON, BR);
        }
    }

    #[test]
    fn asks_for_the_whole_where_a_date_could_mean_two_bodies() {
        let check = |options: &str, asked: &str, expected: bool| {
            let asked = head(asked);
            let ask = Ask::read(&Method::GET, &asked, false);
            let edits = undated(&ask, &asked, &rules(options));
            let names: Vec<_> = edits.into_iter().map(|(name, _)| name).collect();
            let expected = if expected { vec![header::RANGE, header::IF_RANGE] } else { vec![] };
            assert_eq!(names, expected, "{options} {asked:?}");
        };
        let dated = "Range: bytes=9- | If-Range: Sun, 06 Nov 1994 08:49:37 GMT";
        check("", &format!("{dated} | Accept-Encoding: br"), true);
        check("", dated, false);
        check("compress = { codings = [] }", &format!("{dated} | Accept-Encoding: br"), false);
        check("", "Range: bytes=9- | If-Range: \"a\" | Accept-Encoding: br", false);
        check("", "Range: bytes=9- | Accept-Encoding: br", false);
    }

    #[test]
    fn leaves_what_the_rules_leave() {
        let asked = "POST | Accept-Encoding: br";
        let json = |fields: &str| format!("Content-Type: application/json | {fields}");
        check("compress = { codings = [] }", asked, JSON, Form::AsIs(AsIs::Off));
        let check = |response: (u16, &str), why| check("", asked, response, Form::AsIs(why));
        for status in [101, 201, 204, 301, 304, 400, 500] {
            check((status, JSON.1), AsIs::Status);
        }
        check((206, JSON.1), AsIs::Part);
        check((200, "Content-Type: image/png"), AsIs::MediaType);
        check((200, &json("Content-Length: 1023")), AsIs::Small);
        check((200, &json("Content-Length: 0 | Content-Encoding: gzip")), AsIs::Small);
        check((200, &json("Cache-Control: no-transform")), AsIs::NoTransform);
        check((200, &json("Content-Digest: x")), AsIs::Digest);
        check((200, &json("Content-Encoding: own")), AsIs::Coded);
    }

    #[test]
    fn takes_what_is_sent_where_the_client_can_read_it() {
        let gzip = (200, "Content-Type: text/css | Content-Encoding: gzip | Content-Length: 50");
        check("", "GET | Accept-Encoding: br, gzip", gzip, Form::AsSent);
        check("", "GET | Accept-Encoding: br", gzip, BR);
        check("", "GET", gzip, Form::Made(None));
    }

    #[test]
    fn changes_the_fields_with_the_form() {
        let sent = "Content-Length: 5000 | ETag: \"a\" | Accept-Ranges: bytes";
        assert_eq!(
            print(&fields(BR, head(sent))),
            "content-encoding: br | etag: W/\"a-br\" | vary: Accept-Encoding"
        );
        assert_eq!(
            print(&fields(Form::AsSent, head(sent))),
            "accept-ranges: bytes | content-length: 5000 | etag: \"a\" | vary: Accept-Encoding"
        );
    }

    #[test]
    fn asks_after_what_the_origin_knows() {
        let check = |asked: &str, expected: Option<&str>| {
            let edit = if_none_match(&head(asked));
            let value = edit.map(|(name, value)| {
                assert_eq!(name, header::IF_NONE_MATCH);
                value.unwrap().to_str().unwrap().to_owned()
            });
            assert_eq!(value.as_deref(), expected, "{asked}");
        };
        check("If-None-Match: W/\"x-br\"", Some("W/\"x-br\", \"x\""));
        check("If-None-Match: \"y\", \"x-gzip\"", Some("\"y\", \"x-gzip\", \"x\""));
        for untouched in ["", "If-None-Match: *", "If-None-Match: W/\"x\"", "If-Match: \"x-br\""] {
            check(untouched, None);
        }
    }

    #[test]
    fn tells_the_tag_that_the_client_has() {
        let check = |asked: &str, told: &str, expected: Option<&str>| {
            let asked = head(&format!("If-None-Match: {asked}"));
            let found = not_modified(&asked, &head(&format!("ETag: {told}")));
            assert_eq!(found.as_ref().map(print).as_deref(), expected, "{asked:?} {told}");
        };
        let br = Some("etag: W/\"x-br\" | vary: Accept-Encoding");
        check("W/\"x-br\", \"x\"", "\"x\"", br);
        check("W/\"x-br\", \"x\"", "W/\"x\"", br);
        check("\"y-br\", W/\"x-br\", \"y\", \"x\"", "\"x\"", br);
        // It has both, or the origin makes such tags itself.
        check("\"x\", W/\"x-br\"", "\"x\"", None);
        check("\"x-gzip\", \"x\"", "\"x-gzip\"", None);
        check("*", "\"x\"", None);
        check("\"y\"", "\"x\"", None);
    }
}
