//! One forward request for many that wait for the same answer (RFC 9211 §2.6), who read its body
//! while it arrives.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::event::Detail;
use crate::key::Key;
use crate::stored::{Fields, Selecting, Stored, StoredHead};

/// How many pieces of a body that is not kept may wait for its slowest reader.
const WINDOW: usize = 16;
/// How long a reader may hold back others who are ahead of it; then it gets no more.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many interim responses are passed on.
const MOST_INTERIM: usize = 16;
/// For how long requests for a key do not wait for each other after an answer under it could not
/// be shared.
const ALONE_FOR: Duration = Duration::from_mins(1);
/// How many such keys are remembered.
const ALONE_KEYS: u64 = 65_536;
/// Shards of the table of flights: more than cores that enter at once.
const SHARDS: usize = 64;

/// What makes two requests wait for one answer: the key, and what else they ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlightKey {
    /// The key.
    pub key: Key,
    /// What the request says in the fields that are known to select.
    pub selecting: Selecting,
    /// Its `Range`, where that is passed on.
    pub range: Option<Bytes>,
}

/// What became of a forward request, so far.
#[derive(Clone, Debug)]
pub enum Opening<F> {
    /// Its answer has begun; the body is read from the [`Flight`].
    Answer(Arc<Arriving>),
    /// What was stored was validated and stands, the origin said with this status. If that answer
    /// forbids to share it, the fact that does: then it is for its leader alone.
    Stands(Stored, StatusCode, Result<(), Detail>),
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
    /// Whether it is being stored; if not, why.
    pub verdict: Result<(), Detail>,
    /// Whether it is for all who wait; if not, it is for its leader alone.
    pub shared: bool,
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
    /// Each piece with the number of readers that have yet to take it.
    pieces: VecDeque<(Bytes, usize)>,
    /// The number of the first piece in `pieces`.
    first: usize,
    readers: usize,
    /// Pieces are kept for readers to come, and to be stored.
    keep: bool,
    /// Bytes of `pieces`, as they are counted in `held`.
    counted: u64,
    /// The bytes of `pieces` are counted elsewhere.
    handed_over: bool,
    end: Option<End>,
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
            handed_over: false,
            end: None,
        };
        let changed = watch::Sender::new(());
        Self { state: Mutex::new(state), changed, drained: Notify::new(), held, limit }
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        // Nothing in here panics half-way, so a poisoned lock still guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            if timeout(PATIENCE, drained).await.is_err() {
                self.leave_behind();
            }
        }
    }

    /// Gives up on readers that hold back others who are ahead of them.
    fn leave_behind(&self) {
        let mut state = self.state();
        let readers = state.readers;
        let mut left = 0;
        while state.pieces.len() >= WINDOW
            && let Some((_, waiting)) = state.pieces.front()
            && *waiting < readers
        {
            // Whoever waits for this piece waits for those behind it as well.
            left = *waiting;
            state.drop_first(&self.held);
        }
        state.readers -= left;
        for (_, waiting) in &mut state.pieces {
            *waiting -= left;
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn add(&self, piece: Bytes) {
        let mut state = self.state();
        let length = piece.len() as u64;
        let readers = state.readers;
        state.pieces.push_back((piece, readers));
        state.counted += length;
        let held = self.held.fetch_add(length, Ordering::Relaxed) + length;
        if held > self.limit {
            state.keep = false;
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

    /// Notes that the body is stored, and its bytes are counted there.
    pub fn hand_over(&self) {
        let mut state = self.state();
        self.held.fetch_sub(std::mem::take(&mut state.counted), Ordering::Relaxed);
        state.handed_over = true;
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
        state.keep.then(|| state.pieces.iter().map(|(piece, _)| piece.clone()).collect())
    }

    /// Ends the body.
    pub fn end(&self, end: End) {
        self.state().end = Some(end);
        self.changed.send_replace(());
    }

    /// Begins to wait for this flight's answer. `None` if its body can no longer be had whole.
    #[must_use]
    pub fn board(self: &Arc<Self>) -> Option<Passenger<F>> {
        let mut state = self.state();
        if !state.keep && state.opening.is_some() {
            return None;
        }
        state.readers += 1;
        for (_, waiting) in &mut state.pieces {
            *waiting += 1;
        }
        drop(state);
        let changed = self.changed.subscribe();
        Some(Passenger { flight: Arc::clone(self), changed, next: 0, interim: None })
    }
}

impl<F> State<F> {
    fn drop_taken(&mut self, held: &AtomicU64) {
        while !self.keep && self.pieces.front().is_some_and(|(_, waiting)| *waiting == 0) {
            self.drop_first(held);
        }
    }

    fn drop_first(&mut self, held: &AtomicU64) {
        if let Some((piece, _)) = self.pieces.pop_front() {
            self.first += 1;
            if !self.handed_over {
                self.counted -= piece.len() as u64;
                held.fetch_sub(piece.len() as u64, Ordering::Relaxed);
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

    fn take(&mut self) -> Option<Result<Bytes, End>> {
        let mut state = self.flight.state();
        let Some(index) = self.next.checked_sub(state.first) else {
            // It was left behind.
            return Some(Err(End::Broken));
        };
        let Some((piece, waiting)) = state.pieces.get_mut(index) else {
            return state.end.map(Err);
        };
        let piece = piece.clone();
        *waiting -= 1;
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
        for (_, waiting) in state.pieces.iter_mut().skip(taken) {
            *waiting -= 1;
        }
        state.drop_taken(&self.flight.held);
        drop(state);
        self.flight.drained.notify_one();
    }
}

/// All flights that are under way.
#[derive(Debug)]
pub struct Flights<F> {
    shards: Box<[Mutex<Shard<F>>]>,
    alone: Cache<Key, ()>,
    held: Arc<AtomicU64>,
    limit: u64,
}

type Shard<F> = HashMap<FlightKey, Arc<Flight<F>>>;

/// How a request joins the flights.
#[derive(Debug)]
pub enum Entry<F: Clone + 'static> {
    /// It leads: it must send the forward request.
    Lead(Lead<F>, Passenger<F>),
    /// It waits for another request's answer.
    Wait(Passenger<F>),
}

/// The duty to fly: the flight ends when this is dropped.
#[derive(Debug)]
pub struct Lead<F: Clone + 'static> {
    flight: Arc<Flight<F>>,
    landing: Option<(Arc<Flights<F>>, FlightKey)>,
}

impl<F: Clone> Flights<F> {
    /// No flights yet. At most `limit` bytes of bodies are kept while they arrive.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let alone = Cache::builder()
            .max_capacity(ALONE_KEYS)
            .time_to_live(ALONE_FOR)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { shards, alone, held: Arc::default(), limit }
    }

    /// Joins the flight under `key`, or begins it.
    pub fn enter(self: &Arc<Self>, key: FlightKey) -> Entry<F> {
        let mut shard = self.shard(&key);
        if let Some(passenger) = shard.get(&key).and_then(Flight::board) {
            return Entry::Wait(passenger);
        }
        let flight = Arc::new(Flight::new(Arc::clone(&self.held), self.limit));
        shard.insert(key.clone(), Arc::clone(&flight));
        drop(shard);
        let passenger = boarded(&flight);
        Entry::Lead(Lead { flight, landing: Some((Arc::clone(self), key)) }, passenger)
    }

    /// Begins a flight that nobody else may join.
    pub fn alone(&self) -> (Lead<F>, Passenger<F>) {
        let flight = Arc::new(Flight::new(Arc::clone(&self.held), self.limit));
        let passenger = boarded(&flight);
        (Lead { flight, landing: None }, passenger)
    }

    /// Whether requests for `key` go forward without waiting for each other.
    #[must_use]
    pub fn is_alone(&self, key: &Key) -> bool {
        self.alone.contains_key(key)
    }

    /// Notes whether answers under `key` can be shared.
    pub fn note(&self, key: &Key, shareable: bool) {
        if !shareable {
            self.alone.insert(key.clone(), ());
        } else if self.alone.contains_key(key) {
            self.alone.invalidate(key);
        }
    }

    /// Bytes of bodies that are kept while they arrive.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &FlightKey) -> MutexGuard<'_, Shard<F>> {
        let index = usize::try_from(key.key.hash64() % SHARDS as u64).unwrap_or(0);
        let shard = self.shards.get(index).expect("the index is below the number of shards");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, key: &FlightKey, flight: &Arc<Flight<F>>) {
        let mut shard = self.shard(key);
        if shard.get(key).is_some_and(|other| Arc::ptr_eq(other, flight)) {
            shard.remove(key);
        }
    }
}

fn boarded<F: Clone>(flight: &Arc<Flight<F>>) -> Passenger<F> {
    let mut passenger = flight.board().expect("a flight that has not opened takes passengers");
    passenger.interim = Some(0);
    passenger
}

impl<F: Clone> Lead<F> {
    /// The flight.
    #[must_use]
    pub const fn flight(&self) -> &Arc<Flight<F>> {
        &self.flight
    }

    /// Lets nobody else join from now on; who waits already, waits on.
    pub fn close(&mut self) {
        if let Some((flights, key)) = self.landing.take() {
            flights.remove(&key, &self.flight);
        }
    }
}

impl<F: Clone> Drop for Lead<F> {
    fn drop(&mut self) {
        self.close();
        if self.flight.state().end.is_none() {
            self.flight.end(End::Broken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::key::Target;
    use crate::stored::testing::{head, request};

    const PLENTY: u64 = 1 << 20;

    fn key(path: &str) -> FlightKey {
        let key = Key::of(&Target::parse("http", "a.example", path).unwrap());
        FlightKey { key, selecting: Selecting::default(), range: None }
    }

    fn flights(limit: u64) -> Arc<Flights<&'static str>> {
        Arc::new(Flights::new(limit))
    }

    fn answer() -> Opening<&'static str> {
        let head = head(&[], &HeaderMap::new());
        Opening::Answer(Arc::new(Arriving { head, length: None, verdict: Ok(()), shared: true }))
    }

    fn lead(flights: &Arc<Flights<&'static str>>) -> (Lead<&'static str>, Passenger<&'static str>) {
        match flights.enter(key("/a")) {
            Entry::Lead(lead, passenger) => (lead, passenger),
            Entry::Wait(_) => panic!("somebody leads already"),
        }
    }

    fn wait(flights: &Arc<Flights<&'static str>>) -> Passenger<&'static str> {
        match flights.enter(key("/a")) {
            Entry::Wait(passenger) => passenger,
            Entry::Lead(..) => panic!("there is nobody to wait for"),
        }
    }

    /// What a future gives at once.
    fn at_once<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn piece(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    /// All that a passenger gets, and how it ends.
    async fn all(mut passenger: Passenger<&'static str>) -> (String, End) {
        let mut text = String::new();
        loop {
            match passenger.piece().await {
                Ok(piece) => text.push_str(std::str::from_utf8(&piece).unwrap()),
                Err(end) => return (text, end),
            }
        }
    }

    #[tokio::test]
    async fn gives_all_passengers_the_same_bytes() {
        let flights = flights(PLENTY);
        let (lead, first) = lead(&flights);
        let mut tasks = vec![tokio::spawn(all(first)), tokio::spawn(all(wait(&flights)))];
        lead.flight().open(answer(), true);
        for text in ["one ", "two ", "three"] {
            tasks.push(tokio::spawn(all(wait(&flights))));
            assert_eq!(lead.flight().push(piece(text)).await, Ok(()));
            tokio::task::yield_now().await;
        }
        tasks.push(tokio::spawn(all(wait(&flights))));
        lead.flight().end(End::Whole);
        tasks.push(tokio::spawn(all(wait(&flights))));
        for task in tasks {
            assert_eq!(task.await.unwrap(), ("one two three".to_owned(), End::Whole));
        }
        assert_eq!(lead.flight().kept().unwrap().concat(), b"one two three");
    }

    #[tokio::test]
    async fn tells_interim_responses_to_who_leads_and_to_nobody_else() {
        let flights = flights(PLENTY);
        let (lead, mut first) = lead(&flights);
        let second = wait(&flights);
        let early = StatusCode::EARLY_HINTS;
        lead.flight().interim(early, Fields::default());
        lead.flight().interim(StatusCode::PROCESSING, Fields::default());
        lead.flight().open(answer(), true);
        for expected in [early, StatusCode::PROCESSING] {
            let news = first.news().await;
            assert!(matches!(news, Some(News::Interim(status, _)) if status == expected));
        }
        for mut passenger in [first, second, wait(&flights)] {
            let news = passenger.news().await;
            assert!(matches!(news, Some(News::Opening(Opening::Answer(_)))));
        }
    }

    #[tokio::test]
    async fn passes_on_no_more_interim_responses_than_are_reasonable() {
        let flights = flights(PLENTY);
        let (lead, mut first) = lead(&flights);
        for _ in 0..MOST_INTERIM + 5 {
            lead.flight().interim(StatusCode::PROCESSING, Fields::default());
        }
        let mut count = 0;
        while at_once(first.news()).is_ready() {
            count += 1;
        }
        assert_eq!(count, MOST_INTERIM);
    }

    #[tokio::test]
    async fn wakes_who_waits_for_the_answer() {
        let flights = flights(PLENTY);
        let (lead, mut first) = lead(&flights);
        assert!(at_once(first.news()).is_pending());
        let waiting = tokio::spawn(async move { first.news().await });
        tokio::task::yield_now().await;
        lead.flight().open(Opening::Failed("refused", None), false);
        let news = waiting.await.unwrap();
        assert!(matches!(news, Some(News::Opening(Opening::Failed("refused", None)))));
    }

    #[test]
    fn collapses_only_what_asks_for_the_same() {
        let flights = flights(PLENTY);
        let (_lead, _passenger) = lead(&flights);
        let part = FlightKey { range: Some(piece("bytes=0-1")), ..key("/a") };
        let variant =
            FlightKey { selecting: head(&["x-a"], &request("x-a", "1")).selecting, ..key("/a") };
        for other in [key("/b"), part, variant] {
            assert!(matches!(flights.enter(other), Entry::Lead(..)));
        }
        drop(wait(&flights));
    }

    #[test]
    fn lets_nobody_join_who_flies_alone() {
        let flights = flights(PLENTY);
        let (_alone, _passenger) = flights.alone();
        let _new = lead(&flights);
    }

    #[test]
    fn lets_nobody_join_once_it_is_closed() {
        let flights = flights(PLENTY);
        let (mut first, _passenger) = lead(&flights);
        let mut waiting = wait(&flights);
        first.close();
        let (_second, _passenger) = lead(&flights);
        // Closing the first again takes the second, which has the same key, off no list.
        first.close();
        drop(wait(&flights));
        first.flight().open(answer(), true);
        assert!(at_once(waiting.news()).is_ready());
    }

    #[test]
    fn lets_nobody_board_after_keeping_stopped() {
        let flights = flights(PLENTY);
        let (first, passenger) = lead(&flights);
        first.flight().open(answer(), true);
        assert_eq!(at_once(first.flight().push(piece("one"))), Poll::Ready(Ok(())));
        first.flight().stop_keeping();
        assert!(first.flight().board().is_none());
        assert!(!first.flight().is_kept());
        assert_eq!(first.flight().kept(), None);
        let _second = lead(&flights);
        drop(passenger);
    }

    #[tokio::test]
    async fn gives_who_boarded_before_keeping_stopped_the_whole() {
        let flights = flights(PLENTY);
        let (lead, first) = lead(&flights);
        let mut second = wait(&flights);
        lead.flight().open(answer(), true);
        assert_eq!(lead.flight().push(piece("one ")).await, Ok(()));
        assert_eq!(second.piece().await, Ok(piece("one ")));
        lead.flight().stop_keeping();
        assert_eq!(lead.flight().push(piece("two")).await, Ok(()));
        lead.flight().end(End::Whole);
        assert_eq!(all(first).await, ("one two".to_owned(), End::Whole));
        assert_eq!(all(second).await, ("two".to_owned(), End::Whole));
    }

    #[tokio::test]
    async fn holds_the_writer_of_a_body_that_is_not_kept_back_for_its_slowest_reader() {
        let flights = flights(PLENTY);
        let (lead, mut fast) = lead(&flights);
        let mut slow = wait(&flights);
        lead.flight().open(answer(), false);
        for _ in 1..WINDOW {
            assert_eq!(at_once(lead.flight().push(piece("x"))), Poll::Ready(Ok(())));
            assert_eq!(at_once(fast.piece()), Poll::Ready(Ok(piece("x"))));
        }
        let mut push = pin!(lead.flight().push(piece("x")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(push.as_mut().poll(&mut context).is_pending());
        assert_eq!(at_once(fast.piece()), Poll::Ready(Ok(piece("x"))));
        assert!(push.as_mut().poll(&mut context).is_pending());
        assert_eq!(at_once(slow.piece()), Poll::Ready(Ok(piece("x"))));
        assert_eq!(push.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_a_reader_behind_that_holds_others_back_for_too_long() {
        let flights = flights(PLENTY);
        let (lead, fast) = lead(&flights);
        let slow = wait(&flights);
        lead.flight().open(answer(), false);
        let fast = tokio::spawn(all(fast));
        for _ in 0..3 * WINDOW {
            assert_eq!(lead.flight().push(piece("x")).await, Ok(()));
            tokio::task::yield_now().await;
        }
        lead.flight().end(End::Whole);
        assert_eq!(fast.await.unwrap(), ("x".repeat(3 * WINDOW), End::Whole));
        let (text, end) = all(slow).await;
        assert_eq!(end, End::Broken, "a gap must not pass for the whole");
        assert!(text.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_was_left_behind_holds_nobody_back_again() {
        let flights = flights(PLENTY);
        let (lead, fast) = lead(&flights);
        let slow = wait(&flights);
        lead.flight().open(answer(), false);
        let fast = tokio::spawn(all(fast));
        let began = tokio::time::Instant::now();
        for _ in 0..20 * WINDOW {
            assert_eq!(lead.flight().push(piece("x")).await, Ok(()));
            tokio::task::yield_now().await;
        }
        assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());
        drop(slow);
        lead.flight().end(End::Whole);
        assert_eq!(fast.await.unwrap(), ("x".repeat(20 * WINDOW), End::Whole));
        assert_eq!(flights.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_an_only_reader_however_slow() {
        let flights = flights(PLENTY);
        let (lead, passenger) = lead(&flights);
        lead.flight().open(answer(), false);
        let flight = Arc::clone(lead.flight());
        let writer = tokio::spawn(async move {
            for _ in 0..2 * WINDOW {
                assert_eq!(flight.push(piece("x")).await, Ok(()));
            }
            flight.end(End::Whole);
        });
        tokio::time::sleep(10 * PATIENCE).await;
        assert!(!writer.is_finished());
        assert_eq!(all(passenger).await, ("x".repeat(2 * WINDOW), End::Whole));
    }

    #[tokio::test]
    async fn never_holds_the_writer_of_a_body_that_is_kept_back() {
        let flights = flights(PLENTY);
        let (lead, passenger) = lead(&flights);
        lead.flight().open(answer(), true);
        for _ in 0..10 * WINDOW {
            assert_eq!(at_once(lead.flight().push(piece("x"))), Poll::Ready(Ok(())));
        }
        lead.flight().end(End::Whole);
        assert_eq!(all(passenger).await, ("x".repeat(10 * WINDOW), End::Whole));
    }

    #[tokio::test]
    async fn wakes_a_writer_that_was_held_back() {
        let flights = flights(PLENTY);
        let (lead, passenger) = lead(&flights);
        lead.flight().open(answer(), false);
        let flight = Arc::clone(lead.flight());
        let writer = tokio::spawn(async move {
            for _ in 0..5 * WINDOW {
                flight.push(piece("x")).await?;
            }
            flight.end(End::Whole);
            Ok::<_, Abandoned>(())
        });
        tokio::task::yield_now().await;
        assert_eq!(all(passenger).await, ("x".repeat(5 * WINDOW), End::Whole));
        assert_eq!(writer.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn tells_the_writer_that_nobody_reads_what_is_not_kept() {
        let flights = flights(PLENTY);
        let (lead, passenger) = lead(&flights);
        lead.flight().open(answer(), false);
        let flight = Arc::clone(lead.flight());
        let writer = tokio::spawn(async move { while flight.push(piece("x")).await == Ok(()) {} });
        tokio::task::yield_now().await;
        assert!(!writer.is_finished());
        drop(passenger);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn keeps_what_nobody_reads_for_the_store() {
        let flights = flights(PLENTY);
        let (lead, passenger) = lead(&flights);
        drop(passenger);
        lead.flight().open(answer(), true);
        assert_eq!(lead.flight().push(piece("one")).await, Ok(()));
        assert_eq!(lead.flight().kept(), Some(vec![piece("one")]));
        assert_eq!(at_once(wait(&flights).piece()), Poll::Ready(Ok(piece("one"))));
    }

    #[tokio::test]
    async fn ends_when_its_leader_is_dropped() {
        let flights = flights(PLENTY);
        let (first, mut passenger) = lead(&flights);
        let waiting = tokio::spawn(async move { passenger.news().await.is_none() });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap(), "the flight is lost before an answer began");

        let (second, passenger) = lead(&flights);
        second.flight().open(answer(), true);
        assert_eq!(second.flight().push(piece("one")).await, Ok(()));
        drop(second);
        assert_eq!(all(passenger).await, ("one".to_owned(), End::Broken));

        let (third, passenger) = lead(&flights);
        third.flight().open(answer(), true);
        third.flight().end(End::Whole);
        drop(third);
        assert_eq!(all(passenger).await, (String::new(), End::Whole));
    }

    #[tokio::test]
    async fn counts_the_bytes_that_it_keeps_and_forgets_none() {
        let flights = flights(PLENTY);
        let (first, passenger) = lead(&flights);
        first.flight().open(answer(), true);
        assert_eq!(first.flight().push(piece("12345")).await, Ok(()));
        let (second, _) = flights.alone();
        second.flight().open(answer(), true);
        assert_eq!(second.flight().push(piece("123")).await, Ok(()));
        assert_eq!(flights.held(), 8);
        second.flight().stop_keeping();
        assert_eq!(flights.held(), 5);
        drop((first, second));
        assert_eq!(flights.held(), 5, "a passenger still reads it");
        drop(passenger);
        assert_eq!(flights.held(), 0);
    }

    #[tokio::test]
    async fn counts_nothing_that_is_stored_by_then() {
        let flights = flights(PLENTY);
        let (lead, passenger) = lead(&flights);
        lead.flight().open(answer(), true);
        assert_eq!(lead.flight().push(piece("12345")).await, Ok(()));
        lead.flight().hand_over();
        assert_eq!(flights.held(), 0);
        lead.flight().end(End::Whole);
        drop(lead);
        assert_eq!(all(passenger).await, ("12345".to_owned(), End::Whole));
        assert_eq!(flights.held(), 0);
    }

    #[tokio::test]
    async fn stops_keeping_where_all_bodies_together_pass_the_limit() {
        let flights = flights(8);
        let (first, first_passenger) = lead(&flights);
        first.flight().open(answer(), true);
        assert_eq!(first.flight().push(piece("12345")).await, Ok(()));
        let (second, second_passenger) = flights.alone();
        second.flight().open(answer(), true);
        assert_eq!(second.flight().push(piece("123")).await, Ok(()));
        assert!(first.flight().is_kept() && second.flight().is_kept());
        assert_eq!(second.flight().push(piece("4")).await, Ok(()));
        assert!(first.flight().is_kept() && !second.flight().is_kept());
        assert_eq!(flights.held(), 9, "a passenger has yet to read it");
        first.flight().end(End::Whole);
        second.flight().end(End::Whole);
        assert_eq!(all(second_passenger).await, ("1234".to_owned(), End::Whole));
        assert_eq!(flights.held(), 5);
        assert_eq!(all(first_passenger).await, ("12345".to_owned(), End::Whole));
    }

    #[test]
    fn remembers_what_could_not_be_shared_until_it_can() {
        let flights = flights(PLENTY);
        let (a, b) = (key("/a").key, key("/b").key);
        assert!(!flights.is_alone(&a));
        flights.note(&a, false);
        assert!(flights.is_alone(&a) && !flights.is_alone(&b));
        flights.note(&b, true);
        flights.note(&a, true);
        assert!(!flights.is_alone(&a) && !flights.is_alone(&b));
    }

    proptest! {
        /// Steps: 0 and 1 push a piece, 2 boards, 3 to 6 let a passenger take one, 7 lets one go,
        /// 8 stops keeping.
        #[test]
        fn gives_each_passenger_every_piece_once_and_in_order(
            steps in prop::collection::vec((0..9_u8, 0..4_usize), 0..80),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let runtime = runtime.unwrap();
            let _entered = runtime.enter();
            let flights = flights(PLENTY);
            let (lead, first) = lead(&flights);
            let flight = Arc::clone(lead.flight());
            flight.open(answer(), true);
            let mut passengers = vec![(first, 0_u8)];
            let mut pushed = 0_u8;
            for (step, which) in steps {
                let which = which.min(passengers.len().saturating_sub(1));
                match step {
                    0 | 1 => {
                        if at_once(flight.push(vec![pushed].into())) != Poll::Ready(Err(Abandoned)) {
                            pushed += 1;
                        } else {
                            prop_assert!(passengers.is_empty() && !flight.is_kept());
                            break;
                        }
                    }
                    2 => {
                        let boarded = flight.board();
                        prop_assert_eq!(boarded.is_some(), flight.is_kept());
                        passengers.extend(boarded.map(|passenger| (passenger, 0)));
                    }
                    7 if !passengers.is_empty() => drop(passengers.remove(which)),
                    8 => flight.stop_keeping(),
                    _ => {
                        let Some((passenger, next)) = passengers.get_mut(which) else { continue };
                        let expected = (*next < pushed).then(|| Ok(Bytes::from(vec![*next])));
                        prop_assert_eq!(passenger.take(), expected.clone());
                        *next += u8::from(expected.is_some());
                    }
                }
                let slowest = passengers.iter().map(|(_, next)| *next).min().unwrap_or(pushed);
                let held = if flight.is_kept() { pushed } else { pushed - slowest };
                prop_assert_eq!(flights.held(), u64::from(held));
            }
            flight.end(End::Whole);
            for (mut passenger, next) in passengers {
                for expected in next..pushed {
                    prop_assert_eq!(passenger.take(), Some(Ok(vec![expected].into())));
                }
                prop_assert_eq!(passenger.take(), Some(Err(End::Whole)));
            }
            drop((flight, lead));
            prop_assert_eq!(flights.held(), 0);
        }
    }
}
