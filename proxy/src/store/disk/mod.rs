//! Keeps stored responses on disk, one in a file, bounded in bytes and in number.
//!
//! A look-up opens the file whose name the key says, so that it finds what is there as soon as the
//! edge has started. What is saved and removed goes to one thread. Nothing that goes wrong here
//! takes an answer away: it is counted, and a look-up misses.

mod files;
mod index;
mod queue;
mod read;
mod walk;
mod writer;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use tokio::sync::{Semaphore, watch};

use super::tally::{Fault, Tally};
use crate::key::{Key, KeyDigest};
use crate::stored::Stored;
use files::{Folder, Place};
use index::Index;
use queue::{Queue, Save};
use writer::Writer;

/// So many look-ups may be under way.
const MOST_READS: usize = 64;
/// So long a look-up may take.
const MOST_TIME: Duration = Duration::from_millis(100);
/// So many keys may be barred one by one.
const MOST_BARRED: usize = 65_536;

/// How much a tier holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes, each file counted in whole pages.
    pub bytes: u64,
    /// The most files.
    pub entries: u64,
}

/// A tier on disk. When it is dropped, what waits to be saved is not.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is something else at its path.
    #[error("{} is no folder; name one, or a path where nothing is yet", path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// It is not there, and cannot be made.
    #[error("cannot make the folder {}; make it, and let the edge write to it", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be written to.
    #[error("cannot write to the folder {}; let the edge write to it", path.display())]
    Closed {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("cannot start the thread that writes to disk")]
    Thread {
        /// What the system says.
        source: io::Error,
    },
}

/// What a tier holds at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The bytes on disk that are known of.
    pub bytes: u64,
    /// The files that are known of.
    pub entries: u64,
    /// How many stored responses wait to be saved.
    pub waiting: u64,
    /// The bytes that these take in memory.
    pub waiting_bytes: u64,
    /// Whether the folder is this process's. If not, another has it, and nothing is kept.
    pub is_here: bool,
    /// Whether all that was there at the start is known of.
    pub is_counted: bool,
}

/// What those who ask share with the thread that writes.
#[derive(Debug)]
struct Shared {
    folder: Folder,
    limits: Limits,
    index: Mutex<Index>,
    queue: Queue,
    tally: Tally,
    barred: Mutex<Barred>,
    is_here: AtomicBool,
    progress: watch::Sender<Progress>,
    reads: Arc<Semaphore>,
}

/// What should be removed, and could not be. Nobody gets it.
#[derive(Debug, Default)]
struct Barred {
    keys: HashSet<KeyDigest>,
    all: bool,
}

/// How far the thread has come that writes.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// So many of the removals that were asked for are done.
    removed: u64,
    is_counted: bool,
}

