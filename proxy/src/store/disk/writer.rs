//! The one thread that changes the folder: it writes, removes, and learns what is there.
//!
//! Since there is one, what it does to a file and to the index is never between two things that
//! another does to them.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::{Place, fault, found};
use super::queue::{Job, Save, Useless};
use super::read::Opened;
use super::walk::{Sweep, Walk};
use super::{Shared, index::Victim};
use crate::key::KeyDigest;
use crate::store::record::Record;
use crate::store::tally::{Fault, Gone};
use crate::stored::Body;
use crate::stored::region::Region;

/// How much is looked at, or swept away, between two jobs.
const STEP: usize = 16;
/// A body is copied in pieces of so many bytes; between two of them it can be abandoned.
const PIECE: u64 = 4 << 20;
/// What failed is tried again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// The folder of another process is asked for this often at first.
const SOON: Duration = Duration::from_millis(20);
/// How often that is.
const SOON_TIMES: u32 = 50;
/// So many keys are remembered that were removed while the folder was another's.
const MOST_MISSED: usize = 65_536;

/// What the thread knows.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Held as long as the folder is ours.
    lock: Option<File>,
    missed: Missed,
    walk: Option<Walk>,
    /// Whether there may be records that the index does not know of.
    has_gaps: bool,
    sweep: Option<Sweep>,
    tried: Instant,
    tries: u32,
    is_failing: bool,
}

/// What was to be removed while the folder was another's, who may have put it there since.
#[derive(Debug, Default)]
struct Missed {
    keys: HashSet<KeyDigest>,
    all: bool,
}

/// Why a stored response was not written.
#[derive(Debug)]
enum Unsaved {
    /// It was to be removed meanwhile.
    Abandoned,
    Failed(io::Error),
    Fault(Fault),
}

