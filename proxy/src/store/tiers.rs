//! Stored responses in tiers: memory on top, and below it what is slower and holds more.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::disk::Disk;
use super::log::PurgeLog;
use super::lower::Lower;
use super::memory::{Epoch, Memory, Outdated, Swept};
use super::position::Position;
use super::purges::{At, Group, Purge, Purges};
use super::redis::{Guard, Lease, Redis, Turn};
use super::shelf::{self, Shelf};
use crate::event::Tier;
use crate::field::coding::Coding;
use crate::key::{Key, KeyDigest};
use crate::stored::{Body, Coded, Maker, Stored, Versions};
use crate::tally::{Fault, Gone, TierState};
use crate::time;

/// How many look-ups below memory may be shared at once; those past it are made each for itself.
const MOST_SHARED: usize = 65_536;

/// How many invalidations may wait for the log; further ones hold on this edge, until it ends.
const MOST_LOGGING: usize = 64;

/// How long a stop waits for what is on its way to the tiers below memory.
const SETTLE: Duration = Duration::from_secs(5);

/// All tiers.
#[derive(Debug)]
pub struct Tiers {
    memory: Memory,
    /// The fastest first.
    lower: Vec<Arc<dyn Lower>>,
    /// The one of these that edges share.
    redis: Option<Redis>,
    log: PurgeLog,
    /// How many invalidations may wait for the log.
    logging: Arc<Semaphore>,
    loads: Mutex<HashMap<Load, Arc<OnceCell<Option<Stored>>>>>,
    /// Where the rest of removals is done.
    runtime: Handle,
}

/// A look-up below memory that many may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Load {
    tier: Tier,
    key: KeyDigest,
    /// A hash of what the request says that selects among variants as a rule.
    said: u64,
    /// Who comes after a change does not get what was read before it.
    changed: (u64, u64),
}

/// The fields by which answers vary as a rule. Who says the same in these waits for the same
/// look-up; what varies by others is looked up again by who says something else.
const USUAL: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE];

impl Tiers {
    /// Memory for `capacity` bytes above the others. To be called in the runtime where what has to be
    /// done behind is done.
    #[must_use]
    pub fn new(capacity: u64, disk: Option<Disk>, redis: Option<Redis>, log: PurgeLog) -> Self {
        let mut lower: Vec<Arc<dyn Lower>> = Vec::new();
        lower.extend(disk.map(|disk| Arc::new(disk) as Arc<dyn Lower>));
        lower.extend(redis.clone().map(|redis| Arc::new(redis) as Arc<dyn Lower>));
        Self {
            memory: Memory::new(capacity),
            lower,
            redis,
            log,
            logging: Arc::new(Semaphore::new(MOST_LOGGING)),
            loads: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    /// What memory has under `key`, after all that was purged.
    #[must_use]
    pub fn look_up(&self, key: &Key) -> Option<Shelf> {
        let shelf = self.memory.look_up(key);
        let tally = self.memory.tally();
        if shelf.is_some() {
            tally.hits.one()
        } else {
            tally.misses.one()
        }
        shelf
    }

    /// Whether there is any tier below memory.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        !self.lower.is_empty()
    }

    /// Whether other edges store something here.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.redis.is_some()
    }

    /// Looks below memory for what a request with `fields` selects, of what was selected by `names`
    /// at least; what is found goes up, as one of `most` variants.
    pub async fn look_below(
        &self,
        key: &Key,
        fields: &HeaderMap,
        names: &[HeaderName],
        most: usize,
    ) -> Option<(Stored, Tier)> {
        // What is there may be purged, and this edge does not know it yet.
        if !self.log.is_caught_up() {
            return None;
        }
        let epoch = self.memory.epoch();
        let mut best: Option<(Stored, Tier)> = None;
        for (depth, lower) in self.lower.iter().enumerate() {
            // What this edge has seen changed, another may have stored before that.
            if lower.tier() == Tier::Redis && self.memory.was_invalidated(key) {
                continue;
            }
            let Some(stored) = self.load(lower, key, fields, names).await else { continue };
            let Some(stored) = self.take_up(key, stored, most, epoch) else {
                // Where edges share it, another may have replaced it by now.
                if lower.tier() == Tier::Disk {
                    self.runtime.spawn(lower.remove(key));
                }
                continue;
            };
            self.copy_up(key, &stored, epoch, depth);
            let is_fresh = stored.head.freshness.is_fresh(time::now());
            let is_better = best.as_ref().is_none_or(|(best, _)| {
                is_fresh || stored.head.freshness.arrived > best.head.freshness.arrived
            });
            if is_better {
                best = Some((stored, lower.tier()));
            }
            if is_fresh {
                break;
            }
        }
        best
    }

