//! Has stored bodies kept as dictionaries, and made anew for clients that have one, off the request
//! threads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use log::debug;

use super::decide::Asked;
use super::{Shared, Snapshot, compress};
use crate::event::Encoded;
use crate::field::dictionary::{DictionaryCoding, Hash};
use crate::key::Key;
use crate::policy::dictionary::{Bundle, SIZES};
use crate::policy::difference::Work;
use crate::store::dictionaries::Registry;
use crate::stored::{Difference, Standing, Stored};
use crate::transform::dictionary;

/// The dictionaries, and what is being done with them.
#[derive(Debug)]
pub struct Dictionaries {
    /// The bodies that clients may have.
    pub registry: Registry,
    under_way: Mutex<HashSet<Task>>,
}

/// A body, by where it is in memory, and what is done with it.
type Task = (usize, Work);

impl Dictionaries {
    /// Nothing yet; at most `capacity` bytes will be kept.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { registry: Registry::new(capacity), under_way: Mutex::default() }
    }

    /// How much is being done, or waits for it.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.tasks().len() as u64
    }

    fn tasks(&self) -> MutexGuard<'_, HashSet<Task>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has `work` done with the body of `stored`, which answers what is `asked`, unless that is under
/// way.
pub(super) fn order(shared: &Arc<Shared>, asked: &Asked, stored: &Stored, work: Option<Work>) {
    let Some((work, bundle)) = work.zip(asked.ask.bundle.as_ref()) else { return };
    let family = bundle.family(&asked.target, &asked.route);
    let order = match work {
        Work::Hash => Order::Hash(family),
        Work::Code(coding, from) => match shared.dictionaries.registry.find(&family, from) {
            Some(dictionary) => Order::Code(coding, from, dictionary),
            // It is none of ours, or was long ago.
            None => return,
        },
    };
    let Some(address) = stored.body.address() else { return };
    let Some(lane) = shared.compressor.lane() else { return };
    let task = (address, work);
    if !shared.dictionaries.tasks().insert(task) {
        return;
    }
    let job = Job {
        shared: Arc::clone(shared),
        snapshot: Arc::clone(&asked.snapshot),
        key: asked.key.clone(),
        route: Arc::clone(&asked.route.name),
        stored: stored.clone(),
        task,
    };
    if lane.submit(move || job.run(order)).is_err() {
        // The job was dropped, and with it the note that it is under way.
        debug!("{}: too much waits to be compressed", asked.key);
    }
}

/// Has what was just `stored` for what was `asked` kept as a dictionary, if it may be one: who asks
/// for it next can be told.
pub(super) fn note_stored(shared: &Arc<Shared>, asked: &Asked, stored: &Stored) {
    let is_plain = stored.head.coding.is_none();
    let length = is_plain.then(|| stored.body.length());
    let takes = |bundle: &Bundle| bundle.takes(&stored.head, &stored.head.fields.to_map(), length);
    if stored.head.compressible && asked.ask.bundle.as_ref().is_some_and(takes) {
        order(shared, asked, stored, Some(Work::Hash));
    }
}

/// What is to be done, with what it takes.
enum Order {
    /// Work out the hash, and keep the body as a version of this family.
    Hash(Key),
    /// Make it in this coding for who has the dictionary, which is here.
    Code(DictionaryCoding, Hash, Bytes),
}

/// A body that something is done with. It holds on to the body, so that no other has its place in
/// memory.
struct Job {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    key: Key,
    route: Arc<str>,
    stored: Stored,
    task: Task,
}

impl Job {
    fn run(&self, order: Order) {
        match order {
            Order::Hash(family) => self.look(&family),
            Order::Code(coding, from, dictionary) => self.code(coding, from, &dictionary),
        }
    }

    /// Keeps the body as a dictionary, if it can be one.
    fn look(&self, family: &Key) {
        let standing = match compress::plain(&self.stored, *SIZES.end()) {
            Ok(body) if SIZES.contains(&body.length()) => {
                let body = match body.as_slice() {
                    [one] => one.clone(),
                    many => Bytes::from(many.concat()),
                };
                let hash = Hash::of(&body);
                // Kept first: who is told of it may come back with it at once.
                self.shared.dictionaries.registry.keep(family, hash, body);
                Standing::Known(hash)
            }
            Ok(_) => Standing::Unfit,
            Err(error) => {
                debug!("{}: {error}", self.key);
                Standing::Unfit
            }
        };
        let body = &self.stored.body;
        self.shared.store.attach_version(&self.key, body, |versions| versions.standing = standing);
    }

    /// Makes what differs from `dictionary`, whose hash is `from`.
    fn code(&self, coding: DictionaryCoding, from: Hash, dictionary: &Bytes) {
        let began = Instant::now();
        let plain = match compress::plain(&self.stored, *SIZES.end()) {
            Ok(plain) => plain,
            Err(error) => return debug!("{}: {error}", self.key),
        };
        let before = plain.length();
        let made = match dictionary::encode(coding, dictionary, plain.as_slice()) {
            Ok(made) => {
                let after = made.len() as u64;
                let (route, took) = (Arc::clone(&self.route), began.elapsed());
                let coding = coding.token();
                self.snapshot.meters.count_encoded(&Encoded { route, coding, before, after, took });
                Some(made).filter(|_| after < before)
            }
            Err(error) => {
                debug!("{}: {error}", self.key);
                None
            }
        };
        let difference = Difference { coding, from, made };
        let body = &self.stored.body;
        self.shared.store.attach_version(&self.key, body, |known| known.add(difference.clone()));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.shared.dictionaries.tasks().remove(&self.task);
    }
}
