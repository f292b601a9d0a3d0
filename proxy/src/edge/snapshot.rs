//! What one reading of the settings makes: the rules, origins and meters that a request takes at its
//! head and keeps to its end.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay_config::Settings;

use super::network_first::NetworkFirstRoutes;
use crate::observe::{Meters, Observer};
use crate::origin::{Origin, SetupError};
use crate::time::{self, Timestamp};

/// Settings, and what tells them from others.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// A hash of all that they were made of.
    pub hash: String,
}

/// The settings and what was built from them. It never changes: other settings are another one.
#[derive(Debug)]
pub struct Snapshot {
    /// The settings.
    pub settings: Settings,
    /// A hash of all that they were made of.
    pub hash: String,
    /// When they took effect.
    pub since: Timestamp,
    /// How many were there before.
    pub(super) generation: u64,
    pub(super) origins: HashMap<String, Arc<Origin>>,
    pub(super) network_first: NetworkFirstRoutes,
    pub(super) meters: Meters,
    requests: AtomicU64,
}

impl Snapshot {
    /// Sets up what the settings in `loaded` describe. Origins that are as they were in `former`
    /// stay the same, so that what is known of their servers is not lost.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a file that they name cannot be used.
    pub(super) fn new(
        loaded: Loaded,
        former: Option<&Self>,
        observer: &Observer,
    ) -> Result<Self, SetupError> {
        let Loaded { settings, hash } = loaded;
        let mut origins = HashMap::new();
        for origin in &settings.origins {
            let known = former.and_then(|former| former.origins.get(&origin.name));
            origins.insert(origin.name.clone(), Origin::renewed(known, origin)?);
        }
        Ok(Self {
            origins,
            network_first: NetworkFirstRoutes::new(&settings.routes),
            meters: observer.meters(&settings),
            settings,
            hash,
            since: time::now(),
            generation: former.map_or(0, |former| former.generation + 1),
            requests: AtomicU64::new(0),
        })
    }

    /// How many requests run under it.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A snapshot in the hands of a request, which counts as running under it.
#[derive(Debug)]
pub(super) struct Held(Arc<Snapshot>);

impl Held {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        snapshot.requests.fetch_add(1, Ordering::Relaxed);
        Self(snapshot)
    }
}

impl Deref for Held {
    type Target = Arc<Snapshot>;

    fn deref(&self) -> &Arc<Snapshot> {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
