//! What waits for the thread that writes.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::files::Place;
use super::read::selects;
use crate::key::{Key, KeyDigest};
use crate::stored::Stored;

/// At most so many stored responses wait.
const MOST_SAVES: usize = 4096;
/// They take at most so many bytes together; one alone may take more.
const MOST_BYTES: u64 = 64 << 20;
/// At most so many keys wait to be removed. Past that, all there is does.
const MOST_REMOVES: usize = 65_536;
/// At most so many keys and records wait that are of no use. Past that, they are found again.
const MOST_USELESS: usize = 1024;

/// What waits, and what runs.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether what is being saved is to be removed.
    abandoned: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// The keys and variants that wait to be saved, in this order.
    order: VecDeque<(KeyDigest, u64)>,
    saves: HashMap<KeyDigest, Vec<Save>>,
    bytes: u64,
    running: Option<Save>,
    is_working: bool,
    removes: Vec<KeyDigest>,
    clear: bool,
    /// What is being removed at the moment.
    going: Vec<KeyDigest>,
    all_going: bool,
    /// How often a removal was asked for.
    asked: u64,
    useless: Useless,
}

/// What is of no use any more.
#[derive(Debug, Default)]
pub(super) struct Useless {
    /// The keys of which something newer could not be kept.
    pub(super) keys: Vec<KeyDigest>,
    /// The records that cannot be read.
    pub(super) records: Vec<Place>,
}

/// A stored response that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Save {
    pub(super) key: Key,
    pub(super) digest: KeyDigest,
    pub(super) variant: u64,
    pub(super) stored: Stored,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Job {
    /// Remove everything: so many removals had been asked for by then.
    Clear(u64),
    /// Remove these keys: so many removals had been asked for by then.
    Remove(Vec<KeyDigest>, u64),
    /// Remove what is of no use.
    Drop(Useless),
    /// Write this.
    Save(Box<Save>),
    /// Nothing, for now.
    Nothing,
    /// Nothing any more.
    End,
}

impl Job {
    /// Up to which removal all is done with it, if it is one.
    pub(super) const fn removed(&self) -> Option<u64> {
        match self {
            Self::Clear(asked) | Self::Remove(_, asked) => Some(*asked),
            Self::Drop(_) | Self::Save(_) | Self::Nothing | Self::End => None,
        }
    }
}

impl Save {
    pub(super) fn new(key: &Key, stored: &Stored) -> Self {
        let variant = stored.head.selecting.variant();
        Self { key: key.clone(), digest: key.digest(), variant, stored: stored.clone() }
    }

    fn size(&self) -> u64 {
        self.stored.size() + self.key.as_bytes().len() as u64
    }
}

