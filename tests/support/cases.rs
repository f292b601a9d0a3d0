//! Settings, requests and answers that are drawn at random, to hold what is said of them against
//! what is done.

use std::fmt;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Answer, Request, seconds_ago};

/// A body that every answer with one has.
const BODY: &str = "0123456789";
/// Seconds, rarely none at all.
const SECONDS: [&str; 5] = ["0", "1", "60", "600", "86400"];

/// A request, apart from the path that keeps its case apart from others.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    /// Behind `/NAME-OF-THE-CASE`.
    pub(crate) rest: &'static str,
    pub(crate) query: Option<String>,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Asked {
    /// The target of the request in the case with that `name`.
    pub(crate) fn target(&self, name: &str) -> String {
        let query = self.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        format!("/{name}{}{query}", self.rest)
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}{}", self.host, self.target(name))
    }

    pub(crate) fn has_body(&self) -> bool {
        matches!(self.method, "POST" | "PUT" | "PATCH")
    }

    /// The fields as they are sent.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        let mut fields: Vec<_> =
            self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if self.has_body() {
            fields.push(("Content-Length".to_owned(), "3".to_owned()));
        }
        fields
    }

    pub(crate) fn request(&self, name: &str) -> Request {
        let mut request = Request::new(self.method, &self.target(name)).host(self.host);
        for (name, value) in &self.fields {
            request = request.field(name, value);
        }
        if self.has_body() { request.body("abc") } else { request }
    }
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Said {
    /// Every field that the origin sends with it.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        let mut fields: Vec<_> =
            self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if !matches!(self.status, 204 | 304) {
            fields.push(("Content-Length".to_owned(), BODY.len().to_string()));
        }
        fields
    }

    pub(crate) fn answer(&self) -> Answer {
        let answer = Answer::ok(BODY).code(self.status);
        self.fields.iter().fold(answer, |answer, (name, value)| answer.field(name, value))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "HTTP/1.1 {}", self.status)?;
        self.sent().iter().try_for_each(|(name, value)| writeln!(out, "{name}: {value}"))
    }
}

/// Policies `p0` to `p4`, and routes with these.
pub(crate) fn settings() -> impl Strategy<Value = String> {
    let policies = vec(policy(), 5);
    let routes = vec((conditions(), 0..5_usize), 1..5);
    (policies, routes, 0..5_usize, prop::bool::weighted(0.9)).prop_map(
        |(policies, routes, last, has_last)| {
            let mut text = String::new();
            for (index, policy) in policies.iter().enumerate() {
                text.push_str(&format!("[policies.p{index}]\n{policy}\n"));
            }
            let mut route = |name: &str, conditions: &str, policy: usize| {
                text.push_str(&format!(
                    "[[routes]]\nname = \"{name}\"\norigin = \"api\"\npolicy = \"p{policy}\"\n\
                     match = {{ {conditions} }}\n\n"
                ));
            };
            for (index, (conditions, policy)) in routes.iter().enumerate() {
                route(&format!("r{index}"), conditions, *policy);
            }
            if has_last {
                route("last", "path = \"/**\"", last);
            }
            text
        },
    )
}

fn conditions() -> impl Strategy<Value = String> {
    let one =
        |text: &'static str| prop::bool::weighted(0.25).prop_map(move |is| is.then_some(text));
    let path =
        select(&["path = \"/**\"", "path = \"/*/a/**\"", "path = [\"/*/*.css\", \"/*/B/**\"]"][..]);
    (
        path,
        one("host = [\"a.test\", \"*.b.test\"]"),
        one("method = [\"GET\", \"POST\"]"),
        one("extension = [\"css\", \"js\"]"),
        one("header = { X-Tenant = \"a*\" }"),
        one("query = { preview = false }"),
        one("cookie = { group = \"x\" }"),
    )
        .prop_map(|(path, host, method, extension, header, query, cookie)| {
            let rest = [host, method, extension, header, query, cookie];
            let all: Vec<_> = std::iter::once(path).chain(rest.into_iter().flatten()).collect();
            all.join(", ")
        })
}

/// Any of these lines, each with these odds.
fn lines(odds: f64, lines: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    vec(prop::bool::weighted(odds), lines.len()).prop_map(move |chosen| {
        let chosen = lines.iter().zip(chosen);
        chosen.filter_map(|(line, is)| is.then_some(*line)).collect()
    })
}

