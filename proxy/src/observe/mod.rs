//! Turns events into metrics.

mod codings;
mod in_use;
mod metrics;
mod tiers;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use forebay_config::Settings;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

use codings::CodingMeters;
pub use codings::Saved;
pub use in_use::InUse;
pub use metrics::DeclareError;
use metrics::{Family, RouteMeters, set};

use crate::event::{Answered, Encoded};
use crate::tally::TierState;

/// The metrics could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// One of them could not be declared.
    #[error(transparent)]
    Declare(#[from] DeclareError),
    /// They could not be put into words.
    #[error("cannot write the metrics")]
    Encode(#[from] prometheus::Error),
}

/// What came of reading the settings again.
const APPLIED: &str = "applied";
const REFUSED: &str = "refused";

/// Counts what happens.
#[derive(Debug)]
pub struct Observer {
    registry: Registry,
    family: Family,
    reloads: IntCounterVec,
    purges: IntCounter,
    arriving_bytes: IntGauge,
    encodings: IntGauge,
    encodings_waiting: IntGauge,
}

/// The meters of the routes of one settings file.
#[derive(Debug)]
pub struct Meters {
    routes: HashMap<Arc<str>, RouteMeters>,
    no_route: RouteMeters,
    codings: CodingMeters,
    purges: IntCounter,
}

/// What the store holds at the moment, read when the metrics are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    /// Bytes of bodies that are kept while they arrive.
    pub arriving: u64,
    /// Bodies that are being encoded.
    pub encodings: u64,
    /// Stored bodies that wait to be encoded better.
    pub encodings_waiting: u64,
}

impl Observer {
    /// Declares all metrics.
    ///
    /// # Errors
    ///
    /// [`DeclareError`] if two metrics have one name.
    pub fn new() -> Result<Self, DeclareError> {
        let registry = Registry::new();
        let gauge = |name, help| metrics::gauge(&registry, name, help);
        let reloads = metrics::counter(
            &registry,
            "forebay_reloads_total",
            "How often the settings were read again: applied, or refused.",
            &["result"],
        )?;
        for result in [APPLIED, REFUSED] {
            reloads.with_label_values(&[result]).reset();
        }
        Ok(Self {
            reloads,
            purges: metrics::one(
                &registry,
                "forebay_purges_total",
                "Purges that were wished for.",
            )?,
            family: Family::declare(&registry)?,
            arriving_bytes: gauge(
                "forebay_arriving_bytes",
                "Bytes of bodies that are kept while they arrive.",
            )?,
            encodings: gauge(
                "forebay_encodings_in_progress",
                "Bodies that are being put into a content coding.",
            )?,
            encodings_waiting: gauge(
                "forebay_encodings_waiting",
                "Stored bodies that wait to be put into a content coding again, and better.",
            )?,
            registry,
        })
    }

    /// Counts that the settings were read again.
    pub fn reloaded(&self, applied: bool) {
        self.reloads.with_label_values(&[if applied { APPLIED } else { REFUSED }]).inc();
    }

    /// Drops the metrics of the routes of `former` that `settings` do not have.
    pub fn forget(&self, former: &Settings, settings: &Settings) {
        let stay: HashSet<&str> = settings.routes.iter().map(|route| &*route.name).collect();
        for route in former.routes.iter().filter(|route| !stay.contains(&*route.name)) {
            self.family.forget(&route.name);
        }
    }

    /// The meters of the routes of `settings`, which have no others.
    #[must_use]
    pub fn meters(&self, settings: &Settings) -> Meters {
        let routes = settings
            .routes
            .iter()
            .map(|route| (Arc::clone(&route.name), self.family.of_route(&route.name)))
            .collect();
        let codings = self.family.codings().clone();
        let purges = self.purges.clone();
        Meters { routes, no_route: self.family.of_route("-"), codings, purges }
    }

    /// What content codings have saved, by route and coding.
    #[must_use]
    pub fn saved(&self) -> Vec<Saved> {
        self.family.codings().saved()
    }

