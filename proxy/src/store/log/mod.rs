//! The log of purges, which says in which order they were asked for: that of this edge alone, or
//! one that a fleet of edges shares.
//!
//! What is stored below memory may be older than the process that finds it, or have been put there
//! by another edge. The log tells each edge what was purged since: a purge counts as done when the
//! log has it and this edge has done it.

mod alone;
mod entry;
mod file;
mod fleet;
mod local;
mod wish;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use log::{debug, warn};
use tokio::time::timeout;

use self::alone::Alone;
use self::file::Event;
use self::fleet::Fleet;
pub use self::fleet::{Edges, Unreachable};
pub use self::wish::{Meaning, Mode, Unclear, What, Wish};
use super::position::Position;
use super::purges::{At, Group};
use crate::time;

/// Does on an edge what the log says.
#[async_trait]
pub trait Apply: Send + Sync {
    /// Does a purge in all tiers of this edge. The log may have it done twice.
    async fn purge(&self, purge: Logged);

    /// Lets all be gone that was asked for before the position `floor`.
    async fn forget(&self, floor: Position);
}

/// A purge that is to be done on this edge.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its position, which is its id.
    pub id: Position,
    /// Where it is to be noted.
    pub at: At,
    /// What was wished for.
    pub wish: Wish,
    /// What that means.
    pub meanings: Vec<Meaning>,
}

/// A purge that was done on this edge.
#[derive(Debug)]
pub struct Done {
    /// Its position.
    pub id: Position,
    /// Why it is not all that was wished for.
    pub untold: Option<Untold>,
}

/// A purge was done here, and is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum Untold {
    /// The file of the log cannot be written.
    #[error(
        "purged, but not written down, so that it may come back after a restart: ask again once \
         the disk can be written"
    )]
    File(#[from] alone::NotWritten),
    /// Redis cannot be reached.
    #[error(
        "purged on this edge alone, since the others could not be told: ask again once Redis can \
         be reached"
    )]
    Fleet(#[from] Unreachable),
}

/// The log of purges.
#[derive(Debug)]
pub struct PurgeLog {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// With this edge.
    Alone(Alone),
    /// In Redis.
    Fleet(Box<Fleet>),
}

impl PurgeLog {
    /// The log of the edges that share `redis`, or of this edge alone: in `file` if it keeps
    /// anything on disk.
    #[must_use]
    pub fn new(redis: Option<&forebay_config::Redis>, file: Option<PathBuf>) -> Self {
        let place = match redis {
            Some(redis) => Place::Fleet(Box::new(Fleet::new(redis, file))),
            None => Place::Alone(Alone::new(file)),
        };
        Self { place }
    }

    /// Whether this edge knows all that was purged before it began. Until then nothing below memory
    /// may be looked into.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        match &self.place {
            Place::Alone(alone) => alone.is_caught_up(),
            Place::Fleet(fleet) => fleet.is_caught_up(),
        }
    }

    /// Waits until this edge knows that, but no longer than `limit`. True if it does.
    pub async fn caught_up(&self, limit: Duration) -> bool {
        let caught_up = async {
            match &self.place {
                Place::Alone(alone) => alone.caught_up().await,
                Place::Fleet(fleet) => fleet.caught_up().await,
            }
        };
        timeout(limit, caught_up).await.is_ok()
    }

    /// Reads the log and has `by` do what it says; with a fleet for ever, alone until all that was
    /// there has been read.
    pub async fn follow(&self, by: &dyn Apply) {
        match &self.place {
            Place::Alone(alone) => alone.catch_up(&Taking { by }).await,
            Place::Fleet(fleet) => fleet.follow(&Taking { by }).await,
        }
    }

    /// Purges what `wish` says, by `by` on this edge and by the log on the others.
    ///
    /// # Errors
    ///
    /// It cannot be understood what is wished for; nothing is purged then.
    pub async fn purge(&self, wish: Wish, by: &dyn Apply) -> Result<Done, Unclear> {
        wish.meanings()?;
        let taking = Taking { by };
        let logged = match &self.place {
            Place::Alone(alone) => alone.purge(&wish, &taking).await.map_err(Untold::from),
            Place::Fleet(fleet) => fleet.purge(&wish, &taking).await.map_err(Untold::from),
        };
        Ok(match logged {
            Ok(id) => Done { id, untold: None },
            Err(untold) => {
                let id = Position::START.next(time::now());
                taking.purge(id, &wish, At::Here).await;
                Done { id, untold: Some(untold) }
            }
        })
    }

    /// Which edges have done the purge `id`; nothing where an edge is alone.
    ///
    /// # Errors
    ///
    /// [`Unreachable`]: nobody knows.
    pub async fn edges(&self, id: Position) -> Result<Option<Edges>, Unreachable> {
        match &self.place {
            Place::Alone(_) => Ok(None),
            Place::Fleet(fleet) => fleet.edges(id).await.map(Some),
        }
    }
}

/// Takes up what the log says.
struct Taking<'a> {
    by: &'a dyn Apply,
}

impl Taking<'_> {
    async fn event(&self, at: Position, event: &Event) {
        match event {
            Event::Purge(wish) => self.purge(at, wish, At::Log(at)).await,
            Event::Floor | Event::Shared => self.forget(at).await,
        }
    }

    async fn purge(&self, id: Position, wish: &Wish, at: At) {
        let purge = match wish.meanings() {
            Ok(meanings) => Logged { id, at, wish: wish.clone(), meanings },
            Err(unclear) => {
                // Another release may know what it means; whatever that is, it is a part of all.
                warn!("purge {id}: everything is purged: {unclear}");
                let meanings = vec![Meaning::Group(Group::All)];
                Logged { id, at, wish: Wish::all(Mode::Hard), meanings }
            }
        };
        self.by.purge(purge).await;
    }

    async fn forget(&self, floor: Position) {
        debug!("what was stored before {floor} is dropped, if anything was");
        self.by.forget(floor).await;
    }
}

/// An error with what has caused it.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
