//! Puts bodies into the codings that clients like, off the request threads: quickly while somebody
//! waits, and better in the background once it is worth it.

mod improve;
mod passed;
mod precompressed;
mod stream;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{io, thread};

use log::warn;
use tokio::sync::Semaphore;

pub(super) use improve::note_hit;
pub(super) use passed::Recoding;
pub(super) use stream::{of_arriving, of_stored};

use crate::collapse::Flight;
use crate::event::Failure;
use crate::field::coding::Coding;
use crate::stored::{Body, Coded, Stored};
use crate::transform::decode::{DecodeError, Decoder};
use crate::transform::lane::Lane;
use crate::transform::tasks::Tasks;

/// As many bodies may wait to be encoded well; further ones wait for more hits.
const MOST_WAITING: usize = 64;
/// As many bodies that origins compressed ahead of time may be asked for, or held until they are
/// compared; further ones wait for more hits.
const MOST_ASKED: usize = 8;

/// As many answers that are passed on may be encoded at once; further ones go as they are.
const MOST_PASSED: usize = 256;

/// The work of encoding, and what of it is under way.
#[derive(Debug)]
pub struct Compressor {
    /// One thread for what nobody waits for, since an encoder takes up to 67 MiB; nothing where
    /// there is none to be had.
    lane: OnceLock<Option<Lane>>,
    improving: Mutex<HashSet<Task>>,
    /// A permit for each body that is asked of an origin.
    asking: Arc<Semaphore>,
    /// A thread for each core, for what somebody waits for; nothing where there are none to be had.
    tasks: OnceLock<Option<Tasks>>,
    streams: Mutex<HashMap<Task, UnderWay>>,
    /// A permit for each answer that is encoded while it is passed on.
    passed: Arc<Semaphore>,
}

/// A body, by where it is in memory, and the coding that it is put into; nothing is none.
type Task = (usize, Option<Coding>);

/// A body that somebody waits for. While it is in the table, its source keeps its place in memory.
#[derive(Debug)]
struct UnderWay {
    source: Arc<Flight<Failure>>,
    made: Arc<Flight<Failure>>,
    /// What comes of it is kept for others.
    is_shared: bool,
}

impl Default for Compressor {
    fn default() -> Self {
        Self {
            lane: OnceLock::new(),
            improving: Mutex::default(),
            asking: Arc::new(Semaphore::new(MOST_ASKED)),
            tasks: OnceLock::new(),
            streams: Mutex::default(),
            passed: Arc::new(Semaphore::new(MOST_PASSED)),
        }
    }
}

impl Compressor {
    /// How many bodies are being encoded.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        let running = self.lane.get().and_then(Option::as_ref).map_or(0, Lane::running);
        let passed = MOST_PASSED - self.passed.available_permits();
        (running + self.streams().len() + passed) as u64
    }

    /// How many bodies wait to be encoded well.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.lane.get().and_then(Option::as_ref).map_or(0, Lane::waiting) as u64
    }

    fn improving(&self) -> MutexGuard<'_, HashSet<Task>> {
        self.improving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<Task, UnderWay>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread for what nobody waits for, which is started when it is first needed.
    pub(super) fn lane(&self) -> Option<&Lane> {
        started(&self.lane, || Lane::new("compress", NonZeroUsize::MIN, MOST_WAITING))
    }

    /// The threads for what somebody waits for, which are started when they are first needed.
    fn tasks(&self) -> Option<&Tasks> {
        let threads = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        started(&self.tasks, || Tasks::new("encode", threads()))
    }
}

/// What is in `cell`, where `start` puts it first.
fn started<T>(cell: &OnceLock<Option<T>>, start: impl FnOnce() -> io::Result<T>) -> Option<&T> {
    let start = || match start() {
        Ok(started) => Some(started),
        Err(error) => {
            warn!("nothing will be compressed: {error}");
            None
        }
    };
    cell.get_or_init(start).as_ref()
}

/// The plain body of `stored`, which is read out of the origin's coding if it was not yet.
///
/// # Errors
///
/// If it is not in that coding, or has more than `most` bytes without it.
pub(super) fn plain(stored: &Stored, most: u64) -> Result<Body, DecodeError> {
    let Some(coding) = stored.head.coding else { return Ok(stored.body.clone()) };
    if let Some(Coded::Kept(kept)) = stored.body.coded(None) {
        return Ok(kept.body.clone());
    }
    let mut decoder = Decoder::new(coding, most);
    let pieces = stored.body.as_slice().iter().map(|piece| decoder.write(piece));
    let pieces = pieces.collect::<Result<Vec<_>, DecodeError>>()?;
    decoder.finish()?;
    Ok(Body::new(pieces))
}
