//! Reads what is to be explained, as the command line and the admin listener are asked it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use serde::{Deserialize, Serialize};

use crate::edge::FOREBAY_DEBUG;
use crate::key::{Target, TargetError, Url};
use crate::policy::sound::{self, Unsound};

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked for, as it is written.
    pub url: String,
    /// What that means; or why the edge refuses it.
    target: Result<Target, Refused>,
    /// With which method.
    pub method: Method,
    /// With which fields, `Host` among them.
    pub fields: HeaderMap,
    /// With a body, or the announcement of one.
    pub has_body: bool,
    /// How the origin would answer; left out, only the request is explained.
    pub response: Option<Response>,
}

/// The head of an origin's answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: HeaderMap,
}

/// Why the edge answers a request by itself, before it decides anything.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// With which status.
    pub(super) status: StatusCode,
    /// Why, as a sentence without its full stop.
    pub(super) why: String,
}

impl Question {
    /// What is asked for.
    ///
    /// # Errors
    ///
    /// Why the edge refuses it.
    pub(super) const fn target(&self) -> Result<&Target, &Refused> {
        self.target.as_ref()
    }
}

/// A question as it is written: the body of `POST /explain`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// What is asked for: a URL, or a path, which is then one of `http://localhost`. A field `Host`
    /// goes before the host in it.
    pub url: String,
    /// Names and values of the fields of the request.
    #[serde(default)]
    pub fields: Vec<(String, String)>,
    /// How the origin would answer.
    #[serde(default)]
    pub response: Option<WrittenResponse>,
}

/// The head of an origin's answer, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenResponse {
    /// The status.
    pub status: u16,
    /// Names and values of its fields.
    #[serde(default)]
    pub fields: Vec<(String, String)>,
}

fn get() -> String {
    "GET".to_owned()
}

/// The most fields of one head: more than any that the edge takes.
const MOST_FIELDS: usize = 1000;

/// Why a question cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// A head has more fields than anybody reads.
    #[error("a head of {0} fields: at most {MOST_FIELDS} are read")]
    Fields(usize),
    /// The method is none.
    #[error("{0:?} is no method")]
    Method(String),
    /// The URL is none that could be asked for.
    #[error("{url:?} cannot be asked for")]
    Url {
        /// As it is written.
        url: String,
        /// Why.
        #[source]
        source: TargetError,
    },
    /// A field cannot stand in a head.
    #[error("{0:?} is no header field")]
    Field(String),
    /// The status is none that ends a request.
    #[error("{0} is no status of an answer: it is from 200 to 599, or 101")]
    Status(u16),
    /// A line of the head of a response has no colon.
    #[error("{0:?} is no line of a head: a status line and `Name: value` lines are expected")]
    Line(String),
}

impl TryFrom<Written> for Question {
    type Error = Unclear;

    fn try_from(written: Written) -> Result<Self, Unclear> {
        let Written { method, url, fields, response } = written;
        let method = match Method::from_bytes(method.as_bytes()) {
            Ok(known) => known,
            Err(_invalid) => return Err(Unclear::Method(method)),
        };
        let mut fields = read_fields(fields)?;
        // It is for the edge alone, which decides nothing by it.
        fields.remove(FOREBAY_DEBUG);
        join_cookies(&mut fields);
        let Url { scheme, authority, path } = Url::split(&url);
        // Without a host, or in a scheme of their own, nobody asks an edge for them.
        if let Err(source) = Target::parse(&scheme, &authority, "/") {
            return Err(Unclear::Url { url, source });
        }
        let named_twice = fields.get_all(header::HOST).iter().nth(1).is_some();
        let host = fields.entry(header::HOST).or_insert_with(|| {
            HeaderValue::try_from(&authority).expect("an authority is made of plain characters")
        });
        let host = String::from_utf8_lossy(host.as_bytes()).into_owned();
        let target = if named_twice {
            Err(Refused::bad("the request has two lines of Host".to_owned()))
        } else {
            check(&method, &path, &fields).and_then(|()| {
                Target::parse(&scheme, &host, &path)
                    .map_err(|error| Refused::bad(error.to_string()))
            })
        };
        let has_body = fields.contains_key(header::TRANSFER_ENCODING)
            || fields.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        let response = response.map(WrittenResponse::read).transpose()?;
        Ok(Self { url, target, method, fields, has_body, response })
    }
}

