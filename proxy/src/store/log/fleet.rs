//! The log that a fleet of edges shares: a stream in Redis.
//!
//! Each edge reads it on a connection of its own and does what it says, in its order. It begins with
//! the first entry that is there, and takes all that was stored before that for purged; so it does
//! where what it read last is not there any more.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use forebay_config::RedisUrl;
use log::{info, warn};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::entry::Strange;
use super::local::Local;
use super::wish::Wish;
use super::{Taking, entry, with_causes};
use crate::store::position::Position;
use crate::store::redis::{Connector, Link};
use crate::time::{self, Timestamp};

/// How many entries the stream has, more or less.
const MOST_ENTRIES: usize = 65_536;
/// How many entries are read at a time.
const BATCH: usize = 256;
/// How long a read waits for an entry, and with it how often an edge says how far it is.
const WAIT: Duration = Duration::from_secs(1);
/// How long Redis may take for anything else.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait after the first attempt that fails; each further wait is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait between two attempts at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Edges that were not seen for this long are not waited for.
const AWAY: Duration = Duration::from_mins(1);
/// Edges that were not seen for this long are forgotten.
const GONE: Duration = Duration::from_mins(60);

/// Why Redis cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// It says that something is wrong, or nothing at all.
    #[error("the Redis of the log")]
    Redis(#[from] RedisError),
    /// It takes too long.
    #[error("the Redis of the log does not answer")]
    Late(#[from] tokio::time::error::Elapsed),
    /// It has not what was read there.
    #[error("the log is not where it was")]
    Elsewhere,
    /// It answers, and not what it was asked.
    #[error("the Redis of the log answers what nobody can read")]
    Strange,
}

impl From<Strange> for Unreachable {
    fn from(Strange: Strange) -> Self {
        Self::Strange
    }
}

/// Which edges have done a purge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edges {
    /// Those that have.
    pub applied: Vec<String>,
    /// Those that were seen in the last minute, and have not.
    pub waiting: Vec<String>,
}

/// How far this edge has read.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    read: Position,
    is_caught_up: bool,
}

pub(super) struct Fleet {
    url: RedisUrl,
    /// What this edge is called among the others, another name at each start.
    edge: String,
    stream: String,
    /// The hash in which each edge says how far it is.
    applied: String,
    /// The log of this edge from when it was alone, if it keeps anything on disk.
    former: Option<PathBuf>,
    /// For all but reading.
    asking: Mutex<Option<Link>>,
    progress: watch::Sender<Progress>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Fleet")
            .field("url", &self.url)
            .field("edge", &self.edge)
            .finish_non_exhaustive()
    }
}

impl Fleet {
    pub(super) fn new(redis: &forebay_config::Redis, former: Option<PathBuf>) -> Self {
        let prefix = &redis.prefix;
        Self {
            url: redis.url.clone(),
            edge: edge_name(),
            stream: format!("{prefix}:purges"),
            applied: format!("{prefix}:applied"),
            former,
            asking: Mutex::default(),
            progress: watch::Sender::default(),
        }
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.progress.borrow().is_caught_up
    }

    /// Resolves once it has caught up.
    pub(super) async fn caught_up(&self) {
        let mut progress = self.progress.subscribe();
        // It is not dropped while it is borrowed.
        drop(progress.wait_for(|progress| progress.is_caught_up).await);
    }

    fn read(&self) -> Position {
        self.progress.borrow().read
    }

    /// Logs a purge and waits until this edge has done it; says where the log has it.
    pub(super) async fn purge(
        &self,
        wish: &Wish,
        taking: &Taking<'_>,
    ) -> Result<Position, Unreachable> {
        let reply = self.ask(&entry::append(&self.stream, &self.edge, wish, MOST_ENTRIES)).await?;
        let id = entry::position(&reply)?;
        let mut progress = self.progress.subscribe();
        let done = async { progress.wait_for(|progress| progress.read >= id).await.is_ok() };
        if !timeout(PATIENCE, done).await.unwrap_or(false) {
            // It is read later, and done again.
            taking.purge(id, wish, super::At::Here).await;
        }
        Ok(id)
    }

