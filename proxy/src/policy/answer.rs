//! Decides what a client gets of a stored response: all of it, parts, or word that it has it
//! (RFC 9110 §13, §14, RFC 9111 §4.3.2).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::field::etag::{self, IfRange};
use crate::field::range::{self, ByteRange, ContentRange, RangeSpec, Resolved};
use crate::field::{age, date, list};
use crate::time::Seconds;

/// What a client gets of a stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it.
    Whole,
    /// 304: the client has it already.
    NotModified,
    /// 206 with one part.
    Part(ByteRange),
    /// 206 with several parts, as `multipart/byteranges`.
    Parts(Vec<ByteRange>),
    /// 416: no such part.
    Unsatisfiable,
    /// Nothing: what is stored is a part, and the request wants more.
    Missing,
}

impl Answer {
    /// Whether it depends on where the bytes of the body are.
    #[must_use]
    pub const fn is_of_parts(&self) -> bool {
        matches!(self, Self::Part(_) | Self::Parts(_) | Self::Unsatisfiable)
    }

    /// The status that it has, if that of the whole is `whole`.
    #[must_use]
    pub const fn status(&self, whole: StatusCode) -> StatusCode {
        match self {
            Self::Whole | Self::Missing => whole,
            Self::NotModified => StatusCode::NOT_MODIFIED,
            Self::Part(_) | Self::Parts(_) => StatusCode::PARTIAL_CONTENT,
            Self::Unsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }
}

/// A stored response, as far as it decides the answer.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The status it was stored with.
    pub status: StatusCode,
    /// The fields it was stored with.
    pub fields: &'a HeaderMap,
    /// The length of the whole; `None` while it is still arriving and nobody said.
    pub length: Option<u64>,
    /// What part of the whole is stored; `None` if it is the whole.
    pub part: Option<&'a ContentRange>,
    /// Others get it in other codings, all with one `Last-Modified`.
    pub has_forms: bool,
}

/// Says what a request with `method` and `asked` gets of `stored`.
#[must_use]
pub fn choose(method: &Method, asked: &HeaderMap, stored: &Facts<'_>) -> Answer {
    let success = stored.status == StatusCode::OK || stored.part.is_some();
    if success && not_modified(asked, stored.fields) {
        return Answer::NotModified;
    }
    let range = (method == Method::GET && success)
        .then(|| RangeSpec::parse(asked))
        .flatten()
        .filter(|_| range_applies(asked, stored));
    match stored.part {
        None => range.map_or(Answer::Whole, |range| cut(&range, stored.length)),
        Some(part) => within(range.as_ref(), part),
    }
}

/// Whether the client's copy is the stored one (RFC 9110 §13.1.2, §13.1.3).
fn not_modified(asked: &HeaderMap, stored: &HeaderMap) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
    //# A recipient MUST ignore If-Modified-Since if the request contains an
    //# If-None-Match header field
    if let Some(condition) = etag::if_none_match(asked) {
        return condition.matches_weakly(etag::etag(stored).as_ref());
    }
    let since = date::if_modified_since(asked);
    // Without Last-Modified, Date is what there is to compare with (RFC 9111 §4.3.2).
    let modified = date::last_modified(stored).or_else(|| date::date(stored));
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

/// Whether `If-Range`, if it is there, lets `Range` apply (RFC 9110 §13.1.5).
fn range_applies(asked: &HeaderMap, stored: &Facts<'_>) -> bool {
    if !asked.contains_key(header::IF_RANGE) {
        return true;
    }
    match etag::if_range(asked) {
        Some(IfRange::Tag(theirs)) => {
            etag::etag(stored.fields).is_some_and(|ours| ours.strong_eq(&theirs))
        }
        Some(IfRange::Date(theirs)) => {
            // A date is a strong validator only if the answer was made after that second
            // (RFC 9110 §8.8.2.2), and if there is but one answer with it.
            !stored.has_forms
                && date::last_modified(stored.fields) == Some(theirs)
                && date::date(stored.fields).is_some_and(|sent| sent > theirs)
        }
        Some(IfRange::Invalid) | None => false,
    }
}

