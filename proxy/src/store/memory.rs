//! Keeps stored responses in memory, bounded in bytes.

mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::position::Position;
use super::purges::{At, Group, Purge, Purges};
use super::shelf::Shelf;
use crate::field::coding::Coding;
use crate::key::{Key, KeyDigest};
use crate::stored::{Body, Coded, Stored, Versions};
use crate::tally::{Gone, Holds, Tally};

pub use sweep::Swept;

/// How many invalidations are remembered, for answers that were on their way meanwhile.
const REMEMBERED: u64 = 65_536;
/// How long: longer than any answer that is still stored may take to arrive.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);
/// What the tables take for each key, measured.
const OVERHEAD: u64 = 370;

/// Room is made in batches, a little after storing; for what is larger than this, at once.
const HOLD_AT_ONCE: u64 = 16 * 1024;

/// The moment at which a forward request began, for [`Memory::store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    began: Instant,
    /// How many invalidations there had been in this process.
    invalidations: u64,
    /// Up to where purges had been noted.
    noted: Position,
    /// Up to where of those that the log has.
    logged: Position,
}

impl Epoch {
    /// The same, as if what had been invalidated until `now` had been so before it.
    #[must_use]
    pub const fn after_changes(self, now: Self) -> Self {
        Self { invalidations: now.invalidations, ..self }
    }

    /// Whether what was invalidated after it may not be remembered any more, now that there were so
    /// many invalidations.
    fn is_too_long_ago(self, invalidations: u64) -> bool {
        invalidations.saturating_sub(self.invalidations) > REMEMBERED
            || self.began.elapsed() > REMEMBERED_FOR
    }

    /// `stored` with the note that it was asked for at this moment, as the tiers keep it.
    #[must_use]
    pub fn noted_in(self, stored: &Stored) -> Stored {
        let mut stored = stored.clone();
        Arc::make_mut(&mut stored.head).since = self.logged.number();
        stored
    }
}

/// The stored response was not kept: its key was invalidated after it had been asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outdated;

/// When and how a key was invalidated or purged.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// How many invalidations there were by then.
    at: u64,
    /// Whether other edges are told by the log.
    is_logged: bool,
}

/// The memory tier.
#[derive(Debug)]
pub struct Memory {
    shelves: Cache<Key, Shelf>,
    /// The keys that were invalidated or purged.
    invalidated: Cache<KeyDigest, Change>,
    invalidations: AtomicU64,
    purges: Arc<Purges>,
    capacity: u64,
    tally: Arc<Tally>,
}

