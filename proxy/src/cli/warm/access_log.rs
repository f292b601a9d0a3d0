//! What an access log says was asked for most.

use std::collections::HashMap;
use std::io::{self, BufRead};

use serde_json::{Map, Value};

use super::input;

/// How many different URLs are counted; those that come first past it are not.
const MOST_COUNTED: usize = 1_000_000;
/// The names under which logs in JSON tell the same.
const PATHS: [&str; 5] = ["request_uri", "uri", "path", "url", "target"];
const METHODS: [&str; 3] = ["request_method", "method", "verb"];
const HOSTS: [&str; 4] = ["http_host", "host", "server_name", "authority"];
const STATUSES: [&str; 3] = ["status", "status_code", "response_status"];

/// The `top` URLs, or paths, that `log` has the most successful answers to `GET` for.
pub(super) fn most_asked(log: Box<dyn BufRead>, top: usize) -> Result<Vec<String>, super::Refusal> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    input::lines(log, |line| {
        let Some(url) = asked(line.trim()) else { return };
        if let Some(count) = counts.get_mut(&url) {
            *count += 1;
        } else if counts.len() < MOST_COUNTED {
            counts.insert(url, 1);
        }
    })
    .map_err(|error: io::Error| format!("cannot read the log: {error}"))?;
    if counts.is_empty() {
        let expected = "it has no successful GET in the combined format or in JSON";
        return Err(format!("nothing is found in the log: {expected}").into());
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    Ok(counts.into_iter().take(top).map(|(url, _)| url).collect())
}

/// What a line says was asked for with `GET` and answered without an error.
fn asked(line: &str) -> Option<String> {
    let (method, url, status) = if line.starts_with('{') {
        of_json(&serde_json::from_str(line).unwrap_or_else(|_no_json| Map::new()))?
    } else {
        of_combined(line)?
    };
    let is_good = status.is_none_or(|status| (200..400).contains(&status));
    let is_url = url.starts_with('/') || url.contains("://");
    (method == "GET" && is_good && is_url).then_some(url)
}

/// Method, URL and status of a line in the combined format, or in the common one.
fn of_combined(line: &str) -> Option<(String, String, Option<u16>)> {
    let (_, rest) = line.split_once('"')?;
    let (request, rest) = rest.split_once('"')?;
    let (method, url) = of_request(request)?;
    Some((method, url, Some(rest.split_whitespace().next()?.parse().map_or(0, |status| status))))
}

/// Method and URL of a request line.
fn of_request(request: &str) -> Option<(String, String)> {
    let mut words = request.split(' ');
    let (method, url) = (words.next()?, words.next()?);
    Some((method.to_owned(), url.to_owned()))
}

/// The same of a line in JSON; what it does not say of the method is `GET`.
fn of_json(line: &Map<String, Value>) -> Option<(String, String, Option<u16>)> {
    let nested = line.get("request").and_then(Value::as_object);
    let find = |names: &[&str]| {
        let places = [Some(line), nested].into_iter().flatten();
        places.flat_map(|place| names.iter().filter_map(|name| place.get(*name))).next()
    };
    let text = |names: &[&str]| find(names).and_then(Value::as_str).map(str::to_owned);
    let request = line.get("request").and_then(Value::as_str).and_then(of_request);
    let (method, url) = match (text(&PATHS), request) {
        (Some(url), request) => {
            let method = text(&METHODS).or_else(|| request.map(|(method, _)| method));
            (method.unwrap_or_else(|| "GET".to_owned()), url)
        }
        (None, request) => request?,
    };
    let status = find(&STATUSES).and_then(|status| match status {
        Value::String(text) => text.parse().map_or(Some(0), Some),
        Value::Number(number) => {
            Some(number.as_u64().map_or(0, |it| u16::try_from(it).unwrap_or(0)))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    let host = text(&HOSTS).filter(|host| !host.is_empty() && url.starts_with('/'));
    let scheme = text(&["scheme"]).filter(|scheme| scheme == "http" || scheme == "https");
    let url = match host {
        Some(host) => format!("{}://{host}{url}", scheme.as_deref().unwrap_or("https")),
        None => url,
    };
    Some((method, url, status))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        assert_eq!(asked(line).as_deref(), expected, "{line}");
    }

    fn combined(request: &str, status: &str) -> String {
        format!(r#"1.2.3.4 - - [10/Oct/2025:13:55:36 +0000] "{request}" {status} 23 "-" "curl/8""#)
    }

    #[test]
    fn reads_the_combined_format() {
        check(&combined("GET /a?b=c HTTP/1.1", "200"), Some("/a?b=c"));
        check(&combined("GET http://a.example/b HTTP/1.1", "304"), Some("http://a.example/b"));
        check(&combined("POST /a HTTP/1.1", "200"), None);
        check(&combined("GET /a HTTP/1.1", "404"), None);
        check(&combined("GET /a HTTP/1.1", "-"), None);
        check(&combined("-", "400"), None);
        check("GET /a", None);
        check("", None);
    }

    #[test]
    fn reads_lines_in_json() {
        check(r#"{"path": "/a"}"#, Some("/a"));
        check(r#"{"uri": "/a", "method": "GET", "status": 200}"#, Some("/a"));
        check(r#"{"uri": "/a", "method": "HEAD", "status": 200}"#, None);
        check(r#"{"request_uri": "/a", "status": "500"}"#, None);
        check(r#"{"request": "GET /a HTTP/1.1", "status": "200"}"#, Some("/a"));
        check(r#"{"request": "POST /a HTTP/1.1", "uri": "/a"}"#, None);
        let nested =
            r#"{"request": {"method": "GET", "host": "a.example", "uri": "/b"}, "status": 200}"#;
        check(nested, Some("https://a.example/b"));
        let with_host = r#"{"scheme": "http", "host": "a.example", "path": "/b"}"#;
        check(with_host, Some("http://a.example/b"));
        check(r#"{"path": "/a""#, None);
        check(r#"{"path": 5}"#, None);
        check(r#"{"path": "relative"}"#, None);
    }

    #[test]
    fn finds_those_that_were_asked_for_most() {
        let line = |path: &str| combined(&format!("GET {path} HTTP/1.1"), "200");
        let log = |log: &str| Box::new(Cursor::new(log.to_owned().into_bytes()));
        let text = [line("/c"), line("/a"), line("/b"), line("/a"), line("/b"), line("/a")];
        assert_eq!(most_asked(log(&text.join("\n")), 2).unwrap(), ["/a", "/b"]);
        assert!(most_asked(log("nothing\n"), 2).is_err());
    }
}