    /// Which edges have done the purge `id`.
    pub(super) async fn edges(&self, id: Position) -> Result<Edges, Unreachable> {
        let now = self.now().await?;
        let said = self.ask(redis::cmd("HGETALL").arg(&self.applied)).await?;
        let mut edges = Edges::default();
        let mut gone = Vec::new();
        for (edge, said) in entry::pairs(said)? {
            let (read, seen) = said.split_once(' ').unwrap_or_default();
            // What nobody can read is of an edge that was never seen.
            let seen = Timestamp::from_millis(seen.parse().unwrap_or(0));
            let read = read.parse().unwrap_or(Position::START);
            if seen.after(GONE) < now {
                gone.push(edge);
            } else if read >= id {
                edges.applied.push(edge);
            } else if seen.after(AWAY) >= now {
                edges.waiting.push(edge);
            }
        }
        edges.applied.sort_unstable();
        edges.waiting.sort_unstable();
        if !gone.is_empty() {
            self.ask(redis::cmd("HDEL").arg(&self.applied).arg(gone)).await?;
        }
        Ok(edges)
    }
}

/// What is in the way of reading the log on.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Redis(#[from] Unreachable),
    #[error("cannot hand {path} over to the log in Redis")]
    Former {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

impl Fleet {
    /// Reads the log and does what it says, for ever.
    pub(super) async fn follow(&self, taking: &Taking<'_>) {
        let mut pause = FIRST_PAUSE;
        let mut has_failed = false;
        loop {
            let before = self.read();
            let Err(trouble) = self.run(taking).await;
            if self.read() > before {
                (pause, has_failed) = (FIRST_PAUSE, false);
            }
            if !has_failed {
                let trouble = with_causes(&trouble);
                warn!("the log of purges is not read, which will be tried on: {trouble}");
                has_failed = true;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads on from where it was, until something goes wrong.
    async fn run(&self, taking: &Taking<'_>) -> Result<Infallible, Trouble> {
        self.leave_former(taking).await?;
        let mut connector = self.connector(PATIENCE + WAIT).map_err(Unreachable::from)?;
        let mut link = timeout(PATIENCE, connector.connect())
            .await
            .map_err(Unreachable::from)?
            .map_err(Unreachable::from)?;
        let end = self.find_place(&mut link, taking).await?;
        info!("reading the log of purges from {} on, as {}", self.read(), self.edge);
        loop {
            if self.read() >= end {
                self.progress.send_modify(|progress| progress.is_caught_up = true);
            }
            self.tell(&mut link).await?;
            self.take_batch(&mut link, taking).await?;
        }
    }

    /// Takes what was logged by this edge when it was alone for all that there was.
    async fn leave_former(&self, taking: &Taking<'_>) -> Result<(), Trouble> {
        let Some(path) = self.former.clone().filter(|_| self.read() == Position::START) else {
            return Ok(());
        };
        let file = path.clone();
        let handed = spawn_blocking(move || Local::new(file).hand_over(time::now())).await;
        let floor = handed.map_err(io::Error::other).flatten();
        if let Some(floor) = floor.map_err(|cause| Trouble::Former { path, cause })? {
            taking.forget(floor).await;
        }
        Ok(())
    }

    /// Sees whether the log goes on from where this edge has read it, and begins it if there is none.
    /// Says where its end is.
    async fn find_place(
        &self,
        link: &mut Link,
        taking: &Taking<'_>,
    ) -> Result<Position, Unreachable> {
        let read = self.read();
        let first = self.one(link, &entry::first(&self.stream, "-", "+")).await?;
        let Some(first) = first else { return self.begin(link).await };
        if read < first {
            taking.forget(first).await;
        } else {
            let place = read.to_string();
            let here = self.one(link, &entry::first(&self.stream, &place, &place)).await?;
            if here.is_none() {
                // It was put back to an earlier state: what is missing others may not know at all.
                return self.begin(link).await;
            }
        }
        let last = self.one(link, &entry::last(&self.stream)).await?;
        Ok(last.unwrap_or(first))
    }

    /// Begins the log anew, behind all that this edge has read. Says where.
    async fn begin(&self, link: &mut Link) -> Result<Position, Unreachable> {
        let now = asked(link, &redis::cmd("TIME")).await?;
        let now = entry::time(now)?;
        let begin = entry::begin(&self.stream, &self.edge, self.read().next(now));
        let reply = asked(link, &begin).await?;
        warn!("the log of purges begins anew: what was stored before is dropped");
        Ok(entry::position(&reply)?)
    }

    /// Reads some entries, or waits for one, and does what they say.
    async fn take_batch(&self, link: &mut Link, taking: &Taking<'_>) -> Result<(), Unreachable> {
        let read = self.read();
        let command = entry::read(&self.stream, read, BATCH, WAIT);
        let reply = timeout(WAIT + PATIENCE, link.ask(&command)).await??;
        let entries = entry::read_entries(reply)?;
        if entries.is_empty() {
            let last = self.one(link, &entry::last(&self.stream)).await?;
            return if last == Some(read) { Ok(()) } else { Err(Unreachable::Elsewhere) };
        }
        // Entries that went before they were read do not count as none.
        let first = self.one(link, &entry::first(&self.stream, "-", "+")).await?;
        if let Some(first) = first.filter(|first| *first > read) {
            taking.forget(first).await;
        }
        for (at, event) in &entries {
            taking.event(*at, event).await;
            self.progress.send_modify(|progress| progress.read = *at);
        }
        Ok(())
    }

    /// Tells the others how far this edge is.
    async fn tell(&self, link: &mut Link) -> Result<(), Unreachable> {
        let now = asked(link, &redis::cmd("TIME")).await?;
        let now = entry::time(now)?;
        let said = format!("{} {}", self.read(), now.as_millis());
        asked(link, redis::cmd("HSET").arg(&self.applied).arg(&self.edge).arg(said)).await?;
        Ok(())
    }

    /// Where the one entry is that `command` asks for.
    async fn one(&self, link: &mut Link, command: &Cmd) -> Result<Option<Position>, Unreachable> {
        let entries = entry::entries(asked(link, command).await?)?;
        Ok(entries.first().map(|(at, _)| *at))
    }

    async fn now(&self) -> Result<Timestamp, Unreachable> {
        Ok(entry::time(self.ask(&redis::cmd("TIME")).await?)?)
    }

    /// Sends a command that somebody waits for. Where the connection is lost, another is made once.
    async fn ask(&self, command: &Cmd) -> Result<Value, Unreachable> {
        timeout(PATIENCE, async {
            let former = self.asking.lock().await.clone();
            if let Some(mut link) = former {
                match link.ask(command).await {
                    Err(error) if is_of_connection(&error) => {}
                    reply => return reply,
                }
            }
            let mut asking = self.asking.lock().await;
            *asking = None;
            let mut link = self.connector(PATIENCE)?.connect().await?;
            *asking = Some(link.clone());
            drop(asking);
            link.ask(command).await
        })
        .await?
        .map_err(Unreachable::from)
    }

    fn connector(&self, longest: Duration) -> Result<Connector, RedisError> {
        Connector::new(&self.url, longest)
    }
}

/// Whether another connection may do better, perhaps to another server.
fn is_of_connection(error: &RedisError) -> bool {
    let is_read_only = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
    is_read_only || error.is_io_error() || error.is_unrecoverable_error()
}

/// The reply to `command`.
async fn asked(link: &mut Link, command: &Cmd) -> Result<Value, Unreachable> {
    Ok(timeout(PATIENCE, link.ask(command)).await??)
}

/// A name for this edge that no other has: that of the machine, and something drawn.
fn edge_name() -> String {
    let mut drawn = [0; 4];
    if SystemRandom::new().fill(&mut drawn).is_err() {
        drawn = std::process::id().to_be_bytes();
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.map_or_else(|_unknown| "edge".to_owned(), |host| host.trim().to_owned());
    format!("{host}-{:08x}", u32::from_be_bytes(drawn))
}
