//! What waits to be written to Redis, in some lanes: all about one key is in one lane, in its order.
//!
//! A removal goes before all that waits, takes what was to be stored under its key out of the lane,
//! and stays until Redis has done it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, Bytes};
use redis::{Cmd, RedisWrite as _};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

use super::lease::Release;
use super::{Core, PRIMARY, field};
use crate::key::KeyDigest;
use crate::store::tally::Fault;

/// How many lanes there are.
pub(super) const COUNT: usize = 4;
/// How many bytes of records wait in a lane at most; a single larger one may.
const MOST_BYTES: usize = 16 << 20;
/// How much else waits in a lane at most.
const MOST_JOBS: usize = 1024;
/// How many removals wait in a lane at most: while Redis is away they add up.
const MOST_REMOVALS: usize = 16_384;
/// How long to wait after a removal that could not be done.
const RETRY: Duration = Duration::from_millis(250);
/// How many records one key may have, whatever the edges that share it are set to.
const MOST_RECORDS: usize = 256;

/// Writes a field and keeps the hash for as long as the new record or any other wants. Where there
/// are too many, one of the others goes, and where there is no hash but something else, that does.
const SET: &str = "\
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', KEYS[1]) end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
    and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if field ~= ARGV[5] then redis.call('HDEL', KEYS[1], field) break end
  end
end
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if left < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1";

/// All lanes.
pub(super) struct Lanes([Lane; COUNT]);

struct Lane {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Whether all that came so far has been tried.
    idle: watch::Sender<bool>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(KeyDigest, Job)>,
    /// The bytes of the records among them.
    bytes: usize,
    removals: HashMap<KeyDigest, Removal>,
}

/// What is to be done about a key, beside removing it.
enum Job {
    Set(Record),
    Release(Release),
}

/// A record that is to be written.
pub(super) struct Record {
    pub(super) variant: Option<u64>,
    pub(super) pieces: Vec<Bytes>,
    /// The bytes of all pieces.
    pub(super) length: usize,
    pub(super) ttl: Duration,
}

#[derive(Default)]
struct Removal {
    /// How often it was asked for: only what is begun after the last time counts.
    asked: u64,
    /// Who wants to know what became of it.
    told: Vec<oneshot::Sender<bool>>,
}

/// What a lane does next.
enum Next {
    /// Removes the records of a key, as it was asked for so often.
    Remove(KeyDigest, u64),
    Do(KeyDigest, Job),
}

impl Default for Lanes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Lane {
            waiting: Mutex::default(),
            wake: Notify::new(),
            idle: watch::Sender::new(true),
        }))
    }
}

impl Lanes {
    /// Has a record written; false if there is no room for it.
    pub(super) fn set(&self, digest: KeyDigest, record: Record) -> bool {
        self.of(digest).push(digest, Job::Set(record))
    }

    /// Has a lease released; false if there is no room for that, and it has to end by itself.
    pub(super) fn release(&self, digest: KeyDigest, release: Release) -> bool {
        self.of(digest).push(digest, Job::Release(release))
    }

    /// Has all records of a key removed; what comes back tells whether it was done. `None` if there
    /// is no room for it.
    pub(super) fn remove(&self, digest: KeyDigest) -> Option<oneshot::Receiver<bool>> {
        self.of(digest).remove(digest)
    }

    /// Whether records of a key are still to be removed.
    pub(super) fn owes(&self, digest: KeyDigest) -> bool {
        self.of(digest).waiting().removals.contains_key(&digest)
    }

    /// Resolves when all that came so far has been tried.
    pub(super) async fn settled(&self) {
        for lane in &self.0 {
            // An error would mean that the lane is gone, and with it all that waited.
            drop(lane.idle.subscribe().wait_for(|idle| *idle).await);
        }
    }

    fn of(&self, digest: KeyDigest) -> &Lane {
        let [first, ..] = digest.as_bytes();
        &self.0[usize::from(*first) % COUNT]
    }
}

