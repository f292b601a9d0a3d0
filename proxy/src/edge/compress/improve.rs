//! Has what was made in haste, and answers often, made again as well as it can be.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use log::{debug, warn};
use pingora::http::RequestHeader;
use tokio::sync::OwnedSemaphorePermit;

use super::precompressed::{self, Unused};
use super::{Task, plain};
use crate::edge::decide::Asked;
use crate::edge::{Shared, Snapshot};
use crate::event::Encoded;
use crate::field::coding::Coding;
use crate::key::Key;
use crate::origin::Origin;
use crate::policy::look_up::Serving;
use crate::stored::{Body, Coded, Kept, Maker, Stored};
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
    if !shared.compressor.improving().insert(task) {
        return;
    }
    let job = Job {
        shared: Arc::clone(shared),
        snapshot: Arc::clone(&asked.snapshot),
        key: asked.key.clone(),
        route: Arc::clone(&asked.route.name),
        stored: stored.clone(),
        quick: kept.clone(),
        coding,
        sent: None,
        task,
    };
    // Of an error page, the origin has none beside it.
    let may_have_it =
        asked.route.policy.compress.precompressed && stored.head.status == StatusCode::OK;
    let request = may_have_it.then(|| precompressed::request(asked, coding)).flatten();
    match request {
        Some(request) => job.ask_first(Arc::clone(&asked.origin), request),
        None => job.submit(),
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
    /// What was made in haste.
    quick: Kept,
    coding: Coding,
    /// What the origin says that it compressed ahead of time.
    sent: Option<Sent>,
    task: Task,
}

/// A body of the origin, and the permit to hold it.
struct Sent {
    body: Body,
    _permit: OwnedSemaphorePermit,
}

impl Job {
    /// Asks `origin` for what it compressed ahead of time, and goes on with that.
    fn ask_first(mut self, origin: Arc<Origin>, request: RequestHeader) {
        let Ok(permit) = Arc::clone(&self.shared.compressor.asking).try_acquire_owned() else {
            put_off(&self.snapshot, &self.key, &self.quick, "too much is asked of origins");
            return;
        };
        // What is no smaller would not be used.
        let most = self.quick.body.length().saturating_sub(1);
        tokio::spawn(async move {
            let Self { shared, coding, .. } = &self;
            match precompressed::ask(shared, &origin, &request, *coding, most).await {
                Ok(body) => self.sent = Some(Sent { body, _permit: permit }),
                Err(why) => self.note_unused(&why),
            }
            self.submit();
        });
    }

    /// Has it done when the lane is free.
    fn submit(self) {
        let (shared, snapshot) = (Arc::clone(&self.shared), Arc::clone(&self.snapshot));
        let (key, quick) = (self.key.clone(), self.quick.clone());
        let Some(lane) = shared.compressor.lane() else { return };
        if lane.submit(move || self.run()).is_err() {
            // The job was dropped, and with it the note that it is under way.
            put_off(&snapshot, &key, &quick, "too much waits to be compressed");
        }
    }

    fn run(&self) {
        let began = Instant::now();
        let plain = plain(&self.stored, LARGEST).map_err(RecodeError::from);
        let (before, made, by) = match plain.and_then(|plain| self.make(&plain)) {
            Ok(made) => made,
            Err(error) => {
                warn!("{}: {error}", self.key);
                return;
            }
        };
        let (coding, after) = (Some(self.coding), made.length());
        let coded = Coded::Kept(Kept::new(made, by));
        self.shared.store.attach(&self.key, &self.stored.body, coding, &coded);
        if by == Maker::Best {
            let (route, took) = (Arc::clone(&self.route), began.elapsed());
            let coding = self.coding.token();
            self.snapshot.meters.count_encoded(&Encoded { route, coding, before, after, took });
        }
    }

    /// The body of the length that is given first, encoded, and who did it.
    fn make(&self, plain: &Body) -> Result<(u64, Body, Maker), RecodeError> {
        if let Some(Sent { body, .. }) = &self.sent {
            match precompressed::check(self.coding, body, plain) {
                Ok(()) => return Ok((plain.length(), body.clone(), Maker::Origin)),
                Err(why) => self.note_unused(&why),
            }
        }
        let made = encode_whole(self.coding, Effort::Best, plain.as_slice())?;
        Ok((plain.length(), Body::new(vec![made]), Maker::Best))
    }

    fn note_unused(&self, why: &Unused) {
        let coding = self.coding.token();
        debug!("{}: what the origin has in {coding} is not used: {why}", self.key);
    }
}

/// Leaves `quick`, which is of `key`, as it is until it has answered as often again.
fn put_off(snapshot: &Snapshot, key: &Key, quick: &Kept, why: &str) {
    debug!("{key}: {why}");
    snapshot.meters.count_refused_encoding();
    quick.forget_hits();
}

impl Drop for Job {
    fn drop(&mut self) {
        self.shared.compressor.improving().remove(&self.task);
    }
}
