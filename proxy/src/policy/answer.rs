//! Decides what a client gets of a stored response: all of it, parts, or word that it has it
//! (RFC 9110 §13, §14, RFC 9111 §4.3.2).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::field::date;
use crate::field::etag::{self, IfRange};
use crate::field::range::{self, ByteRange, ContentRange, RangeSpec, Resolved};

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
        .filter(|_| range_applies(asked, stored.fields));
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
    if asked.contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    let since = date::if_modified_since(asked);
    // Without Last-Modified, Date is what there is to compare with (RFC 9111 §4.3.2).
    let modified = date::last_modified(stored).or_else(|| date::date(stored));
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

/// Whether `If-Range`, if it is there, lets `Range` apply (RFC 9110 §13.1.5).
fn range_applies(asked: &HeaderMap, stored: &HeaderMap) -> bool {
    if !asked.contains_key(header::IF_RANGE) {
        return true;
    }
    match etag::if_range(asked) {
        Some(IfRange::Tag(theirs)) => {
            etag::etag(stored).is_some_and(|ours| ours.strong_eq(&theirs))
        }
        Some(IfRange::Date(theirs)) => {
            // A date is a strong validator only if the answer was made after that second
            // (RFC 9110 §8.8.2.2).
            date::last_modified(stored) == Some(theirs)
                && date::date(stored).is_some_and(|sent| sent > theirs)
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
