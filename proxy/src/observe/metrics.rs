//! The metrics: each declared once, here.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::codings::CodingMeters;
use crate::event::{Answered, Fwd, Trail};

/// A metric could not be declared.
#[derive(Debug, thiserror::Error)]
#[error("cannot declare the metric {name}")]
pub struct DeclareError {
    name: &'static str,
    #[source]
    source: prometheus::Error,
}

/// How an answer came about, beside the reasons to go forward.
const HIT: &str = "hit";
const STALE_HIT: &str = "stale-hit";
const NONE: &str = "none";

/// The classes of statuses, with one for no answer at all.
const CLASSES: usize = 6;

/// The metrics that have a label for the route.
#[derive(Debug)]
pub(super) struct Family {
    requests: IntCounterVec,
    collapsed: IntCounterVec,
    stored: IntCounterVec,
    responses: IntCounterVec,
    bytes: IntCounterVec,
    seconds: HistogramVec,
    codings: CodingMeters,
}

impl Family {
    pub(super) fn declare(registry: &Registry) -> Result<Self, DeclareError> {
        let counter = |name, help, labels: &[&str]| counter(registry, name, help, labels);
        Ok(Self {
            requests: counter(
                "forebay_requests_total",
                "Requests by how they were answered: a hit, or why they went forward (RFC 9211).",
                &["route", "cache"],
            )?,
            collapsed: counter(
                "forebay_collapsed_requests_total",
                "Requests that shared another request's forward request.",
                &["route"],
            )?,
            stored: counter(
                "forebay_stored_responses_total",
                "Answers of origins that were stored.",
                &["route"],
            )?,
            responses: counter(
                "forebay_responses_total",
                "Answers to clients by class of status; 0xx if the client got none.",
                &["route", "class"],
            )?,
            bytes: counter(
                "forebay_response_body_bytes_total",
                "Bytes of bodies sent to clients.",
                &["route", "cache"],
            )?,
            seconds: histogram(
                registry,
                "forebay_request_duration_seconds",
                "Time from a request's head to the end of its answer.",
                &["route", "cache"],
            )?,
            codings: CodingMeters::declare(registry)?,
        })
    }

    /// Drops the metrics of one route.
    pub(super) fn forget(&self, route: &str) {
        let caches = || [HIT, STALE_HIT, NONE].into_iter().chain(Fwd::ALL.map(Fwd::token));
        for cache in caches() {
            dropped(self.requests.remove_label_values(&[route, cache]));
            dropped(self.bytes.remove_label_values(&[route, cache]));
            dropped(self.seconds.remove_label_values(&[route, cache]));
        }
        for class in 0..CLASSES {
            dropped(self.responses.remove_label_values(&[route, &format!("{class}xx")]));
        }
        dropped(self.collapsed.remove_label_values(&[route]));
        dropped(self.stored.remove_label_values(&[route]));
        self.codings.forget(route);
    }

    /// The meters of content codings, of every route.
    pub(super) const fn codings(&self) -> &CodingMeters {
        &self.codings
    }

    /// The meters of one route, looked up once.
    pub(super) fn of_route(&self, route: &str) -> RouteMeters {
        let outcome = |cache: &str| Outcome {
            requests: self.requests.with_label_values(&[route, cache]),
            bytes: self.bytes.with_label_values(&[route, cache]),
            seconds: self.seconds.with_label_values(&[route, cache]),
        };
        let class =
            |class: usize| self.responses.with_label_values(&[route, &format!("{class}xx")]);
        RouteMeters {
            hit: outcome(HIT),
            stale_hit: outcome(STALE_HIT),
            none: outcome(NONE),
            forward: Fwd::ALL.map(|fwd| outcome(fwd.token())),
            classes: std::array::from_fn(class),
            collapsed: self.collapsed.with_label_values(&[route]),
            stored: self.stored.with_label_values(&[route]),
        }
    }
}

/// The meters of one route.
#[derive(Debug)]
pub(super) struct RouteMeters {
    hit: Outcome,
    stale_hit: Outcome,
    none: Outcome,
    forward: [Outcome; Fwd::ALL.len()],
    classes: [IntCounter; CLASSES],
    collapsed: IntCounter,
    stored: IntCounter,
}

#[derive(Debug)]
struct Outcome {
    requests: IntCounter,
    bytes: IntCounter,
    seconds: Histogram,
}

impl RouteMeters {
    pub(super) fn count(&self, answered: &Answered) {
        let trail = &answered.trail;
        let outcome = self.outcome(trail);
        outcome.requests.inc();
        outcome.bytes.inc_by(answered.bytes);
        outcome.seconds.observe(answered.took.as_secs_f64());
        if let Some(class) = self.classes.get(usize::from(answered.status / 100)) {
            class.inc();
        }
        if trail.collapsed {
            self.collapsed.inc();
        }
        if trail.stored && !trail.collapsed {
            self.stored.inc();
        }
    }

    fn outcome(&self, trail: &Trail) -> &Outcome {
        match trail.fwd {
            _ if trail.hit && trail.ttl.is_some_and(|ttl| ttl <= 0) => &self.stale_hit,
            _ if trail.hit => &self.hit,
            Some(fwd) => Fwd::ALL
                .iter()
                .zip(&self.forward)
                .find(|(other, _)| **other == fwd)
                .map_or(&self.none, |(_, outcome)| outcome),
            None => &self.none,
        }
    }
}

/// Declares a counter with labels.
pub(super) fn counter(
    registry: &Registry,
    name: &'static str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, DeclareError> {
    declare(registry, name, IntCounterVec::new(Opts::new(name, help), labels))
}

/// Declares a counter without labels.
pub(super) fn one(
    registry: &Registry,
    name: &'static str,
    help: &str,
) -> Result<IntCounter, DeclareError> {
    declare(registry, name, IntCounter::new(name, help))
}

fn histogram(
    registry: &Registry,
    name: &'static str,
    help: &str,
    labels: &[&str],
) -> Result<HistogramVec, DeclareError> {
    let buckets = vec![
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
        5.0, 10.0,
    ];
    let options = HistogramOpts::new(name, help).buckets(buckets);
    declare(registry, name, HistogramVec::new(options, labels))
}

/// Sets a gauge to what it can hold of `value`.
pub(super) fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// What is not there need not be dropped.
pub(super) fn dropped(result: prometheus::Result<()>) {
    if let Err(error) = result {
        log::debug!("a metric was gone already: {error}");
    }
}

/// Declares a gauge with labels.
pub(super) fn gauges(
    registry: &Registry,
    name: &'static str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, DeclareError> {
    declare(registry, name, IntGaugeVec::new(Opts::new(name, help), labels))
}

/// Declares a gauge.
pub(super) fn gauge(
    registry: &Registry,
    name: &'static str,
    help: &str,
) -> Result<IntGauge, DeclareError> {
    declare(registry, name, IntGauge::new(name, help))
}

pub(super) fn declare<M: Collector + Clone + 'static>(
    registry: &Registry,
    name: &'static str,
    metric: prometheus::Result<M>,
) -> Result<M, DeclareError> {
    let refuse = |source| DeclareError { name, source };
    let metric = metric.map_err(refuse)?;
    registry.register(Box::new(metric.clone())).map_err(refuse)?;
    Ok(metric)
}
