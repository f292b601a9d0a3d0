//! Reads the settings again and lets them hold: all of them, or nothing.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use forebay_config::{Change, Settings};
use log::{error, info, warn};
use tokio::task::{JoinError, spawn_blocking};

use crate::edge::{Loaded, Shared};
use crate::observe::Observer;
use crate::origin::SetupError;

/// What is wrong with settings, in words for a person.
pub type Complaint = Box<dyn Error + Send + Sync>;

/// Reads the files of the settings. It may take long.
pub type Reader = Box<dyn Fn() -> Result<Written, Complaint> + Send + Sync>;

/// Settings as they are written: read, but not looked into.
pub struct Written {
    /// A hash of all that the settings are made of.
    pub hash: String,
    /// Makes settings of it, or tells every fault.
    pub check: Box<dyn FnOnce() -> Result<Settings, Complaint>>,
}

impl Written {
    /// Makes settings of it.
    ///
    /// # Errors
    ///
    /// Every fault in it.
    pub fn load(self) -> Result<Loaded, Complaint> {
        Ok(Loaded { settings: (self.check)()?, hash: self.hash })
    }
}

/// Who wants the settings to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A signal.
    Signal,
    /// A request to the admin listener.
    Request,
    /// The file itself, which has changed.
    Change,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signal => "SIGHUP",
            Self::Request => "POST /reload",
            Self::Change => "server.watch",
        })
    }
}

/// The settings that hold from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    hash: String,
    routes: usize,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.routes == 1 { "" } else { "s" };
        write!(f, "settings {}: {} route{ending}", self.hash, self.routes)
    }
}

/// Why the settings stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no file.
    #[error("no settings file to read again")]
    NoFile,
    /// The file cannot be read, or has faults.
    #[error("{0}")]
    Faults(Complaint),
    /// What the settings name cannot be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// What changed takes effect at a restart.
    #[error("{}", needs_restart(.changes, *.hand_over))]
    Restart {
        /// The options that changed.
        changes: Vec<Change>,
        /// Whether the connections can be handed over.
        hand_over: bool,
    },
    /// Reading them again broke off, which is a mistake in this program.
    #[error("reading the settings again broke off: {0}")]
    Broken(#[from] JoinError),
}

fn needs_restart(changes: &[Change], hand_over: bool) -> String {
    let mut lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let how = if hand_over {
        "; start the new one with --upgrade and send SIGQUIT to this one, and no connection is cut"
    } else {
        ""
    };
    lines.push(format!("nothing was changed: this takes effect at a restart{how}"));
    lines.join("\n")
}

/// `error` with its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Reads the settings again, one time after the other.
pub struct Reloader {
    shared: Arc<Shared>,
    observer: Arc<Observer>,
    reader: Option<Reader>,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The hash of what was read last, whether it holds or was refused.
    tried: Mutex<String>,
}

impl Reloader {
    /// Reads with `reader`, if there is something to read again.
    #[must_use]
    pub fn new(shared: Arc<Shared>, observer: Arc<Observer>, reader: Option<Reader>) -> Self {
        let tried = Mutex::new(shared.snapshot().hash.clone());
        Self { shared, observer, reader, turn: Arc::default(), tried }
    }

    /// Reads the settings again, away from those who serve requests, and tells the log what came
    /// of it.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the settings stay as they are.
    pub async fn reload(self: &Arc<Self>, wish: Wish) -> Result<Applied, Refused> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let this = Arc::clone(self);
        let read = spawn_blocking(move || {
            // Nobody else has a turn before this is over, though nobody may wait for it any more.
            let _turn = turn;
            this.read()
        });
        let read = read.await.unwrap_or_else(|error| Err(error.into()));
        match &read {
            Ok(applied) => info!("{wish}: {applied}"),
            Err(Refused::NoFile) => warn!("{wish}: {}", Refused::NoFile),
            Err(refused) => {
                let text = with_causes(refused);
                error!("{wish}: the settings stay as they are:\n{text}");
            }
        }
        if !matches!(read, Err(Refused::NoFile)) {
            self.observer.reloaded(read.is_ok());
        }
        read
    }

    fn read(&self) -> Result<Applied, Refused> {
        let reader = self.reader.as_ref().ok_or(Refused::NoFile)?;
        let written = reader();
        self.has_tried(&written);
        let loaded = written.and_then(Written::load).map_err(Refused::Faults)?;
        let current = self.shared.snapshot();
        let changes = current.settings.needs_restart(&loaded.settings);
        if !changes.is_empty() {
            let hand_over = current.settings.server.upgrade_socket.is_some();
            return Err(Refused::Restart { changes, hand_over });
        }
        let routes = loaded.settings.routes.iter().len();
        let hash = loaded.hash.clone();
        self.shared.replace(loaded, &self.observer)?;
        Ok(Applied { hash, routes })
    }

    fn has_tried(&self, written: &Result<Written, Complaint>) {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = mark(written);
    }

    /// Whether the settings want to be watched.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.reader.is_some() && self.shared.snapshot().settings.server.watch
    }

    /// What tells the present state of the files from others, and whether it was tried already;
    /// nothing if there are none.
    pub async fn look(self: &Arc<Self>) -> Option<(String, bool)> {
        let this = Arc::clone(self);
        let looked = spawn_blocking(move || this.reader.as_ref().map(|reader| mark(&reader())));
        let mark = looked.await.unwrap_or_else(|error| {
            error!("looking at the settings file broke off: {error}");
            None
        })?;
        let tried = *self.tried.lock().unwrap_or_else(PoisonError::into_inner) == mark;
        Some((mark, tried))
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("tried", &self.tried).finish_non_exhaustive()
    }
}

