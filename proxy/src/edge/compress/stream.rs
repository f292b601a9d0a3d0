//! Puts a body into a coding while it arrives, once for all who wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use log::debug;
use tokio::time::timeout;

use super::{Task, UnderWay};
use crate::collapse::{Abandoned, Arriving, End, Entry, Flight, Lead, PATIENCE, Passenger};
use crate::edge::decide::Asked;
use crate::edge::{Shared, Snapshot};
use crate::event::{Encoded, Failure};
use crate::field::coding::{self, Coding};
use crate::key::Key;
use crate::stored::{Body, Coded, Kept, Maker, Stored};
use crate::transform::recode::{RecodeError, Recoder};

/// As many bodies that are stored may be encoded at once, and as many that are for one client alone:
/// those may take for ever. Who comes then gets what the origin sent.
const MOST: usize = 128;
/// When nothing has come for so long, what has is flushed to who waits: an event, or a page whose
/// rest takes its time. To flush each piece would make less of them.
const PAUSE: Duration = Duration::from_millis(5);
/// For so long a body is encoded before others are.
const TURN: Duration = Duration::from_millis(10);
/// The least for which it waits for a slow reader.
const LEAST_PATIENCE: Duration = Duration::from_millis(250);
/// A body unfolds to so many times what may be stored, and no more.
const UNFOLDS: u64 = 16;

/// Has the answer that is `arriving`, and that `source` brings, put into the coding `to`, or joins
/// who has it done; nothing is the plain body.
///
/// # Errors
///
/// `source`, if too much is under way.
pub(in crate::edge) fn of_arriving(
    shared: &Arc<Shared>,
    asked: &Asked,
    source: Passenger<Failure>,
    arriving: &Arriving,
    to: Option<Coding>,
) -> Result<Passenger<Failure>, Passenger<Failure>> {
    let task = (Arc::as_ptr(source.flight()).addr(), to);
    match enter(shared, asked, task, source.flight()) {
        Some(Entry::Wait(passenger)) => Ok(passenger),
        Some(Entry::Lead(lead, passenger)) => {
            let sent = (arriving.head.coding, arriving.length);
            Stream::begin(shared, asked, task, sent, source, lead);
            Ok(passenger)
        }
        None => Err(source),
    }
}

/// The same with the body of what is `stored`; nothing if too much is under way.
pub(in crate::edge) fn of_stored(
    shared: &Arc<Shared>,
    asked: &Asked,
    stored: &Stored,
    to: Option<Coding>,
) -> Option<Passenger<Failure>> {
    // It may have arrived a moment ago, and be half made.
    let is_of_body =
        |source: &Flight<Failure>| source.stored().is_some_and(|body| body.is_same(&stored.body));
    let of_body = |(task, under_way): (&Task, &UnderWay)| {
        (task.1 == to && is_of_body(&under_way.source)).then(|| under_way.made.board())
    };
    if let Some(passenger) = shared.compressor.streams().iter().find_map(of_body) {
        return passenger;
    }
    let task = (stored.body.address()?, to);
    let source = Flight::landed(&stored.body);
    match enter(shared, asked, task, &source)? {
        Entry::Wait(passenger) => Some(passenger),
        Entry::Lead(lead, passenger) => {
            let source = source.board()?;
            let sent = (stored.head.coding, Some(stored.body.length()));
            Stream::begin(shared, asked, task, sent, source, lead);
            Some(passenger)
        }
    }
}

/// Joins who is at `task`, or begins it, of `source`; nothing if too much is under way.
fn enter(
    shared: &Shared,
    asked: &Asked,
    task: Task,
    source: &Arc<Flight<Failure>>,
) -> Option<Entry<Failure>> {
    shared.compressor.tasks()?;
    let mut streams = shared.compressor.streams();
    if let Some(under_way) = streams.get(&task) {
        return under_way.made.board().map(Entry::Wait);
    }
    let is_shared = source.is_kept();
    let others = streams.values().filter(|other| other.is_shared == is_shared);
    if others.count() >= MOST {
        debug!("{}: too much is being compressed", asked.key);
        asked.snapshot.meters.count_refused_encoding();
        return None;
    }
    let (lead, passenger) = shared.flights.alone();
    let under_way =
        UnderWay { source: Arc::clone(source), made: Arc::clone(lead.flight()), is_shared };
    streams.insert(task, under_way);
    Some(Entry::Lead(lead, passenger))
}

/// A body that is being put into a coding.
struct Stream {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    key: Key,
    route: Arc<str>,
    task: Task,
    source: Passenger<Failure>,
    lead: Lead<Failure>,
    /// The largest body that is kept.
    max_object: u64,
    recoder: Option<Recoder>,
    /// Bytes as they came, plain, and as they are made.
    before: u64,
    plain: u64,
    after: u64,
    took: Duration,
    /// When it began to give what it gives now.
    giving: Instant,
    /// What it had taken when it last let others go first.
    turn: Duration,
}

/// Why a body is not put into a coding to its end.
#[derive(Debug)]
enum Stopped {
    /// It broke off on its way.
    Broken,
    /// Nobody wants it any more.
    Abandoned,
    /// It cannot be read, or not be written.
    Failed(RecodeError),
}

