//! Reads what is to be explained, as the command line and the admin listener are asked it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{Question, Response};
use crate::key::{Target, TargetError};

/// A question as it is written: the body of `POST /explain`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// What is asked for: a URL, or a path, which is then one of `http://localhost`.
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

/// Why a question cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
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
    /// The status is none.
    #[error("{0} is no status")]
    Status(u16),
    /// A line of the head of a response has no colon.
    #[error("{0:?} is no line of a head: a status line and `Name: value` lines are expected")]
    Line(String),
}

impl TryFrom<Written> for Question {
    type Error = Unclear;

    fn try_from(written: Written) -> Result<Self, Unclear> {
        let Written { method, url, fields, response } = written;
        let mut fields = read_fields(fields)?;
        join_cookies(&mut fields);
        let has_body = fields.contains_key(header::TRANSFER_ENCODING)
            || fields.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        Ok(Self {
            target: read_url(&url).map_err(|source| Unclear::Url { url, source })?,
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_invalid| Unclear::Method(method))?,
            fields,
            has_body,
            response: response.map(WrittenResponse::read).transpose()?,
        })
    }
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
        for line in head.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if let Some(status) = status_line(line) {
                response = Self { status, fields: Vec::new() };
                continue;
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| Unclear::Line(line.to_owned()))?;
            response.fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(response)
    }

    fn read(self) -> Result<Response, Unclear> {
        let status =
            StatusCode::from_u16(self.status).map_err(|_invalid| Unclear::Status(self.status))?;
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

fn read_url(url: &str) -> Result<Target, TargetError> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => (scheme, rest),
        Some(_) | None if url.starts_with('/') => return Target::parse("http", "localhost", url),
        Some(_) | None => ("http", url),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let rooted = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Target::parse(scheme, authority, &rooted)
}

fn read_fields(written: Vec<(String, String)>) -> Result<HeaderMap, Unclear> {
    let mut fields = HeaderMap::new();
    for (name, value) in written {
        let wrong = || Unclear::Field(format!("{name}: {value}"));
        let read = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_invalid| wrong())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_invalid| wrong())?;
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
    fn check_url(url: &str, expected: &str) {
        assert_eq!(read_url(url).map(|target| target.to_string()), Ok(expected.to_owned()));
    }

    #[test]
    fn reads_what_people_write_for_a_url() {
        check_url("https://Shop.example/a?b=http://x/", "https://shop.example/a?b=http://x/");
        check_url("shop.example:8080/a", "http://shop.example:8080/a");
        check_url("/a?u=http://x", "http://localhost/a?u=http://x");
        check_url("http://shop.example", "http://shop.example/");
        check_url("http://shop.example?a", "http://shop.example/?a");
        assert_eq!(read_url("ftp://a/"), Err(TargetError::Scheme));
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
        let wrong = WrittenResponse::parse("HTTP/1.1 200 OK\nnonsense").unwrap_err();
        assert_eq!(wrong, Unclear::Line("nonsense".to_owned()));
    }
}