impl Refused {
    fn bad(why: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why }
    }
}

/// Refuses what the edge refuses before it looks at the target.
fn check(method: &Method, path: &str, fields: &HeaderMap) -> Result<(), Refused> {
    let mut raw = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    for (name, value) in fields {
        raw.extend_from_slice(name.as_str().as_bytes());
        raw.extend_from_slice(b": ");
        raw.extend_from_slice(value.as_bytes());
        raw.extend_from_slice(b"\r\n");
    }
    let head = sound::Head { method, version: Version::HTTP_11, path, fields, raw: &raw };
    sound::check(&head).map_err(|unsound| {
        let why = match unsound {
            Unsound::Malformed if !sound::is_framed(&head) => {
                "Content-Length or Transfer-Encoding leaves a doubt where the request ends"
            }
            Unsound::Malformed => "there is a blank or a control character in the target",
            Unsound::Method => "the method is longer than any that is known",
            Unsound::TargetTooLong => "path and query are longer than 8 KiB",
            Unsound::FieldsTooLarge => "the fields are more than 128 lines, or longer than 64 KiB",
        };
        Refused { status: unsound.status(), why: why.to_owned() }
    })
}

impl WrittenResponse {
    /// Reads a head as `curl -sI` prints it: a status line, then lines `Name: value`. What stands
    /// behind an empty line is left alone; of several heads the last counts.
    ///
    /// # Errors
    ///
    /// The line that is none of these.
    pub fn parse(head: &str) -> Result<Self, Unclear> {
        let mut response = Self { status: 200, fields: Vec::new() };
        let mut is_over = false;
        for line in head.trim_start().lines().map(str::trim_end) {
            if line.is_empty() {
                is_over = true;
            } else if let Some(status) = status_line(line) {
                response = Self { status, fields: Vec::new() };
                is_over = false;
            } else if is_over {
                break;
            } else {
                let (name, value) =
                    line.split_once(':').ok_or_else(|| Unclear::Line(line.to_owned()))?;
                response.fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        Ok(response)
    }

    fn read(self) -> Result<Response, Unclear> {
        let status = match StatusCode::from_u16(self.status) {
            Ok(status) if matches!(self.status, 101 | 200..=599) => status,
            Ok(_) | Err(_) => return Err(Unclear::Status(self.status)),
        };
        Ok(Response { status, fields: read_fields(self.fields)? })
    }
}

/// The status that a line such as `HTTP/2 200` tells; nothing if it is no such line.
fn status_line(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    version.strip_prefix("HTTP/")?;
    let Ok(status) = rest.split(' ').next()?.parse() else { return None };
    Some(status)
}

fn read_fields(written: Vec<(String, String)>) -> Result<HeaderMap, Unclear> {
    if written.len() > MOST_FIELDS {
        return Err(Unclear::Fields(written.len()));
    }
    let mut fields = HeaderMap::new();
    for (name, value) in written {
        let wrong = || Unclear::Field(format!("{name}: {value}"));
        let read = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_invalid| wrong())?;
        let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_invalid| wrong())?;
        fields.append(read, value);
    }
    Ok(fields)
}

