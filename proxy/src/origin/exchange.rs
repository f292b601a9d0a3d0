//! One request and its answer, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use forebay_config::Timeouts;
use http::{Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{BError, Error, ErrorType};
use tokio::time::{Instant, timeout_at};

use super::{Connections, failure};
use crate::event::Failure;

/// One request and its answer. Dropped before its end, its connection is closed.
pub struct Exchange {
    session: HttpSession,
    peer: HttpPeer,
    connections: Arc<Connections>,
    /// When the final head must be there.
    deadline: Instant,
}

impl Exchange {
    pub(super) fn new(session: HttpSession, peer: HttpPeer, connections: Arc<Connections>) -> Self {
        Self { session, peer, connections, deadline: Instant::now() }
    }

    /// Sends `request` and waits for the first head.
    pub(super) async fn begin(
        &mut self,
        request: &RequestHeader,
        limits: &Timeouts,
    ) -> Result<ResponseHeader, BError> {
        self.session.set_write_timeout(Some(limits.read));
        match &mut self.session {
            HttpSession::H1(session) => {
                session.write_request_header(Box::new(request.clone())).await?;
                session.finish_body().await?;
            }
            HttpSession::H2(session) => {
                let tls = self.peer.is_tls();
                session.write_request_header(Box::new(for_h2(request, tls)?), true)?;
            }
            HttpSession::Custom(()) => {}
        }
        self.deadline = Instant::now() + limits.first_byte;
        self.session.set_read_timeout(Some(limits.first_byte));
        let head = self.read_head().await?;
        self.session.set_read_timeout(Some(limits.read));
        Ok(head)
    }

    async fn read_head(&mut self) -> Result<ResponseHeader, BError> {
        let Ok(read) = timeout_at(self.deadline, self.session.read_response_header()).await else {
            return Error::e_explain(ErrorType::ReadTimedout, "waiting for a head");
        };
        read?;
        let head = self.session.response_header().cloned();
        let head = head.ok_or_else(|| Error::explain(ErrorType::InvalidHTTPHeader, "no head"))?;
        if is_acceptable(&head) {
            Ok(head)
        } else {
            Error::e_explain(ErrorType::InvalidHTTPHeader, "a head that cannot be trusted")
        }
    }

    /// Waits for the next head, after an interim one.
    ///
    /// # Errors
    ///
    /// How the origin failed.
    pub async fn next_head(&mut self) -> Result<ResponseHeader, Failure> {
        self.read_head().await.map_err(|error| failure(&error))
    }

    /// Waits for the next piece of the body; `None` after the last.
    ///
    /// # Errors
    ///
    /// How the origin failed: the body is not whole then.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let piece = self.session.read_response_body().await.map_err(|error| failure(&error))?;
            match piece {
                Some(piece) if piece.is_empty() => {}
                piece => return Ok(piece),
            }
        }
    }

    /// Waits for the whole body, `limit` bytes at most.
    ///
    /// # Errors
    ///
    /// How the origin failed; that it sends more is a failure too.
    pub async fn body(&mut self, limit: u64) -> Result<Vec<Bytes>, Failure> {
        let mut pieces = Vec::new();
        let mut room = limit;
        while let Some(piece) = self.piece().await? {
            room = room.checked_sub(piece.len() as u64).ok_or(Failure::Invalid)?;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// Keeps the connection for another request, if it can be kept. To be called after the last
    /// piece.
    pub async fn finish(mut self) {
        if let HttpSession::H1(session) = &mut self.session {
            session.respect_keepalive();
        }
        let idle = self.peer.options.idle_timeout;
        self.connections.put_back(self.session, &self.peer, idle).await;
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Whether the framing and the status of a head leave no doubt (RFC 9112 §6.1, RFC 9110 §15).
fn is_acceptable(head: &ResponseHeader) -> bool {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(one), None) => one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    let switching = head.status == http::StatusCode::SWITCHING_PROTOCOLS;
    plain && !switching && (100..600).contains(&head.status.as_u16())
}

fn for_h2(request: &RequestHeader, tls: bool) -> Result<RequestHeader, BError> {
    let mut request = request.clone();
    let host = request.remove_header(&header::HOST);
    let host = host.as_ref().map_or(&b""[..], |host| host.as_bytes());
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = http::Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(host)
        .path_and_query(path)
        .build();
    let uri = uri.map_err(|error| {
        Error::because(ErrorType::InvalidHTTPHeader, "a host that HTTP/2 cannot carry", error)
    })?;
    request.set_uri(uri);
    request.set_version(Version::HTTP_2);
    Ok(request)
}
