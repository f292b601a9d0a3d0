//! What the scripted origin does with one request.

use std::time::{Duration, SystemTime};

use super::Gate;

/// An answer of the origin: by default 200, with `Date` and `Content-Length`.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(super) before: Vec<Step>,
    pub(super) reads_body_first: bool,
    status: u16,
    fields: Vec<(String, String)>,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Sized(Vec<u8>),
    Chunked {
        chunks: Vec<Vec<u8>>,
        trailers: String,
    },
    UntilClose(Vec<u8>),
    /// Says `promised` bytes, sends fewer, and closes or resets.
    Cut {
        promised: usize,
        sent: Vec<u8>,
        after: After,
    },
    /// Sends the first part, then the rest when the gate opens.
    Held {
        first: Vec<u8>,
        gate: Gate,
        rest: Vec<u8>,
    },
    Endless,
    /// One piece after another, each in a write of its own and each when its gate, if it has one,
    /// is open.
    Pieces {
        pieces: Vec<(Vec<u8>, Option<Gate>)>,
        framing: Framing,
    },
    /// No head of ours at all.
    Steps(Vec<Step>, After),
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    Sized,
    Chunked,
    UntilClose,
}

/// One thing that the origin does on the connection.
#[derive(Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Gate),
    Pause(Duration),
    SendForever(Vec<u8>),
    /// Sends back what comes, until the peer closes.
    Echo,
}

/// What becomes of the connection then.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum After {
    Keep,
    Close,
    Reset,
}

impl Answer {
    pub(crate) fn ok(body: &str) -> Self {
        Self::with(200, Body::Sized(body.as_bytes().to_vec()))
    }