/// Joins several lines of cookies, as the edge does (RFC 9113 §8.2.3).
fn join_cookies(fields: &mut HeaderMap) {
    let lines: Vec<_> = fields.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1 {
        let joined = HeaderValue::from_bytes(&lines.join(&b"; "[..]));
        fields.insert(header::COOKIE, joined.expect("field values make a field value"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_url(url: &str, fields: &[(&str, &str)], expected: &str) {
        let target = asked(url, fields).map(|question| question.target.map_err(|it| it.why));
        assert_eq!(target.unwrap().map(|target| target.to_string()), Ok(expected.to_owned()));
    }

    fn asked(url: &str, fields: &[(&str, &str)]) -> Result<Question, Unclear> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (method, url) = match url.split_once(' ') {
            Some((method, url)) if !method.starts_with('/') => (method, url),
            Some(_) | None => ("GET", url),
        };
        let (method, url) = (method.to_owned(), url.to_owned());
        Question::try_from(Written { method, url, fields: fields.collect(), response: None })
    }

    #[track_caller]
    fn check_refused(url: &str, fields: &[(&str, &str)], status: u16, why: &str) {
        let refused = asked(url, fields).unwrap().target.unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.why.as_str()), (status, why));
    }

    #[test]
    fn reads_no_head_without_end() {
        let many = |count: usize| (0..count).map(|at| (format!("f{at}"), String::new())).collect();
        assert!(read_fields(many(MOST_FIELDS)).is_ok());
        assert_eq!(read_fields(many(40_000)), Err(Unclear::Fields(40_000)));
    }

    #[test]
    fn reads_what_people_write_for_a_url() {
        let check = |url: &str, expected: &str| check_url(url, &[], expected);
        check("https://Shop.example/a?b=http://x/", "https://shop.example/a?b=http://x/");
        check("shop.example:8080/a", "http://shop.example:8080/a");
        check("/a?u=http://x", "http://localhost/a?u=http://x");
        check("http://shop.example", "http://shop.example/");
        check("http://shop.example?a", "http://shop.example/?a");
        check("http://shop.example/a#b?c", "http://shop.example/a");
        check_url("http://127.0.0.1:8080/a", &[("Host", "Shop.example")], "http://shop.example/a");
        for url in ["ftp://a/", "http://", "http://a@b/", "http://a:b/", "", "?a"] {
            assert!(matches!(asked(url, &[]), Err(Unclear::Url { .. })), "{url}");
        }
    }

    #[test]
    fn says_what_the_edge_refuses() {
        check_refused("/a%2", &[], 400, "malformed percent-encoding in the path");
        check_refused("/a%2f../b", &[], 400, "ambiguous parent segment");
        let blank = "there is a blank or a control character in the target";
        check_refused("/a b", &[], 400, blank);
        check_refused("/a", &[("Host", "a/b")], 400, "malformed host");
        let twice = [("Host", "a"), ("Host", "b")];
        check_refused("/a", &twice, 400, "the request has two lines of Host");
        let doubt = "Content-Length or Transfer-Encoding leaves a doubt where the request ends";
        check_refused("POST /a", &[("Content-Length", "x")], 400, doubt);
        check_refused("POST /a", &[("Transfer-Encoding", "gzip")], 400, doubt);
        let long = format!("/{}", "a".repeat(8 * 1024));
        check_refused(&long, &[], 414, "path and query are longer than 8 KiB");
        let method = format!("{} /", "A".repeat(33));
        check_refused(&method, &[], 501, "the method is longer than any that is known");
        let many = vec![("A", "b"); 128];
        let large = "the fields are more than 128 lines, or longer than 64 KiB";
        check_refused("/a", &many, 431, large);
    }

    #[test]
    fn reads_a_head_as_curl_prints_it() {
        let head =
            "HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\nHTTP/2 404 \r\nVary: a\r\nage:  7\r\n";
        let read = WrittenResponse::parse(head).unwrap();
        assert_eq!(read.status, 404);
        let expected = [("Vary", "a"), ("age", "7")];
        assert_eq!(read.fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(WrittenResponse::parse("Vary: a").unwrap().status, 200);
        let with_body =
            WrittenResponse::parse("HTTP/1.1 404\na: b\n\n<p>\nHTTP/1.1 200\n").unwrap();
        assert_eq!((with_body.status, with_body.fields.len()), (404, 1));
        let wrong = WrittenResponse::parse("HTTP/1.1 200 OK\nnonsense").unwrap_err();
        assert_eq!(wrong, Unclear::Line("nonsense".to_owned()));
    }
}