    /// Has the tiers below memory and above `depth` keep `stored` as well, which was looked for at
    /// `epoch`.
    fn copy_up(&self, key: &Key, stored: &Stored, epoch: Epoch, depth: usize) {
        if depth == 0 || self.memory.is_outdated(key, epoch) {
            return;
        }
        for above in self.lower.iter().take(depth) {
            above.save(key, stored);
        }
        // Looked at again afterwards: an invalidation notes itself before it removes.
        if self.memory.is_outdated(key, epoch) {
            self.remove_below(key);
        }
    }

    /// Takes `stored`, which was looked for below at `epoch`, up to memory; gives it as it is after
    /// all that was purged.
    fn take_up(&self, key: &Key, stored: Stored, most: usize, epoch: Epoch) -> Option<Stored> {
        let stored = match self.purges().purged(key, &stored.head) {
            None => stored,
            Some(Purge::Soft) => shelf::withdrawn(&stored),
            Some(Purge::Hard) => return None,
        };
        if stored.body.region().is_none()
            && self.memory.restore(key, &stored, most, epoch) == Err(Outdated)
        {
            log::debug!("{key}: invalidated while it was read");
        }
        Some(stored)
    }

    /// Looks in `lower`, once for all who want the same at the same time.
    async fn load(
        &self,
        lower: &Arc<dyn Lower>,
        key: &Key,
        fields: &HeaderMap,
        names: &[HeaderName],
    ) -> Option<Stored> {
        let changed = self.memory.changed(key);
        let load =
            Load { tier: lower.tier(), key: key.digest(), said: said(fields, names), changed };
        let cell = {
            let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
            if loads.len() < MOST_SHARED {
                Arc::clone(loads.entry(load).or_default())
            } else {
                Arc::default()
            }
        };
        let found = cell.get_or_init(|| lower.load(key, fields, names)).await.clone();
        {
            let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
            if loads.get(&load).is_some_and(|other| Arc::ptr_eq(other, &cell)) {
                loads.remove(&load);
            }
        }
        let stored = found?;
        if stored.head.selecting.matches(fields) {
            return Some(stored);
        }
        lower.load(key, fields, names).await
    }
}

/// A hash of what `fields` say in the usual fields, and in those of `names`.
fn said(fields: &HeaderMap, names: &[HeaderName]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for name in USUAL.iter().chain(names) {
        for value in fields.get_all(name) {
            value.as_bytes().hash(&mut hasher);
        }
        name.hash(&mut hasher);
    }
    hasher.finish()
}

