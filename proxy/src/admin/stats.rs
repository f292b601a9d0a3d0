//! Answers what the edge has done so far, as JSON.

use serde::Serialize;

use super::Answer;
use crate::edge::Shared;
use crate::observe::{Observer, Saved};

/// What the edge has done since it began.
#[derive(Serialize)]
struct Stats {
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
    Answer::json(&Stats { compression })
}
