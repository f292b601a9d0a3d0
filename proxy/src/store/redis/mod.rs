//! The tier that edges share: Redis or Valkey, on one server, behind Sentinels or in a cluster.
//!
//! All that is stored under one key is in one hash of Redis, a field for each variant, so that
//! removing a key with all its variants is one command, and evicting it takes all of it: nothing is
//! left over that nobody knows of. The hash lives as long as what lives longest in it; each record
//! knows by itself how long it is fresh.
//!
//! Nobody waits for Redis longer than the settings say. A request never waits for a connection, and
//! while Redis keeps failing it is not asked.

mod connect;
mod lanes;
mod lease;
mod line;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay_config::RedisUrl;
use log::warn;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use connect::{Connector, Link};
pub use lease::{Guard, Lease, Turn, Waiting};

use self::lanes::Lanes;
use self::line::Line;
use crate::key::KeyDigest;
use crate::store::breaker::Breaker;
use crate::store::tally::{Fault, Tally};

/// How many look-ups may be under way at a time.
const MOST_ASKING: usize = 512;
/// How many times as long as a look-up a write may take, for which nobody waits.
const WRITE_FACTOR: u32 = 10;

/// A Redis that edges share. Clones are the same one.
#[derive(Clone)]
pub struct Redis {
    core: Arc<Core>,
}

/// What look-ups, writes and leases have in common.
struct Core {
    settings: forebay_config::Redis,
    /// For look-ups and leases, which somebody waits for.
    asking: Line,
    /// For what is written, so that nobody waits behind a large value.
    writing: Line,
    breaker: Breaker,
    permits: Semaphore,
    leases: Arc<Semaphore>,
    lanes: Lanes,
    tally: Tally,
}

/// A Redis cannot be used as the settings say.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the Redis at {url}")]
pub struct OpenError {
    url: Box<RedisUrl>,
    #[source]
    cause: Box<RedisError>,
}

impl Redis {
    /// The Redis of `settings`. Nothing is connected until it [runs](Self::run).
    ///
    /// # Errors
    ///
    /// What its URL asks for cannot be had.
    pub fn new(settings: forebay_config::Redis) -> Result<Self, OpenError> {
        let core = Core {
            asking: Line::new(format!("Redis at {}", settings.url)),
            writing: Line::new(format!("Redis at {}, for writing", settings.url)),
            breaker: Breaker::new(Instant::now()),
            permits: Semaphore::new(MOST_ASKING),
            leases: Arc::new(Semaphore::new(lease::MOST)),
            lanes: Lanes::default(),
            tally: Tally::default(),
            settings,
        };
        core.connector()?;
        Ok(Self { core: Arc::new(core) })
    }

    /// Connects, keeps connected, and writes what is to be written, for ever: until the future is
    /// dropped, after which the tier finds nothing any more.
    ///
    /// # Errors
    ///
    /// What its URL asks for can no longer be had.
    pub async fn run(&self) -> Result<(), OpenError> {
        let mut tasks = JoinSet::new();
        for is_writing in [false, true] {
            let (core, connector) = (Arc::clone(&self.core), self.core.connector()?);
            tasks.spawn(async move {
                let line = if is_writing { &core.writing } else { &core.asking };
                line.keep(connector).await;
            });
        }
        for lane in 0..lanes::COUNT {
            let core = Arc::clone(&self.core);
            tasks.spawn(async move { core.write_lane(lane).await });
        }
        // None of them ends, unless it panics; then the others go on without it.
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// The record of a variant, or the primary one of the key; `None` if it is not there, and if
    /// Redis does not say so in time.
    pub async fn get(&self, digest: KeyDigest, variant: Option<u64>) -> Option<Bytes> {
        self.core.read(digest, variant).await
    }

    /// Has a record written in the background, to be kept for `ttl`. `pieces` are its bytes.
    ///
    /// It is not written if it is larger than the settings allow, or too much waits already.
    pub fn set(&self, digest: KeyDigest, variant: Option<u64>, pieces: Vec<Bytes>, ttl: Duration) {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if length as u64 > self.core.settings.max_object {
            return;
        }
        if !self.core.lanes.set(digest, lanes::Record { variant, pieces, length, ttl }) {
            self.core.tally.faults(Fault::Busy).one();
        }
    }

    /// Removes all records of a key, also those that wait to be written. True once Redis has done
    /// it.
    ///
    /// If it could not be done in time it is done as soon as it can be; meanwhile this edge finds
    /// nothing under the key. Others do.
    ///
    /// It is under way once this has returned, whether or not anybody waits for its end.
    pub fn remove(&self, digest: KeyDigest) -> impl Future<Output = bool> + Send + use<> {
        let limit = self.core.settings.timeout * (WRITE_FACTOR + 1);
        let done = self.core.lanes.remove(digest);
        if done.is_none() {
            self.core.tally.faults(Fault::Busy).one();
        }
        async move {
            let Some(done) = done else { return false };
            // An error is a lane that has ended.
            matches!(timeout(limit, done).await, Ok(Ok(true)))
        }
    }

    /// Asks to be the one edge that fetches what none has.
    pub async fn lease(&self, digest: KeyDigest, variant: Option<u64>) -> Lease {
        lease::begin(&self.core, digest, variant).await
    }

    /// Resolves when all that waited to be written has been, or could not be.
    pub async fn settled(&self) {
        self.core.lanes.settled().await;
    }

    /// Whether a look-up would be made just now, and what is stored written.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let Core { asking, writing, .. } = &*self.core;
        let is_connected = asking.link().is_some() && writing.link().is_some();
        is_connected && !self.core.breaker.is_resting(Instant::now())
    }