    /// All metrics, in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// If a metric cannot be written, which its declaration rules out.
    pub fn text(
        &self,
        holdings: &Holdings,
        tiers: &[TierState<'_>],
        in_use: &InUse,
    ) -> Result<String, TextError> {
        set(&self.arriving_bytes, holdings.arriving);
        set(&self.encodings, holdings.encodings);
        set(&self.encodings_waiting, holdings.encodings_waiting);
        let mut families = self.registry.gather();
        families.extend(tiers::families(tiers)?);
        families.extend(in_use.families()?);
        Ok(TextEncoder::new().encode_to_string(&families)?)
    }
}

impl Meters {
    /// Counts a request that has been answered.
    pub fn count(&self, answered: &Answered) {
        let route = answered.route.as_ref().and_then(|name| self.routes.get(name));
        route.unwrap_or(&self.no_route).count(answered);
        if let (Some(coded), Some(route)) = (&answered.coded, &answered.route) {
            self.codings.count_answer(route, coded, answered.bytes);
        }
    }

    /// Counts a purge.
    pub fn count_purge(&self) {
        self.purges.inc();
    }

    /// Counts a body that has been put into a content coding.
    pub fn count_encoded(&self, encoded: &Encoded) {
        self.codings.count(encoded);
    }

    /// Counts a body that was not, since too many were.
    pub fn count_refused_encoding(&self) {
        self.codings.count_refused();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::event::{Fwd, Trail};
    use crate::time::Timestamp;

    const SETTINGS: &str = "
        version = 1
        listeners.web.address = '127.0.0.1:0'
        origins.one.servers = ['http://origin.example']
        routes = [{ name = 'all', match = { path = '/**' }, origin = 'one', policy = 'api' }]";

    fn observer() -> (Observer, Meters) {
        let settings = forebay_config::parse("test.toml", SETTINGS, Path::new(""), &|_| None);
        let observer = Observer::new().unwrap();
        let meters = observer.meters(&settings.unwrap());
        (observer, meters)
    }

    fn answered(trail: Trail) -> Answered {
        let took = Duration::from_millis(3);
        Answered { route: Some("all".into()), status: 200, trail, bytes: 10, coded: None, took }
    }

    /// The lines that are not zero after `answered`, without the histogram and what stands still.
    #[expect(clippy::needless_pass_by_value, reason = "a case reads better without ampersands")]
    #[track_caller]
    fn check(answered: Answered, expected: &[&str]) {
        let (observer, meters) = observer();
        meters.count(&answered);
        let text = observer.text(&Holdings::default(), &[], &InUse::default()).unwrap();
        let counted: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.ends_with(" 0"))
            .filter(|line| !line.contains("_duration_seconds_bucket"))
            .filter(|line| !line.contains("_duration_seconds_sum"))
            .collect();
        assert_eq!(counted, expected, "{text}");
    }

    #[test]
    fn counts_a_hit() {
        check(
            answered(Trail { hit: true, ttl: Some(5), ..Trail::default() }),
            &[
                r#"forebay_request_duration_seconds_count{cache="hit",route="all"} 1"#,
                r#"forebay_requests_total{cache="hit",route="all"} 1"#,
                r#"forebay_response_body_bytes_total{cache="hit",route="all"} 10"#,
                r#"forebay_responses_total{class="2xx",route="all"} 1"#,
            ],
        );
    }

    #[test]
    fn counts_a_miss_that_is_stored() {
        check(
            answered(Trail { fwd: Some(Fwd::UriMiss), stored: true, ..Trail::default() }),
            &[
                r#"forebay_request_duration_seconds_count{cache="uri-miss",route="all"} 1"#,
                r#"forebay_requests_total{cache="uri-miss",route="all"} 1"#,
                r#"forebay_response_body_bytes_total{cache="uri-miss",route="all"} 10"#,
                r#"forebay_responses_total{class="2xx",route="all"} 1"#,
                r#"forebay_stored_responses_total{route="all"} 1"#,
            ],
        );
    }

    #[test]
    fn counts_what_is_stored_once_for_all_who_shared_it() {
        let trail = Trail { fwd: Some(Fwd::Stale), stored: true, ..Trail::default() };
        check(
            answered(Trail { collapsed: true, ..trail }),
            &[
                r#"forebay_collapsed_requests_total{route="all"} 1"#,
                r#"forebay_request_duration_seconds_count{cache="stale",route="all"} 1"#,
                r#"forebay_requests_total{cache="stale",route="all"} 1"#,
                r#"forebay_response_body_bytes_total{cache="stale",route="all"} 10"#,
                r#"forebay_responses_total{class="2xx",route="all"} 1"#,
            ],
        );
    }