impl Queue {
    /// Has `save` wait in place of what waits of the same variant; says whether there is room.
    pub(super) fn push(&self, save: Save) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let (id, size) = ((save.digest, save.variant), save.size());
        let same = state.saves.entry(id.0).or_default();
        let old = same.iter().position(|other| other.variant == id.1);
        let is_whole = |save: &Save| save.stored.head.part.is_none();
        if !is_whole(&save) && old.and_then(|at| same.get(at)).is_some_and(is_whole) {
            // A part does not take the place of a whole.
            return true;
        }
        let old_size = old.and_then(|at| same.get(at)).map_or(0, Save::size);
        let others = state.order.len() - usize::from(old.is_some());
        let fits =
            others == 0 || (others < MOST_SAVES && state.bytes - old_size + size <= MOST_BYTES);
        if !fits {
            state.forget(id.0);
            state.useless.add_key(id.0);
            self.changed.notify_one();
            return false;
        }
        match old.and_then(|at| same.get_mut(at)) {
            Some(old) => *old = save,
            None => {
                same.push(save);
                state.order.push_back(id);
            }
        }
        state.bytes = state.bytes - old_size + size;
        self.changed.notify_one();
        true
    }

    /// Has a key removed; says how many removals were asked for with it.
    pub(super) fn remove(&self, digest: KeyDigest) -> u64 {
        let mut state = self.lock();
        state.forget(digest);
        if state.removes.len() < MOST_REMOVES {
            state.removes.push(digest);
        } else {
            state.clear = true;
        }
        if state.clear || state.running.as_ref().is_some_and(|save| save.digest == digest) {
            self.abandoned.store(true, Ordering::Release);
        }
        self.asked(state)
    }

    /// Has everything removed; says how many removals were asked for with it.
    pub(super) fn clear(&self) -> u64 {
        let mut state = self.lock();
        state.clear = true;
        self.abandoned.store(true, Ordering::Release);
        self.asked(state)
    }

    fn asked(&self, mut state: MutexGuard<'_, State>) -> u64 {
        state.asked += 1;
        self.changed.notify_one();
        state.asked
    }

    /// Has a record removed that cannot be read.
    pub(super) fn drop_record(&self, place: Place) {
        let mut state = self.lock();
        if state.useless.records.len() < MOST_USELESS {
            state.useless.records.push(place);
        }
        self.changed.notify_one();
    }

    /// What waits or is being written that `request` selects, of what was selected by `names` at
    /// least.
    pub(super) fn find(
        &self,
        key: (&Key, KeyDigest),
        request: &HeaderMap,
        names: &[HeaderName],
    ) -> Option<Stored> {
        let state = self.lock();
        let waiting = state.saves.get(&key.1).into_iter().flatten().rev();
        let mut all = waiting.chain(&state.running);
        let found =
            all.find(|save| save.key == *key.0 && selects(&save.stored.head, request, names));
        found
            .filter(|_| !state.clear && !state.removes.contains(&key.1))
            .map(|save| save.stored.clone())
    }

    /// Whether what is in the folder under a key is to be removed, and may be there yet.
    pub(super) fn is_going(&self, digest: KeyDigest) -> bool {
        let State { removes, clear, going, all_going, useless, .. } = &*self.lock();
        *clear
            || *all_going
            || [removes, going, &useless.keys].iter().any(|keys| keys.contains(&digest))
    }

    /// How many stored responses wait, and the bytes that they take.
    pub(super) fn waiting(&self) -> (u64, u64) {
        let state = self.lock();
        (state.order.len() as u64 + u64::from(state.running.is_some()), state.bytes)
    }

    /// Whether what is being saved is not wanted any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// The last job is done.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.running = None;
        state.is_working = false;
        state.going.clear();
        state.all_going = false;
    }

    /// Waits for a job, at most so long.
    pub(super) fn next(&self, most: Option<Duration>) -> Job {
        let mut state = self.lock();
        let has_none = |state: &mut State| !state.has_job();
        state = match most {
            None => {
                self.changed.wait_while(state, has_none).unwrap_or_else(PoisonError::into_inner)
            }
            Some(Duration::ZERO) => state,
            Some(most) => {
                let waited = self.changed.wait_timeout_while(state, most, has_none);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        let job = state.next();
        state.is_working = !matches!(job, Job::Nothing);
        self.abandoned.store(false, Ordering::Release);
        job
    }

    /// Lets nothing be written any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.abandoned.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Whether nothing waits to be written or removed.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        !state.is_working && !state.has_job()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_job(&self) -> bool {
        let waits = self.clear || !self.removes.is_empty() || !self.order.is_empty();
        self.closed || waits || !self.useless.is_empty()
    }

    fn next(&mut self) -> Job {
        if self.closed {
            return Job::End;
        }
        if self.clear {
            // It takes all that waits with it.
            *self = Self { asked: self.asked, all_going: true, ..Self::default() };
            return Job::Clear(self.asked);
        }
        if !self.removes.is_empty() {
            // What waits to be saved came after the removal: what was there before went with it.
            let removes = std::mem::take(&mut self.removes);
            self.going.clone_from(&removes);
            return Job::Remove(removes, self.asked);
        }
        if !self.useless.is_empty() {
            self.going.clone_from(&self.useless.keys);
            return Job::Drop(std::mem::take(&mut self.useless));
        }
        let Some((digest, variant)) = self.order.pop_front() else { return Job::Nothing };
        let Some(of_key) = self.saves.get_mut(&digest) else { return Job::Nothing };
        let Some(at) = of_key.iter().position(|save| save.variant == variant) else {
            return Job::Nothing;
        };
        let save = of_key.remove(at);
        if of_key.is_empty() {
            self.saves.remove(&digest);
        }
        self.bytes -= save.size();
        self.running = Some(save.clone());
        Job::Save(Box::new(save))
    }

    /// Lets nothing of the key wait to be saved.
    fn forget(&mut self, digest: KeyDigest) {
        let saves = self.saves.remove(&digest).unwrap_or_default();
        if !saves.is_empty() {
            self.bytes -= saves.iter().map(Save::size).sum::<u64>();
            self.order.retain(|(other, _)| *other != digest);
        }
    }
}

impl Useless {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.records.is_empty()
    }

    fn add_key(&mut self, digest: KeyDigest) {
        if self.keys.len() < MOST_USELESS {
            self.keys.push(digest);
        }
    }
}
