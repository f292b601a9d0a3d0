//! A few threads off those that serve, for work that nobody waits for, and a bound to what may wait
//! for them.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A piece of work.
type Job = Box<dyn FnOnce() + Send>;

/// Threads that take one job after the other.
///
/// When it is dropped, what waits is dropped with it, and each thread ends after the job that it is
/// at; nobody waits for that.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
}

/// Nothing more may wait: the job was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every thread of the lane is busy, and as many jobs wait as may")]
pub struct Full;

struct Shared {
    /// How many jobs may be in it, those that run included.
    bound: usize,
    state: Mutex<State>,
    changed: Condvar,
    panicked: AtomicU64,
}

struct State {
    waiting: VecDeque<Job>,
    running: usize,
    open: bool,
}

impl Lane {
    /// Starts `threads` named `name`, for which `waiting` jobs may wait beside those that run.
    ///
    /// On Linux they come after all other threads when cores are scarce.
    ///
    /// # Errors
    ///
    /// What the system says if it gives no more threads.
    pub fn new(name: &str, threads: NonZeroUsize, waiting: usize) -> io::Result<Self> {
        let state = State { waiting: VecDeque::new(), running: 0, open: true };
        let shared = Arc::new(Shared {
            bound: threads.get().saturating_add(waiting),
            state: Mutex::new(state),
            changed: Condvar::new(),
            panicked: AtomicU64::new(0),
        });
        // Made first: if a thread cannot be had, those before it end.
        let lane = Self { shared };
        for _ in 0..threads.get() {
            let shared = Arc::clone(&lane.shared);
            thread::Builder::new().name(name.to_owned()).spawn(move || {
                step_back();
                shared.work();
            })?;
        }
        Ok(lane)
    }

    /// Has `job` run when a thread is free.
    ///
    /// A job that panics is logged and counted, and the next one runs.
    ///
    /// # Errors
    ///
    /// [`Full`] if no thread is free and no more may wait.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        let mut state = self.shared.lock();
        if state.running + state.waiting.len() >= self.shared.bound {
            return Err(Full);
        }
        state.waiting.push_back(Box::new(job));
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// How many jobs wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// How many jobs run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.lock().running
    }

    /// How many jobs have panicked since it began.
    #[must_use]
    pub fn panicked(&self) -> u64 {
        self.shared.panicked.load(Ordering::Relaxed)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.open = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.shared.changed.notify_all();
        // Outside of the lock: what a job holds may do anything when it is dropped.
        drop(waiting);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until the lane is dropped.
    fn work(&self) {
        while let Some(job) = self.next() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                self.panicked.fetch_add(1, Ordering::Relaxed);
                let name = thread::current().name().unwrap_or_default().to_owned();
                log::error!("a job of the lane {name} panicked: {}", message(&*panic));
            }
            self.lock().running -= 1;
        }
    }

    /// Waits for a job and counts it as running; `None` when the lane was dropped.
    fn next(&self) -> Option<Job> {
        let idle = |state: &mut State| state.open && state.waiting.is_empty();
        let mut state =
            self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let job = state.waiting.pop_front()?;
        state.running += 1;
        Some(job)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("bound", &self.bound).finish_non_exhaustive()
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// Puts the thread behind those that serve, where that is about one thread.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        log::warn!("cannot give a thread a lower priority: {error}");
    }
}

/// The least that a thread can ask for.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::Duration;

    use super::*;

    /// How long a thread may take for what takes no time.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn lane(threads: usize, waiting: usize) -> Lane {
        let threads = NonZeroUsize::new(threads).expect("a lane has a thread");
        Lane::new("lane-test", threads, waiting).expect("a few threads are to be had")
    }

    /// Occupies a thread of `lane` until what is returned is dropped.
    fn occupy(lane: &Lane) -> SyncSender<()> {
        let (release, released) = sync_channel::<()>(0);
        let (begun, begins) = sync_channel(1);
        let job = move || {
            begun.send(()).expect("the test waits");
            assert!(released.recv().is_err(), "nothing is sent");
        };
        lane.submit(job).expect("there is room");
        arrival(&begins);
        release
    }

    #[track_caller]
    fn arrival<T>(from: &Receiver<T>) -> T {
        from.recv_timeout(PATIENCE).expect("a job runs")
    }

    #[test]
    fn runs_jobs_in_the_order_they_came() {
        let lane = lane(1, 8);
        let (done, dones) = sync_channel(8);
        let held = occupy(&lane);
        for number in 0..8 {
            let done = done.clone();
            lane.submit(move || done.send(number).expect("the test waits")).expect("there is room");
        }
        assert_eq!((lane.running(), lane.waiting()), (1, 8));
        drop(held);
        assert_eq!((0..8).map(|_| arrival(&dones)).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn refuses_what_may_not_wait() {
        let lane = lane(2, 1);
        let held = [occupy(&lane), occupy(&lane)];
        assert_eq!(lane.submit(|| ()), Ok(()));
        assert_eq!(lane.submit(|| ()), Err(Full));
        assert_eq!((lane.running(), lane.waiting()), (2, 1));
        drop(held);
    }

    #[test]
    fn takes_a_job_for_each_free_thread_where_none_may_wait() {
        let lane = lane(1, 0);
        let held = occupy(&lane);
        assert_eq!(lane.submit(|| ()), Err(Full));
        drop(held);
    }

    #[test]
    fn runs_the_next_job_after_one_that_panicked() {
        let lane = lane(1, 8);
        let (done, dones) = sync_channel(1);
        lane.submit(|| panic!("a job of a test")).expect("there is room");
        lane.submit(|| std::panic::panic_any(7)).expect("there is room");
        lane.submit(move || done.send(()).expect("the test waits")).expect("there is room");
        arrival(&dones);
        assert_eq!(lane.panicked(), 2);
    }

    #[test]
    fn drops_what_waits_and_ends_its_threads_when_it_is_dropped() {
        let lane = lane(2, 8);
        let held = [occupy(&lane), occupy(&lane)];
        let (kept, keeps) = sync_channel::<()>(1);
        lane.submit(move || drop(kept)).expect("there is room");
        let shared = Arc::downgrade(&lane.shared);
        drop(lane);
        // The job was dropped while both threads are still held.
        assert!(keeps.recv_timeout(PATIENCE).is_err());
        drop(held);
        let ended = (0..1_000_000).any(|_| {
            thread::yield_now();
            shared.strong_count() == 0
        });
        assert!(ended, "the threads go on");
    }

    #[test]
    fn may_be_dropped_by_a_job_of_its_own() {
        let lane = Arc::new(lane(1, 1));
        let (done, dones) = sync_channel(1);
        let (go, goes) = sync_channel::<()>(1);
        let own = Arc::clone(&lane);
        let job = move || {
            goes.recv().expect("the test sends");
            drop(own);
            done.send(()).expect("the test waits");
        };
        lane.submit(job).expect("there is room");
        drop(lane);
        go.send(()).expect("the job waits");
        arrival(&dones);
    }

    #[test]
    fn reads_what_a_panic_said() {
        let said = |panic: Box<dyn Any + Send>| message(&*panic).to_owned();
        assert_eq!(said(Box::new("words")), "words");
        assert_eq!(said(Box::new(String::from("words"))), "words");
        assert_eq!(said(Box::new(7)), "no text");
    }
}
