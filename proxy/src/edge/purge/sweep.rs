//! Sweeps the memory tier after purges of groups, behind all else and one sweep at a time.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use log::warn;
use tokio::sync::watch;

use crate::edge::Shared;
use crate::store::memory::Swept;
use crate::store::position::Position;
use crate::store::purges::Group;
use crate::transform::lane::{Full, Lane};

/// How many purges may wait for a sweep, which is for all that wait; further ones are not counted.
const MOST_WAITING: usize = 256;

/// The thread that sweeps, and for what.
#[derive(Debug, Default)]
pub struct Sweeper {
    /// Nothing where there is none to be had.
    lane: OnceLock<Option<Lane>>,
    waiting: Mutex<Vec<Waiting>>,
}

/// A purge that waits for a sweep.
#[derive(Debug)]
struct Waiting {
    groups: Vec<(Group, Position)>,
    count: watch::Sender<Option<usize>>,
}

impl Sweeper {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane(&self) -> Option<&Lane> {
        let start = || match Lane::new("sweep", NonZeroUsize::MIN, 1) {
            Ok(lane) => Some(lane),
            Err(error) => {
                warn!("what is purged will not be counted: {error}");
                None
            }
        };
        self.lane.get_or_init(start).as_ref()
    }
}

/// Has what is stored in `shared` swept after `groups` were purged; `count` learns how many stored
/// responses they meant, unless too many purges wait.
pub(super) fn sweep(
    shared: &Arc<Shared>,
    groups: Vec<(Group, Position)>,
    count: watch::Sender<Option<usize>>,
) {
    let Some(lane) = shared.sweeper.lane() else { return };
    let mut waiting = shared.sweeper.waiting();
    if waiting.len() >= MOST_WAITING {
        return;
    }
    waiting.push(Waiting { groups, count });
    drop(waiting);
    let shared = Arc::clone(shared);
    if let Err(Full) = lane.submit(move || sweep_all(&shared)) {
        // The sweep that waits already takes this purge as well.
    }
}

/// Sweeps once for all purges that wait.
fn sweep_all(shared: &Shared) {
    let waiting = std::mem::take(&mut *shared.sweeper.waiting());
    if waiting.is_empty() {
        return;
    }
    let (mut purges, counts): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .map(|Waiting { groups, count }| (Swept { groups, count: 0 }, count))
        .unzip();
    shared.store.sweep(&mut purges);
    for (purge, count) in purges.iter().zip(counts) {
        count.send_replace(Some(purge.count));
    }
}