    /// A body that is no text.
    pub(crate) fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self::with(200, Body::Sized(body.into()))
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::with(status, Body::Sized(Vec::new()))
    }

    /// A cacheable answer: `ok` with that `Cache-Control`.
    pub(crate) fn cached(body: &str, cache_control: &str) -> Self {
        Self::ok(body).field("Cache-Control", cache_control)
    }

    pub(crate) fn chunked(chunks: &[&str]) -> Self {
        Self::chunked_with_trailers(chunks, "")
    }

    /// `trailers` are field lines, each with its line end.
    pub(crate) fn chunked_with_trailers(chunks: &[&str], trailers: &str) -> Self {
        let chunks = chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect();
        Self::with(200, Body::Chunked { chunks, trailers: trailers.to_owned() })
    }

    /// A body whose end is the end of the connection.
    pub(crate) fn until_close(body: &str) -> Self {
        Self::with(200, Body::UntilClose(body.as_bytes().to_vec()))
    }

    /// Promises `promised` bytes, sends `sent`, and closes.
    pub(crate) fn cut(promised: usize, sent: &str) -> Self {
        let sent = sent.as_bytes().to_vec();
        Self::with(200, Body::Cut { promised, sent, after: After::Close })
    }

    /// Promises `promised` bytes, sends `sent`, and resets the connection.
    pub(crate) fn reset(promised: usize, sent: &str) -> Self {
        let sent = sent.as_bytes().to_vec();
        Self::with(200, Body::Cut { promised, sent, after: After::Reset })
    }

    /// Sends `first`, and `rest` once the gate is open.
    pub(crate) fn held(first: &str, gate: &Gate, rest: &str) -> Self {
        let (first, rest) = (first.as_bytes().to_vec(), rest.as_bytes().to_vec());
        Self::with(200, Body::Held { first, gate: gate.clone(), rest })
    }

    /// Sends the pieces one by one.
    pub(crate) fn pieces(pieces: Vec<Vec<u8>>, framing: Framing) -> Self {
        let pieces = pieces.into_iter().map(|piece| (piece, None)).collect();
        Self::with(200, Body::Pieces { pieces, framing })
    }

    /// Sends chunks one by one, each when its gate is open.
    pub(crate) fn gated(pieces: &[(&str, &Gate)]) -> Self {
        let owned =
            |(piece, gate): &(&str, &Gate)| (piece.as_bytes().to_vec(), Some((*gate).clone()));
        let pieces = pieces.iter().map(owned).collect();
        Self::with(200, Body::Pieces { pieces, framing: Framing::Chunked })
    }

    pub(crate) fn endless() -> Self {
        Self::with(200, Body::Endless)
    }

    /// These bytes and nothing else, then the end of the connection.
    pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Self {
        let steps = vec![Step::Send(bytes.as_ref().to_vec())];
        Self::with(0, Body::Steps(steps, After::Close))
    }

    /// These bytes; the connection stays open.
    pub(crate) fn raw_kept(bytes: impl AsRef<[u8]>) -> Self {
        let steps = vec![Step::Send(bytes.as_ref().to_vec())];
        Self::with(0, Body::Steps(steps, After::Keep))
    }

    /// These bytes, then back whatever comes: a WebSocket of sorts.
    pub(crate) fn raw_then_echo(bytes: &str) -> Self {
        let steps = vec![Step::Send(bytes.as_bytes().to_vec()), Step::Echo];
        Self::with(0, Body::Steps(steps, After::Close))
    }

    /// Closes without a word.
    pub(crate) fn closes() -> Self {
        Self::with(0, Body::Steps(Vec::new(), After::Close))
    }

    /// Resets without a word.
    pub(crate) fn resets() -> Self {
        Self::with(0, Body::Steps(Vec::new(), After::Reset))
    }

    /// Never says a word.
    pub(crate) fn silent() -> Self {
        Self::with(0, Body::Steps(vec![Step::Wait(Gate::closed())], After::Close))
    }

    fn with(status: u16, body: Body) -> Self {
        Self { before: Vec::new(), reads_body_first: true, status, fields: Vec::new(), body }
    }

    pub(crate) fn code(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a 1xx first; `lines` are field lines, each with its line end.
    pub(crate) fn after_interim(mut self, status: u16, lines: &str) -> Self {
        let head = format!("HTTP/1.1 {status} Interim\r\n{lines}\r\n");
        self.before.push(Step::Send(head.into_bytes()));
        self
    }

    /// Says nothing until the gate is open.
    pub(crate) fn when_open(mut self, gate: &Gate) -> Self {
        self.before.push(Step::Wait(gate.clone()));
        self
    }

    /// Takes so long to answer.
    pub(crate) fn taking(mut self, time: Duration) -> Self {
        self.before.push(Step::Pause(time));
        self
    }

    /// Answers without having read the body of the request.
    pub(crate) fn before_the_body(mut self) -> Self {
        self.reads_body_first = false;
        self
    }

    /// What to do, for a request with that method, and what becomes of the connection.
    pub(super) fn steps(&self, method: &str) -> (Vec<Step>, After) {
        let mut steps = self.before.clone();
        let (framing, body, after) = self.framed();
        let raw = matches!(self.body, Body::Steps(..));
        if !raw {
            steps.push(Step::Send(self.head(&framing)));
        }
        let bodiless = method == "HEAD" || matches!(self.status, 204 | 304);
        if raw || !bodiless {
            steps.extend(body);
        }
        (steps, after)
    }

    fn framed(&self) -> (String, Vec<Step>, After) {
        let sized = |length: usize| format!("Content-Length: {length}\r\n");
        match &self.body {
            Body::Sized(_) if matches!(self.status, 204 | 304) => {
                (String::new(), Vec::new(), After::Keep)
            }
            Body::Sized(body) => (sized(body.len()), vec![Step::Send(body.clone())], After::Keep),
            Body::Chunked { chunks, trailers } => {
                let sent = vec![Step::Send(chunked(chunks, trailers))];
                ("Transfer-Encoding: chunked\r\n".to_owned(), sent, After::Keep)
            }
            Body::UntilClose(body) => {
                let framing = "Connection: close\r\n".to_owned();
                (framing, vec![Step::Send(body.clone())], After::Close)
            }
            Body::Cut { promised, sent, after } => {
                (sized(*promised), vec![Step::Send(sent.clone())], *after)
            }
            Body::Held { first, gate, rest } => {
                let (first, rest) = (Step::Send(first.clone()), Step::Send(rest.clone()));
                let length = self.held_length();
                (sized(length), vec![first, Step::Wait(gate.clone()), rest], After::Keep)
            }
            Body::Endless => {
                let chunk = chunked(&[vec![b'x'; 16 * 1024]], "");
                // Without the last chunk, which would end it.
                let chunk = chunk.strip_suffix(b"0\r\n\r\n").expect("it ends so").to_vec();
                let framing = "Transfer-Encoding: chunked\r\n".to_owned();
                (framing, vec![Step::SendForever(chunk)], After::Close)
            }
            Body::Pieces { pieces, framing } => in_pieces(pieces, *framing),
            Body::Steps(steps, after) => (String::new(), steps.clone(), *after),
        }
    }

    fn held_length(&self) -> usize {
        match &self.body {
            Body::Held { first, rest, .. } => first.len() + rest.len(),
            Body::Sized(_)
            | Body::Chunked { .. }
            | Body::UntilClose(_)
            | Body::Cut { .. }
            | Body::Endless
            | Body::Pieces { .. }
            | Body::Steps(..) => 0,
        }
    }

    fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
            head.push_str(&format!("Date: {}\r\n", seconds_ago(0)));
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(framing);
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// The framing of `pieces`, what is done to send them, and what becomes of the connection.
fn in_pieces(pieces: &[(Vec<u8>, Option<Gate>)], framing: Framing) -> (String, Vec<Step>, After) {
    let as_sent = |piece: &[u8]| match framing {
        Framing::Sized | Framing::UntilClose => piece.to_vec(),
        Framing::Chunked => [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat(),
    };
    let mut steps = Vec::new();
    // An empty chunk would be the last.
    for (piece, gate) in pieces.iter().filter(|(piece, _)| !piece.is_empty()) {
        steps.extend(gate.clone().map(Step::Wait));
        steps.push(Step::Send(as_sent(piece)));
    }
    match framing {
        Framing::Sized => {
            let length: usize = pieces.iter().map(|(piece, _)| piece.len()).sum();
            (format!("Content-Length: {length}\r\n"), steps, After::Keep)
        }
        Framing::Chunked => {
            steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
            ("Transfer-Encoding: chunked\r\n".to_owned(), steps, After::Keep)
        }
        Framing::UntilClose => ("Connection: close\r\n".to_owned(), steps, After::Close),
    }
}

fn chunked(chunks: &[Vec<u8>], trailers: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in chunks {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("0\r\n{trailers}\r\n").bytes());
    bytes
}

/// The date of so many seconds ago, as fields write it.
pub(crate) fn seconds_ago(seconds: u64) -> String {
    httpdate::fmt_http_date(now() - Duration::from_secs(seconds))
}

/// The date in so many seconds, as fields write it.
pub(crate) fn in_seconds(seconds: u64) -> String {
    httpdate::fmt_http_date(now() + Duration::from_secs(seconds))
}

#[expect(clippy::disallowed_methods, reason = "the scripted origin has a clock of its own")]
fn now() -> SystemTime {
    SystemTime::now()
}
