//! Has a stored body put into the coding that a client would have liked, off the request threads,
//! so that the next one gets it.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use log::{debug, warn};

use super::decide::Asked;
use super::{Shared, Snapshot};
use crate::event::Encoded;
use crate::field::coding::Coding;
use crate::key::Key;
use crate::policy::look_up::Serving;
use crate::stored::{Body, Coded, Stored};
use crate::transform::encode::{Effort, encode_whole};
use crate::transform::lane::Lane;

/// As many bodies may wait to be encoded; what comes after is asked for again by the next client.
const MOST_WAITING: usize = 64;
/// A longer body than this, in bytes, is encoded quickly: to do it well would take many seconds.
const DONE_WELL: u64 = 1024 * 1024;

/// The work of encoding, and what of it is under way.
#[derive(Debug, Default)]
pub struct Compressor {
    /// One thread, for an encoder takes up to 67 MiB; nothing where there is none to be had.
    lane: OnceLock<Option<Lane>>,
    under_way: Mutex<HashSet<Task>>,
}

/// A body, by where it is in memory, and the coding that it is put into.
type Task = (usize, Coding);

impl Compressor {
    /// How many bodies are being encoded, or wait for it.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.under_way().len() as u64
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<Task>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread, which is started when it is first needed.
    fn lane(&self) -> Option<&Lane> {
        let start = || {
            let lane = Lane::new("compress", NonZeroUsize::MIN, MOST_WAITING);
            let lane = lane.map_err(|error| warn!("nothing will be compressed: {error}"));
            #[expect(clippy::disallowed_methods, reason = "the error is told, and all else serves")]
            lane.ok()
        };
        self.lane.get_or_init(start).as_ref()
    }
}

/// Has the coding made that `serving` lacks, unless that is under way.
pub(super) fn order(shared: &Arc<Shared>, asked: &Asked, stored: &Stored, serving: &Serving) {
    let Some(coding) = serving.missing else { return };
    let Some(first) = stored.body.as_slice().first() else { return };
    let task = (first.as_ptr().addr(), coding);
    let Some(lane) = shared.compressor.lane() else { return };
    if !shared.compressor.under_way().insert(task) {
        return;
    }
    let job = Job {
        shared: Arc::clone(shared),
        snapshot: Arc::clone(&asked.snapshot),
        key: asked.key.clone(),
        route: Arc::clone(&asked.route.name),
        body: stored.body.clone(),
        coding,
        task,
    };
    if lane.submit(move || job.run()).is_err() {
        // The job was dropped, and with it the note that it is under way.
        debug!("{}: too much waits to be compressed", asked.key);
    }
}

/// A body that is to be encoded. It holds on to the body, so that no other has its place in memory.
struct Job {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    key: Key,
    route: Arc<str>,
    body: Body,
    coding: Coding,
    task: Task,
}

impl Job {
    fn run(&self) {
        let began = Instant::now();
        let effort = if self.body.length() > DONE_WELL { Effort::Quick } else { Effort::Best };
        let coded = match encode_whole(self.coding, effort, self.body.as_slice()) {
            Ok(bytes) if (bytes.len() as u64) < self.body.length() => Coded::Kept(bytes),
            Ok(_) => Coded::NotSmaller,
            Err(error) => {
                warn!("{}: {error}", self.key);
                return;
            }
        };
        self.shared.store.attach(&self.key, &self.body, self.coding, &coded);
        let length = self.body.length();
        self.snapshot.meters.count_encoded(&Encoded {
            route: Arc::clone(&self.route),
            coding: self.coding,
            before: length,
            after: match &coded {
                Coded::Kept(bytes) => bytes.len() as u64,
                Coded::NotSmaller => length,
            },
            took: began.elapsed(),
        });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.shared.compressor.under_way().remove(&self.task);
    }
}
