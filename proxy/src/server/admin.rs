//! The admin listener, as pingora drives it.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use tokio::time::timeout;

use crate::admin::{Admin, Answer};
use crate::field::number;

/// The longest body of a request, in bytes.
const LONGEST_BODY: usize = 64 << 10;
/// The longest that a body may take.
const SLOWEST_BODY: Duration = Duration::from_secs(10);

/// Serves [`Admin`].
pub(super) struct AdminListener {
    admin: Admin,
}

impl AdminListener {
    pub(super) const fn new(admin: Admin) -> Self {
        Self { admin }
    }

    async fn answer(&self, session: &mut ServerSession) -> Answer {
        let head = session.req_header();
        let fields = head.headers.clone();
        let path = head.uri.path().to_owned();
        let admitted = self.admin.admit(&head.method, &path, &fields);
        let body = match admitted {
            Ok(endpoint) => body(session).await.map(|body| (endpoint, body)),
            Err(answer) => Err(answer),
        };
        match body {
            Ok((endpoint, body)) => self.admin.answer(endpoint, &path, &fields, &body).await,
            Err(answer) => {
                if !session.is_body_empty() {
                    // What is left of the body is not waited for.
                    session.set_keepalive(None);
                }
                answer
            }
        }
    }
}

#[async_trait]
impl ServeHttp for AdminListener {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let answer = self.answer(session).await;
        let length = HeaderValue::from(answer.body.len());
        let bodiless = session.req_header().method == Method::HEAD;
        let body = if bodiless { String::new() } else { answer.body };
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
        if let Some(allow) = answer.allow {
            fields.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// Reads the body of a request.
///
/// # Errors
///
/// The answer, if it is too long, too slow or not whole.
async fn body(session: &mut ServerSession) -> Result<Vec<u8>, Answer> {
    let refuse = |status, text: &str| Err(Answer::text(status, text));
    let too_long = || refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 64 KiB");
    let said = session.req_header().headers.get(header::CONTENT_LENGTH);
    let said = said.and_then(|length| number::digits(length.as_bytes().trim_ascii()));
    if said.is_some_and(|length| length > LONGEST_BODY as u64) {
        return too_long();
    }
    let mut body = Vec::new();
    let read = async {
        while let Some(piece) = session.read_request_body().await? {
            body.extend_from_slice(&piece);
            if body.len() > LONGEST_BODY {
                break;
            }
        }
        Ok::<_, pingora::BError>(())
    };
    match timeout(SLOWEST_BODY, read).await {
        Err(_late) => refuse(StatusCode::REQUEST_TIMEOUT, "the body took more than 10 seconds"),
        Ok(Err(_broken)) => refuse(StatusCode::BAD_REQUEST, "the body is not whole"),
        Ok(Ok(())) if body.len() > LONGEST_BODY => too_long(),
        Ok(Ok(())) => Ok(body),
    }
}
