//! A scripted origin: it answers each path as the test says and remembers every
//! request just as it came.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::answer::{After, Step};
use super::{Answer, soon};

pub(crate) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// A request as the origin got it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Every field line in the order of arrival.
    pub(crate) lines: Vec<(String, String)>,
    /// What has come of the body so far, transfer coding removed.
    pub(crate) body: Vec<u8>,
    /// How many requests for the same path came before.
    pub(crate) earlier: usize,
    /// Which connection it came over, counted from 0.
    pub(crate) connection: usize,
}

impl Received {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let named = |line: &&(String, String)| line.0.eq_ignore_ascii_case(name);
        let values: Vec<_> = self.lines.iter().filter(named).map(|line| line.1.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().expect("a split has a first part")
    }
}

type Script = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    requests: Vec<Received>,
    /// Per path: requests that are being answered, and the most there ever were.
    at_once: HashMap<String, (usize, usize)>,
    connections: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_replace(());
        changed
    }
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { state, changed: watch::Sender::new(()) });
        let accepting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            // They end with the task.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("it listens");
                let connection = accepting.change(|state| {
                    state.connections += 1;
                    state.connections - 1
                });
                let shared = Arc::clone(&accepting);
                // The edge may hang up whenever it likes.
                connections.spawn(async move { drop(converse(stream, connection, &shared).await) });
            }
        });
        Self { address, shared, task }
    }

    /// An origin that answers one path, always the same.
    pub(crate) async fn with(path: &str, answer: Answer) -> Self {
        let origin = Self::start().await;
        origin.answers(path, answer);
        origin
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn answers(&self, path: &str, answer: Answer) {
        self.answers_by(path, move |_| answer.clone());
    }

    /// The answers one after another; the last one again and again.
    pub(crate) fn answers_each(&self, path: &str, answers: Vec<Answer>) {
        let last = answers.len() - 1;
        self.answers_by(path, move |request| answers[request.earlier.min(last)].clone());
    }

    pub(crate) fn answers_by(
        &self,
        path: &str,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) {
        self.shared.state().scripts.insert(path.to_owned(), Arc::new(script));
    }

    /// Ends every connection and refuses new ones, as a dead server does.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let stopped = soon("the origin to stop", &mut self.task).await;
        assert!(stopped.is_err(), "it accepts until it is stopped");
    }

    /// The requests for a path so far.
    pub(crate) fn requests(&self, path: &str) -> Vec<Received> {
        let state = self.shared.state();
        state.requests.iter().filter(|request| request.path() == path).cloned().collect()
    }

    /// All requests so far.
    pub(crate) fn all(&self) -> Vec<Received> {
        self.shared.state().requests.clone()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests(path).len()
    }

    /// The last request for a path.
    #[track_caller]
    pub(crate) fn last(&self, path: &str) -> Received {
        self.requests(path).pop().unwrap_or_else(|| panic!("no request for {path}"))
    }

    /// The most requests for a path that were being answered at the same time.
    pub(crate) fn most_at_once(&self, path: &str) -> usize {
        self.shared.state().at_once.get(path).map_or(0, |counts| counts.1)
    }

    /// Waits until so many requests for a path have come.
    pub(crate) async fn has_seen(&self, path: &str, count: usize) {
        let what = format!("{count} requests for {path} at the origin");
        self.until(&what, |state| {
            state.requests.iter().filter(|request| request.path() == path).count() >= count
        })
        .await;
    }

    /// Waits until the body of the last request for a path is this.
    pub(crate) async fn has_read(&self, path: &str, body: &[u8]) {
        let what = format!("{} bytes of a body for {path} at the origin", body.len());
        self.until(&what, |state| {
            let last = state.requests.iter().rev().find(|request| request.path() == path);
            last.is_some_and(|request| request.body == body)
        })
        .await;
    }

    async fn until(&self, what: &str, reached: impl Fn(&State) -> bool) {
        let mut changes = self.shared.changed.subscribe();
        let wait = async {
            while !reached(&self.shared.state()) {
                changes.changed().await.expect("the origin holds the sender");
            }
        };
        soon(what, wait).await;
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers the requests of one connection until either side ends it.
async fn converse(stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    // Or each further piece of an answer waits until the one before is acknowledged.
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_head(&mut stream, connection).await? {
        let path = request.path().to_owned();
        let (index, script) = shared.change(|state| {
            let same = |other: &&Received| other.path() == path;
            request.earlier = state.requests.iter().filter(same).count();
            state.requests.push(request.clone());
            let counts = state.at_once.entry(path.clone()).or_default();
            counts.0 += 1;
            counts.1 = counts.1.max(counts.0);
            (state.requests.len() - 1, state.scripts.get(&path).cloned())
        });
        let answer = script.map_or_else(unscripted, |script| script(&request));
        let outcome = answer_one(&mut stream, &request, &answer, |part: &[u8]| {
            shared.change(|state| state.requests[index].body.extend(part));
        })
        .await;
        shared.change(|state| state.at_once.entry(path).or_default().0 -= 1);
        match outcome? {
            After::Keep => {}
            After::Close => return Ok(()),
            After::Reset => return stream.get_ref().set_zero_linger(),
        }
    }
    Ok(())
}

fn unscripted() -> Answer {
    Answer::ok("not scripted").code(404).field("Cache-Control", "no-store")
}

async fn read_head(
    stream: &mut BufReader<TcpStream>,
    connection: usize,
) -> io::Result<Option<Received>> {
    let Some(first) = read_line(stream).await? else { return Ok(None) };
    let mut words = first.splitn(3, ' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut lines = Vec::new();
    while let Some(line) = read_line(stream).await?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        lines.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Some(Received { method, target, lines, body: Vec::new(), earlier: 0, connection }))
}

/// A line without its end, or nothing at the end of the connection.
async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&line);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn answer_one(
    stream: &mut BufReader<TcpStream>,
    request: &Received,
    answer: &Answer,
    mut keep: impl FnMut(&[u8]),
) -> io::Result<After> {
    if answer.reads_body_first {
        read_body(stream, request, &mut keep).await?;
    }
    let (steps, after) = answer.steps(&request.method);
    for step in steps {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).await?,
            Step::Wait(gate) => gate.passed().await,
            Step::Pause(time) => tokio::time::sleep(time).await,
            Step::SendForever(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Step::Echo => echo(stream).await?,
        }
    }
    if !answer.reads_body_first && after == After::Keep {
        read_body(stream, request, &mut keep).await?;
    }
    Ok(after)
}