/// Changes what is stored.
impl Tiers {
    /// The present, to be noted before a request goes forward.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.memory.epoch()
    }

    /// Whether `key` was invalidated after `since`.
    #[must_use]
    pub fn is_outdated(&self, key: &Key, since: Epoch) -> bool {
        self.memory.is_outdated(key, since)
    }

    /// Stores what was asked for at `since`, as one of `most` variants.
    ///
    /// # Errors
    ///
    /// [`Outdated`] if `key` was invalidated since; nothing is stored then.
    pub fn store(
        &self,
        key: &Key,
        stored: &Stored,
        most: usize,
        since: Epoch,
    ) -> Result<(), Outdated> {
        let stored = since.noted_in(stored);
        self.memory.store(key, &stored, most, since)?;
        self.memory.tally().stores.one();
        self.save(key, &stored, since)
    }

    /// Stores `stored`, as one of `most` variants, in place of `old`, which it updates.
    ///
    /// # Errors
    ///
    /// [`Outdated`] if `key` was invalidated since; nothing is stored then.
    pub fn update(
        &self,
        key: &Key,
        old: &Stored,
        stored: &Stored,
        most: usize,
        since: Epoch,
    ) -> Result<(), Outdated> {
        let stored = since.noted_in(stored);
        // What is on disk alone is updated there alone.
        if stored.body.region().is_none() {
            self.memory.update(key, old, &stored, most, since)?;
            self.memory.tally().stores.one();
        }
        self.save(key, &stored, since)
    }

    /// Has the tiers below memory keep what was asked for at `since`.
    fn save(&self, key: &Key, stored: &Stored, since: Epoch) -> Result<(), Outdated> {
        for lower in &self.lower {
            lower.save(key, stored);
        }
        // Looked at again afterwards: an invalidation notes itself before it removes.
        if self.has_more() && self.memory.is_outdated(key, since) {
            self.remove_below(key);
            return Err(Outdated);
        }
        Ok(())
    }

    /// Keeps beside `body`, if that is still stored under `key`, what became of it in `coding`,
    /// or plain if that is nothing.
    pub fn attach(&self, key: &Key, body: &Body, coding: Option<Coding>, coded: &Coded) {
        let since = self.memory.epoch();
        self.memory.attach(key, body, coding, coded);
        let stays = match coded {
            Coded::Kept(kept) => kept.by != Maker::Quick,
            Coded::NotSmaller | Coded::Unreadable => true,
        };
        if !stays || !self.has_more() {
            return;
        }
        let Some(shelf) = self.memory.look_up(key) else { return };
        for stored in shelf.iter().filter(|stored| stored.body.is_same(body)) {
            if self.save(key, stored, since) == Err(Outdated) {
                return;
            }
        }
        // What took its place meanwhile must not be overwritten with it.
        let now = self.memory.look_up(key);
        if now.is_some_and(|shelf| !shelf.iter().any(|stored| stored.body.is_same(body))) {
            self.remove_below(key);
        }
    }

    /// Keeps beside `body`, if that is still stored under `key`, what `change` makes of what is
    /// known of it as a version among others.
    pub fn attach_version(&self, key: &Key, body: &Body, change: impl Fn(&mut Versions)) {
        self.memory.attach_version(key, body, change);
    }

    /// Removes what is stored under `key`, and what is on its way to it.
    pub fn invalidate(&self, key: &Key) {
        self.memory.invalidate(key);
        self.remove_below(key);
    }

    /// Removes what the tiers below memory keep under `key`; the rest of that happens behind.
    fn remove_below(&self, key: &Key) {
        for lower in &self.lower {
            self.runtime.spawn(lower.remove(key));
        }
    }

    /// Purges what is stored under `keys`, and what is on its way to them; says how many stored
    /// responses those are of which memory knows. When the rest is done they are gone below memory
    /// in either way: what is purged softly stays in memory, to answer in place of an origin that
    /// fails.
    pub fn purge(
        &self,
        keys: &[Key],
        purge: Purge,
        at: At,
    ) -> (usize, impl Future<Output = ()> + Send + use<>) {
        let count = self.memory.purge(keys, purge, at);
        let removals = keys.iter().flat_map(|key| self.lower.iter().map(|lower| lower.remove(key)));
        let removals: Vec<_> = removals.collect();
        (count, async move {
            for removal in removals {
                removal.await;
            }
        })
    }

    /// Purges all of `groups`, and what is on its way to them, in a time that does not depend on how
    /// much that is: each is held against them when it is next looked up. Says where they are noted.
    pub fn purge_groups(&self, groups: &[Group], purge: Purge, at: At) -> Position {
        self.memory.purge_groups(groups, purge, at)
    }

    /// Holds all that memory has against the notes of `purges`, as [`Memory::sweep`] does.
    pub fn sweep(&self, purges: &mut [Swept]) {
        self.memory.sweep(purges);
    }

    /// Notes that `stored` was read, so that it is let go if that failed.
    pub fn note_read(&self, key: &Key, stored: &Stored) {
        if !stored.body.region().is_some_and(|region| region.has_failed()) {
            return;
        }
        for lower in self.lower.iter().filter(|lower| lower.tier() == Tier::Disk) {
            lower.tally().faults(Fault::Torn).one();
            lower.tally().gone(Gone::Unusable).one();
            self.runtime.spawn(lower.remove(key));
        }
    }
}

