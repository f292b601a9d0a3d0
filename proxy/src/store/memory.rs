//! Keeps stored responses in memory, bounded in bytes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::shelf::Shelf;
use crate::key::Key;
use crate::stored::Stored;

/// How many invalidations are remembered, for answers that were on their way meanwhile.
const REMEMBERED: u64 = 65_536;
/// How long: longer than any answer that is still stored may take to arrive.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);
/// What the tables take for each key, measured.
const OVERHEAD: u64 = 220;

/// Room is made in batches, a little after storing; for what is larger than this, at once.
const HOLD_AT_ONCE: u64 = 16 * 1024;

/// The moment at which a forward request began, for [`Memory::store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// The stored response was not kept: its key was invalidated after it had been asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outdated;

/// The memory tier.
#[derive(Debug)]
pub struct Memory {
    shelves: Cache<Key, Shelf>,
    invalidated: Cache<Key, Epoch>,
    epoch: AtomicU64,
}

impl Memory {
    /// A tier that holds at most `capacity` bytes, heads and bookkeeping included.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let shelves = Cache::builder()
            .max_capacity(capacity)
            .weigher(|key: &Key, shelf: &Shelf| {
                let size = OVERHEAD + key.as_bytes().len() as u64 + shelf.size();
                u32::try_from(size).unwrap_or(u32::MAX)
            })
            .build();
        // The newest are remembered, whatever it displaces: a new key must never be refused.
        let invalidated = Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(REMEMBERED_FOR)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { shelves, invalidated, epoch: AtomicU64::new(0) }
    }

    /// What is stored under `key`.
    #[must_use]
    pub fn look_up(&self, key: &Key) -> Option<Shelf> {
        self.shelves.get(key)
    }

    /// The present, to be noted before a request goes forward.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Stores what was asked for at `since`.
    ///
    /// # Errors
    ///
    /// [`Outdated`] if `key` was invalidated since; nothing is stored then.
    pub fn store(&self, key: &Key, stored: &Stored, since: Epoch) -> Result<(), Outdated> {
        self.shelves.entry_by_ref(key).and_upsert_with(|shelf| {
            shelf.map_or_else(
                || Shelf::new(stored.clone()),
                |shelf| shelf.into_value().with(stored.clone()),
            )
        });
        if stored.size() > HOLD_AT_ONCE {
            self.shelves.run_pending_tasks();
        }
        // Looked at after storing: an invalidation notes itself before it removes, so that one of
        // the two sees the other.
        if self.invalidated.get(key).is_some_and(|at| at > since) {
            self.shelves.invalidate(key);
            return Err(Outdated);
        }
        Ok(())
    }

    /// Removes what is stored under `key`, and what is on its way to it.
    pub fn invalidate(&self, key: &Key) {
        let at = Epoch(self.epoch.fetch_add(1, Ordering::SeqCst) + 1);
        self.invalidated.insert(key.clone(), at);
        self.shelves.invalidate(key);
    }

    /// How many keys have something stored.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.shelves.entry_count()
    }

    /// Bytes that are stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shelves.weighted_size()
    }
}
