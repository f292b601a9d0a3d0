//! The connection to a client, as pingora sees it, with what pingora leaves to us.
//!
//! - Pingora writes the present into `Date` of every HTTP/1 head. An answer keeps the date that its
//!   origin gave it (RFC 9110 §6.6.1): it is put back here; a date always has 29 bytes.
//! - Whether a connection begins with the preface of HTTP/2 is told as soon as a byte differs, so
//!   that a request shorter than the preface is not kept waiting.
//! - A head that drips in, byte by byte, is cut off after [`SLOWEST_HEAD`].

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType, raw_connect, tls,
};
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;

/// How a date is written, always.
const LENGTH: usize = 29;
/// What comes before it in a head.
const NAME: &[u8] = b"\r\nDate: ";

/// What a client sends first that speaks HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest that a new connection may be silent.
const SLOWEST_START: Duration = Duration::from_secs(60);
/// The longest that a head may take from its first byte to its last.
const SLOWEST_HEAD: Duration = Duration::from_secs(20);

/// A connection to a client.
#[derive(Debug)]
pub struct Downstream {
    inner: Stream,
    stopping: ShutdownWatch,
    /// The client will send no more.
    silent: watch::Sender<bool>,
    told: Mutex<Told>,
    /// A head with its date put back, that is not written out yet.
    patched: Bytes,
    /// Bytes that are written, but not out, nor told of.
    unreported: usize,
    /// What was read to see which protocol the client speaks.
    ahead: Bytes,
}

/// What the rim tells the connection.
#[derive(Debug)]
struct Told {
    /// The date that the next head is to have.
    date: Option<[u8; LENGTH]>,
    /// What is written must not wait for more.
    flush: bool,
    reading: Reading,
}

/// What is being read.
#[derive(Debug)]
enum Reading {
    /// Nothing yet, and then a head.
    Nothing,
    /// A head that began at that moment.
    Head(Instant),
    /// What belongs to a head that is whole, or frames of HTTP/2, which has limits of its own.
    Body,
}

impl Downstream {
    /// Wraps `stream`, on which no request is waited for any more once `stopping` is true.
    #[must_use]
    pub fn new(stream: Stream, stopping: ShutdownWatch) -> Self {
        let http2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        let reading = if http2 { Reading::Body } else { Reading::Nothing };
        Self {
            inner: stream,
            told: Mutex::new(Told { date: None, flush: false, reading }),
            stopping,
            silent: watch::Sender::new(false),
            patched: Bytes::new(),
            unreported: 0,
            ahead: Bytes::new(),
        }
    }

