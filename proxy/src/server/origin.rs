//! The sample platform, as pingora drives it.

use async_trait::async_trait;
use http::{Method, Response};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use tokio::time::sleep;

use crate::demo::{Ask, Demo};
use crate::time;

/// Serves [`Demo`].
#[derive(Default)]
pub(super) struct SamplePlatform {
    demo: Demo,
}

#[async_trait]
impl ServeHttp for SamplePlatform {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let answer = self.demo.answer(&Ask {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
            now: time::now(),
        });
        let bodiless = head.method == Method::HEAD;
        sleep(answer.delay).await;
        let body = if bodiless { Vec::new() } else { answer.body.into() };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}