fn policy() -> impl Strategy<Value = String> {
    let strategy = select(
        &["cache-first", "cache-first", "network-first", "stale-while-revalidate", "bypass"][..],
    );
    let options = lines(
        0.25,
        &[
            "ttl = \"5m\"",
            "ttl_by_status = { 200 = \"20s\", 404 = \"10s\", 500 = \"10s\", 503 = \"5s\" }",
            "browser_ttl = \"1m\"",
            "stale_while_revalidate = \"1m\"",
            "stale_if_error = \"1h\"",
            "heuristic = false",
            "immutable = [\"**/*.[0-9a-f]{8,}.*\", \"/*/a/**\"]",
            "types = [\"text/css\", \"image/*\"]",
        ],
    );
    let key = lines(
        0.25,
        &[
            "headers = [\"X-Tenant\"]",
            "cookies = [\"theme\"]",
            "device = true",
            "languages = [\"en\", \"de\"]",
            "scheme = false",
            "host = false",
            "query = { deny = [\"ts\"], drop_tracking = true, sort = true }",
        ],
    );
    let bypass = lines(0.25, &["cookies = [\"s*\"]", "headers = [\"Authorization\"]"]);
    let mode = of(select(&["respect", "default", "override"][..]));
    let cookie = of(select(&["skip", "strip", "store"][..]));
    (strategy, options, key, bypass, mode, cookie).prop_map(
        |(strategy, options, key, bypass, mode, cookie)| {
            let mut text = format!("strategy = \"{strategy}\"\n");
            for line in options {
                text.push_str(&format!("{line}\n"));
            }
            for (name, value) in [("ttl_mode", mode), ("set_cookie", cookie)] {
                if let Some(value) = value {
                    text.push_str(&format!("{name} = \"{value}\"\n"));
                }
            }
            for (name, lines) in [("key", key), ("bypass_if", bypass)] {
                if !lines.is_empty() {
                    text.push_str(&format!("{name} = {{ {} }}\n", lines.join(", ")));
                }
            }
            text
        },
    )
}

/// One field in some cases, with one of these values.
fn field(
    odds: f64,
    name: &'static str,
    values: &'static [&'static str],
) -> impl Strategy<Value = Option<(&'static str, String)>> {
    prop::option::weighted(odds, select(values).prop_map(move |value| (name, value.to_owned())))
}

pub(crate) fn requests() -> impl Strategy<Value = Asked> {
    let method = prop_oneof![
        14 => Just("GET"), 2 => Just("HEAD"), 2 => Just("POST"), 1 => Just("PUT"),
        1 => Just("DELETE"), 1 => Just("OPTIONS"),
    ];
    let host = select(&["edge.test", "edge.test", "a.test", "www.b.test", "A.test"][..]);
    let rest = select(
        &[
            "",
            "/a/b",
            "/a/x.css",
            "/x.css",
            "/B/c.JS",
            "/a%2fb",
            "/x.0123abcd.js",
            "/a/../b",
            "/b;c",
        ][..],
    );
    let query = of(vec(
        select(&["a=1", "b=2", "ts=9", "utm_source=x", "preview=1", "a=%2f", "sort"][..]),
        0..4,
    )
    .prop_map(|parameters| parameters.join("&")));
    (method, host, rest, query, request_fields())
        .prop_map(|(method, host, rest, query, fields)| Asked { method, host, rest, query, fields })
}

