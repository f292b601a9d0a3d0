//! A client of HTTP/1.1 that sends any bytes and shows every line it is sent.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Reply, Request, soon};

/// A byte stream of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

type Lines = Vec<(String, String)>;

impl Connection {
    /// Connects to `address`, which is `host:port`.
    pub(crate) async fn open(address: &str) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self::over(stream.expect("it listens"))
    }

    pub(super) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: BufReader::new(Box::new(stream)) }
    }

    /// Sends bytes as they are.
    ///
    /// A peer that has closed already is not a fault here: what it answered
    /// before is what counts.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let written = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        drop(soon("to write a request", written).await);
    }

    /// Sends no more, and waits for what is answered.
    pub(crate) async fn send_no_more(&mut self) {
        drop(soon("to end what is sent", self.stream.shutdown()).await);
    }

    pub(crate) async fn request(&mut self, request: &Request) -> Reply {
        self.send(request.http1()).await;
        self.reply(&request.method).await
    }

    /// The answer, or nothing where the connection ends before its head.
    pub(crate) async fn request_or_end(&mut self, request: &Request) -> Option<Reply> {
        self.send(request.http1()).await;
        self.next_reply(&request.method).await
    }

    /// The next answer, to a request with that method.
    pub(crate) async fn reply(&mut self, method: &str) -> Reply {
        self.next_reply(method).await.expect("an answer before the connection closes")
    }

    /// The next answer, or nothing where the connection ends first.
    pub(crate) async fn next_reply(&mut self, method: &str) -> Option<Reply> {
        soon("an answer", self.read_reply(method)).await
    }

    /// An answer that nobody asked for, where one comes within a short while.
    pub(crate) async fn next_reply_or_idle(&mut self, method: &str) -> Option<Reply> {
        let soon = tokio::time::timeout(Duration::from_millis(300), self.read_reply(method));
        soon.await.unwrap_or(None)
    }

    /// The next head alone; the body stays to be read with `bytes`.
    pub(crate) async fn head(&mut self) -> Reply {
        soon("the head of an answer", self.read_head()).await.expect("a head")
    }

    /// The next 1xx answer that is not 101: its status and its field lines.
    pub(crate) async fn interim(&mut self) -> (u16, Vec<(String, String)>) {
        let first = soon("an interim answer", self.line()).await.expect("a status line");
        let code = first.get(9..12).expect("a status").parse().expect("a number");
        (code, self.field_lines().await.expect("the fields of a head"))
    }

    /// The next `count` bytes as they are.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = soon("more bytes", self.stream.read_exact(&mut bytes)).await;
        read.expect("the connection stays open");
        bytes
    }

    /// All that comes until the connection ends, in whichever way.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while soon("more bytes", self.stream.read_buf(&mut bytes)).await.is_ok_and(|more| more > 0)
        {
        }
        bytes
    }

    /// The next chunk of a body.
    pub(crate) async fn chunk(&mut self) -> Vec<u8> {
        let size = soon("the size of a chunk", self.line()).await.expect("a chunk");
        let size = usize::from_str_radix(&size, 16).expect("a chunk size");
        let chunk = self.bytes(size).await;
        soon("the end of a chunk", self.line()).await.expect("a line end");
        chunk
    }

    /// Whether the peer ends the connection without sending anything more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        !matches!(soon("the end of the connection", self.stream.read(&mut byte)).await, Ok(1..))
    }

    async fn read_reply(&mut self, method: &str) -> Option<Reply> {
        let mut reply = self.read_head().await?;
        let bodiless = method == "HEAD" || matches!(reply.code, 101 | 204 | 304);
        if bodiless {
            return Some(reply);
        }
        let chunked = reply
            .field("transfer-encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked"));
        let ended = if chunked {
            self.read_chunks(&mut reply).await
        } else if let Some(length) = reply.field("content-length") {
            self.read_sized(&mut reply, length.parse().expect("one Content-Length")).await
        } else {
            self.stream.read_to_end(&mut reply.bytes).await.map(|_| true)
        };
        reply.whole = ended.unwrap_or(false);
        Some(reply)
    }

    async fn read_head(&mut self) -> Option<Reply> {
        let mut interim = Vec::new();
        loop {
            let first = self.line().await?;
            let (version, rest) = first.split_once(' ').expect("a status line");
            assert!(version.starts_with("HTTP/1."), "not a status line: {first:?}");
            let code: u16 = rest.get(..3).expect("a status").parse().expect("a number");
            let lines = self.field_lines().await?;
            if (100..200).contains(&code) && code != 101 {
                interim.push((code, lines));
                continue;
            }
            let (bytes, trailers) = (Vec::new(), Vec::new());
            return Some(Reply { code, lines, bytes, trailers, interim, whole: true });
        }
    }

    async fn field_lines(&mut self) -> Option<Lines> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(lines);
            }
            let (name, value) = line.split_once(':').expect("a field line has a colon");
            lines.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// One line without its end, or nothing where the connection ends first.
    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await;
        if read.is_err() || !line.ends_with(b"\r\n") {
            return None;
        }
        line.truncate(line.len() - 2);
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    async fn read_sized(&mut self, reply: &mut Reply, length: u64) -> io::Result<bool> {
        let read = (&mut self.stream).take(length).read_to_end(&mut reply.bytes).await?;
        Ok(read as u64 == length)
    }

    async fn read_chunks(&mut self, reply: &mut Reply) -> io::Result<bool> {
        loop {
            let Some(size) = self.line().await else { return Ok(false) };
            let digits = size.split(';').next().unwrap_or("").trim();
            let size = u64::from_str_radix(digits, 16).expect("a chunk size");
            if size == 0 {
                let Some(trailers) = self.field_lines().await else { return Ok(false) };
                reply.trailers = trailers;
                return Ok(true);
            }
            let whole = self.read_sized(reply, size).await?;
            if !whole || self.line().await.is_none() {
                return Ok(false);
            }
        }
    }
}