/// What tells what was read from anything else: its hash, or why it cannot be read.
fn mark(written: &Result<Written, Complaint>) -> String {
    match written {
        Ok(written) => written.hash.clone(),
        Err(complaint) => complaint.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn settings(more: &str) -> Result<Settings, Complaint> {
        let text = format!(
            "version = 1
            listeners.web.address = '127.0.0.1:0'
            origins.one.servers = ['http://127.0.0.1:1']
            routes = [{{ name = 'all', match = {{ path = '/**' }}, origin = 'one', policy = 'api' }}]
            {more}"
        );
        Ok(forebay_config::parse("test.toml", &text, Path::new(""), &|_| None)?)
    }

    fn written(hash: &str, more: &'static str) -> Written {
        Written { hash: hash.to_owned(), check: Box::new(move || settings(more)) }
    }

    fn reloader(reader: Reader) -> Arc<Reloader> {
        let loaded = written("first", "").load().unwrap();
        let observer = Arc::new(Observer::new().unwrap());
        let shared = Arc::new(Shared::new(loaded, &observer).unwrap());
        Arc::new(Reloader::new(shared, observer, Some(reader)))
    }

    fn hash(reloader: &Reloader) -> String {
        reloader.shared.snapshot().hash.clone()
    }

    #[tokio::test]
    async fn what_is_read_holds_from_then_on() {
        let reloader = reloader(Box::new(|| Ok(written("second", "cache.max_object = '1B'"))));
        let applied = reloader.reload(Wish::Request).await.unwrap();
        assert_eq!(applied.to_string(), "settings second: 1 route");
        assert_eq!(hash(&reloader), "second");
        assert_eq!(reloader.shared.snapshot().settings.cache.max_object, 1);
    }

    #[tokio::test]
    async fn what_needs_a_restart_changes_nothing() {
        let reader = || Ok(written("second", "cache = { memory = '1B', max_object = '1B' }"));
        let reloader = reloader(Box::new(reader));
        let refused = reloader.reload(Wish::Request).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "cache.memory: is \"512MiB\", would be \"1B\"\n\
             nothing was changed: this takes effect at a restart"
        );
        assert_eq!(hash(&reloader), "first");
    }

    #[tokio::test]
    async fn a_mistake_of_ours_changes_nothing_and_blocks_nobody() {
        let turns = AtomicUsize::new(0);
        let reloader = reloader(Box::new(move || match turns.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("a mistake"),
            _ => Ok(written("second", "")),
        }));
        let broken = reloader.reload(Wish::Signal).await;
        assert!(matches!(broken, Err(Refused::Broken(_))), "{broken:?}");
        assert_eq!(hash(&reloader), "first");
        reloader.reload(Wish::Signal).await.unwrap();
        assert_eq!(hash(&reloader), "second");
    }

    #[tokio::test]
    async fn settings_are_read_by_one_at_a_time() {
        static READING: AtomicUsize = AtomicUsize::new(0);
        let reloader = reloader(Box::new(|| {
            assert_eq!(READING.fetch_add(1, Ordering::SeqCst), 0);
            std::thread::yield_now();
            READING.fetch_sub(1, Ordering::SeqCst);
            Ok(written("second", ""))
        }));
        let many: Vec<_> = (0..20)
            .map(|_| Arc::clone(&reloader))
            .map(|reloader| tokio::spawn(async move { reloader.reload(Wish::Request).await }))
            .collect();
        for one in many {
            one.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_tried_is_known_when_it_is_looked_at_again() {
        let turns = AtomicUsize::new(0);
        let reloader = reloader(Box::new(move || match turns.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(written("first", "")),
            1..4 => Ok(written("wrong", "x = 1")),
            _ => Err("it is gone".into()),
        }));
        assert_eq!(reloader.look().await, Some(("first".to_owned(), true)));
        assert_eq!(reloader.look().await, Some(("wrong".to_owned(), false)));
        reloader.reload(Wish::Change).await.unwrap_err();
        assert_eq!(reloader.look().await, Some(("wrong".to_owned(), true)));
        assert_eq!(reloader.look().await, Some(("it is gone".to_owned(), false)));
    }
}