    /// What it has counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.core.tally
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Redis").field("url", &self.core.settings.url).finish_non_exhaustive()
    }
}

impl Core {
    fn connector(&self) -> Result<Connector, OpenError> {
        let Self { settings, .. } = self;
        Connector::new(&settings.url, settings.timeout * WRITE_FACTOR).map_err(|cause| OpenError {
            url: Box::new(settings.url.clone()),
            cause: Box::new(cause),
        })
    }

    /// The hash that has the records of a key. What is in braces chooses the slot of a cluster, so
    /// that all about one key is in one slot.
    fn hash(&self, digest: KeyDigest) -> String {
        format!("{}:{{{digest}}}", self.settings.prefix)
    }

    async fn read(&self, digest: KeyDigest, variant: Option<u64>) -> Option<Bytes> {
        let found = match self.lanes.owes(digest) {
            true => None,
            // It may have been removed meanwhile.
            false => self.fetch(digest, variant).await.filter(|_| !self.lanes.owes(digest)),
        };
        match &found {
            Some(record) => {
                self.tally.hits.one();
                self.tally.bytes_read.add(record.len() as u64);
            }
            None => self.tally.misses.one(),
        }
        found
    }

    async fn fetch(&self, digest: KeyDigest, variant: Option<u64>) -> Option<Bytes> {
        let began = Instant::now();
        let mut command = redis::cmd("HGET");
        command.arg(self.hash(digest)).arg(field(variant));
        let reply = self.ask(&command).await;
        if !matches!(reply, Err(Fault::Resting | Fault::Busy)) {
            self.tally.took(began.elapsed());
        }
        match reply {
            Ok(Value::BulkString(record)) if record.len() as u64 <= self.settings.max_object => {
                Some(Bytes::from(record))
            }
            Ok(Value::Nil) | Err(_) => None,
            // Somebody else has written it, or an edge with other settings.
            Ok(_) => {
                self.count(Fault::Foreign);
                None
            }
        }
    }

    /// Sends a command that somebody waits for.
    async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(self.count(Fault::Busy));
        };
        self.send(&self.asking, command, self.settings.timeout).await
    }

    /// Sends a command that nobody waits for.
    async fn write(&self, command: &Cmd) -> Result<Value, Fault> {
        let limit = self.settings.timeout * WRITE_FACTOR;
        self.writing.stands(limit).await;
        let reply = self.send(&self.writing, command, limit).await;
        // A connection that broke while nobody used it shows it only now. All that is written may
        // be written twice.
        if matches!(reply, Err(Fault::Io)) && self.writing.stands(limit).await {
            return self.send(&self.writing, command, limit).await;
        }
        reply
    }

    /// Sends a command, unless Redis rests; counts what goes wrong.
    async fn send(&self, line: &Line, command: &Cmd, limit: Duration) -> Result<Value, Fault> {
        if self.breaker.is_resting(Instant::now()) {
            return Err(self.count(Fault::Resting));
        }
        let Some(link) = line.link() else { return Err(self.count(Fault::Resting)) };
        let Some(pass) = self.breaker.admit(Instant::now()) else {
            return Err(self.count(Fault::Resting));
        };
        let mut asked = Link::clone(&link);
        let (fault, blame, cause) = match timeout(limit, asked.ask(command)).await {
            Ok(Ok(value)) => {
                self.breaker.succeeded(pass);
                return Ok(value);
            }
            Ok(Err(error)) => {
                let (fault, blame) = judge(&error);
                (fault, blame, error.to_string())
            }
            Err(_) => (Fault::Late, Blame::Server, format!("no answer within {limit:?}")),
        };
        let rests = match blame {
            Blame::Command => {
                self.breaker.succeeded(pass);
                false
            }
            Blame::Server | Blame::Connection => self.breaker.failed(pass, Instant::now()),
        };
        if rests || blame == Blame::Connection {
            line.lose(&link);
        }
        if rests {
            warn!("Redis at {} is left alone for a while: {cause}", self.settings.url);
        }
        Err(self.count(fault))
    }

    fn count(&self, fault: Fault) -> Fault {
        self.tally.faults(fault).one();
        fault
    }
}

/// The field of the hash that has a record.
fn field(variant: Option<u64>) -> String {
    variant.map_or_else(|| PRIMARY.to_owned(), |variant| format!("{variant:016x}"))
}

/// The field that has the primary record.
const PRIMARY: &str = "primary";

/// To what an error points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// Redis works, and has refused this command.
    Command,
    /// Redis does not do what it is for.
    Server,
    /// Another connection is needed.
    Connection,
}

fn judge(error: &RedisError) -> (Fault, Blame) {
    match error.code() {
        Some("OOM") => return (Fault::Full, Blame::Command),
        Some("WRONGTYPE") => return (Fault::Foreign, Blame::Command),
        Some(_) | None => {}
    }
    let is_read_only = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
    if is_read_only || error.is_io_error() || error.is_unrecoverable_error() {
        return (Fault::Io, Blame::Connection);
    }
    (Fault::Io, Blame::Server)
}