impl Stream {
    fn begin(
        shared: &Arc<Shared>,
        asked: &Asked,
        task: Task,
        (from, length): (Option<Coding>, Option<u64>),
        source: Passenger<Failure>,
        lead: Lead<Failure>,
    ) {
        let max_object = asked.snapshot.settings.cache.max_object;
        let limit = max_object.saturating_mul(UNFOLDS);
        let stream = Self {
            shared: Arc::clone(shared),
            snapshot: Arc::clone(&asked.snapshot),
            key: asked.key.clone(),
            route: Arc::clone(&asked.route.name),
            task,
            source,
            lead,
            max_object,
            recoder: Some(Recoder::sized(from, task.1, limit, length)),
            before: 0,
            plain: 0,
            after: 0,
            took: Duration::ZERO,
            giving: Instant::now(),
            turn: Duration::ZERO,
        };
        if let Some(tasks) = shared.compressor.tasks() {
            tasks.spawn(stream.run());
        }
    }

    async fn run(mut self) {
        match self.relay().await {
            Ok(()) => {
                self.count();
                // Kept before the end is told: who has the whole of it may ask again at once.
                self.keep();
                self.lead.flight().end(End::Whole);
            }
            Err(Stopped::Failed(error)) => {
                debug!("{}: {error}", self.key);
                self.attach(&Coded::Unreadable);
            }
            Err(Stopped::Broken | Stopped::Abandoned) => {}
        }
    }

    /// Gives all of the body to who waits.
    async fn relay(&mut self) -> Result<(), Stopped> {
        loop {
            if !self.source.flight().is_kept() {
                self.lead.flight().stop_keeping();
            }
            match self.next().await? {
                Ok(piece) => self.give(piece).await?,
                Err(End::Whole) => break,
                Err(End::Broken) => return Err(Stopped::Broken),
            }
        }
        let Some(recoder) = self.recoder.take() else { return Ok(()) };
        self.plain = recoder.plain();
        let rest = timed(&mut self.took, || recoder.finish())?;
        self.push(rest).await
    }

    /// The next piece; what is held back is given when it is late.
    async fn next(&mut self) -> Result<Result<Bytes, End>, Stopped> {
        if let Some(next) = self.source.take() {
            return Ok(next);
        }
        if let Ok(next) = timeout(PAUSE, self.source.piece()).await {
            return Ok(next);
        }
        if let Some(recoder) = &mut self.recoder {
            self.giving = Instant::now();
            let held = timed(&mut self.took, || recoder.flush())?;
            self.push(held).await?;
        }
        // Who waits may leave before anything comes.
        tokio::select! {
            biased;
            next = self.source.piece() => Ok(next),
            () = self.lead.flight().deserted() => Err(Stopped::Abandoned),
        }
    }

    async fn give(&mut self, mut piece: Bytes) -> Result<(), Stopped> {
        self.before += piece.len() as u64;
        self.giving = Instant::now();
        while let Some(recoder) = &mut self.recoder
            && let Some(ready) = timed(&mut self.took, || recoder.take(&mut piece))?
        {
            self.push(ready).await?;
            // One long body must not keep the others waiting. To take turns more often would cost:
            // the tables of an encoder are as large as a core's cache.
            if self.took > self.turn + TURN {
                self.turn = self.took;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn push(&mut self, piece: Bytes) -> Result<(), Stopped> {
        if piece.is_empty() {
            return Ok(());
        }
        self.after += piece.len() as u64;
        if self.after > self.max_object {
            self.lead.flight().stop_keeping();
        }
        let pushed = self.lead.flight().push_within(self.patience(), piece).await;
        pushed.map_err(|Abandoned| Stopped::Abandoned)
    }

    /// For how long one of its readers may hold back the others: less than it may hold back those
    /// who read what it reads, or all would be left behind for the sake of one.
    fn patience(&self) -> Duration {
        if self.source.flight().is_kept() {
            return PATIENCE;
        }
        (PATIENCE / 2).saturating_sub(self.giving.elapsed()).max(LEAST_PATIENCE)
    }

    /// Keeps what was made beside what it was made of, if that is stored.
    fn keep(&self) {
        let made = self.lead.flight().kept().map(Body::new);
        if let Some(made) = made {
            // What a client can read at all is worth keeping.
            let coded = if self.task.1.is_none() || self.after < self.plain {
                Coded::Kept(Kept::new(made.clone(), Maker::Quick))
            } else {
                Coded::NotSmaller
            };
            self.attach(&coded);
            self.lead.flight().hand_over(made);
        }
    }

    fn attach(&self, coded: &Coded) {
        let (_, to) = self.task;
        if let Some(body) = self.source.flight().stored() {
            self.shared.store.attach(&self.key, &body, to, coded);
        }
    }

    fn count(&self) {
        let coding = coding::token(self.task.1);
        let (route, before) = (Arc::clone(&self.route), self.before);
        let (after, took) = (self.after, self.took);
        self.snapshot.meters.count_encoded(&Encoded { route, coding, before, after, took });
    }
}

/// Does some `work` and adds the time for it.
fn timed<T>(
    took: &mut Duration,
    work: impl FnOnce() -> Result<T, RecodeError>,
) -> Result<T, Stopped> {
    let began = Instant::now();
    let done = work();
    *took += began.elapsed();
    done.map_err(Stopped::Failed)
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.compressor.streams().remove(&self.task);
    }
}
