//! What all requests share, whatever settings hold for them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::snapshot::{Loaded, Snapshot};
use crate::collapse::Flights;
use crate::event::Failure;
use crate::observe::{InUse, Observer};
use crate::origin::{Connections, SetupError};
use crate::store::memory::Memory;

/// What all requests share.
#[derive(Debug)]
pub struct Shared {
    current: ArcSwap<Snapshot>,
    /// Those of before under which something still runs.
    former: Mutex<Vec<Weak<Snapshot>>>,
    pub(super) connections: Arc<Connections>,
    /// The memory tier.
    pub store: Memory,
    /// The forward requests that are under way.
    pub flights: Arc<Flights<Failure>>,
}

impl Shared {
    /// Sets up what the settings in `loaded` describe.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a file that they name cannot be used.
    pub fn new(loaded: Loaded, observer: &Observer) -> Result<Self, SetupError> {
        let memory = loaded.settings.cache.memory;
        Ok(Self {
            current: ArcSwap::from_pointee(Snapshot::new(loaded, None, observer)?),
            former: Mutex::default(),
            connections: Arc::default(),
            store: Memory::new(memory),
            // Bodies on their way take a quarter of the memory at most; past it they stream
            // through and are not stored.
            flights: Arc::new(Flights::new(memory / 4)),
        })
    }

    /// The settings that hold for a request that begins now. Who takes them keeps to them.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Lets the settings in `loaded` hold for all requests that begin from now on. Not to be
    /// called by two at once.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a file that they name cannot be used; nothing changes then.
    pub fn replace(&self, loaded: Loaded, observer: &Observer) -> Result<(), SetupError> {
        let former = self.snapshot();
        let next = Arc::new(Snapshot::new(loaded, Some(&former), observer)?);
        self.current.store(Arc::clone(&next));
        observer.forget(&former.settings, &next.settings);
        let mut formers = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        formers.retain(|snapshot| snapshot.strong_count() > 0);
        formers.push(Arc::downgrade(&former));
        Ok(())
    }

    /// Which settings are in use, and by how many requests.
    #[must_use]
    pub fn in_use(&self) -> InUse {
        let current = self.snapshot();
        let mut requests = vec![(current.hash.clone(), current.requests())];
        let formers = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        let formers = formers.iter().rev().filter_map(Weak::upgrade);
        for former in formers.filter(|former| former.requests() > 0) {
            // The same settings may have been read twice.
            match requests.iter_mut().find(|(hash, _)| *hash == former.hash) {
                Some((_, count)) => *count += former.requests(),
                None => requests.push((former.hash.clone(), former.requests())),
            }
        }
        InUse { since: current.since, requests }
    }
}
