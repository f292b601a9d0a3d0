//! One forward request for many that wait for the same answer (RFC 9211 §2.6), who read its body
//! while it arrives.

mod flight;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

pub use flight::{Abandoned, Arriving, End, Flight, News, Opening, PATIENCE, Passenger};

use crate::key::{Key, KeyDigest};
use crate::stored::Selecting;

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
    /// Which settings hold for it: under others another origin may be asked.
    pub generation: u64,
    /// When the key was last invalidated, and where anything was last purged: what was asked for
    /// before is no answer for who asks after that.
    pub changed: (u64, u64),
    /// What the request says in the fields that are known to select.
    pub selecting: Selecting,
    /// Its `Range`, where that is passed on.
    pub range: Option<Bytes>,
}

/// All flights that are under way.
#[derive(Debug)]
pub struct Flights<F> {
    shards: Box<[Mutex<Shard<F>>]>,
    alone: Cache<KeyDigest, ()>,
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
        let (flight, passenger) = Flight::begin(Arc::clone(&self.held), self.limit);
        shard.insert(key.clone(), Arc::clone(&flight));
        drop(shard);
        Entry::Lead(Lead { flight, landing: Some((Arc::clone(self), key)) }, passenger)
    }

    /// Begins a flight that nobody else may join.
    pub fn alone(&self) -> (Lead<F>, Passenger<F>) {
        let (flight, passenger) = Flight::begin(Arc::clone(&self.held), self.limit);
        (Lead { flight, landing: None }, passenger)
    }

    /// Whether requests for `key` go forward without waiting for each other.
    #[must_use]
    pub fn is_alone(&self, key: &Key) -> bool {
        self.alone.contains_key(&key.digest())
    }

    /// Notes whether answers under `key` can be shared.
    pub fn note(&self, key: &Key, shareable: bool) {
        let digest = key.digest();
        if !shareable {
            self.alone.insert(digest, ());
        } else if self.alone.contains_key(&digest) {
            self.alone.invalidate(&digest);
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
        self.flight.end_broken();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use http::{HeaderMap, StatusCode};
    use proptest::prelude::*;

    use super::flight::{ALWAYS_KEPT, MOST_INTERIM, WINDOW};
    use super::*;
    use crate::key::Target;
    use crate::stored::testing::{head, request};
    use crate::stored::{Body, Fields};

    const PLENTY: u64 = 1 << 20;

    fn key(path: &str) -> FlightKey {
        let key = Key::of(&Target::parse("http", "a.example", path).unwrap());
        FlightKey {
            key,
            generation: 0,
            changed: (0, 0),
            selecting: Selecting::default(),
            range: None,
        }
    }

    fn flights(limit: u64) -> Arc<Flights<&'static str>> {
        Arc::new(Flights::new(limit))
    }

    fn answer() -> Opening<&'static str> {
        let head = head(&[], &HeaderMap::new());
        Opening::Answer(Arc::new(Arriving { head, length: None, verdict: Ok(()) }))
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

    /// What reads a body to give it to readers of its own must not be left behind for one of those.
    #[tokio::test(start_paused = true)]
    async fn leaves_a_reader_behind_as_soon_as_is_wanted() {
        let flights = flights(PLENTY);
        let (lead, fast) = lead(&flights);
        let slow = wait(&flights);
        lead.flight().open(answer(), false);
        let fast = tokio::spawn(all(fast));
        let began = tokio::time::Instant::now();
        for _ in 0..2 * WINDOW {
            assert_eq!(lead.flight().push_within(PATIENCE / 2, piece("x")).await, Ok(()));
            tokio::task::yield_now().await;
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        lead.flight().end(End::Whole);
        assert_eq!(fast.await.unwrap(), ("x".repeat(2 * WINDOW), End::Whole));
        drop(slow);
    }

    #[tokio::test]
    async fn tells_when_the_last_reader_has_left() {
        let flights = flights(PLENTY);
        let (lead, passenger) = lead(&flights);
        assert!(at_once(lead.flight().deserted()).is_pending());
        lead.flight().stop_keeping();
        assert!(at_once(lead.flight().deserted()).is_pending());
        let flight = Arc::clone(lead.flight());
        let deserted = tokio::spawn(async move { flight.deserted().await });
        tokio::task::yield_now().await;
        drop(passenger);
        assert!(deserted.await.is_ok());
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
        lead.flight().hand_over(Body::default());
        assert_eq!(flights.held(), 0);
        lead.flight().end(End::Whole);
        drop(lead);
        assert_eq!(all(passenger).await, ("12345".to_owned(), End::Whole));
        assert_eq!(flights.held(), 0);
    }

    #[tokio::test]
    async fn stops_keeping_where_all_bodies_together_pass_the_limit() {
        let quarters = |count: u64| {
            let length = usize::try_from(count * ALWAYS_KEPT / 4).unwrap();
            Bytes::from(vec![b'x'; length])
        };
        let flights = flights(2 * ALWAYS_KEPT);
        let (first, _first_passenger) = lead(&flights);
        first.flight().open(answer(), true);
        assert_eq!(first.flight().push(quarters(5)).await, Ok(()));
        let (second, second_passenger) = flights.alone();
        second.flight().open(answer(), true);
        assert_eq!(second.flight().push(quarters(3)).await, Ok(()));
        assert!(first.flight().is_kept() && second.flight().is_kept());
        assert_eq!(second.flight().push(quarters(2)).await, Ok(()));
        assert!(first.flight().is_kept() && !second.flight().is_kept());
        assert_eq!(second.flight().push(quarters(1)).await, Ok(()));
        let held = 5 * ALWAYS_KEPT / 2;
        assert_eq!(flights.held(), held, "a passenger has yet to read it; what follows counts not");

        let (small, _small_passenger) = flights.alone();
        small.flight().open(answer(), true);
        assert_eq!(small.flight().push(quarters(1)).await, Ok(()));
        assert!(small.flight().is_kept(), "what is small is kept, whatever others take");
        drop(small);

        second.flight().end(End::Whole);
        let (text, end) = all(second_passenger).await;
        assert_eq!((text.len() as u64, end), (6 * ALWAYS_KEPT / 4, End::Whole));
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
            let mut counted = 0_u8;
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
                if flight.is_kept() {
                    counted = pushed;
                }
                let held = if flight.is_kept() { counted } else { counted.saturating_sub(slowest) };
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
