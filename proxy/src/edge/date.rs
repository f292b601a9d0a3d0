//! Keeps the `Date` of an answer as its origin sent it (RFC 9110 §6.6.1).
//!
//! Pingora writes the present into `Date` of every HTTP/1 head. This stream sits between it and
//! the connection and puts back what the answer had; a date always has 29 bytes.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType, raw_connect, tls,
};
use pingora::proxy::Session;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a date is written, always.
const LENGTH: usize = 29;
/// What comes before it in a head.
const NAME: &[u8] = b"\r\nDate: ";

/// A connection whose next head gets the date that was set.
#[derive(Debug)]
pub struct Dated {
    inner: Stream,
    date: Mutex<Option<[u8; LENGTH]>>,
    /// A head with its date put back, that is not written out yet.
    patched: Bytes,
}

impl Dated {
    /// Wraps `stream`.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self { inner: stream, date: Mutex::new(None), patched: Bytes::new() }
    }

    fn take_date(&mut self) -> Option<[u8; LENGTH]> {
        self.date.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Sees to it that the date in `head` is the one that goes out.
pub(super) fn keep(session: &Session, head: &ResponseHeader) {
    if head.status == StatusCode::SWITCHING_PROTOCOLS || head.status.is_informational() {
        return;
    }
    let date = head.headers.get(header::DATE);
    let date = date.and_then(|date| <[u8; LENGTH]>::try_from(date.as_bytes()).map_or(None, Some));
    let stream = session.as_ref().stream().and_then(|stream| stream.as_any().downcast_ref());
    if let (Some(date), Some(Dated { date: slot, .. })) = (date, stream) {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(date);
    }
}

/// The bytes of `head` with `date` in place of the one that is there; `None` if none is.
fn patch(head: &[u8], date: [u8; LENGTH]) -> Option<Bytes> {
    let end = head.windows(4).position(|four| four == b"\r\n\r\n")?;
    let fields = head.get(..end)?;
    let at = fields.windows(NAME.len()).position(|part| part.eq_ignore_ascii_case(NAME))?;
    let mut patched = head.to_vec();
    patched.get_mut(at + NAME.len()..at + NAME.len() + LENGTH)?.copy_from_slice(&date);
    Some(patched.into())
}

impl AsyncWrite for Dated {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.patched.is_empty()
            && let Some(date) = this.take_date()
            && let Some(patched) = patch(bytes, date)
        {
            this.patched = patched;
        }
        // The patched bytes are as many as those that they stand for, and a caller that is told
        // that some are written comes back with the rest.
        let out = if this.patched.is_empty() { bytes } else { &this.patched };
        let written = std::task::ready!(Pin::new(&mut this.inner).poll_write(context, out))?;
        if !this.patched.is_empty() {
            this.patched = this.patched.slice(written..);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

impl AsyncRead for Dated {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(context, buffer)
    }
}

#[async_trait]
impl Shutdown for Dated {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl Peek for Dated {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(buffer).await
    }
}

impl UniqueID for Dated {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Dated {
    fn get_ssl(&self) -> Option<&tls::TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<tls::SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Dated {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for Dated {
    fn get_proxy_digest(&self) -> Option<Arc<raw_connect::ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for Dated {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

/// Lets [`keep`] find this stream behind the trait object that pingora holds.
const _: fn(&Dated) -> &dyn Any = |stream| stream;

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &[u8; LENGTH] = b"Thu, 01 Jan 1970 00:00:09 GMT";

    #[test]
    fn puts_the_stored_date_into_a_head() {
        let head = b"HTTP/1.1 200 OK\r\nA: b\r\nDate: Mon, 23 Nov 2026 01:02:03 GMT\r\n\r\nbody";
        let patched = patch(head, *STORED).expect("there is a date");
        let expected = b"HTTP/1.1 200 OK\r\nA: b\r\nDate: Thu, 01 Jan 1970 00:00:09 GMT\r\n\r\nbody";
        assert_eq!(patched, &expected[..]);
    }

    #[test]
    fn leaves_a_body_alone_that_looks_like_a_head() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n\r\nDate: Mon, 23 Nov 2026 01:02:03 GMT\r\n\r\n";
        assert_eq!(patch(head, *STORED), None);
    }
}
