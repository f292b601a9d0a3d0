//! Puts the body of an answer that is passed on into a coding, as it goes by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use log::debug;
use tokio::sync::OwnedSemaphorePermit;

use crate::edge::decide::Asked;
use crate::edge::{Shared, Snapshot};
use crate::event::{self, Encoded};
use crate::field::coding::{self, Coding};
use crate::transform::recode::{RecodeError, Recoder};

/// At most so many steps are done for one piece. What is plain takes one for each 64 KiB; what is
/// read out of a coding takes one for each 16 KiB that come out, so that it unfolds to 4 MiB.
const MOST_STEPS: usize = 256;

/// A body that is being put into another coding.
///
/// Pingora hands on what goes by in a function that cannot wait, so the work is done on a thread
/// that serves: a piece has 64 KiB at most, which takes a millisecond or two. Nothing is held back
/// until the next one, since nobody knows when that comes: an event may stand at the end of each.
#[derive(Debug)]
pub(in crate::edge) struct Recoding {
    /// Nothing once the body is whole.
    recoder: Option<Recoder>,
    snapshot: Arc<Snapshot>,
    route: Arc<str>,
    coding: Option<Coding>,
    before: u64,
    after: u64,
    took: Duration,
    _permit: OwnedSemaphorePermit,
}

/// Why a body cannot be put into another coding to its end.
#[derive(Debug, thiserror::Error)]
pub(in crate::edge) enum Stopped {
    #[error(transparent)]
    Failed(#[from] RecodeError),
    #[error("a piece of the body unfolds to too much at once")]
    TooMuch,
}

impl Recoding {
    /// Begins to put what comes for `asked` in the coding `from` into the coding `to`; nothing is
    /// the plain body. Nothing if too much is under way.
    pub(in crate::edge) fn begin(
        shared: &Shared,
        asked: &Asked,
        from: Option<Coding>,
        to: Option<Coding>,
    ) -> Option<Self> {
        let Ok(permit) = Arc::clone(&shared.compressor.passed).try_acquire_owned() else {
            debug!("{}: too much is being compressed", asked.target);
            asked.snapshot.meters.count_refused_encoding();
            return None;
        };
        let limit = asked.snapshot.settings.cache.max_object;
        Some(Self {
            recoder: Some(Recoder::new(from, to, limit)),
            snapshot: Arc::clone(&asked.snapshot),
            route: Arc::clone(&asked.route.name),
            coding: to,
            before: 0,
            after: 0,
            took: Duration::ZERO,
            _permit: permit,
        })
    }

    /// What becomes of the next `piece`, and of all that was held if it is the last.
    ///
    /// # Errors
    ///
    /// Why there is no more: the answer must break off.
    pub(in crate::edge) fn step(&mut self, piece: Bytes, last: bool) -> Result<Bytes, Stopped> {
        let Some(recoder) = self.recoder.take() else { return Ok(Bytes::new()) };
        let began = Instant::now();
        self.before += piece.len() as u64;
        let (made, recoder) = recode(recoder, piece, last)?;
        self.recoder = recoder;
        self.after += made.len() as u64;
        self.took += began.elapsed();
        Ok(made)
    }

    /// Counts the body, which is whole, and says what the client got.
    pub(in crate::edge) fn count(&self) -> Option<event::Coded> {
        let Self { before, after, took, .. } = *self;
        let (route, coding) = (Arc::clone(&self.route), coding::token(self.coding));
        self.snapshot.meters.count_encoded(&Encoded { route, coding, before, after, took });
        self.coding.map(|_| event::Coded { coding, instead_of: before })
    }
}

/// All that `recoder` makes of `piece`, and the recoder for the next one.
fn recode(
    mut recoder: Recoder,
    mut piece: Bytes,
    last: bool,
) -> Result<(Bytes, Option<Recoder>), Stopped> {
    let mut made = Vec::new();
    let mut steps = 0;
    while let Some(ready) = recoder.take(&mut piece)? {
        steps += 1;
        if steps > MOST_STEPS {
            return Err(Stopped::TooMuch);
        }
        made.push(ready);
    }
    let next = if last {
        made.push(recoder.finish()?);
        None
    } else {
        made.push(recoder.flush()?);
        Some(recoder)
    };
    Ok((made.concat().into(), next))
}
