//! Has what was made in haste, and answers often, made again as well as it can be.

use std::sync::Arc;
use std::time::Instant;

use log::{debug, warn};

use super::Task;
use crate::edge::decide::Asked;
use crate::edge::{Shared, Snapshot};
use crate::event::Encoded;
use crate::field::coding::Coding;
use crate::key::Key;
use crate::policy::look_up::Serving;
use crate::stored::{Body, Coded, Kept, Maker, Stored};
use crate::transform::decode::{DecodeError, Decoder};
use crate::transform::encode::{Effort, encode_whole};
use crate::transform::recode::RecodeError;

/// The largest body that is encoded well, in bytes: of a larger one it would take half a minute.
const LARGEST: u64 = 8 * 1024 * 1024;

/// Counts an answer with what was made in haste, and has it made better if there were enough.
pub(in crate::edge) fn note_hit(
    shared: &Arc<Shared>,
    asked: &Asked,
    stored: &Stored,
    serving: &Serving,
) {
    let Some((Some(coding), Maker::Quick)) = serving.made else { return };
    let Some(Coded::Kept(kept)) = stored.body.coded(Some(coding)) else { return };
    let enough = asked.route.policy.compress.upgrade_after;
    if enough == 0 || kept.hit() != enough {
        return;
    }
    let Some(address) = stored.body.address().filter(|_| stored.body.length() <= LARGEST) else {
        return;
    };
    let task = (address, Some(coding));
    let Some(lane) = shared.compressor.lane() else { return };
    if !shared.compressor.improving().insert(task) {
        return;
    }
    let job = Job {
        shared: Arc::clone(shared),
        snapshot: Arc::clone(&asked.snapshot),
        key: asked.key.clone(),
        route: Arc::clone(&asked.route.name),
        stored: stored.clone(),
        coding,
        task,
    };
    if lane.submit(move || job.run()).is_err() {
        // The job was dropped, and with it the note that it is under way.
        debug!("{}: too much waits to be compressed", asked.key);
        asked.snapshot.meters.count_refused_encoding();
        kept.forget_hits();
    }
}

/// A body that is to be encoded well. It holds on to the body, so that no other has its place in
/// memory.
struct Job {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    key: Key,
    route: Arc<str>,
    stored: Stored,
    coding: Coding,
    task: Task,
}

impl Job {
    fn run(&self) {
        let began = Instant::now();
        let made = self.plain().and_then(|plain| {
            let made = encode_whole(self.coding, Effort::Best, plain.as_slice())?;
            Ok((plain.length(), Body::new(vec![made])))
        });
        let (before, made) = match made {
            Ok(made) => made,
            Err(error) => {
                warn!("{}: {error}", self.key);
                return;
            }
        };
        let coding = Some(self.coding);
        let after = made.length();
        let coded = Coded::Kept(Kept::new(made, Maker::Best));
        self.shared.store.attach(&self.key, &self.stored.body, coding, &coded);
        let (route, took) = (Arc::clone(&self.route), began.elapsed());
        let coding = self.coding.token();
        self.snapshot.meters.count_encoded(&Encoded { route, coding, before, after, took });
    }

    /// The plain body.
    fn plain(&self) -> Result<Body, RecodeError> {
        let Some(coding) = self.stored.head.coding else { return Ok(self.stored.body.clone()) };
        if let Some(Coded::Kept(kept)) = self.stored.body.coded(None) {
            return Ok(kept.body.clone());
        }
        let mut decoder = Decoder::new(coding, LARGEST);
        let pieces = self.stored.body.as_slice().iter().map(|piece| decoder.write(piece));
        let pieces = pieces.collect::<Result<Vec<_>, DecodeError>>()?;
        decoder.finish()?;
        Ok(Body::new(pieces))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.shared.compressor.improving().remove(&self.task);
    }
}
