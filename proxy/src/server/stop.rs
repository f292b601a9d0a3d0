//! Stops without cutting anybody off: no new connections, then what runs is let finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use log::{error, info};
use pingora::server::{ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long nothing must have run before a server ends.
const MOMENT: Duration = Duration::from_millis(300);

/// The state of a stop.
#[derive(Debug)]
pub(super) struct Stop {
    begun: watch::Sender<bool>,
    running: watch::Sender<usize>,
    grace: Duration,
    ready: Arc<AtomicBool>,
}

/// One connection that is being served.
#[derive(Debug)]
pub(super) struct Running<'a> {
    stop: &'a Stop,
}

impl Stop {
    /// Lets connections finish for `grace` at most; `ready` turns false when it begins.
    pub(super) fn new(grace: Duration, ready: Arc<AtomicBool>) -> Self {
        Self { begun: watch::Sender::new(false), running: watch::Sender::new(0), grace, ready }
    }

    /// Counts a connection for as long as the answer lives.
    pub(super) fn running(&self) -> Running<'_> {
        self.running.send_modify(|count| *count += 1);
        Running { stop: self }
    }

    /// A watch that turns true when this stop begins, or when `other` does.
    pub(super) fn watch_too(self: &Arc<Self>, mut other: ShutdownWatch) -> ShutdownWatch {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if other.wait_for(|stopped| *stopped).await.is_ok() {
                this.begin();
            }
        });
        self.begun.subscribe()
    }

    fn begin(&self) {
        self.ready.store(false, Ordering::Relaxed);
        self.begun.send_replace(true);
    }

    /// Waits until nothing has run for a moment: what was accepted last, and is shaking hands yet,
    /// counts only then.
    async fn quiet(&self) {
        let mut running = self.running.subscribe();
        while running.wait_for(|count| *count == 0).await.is_ok() {
            if timeout(MOMENT, running.wait_for(|count| *count > 0)).await.is_err() {
                return;
            }
        }
    }

    /// Begins to stop and waits until nothing runs, or too long.
    async fn drain(&self) {
        self.begin();
        if timeout(self.grace, self.quiet()).await.is_err() {
            let left = *self.running.borrow();
            info!("{left} connections were still open after {:?}", self.grace);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.stop.running.send_modify(|count| *count -= 1);
    }
}

/// The signals that stop a server.
pub(super) struct Signals {
    stop: Arc<Stop>,
    hand_over: bool,
}

impl Signals {
    /// Stops with `stop`. If the sockets are not to be handed over, SIGQUIT stops like SIGTERM.
    pub(super) const fn new(stop: Arc<Stop>, hand_over: bool) -> Self {
        Self { stop, hand_over }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let listen = |kind| signal(kind).map_err(|cause| error!("cannot watch signals: {cause}"));
        let (Ok(mut term), Ok(mut int), Ok(mut quit)) = (
            listen(SignalKind::terminate()),
            listen(SignalKind::interrupt()),
            listen(SignalKind::quit()),
        ) else {
            return ShutdownSignal::FastShutdown;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => return ShutdownSignal::FastShutdown,
            _ = quit.recv() => {
                if self.hand_over {
                    info!("handing the sockets over");
                    return ShutdownSignal::GracefulUpgrade;
                }
            }
        }
        info!("stopping: no new connections, those that are open may finish");
        tokio::select! {
            () = self.stop.drain() => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        ShutdownSignal::FastShutdown
    }
}
