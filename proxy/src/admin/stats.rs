//! Answers what the edge has done so far, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Answer;
use crate::edge::Shared;
use crate::observe::{Observer, Saved};
use crate::tally::{Fault, Gone, TierState};

/// What the edge has done since it began.
#[derive(Serialize)]
struct Stats {
    tiers: Vec<OfTier>,
    compression: Compression,
}

/// What content codings have saved, and what of them is under way.
#[derive(Serialize)]
struct Compression {
    /// Bytes that clients did not have to read.
    saved_bytes: i64,
    under_way: u64,
    waiting: u64,
    by_route: Vec<Saved>,
}

/// What a tier of the store has done, and holds.
#[derive(Serialize)]
struct OfTier {
    tier: &'static str,
    /// Whether it can be used at the moment.
    is_up: bool,
    hits: u64,
    misses: u64,
    stores: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    /// Stored responses that it let go of, by why.
    evictions: BTreeMap<&'static str, u64>,
    /// What went wrong; each of them was a miss, or was not stored.
    faults: BTreeMap<&'static str, u64>,
    /// How long a look-up below memory takes, on the average.
    #[serde(skip_serializing_if = "Option::is_none")]
    lookup_seconds: Option<f64>,
}

impl From<TierState<'_>> for OfTier {
    fn from(TierState { tier, tally, holds, is_up }: TierState<'_>) -> Self {
        let (ranges, seconds) = tally.latencies();
        let timed: u64 = ranges.iter().sum();
        let seen = |(_, count): &(&str, u64)| *count > 0;
        let evictions = Gone::ALL.iter().map(|cause| (cause.name(), tally.gone(*cause).get()));
        let faults = Fault::ALL.iter().map(|fault| (fault.name(), tally.faults(*fault).get()));
        Self {
            tier: tier.token(),
            is_up,
            hits: tally.hits.get(),
            misses: tally.misses.get(),
            stores: tally.stores.get(),
            bytes: holds.map(|holds| holds.bytes),
            most_bytes: holds.map(|holds| holds.most_bytes),
            entries: holds.map(|holds| holds.entries),
            evictions: evictions.filter(seen).collect(),
            faults: faults.filter(seen).collect(),
            lookup_seconds: (timed > 0).then(|| seconds / timed as f64),
        }
    }
}

pub(super) fn answer(shared: &Shared, observer: &Observer) -> Answer {
    let by_route = observer.saved();
    let sum = |bytes: fn(&Saved) -> u64| by_route.iter().map(bytes).sum::<u64>().cast_signed();
    let compression = Compression {
        // What was coded for one who could not read the origin's coding may have grown.
        saved_bytes: sum(|saved| saved.instead_of) - sum(|saved| saved.bytes),
        under_way: shared.compressor.under_way(),
        waiting: shared.compressor.waiting(),
        by_route,
    };
    let tiers = shared.store.each().map(OfTier::from).collect();
    Answer::json(&Stats { tiers, compression })
}
