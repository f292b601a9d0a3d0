//! Keeps one connection to Redis up in the background, so that no request waits for connecting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use log::{info, warn};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connect::{Connector, Link};

/// How long it may take until a connection stands, Sentinels and TLS included.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait after the first attempt that fails; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How long to wait between two attempts at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How often a connection that nobody has lost is asked whether it still stands.
const PULSE: Duration = Duration::from_secs(1);

/// A connection that is made again when it is lost.
pub(super) struct Line {
    /// What it is for, and where it leads, for logs.
    name: String,
    link: ArcSwapOption<Link>,
    lost: Notify,
    /// Whether the last attempt to connect failed.
    is_away: AtomicBool,
    /// An attempt has ended, well or not.
    tried: Notify,
}

impl Line {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            link: ArcSwapOption::empty(),
            lost: Notify::new(),
            is_away: AtomicBool::new(false),
            tried: Notify::new(),
        }
    }

    /// The connection, if it stands as far as anybody knows.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.load_full()
    }

    /// Waits for a connection that is being made; false if it takes longer than `limit`, or there is
    /// nobody to connect to.
    pub(super) async fn stands(&self, limit: Duration) -> bool {
        let made = async {
            loop {
                // Made before the look, so that it misses no attempt that ends after it.
                let tried = self.tried.notified();
                if self.link.load().is_some() {
                    return true;
                }
                if self.is_away.load(Ordering::Relaxed) {
                    return false;
                }
                tried.await;
            }
        };
        timeout(limit, made).await.unwrap_or(false)
    }

    /// Gives `link` up, if it is still the one that is used.
    pub(super) fn lose(&self, link: &Arc<Link>) {
        let was = self.link.compare_and_swap(link, None);
        if was.as_ref().is_some_and(|was| Arc::ptr_eq(was, link)) {
            self.lost.notify_one();
        }
    }

    /// Connects, and connects again whenever the connection is lost.
    pub(super) async fn keep(&self, mut connector: Connector) {
        let mut wait = FIRST_WAIT;
        loop {
            let cause = match timeout(PATIENCE, connector.connect()).await {
                Ok(Ok(link)) => {
                    wait = FIRST_WAIT;
                    self.watch(Arc::new(link)).await;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no connection within {PATIENCE:?}"),
            };
            // Once is enough: that the tier does nothing is in its counts.
            if !self.is_away.swap(true, Ordering::Relaxed) {
                warn!("{}: cannot connect, and will try on: {cause}", self.name);
            }
            self.tried.notify_waiters();
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
    /// Lets all use `link` until it is lost. One that nobody uses is asked now and then, so that the
    /// first who does finds one that stands.
    async fn watch(&self, link: Arc<Link>) {
        self.link.store(Some(Arc::clone(&link)));
        if self.is_away.swap(false, Ordering::Relaxed) {
            info!("{}: connected", self.name);
        }
        self.tried.notify_waiters();
        while self.link.load().as_ref().is_some_and(|used| Arc::ptr_eq(used, &link)) {
            let is_quiet = timeout(PULSE, self.lost.notified()).await.is_err();
            if is_quiet && !link.stands().await {
                self.lose(&link);
            }
        }
    }
}
