//! Leases: of all edges that miss the same response, one fetches it, and the others wait for it.
//!
//! A lease is a key of Redis with a token as its value that ends after a second unless it is
//! renewed: an edge that dies holds nobody up for longer. Where an answer turned out not to be
//! storable, a mark stands in its place for a second, and whoever waits goes forward.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, Value};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use xxhash_rust::xxh3::xxh3_64;

use super::{Core, field};
use crate::key::KeyDigest;
use crate::store::tally::Fault;

/// How many leases one edge holds at a time at most; past that it goes forward without.
pub(super) const MOST: usize = 4096;
/// How long a lease lasts that is not renewed.
const LASTS: Duration = Duration::from_secs(1);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_millis(300);
/// How long the mark stands that there is nothing to wait for.
const MARK_LASTS: Duration = Duration::from_secs(1);
/// How long an edge waits for another in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it waits before it looks the first time; each further pause is longer, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(25);
const LONGER: Duration = Duration::from_millis(3);

/// The value that stands for "nothing to wait for". No token is as short.
const MARK: &str = "-";

/// Takes the lease if nobody has it; says whose it is.
const TAKE: &str = "\
local holder = redis.call('GET', KEYS[1])
if holder then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]";

/// Keeps the lease for longer if it is still that of the token.
const RENEW: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// Ends the lease if it is still that of the token. What follows depends on the third argument:
/// nothing, or the mark, or the mark if the record is not there either.
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == 'free' or
    (ARGV[3] == 'stored' and redis.call('HEXISTS', KEYS[2], ARGV[4]) == 1) then
  return redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[2])
return 1";

/// What came of asking for a lease.
#[derive(Debug)]
pub enum Lease {
    /// This edge fetches the response, and the others wait for it.
    Mine(Guard),
    /// Another edge fetches it.
    Theirs(Waiting),
    /// Nobody waits for anybody: go forward. Redis cannot be asked, or the last answer could not
    /// be stored.
    Unavailable,
}

/// What somebody who waits is to do.
#[derive(Debug)]
pub enum Turn {
    /// There is a record that was not seen before. If it does not answer, wait for the next turn.
    Record(Bytes),
    /// Fetch it: who did before gave up.
    Mine(Guard),
    /// Fetch it without a lease: it takes too long, or there will be nothing to share.
    Forward,
}

/// The lease of this edge. It is renewed until it is dropped.
pub struct Guard {
    core: Arc<Core>,
    place: Place,
    token: String,
    outcome: Outcome,
    renewal: AbortHandle,
    _permit: OwnedSemaphorePermit,
}

/// Waits for a record that another edge fetches.
pub struct Waiting {
    core: Arc<Core>,
    place: Place,
    until: Instant,
    pause: Duration,
    /// A hash of the last record that was seen.
    seen: Option<u64>,
}

/// What a lease is about.
#[derive(Clone, Copy, Debug)]
struct Place {
    digest: KeyDigest,
    variant: Option<u64>,
}

/// What became of the answer.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Nobody knows.
    Unknown,
    /// It has been given to the tier.
    Stored,
    /// It was not to be stored.
    NotStored,
}

/// The end of a lease, which is written after what was stored under it.
pub(super) struct Release {
    variant: Option<u64>,
    token: String,
    outcome: Outcome,
}

/// Who holds a lease.
enum Holder {
    Me(String),
    Another,
    /// Nobody, and nobody is to wait.
    Mark,
}

pub(super) async fn begin(core: &Arc<Core>, digest: KeyDigest, variant: Option<u64>) -> Lease {
    let place = Place { digest, variant };
    let Ok(permit) = Arc::clone(&core.leases).try_acquire_owned() else {
        core.count(Fault::Busy);
        return Lease::Unavailable;
    };
    match take(core, place).await {
        Ok(Holder::Me(token)) => Lease::Mine(Guard::new(Arc::clone(core), place, token, permit)),
        Ok(Holder::Another) => Lease::Theirs(Waiting {
            core: Arc::clone(core),
            place,
            until: Instant::now() + PATIENCE,
            pause: FIRST_PAUSE,
            seen: None,
        }),
        Ok(Holder::Mark) | Err(_) => Lease::Unavailable,
    }
}

impl Guard {
    fn new(core: Arc<Core>, place: Place, token: String, permit: OwnedSemaphorePermit) -> Self {
        let renewing = renew(Arc::clone(&core), place, token.clone());
        let renewal = tokio::spawn(renewing).abort_handle();
        Self { core, place, token, outcome: Outcome::Unknown, renewal, _permit: permit }
    }

