//! One forward request, those who wait for its answer, and its body while it arrives.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::event::Detail;
use crate::stored::{Body, Fields, Stored, StoredHead};

/// How many pieces of a body that is not kept may wait for its slowest reader.
pub(super) const WINDOW: usize = 16;
/// How long a reader may hold back others who are ahead of it; then it gets no more.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Up to this many bytes a body is kept, however much the bodies of others take.
pub(super) const ALWAYS_KEPT: u64 = 1024 * 1024;
/// How many interim responses are passed on.
pub(super) const MOST_INTERIM: usize = 16;
/// What became of a forward request, so far.
#[derive(Clone, Debug)]
pub enum Opening<F> {
    /// Its answer has begun; the body is read from the [`Flight`].
    Answer(Arc<Arriving>),
    /// What was stored was validated and stands, the origin said with this status. If that answer
    /// forbids to share it, the fact that does: then it is for its leader alone.
    Stands(Stored, StatusCode, Result<(), Detail>),
    /// Another edge asked, and stored this for all.
    Elsewhere(Stored),
    /// It failed before an answer began.
    Failed(F, Option<StatusCode>),
}

/// The head of an answer whose body is arriving.
#[derive(Debug)]
pub struct Arriving {
    /// Its head.
    pub head: StoredHead,
    /// The length of its body, if it was said.
    pub length: Option<u64>,
    /// Whether it is being stored; if not, why, and it is for its leader alone.
    pub verdict: Result<(), Detail>,
}

impl Arriving {
    /// Whether it says that the origin, or what is behind it, is down or has too much to do.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        matches!(self.head.status.as_u16(), 502..=504) && self.verdict == Err(Detail::NoFreshness)
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// Before it should.
    Broken,
}

/// Nobody reads any more, and nothing is being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abandoned;

/// One forward request and those who wait for its answer. `F` is how it may fail.
#[derive(Debug)]
pub struct Flight<F> {
    began: Instant,
    state: Mutex<State<F>>,
    changed: watch::Sender<()>,
    drained: Notify,
    held: Arc<AtomicU64>,
    limit: u64,
}

#[derive(Debug)]
struct State<F> {
    interim: Vec<(StatusCode, Fields)>,
    opening: Option<Opening<F>>,
    pieces: VecDeque<Piece>,
    /// The number of the first piece in `pieces`.
    first: usize,
    readers: usize,
    /// Pieces are kept for readers to come, and to be stored.
    keep: bool,
    /// Bytes of `pieces` that are counted in `held`: those that came while they were kept.
    counted: u64,
    /// What was stored of it: the bytes of `pieces` are counted there.
    stored: Option<Body>,
    end: Option<End>,
}

/// A piece of a body.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    /// How many readers have yet to take it.
    waiting: usize,
    /// It came while the body was kept, and is counted in `held`.
    counted: bool,
}