fn cut(range: &RangeSpec, length: Option<u64>) -> Answer {
    let Some(length) = length else { return Answer::Whole };
    match range::resolve(range, length) {
        Resolved::Whole => Answer::Whole,
        Resolved::Unsatisfiable => Answer::Unsatisfiable,
        Resolved::Parts(parts) => match <[ByteRange; 1]>::try_from(parts) {
            Ok([part]) => Answer::Part(part),
            Err(parts) => Answer::Parts(parts),
        },
    }
}

/// What of a stored part may answer `range` (RFC 9111 §3.3).
fn within(range: Option<&RangeSpec>, part: &ContentRange) -> Answer {
    let (Some(range), Some(held), Some(complete)) = (range, part.range, part.complete) else {
        return Answer::Missing;
    };
    match range::resolve(range, complete) {
        Resolved::Parts(parts)
            if parts.iter().all(|p| held.first <= p.first && p.last <= held.last) =>
        {
            cut(range, Some(complete))
        }
        Resolved::Unsatisfiable => Answer::Unsatisfiable,
        Resolved::Parts(_) | Resolved::Whole => Answer::Missing,
    }
}

/// What the route says to clients in `Cache-Control` of an answer with `status` and `fields`, which
/// they may keep for `ttl`, if it is one that many get; nothing if what the origin says has to
/// stand.
#[must_use]
pub fn told(
    status: StatusCode,
    fields: &HeaderMap,
    ttl: Option<Duration>,
    is_shared: bool,
) -> Option<HeaderValue> {
    let ttl = ttl?;
    if !is_shared || status.is_client_error() || status.is_server_error() {
        return None;
    }
    for_browsers(fields, Seconds::from(ttl), age::age(fields))
}

/// What `Cache-Control` says to clients that may keep a response of `age` for `ttl` from now;
/// nothing if what the origin says in `stored` has to stand.
///
/// A client counts `Age` against `max-age`, so that is in it. What else the origin says is kept.
#[must_use]
fn for_browsers(stored: &HeaderMap, ttl: Seconds, age: Seconds) -> Option<HeaderValue> {
    let mut told = Vec::new();
    for directive in list::members(stored, &header::CACHE_CONTROL) {
        let name = directive.split(|&byte| byte == b'=').next().unwrap_or(directive).trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if ["no-store", "no-cache", "private", "immutable"].into_iter().any(is) {
            return None;
        }
        if !is("max-age") {
            told.push(directive.to_vec());
        }
    }
    told.push(format!("max-age={}", ttl.plus(age).0).into_bytes());
    let told = HeaderValue::from_bytes(&told.join(&b", "[..]));
    Some(told.expect("pieces of field values make a field value"))
}

/// The fields of the stored response that a 304 carries (RFC 9110 §15.4.5).
#[must_use]
pub fn of_not_modified(stored: &HeaderMap) -> HeaderMap {
    let mut fields = stored.clone();
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_RANGE,
    ] {
        fields.remove(name);
    }
    fields
}

/// What `Content-Range` says of a part, or of there being none (RFC 9110 §14.4).
#[must_use]
pub fn content_range(range: Option<ByteRange>, complete: u64) -> HeaderValue {
    ContentRange { range, complete: Some(complete) }.value()
}

