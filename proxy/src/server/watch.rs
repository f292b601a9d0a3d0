//! Has the settings read again at SIGHUP, and when their file changes.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use log::error;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::admin::reload::{Reloader, Wish};

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Watches for SIGHUP from now on: it no longer ends the process, and none is lost before somebody
/// looks.
pub(super) fn hangups() -> Option<Signal> {
    let watched = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .and_then(|runtime| runtime.block_on(async { signal(SignalKind::hangup()) }));
    match watched {
        Ok(signals) => Some(signals),
        Err(cause) => {
            error!("cannot watch for SIGHUP, which will end the edge: {cause}");
            None
        }
    }
}

/// Looks after the settings while the edge runs.
pub(super) struct Watch {
    reloader: Arc<Reloader>,
    /// Taken by the one task that waits for them.
    hangups: Mutex<Option<Signal>>,
}

impl Watch {
    pub(super) const fn new(reloader: Arc<Reloader>, hangups: Option<Signal>) -> Self {
        Self { reloader, hangups: Mutex::new(hangups) }
    }

    /// Looks at the file once.
    async fn look(&self, rest: &mut Rest) {
        if !self.reloader.watches() {
            *rest = Rest::default();
        } else if let Some((mark, tried)) = self.reloader.look().await
            && rest.has_come(mark)
            && !tried
        {
            // Whatever comes of it is in the log already.
            drop(self.reloader.reload(Wish::Change).await);
        }
    }
}

#[async_trait]
impl BackgroundService for Watch {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut hangups = self.hangups.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rest = Rest::default();
        loop {
            tokio::select! {
                () = stopped(&mut shutdown) => return,
                () = next(hangups.as_mut()) => {
                    drop(self.reloader.reload(Wish::Signal).await);
                }
                _ = ticks.tick() => self.look(&mut rest).await,
            }
        }
    }
}

async fn stopped(shutdown: &mut ShutdownWatch) {
    if shutdown.wait_for(|stopping| *stopping).await.is_err() {
        pending::<()>().await;
    }
}

/// Waits for the next of `signals`; for ever if there are none.
async fn next(signals: Option<&mut Signal>) {
    let come = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if come.is_none() {
        pending::<()>().await;
    }
}

/// Whether what is looked at has come to rest: a file may be half written.
#[derive(Debug, Default)]
struct Rest {
    last: Option<String>,
}

impl Rest {
    /// Whether `mark` is the same as the last time.
    fn has_come(&mut self, mark: String) -> bool {
        let same = self.last.as_ref() == Some(&mark);
        self.last = Some(mark);
        same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_has_not_come_to_rest() {
        let mut rest = Rest::default();
        let seen = ["a", "a", "b", "c", "c", "c", "a"].map(|mark| rest.has_come(mark.to_owned()));
        assert_eq!(seen, [false, true, false, false, true, true, false]);
    }
}