impl Lane {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, digest: KeyDigest, job: Job) -> bool {
        let mut waiting = self.waiting();
        let length = job.length();
        let fits = waiting.bytes == 0 || waiting.bytes + length <= MOST_BYTES;
        if waiting.jobs.len() >= MOST_JOBS || !fits {
            return false;
        }
        waiting.bytes += length;
        waiting.jobs.push_back((digest, job));
        self.stir();
        true
    }

    fn remove(&self, digest: KeyDigest) -> Option<oneshot::Receiver<bool>> {
        let mut waiting = self.waiting();
        waiting.drop_records(|of| *of == digest);
        let is_known = waiting.removals.contains_key(&digest);
        if !is_known && waiting.removals.len() >= MOST_REMOVALS {
            return None;
        }
        let (tell, told) = oneshot::channel();
        let removal = waiting.removals.entry(digest).or_default();
        removal.asked += 1;
        removal.told.push(tell);
        self.stir();
        Some(told)
    }

    /// Lets the task of the lane look. The caller holds the lock, so that it looks after this.
    fn stir(&self) {
        self.idle.send_replace(false);
        self.wake.notify_one();
    }

    async fn next(&self) -> Next {
        loop {
            {
                let mut waiting = self.waiting();
                if let Some((digest, removal)) = waiting.removals.iter().next() {
                    return Next::Remove(*digest, removal.asked);
                }
                if let Some((digest, job)) = waiting.jobs.pop_front() {
                    waiting.bytes -= job.length();
                    return Next::Do(digest, job);
                }
                self.idle.send_replace(true);
            }
            self.wake.notified().await;
        }
    }

    /// Notes what became of a removal that had been `asked` for so often when it was begun.
    fn tried(&self, digest: KeyDigest, asked: u64, is_done: bool) {
        let mut waiting = self.waiting();
        let Some(removal) = waiting.removals.get_mut(&digest) else { return };
        if is_done && removal.asked > asked {
            return;
        }
        for tell in removal.told.drain(..) {
            let _somebody_waits = tell.send(is_done).is_ok();
        }
        if is_done {
            waiting.removals.remove(&digest);
        }
    }

    /// Lets go of all records, since Redis takes none; how many there were.
    fn give_up(&self) -> usize {
        let mut waiting = self.waiting();
        let dropped = waiting.drop_records(|_| true);
        waiting.jobs.clear();
        self.idle.send_replace(true);
        dropped
    }
}

impl Waiting {
    /// Takes the records out whose key is `meant`; how many there were.
    fn drop_records(&mut self, meant: impl Fn(&KeyDigest) -> bool) -> usize {
        let Self { jobs, bytes, .. } = self;
        let before = jobs.len();
        jobs.retain(|(digest, job)| match job {
            Job::Set(record) if meant(digest) => {
                *bytes -= record.length;
                false
            }
            Job::Set(_) | Job::Release(_) => true,
        });
        before - jobs.len()
    }
}

impl Job {
    const fn length(&self) -> usize {
        match self {
            Self::Set(record) => record.length,
            Self::Release(_) => 0,
        }
    }
}

impl Core {
    /// Writes what comes into a lane, for ever.
    pub(super) async fn write_lane(&self, lane: usize) {
        let Some(lane) = self.lanes.0.get(lane) else { return };
        loop {
            match lane.next().await {
                Next::Remove(digest, asked) => {
                    let mut command = redis::cmd("UNLINK");
                    command.arg(self.hash(digest));
                    let is_done = self.write(&command).await.is_ok();
                    lane.tried(digest, asked, is_done);
                    if !is_done {
                        self.tally.faults(Fault::Resting).add(lane.give_up() as u64);
                        sleep(RETRY).await;
                    }
                }
                Next::Do(digest, Job::Set(record)) => {
                    // What went wrong is counted.
                    if self.write(&self.setting(digest, &record)).await.is_ok() {
                        self.tally.stores.one();
                        self.tally.bytes_written.add(record.length as u64);
                    }
                }
                Next::Do(digest, Job::Release(release)) => {
                    // If it is not released it ends by itself.
                    drop(self.write(&release.command(self, digest)).await);
                }
            }
        }
    }

    fn setting(&self, digest: KeyDigest, record: &Record) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(SET).arg(1).arg(self.hash(digest)).arg(field(record.variant));
        {
            let mut argument = command.bufmut_for_next_arg(record.length);
            for piece in &record.pieces {
                argument.put_slice(piece);
            }
        }
        let ttl = u64::try_from(record.ttl.as_millis()).unwrap_or(u64::MAX);
        command.arg(ttl.clamp(1, LONGEST_TTL)).arg(MOST_RECORDS).arg(PRIMARY);
        command
    }
}