async fn read_body(
    stream: &mut BufReader<TcpStream>,
    request: &Received,
    keep: &mut impl FnMut(&[u8]),
) -> io::Result<()> {
    let expects = request.field("expect");
    if expects.is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if request.field("transfer-encoding").is_some() {
        return read_chunks(stream, keep).await;
    }
    match request.field("content-length") {
        Some(length) => {
            let length = length.parse().map_err(io::Error::other)?;
            read_sized(stream, length, keep).await
        }
        None => Ok(()),
    }
}

async fn read_sized(
    stream: &mut BufReader<TcpStream>,
    mut left: usize,
    keep: &mut impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut part = vec![0; 16 * 1024];
    while left > 0 {
        let wanted = left.min(part.len());
        let read = stream.read(&mut part[..wanted]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        keep(&part[..read]);
        left -= read;
    }
    Ok(())
}

async fn read_chunks(
    stream: &mut BufReader<TcpStream>,
    keep: &mut impl FnMut(&[u8]),
) -> io::Result<()> {
    loop {
        let line = read_line(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let digits = line.split(';').next().unwrap_or("").trim();
        let size = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
        read_sized(stream, size, keep).await?;
        if size > 0 {
            read_line(stream).await?;
            continue;
        }
        while read_line(stream).await?.is_some_and(|line| !line.is_empty()) {}
        return Ok(());
    }
}

async fn echo(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    loop {
        let part = stream.fill_buf().await?.to_vec();
        if part.is_empty() {
            return Ok(());
        }
        stream.consume(part.len());
        stream.write_all(&part).await?;
    }
}