/// The body of an answer with several parts (RFC 9110 §14.6), between lines of `boundary`. `kind`
/// is the media type of the whole, `cut` gives the bytes of a part.
#[must_use]
pub fn multipart(
    boundary: &str,
    kind: Option<&HeaderValue>,
    ranges: &[ByteRange],
    complete: u64,
    cut: impl Fn(&ByteRange) -> Vec<Bytes>,
) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    for range in ranges {
        let mut head = format!("\r\n--{boundary}\r\n").into_bytes();
        if let Some(kind) = kind {
            head.extend_from_slice(b"Content-Type: ");
            head.extend_from_slice(kind.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"Content-Range: ");
        head.extend_from_slice(content_range(Some(*range), complete).as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        pieces.push(head.into());
        pieces.extend(cut(range));
    }
    pieces.push(format!("\r\n--{boundary}--\r\n").into());
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{head, print};

    const DIGITS: &[u8] = b"0123456789";
    const TAGGED: &str = "ETag: \"a\" | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT \
                          | Date: Sun, 06 Nov 1994 08:50:00 GMT";

    fn range(first: u64, last: u64) -> ByteRange {
        ByteRange { first, last }
    }

    fn part(first: u64, last: u64) -> Answer {
        Answer::Part(range(first, last))
    }

    fn chosen(method: &Method, asked: &str, status: u16, stored: &str) -> Answer {
        let fields = head(stored);
        let part = ContentRange::parse(&fields);
        let facts = Facts {
            status: StatusCode::from_u16(status).unwrap(),
            fields: &fields,
            length: Some(part.and_then(|part| part.range).map_or(10, ByteRange::length)),
            part: part.as_ref(),
            has_forms: false,
        };
        choose(method, &head(asked), &facts)
    }

    /// What `GET` with the fields `asked` gets of ten bytes that are stored with `stored`.
    #[expect(clippy::needless_pass_by_value, reason = "a case reads better without ampersands")]
    #[track_caller]
    fn check(asked: &str, stored: &str, expected: Answer) {
        let status = if stored.contains("Content-Range") { 206 } else { 200 };
        assert_eq!(chosen(&Method::GET, asked, status, stored), expected, "{asked} of {stored}");
    }

    #[test]
    fn answers_with_the_whole_unless_less_is_asked_for() {
        check("", TAGGED, Answer::Whole);
        check("Accept: */*", "", Answer::Whole);
    }

    #[test]
    fn answers_304_if_a_tag_matches_weakly() {
        check("If-None-Match: \"a\"", TAGGED, Answer::NotModified);
        check("If-None-Match: W/\"a\"", TAGGED, Answer::NotModified);
        check("If-None-Match: \"a\"", "ETag: W/\"a\"", Answer::NotModified);
        check("If-None-Match: \"b\", \"a\"", TAGGED, Answer::NotModified);
        check("If-None-Match: \"b\" | If-None-Match: \"a\"", TAGGED, Answer::NotModified);
        check("If-None-Match: *", "", Answer::NotModified);
        check("If-None-Match: \"b\"", TAGGED, Answer::Whole);
        check("If-None-Match: \"A\"", TAGGED, Answer::Whole);
        check("If-None-Match: \"a\"", "", Answer::Whole);
    }

    #[test]
    fn answers_304_if_nothing_was_modified_since() {
        check("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", TAGGED, Answer::NotModified);
        check("If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT", TAGGED, Answer::NotModified);
        check("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", TAGGED, Answer::Whole);
        check("If-Modified-Since: yesterday", TAGGED, Answer::Whole);
        check("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "", Answer::Whole);
        let dated = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
        check("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", dated, Answer::NotModified);
        check("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", dated, Answer::Whole);
    }

    #[test]
    fn believes_no_date_of_a_part_where_there_are_other_codings() {
        let stored = head(TAGGED);
        let chosen = |has_forms: bool| {
            let asked = "Range: bytes=2-4 | If-Range: Sun, 06 Nov 1994 08:49:37 GMT";
            let (status, fields) = (StatusCode::OK, &stored);
            let facts = Facts { status, fields, length: Some(10), part: None, has_forms };
            choose(&Method::GET, &head(asked), &facts)
        };
        assert_eq!([chosen(false), chosen(true)], [part(2, 4), Answer::Whole]);
    }

    #[test]
    fn ignores_a_date_beside_a_tag() {
        let asked = "If-None-Match: \"b\" | If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT";
        check(asked, TAGGED, Answer::Whole);
        let asked = "If-None-Match: \"a\" | If-Modified-Since: Sat, 05 Nov 1994 08:49:37 GMT";
        check(asked, TAGGED, Answer::NotModified);
        let asked = "If-None-Match: ?? | If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT";
        check(asked, TAGGED, Answer::Whole);
    }

    #[test]
    fn evaluates_conditions_and_ranges_only_for_a_success() {
        let asked = "If-None-Match: \"a\" | Range: bytes=0-1";
        for status in [301, 404, 410, 500] {
            assert_eq!(chosen(&Method::GET, asked, status, TAGGED), Answer::Whole, "{status}");
        }
    }

    #[test]
    fn cuts_the_parts_that_are_asked_for() {
        check("Range: bytes=2-4", TAGGED, part(2, 4));
        check("Range: bytes=-3", "", part(7, 9));
        check("Range: bytes=8-99", "", part(8, 9));
        check("Range: bytes=0-1, 5-6", "", Answer::Parts(vec![range(0, 1), range(5, 6)]));
        check("Range: bytes=0-1, 2-3", "", part(0, 3));
        check("Range: bytes=10-", "", Answer::Unsatisfiable);
        check("Range: bytes=4-2", "", Answer::Whole);
        check("Range: lines=0-1", "", Answer::Whole);
        check("Range: bytes=0-, 0-", "", Answer::Whole);
    }

    #[test]
    fn cuts_nothing_for_head_which_still_gets_304() {
        assert_eq!(chosen(&Method::HEAD, "Range: bytes=0-1", 200, ""), Answer::Whole);
        let asked = "If-None-Match: \"a\"";
        assert_eq!(chosen(&Method::HEAD, asked, 200, TAGGED), Answer::NotModified);
    }

    #[test]
    fn cuts_nothing_while_the_length_is_unknown() {
        let facts = Facts {
            status: StatusCode::OK,
            fields: &head(""),
            length: None,
            part: None,
            has_forms: false,
        };
        assert_eq!(choose(&Method::GET, &head("Range: bytes=0-1"), &facts), Answer::Whole);
    }

    #[test]
    fn tells_that_it_was_not_modified_before_it_cuts() {
        check("If-None-Match: \"a\" | Range: bytes=0-1", TAGGED, Answer::NotModified);
        check("If-None-Match: \"a\" | Range: bytes=99-", TAGGED, Answer::NotModified);
        check("If-None-Match: \"b\" | Range: bytes=0-1", TAGGED, part(0, 1));
    }

    #[test]
    fn cuts_under_if_range_only_with_the_same_strong_validator() {
        let check_if = |condition: &str, stored: &str, expected: Answer| {
            check(&format!("Range: bytes=0-1 | If-Range: {condition}"), stored, expected);
        };
        check_if("\"a\"", TAGGED, part(0, 1));
        check_if("\"b\"", TAGGED, Answer::Whole);
        check_if("W/\"a\"", TAGGED, Answer::Whole);
        check_if("W/\"a\"", "ETag: W/\"a\"", Answer::Whole);
        check_if("\"a\"", "ETag: W/\"a\"", Answer::Whole);
        check_if("\"a\"", "", Answer::Whole);
        check_if("Sun, 06 Nov 1994 08:49:37 GMT", TAGGED, part(0, 1));
        check_if("Sun, 06 Nov 1994 08:49:38 GMT", TAGGED, Answer::Whole);
        check_if("Sun, 06 Nov 1994 08:49:36 GMT", TAGGED, Answer::Whole);
        check_if("nonsense", TAGGED, Answer::Whole);
    }

    #[test]
    fn trusts_no_date_under_if_range_that_may_have_changed_within_its_second() {
        let asked = "Range: bytes=0-1 | If-Range: Sun, 06 Nov 1994 08:49:37 GMT";
        let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
        check(asked, modified, Answer::Whole);
        let sent = |date: &str| format!("{modified} | Date: Sun, 06 Nov 1994 {date} GMT");
        check(asked, &sent("08:49:37"), Answer::Whole);
        check(asked, &sent("08:49:38"), part(0, 1));
    }

    #[test]
    fn answers_out_of_a_stored_part_only_what_lies_within_it() {
        let held = "Content-Range: bytes 2-6/10 | ETag: \"a\"";
        check("", held, Answer::Missing);
        check("Range: bytes=2-6", held, part(2, 6));
        check("Range: bytes=3-4", held, part(3, 4));
        check("Range: bytes=3-3, 5-5", held, Answer::Parts(vec![range(3, 3), range(5, 5)]));
        check("Range: bytes=1-4", held, Answer::Missing);
        check("Range: bytes=5-7", held, Answer::Missing);
        check("Range: bytes=3-3, 8-8", held, Answer::Missing);
        check("Range: bytes=5-", held, Answer::Missing);
        check("Range: bytes=-2", held, Answer::Missing);
        check("Range: bytes=-2", "Content-Range: bytes 5-9/10", part(8, 9));
        check("Range: bytes=10-", held, Answer::Unsatisfiable);
        check("If-None-Match: \"a\"", held, Answer::NotModified);
        check("Range: bytes=3-4", "Content-Range: bytes 2-6/*", Answer::Missing);
        check("Range: bytes=3-4 | If-Range: \"b\"", held, Answer::Missing);
        assert_eq!(chosen(&Method::HEAD, "", 206, held), Answer::Missing);
    }

    #[test]
    fn leaves_the_body_undescribed_in_a_304() {
        let stored = "Content-Length: 5 | Content-Type: text/html | Content-Encoding: gzip \
                      | Content-Language: en | Content-Range: bytes 0-4/9 | ETag: \"a\" | Vary: a \
                      | Cache-Control: max-age=1 | Content-Location: /a | Expires: 0 | Date: x";
        let kept = "cache-control: max-age=1 | content-location: /a | date: x | etag: \"a\" \
                    | expires: 0 | vary: a";
        assert_eq!(print(&of_not_modified(&head(stored))), kept);
    }

    #[test]
    fn tells_browsers_how_long_they_may_keep_it() {
        let check = |stored: &str, expected: Option<&str>| {
            let found = for_browsers(&head(stored), Seconds(60), Seconds(7));
            assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{stored}");
        };
        check("", Some("max-age=67"));
        check("Expires: Sun, 06 Nov 1994 08:49:37 GMT", Some("max-age=67"));
        check("Cache-Control: max-age=3600", Some("max-age=67"));
        check(
            "Cache-Control: public, Max-Age=1, s-maxage=9 | Cache-Control: must-revalidate",
            Some("public, s-maxage=9, must-revalidate, max-age=67"),
        );
        for stands in ["no-store", "private", "no-cache", "public, immutable, max-age=9"] {
            check(&format!("Cache-Control: {stands}"), None);
        }
    }

    #[test]
    fn writes_parts_as_rfc_9110_shows_them() {
        let kind = HeaderValue::from_static("text/plain");
        let cut = |range: &ByteRange| {
            let (first, last) = (usize::try_from(range.first), usize::try_from(range.last));
            vec![Bytes::from_static(&DIGITS[first.unwrap()..=last.unwrap()])]
        };
        let pieces = multipart("line", Some(&kind), &[range(0, 1), range(5, 6)], 10, cut);
        let expected = "\r\n--line\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
             \r\n--line\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-6/10\r\n\r\n56\
             \r\n--line--\r\n";
        assert_eq!(String::from_utf8(pieces.concat()).unwrap(), expected);
        let pieces = multipart("line", None, &[range(0, 0)], 10, cut);
        assert!(!String::from_utf8(pieces.concat()).unwrap().contains("Content-Type"));
    }

    #[test]
    fn says_in_content_range_what_there_is() {
        assert_eq!(content_range(Some(range(2, 4)), 10), "bytes 2-4/10");
        assert_eq!(content_range(None, 10), "bytes */10");
    }

    proptest! {
        #[test]
        fn cuts_only_what_is_stored(
            spans in prop::collection::vec((0..30_u64, prop::option::of(0..30_u64)), 1..5),
            last in prop::option::of(0..30_u64),
            held in prop::option::of((0..20_u64, 0..20_u64, 0..5_u64)),
            length in 0..30_u64,
        ) {
            let mut asked: Vec<String> = spans
                .iter()
                .map(|(first, more)| match more {
                    Some(more) => format!("{first}-{}", first + more),
                    None => format!("{first}-"),
                })
                .collect();
            asked.extend(last.map(|last| format!("-{last}")));
            let asked = head(&format!("Range: bytes={}", asked.join(",")));
            let held = held.map(|(first, more, rest)| ContentRange {
                range: Some(range(first, first + more)),
                complete: Some(first + more + 1 + rest),
            });
            let fields = HeaderMap::new();
            let facts = Facts {
                status: StatusCode::OK,
                fields: &fields,
                length: Some(length),
                part: held.as_ref(),
                has_forms: false,
            };
            let (first, end) = held
                .and_then(|part| part.range)
                .map_or((0, length), |range| (range.first, range.last + 1));
            let parts = match choose(&Method::GET, &asked, &facts) {
                Answer::Part(part) => vec![part],
                Answer::Parts(parts) => {
                    prop_assert!(parts.len() > 1);
                    parts
                }
                Answer::Whole => {
                    prop_assert!(held.is_none(), "a part is not the whole");
                    Vec::new()
                }
                Answer::NotModified | Answer::Unsatisfiable | Answer::Missing => Vec::new(),
            };
            for part in parts {
                prop_assert!(first <= part.first && part.first <= part.last && part.last < end);
            }
        }
    }
}