    fn told(&mut self) -> &mut Told {
        self.told.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until it is clear whether this is HTTP/2; `length` bytes at most tell it.
    async fn read_ahead(&mut self, length: usize) -> io::Result<()> {
        let mut read = BytesMut::with_capacity(length);
        while read.len() < length && PREFACE.starts_with(&read) {
            if self.inner.read_buf(&mut read).await? == 0 {
                break;
            }
        }
        self.ahead = read.freeze();
        Ok(())
    }

    /// Counts the time since the first byte of a head; called when bytes have come.
    fn head_is_late(&mut self) -> bool {
        let reading = &mut self.told().reading;
        match reading {
            Reading::Nothing => {
                *reading = Reading::Head(Instant::now());
                false
            }
            Reading::Head(began) => began.elapsed() > SLOWEST_HEAD,
            Reading::Body => false,
        }
    }
}

/// Notes that the head of the request is whole.
pub(super) fn head_is_whole(session: &ServerSession) {
    tell(session, |told| told.reading = Reading::Body);
}

/// Notes that the body is arriving: each piece is to go out when it is written.
pub(super) fn is_arriving(session: &ServerSession) {
    tell(session, |told| told.flush = true);
}

/// Notes that the request is answered, so that another one may follow.
pub(super) fn is_answered(session: &ServerSession) {
    tell(session, |told| {
        told.flush = false;
        told.reading = Reading::Nothing;
    });
}

/// Waits until the client will send no more and the edge is stopping: then what it waits for is
/// not worth the wait.
pub(super) fn deserted(session: &ServerSession) -> impl Future<Output = ()> + use<> {
    let watches = stream(session).map(|this| (this.silent.subscribe(), this.stopping.clone()));
    async move {
        let Some((mut silent, mut stopping)) = watches else { return pending().await };
        let both = async {
            silent.wait_for(|silent| *silent).await.is_ok()
                && stopping.wait_for(|stopping| *stopping).await.is_ok()
        };
        if !both.await {
            pending::<()>().await;
        }
    }
}

fn stream(session: &ServerSession) -> Option<&Downstream> {
    session.stream()?.as_any().downcast_ref()
}

fn tell(session: &ServerSession, change: impl FnOnce(&mut Told)) {
    if let Some(Downstream { told, .. }) = stream(session) {
        change(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Sees to it that the date in `head` is the one that goes out.
pub(super) fn keep_date(session: &ServerSession, head: &ResponseHeader) {
    if head.status.is_informational() {
        return;
    }
    let date = head.headers.get(header::DATE);
    let date = date.and_then(|date| date.as_bytes().first_chunk::<LENGTH>().copied());
    tell(session, |told| told.date = date);
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

impl AsyncWrite for Downstream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.unreported > 0 {
            ready!(Pin::new(&mut this.inner).poll_flush(context))?;
            return Poll::Ready(Ok(std::mem::take(&mut this.unreported)));
        }
        if this.patched.is_empty()
            && let Some(date) = this.told().date.take()
            && let Some(patched) = patch(bytes, date)
        {
            this.patched = patched;
        }
        // The patched bytes are as many as those that they stand for, and a caller that is told
        // that some are written comes back with the rest.
        let out = if this.patched.is_empty() { bytes } else { &this.patched };
        let written = ready!(Pin::new(&mut this.inner).poll_write(context, out))?;
        if !this.patched.is_empty() {
            this.patched = this.patched.slice(written..);
        }
        if this.told().flush {
            // Told as written when it is out; until then the caller comes back with the same.
            this.unreported = written;
            ready!(Pin::new(&mut this.inner).poll_flush(context))?;
            this.unreported = 0;
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

impl AsyncRead for Downstream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let some = this.ahead.split_to(this.ahead.len().min(buffer.remaining()));
            buffer.put_slice(&some);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        if buffer.filled().len() == before {
            this.silent.send_replace(buffer.remaining() > 0);
        } else if this.head_is_late() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Shutdown for Downstream {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl Peek for Downstream {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut stopping = self.stopping.clone();
        // What has come already is answered, also in the last moment.
        tokio::select! {
            biased;
            read = timeout(SLOWEST_START, self.read_ahead(buffer.len())) => read??,
            _ = stopping.wait_for(|stopping| *stopping) => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        if self.ahead.starts_with(PREFACE) {
            self.told().reading = Reading::Body;
        }
        let peeked = self.ahead.get(..buffer.len()).unwrap_or(&self.ahead);
        buffer.fill(0);
        for (to, from) in buffer.iter_mut().zip(peeked) {
            *to = *from;
        }
        Ok(true)
    }
}

impl UniqueID for Downstream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Downstream {
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

impl GetTimingDigest for Downstream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for Downstream {
    fn get_proxy_digest(&self) -> Option<Arc<raw_connect::ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for Downstream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &[u8; LENGTH] = b"Thu, 01 Jan 1970 00:00:09 GMT";

    #[test]
    fn puts_the_stored_date_into_a_head() {
        let head = b"HTTP/1.1 200 OK\r\nA: b\r\nDate: Mon, 23 Nov 2026 01:02:03 GMT\r\n\r\nbody";
        let patched = patch(head, *STORED).expect("there is a date");
        let expected =
            b"HTTP/1.1 200 OK\r\nA: b\r\nDate: Thu, 01 Jan 1970 00:00:09 GMT\r\n\r\nbody";
        assert_eq!(patched, &expected[..]);
    }

    #[test]
    fn leaves_a_body_alone_that_looks_like_a_head() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n\r\nDate: Mon, 23 Nov 2026 01:02:03 GMT\r\n\r\n";
        assert_eq!(patch(head, *STORED), None);
    }
}
