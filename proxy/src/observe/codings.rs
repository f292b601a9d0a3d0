//! Counts what content codings cost and what they save.

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, Metric};
use prometheus::{CounterVec, IntCounter, IntCounterVec, Opts, Registry};
use serde::Serialize;

use super::metrics::{DeclareError, counter, declare, dropped, one};
use crate::event::{Coded, Encoded};
use crate::field::coding::{self, Coding};
use crate::field::dictionary::DictionaryCoding;

/// What is counted of content codings, by route and coding.
#[derive(Clone, Debug)]
pub(super) struct CodingMeters {
    before: IntCounterVec,
    after: IntCounterVec,
    seconds: CounterVec,
    refused: IntCounter,
    answers: IntCounterVec,
    bytes: IntCounterVec,
    instead_of: IntCounterVec,
}

const LABELS: [&str; 2] = ["route", "coding"];

/// What a content coding has saved on a route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Saved {
    /// The route.
    pub route: String,
    /// The coding.
    pub coding: String,
    /// How many answers were in it.
    pub answers: u64,
    /// How many bytes of body they had.
    pub bytes: u64,
    /// How many they would have had.
    pub instead_of: u64,
    /// How many times smaller they were.
    pub ratio: f64,
}

impl CodingMeters {
    pub(super) fn declare(registry: &Registry) -> Result<Self, DeclareError> {
        let counter = |name, help| counter(registry, name, help, &LABELS);
        let seconds = "forebay_encoding_seconds_total";
        let help = "Time that the encoding of bodies took.";
        let refused = "forebay_encodings_refused_total";
        let too_many = "Bodies that were not encoded, since too many were under way.";
        Ok(Self {
            before: counter(
                "forebay_encoded_plain_bytes_total",
                "Bytes of bodies that were put into another content coding.",
            )?,
            after: counter("forebay_encoded_bytes_total", "Bytes of what they became.")?,
            seconds: declare(
                registry,
                seconds,
                CounterVec::new(Opts::new(seconds, help), &LABELS),
            )?,
            refused: one(registry, refused, too_many)?,
            answers: counter(
                "forebay_coded_responses_total",
                "Whole answers in a content coding that the edge made.",
            )?,
            bytes: counter(
                "forebay_coded_response_bytes_total",
                "Bytes of bodies of whole answers in a content coding that the edge made.",
            )?,
            instead_of: counter(
                "forebay_coded_response_original_bytes_total",
                "Bytes that they would have had as the origin sent them.",
            )?,
        })
    }

    pub(super) fn count(&self, encoded: &Encoded) {
        let labels = [&*encoded.route, encoded.coding];
        self.before.with_label_values(&labels).inc_by(encoded.before);
        self.after.with_label_values(&labels).inc_by(encoded.after);
        self.seconds.with_label_values(&labels).inc_by(encoded.took.as_secs_f64());
    }

    pub(super) fn count_refused(&self) {
        self.refused.inc();
    }

    /// Counts a whole answer of `bytes` on `route`.
    pub(super) fn count_answer(&self, route: &str, coded: &Coded, bytes: u64) {
        let labels = [route, coded.coding];
        self.answers.with_label_values(&labels).inc();
        self.bytes.with_label_values(&labels).inc_by(bytes);
        self.instead_of.with_label_values(&labels).inc_by(coded.instead_of);
    }

    pub(super) fn forget(&self, route: &str) {
        let alone = Coding::ALL.map(Some).into_iter().chain([None]).map(coding::token);
        for coding in alone.chain(DictionaryCoding::ALL.map(DictionaryCoding::token)) {
            let labels = [route, coding];
            dropped(self.seconds.remove_label_values(&labels));
            for counter in [&self.before, &self.after, &self.answers, &self.bytes, &self.instead_of]
            {
                dropped(counter.remove_label_values(&labels));
            }
        }
    }

    /// What was saved, by route and coding.
    pub(super) fn saved(&self) -> Vec<Saved> {
        let families = self.answers.collect();
        let metrics = families.iter().flat_map(|family| family.get_metric());
        let mut saved: Vec<_> = metrics.map(|metric| self.of(metric)).collect();
        saved.sort_by(|one, other| (&one.route, &one.coding).cmp(&(&other.route, &other.coding)));
        saved
    }

    /// What was saved where `metric` counts answers.
    fn of(&self, metric: &Metric) -> Saved {
        let label = |name: &str| {
            let label = metric.get_label().iter().find(|label| label.name() == name);
            label.map_or("", LabelPair::value)
        };
        let labels = LABELS.map(label);
        let count = |counter: &IntCounterVec| counter.with_label_values(&labels).get();
        let (bytes, instead_of) = (count(&self.bytes), count(&self.instead_of));
        let [route, coding] = labels.map(ToOwned::to_owned);
        #[expect(clippy::cast_precision_loss, reason = "a ratio is read by a person")]
        let ratio = instead_of as f64 / bytes.max(1) as f64;
        Saved { route, coding, answers: count(&self.answers), bytes, instead_of, ratio }
    }
}
