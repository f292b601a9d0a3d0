//! The log of an edge on its own: in a file if it keeps anything on disk, and else nowhere, since
//! nothing stored outlives the process.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use log::warn;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::Taking;
use super::file::Event;
use super::local::Local;
use super::wish::Wish;
use crate::store::position::Position;
use crate::store::purges::At;
use crate::time::{self, Timestamp};

/// How long a purge waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after the file could not be read it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The purge is not in the file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

#[derive(Debug)]
pub(super) struct Alone {
    /// The position of the last purge. Held until a purge is done, so that each is done in the order
    /// of the log.
    last: tokio::sync::Mutex<Position>,
    file: Option<Kept>,
    caught_up: watch::Sender<bool>,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    local: Arc<Mutex<Local>>,
}

impl Alone {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        let kept = |path: PathBuf| {
            let local = Arc::new(Mutex::new(Local::new(path.clone())));
            Kept { path, local }
        };
        Self {
            last: tokio::sync::Mutex::default(),
            caught_up: watch::Sender::new(file.is_none()),
            file: file.map(kept),
        }
    }

    pub(super) fn is_caught_up(&self) -> bool {
        *self.caught_up.borrow()
    }

    /// Resolves once it has caught up.
    pub(super) async fn caught_up(&self) {
        let mut caught_up = self.caught_up.subscribe();
        // It is not dropped while it is borrowed.
        drop(caught_up.wait_for(|caught_up| *caught_up).await);
    }

    /// Does what the file says, once it can be read.
    pub(super) async fn catch_up(&self, taking: &Taking<'_>) {
        let Some(file) = &self.file else { return };
        let mut has_failed = false;
        loop {
            let order = self.last.lock().await;
            let result = file.work(Local::look).await;
            self.take(file, taking).await;
            drop(order);
            let Err(error) = result else { break };
            if !has_failed {
                let path = file.path.display();
                warn!("{path}: nothing on disk is used until it can be read: {error}");
                has_failed = true;
            }
            sleep(PAUSE).await;
        }
        self.caught_up.send_replace(true);
    }

    /// Logs a purge and does it; says where the log has it.
    pub(super) async fn purge(
        &self,
        wish: &Wish,
        taking: &Taking<'_>,
    ) -> Result<Position, NotWritten> {
        let mut last = self.last.lock().await;
        let Some(file) = &self.file else {
            *last = last.next(time::now());
            taking.purge(*last, wish, At::Log(*last)).await;
            return Ok(*last);
        };
        let event = Event::Purge(wish.clone());
        let written = file.work(move |local, now| local.append(event, now)).await;
        // Its own is the last of them.
        let taken = self.take(file, taking).await;
        match (written, taken) {
            (Ok(()), Some(at)) => Ok(at),
            (Ok(()), None) => Err(file.not_written(io::Error::other("it was lost"))),
            (Err(source), _) => Err(file.not_written(source)),
        }
    }

    /// Does what is new in the file; says where the last of it is.
    async fn take(&self, file: &Kept, taking: &Taking<'_>) -> Option<Position> {
        let mut last = None;
        // What is left undone, since who asked is gone, is done with the next purge.
        while let Some((at, event)) = file.with(|local| local.first_news().cloned()).flatten() {
            taking.event(at, &event).await;
            file.with(Local::drop_first_news);
            last = Some(at);
        }
        last
    }
}

impl Kept {
    /// Works on the file, where it may block. Work that takes too long goes on by itself, and what it
    /// learns is among the next news.
    async fn work(
        &self,
        work: impl FnOnce(&mut Local, Timestamp) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let local = Arc::clone(&self.local);
        let working = spawn_blocking(move || {
            let mut local = match local.try_lock() {
                Ok(local) => local,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, "the disk is stuck"));
                }
            };
            work(&mut local, time::now())
        });
        match timeout(PATIENCE, working).await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => Err(io::Error::other(panic)),
            Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
        }
    }

    /// What `read` says of the file; nothing while work on it goes on.
    fn with<T>(&self, read: impl FnOnce(&mut Local) -> T) -> Option<T> {
        match self.local.try_lock() {
            Ok(mut local) => Some(read(&mut local)),
            Err(TryLockError::Poisoned(poisoned)) => Some(read(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn not_written(&self, source: io::Error) -> NotWritten {
        NotWritten { path: self.path.clone(), source }
    }
}
