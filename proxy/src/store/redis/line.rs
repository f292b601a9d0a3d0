//! Keeps one connection to Redis up in the background, so that no request waits for connecting.

use std::sync::Arc;
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

/// A connection that is made again when it is lost.
pub(super) struct Line {
    /// What it is for, and where it leads, for logs.
    name: String,
    link: ArcSwapOption<Link>,
    lost: Notify,
}

impl Line {
    pub(super) fn new(name: String) -> Self {
        Self { name, link: ArcSwapOption::empty(), lost: Notify::new() }
    }

    /// The connection, if it stands as far as anybody knows.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.load_full()
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
        let mut has_failed = false;
        loop {
            let cause = match timeout(PATIENCE, connector.connect()).await {
                Ok(Ok(link)) => {
                    if has_failed {
                        info!("{}: connected", self.name);
                    }
                    (wait, has_failed) = (FIRST_WAIT, false);
                    self.link.store(Some(Arc::new(link)));
                    self.lost.notified().await;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no connection within {PATIENCE:?}"),
            };
            // Once is enough: that the tier does nothing is in its counts.
            if !has_failed {
                warn!("{}: cannot connect, and will try on: {cause}", self.name);
                has_failed = true;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