fn request_fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let directives = &[
        "no-cache",
        "no-store",
        "max-age=0",
        "max-age=30",
        "min-fresh=10",
        "max-stale",
        "max-stale=5",
        "only-if-cached",
        "stale-if-error=60",
        "no-cache, no-store",
    ];
    let first = (
        field(0.15, "Cache-Control", directives),
        field(0.2, "Cookie", &["sid=1", "theme=dark", "theme=dark; sid=1", "group=x", "a=b"]),
        field(0.1, "Authorization", &["Basic eDp5"]),
        field(0.1, "Range", &["bytes=0-3", "bytes=2-", "bytes=50-", "bytes=0-1,4-5", "lines=1-2"]),
        field(0.1, "If-None-Match", &["\"a\"", "\"b\"", "*", "W/\"a\""]),
        field(0.05, "If-Match", &["\"a\""]),
        field(0.05, "If-Range", &["\"a\""]),
        field(0.05, "If-Modified-Since", &["Sun, 06 Nov 1994 08:49:37 GMT"]),
    );
    let second = (
        field(0.2, "Accept-Encoding", &["gzip", "br, gzip", "deflate", "identity"]),
        field(0.2, "Accept-Language", &["de", "fr", "en-GB, de;q=0.5"]),
        field(0.1, "User-Agent", &["Mozilla/5.0 (iPhone) Mobile", "curl/8"]),
        field(0.2, "X-Tenant", &["a1", "b"]),
        field(0.03, "Pragma", &["no-cache"]),
        field(0.03, "Upgrade", &["h2c", "websocket"]),
        field(0.03, "Connection", &["X-Tenant", "close"]),
        field(0.05, "X-Forwarded-For", &["1.2.3.4"]),
    );
    (first, second).prop_map(|((a, b, c, d, e, f, g, h), (i, j, k, l, m, n, o, p))| {
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p].into_iter().flatten().collect()
    })
}

pub(crate) fn answers() -> impl Strategy<Value = Said> {
    let status = prop_oneof![
        12 => Just(200_u16), 2 => Just(206), 2 => Just(304), 2 => Just(404), 2 => Just(500),
        2 => Just(503), 1 => Just(204), 1 => Just(301), 1 => Just(302), 1 => Just(416),
        1 => Just(410), 1 => Just(403), 1 => Just(299),
    ];
    let age = prop::option::weighted(0.2, select(&SECONDS[..]));
    let date = prop::option::weighted(0.2, select(&[0_u64, 30, 700][..]));
    let expires = prop::option::weighted(0.1, select(&SECONDS[..]));
    (status, answer_fields(), age, date, expires).prop_map(
        |(status, mut fields, age, date, expires)| {
            fields.push(("Date", seconds_ago(date.unwrap_or(0))));
            fields.extend(age.map(|age| ("Age", age.to_owned())));
            let expires = expires.map(|it| it.parse().expect("digits"));
            fields.extend(expires.map(|expires| ("Expires", super::in_seconds(expires))));
            Said { status, fields }
        },
    )
}

fn answer_fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    const DIRECTIVES: &[&str] = &[
        "max-age=60",
        "max-age=60",
        "max-age=600",
        "max-age=0",
        "s-maxage=60",
        "no-store",
        "private",
        "no-cache",
        "no-cache, max-age=60",
        "public, max-age=30",
        "public",
        "max-age=60, must-revalidate",
        "max-age=0, stale-while-revalidate=30",
        "max-age=60, stale-if-error=30",
        "max-age=x",
        "max-age=60, immutable",
        "must-understand, no-store, max-age=60",
        "private=\"X\"",
        "max-age=60, proxy-revalidate",
    ];
    let first = (
        field(0.7, "Cache-Control", DIRECTIVES),
        field(0.1, "CDN-Cache-Control", &["max-age=90", "no-store", "&&&", "private", "no-cache"]),
        field(0.05, "Forebay-Cache-Control", &["max-age=80", "no-store"]),
        field(0.4, "ETag", &["\"a\"", "W/\"a\"", "\"b\""]),
        field(0.3, "Last-Modified", &["Sun, 06 Nov 1994 08:49:37 GMT"]),
    );
    let second = (
        field(
            0.2,
            "Vary",
            &[
                "Accept-Encoding",
                "*",
                "X-Tenant, Accept-Language",
                "Cookie",
                "X-Forwarded-For",
                "Authorization",
                "User-Agent",
            ],
        ),
        field(0.1, "Set-Cookie", &["sid=1"]),
        field(0.6, "Content-Type", &["text/css", "image/png", "text/html; charset=utf-8"]),
        field(
            0.15,
            "Content-Range",
            &["bytes 0-9/10", "bytes 0-9/100", "bytes 90-99/100", "bytes 10-19/100", "bytes 0-9/*"],
        ),
        field(0.15, "Content-Location", &["/elsewhere", "."]),
        field(0.03, "Connection", &["ETag"]),
    );
    (first, second).prop_map(|((a, b, c, d, e), (f, g, h, i, j, k))| {
        [a, b, c, d, e, f, g, h, i, j, k].into_iter().flatten().collect()
    })
}