impl Memory {
    /// A tier that holds at most `capacity` bytes, heads and bookkeeping included.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let tally = Arc::new(Tally::default());
        let counted = Arc::clone(&tally);
        let shelves = Cache::builder()
            .max_capacity(capacity)
            .eviction_listener(move |_, _, cause| match cause {
                RemovalCause::Size => counted.gone(Gone::Bytes).one(),
                RemovalCause::Explicit => counted.gone(Gone::Purged).one(),
                RemovalCause::Replaced | RemovalCause::Expired => {}
            })
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
        Self {
            shelves,
            invalidated,
            invalidations: AtomicU64::new(0),
            purges: Arc::default(),
            capacity,
            tally,
        }
    }

    /// What is stored under `key`, after all that was purged.
    #[must_use]
    pub fn look_up(&self, key: &Key) -> Option<Shelf> {
        let shelf = self.shelves.get(key)?;
        let newest = self.purges.newest_group();
        if shelf.is_checked(newest) {
            return Some(shelf);
        }
        self.hold(key, newest);
        self.shelves.get(key)
    }

    /// Holds what is stored under `key` against the purges of groups up to `newest`.
    fn hold(&self, key: &Key, newest: Position) {
        let of = |stored: &Stored| self.purges.purged(key, &stored.head);
        self.shelves.entry_by_ref(key).and_compute_with(|shelf| match shelf {
            None => Op::Nop,
            Some(shelf) => shelf.into_value().purged(newest, of).map_or(Op::Remove, Op::Put),
        });
    }

    /// The present, to be noted before a request goes forward.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch {
            began: Instant::now(),
            invalidations: self.invalidations.load(Ordering::SeqCst),
            noted: self.purges.newest(),
            logged: self.purges.logged(),
        }
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
        let new = Shelf::new(since.noted_in(stored)).checked_up_to(since.noted);
        self.put(key, new, since, |shelf, stored| shelf.with(stored, most))
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
        let new = Shelf::new(since.noted_in(stored)).checked_up_to(since.noted);
        self.put(key, new, since, |shelf, stored| shelf.with_update(old, stored, most))
    }

    /// Puts back what was found in a lower tier, which was asked for when its head says, unless
    /// something newer is here. `since` is the moment before it was looked for there.
    ///
    /// # Errors
    ///
    /// [`Outdated`] if `key` was invalidated since; nothing is stored then.
    pub fn restore(
        &self,
        key: &Key,
        stored: &Stored,
        most: usize,
        since: Epoch,
    ) -> Result<(), Outdated> {
        let found = Shelf::new(stored.clone());
        self.put(key, found, since, |shelf, stored| shelf.with_restored(stored, most))
    }

    /// Puts the one stored response of the shelf `new` on the shelf that `add` makes of the one under
    /// `key`, unless that was invalidated after `since`.
    fn put(
        &self,
        key: &Key,
        new: Shelf,
        since: Epoch,
        add: impl FnOnce(&Shelf, Stored) -> Shelf,
    ) -> Result<(), Outdated> {
        let digest = key.digest();
        let is_outdated = || self.is_outdated_at(digest, since);
        // What was stored since is newer.
        if is_outdated() {
            return Err(Outdated);
        }
        let size = new.size();
        self.shelves.entry_by_ref(key).and_upsert_with(|shelf| {
            let Some(shelf) = shelf.map(moka::Entry::into_value) else { return new };
            let checked = shelf.checked().min(new.checked());
            let added = new.newest().map(|stored| add(&shelf, stored.clone()));
            added.unwrap_or(shelf).checked_up_to(checked)
        });
        if size > HOLD_AT_ONCE {
            self.shelves.run_pending_tasks();
        }
        // Looked at again after storing: an invalidation notes itself before it removes, so that one
        // of the two sees the other.
        if is_outdated() {
            self.shelves.invalidate(key);
            return Err(Outdated);
        }
        Ok(())
    }

    /// Keeps beside `body`, if that is still stored under `key`, what became of it in `coding`,
    /// or plain if that is nothing.
    pub fn attach(&self, key: &Key, body: &Body, coding: Option<Coding>, coded: &Coded) {
        self.change(key, |shelf| shelf.with_coded(body, coding, coded));
    }

    /// Keeps beside `body`, if that is still stored under `key`, what `change` makes of what is
    /// known of it as a version among others.
    pub fn attach_version(&self, key: &Key, body: &Body, change: impl Fn(&mut Versions)) {
        self.change(key, |shelf| shelf.with_body(body, |body| body.with_versions(&change)));
    }

    /// Puts what `change` makes of the shelf under `key` in its place, if it makes anything of it.
    fn change(&self, key: &Key, change: impl FnOnce(Shelf) -> Option<Shelf>) {
        self.shelves.entry_by_ref(key).and_compute_with(|shelf| {
            let shelf = shelf.and_then(|shelf| change(shelf.into_value()));
            shelf.map_or(Op::Nop, Op::Put)
        });
    }

    /// Removes what is stored under `key`, and what is on its way to it.
    pub fn invalidate(&self, key: &Key) {
        self.outdate(key, false);
        self.shelves.invalidate(key);
    }

    /// Purges what is stored under `keys`, and what is on its way to them; says how many stored
    /// responses that are.
    pub fn purge(&self, keys: &[Key], purge: Purge, at: At) -> usize {
        let count = |key| self.look_up(key).map_or(0, |shelf| shelf.iter().len());
        let count = keys.iter().map(count).sum();
        self.purges.note_keys(keys, purge, at);
        for key in keys {
            self.outdate(key, at != At::Here);
            match purge {
                Purge::Hard => self.shelves.invalidate(key),
                Purge::Soft => {
                    self.change(key, |shelf| shelf.purged(Position::START, |_| Some(Purge::Soft)));
                }
            }
        }
        count
    }

    /// Purges all of `groups`, and what is on its way to them, in a time that does not depend on how
    /// much that is: each is held against them when it is next looked up. Says where they are noted.
    pub fn purge_groups(&self, groups: &[Group], purge: Purge, at: At) -> Position {
        self.purges.note(groups, purge, at)
    }

    /// Lets nothing be stored under `key` that was asked for until now.
    fn outdate(&self, key: &Key, is_logged: bool) {
        let at = self.invalidations.fetch_add(1, Ordering::SeqCst) + 1;
        self.invalidated.insert(key.digest(), Change { at, is_logged });
    }

    /// When `key` was last invalidated, and where anything was last purged in a group; zero if it was
    /// not, or too long ago to matter to what is on its way.
    #[must_use]
    pub fn changed(&self, key: &Key) -> (u64, u64) {
        let invalidated = self.invalidated.get(&key.digest()).map_or(0, |change| change.at);
        (invalidated, self.purges.newest_group().number())
    }

    /// What was purged, for the tiers below to be held against.
    #[must_use]
    pub const fn purges(&self) -> &Arc<Purges> {
        &self.purges
    }

    /// Makes room of what is stored under `key`.
    #[cfg(test)]
    pub(super) fn evict(&self, key: &Key) {
        self.shelves.invalidate(key);
    }

    /// Whether `key` was last invalidated by something that other edges do not know of, not too long
    /// ago to matter to what one of them may have asked for before that.
    #[must_use]
    pub fn was_invalidated(&self, key: &Key) -> bool {
        self.invalidated.get(&key.digest()).is_some_and(|change| !change.is_logged)
    }

    /// Whether `key` was invalidated after `since`.
    #[must_use]
    pub fn is_outdated(&self, key: &Key, since: Epoch) -> bool {
        self.is_outdated_at(key.digest(), since)
    }

    fn is_outdated_at(&self, digest: KeyDigest, since: Epoch) -> bool {
        since.is_too_long_ago(self.invalidations.load(Ordering::SeqCst))
            || self.invalidated.get(&digest).is_some_and(|change| change.at > since.invalidations)
    }

    /// What it holds.
    #[must_use]
    pub fn holds(&self) -> Holds {
        Holds {
            bytes: self.shelves.weighted_size(),
            most_bytes: self.capacity,
            entries: self.shelves.entry_count(),
        }
    }

    /// What it has counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 32;
    use crate::key::Target;
    use crate::stored::testing::{body, request, stored};

    fn key(path: &str) -> Key {
        Key::of(&Target::parse("http", "a.example", path).unwrap())
    }

    fn plain(body: &str) -> Stored {
        stored(body, &[], &HeaderMap::new())
    }

    fn found(memory: &Memory, path: &str) -> Option<String> {
        let shelf = memory.look_up(&key(path))?;
        shelf.select(&HeaderMap::new(), &[]).map(body)
    }

    #[test]
    fn gives_back_what_it_stored() {
        let memory = Memory::new(1 << 20);
        assert_eq!(found(&memory, "/a"), None);
        assert_eq!(memory.store(&key("/a"), &plain("a"), MOST, memory.epoch()), Ok(()));
        assert_eq!(memory.store(&key("/b"), &plain("b"), MOST, memory.epoch()), Ok(()));
        assert_eq!(found(&memory, "/a").as_deref(), Some("a"));
        assert_eq!(memory.store(&key("/a"), &plain("newer"), MOST, memory.epoch()), Ok(()));
        assert_eq!(found(&memory, "/a").as_deref(), Some("newer"));
        assert_eq!(found(&memory, "/b").as_deref(), Some("b"));
    }

    #[test]
    fn keeps_several_variants_under_one_key() {
        let memory = Memory::new(1 << 20);
        for value in ["1", "2"] {
            let variant = stored(value, &["x-a"], &request("x-a", value));
            assert_eq!(memory.store(&key("/a"), &variant, MOST, memory.epoch()), Ok(()));
        }
        let shelf = memory.look_up(&key("/a")).unwrap();
        for value in ["1", "2"] {
            assert_eq!(shelf.select(&request("x-a", value), &[]).map(body).as_deref(), Some(value));
        }
    }

    #[test]
    fn stays_within_its_capacity() {
        const CAPACITY: u64 = 200_000;
        let memory = Memory::new(CAPACITY);
        for number in 0..1_000 {
            let stored = plain(&"x".repeat(1_000));
            assert_eq!(
                memory.store(&key(&format!("/{number}")), &stored, MOST, memory.epoch()),
                Ok(())
            );
            // One key whose variants grow must count with all of them.
            let variant = stored_variant(number);
            assert_eq!(memory.store(&key("/growing"), &variant, MOST, memory.epoch()), Ok(()));
        }
        memory.shelves.run_pending_tasks();
        assert!(memory.holds().bytes <= CAPACITY, "{}", memory.holds().bytes);
        assert!(memory.holds().bytes > CAPACITY / 2, "{}", memory.holds().bytes);
        let shelves: u64 = memory.shelves.iter().map(|(_, shelf)| shelf.size()).sum();
        assert!(shelves <= memory.holds().bytes, "{shelves}");
        assert!((1..1_000).contains(&memory.holds().entries));
    }

    fn stored_variant(number: u32) -> Stored {
        stored(&"x".repeat(1_000), &["x-a"], &request("x-a", &number.to_string()))
    }

    #[test]
    fn keeps_nothing_that_is_larger_than_it_is() {
        let memory = Memory::new(10_000);
        assert_eq!(
            memory.store(&key("/a"), &plain(&"x".repeat(20_000)), MOST, memory.epoch()),
            Ok(())
        );
        memory.shelves.run_pending_tasks();
        assert_eq!(found(&memory, "/a"), None);
        assert_eq!(memory.holds().bytes, 0);
    }

    #[test]
    fn removes_what_is_invalidated_with_all_its_variants() {
        let memory = Memory::new(1 << 20);
        for value in ["1", "2"] {
            let variant = stored(value, &["x-a"], &request("x-a", value));
            assert_eq!(memory.store(&key("/a"), &variant, MOST, memory.epoch()), Ok(()));
        }
        assert_eq!(memory.store(&key("/b"), &plain("b"), MOST, memory.epoch()), Ok(()));
        memory.invalidate(&key("/a"));
        assert!(memory.look_up(&key("/a")).is_none());
        assert_eq!(found(&memory, "/b").as_deref(), Some("b"));
    }

    #[test]
    fn refuses_what_was_asked_for_before_its_key_was_invalidated() {
        let memory = Memory::new(1 << 20);
        let before = memory.epoch();
        memory.invalidate(&key("/a"));
        assert_eq!(memory.store(&key("/a"), &plain("old"), MOST, before), Err(Outdated));
        assert_eq!(found(&memory, "/a"), None);
        assert_eq!(memory.store(&key("/b"), &plain("other"), MOST, before), Ok(()));
        assert_eq!(memory.store(&key("/a"), &plain("new"), MOST, memory.epoch()), Ok(()));
        assert_eq!(found(&memory, "/a").as_deref(), Some("new"));
    }

    #[test]
    fn remembers_the_latest_invalidation_however_many_there_were() {
        let memory = Memory::new(1 << 20);
        for number in 0..REMEMBERED + 1_000 {
            memory.invalidate(&key(&format!("/{number}")));
        }
        memory.invalidated.run_pending_tasks();
        let before = memory.epoch();
        memory.invalidate(&key("/a"));
        memory.invalidated.run_pending_tasks();
        assert_eq!(memory.store(&key("/a"), &plain("old"), MOST, before), Err(Outdated));
    }

    proptest! {
        #[test]
        fn never_keeps_what_was_asked_for_before_an_invalidation(
            steps in prop::collection::vec(0..3_u8, 0..40),
        ) {
            let memory = Memory::new(1 << 20);
            let mut asked = std::collections::VecDeque::new();
            let mut expected = None;
            let mut invalidations = 0;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    0 => asked.push_back((memory.epoch(), invalidations, number.to_string())),
                    1 => {
                        memory.invalidate(&key("/a"));
                        invalidations += 1;
                        expected = None;
                    }
                    _ => {
                        let Some((since, seen, text)) = asked.pop_front() else { continue };
                        let result = memory.store(&key("/a"), &plain(&text), MOST, since);
                        prop_assert_eq!(result.is_ok(), seen == invalidations);
                        expected = result.is_ok().then_some(text);
                    }
                }
                prop_assert_eq!(found(&memory, "/a"), expected.clone());
            }
        }
    }
}