impl From<io::Error> for Unsaved {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lock: None,
            missed: Missed::default(),
            walk: None,
            has_gaps: false,
            sweep: None,
            tried: Instant::now(),
            tries: 0,
            is_failing: false,
        }
    }

    /// Makes the folder ours, unless it is another's.
    pub(super) fn take(&mut self) -> io::Result<()> {
        self.tried = Instant::now();
        self.tries = self.tries.saturating_add(1);
        let path = self.shared.folder.lock();
        let lock = File::options().create(true).truncate(false).write(true).open(path)?;
        match lock.try_lock() {
            Ok(()) => self.begin(lock),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Begins with a folder that is ours.
    fn begin(&mut self, lock: File) -> io::Result<()> {
        self.shared.folder.make()?;
        self.sweep = Some(Sweep::new(self.shared.folder.unfinished())?);
        self.walk = Some(Walk::new(self.shared.folder.clone()));
        self.has_gaps = false;
        self.shared.index().clear();
        self.lock = Some(lock);
        let missed = std::mem::take(&mut self.missed);
        missed.keys.into_iter().for_each(|digest| self.remove(digest, Gone::Purged));
        if missed.all {
            self.clear();
        }
        self.tries = 0;
        self.shared.set_here(true);
        Ok(())
    }

    /// Works until the tier is dropped.
    pub(super) fn run(mut self) {
        loop {
            let job = self.shared.queue.next(self.pause());
            if matches!(job, Job::End) {
                return;
            }
            let removed = job.removed();
            let round = catch_unwind(AssertUnwindSafe(|| {
                self.work(job);
                self.tend();
            }));
            if round.is_err() {
                log::error!("the disk tier gave up on what it was at; this is a bug");
                self.shared.tally.faults(Fault::Io).one();
                // What should be removed may be there still.
                self.shared.barred().all |= removed.is_some();
            }
            self.shared.queue.done();
            self.shared.report(removed, self.walk.is_none());
        }
    }

    /// How long to wait for a job; nothing if there is nothing else to do.
    fn pause(&self) -> Option<Duration> {
        if self.walk.is_some() || self.sweep.is_some() {
            return Some(Duration::ZERO);
        }
        if self.lock.is_none() {
            return Some(if self.tries < SOON_TIMES { SOON } else { AGAIN });
        }
        self.shared.barred().is_any().then_some(AGAIN)
    }

    /// Does a job.
    fn work(&mut self, job: Job) {
        match job {
            Job::Clear(_) => self.clear(),
            Job::Remove(keys, _) => {
                keys.into_iter().for_each(|digest| self.remove(digest, Gone::Purged));
            }
            Job::Drop(useless) => self.drop_useless(useless),
            Job::Save(save) => self.save(&save),
            Job::Nothing | Job::End => {}
        }
    }

    /// Does a little of what is to be done behind all else.
    fn tend(&mut self) {
        if self.tried.elapsed() >= AGAIN || (self.lock.is_none() && self.tries < SOON_TIMES) {
            if self.lock.is_none() {
                self.take().unwrap_or_else(|error| self.failed(&error));
            } else if self.shared.barred().is_any() {
                self.tried = Instant::now();
                self.unbar();
            }
        }
        for _ in 0..STEP {
            match self.walk.as_mut().map(Walk::next) {
                None => break,
                Some(None) => self.walk = None,
                Some(Some(Err(error))) => {
                    self.has_gaps = true;
                    self.failed(&error);
                }
                Some(Some(Ok((place, length)))) => {
                    let gone = {
                        let mut index = self.shared.index();
                        if index.has(place) { Vec::new() } else { index.put(place, length) }
                    };
                    self.evict(gone);
                }
            }
        }
        for _ in 0..STEP {
            match self.sweep.as_mut().map(Sweep::next) {
                None => break,
                Some(None) => self.sweep = None,
                Some(Some(Ok(()))) => {}
                Some(Some(Err(error))) => self.failed(&error),
            }
        }
    }

    /// Removes all of a key.
    fn remove(&mut self, digest: KeyDigest, why: Gone) {
        if self.lock.is_none() {
            if self.missed.keys.len() < MOST_MISSED {
                self.missed.keys.insert(digest);
            } else {
                self.missed.all = true;
            }
        }
        let mut places = self.shared.index().remove(digest);
        if self.walk.is_some() || self.lock.is_none() || self.has_gaps {
            match self.shared.folder.of_key(digest) {
                Ok(there) => places.extend(there),
                Err(error) => self.bar(digest, &error),
            }
        }
        places.into_iter().for_each(|place| self.unlink(place, why));
    }

    /// Removes a record that the index does not have any more.
    fn unlink(&mut self, place: Place, why: Gone) {
        match self.shared.folder.remove(place) {
            Ok(true) => self.shared.tally.gone(why).one(),
            Ok(false) => {}
            Err(error) => match self.shared.folder.file(place).try_exists() {
                Ok(false) => self.failed(&error),
                // Nobody would know to remove it later.
                Ok(true) | Err(_) => self.bar(place.digest, &error),
            },
        }
    }

    /// Removes everything.
    fn clear(&mut self) {
        self.missed.all |= self.lock.is_none();
        let files = self.shared.index().files();
        self.walk = None;
        self.sweep = None;
        let gone = self.shared.folder.set_aside();
        let gone = gone.and_then(|()| Sweep::new(self.shared.folder.unfinished()));
        match gone {
            Ok(sweep) => {
                // What another process has not finished yet is not ours to sweep away.
                self.sweep = self.lock.as_ref().map(|_| sweep);
                self.has_gaps = false;
                self.shared.tally.gone(Gone::Purged).add(files);
                self.shared.index().clear();
                *self.shared.barred() = super::Barred::default();
            }
            Err(error) => {
                self.failed(&error);
                self.shared.barred().all = true;
                // What is there still counts.
                self.walk = self.lock.as_ref().map(|_| Walk::new(self.shared.folder.clone()));
            }
        }
    }

    /// Lets nobody have a key that could not be removed.
    fn bar(&mut self, digest: KeyDigest, error: &io::Error) {
        self.failed(error);
        self.shared.barred().add(digest);
    }

    /// Tries again to remove what could not be removed.
    fn unbar(&mut self) {
        if self.shared.barred().all {
            self.clear();
            return;
        }
        let keys = std::mem::take(&mut self.shared.barred().keys);
        let keys: Vec<KeyDigest> = keys.into_iter().collect();
        for digest in keys {
            let removed = self.shared.folder.of_key(digest).and_then(|places| {
                places.into_iter().try_for_each(|place| self.shared.folder.remove(place).map(drop))
            });
            if removed.is_err() {
                self.shared.barred().add(digest);
            }
        }
    }

    fn drop_useless(&mut self, useless: Useless) {
        if self.lock.is_none() {
            return;
        }
        useless.keys.into_iter().for_each(|digest| self.remove(digest, Gone::Unusable));
        for place in useless.records {
            self.shared.index().forget(place);
            self.unlink(place, Gone::Unusable);
        }
    }

    /// Removes what had to go for something else.
    fn evict(&mut self, gone: Vec<Victim>) {
        gone.into_iter().for_each(|(place, why)| self.unlink(place, why));
    }

    /// Writes a stored response, or counts why not.
    fn save(&mut self, save: &Save) {
        match self.write(save) {
            Ok(()) | Err(Unsaved::Abandoned) => {}
            Err(Unsaved::Fault(fault)) => self.shared.tally.faults(fault).one(),
            Err(Unsaved::Failed(error)) => self.failed(&error),
        }
    }

    fn write(&mut self, save: &Save) -> Result<(), Unsaved> {
        if self.lock.is_none() || self.shared.barred().has(save.digest) {
            return Err(Unsaved::Fault(Fault::Resting));
        }
        let Some(place) = self.place(save)? else { return Ok(()) };
        // What it takes the place of is older: if this cannot be kept, that is not kept either.
        let older = |writer: &mut Self| {
            let places = vec![place];
            writer.drop_useless(Useless { keys: Vec::new(), records: places });
        };
        let record = Record::new(&save.key, &save.stored);
        let record = record.filter(|record| self.shared.index().takes(record.length()));
        let Some(record) = record else {
            older(self);
            return Err(Unsaved::Fault(Fault::Full));
        };
        let gone = self.shared.index().make_room(record.length());
        let primary = Place::primary(save.digest);
        // Without a primary it would not be found.
        let place = if gone.iter().any(|(gone, _)| *gone == primary) { primary } else { place };
        self.evict(gone);
        let unfinished = self.shared.folder.unfinished().join("record");
        let written = self.write_to(&unfinished, &record).and_then(|()| {
            let file = self.shared.folder.file(place);
            Ok(rename(&unfinished, &file)?)
        });
        if let Err(error) = written {
            // It may be that there is nothing to remove.
            drop(fs::remove_file(&unfinished));
            older(self);
            return Err(error);
        }
        let gone = self.shared.index().put(place, record.length());
        self.evict(gone);
        self.shared.tally.stores.one();
        self.shared.tally.bytes_written.add(record.length());
        if std::mem::take(&mut self.is_failing) {
            log::info!("the disk tier in {} works again", self.shared.folder.path().display());
        }
        Ok(())
    }

    /// Where a stored response belongs; nothing if what is there is better.
    fn place(&self, save: &Save) -> Result<Option<Place>, Unsaved> {
        let primary = Place::primary(save.digest);
        let head = &save.stored.head;
        let there = |place| match Opened::at(&self.shared.folder, place, &save.key) {
            Ok(opened) => Ok(opened),
            // What cannot be read can be replaced.
            Err((_, Fault::Torn | Fault::Foreign | Fault::Version)) => Ok(None),
            Err((_, fault)) => Err(Unsaved::Fault(fault)),
        };
        let (place, other) = match there(primary)? {
            Some(other) if other.head().selecting == head.selecting => (primary, Some(other)),
            Some(other) if other.head().selecting.names() == head.selecting.names() => {
                let place = Place { variant: Some(save.variant), ..primary };
                (place, there(place)?)
            }
            // By other fields than before: what tells by which is the newest.
            Some(_) | None => (primary, None),
        };
        // A part does not take the place of a whole.
        let is_whole = other.is_some_and(|other| other.head().part.is_none());
        Ok((head.part.is_none() || !is_whole).then_some(place))
    }

    fn write_to(&mut self, path: &Path, record: &Record) -> Result<(), Unsaved> {
        let file = match File::create(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.restore()?;
                File::create(path)?
            }
            file => file?,
        };
        let mut file = BufWriter::with_capacity(64 * 1024, file);
        file.write_all(record.head())?;
        for body in record.bodies() {
            self.write_body(&mut file, body)?;
        }
        file.flush()?;
        Ok(())
    }

    fn write_body(&self, file: &mut BufWriter<File>, body: &Body) -> Result<(), Unsaved> {
        if let Some(region) = body.region() {
            file.flush()?;
            return self.copy(region, file.get_mut());
        }
        for piece in body.as_slice() {
            for part in piece.chunks(usize::try_from(PIECE).unwrap_or(usize::MAX)) {
                self.go_on()?;
                file.write_all(part)?;
            }
        }
        Ok(())
    }

    /// Copies what is on disk already: the system does, and none of it comes here.
    fn copy(&self, region: &Region, to: &mut File) -> Result<(), Unsaved> {
        // Whoever else reads the file says where, so that its own position is this thread's alone.
        let (mut from, offset) = region.place();
        from.seek(SeekFrom::Start(offset))?;
        let mut left = region.length();
        while left > 0 {
            self.go_on()?;
            let copied = io::copy(&mut from.take(left.min(PIECE)), to)?;
            if copied == 0 {
                return Err(Unsaved::Fault(Fault::Torn));
            }
            left -= copied;
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), Unsaved> {
        if self.shared.queue.is_abandoned() { Err(Unsaved::Abandoned) } else { Ok(()) }
    }

    /// Makes the folder again, which somebody has removed.
    fn restore(&mut self) -> Result<(), Unsaved> {
        self.shared.folder.make()?;
        if !self.shared.folder.lock().try_exists()? {
            // Others would take the new lock, so ours is to be that one.
            self.lock = None;
            self.shared.set_here(false);
            self.take()?;
        }
        if self.lock.is_none() { Err(Unsaved::Fault(Fault::Resting)) } else { Ok(()) }
    }

    /// Counts what went wrong, and tells the first time.
    fn failed(&mut self, error: &io::Error) {
        self.shared.tally.faults(fault(error)).one();
        if !std::mem::replace(&mut self.is_failing, true) {
            let path: PathBuf = self.shared.folder.path().to_owned();
            log::warn!("the disk tier in {} does not work: {error}", path.display());
        }
    }
}

/// Puts the file `from` in the place of `to`, whose folder it makes if there is none.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    if found(fs::rename(from, to))?.is_some() {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::rename(from, to)
}