/// Tells of itself.
impl Tiers {
    /// What [`Memory::changed`] says of `key`.
    #[must_use]
    pub fn changed(&self, key: &Key) -> (u64, u64) {
        self.memory.changed(key)
    }

    /// The log of purges.
    #[must_use]
    pub const fn log(&self) -> &PurgeLog {
        &self.log
    }

    /// Leave to have an invalidation logged behind.
    ///
    /// # Errors
    ///
    /// Too many wait for that.
    pub fn logging(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.logging).try_acquire_owned()
    }

    /// Where what nobody waits for is done.
    #[must_use]
    pub const fn behind(&self) -> &Handle {
        &self.runtime
    }

    /// What was purged.
    #[must_use]
    pub const fn purges(&self) -> &Arc<Purges> {
        self.memory.purges()
    }

    /// Each tier, the fastest first.
    pub fn each(&self) -> impl Iterator<Item = TierState<'_>> {
        let lower = self.lower.iter().map(|lower| TierState {
            tier: lower.tier(),
            tally: lower.tally(),
            holds: lower.holds(),
            is_up: lower.is_up(),
        });
        let (tally, holds) = (self.memory.tally(), Some(self.memory.holds()));
        std::iter::once(TierState { tier: Tier::Memory, tally, holds, is_up: true }).chain(lower)
    }

    /// Waits until the tiers below memory have what they are to keep, for a while.
    pub async fn settle(&self) {
        let settled = async {
            for lower in &self.lower {
                lower.settle().await;
            }
        };
        if tokio::time::timeout(SETTLE, settled).await.is_err() {
            log::warn!("stopped before all was written to the tiers below memory");
        }
    }
}

/// What an edge of a fleet is to do that found nothing.
#[derive(Debug)]
pub enum Turns {
    /// To ask the origin. The others wait for it while it has this lease, if there is one.
    Ask(Option<Guard>),
    /// To answer with this, which another edge stored meanwhile, and is fresh.
    Answer(Stored),
}

/// Shares forward requests with other edges.
impl Tiers {
    /// Waits for its turn to ask the origin for what a request with `fields` selects under `key`,
    /// of what was selected by `names` at least, where edges share what they store.
    pub async fn turn(
        &self,
        key: &Key,
        fields: &HeaderMap,
        names: &[HeaderName],
        most: usize,
    ) -> Turns {
        let is_open = self.log.is_caught_up() && !self.memory.was_invalidated(key);
        let Some(redis) = self.redis.as_ref().filter(|_| is_open) else {
            return Turns::Ask(None);
        };
        let epoch = self.memory.epoch();
        let look = async || {
            let stored = Lower::load(redis, key, fields, names).await?;
            let freshness = &stored.head.freshness;
            let is_of_use = freshness.is_fresh(time::now()) && !freshness.always_validate;
            self.take_up(key, stored, most, epoch)
                .filter(|stored| is_of_use && !stored.head.freshness.withdrawn)
        };
        let mut waiting = match redis.lease(key.digest(), None).await {
            // Between the look-up and here, another may have stored it.
            Lease::Mine(guard) => {
                return look().await.map_or(Turns::Ask(Some(guard)), Turns::Answer);
            }
            Lease::Theirs(waiting) => waiting,
            Lease::Unavailable => return Turns::Ask(None),
        };
        loop {
            match waiting.next().await {
                Turn::Record(_) => {
                    if let Some(stored) = look().await {
                        return Turns::Answer(stored);
                    }
                }
                Turn::Mine(guard) => return Turns::Ask(Some(guard)),
                Turn::Forward => return Turns::Ask(None),
            }
        }
    }
}
