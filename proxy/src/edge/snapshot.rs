//! What one reading of the settings makes: the rules, origins and meters that a request takes at its
//! head and keeps to its end.

use std::collections::HashMap;
use std::sync::Arc;

use forebay_config::Settings;

use super::network_first::NetworkFirstRoutes;
use crate::observe::{Meters, Observer};
use crate::origin::{Origin, SetupError};

/// The settings and what was built from them. It never changes: other settings are another one.
#[derive(Debug)]
pub struct Snapshot {
    /// The settings.
    pub settings: Settings,
    pub(super) origins: HashMap<String, Arc<Origin>>,
    pub(super) network_first: NetworkFirstRoutes,
    pub(super) meters: Meters,
}

impl Snapshot {
    /// Sets up what `settings` describe.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a file that they name cannot be used.
    pub(super) fn new(settings: Settings, observer: &Observer) -> Result<Self, SetupError> {
        let mut origins = HashMap::new();
        for origin in &settings.origins {
            origins.insert(origin.name.clone(), Arc::new(Origin::new(origin)?));
        }
        let network_first = NetworkFirstRoutes::new(&settings.routes);
        let meters = observer.meters(&settings);
        Ok(Self { origins, network_first, meters, settings })
    }
}