/// The longest time that a record is kept, in milliseconds: a year.
const LONGEST_TTL: u64 = 365 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;
    use crate::key::{Key, Target};

    fn digest(number: u8) -> KeyDigest {
        let path = format!("/{number}");
        Key::of(&Target::parse("http", "a.example", &path).unwrap()).digest()
    }

    /// A record of so many bytes, as far as the lane looks.
    fn record(length: usize) -> Record {
        Record { variant: None, pieces: Vec::new(), length, ttl: Duration::from_secs(1) }
    }

    /// What a lane has next; `None` if it would wait.
    fn next(lane: &Lane) -> Option<Next> {
        match pin!(lane.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        }
    }

    fn lane() -> Lane {
        let [lane, ..] = Lanes::default().0;
        lane
    }

    #[test]
    fn takes_one_record_that_is_too_large_and_no_further() {
        let lane = lane();
        assert!(lane.push(digest(0), Job::Set(record(MOST_BYTES + 1))));
        assert!(!lane.push(digest(1), Job::Set(record(1))));
        assert!(matches!(next(&lane), Some(Next::Do(..))));
        assert!(lane.push(digest(1), Job::Set(record(1))));
    }

    #[test]
    fn takes_so_many_records_and_no_more() {
        let lane = lane();
        let taken = (0..2 * MOST_JOBS).filter(|_| lane.push(digest(0), Job::Set(record(1))));
        assert_eq!(taken.count(), MOST_JOBS);
    }

    #[test]
    fn a_removal_that_is_asked_for_again_is_done_again() {
        let lane = lane();
        let mut told = lane.remove(digest(0)).unwrap();
        let Some(Next::Remove(_, asked)) = next(&lane) else { panic!("it removes first") };
        let mut again = lane.remove(digest(0)).unwrap();
        lane.tried(digest(0), asked, true);
        assert!(told.try_recv().is_err() && again.try_recv().is_err());
        let Some(Next::Remove(_, asked)) = next(&lane) else { panic!("it removes again") };
        lane.tried(digest(0), asked, true);
        assert_eq!((told.try_recv(), again.try_recv()), (Ok(true), Ok(true)));
        assert!(next(&lane).is_none());
    }

    #[test]
    fn a_removal_that_fails_is_told_and_tried_again() {
        let lane = lane();
        let mut told = lane.remove(digest(0)).unwrap();
        let Some(Next::Remove(_, asked)) = next(&lane) else { panic!("it removes first") };
        lane.tried(digest(0), asked, false);
        assert_eq!(told.try_recv(), Ok(false));
        assert!(matches!(next(&lane), Some(Next::Remove(..))));
    }

    proptest! {
        /// Of all that was set, that remains which was set after its last removal, in its order.
        #[test]
        fn no_record_outlives_a_removal(
            steps in prop::collection::vec((0_u8..3, 0_u8..4), 0..60),
        ) {
            let lane = lane();
            // What Redis has, and what it has to have: the number of the step that set it.
            let (mut redis, mut expected) = (HashMap::new(), HashMap::new());
            let run = |redis: &mut HashMap<_, _>| match next(&lane) {
                Some(Next::Remove(digest, asked)) => {
                    redis.remove(&digest);
                    lane.tried(digest, asked, true);
                    true
                }
                Some(Next::Do(digest, Job::Set(record))) => {
                    redis.insert(digest, record.length);
                    true
                }
                Some(Next::Do(_, Job::Release(_))) => true,
                None => false,
            };
            for (number, (kind, key)) in steps.into_iter().enumerate() {
                match kind {
                    0 => {
                        prop_assert!(lane.push(digest(key), Job::Set(record(number))));
                        expected.insert(digest(key), number);
                    }
                    1 => {
                        prop_assert!(lane.remove(digest(key)).is_some());
                        expected.remove(&digest(key));
                    }
                    _ => {
                        run(&mut redis);
                    }
                }
            }
            while run(&mut redis) {}
            prop_assert_eq!(redis, expected);
            prop_assert_eq!(lane.waiting().bytes, 0);
            prop_assert!(*lane.idle.borrow());
        }
    }
}
