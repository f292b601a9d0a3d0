//! Tells which settings are in use, and by how many requests.

use prometheus::Registry;
use prometheus::proto::MetricFamily;

use super::metrics::{DeclareError, gauge, gauges, set};
use crate::time::Timestamp;

/// Which settings are in use, read when the metrics are.
#[derive(Clone, Debug, Default)]
pub struct InUse {
    /// When the present ones took effect.
    pub since: Timestamp,
    /// The hash of the present ones, and of others under which requests still run, with how many
    /// run under each.
    pub requests: Vec<(String, u64)>,
}

impl InUse {
    /// The metrics that tell of it.
    pub(super) fn families(&self) -> Result<Vec<MetricFamily>, DeclareError> {
        // A hash that is no longer in use must not stay: these are declared anew each time.
        let registry = Registry::new();
        let since = gauge(
            &registry,
            "forebay_settings_loaded_timestamp_seconds",
            "When the present settings took effect, in seconds since the Unix epoch.",
        )?;
        since.set(self.since.as_seconds());
        let info = gauges(
            &registry,
            "forebay_settings_info",
            "The hash of the present settings.",
            &["hash"],
        )?;
        let running = gauges(
            &registry,
            "forebay_requests_in_flight",
            "Requests that are running, by the hash of the settings that hold for them.",
            &["settings"],
        )?;
        if let Some((hash, _)) = self.requests.first() {
            info.with_label_values(&[hash]).set(1);
        }
        for (hash, count) in &self.requests {
            set(&running.with_label_values(&[hash]), *count);
        }
        Ok(registry.gather())
    }
}
