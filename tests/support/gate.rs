//! A gate that holds whoever comes to it until the test opens it.

use std::sync::Arc;

use tokio::sync::watch;

/// Closed when made; once opened it stays open. Clones are the same gate.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    pub(super) async fn passed(&self) {
        self.0.subscribe().wait_for(|open| *open).await.expect("the gate holds its own sender");
    }
}
