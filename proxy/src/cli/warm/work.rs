//! Asks for all URLs, no faster than it may, and shows how far that is.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::HeaderValue;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::say_to;
use super::asking::Asking;
use super::summary::Summary;
use crate::key::Target;

/// When the next request may begin.
#[derive(Debug)]
pub(super) struct Pace {
    next: Mutex<Instant>,
    step: Duration,
}

impl Pace {
    /// `rate` requests in a second.
    pub(super) fn new(rate: u32) -> Self {
        Self { next: Mutex::new(Instant::now()), step: Duration::from_secs(1) / rate.max(1) }
    }

    /// Waits until the next request may begin.
    fn wait(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + self.step;
            at
        };
        thread::sleep(at.saturating_duration_since(Instant::now()));
    }
}

/// Asks for each of `targets` with each of `codings`, in so many threads.
pub(super) fn ask_all(
    asking: &Asking,
    targets: &[Target],
    codings: &[HeaderValue],
    pace: &Pace,
    threads: usize,
) -> Summary {
    let requests = targets.len() * codings.len();
    let progress = Progress::new(requests);
    let (next, summary) = (AtomicUsize::new(0), Mutex::new(Summary::default()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let target = targets.get(number / codings.len().max(1));
            let coding = codings.get(number % codings.len().max(1));
            let (Some(target), Some(coding)) = (target, coding) else { return };
            pace.wait();
            let outcome = asking.ask(target, coding);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(&target.to_string(), outcome);
            progress.show(summary.asked());
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.min(requests) {
            scope.spawn(work);
        }
    });
    progress.end();
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// How far it is: a bar, or a line for each tenth where nobody sees a bar.
struct Progress {
    bar: Option<ProgressBar>,
    of: usize,
}

impl Progress {
    fn new(of: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(of as u64);
            match ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left") {
                Ok(style) => bar.with_style(style),
                Err(error) => {
                    log::debug!("the bar looks as usual: {error}");
                    bar
                }
            }
        });
        Self { bar, of }
    }

    fn show(&self, asked: usize) {
        match &self.bar {
            Some(bar) => bar.set_position(asked as u64),
            None => {
                let tenth = |asked: usize| asked * 10 / self.of.max(1);
                if tenth(asked) > tenth(asked - 1) {
                    say_to(&mut io::stderr(), &format!("{asked} of {} asked\n", self.of));
                }
            }
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_no_faster_than_it_may() {
        let pace = Pace::new(1000);
        let begun = Instant::now();
        (0..21).for_each(|_| pace.wait());
        assert!(begun.elapsed() >= Duration::from_millis(20), "{:?}", begun.elapsed());
    }
}
