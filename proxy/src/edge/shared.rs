//! What all requests share, whatever settings hold for them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::compress::Compressor;
use super::dictionaries::Dictionaries;
use super::purge::{Receipts, Sweeper};
use super::snapshot::{Loaded, Snapshot};
use crate::collapse::Flights;
use crate::event::Failure;
use crate::observe::{InUse, Observer};
use crate::origin::{Connections, SetupError};
use crate::policy::decide::Decision;
use crate::policy::rest::Turn;
use crate::store::disk::{self, Disk};
use crate::store::log::PurgeLog;
use crate::store::redis::{self, Redis};
use crate::store::shelf::Shelf;
use crate::store::tiers::Tiers;
use crate::time::Timestamp;

/// What a running edge knows that concerns one request.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What is stored under its key.
    pub shelf: Option<Shelf>,
    /// Whether it would go to the origin, on a route that asks that first.
    pub turn: Option<Turn>,
    /// The key lately gave an answer that could not be shared.
    pub is_alone: bool,
}

/// What all requests share.
#[derive(Debug)]
pub struct Shared {
    current: ArcSwap<Snapshot>,
    /// Those of before under which something still runs.
    former: Mutex<Vec<Weak<Snapshot>>>,
    pub(super) connections: Arc<Connections>,
    /// What is stored.
    pub store: Tiers,
    /// The forward requests that are under way.
    pub flights: Arc<Flights<Failure>>,
    /// The bodies that are being put into a content coding.
    pub compressor: Compressor,
    /// The bodies that clients may have as dictionaries.
    pub dictionaries: Dictionaries,
    /// What was purged lately.
    pub receipts: Receipts,
    pub(super) sweeper: Sweeper,
}

impl Shared {
    /// Sets up what the settings in `loaded` describe. To be called in the runtime where what the
    /// store has to do behind is done.
    ///
    /// # Errors
    ///
    /// [`NoShared`] if a file, a folder or a server that they name cannot be used.
    pub fn new(loaded: Loaded, observer: &Observer) -> Result<Self, NoShared> {
        let memory = loaded.settings.cache.memory;
        let store = store(&loaded.settings.cache)?;
        Ok(Self {
            current: ArcSwap::from_pointee(Snapshot::new(loaded, None, observer)?),
            former: Mutex::default(),
            connections: Arc::default(),
            store,
            // Bodies on their way take a quarter of the memory at most; past it they stream
            // through and are not stored.
            flights: Arc::new(Flights::new(memory / 4)),
            compressor: Compressor::default(),
            dictionaries: Dictionaries::new(memory / 16),
            receipts: Receipts::default(),
            sweeper: Sweeper::default(),
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

    /// What is known that concerns a request about which `decision` was made.
    #[must_use]
    pub fn known(&self, snapshot: &Snapshot, decision: &Decision, now: Timestamp) -> Known {
        let route = snapshot.network_first.of(&decision.route);
        Known {
            shelf: self.store.look_up(&decision.key),
            turn: route.map(|route| route.outlook(&decision.key, now)),
            is_alone: self.flights.is_alone(&decision.key),
        }
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

/// What the settings describe cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum NoShared {
    /// An origin.
    #[error(transparent)]
    Origin(#[from] SetupError),
    /// The disk tier.
    #[error("cannot keep stored responses on disk")]
    Disk(#[from] disk::OpenError),
    /// The Redis that edges share.
    #[error("cannot keep stored responses in Redis")]
    Redis(#[from] redis::OpenError),
}

/// The tiers that `settings` describe.
fn store(settings: &forebay_config::Cache) -> Result<Tiers, NoShared> {
    let disk = settings.disk.as_ref().map(|disk| {
        Disk::open(&disk.path, disk::Limits { bytes: disk.size, entries: disk.entries })
    });
    let redis = settings.redis.clone().map(Redis::new).transpose()?;
    if let Some(redis) = redis.clone() {
        tokio::spawn(async move {
            if let Err(error) = redis.run().await {
                log::error!("{error}");
            }
        });
    }
    let file = settings.disk.as_ref().map(|disk| disk.path.join("purges.log"));
    let log = PurgeLog::new(settings.redis.as_ref(), file);
    Ok(Tiers::new(settings.memory, disk.transpose()?, redis, log))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::edge::snapshot::Held;

    /// Settings with two origins, of which the second has this `server`.
    fn loaded(hash: &str, server: &str) -> Loaded {
        let text = format!(
            "version = 1
            listeners.web.address = '127.0.0.1:0'
            origins.one.servers = ['http://127.0.0.1:1']
            origins.two.servers = ['{server}']
            routes = [{{ name = 'all', match = {{ path = '/**' }}, origin = 'one', policy = 'api' }}]"
        );
        let settings = forebay_config::parse("test.toml", &text, Path::new(""), &|_| None).unwrap();
        Loaded { settings, hash: hash.to_owned() }
    }

    fn shared() -> (Shared, Observer) {
        let observer = Observer::new().unwrap();
        (Shared::new(loaded("first", "http://127.0.0.1:2"), &observer).unwrap(), observer)
    }

    fn in_use(shared: &Shared) -> Vec<(String, u64)> {
        shared.in_use().requests
    }

    fn pairs(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
        pairs.iter().map(|(hash, count)| ((*hash).to_owned(), *count)).collect()
    }

    #[tokio::test]
    async fn a_request_keeps_its_settings() {
        let (shared, observer) = shared();
        let held = Held::new(shared.snapshot());
        shared.replace(loaded("second", "http://127.0.0.1:2"), &observer).unwrap();
        assert_eq!((held.hash.as_str(), shared.snapshot().hash.as_str()), ("first", "second"));
    }

    #[tokio::test]
    async fn origins_that_do_not_change_stay() {
        let (shared, observer) = shared();
        let former = shared.snapshot();
        shared.replace(loaded("second", "http://127.0.0.1:3"), &observer).unwrap();
        let same = |name| Arc::ptr_eq(&former.origins[name], &shared.snapshot().origins[name]);
        assert!(same("one"));
        assert!(!same("two"));
    }

    #[tokio::test]
    async fn settings_are_in_use_while_a_request_runs_under_them() {
        let (shared, observer) = shared();
        let replace = |hash: &str| {
            shared.replace(loaded(hash, "http://127.0.0.1:2"), &observer).unwrap();
        };
        let first = [Held::new(shared.snapshot()), Held::new(shared.snapshot())];
        replace("second");
        let second = Held::new(shared.snapshot());
        assert_eq!(in_use(&shared), pairs(&[("second", 1), ("first", 2)]));
        replace("first");
        assert_eq!(in_use(&shared), pairs(&[("first", 2), ("second", 1)]));
        drop(first);
        drop(second);
        assert_eq!(in_use(&shared), pairs(&[("first", 0)]));
    }

    #[tokio::test]
    async fn settings_of_before_are_forgotten_when_nothing_runs_under_them() {
        let (shared, observer) = shared();
        let _held = Held::new(shared.snapshot());
        for _ in 0..100 {
            shared.replace(loaded("next", "http://127.0.0.1:2"), &observer).unwrap();
        }
        assert!(shared.former.lock().unwrap().len() <= 2);
    }
}