impl<F: Clone> Flight<F> {
    fn new(held: Arc<AtomicU64>, limit: u64) -> Self {
        let state = State {
            interim: Vec::new(),
            opening: None,
            pieces: VecDeque::new(),
            first: 0,
            readers: 0,
            keep: true,
            counted: 0,
            stored: None,
            end: None,
        };
        let changed = watch::Sender::new(());
        let (state, drained) = (Mutex::new(state), Notify::new());
        Self { began: Instant::now(), state, changed, drained, held, limit }
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        // Nothing in here panics half-way, so a poisoned lock still guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A flight, and the passenger who leads it.
    pub(super) fn begin(held: Arc<AtomicU64>, limit: u64) -> (Arc<Self>, Passenger<F>) {
        let flight = Arc::new(Self::new(held, limit));
        let mut leader = flight.board().expect("a flight that has not opened takes passengers");
        leader.interim = Some(0);
        (flight, leader)
    }

    /// Passes an interim response on to the leader (RFC 9110 §15.2). Who else waits may have to
    /// go alone yet, and must not see it.
    pub fn interim(&self, status: StatusCode, fields: Fields) {
        let mut state = self.state();
        if state.interim.len() < MOST_INTERIM {
            state.interim.push((status, fields));
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Says what became of the forward request. `keep` if its body is to be kept whole.
    pub fn open(&self, opening: Opening<F>, keep: bool) {
        let mut state = self.state();
        state.keep = keep;
        state.opening = Some(opening);
        drop(state);
        self.changed.send_replace(());
    }

    /// Adds a piece of the body; waits for readers if it is not being kept.
    ///
    /// # Errors
    ///
    /// [`Abandoned`] if there is nobody to read it and no use in keeping it.
    pub async fn push(&self, piece: Bytes) -> Result<(), Abandoned> {
        self.push_within(PATIENCE, piece).await
    }

    /// The same where readers that are behind others may hold it back for so long.
    ///
    /// # Errors
    ///
    /// Those of [`Flight::push`].
    pub async fn push_within(&self, patience: Duration, piece: Bytes) -> Result<(), Abandoned> {
        self.add(piece);
        loop {
            let drained = self.drained.notified();
            {
                let state = self.state();
                if state.keep || (state.readers > 0 && state.pieces.len() < WINDOW) {
                    return Ok(());
                }
                if state.readers == 0 {
                    return Err(Abandoned);
                }
            }
            if timeout(patience, drained).await.is_err() {
                self.leave_behind();
            }
        }
    }

    /// Waits until there is nobody to read it and no use in keeping it.
    pub async fn deserted(&self) {
        loop {
            let drained = self.drained.notified();
            {
                let state = self.state();
                if !state.keep && state.readers == 0 {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Gives up on readers that hold back others who are ahead of them.
    fn leave_behind(&self) {
        let mut state = self.state();
        let readers = state.readers;
        let mut left = 0;
        while state.pieces.len() >= WINDOW
            && let Some(first) = state.pieces.front()
            && first.waiting < readers
        {
            // Whoever waits for this piece waits for those behind it as well.
            left = first.waiting;
            state.drop_first(&self.held);
        }
        state.readers -= left;
        for piece in &mut state.pieces {
            piece.waiting -= left;
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn add(&self, piece: Bytes) {
        let mut state = self.state();
        let length = piece.len() as u64;
        let piece = Piece { bytes: piece, waiting: state.readers, counted: state.keep };
        state.pieces.push_back(piece);
        if state.keep {
            state.counted += length;
            let held = self.held.fetch_add(length, Ordering::Relaxed) + length;
            state.keep = held <= self.limit || state.counted <= ALWAYS_KEPT;
        }
        state.drop_taken(&self.held);
        drop(state);
        self.changed.send_replace(());
    }

    /// Stops keeping the body: those who read it now get it all, nobody else does.
    pub fn stop_keeping(&self) {
        let mut state = self.state();
        state.keep = false;
        state.drop_taken(&self.held);
    }

    /// Notes that the body is stored as `body`, and its bytes are counted there.
    pub fn hand_over(&self, body: Body) {
        let mut state = self.state();
        self.held.fetch_sub(std::mem::take(&mut state.counted), Ordering::Relaxed);
        state.stored = Some(body);
    }

    /// A flight that has ended, and whose body is stored.
    #[must_use]
    pub fn landed(body: &Body) -> Arc<Self> {
        let flight = Self::new(Arc::default(), 0);
        let pieces = body.as_slice().iter();
        let pieces = pieces.map(|piece| Piece { bytes: piece.clone(), waiting: 0, counted: false });
        let mut state = flight.state();
        state.pieces = pieces.collect();
        state.stored = Some(body.clone());
        state.end = Some(End::Whole);
        drop(state);
        Arc::new(flight)
    }

    /// What was stored of the body, if it was.
    #[must_use]
    pub fn stored(&self) -> Option<Body> {
        self.state().stored.clone()
    }

    /// Whether the whole body so far is still there.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.state().keep
    }

    /// The whole body; `None` if it was not kept.
    #[must_use]
    pub fn kept(&self) -> Option<Vec<Bytes>> {
        let state = self.state();
        state.keep.then(|| state.pieces.iter().map(|piece| piece.bytes.clone()).collect())
    }

    /// Ends the body.
    pub fn end(&self, end: End) {
        self.state().end = Some(end);
        self.changed.send_replace(());
    }

    /// Ends the body before it should, unless it has ended.
    pub(super) fn end_broken(&self) {
        self.state().end.get_or_insert(End::Broken);
        self.changed.send_replace(());
    }

    /// Begins to wait for this flight's answer. `None` if its body can no longer be had whole.
    #[must_use]
    pub fn board(self: &Arc<Self>) -> Option<Passenger<F>> {
        let mut state = self.state();
        let is_under_way = state.opening.is_some() || state.first + state.pieces.len() > 0;
        if !state.keep && is_under_way {
            return None;
        }
        state.readers += 1;
        for piece in &mut state.pieces {
            piece.waiting += 1;
        }
        drop(state);
        let changed = self.changed.subscribe();
        Some(Passenger { flight: Arc::clone(self), changed, next: 0, interim: None })
    }
}

impl<F> State<F> {
    fn drop_taken(&mut self, held: &AtomicU64) {
        while !self.keep && self.pieces.front().is_some_and(|piece| piece.waiting == 0) {
            self.drop_first(held);
        }
    }

    fn drop_first(&mut self, held: &AtomicU64) {
        if let Some(piece) = self.pieces.pop_front() {
            self.first += 1;
            if piece.counted && self.stored.is_none() {
                let length = piece.bytes.len() as u64;
                self.counted -= length;
                held.fetch_sub(length, Ordering::Relaxed);
            }
        }
    }
}

impl<F> Drop for Flight<F> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.held.fetch_sub(state.counted, Ordering::Relaxed);
    }
}

/// Somebody who waits for a flight's answer.
#[derive(Debug)]
pub struct Passenger<F: Clone> {
    flight: Arc<Flight<F>>,
    changed: watch::Receiver<()>,
    next: usize,
    /// The next interim response, for the one who leads.
    interim: Option<usize>,
}

/// What a passenger sees next, before the answer.
#[derive(Clone, Debug)]
pub enum News<F> {
    /// An interim response.
    Interim(StatusCode, Fields),
    /// What became of the forward request.
    Opening(Opening<F>),
}

impl<F: Clone> Passenger<F> {
    /// When the forward request began whose answer it waits for.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.flight.began
    }

    /// The flight whose answer it waits for.
    #[must_use]
    pub const fn flight(&self) -> &Arc<Flight<F>> {
        &self.flight
    }

    /// Waits for an interim response, or for the answer. `None` if the flight is lost.
    pub async fn news(&mut self) -> Option<News<F>> {
        loop {
            {
                let state = self.flight.state();
                if let Some(next) = &mut self.interim
                    && let Some((status, fields)) = state.interim.get(*next)
                {
                    *next += 1;
                    return Some(News::Interim(*status, fields.clone()));
                }
                if let Some(opening) = &state.opening {
                    return Some(News::Opening(opening.clone()));
                }
                if state.end.is_some() {
                    return None;
                }
            }
            self.changed.changed().await.is_ok().then_some(())?;
        }
    }

    /// Waits for the next piece of the body; how it ended, after the last.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub async fn piece(&mut self) -> Result<Bytes, End> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            if self.changed.changed().await.is_err() {
                return Err(End::Broken);
            }
        }
    }

    /// The next piece, or how the body ended, if that is known yet.
    pub fn take(&mut self) -> Option<Result<Bytes, End>> {
        let mut state = self.flight.state();
        let Some(index) = self.next.checked_sub(state.first) else {
            // It was left behind.
            return Some(Err(End::Broken));
        };
        let Some(next) = state.pieces.get_mut(index) else {
            return state.end.map(Err);
        };
        let piece = next.bytes.clone();
        next.waiting -= 1;
        self.next += 1;
        state.drop_taken(&self.flight.held);
        drop(state);
        self.flight.drained.notify_one();
        Some(Ok(piece))
    }
}

impl<F: Clone> Drop for Passenger<F> {
    fn drop(&mut self) {
        let mut state = self.flight.state();
        let Some(taken) = self.next.checked_sub(state.first) else {
            // It was left behind, and is counted no more.
            return;
        };
        state.readers -= 1;
        for piece in state.pieces.iter_mut().skip(taken) {
            piece.waiting -= 1;
        }
        state.drop_taken(&self.flight.held);
        drop(state);
        self.flight.drained.notify_one();
    }
}
