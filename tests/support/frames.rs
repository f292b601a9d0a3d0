//! HTTP/2 frames written by hand, for what no honest client sends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Edge, soon};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// One request on stream 1.
pub(crate) struct Frames {
    fields: Vec<u8>,
    body: Option<Vec<u8>>,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The stream was reset, or the connection ended.
    Refused,
    /// An answer with status 400.
    BadRequest,
    /// An answer with some other status.
    Answered,
}

impl Frames {
    /// A request with exactly these fields, pseudo-header fields included.
    pub(crate) fn new(fields: &[(&str, &str)]) -> Self {
        let mut block = Vec::new();
        for (name, value) in fields {
            // Literal, not indexed, name in full (RFC 7541 section 6.2.2).
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).expect("short enough for one byte"));
                block.extend(text.bytes());
            }
        }
        Self { fields: block, body: None }
    }

    /// A GET of `target` with further fields.
    pub(crate) fn get(target: &str, fields: &[(&str, &str)]) -> Self {
        Self::with_method("GET", target, fields)
    }

    pub(crate) fn with_method(method: &str, target: &str, fields: &[(&str, &str)]) -> Self {
        let mut all = vec![
            (":method", method),
            (":scheme", "http"),
            (":authority", "edge.test"),
            (":path", target),
        ];
        all.extend(fields);
        Self::new(&all)
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.as_bytes().to_vec());
        self
    }

    pub(crate) async fn send(self, edge: &Edge) -> Outcome {
        let mut stream = TcpStream::connect(edge.address("web")).await.expect("it listens");
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        let end = if self.body.is_some() { 0 } else { END_STREAM };
        bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &self.fields));
        if let Some(body) = &self.body {
            bytes.extend(frame(DATA, END_STREAM, 1, body));
        }
        stream.write_all(&bytes).await.expect("it can be written to");
        soon("an outcome of the frames", outcome(&mut stream)).await
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

async fn outcome(stream: &mut TcpStream) -> Outcome {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Outcome::Refused;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a frame fits in memory")];
        if stream.read_exact(&mut payload).await.is_err() {
            return Outcome::Refused;
        }
        match (head[3], head[4]) {
            (RESET_STREAM | GO_AWAY, _) => return Outcome::Refused,
            (HEADERS, _) if is_bad_request(&payload) => return Outcome::BadRequest,
            (HEADERS, _) => return Outcome::Answered,
            (SETTINGS, 0) => {
                // The peer may have closed; then the next read says so.
                drop(stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await);
            }
            _ => {}
        }
    }
}

/// Whether a header block starts with `:status: 400`, entry 12 of the static
/// table, after any changes of the table's size.
fn is_bad_request(block: &[u8]) -> bool {
    block.iter().find(|byte| **byte & 0b1110_0000 != 0b0010_0000) == Some(&0x8c)
}
