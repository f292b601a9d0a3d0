//! Decides what an origin is asked for that has files which it compressed ahead of time, and
//! whether its answer may be used.
//!
//! Whether it is the same body is told by its bytes alone, and not here.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::encode;
use super::forward::{Client, vouched};
use crate::field::coding::{self, Coding};
use crate::field::number;
use crate::key::Target;

/// Why the answer of the origin is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no 200.
    Status,
    /// It is in another coding than was asked for.
    Coding,
    /// It says `no-store` or `private`.
    Forbidden,
    /// It is larger than what would be used of it.
    Large,
}

impl Unfit {
    /// It in words, without a full stop.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Status => "the origin does not have it",
            Self::Coding => "it is in a content coding of another name",
            Self::Forbidden => "it says no-store or private",
            Self::Large => "it is no smaller than what was made quickly",
        }
    }
}

/// The path and the query under which the origin would have `target` in `coding`; nothing if the
/// path names no file.
#[must_use]
pub fn path_and_query(target: &Target, coding: Coding) -> Option<String> {
    let path = target.path();
    if path.ends_with('/') {
        return None;
    }
    let ending = match coding {
        Coding::Br => "br",
        Coding::Gzip => "gz",
        Coding::Zstd => "zst",
    };
    Some(match target.query() {
        Some(query) => format!("{path}.{ending}?{query}"),
        None => format!("{path}.{ending}"),
    })
}

/// The fields of the request for it, beside `Host`: it is asked for in nobody's name.
#[must_use]
pub fn fields(client: &Client) -> HeaderMap {
    let nobody = Client { address: None, ..client.clone() };
    let mut fields: HeaderMap = vouched(&nobody).collect();
    // The file itself is what is wanted, and not a coding of it.
    fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    fields
}

/// Whether an answer with this `status` and these `fields` may be the body in `coding`, in no more
/// than `most` bytes.
///
/// # Errors
///
/// Why not.
pub fn check(
    status: StatusCode,
    fields: &HeaderMap,
    coding: Coding,
    most: u64,
) -> Result<(), Unfit> {
    let unless = |is_so: bool, why: Unfit| if is_so { Err(why) } else { Ok(()) };
    unless(status != StatusCode::OK, Unfit::Status)?;
    // Some servers send such a file with its coding, others as a file like any other.
    let said = coding::of_body(fields).map_err(|_foreign| Unfit::Coding)?;
    unless(said.is_some_and(|said| said != coding), Unfit::Coding)?;
    let forbids = encode::said(fields).any(|said| said.no_store || said.private.is_some());
    unless(forbids, Unfit::Forbidden)?;
    let length = fields.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| number::digits(length.as_bytes().trim_ascii()));
    unless(length.is_some_and(|length| length > most), Unfit::Large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{head, print};

    #[test]
    fn asks_for_what_stands_beside_the_file() {
        let check = |target: &str, coding: Coding, expected: Option<&str>| {
            let target = Target::parse("https", "a.example", target).unwrap();
            assert_eq!(path_and_query(&target, coding).as_deref(), expected, "{target}");
        };
        check("/app.js", Coding::Br, Some("/app.js.br"));
        check("/app.js", Coding::Gzip, Some("/app.js.gz"));
        check("/app.js", Coding::Zstd, Some("/app.js.zst"));
        check("/app.js?v=3&w=/", Coding::Br, Some("/app.js.br?v=3&w=/"));
        check("/app.js?", Coding::Br, Some("/app.js.br?"));
        check("/a%20b", Coding::Gzip, Some("/a%20b.gz"));
        check("/", Coding::Br, None);
        check("/docs/?v=3", Coding::Br, None);
    }

    #[test]
    fn asks_in_nobodys_name() {
        let client = Client {
            address: Some([192, 0, 2, 1].into()),
            scheme: Some("https"),
            host: "a.example".to_owned(),
            version: "2",
        };
        assert_eq!(
            print(&fields(&client)),
            "accept-encoding: identity | via: 2 forebay | x-forwarded-host: a.example \
             | x-forwarded-proto: https"
        );
    }

    #[test]
    fn takes_what_may_be_the_file() {
        let check = |status: u16, fields: &str, expected: Result<(), Unfit>| {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(check(status, &head(fields), Coding::Gzip, 100), expected, "{fields}");
        };
        check(200, "", Ok(()));
        check(200, "Content-Type: application/octet-stream | Content-Length: 100", Ok(()));
        check(200, "Content-Encoding: gzip", Ok(()));
        check(200, "Content-Encoding: x-gzip", Ok(()));
        check(200, "Content-Encoding: identity", Ok(()));
        check(200, "Content-Encoding: br", Err(Unfit::Coding));
        check(200, "Content-Encoding: gzip, gzip", Err(Unfit::Coding));
        check(200, "Content-Encoding: own", Err(Unfit::Coding));
        check(200, "Cache-Control: no-cache", Ok(()));
        check(200, "Cache-Control: no-store", Err(Unfit::Forbidden));
        check(200, "CDN-Cache-Control: private", Err(Unfit::Forbidden));
        check(200, "Content-Length: 101", Err(Unfit::Large));
        for status in [203, 206, 301, 304, 404, 500] {
            check(status, "", Err(Unfit::Status));
        }
    }
}