    /// Ends the lease once what was given to [`set`](super::Redis::set) before is written: who
    /// waits will find it. If it could not be written they go forward.
    pub fn stored(mut self) {
        self.outcome = Outcome::Stored;
    }

    /// Ends the lease and tells who waits that there is nothing to wait for.
    pub fn not_stored(mut self) {
        self.outcome = Outcome::NotStored;
    }
}

/// Dropped without a word, one of those who wait has the next turn.
impl Drop for Guard {
    fn drop(&mut self) {
        self.renewal.abort();
        let release = Release {
            variant: self.place.variant,
            token: std::mem::take(&mut self.token),
            outcome: self.outcome,
        };
        if !self.core.lanes.release(self.place.digest, release) {
            self.core.count(Fault::Busy);
        }
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Guard").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Waiting {
    /// Makes a record that the caller has seen before, and cannot use, no news.
    #[must_use]
    pub fn knowing(mut self, record: &[u8]) -> Self {
        self.seen = Some(xxh3_64(record));
        self
    }

    /// Waits until there is something to do, at most three seconds in all.
    pub async fn next(&mut self) -> Turn {
        while Instant::now() < self.until {
            sleep(self.pause).await;
            self.pause = (self.pause + LONGER).min(LAST_PAUSE);
            let mut command = redis::cmd("GET");
            command.arg(key(&self.core, self.place));
            match self.core.ask(&command).await {
                Ok(Value::Nil) => {}
                Ok(Value::BulkString(holder)) if holder != MARK.as_bytes() => continue,
                Ok(_) | Err(_) => return Turn::Forward,
            }
            if let Some(record) = self.news().await {
                return Turn::Record(record);
            }
            match begin(&self.core, self.place.digest, self.place.variant).await {
                Lease::Mine(guard) => return Turn::Mine(guard),
                Lease::Theirs(_) => {}
                Lease::Unavailable => return Turn::Forward,
            }
        }
        Turn::Forward
    }

    /// The record, if it is not the one that was seen last.
    async fn news(&mut self) -> Option<Bytes> {
        let record = self.core.read(self.place.digest, self.place.variant).await?;
        let hash = Some(xxh3_64(&record));
        if self.seen == hash {
            return None;
        }
        self.seen = hash;
        Some(record)
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Waiting").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Release {
    pub(super) fn command(&self, core: &Core, digest: KeyDigest) -> Cmd {
        let place = Place { digest, variant: self.variant };
        let outcome = match self.outcome {
            Outcome::Unknown => "free",
            Outcome::Stored => "stored",
            Outcome::NotStored => "not stored",
        };
        let mut command = redis::cmd("EVAL");
        command.arg(RELEASE).arg(2).arg(key(core, place)).arg(core.hash(digest));
        command.arg(&self.token).arg(millis(MARK_LASTS)).arg(outcome);
        command.arg(field(self.variant)).arg(MARK);
        command
    }
}

/// Renews a lease until it is no longer that of the token.
async fn renew(core: Arc<Core>, place: Place, token: String) {
    let mut ticks = interval_at(Instant::now() + RENEWED, RENEWED);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut command = redis::cmd("EVAL");
    command.arg(RENEW).arg(1).arg(key(&core, place)).arg(&token).arg(millis(LASTS));
    loop {
        ticks.tick().await;
        if let Ok(Value::Int(0)) = core.ask(&command).await {
            return;
        }
    }
}

async fn take(core: &Core, place: Place) -> Result<Holder, Fault> {
    let mut bytes = [0; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // Without a token of its own it could end the lease of another edge.
        return Err(core.count(Fault::Io));
    }
    let token = format!("{:032x}", u128::from_be_bytes(bytes));
    let mut command = redis::cmd("EVAL");
    command.arg(TAKE).arg(1).arg(key(core, place)).arg(&token).arg(millis(LASTS));
    let Value::BulkString(holder) = core.ask(&command).await? else {
        return Err(core.count(Fault::Foreign));
    };
    Ok(if holder == token.as_bytes() {
        Holder::Me(token)
    } else if holder == MARK.as_bytes() {
        Holder::Mark
    } else {
        Holder::Another
    })
}

/// The key of a lease, in the slot of the records.
fn key(core: &Core, place: Place) -> String {
    format!("{}:lease:{}", core.hash(place.digest), field(place.variant))
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