    #[test]
    fn tells_stale_hits_from_fresh_ones() {
        for (ttl, cache) in [(Some(1), "hit"), (Some(0), "stale-hit"), (Some(-9), "stale-hit")] {
            let (observer, meters) = observer();
            meters.count(&answered(Trail { hit: true, ttl, ..Trail::default() }));
            let text = observer.text(&Holdings::default(), &[], &InUse::default()).unwrap();
            let line = format!("forebay_requests_total{{cache=\"{cache}\",route=\"all\"}} 1");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn counts_what_took_no_route_or_no_answer() {
        let bytes = 0;
        check(
            Answered { route: None, status: 0, bytes, ..answered(Trail::default()) },
            &[
                r#"forebay_request_duration_seconds_count{cache="none",route="-"} 1"#,
                r#"forebay_requests_total{cache="none",route="-"} 1"#,
                r#"forebay_responses_total{class="0xx",route="-"} 1"#,
            ],
        );
    }

    #[test]
    fn makes_no_metric_for_a_route_that_is_not_in_the_settings() {
        let (observer, meters) = observer();
        let route = Some("made-up".into());
        meters.count(&Answered { route, ..answered(Trail::default()) });
        let text = observer.text(&Holdings::default(), &[], &InUse::default()).unwrap();
        assert!(!text.contains("made-up"), "{text}");
        assert!(text.contains(r#"forebay_requests_total{cache="none",route="-"} 1"#), "{text}");
    }

    #[test]
    fn counts_every_reason_to_go_forward_apart() {
        let (observer, meters) = observer();
        for fwd in Fwd::ALL {
            meters.count(&answered(Trail { fwd: Some(fwd), ..Trail::default() }));
        }
        let text = observer.text(&Holdings::default(), &[], &InUse::default()).unwrap();
        for fwd in Fwd::ALL {
            let cache = fwd.token();
            let line = format!("forebay_requests_total{{cache=\"{cache}\",route=\"all\"}} 1");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn shows_what_the_store_holds() {
        let holdings = Holdings { arriving: 3, encodings: 4, encodings_waiting: 5 };
        let text = observer().0.text(&holdings, &[], &InUse::default()).unwrap();
        for line in ["forebay_arriving_bytes 3", "forebay_encodings_in_progress 4"] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    fn text(observer: &Observer) -> String {
        observer.text(&Holdings::default(), &[], &InUse::default()).unwrap()
    }

    #[test]
    fn a_route_that_is_gone_leaves_nothing() {
        let settings = |name: &str| {
            let text = SETTINGS.replace("'all'", &format!("'{name}'"));
            forebay_config::parse("test.toml", &text, Path::new(""), &|_| None).unwrap()
        };
        let (observer, _) = observer();
        let before = text(&observer);
        let meters = observer.meters(&settings("new"));
        observer.forget(&settings("all"), &settings("new"));
        assert_eq!(text(&observer).replace("new", "all"), before);
        // Who still counts there does no harm.
        observer.forget(&settings("new"), &settings("all"));
        meters.count(&Answered { route: Some("new".into()), ..answered(Trail::default()) });
        assert!(!text(&observer).contains("new"), "{}", text(&observer));
    }

    #[test]
    fn a_route_that_stays_keeps_its_counts() {
        let (observer, meters) = observer();
        meters.count(&answered(Trail { hit: true, ttl: Some(5), ..Trail::default() }));
        let settings =
            forebay_config::parse("test.toml", SETTINGS, Path::new(""), &|_| None).unwrap();
        observer.meters(&settings).count(&answered(Trail {
            hit: true,
            ttl: Some(5),
            ..Trail::default()
        }));
        observer.forget(&settings, &settings);
        let line = r#"forebay_requests_total{cache="hit",route="all"} 2"#;
        assert!(text(&observer).contains(line), "{}", text(&observer));
    }

    #[test]
    fn shows_which_settings_are_in_use() {
        let requests = vec![("b".to_owned(), 2), ("a".to_owned(), 1)];
        let in_use = InUse { since: Timestamp::from_seconds(7), requests };
        let text = observer().0.text(&Holdings::default(), &[], &in_use).unwrap();
        for line in [
            "forebay_settings_loaded_timestamp_seconds 7",
            "forebay_settings_info{hash=\"b\"} 1",
            "forebay_requests_in_flight{settings=\"b\"} 2",
            "forebay_requests_in_flight{settings=\"a\"} 1",
            "forebay_reloads_total{result=\"applied\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("forebay_settings_info{hash=\"a\"}"), "{text}");
    }
}
