//! HTTP/2: a client of the edge, and an origin behind it.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream, client, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::http1::Stream;
use super::{Certificate, Edge, Reply, Request, soon};

/// A connection that carries many requests at once. Clones share it.
#[derive(Clone)]
pub(crate) struct Http2 {
    sender: SendRequest<Bytes>,
    scheme: &'static str,
}

impl Http2 {
    /// Speaks HTTP/2 from the first byte, without TLS.
    pub(crate) async fn open(edge: &Edge) -> Self {
        let stream = TcpStream::connect(edge.address("web")).await.expect("it listens");
        Self::over(stream, "http").await
    }

    /// Agrees on HTTP/2 within TLS.
    pub(crate) async fn open_tls(edge: &Edge, listener: &str, trusted: &Certificate) -> Self {
        let stream = trusted.connect(edge.address(listener), &["h2", "http/1.1"]).await;
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed.as_deref(), Some(&b"h2"[..]), "the protocol agreed on");
        Self::over(stream, "https").await
    }

    async fn over(stream: impl Stream + 'static, scheme: &'static str) -> Self {
        let shaken = soon("an HTTP/2 handshake", client::handshake(stream)).await;
        let (sender, connection) = shaken.expect("it speaks HTTP/2");
        // Its errors reach the requests.
        tokio::spawn(async move { drop(connection.await) });
        Self { sender, scheme }
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send(&Request::get(target)).await
    }

    pub(crate) async fn send(&self, request: &Request) -> Reply {
        soon("an answer over HTTP/2", self.exchange(request)).await.expect("an answer over HTTP/2")
    }

    /// The answer, or how the stream or connection was refused.
    pub(crate) async fn try_send(&self, request: &Request) -> Result<Reply, h2::Error> {
        soon("an answer over HTTP/2", self.exchange(request)).await
    }

    async fn exchange(&self, request: &Request) -> Result<Reply, h2::Error> {
        let mut head = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("{}://{}{}", self.scheme, request.host, request.target));
        for (name, value) in &request.fields {
            head = head.header(name, value);
        }
        let head = head.body(()).expect("a request that HTTP/2 can carry");
        let mut ready = self.sender.clone().ready().await?;
        let (answer, mut sending) = ready.send_request(head, request.body.is_none())?;
        if let Some(body) = &request.body {
            sending.send_data(Bytes::copy_from_slice(body), true)?;
        }
        let (head, body) = answer.await?.into_parts();
        Ok(read(&head, body).await)
    }
}

async fn read(head: &http::response::Parts, mut body: RecvStream) -> Reply {
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(part) = body.data().await {
        let Ok(part) = part else {
            whole = false;
            break;
        };
        bytes.extend(&part);
        whole &= body.flow_control().release_capacity(part.len()).is_ok();
    }
    let trailers = body.trailers().await.unwrap_or(None).map_or_else(Vec::new, |map| lines(&map));
    let (code, lines) = (head.status.as_u16(), lines(&head.headers));
    Reply { code, lines, bytes, trailers, interim: Vec::new(), whole }
}

fn lines(map: &http::HeaderMap) -> Vec<(String, String)> {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    map.iter().map(line).collect()
}

/// An origin that speaks HTTP/2 over TLS and nothing else.
pub(crate) struct Http2Origin {
    port: u16,
    certificate: Certificate,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Http2Origin {
    /// Answers every request with that body and `Cache-Control`.
    pub(crate) async fn start(body: &'static str, cache_control: &'static str) -> Self {
        Self::ending(body, cache_control, None).await
    }

    /// The same with a line of trailers.
    pub(crate) async fn with_trailer(body: &'static str, cache_control: &'static str) -> Self {
        let trailer = ("x-checked".parse().expect("a name"), "yes".parse().expect("a value"));
        let trailers = std::iter::once(trailer).collect();
        Self::ending(body, cache_control, Some(trailers)).await
    }

    async fn ending(
        body: &'static str,
        cache_control: &'static str,
        trailers: Option<http::HeaderMap>,
    ) -> Self {
        let certificate = Certificate::made();
        let acceptor = certificate.acceptor(&["h2"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let recording = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("it listens");
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&recording));
                let trailers = trailers.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let Ok(mut connection) = server::handshake(stream).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let path = request.uri().path().to_owned();
                        seen.lock().expect("nobody panics with it").push(path);
                        answer(respond, body, cache_control, trailers.clone());
                    }
                });
            }
        });
        Self { port, certificate, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The paths of the requests so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

fn answer(
    mut respond: SendResponse<Bytes>,
    body: &'static str,
    cache_control: &'static str,
    trailers: Option<http::HeaderMap>,
) {
    let head = http::Response::builder()
        .header("cache-control", cache_control)
        .header("content-length", body.len())
        .header("content-type", "text/plain")
        .header("date", super::seconds_ago(0))
        .body(())
        .expect("a plain head");
    // The edge may have gone away meanwhile.
    let sent = respond.send_response(head, false);
    let sent: Result<(), h2::Error> = sent.and_then(|mut stream: SendStream<Bytes>| {
        stream.send_data(Bytes::from_static(body.as_bytes()), trailers.is_none())?;
        trailers.map_or(Ok(()), |trailers| stream.send_trailers(trailers))
    });
    drop(sent);
}

impl Drop for Http2Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}
