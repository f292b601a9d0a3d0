//! Turns what a route found into an answer: fields, conditions (RFC 9110 §13), HEAD.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;

use super::catalogue::Document;
use super::language::Language;
use super::{Answer, Ask, date, mark};
use crate::time::Timestamp;

/// When the catalogue, the page and the pictures last changed: 2025-09-01 06:00 UTC.
pub(super) const CHANGED: Timestamp = Timestamp::from_seconds(1_756_706_400);

pub(super) const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// What a route found, before the request's conditions are looked at.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    etag: Option<String>,
    modified: Option<Timestamp>,
}

impl Reply {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let reply = Self { status, headers: HeaderMap::new(), body, etag: None, modified: None };
        let reply = reply.with(header::CONTENT_TYPE, content_type);
        reply.with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
    }

    /// A status without content.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), etag: None, modified: None }
    }

    /// JSON that can be validated.
    pub(super) fn document(document: Document, cache_control: &'static str) -> Self {
        let etag = mark::etag(&document.json);
        Self::new(StatusCode::OK, JSON, document.json.into())
            .with(header::CACHE_CONTROL, cache_control)
            .with(HeaderName::from_static("surrogate-key"), &document.tags)
            .tagged(etag)
    }

    /// An error that says what is wrong (RFC 9457).
    ///
    /// # Panics
    ///
    /// Never: two texts and a number can be said in JSON.
    pub(super) fn problem(status: StatusCode, detail: &str, cache_control: &'static str) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let view = ProblemView { r#type: "about:blank", title, status: status.as_u16(), detail };
        let body = serde_json::to_vec_pretty(&view).expect("texts and a number");
        Self::new(status, PROBLEM, body.into()).with(header::CACHE_CONTROL, cache_control)
    }

    /// Adds a field.
    ///
    /// # Panics
    ///
    /// If `value` is no field value: all values are made in this module's parent.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("values are visible ASCII");
        self.headers.append(name, value);
        self
    }

    pub(super) fn tagged(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    pub(super) const fn modified(mut self, point: Timestamp) -> Self {
        self.modified = Some(point);
        self
    }

    pub(super) fn in_language(self, language: Language) -> Self {
        self.with(header::CONTENT_LANGUAGE, language.tag()).with(header::VARY, "Accept-Language")
    }

    /// The answer to `ask`, to be sent after `delay`.
    pub(super) fn answer(mut self, ask: &Ask<'_>, delay: Duration) -> Answer {
        if let Some(etag) = self.etag.take() {
            self = self.with(header::ETAG, &etag);
            self.etag = Some(etag);
        }
        if let Some(modified) = self.modified {
            self = self.with(header::LAST_MODIFIED, &date::http(modified));
        }
        if self.is_known_to(ask) {
            self.headers.remove(header::CONTENT_TYPE);
            let status = StatusCode::NOT_MODIFIED;
            return Answer { status, headers: self.headers, body: Bytes::new(), delay };
        }
        if self.status != StatusCode::NO_CONTENT {
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        let body = if ask.method == Method::HEAD { Bytes::new() } else { self.body };
        Answer { status: self.status, headers: self.headers, body, delay }
    }

    /// Whether the client's conditions say that it has this very response.
    fn is_known_to(&self, ask: &Ask<'_>) -> bool {
        let reads = ask.method == Method::GET || ask.method == Method::HEAD;
        if self.status != StatusCode::OK || !reads {
            return false;
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
        //# A recipient MUST ignore If-Modified-Since if the request contains an
        //# If-None-Match header field
        if ask.headers.contains_key(header::IF_NONE_MATCH) {
            return self.etag.as_deref().is_some_and(|etag| names(ask.headers, etag));
        }
        let since = ask.headers.get(header::IF_MODIFIED_SINCE).and_then(text);
        match (since.and_then(date::read), self.modified) {
            (Some(since), Some(modified)) => modified.as_seconds() <= since.as_seconds(),
            (None, _) | (_, None) => false,
        }
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    let Ok(text) = value.to_str() else { return None };
    Some(text)
}

/// Whether `If-None-Match` names `etag` by the weak comparison (RFC 9110 §8.8.3.2).
///
/// A comma splits the list: no entity tag of this origin holds one.
fn names(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(text).any(|list| {
        list.split(',')
            .map(str::trim)
            .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
    })
}

#[derive(Serialize)]
struct ProblemView<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}
