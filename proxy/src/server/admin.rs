//! The admin listener, as pingora drives it.

use async_trait::async_trait;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use crate::admin::Admin;

/// Serves [`Admin`].
pub(super) struct AdminListener {
    admin: Admin,
}

impl AdminListener {
    pub(super) const fn new(admin: Admin) -> Self {
        Self { admin }
    }
}

#[async_trait]
impl ServeHttp for AdminListener {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let answer = self.admin.answer(&head.method, head.uri.path(), &head.headers);
        let length = HeaderValue::from(answer.body.len());
        let body = if head.method == Method::HEAD { String::new() } else { answer.body };
        let mut response = Response::new(body.into_bytes());
        *response.status_mut() = answer.status;
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.kind));
        fields.insert(header::CONTENT_LENGTH, length);
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // RFC 9110 §15.5.2 and §15.5.6 demand these two.
        if answer.status == StatusCode::UNAUTHORIZED {
            fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            fields.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