impl Disk {
    /// Opens the tier in the folder `path`, which is made if it is not there.
    ///
    /// While another process has it, as when an old one hands over to this one, this keeps and finds
    /// nothing; it asks for the folder again until it has it.
    ///
    /// # Errors
    ///
    /// That the folder cannot be made or used.
    pub fn open(path: impl Into<PathBuf>, limits: Limits) -> Result<Self, OpenError> {
        let path = path.into();
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NoFolder { path });
        }
        if let Err(source) = std::fs::create_dir_all(&path) {
            return Err(OpenError::Missing { path, source });
        }
        let shared = Arc::new(Shared::new(path.clone(), limits));
        let mut writer = Writer::new(Arc::clone(&shared));
        if let Err(source) = writer.take() {
            return Err(OpenError::Closed { path, source });
        }
        if !shared.is_here() {
            log::info!("another process has the folder {}; waiting for it", path.display());
        }
        let thread = thread::Builder::new().name("disk".to_owned());
        match thread.spawn(move || writer.run()) {
            Ok(_) => Ok(Self { shared }),
            Err(source) => Err(OpenError::Thread { source }),
        }
    }

    /// The stored response under `key` that a request with `fields` selects, of those that were
    /// selected by `names` at least.
    pub async fn load(
        &self,
        key: &Key,
        fields: &HeaderMap,
        names: &[HeaderName],
    ) -> Option<Stored> {
        if !self.shared.is_here() {
            return None;
        }
        let began = Instant::now();
        let found = self.find(key, fields, names).await;
        let tally = self.tally();
        tally.took(began.elapsed());
        match found {
            Ok(Some(stored)) => {
                tally.hits.one();
                return Some(stored);
            }
            Ok(None) => {}
            Err(fault) => tally.faults(fault).one(),
        }
        tally.misses.one();
        None
    }

    async fn find(
        &self,
        key: &Key,
        fields: &HeaderMap,
        names: &[HeaderName],
    ) -> Result<Option<Stored>, Fault> {
        if let Some(stored) = self.shared.queue.find((key, key.digest()), fields, names) {
            return Ok(Some(stored));
        }
        let permit = Arc::clone(&self.shared.reads).try_acquire_owned();
        let permit = permit.map_err(|_none_left| Fault::Busy)?;
        let shared = Arc::clone(&self.shared);
        let digest = key.digest();
        let (key, fields, names) = (key.clone(), fields.clone(), names.to_vec());
        let task = tokio::task::spawn_blocking(move || {
            // It is held as long as the disk takes, also when nobody waits any more.
            let _permit = permit;
            shared.read(&key, &fields, &names)
        });
        match tokio::time::timeout(MOST_TIME, task).await {
            // It may have been removed while it was read.
            Ok(Ok(_)) if self.shared.queue.is_going(digest) => Ok(None),
            Ok(Ok(found)) => found,
            Ok(Err(_panicked)) => Err(Fault::Io),
            Err(_elapsed) => Err(Fault::Late),
        }
    }

    /// Has `stored` saved under `key`, in place of what the same requests select. Nobody waits for
    /// it, and if too much waits already it is not saved.
    pub fn save(&self, key: &Key, stored: &Stored) {
        if self.shared.is_here() && !self.shared.queue.push(Save::new(key, stored)) {
            self.tally().faults(Fault::Busy).one();
        }
    }

    /// Removes what is stored under `key`, and what is on its way to it.
    ///
    /// It is under way once this has returned, whether or not anybody waits for its end: nothing is
    /// found from then on of what was there before, and at its end not if the process is killed either.
    pub fn remove(&self, key: &Key) -> impl Future<Output = ()> + Send + use<> {
        self.shared.removed(self.shared.queue.remove(key.digest()))
    }

    /// Removes everything, as [`remove`](Self::remove) does with one key.
    pub fn clear(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.removed(self.shared.queue.clear())
    }

    /// Waits until nothing waits to be saved or removed.
    pub async fn settled(&self) {
        self.until(|shared, _| shared.queue.is_idle()).await;
    }

    /// Waits until the folder is this process's.
    pub async fn here(&self) {
        self.until(|shared, _| shared.is_here()).await;
    }

    /// Waits until all that was there at the start is known of.
    pub async fn counted(&self) {
        self.until(|_, progress| progress.is_counted).await;
    }

    async fn until(&self, is_so: impl Fn(&Shared, &Progress) -> bool) {
        let mut progress = self.shared.progress.subscribe();
        // An error means that nothing changes any more.
        drop(progress.wait_for(|progress| is_so(&self.shared, progress)).await);
    }

    /// What it holds.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let (waiting, waiting_bytes) = self.shared.queue.waiting();
        let index = self.shared.index();
        Facts {
            bytes: index.bytes(),
            entries: index.files(),
            waiting,
            waiting_bytes,
            is_here: self.shared.is_here(),
            is_counted: self.shared.progress.borrow().is_counted,
        }
    }

    /// How much it may hold.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// What it has counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl Shared {
    fn new(path: PathBuf, limits: Limits) -> Self {
        Self {
            folder: Folder::new(path),
            limits,
            index: Mutex::new(Index::new(limits)),
            queue: Queue::default(),
            tally: Tally::default(),
            barred: Mutex::default(),
            is_here: AtomicBool::new(false),
            progress: watch::Sender::default(),
            reads: Arc::new(Semaphore::new(MOST_READS)),
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn barred(&self) -> MutexGuard<'_, Barred> {
        self.barred.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_here(&self) -> bool {
        self.is_here.load(Ordering::Acquire)
    }

    fn set_here(&self, is_here: bool) {
        self.is_here.store(is_here, Ordering::Release);
    }

    /// Tells who waits how far it has come.
    fn report(&self, removed: Option<u64>, is_counted: bool) {
        self.progress.send_modify(|progress| {
            progress.removed = removed.unwrap_or(progress.removed);
            progress.is_counted = is_counted && self.is_here();
        });
    }

    /// Waits until so many removals are done.
    fn removed(&self, asked: u64) -> impl Future<Output = ()> + Send + use<> {
        let mut progress = self.progress.subscribe();
        async move {
            // An error means that the tier is gone.
            drop(progress.wait_for(|progress| progress.removed >= asked).await);
        }
    }

    /// Finds a stored response in the folder. This waits for the disk.
    fn read(
        &self,
        key: &Key,
        fields: &HeaderMap,
        names: &[HeaderName],
    ) -> Result<Option<Stored>, Fault> {
        let digest = key.digest();
        if self.queue.is_going(digest) || self.barred().has(digest) {
            return Ok(None);
        }
        match read::find(&self.folder, key, fields, names) {
            Ok(Some((stored, bytes))) => {
                self.tally.bytes_read.add(bytes);
                self.index().hit(digest);
                Ok(Some(stored))
            }
            Ok(None) => {
                self.forget_missing(digest);
                Ok(None)
            }
            Err((place, fault)) => {
                if matches!(fault, Fault::Torn | Fault::Foreign | Fault::Version) {
                    self.queue.drop_record(place);
                }
                Err(fault)
            }
        }
    }

    /// Has a primary removed from the index that is not in the folder any more.
    fn forget_missing(&self, digest: KeyDigest) {
        let primary = Place::primary(digest);
        let is_known = self.index().has(primary);
        if is_known && !self.folder.file(primary).exists() {
            self.queue.drop_record(primary);
        }
    }
}

impl Barred {
    fn has(&self, digest: KeyDigest) -> bool {
        self.all || self.keys.contains(&digest)
    }

    fn is_any(&self) -> bool {
        self.all || !self.keys.is_empty()
    }

    fn add(&mut self, digest: KeyDigest) {
        if self.keys.len() < MOST_BARRED {
            self.keys.insert(digest);
        } else {
            self.all = true;
        }
    }
}

#[cfg(test)]
mod tests;
