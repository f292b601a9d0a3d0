//! Turns events into metrics.

mod metrics;

use std::collections::HashMap;
use std::sync::Arc;

use forebay_config::Settings;
use prometheus::{IntGauge, Registry, TextEncoder};

pub use metrics::DeclareError;
use metrics::{Family, RouteMeters};

use crate::event::Answered;

/// Counts what happens.
#[derive(Debug)]
pub struct Observer {
    registry: Registry,
    routes: HashMap<Arc<str>, RouteMeters>,
    no_route: RouteMeters,
    stored_bytes: IntGauge,
    stored_keys: IntGauge,
    arriving_bytes: IntGauge,
}

/// What the store holds at the moment, read when the metrics are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    /// Bytes that are stored.
    pub bytes: u64,
    /// Keys under which something is stored.
    pub keys: u64,
    /// Bytes of bodies that are kept while they arrive.
    pub arriving: u64,
}

impl Observer {
    /// Declares all metrics, with labels for the routes of `settings`.
    ///
    /// # Errors
    ///
    /// [`DeclareError`] if two metrics have one name.
    pub fn new(settings: &Settings) -> Result<Self, DeclareError> {
        let registry = Registry::new();
        let family = Family::declare(&registry)?;
        let routes = settings
            .routes
            .iter()
            .map(|route| (Arc::clone(&route.name), family.of_route(&route.name)))
            .collect();
        let gauge = |name, help| metrics::gauge(&registry, name, help);
        Ok(Self {
            routes,
            no_route: family.of_route("-"),
            stored_bytes: gauge("forebay_stored_bytes", "Bytes of stored responses in memory.")?,
            stored_keys: gauge("forebay_stored_keys", "Keys that have a stored response.")?,
            arriving_bytes: gauge(
                "forebay_arriving_bytes",
                "Bytes of bodies that are kept while they arrive.",
            )?,
            registry,
        })
    }

    /// Counts a request that has been answered.
    pub fn answered(&self, answered: &Answered) {
        let route = answered.route.as_ref().and_then(|name| self.routes.get(name));
        route.unwrap_or(&self.no_route).count(answered);
    }

    /// All metrics, in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// If a metric cannot be written, which its declaration rules out.
    pub fn text(&self, holdings: &Holdings) -> Result<String, prometheus::Error> {
        let set =
            |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.stored_bytes, holdings.bytes);
        set(&self.stored_keys, holdings.keys);
        set(&self.arriving_bytes, holdings.arriving);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
