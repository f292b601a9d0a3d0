//! Purges what is stored, for who asks on the admin listener or with the method `PURGE`, and keeps
//! the receipts.

pub(super) mod method;
mod receipts;
mod sweep;
mod written;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use forebay_config::Routes;
use tokio::sync::watch;
use tokio::time::timeout;

pub use receipts::{Receipt, Receipts};
pub use sweep::Sweeper;
pub use written::{NotOne, Written};

use super::Shared;
use crate::key::{Key, Target};
use crate::policy::decide;
use crate::store::log::{Apply, Logged, Meaning, Mode, Unclear, Untold, What, Wish};
use crate::store::position::Position;
use crate::store::purges::{At, Group, Purge};
use crate::stored::TagHash;
use crate::time;

/// How long a purge waits until what it is of is removed below memory.
const REMOVED_WITHIN: Duration = Duration::from_secs(1);

/// How many tags of a change are logged at once: the log takes so many of the longest there are.
const AT_ONCE: usize = 32;

/// What came of a purge that was asked for here.
#[derive(Debug)]
pub struct Purged {
    /// The receipt; nothing if so many others came meanwhile that it is not kept any more.
    pub receipt: Option<Arc<Receipt>>,
    /// Why it is not all that was wished for.
    pub untold: Option<Untold>,
}

impl Shared {
    /// Purges what `wish` says, on this edge and on those that share its log. What is purged by its
    /// URL is gone below memory when this is done.
    ///
    /// # Errors
    ///
    /// It cannot be understood what is wished for; nothing is purged then.
    pub async fn purge(self: &Arc<Self>, wish: Wish) -> Result<Purged, Unclear> {
        let done = self.store.log().purge(wish, self).await?;
        self.snapshot().meters.count_purge();
        Ok(Purged { receipt: self.receipts.of(done.id), untold: done.untold })
    }

    /// Invalidates what has one of `tags`, since something changed that it depends on: here at once,
    /// and then as the log has it, so that it does not come back from another edge or after a
    /// restart.
    pub(super) fn invalidate_tagged(self: &Arc<Self>, tags: &[String]) {
        if tags.is_empty() {
            return;
        }
        let groups: Vec<_> = tags.iter().map(|tag| Group::Tag(TagHash::of(tag))).collect();
        self.store.purge_groups(&groups, Purge::Hard, At::Here);
        let Ok(turn) = self.store.logging() else { return };
        let wish = |tags: &[String]| {
            let what = tags.iter().cloned().map(What::Tag).collect();
            Wish { what, mode: Mode::Hard }
        };
        let wishes: Vec<Wish> = tags.chunks(AT_ONCE).map(wish).collect();
        let shared = Arc::clone(self);
        self.store.behind().spawn(async move {
            let _turn = turn;
            for wish in wishes {
                match shared.store.log().purge(wish, &shared).await.map(|done| done.untold) {
                    Ok(None) => {}
                    Ok(Some(untold)) => log::warn!("Cache-Group-Invalidation: {untold}"),
                    Err(unclear) => log::warn!("Cache-Group-Invalidation: {unclear}"),
                }
            }
        });
    }

    /// Does what the log of purges says, as long as there is anything to read.
    pub async fn follow_log(self: Arc<Self>) {
        self.store.log().follow(&self).await;
    }
}

#[async_trait]
impl Apply for Arc<Shared> {
    async fn purge(&self, Logged { id, at, wish, meanings }: Logged) {
        let purge = Purge::from(wish.mode);
        let purged = Written::from(&wish);
        log::info!("purge {id}: {}", serde_json::json!(purged));
        let (sender, count) = watch::channel(None);
        self.receipts.keep(Receipt { id, purged, when: time::now(), count });
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        for meaning in meanings {
            match meaning {
                Meaning::Target(target) => targets.push(target),
                Meaning::Group(group) => groups.push(group),
            }
        }
        let keys = keys(&self.snapshot().settings.routes, &targets);
        if groups.is_empty() {
            let (count, rest) = self.store.purge(&keys, purge, at);
            sender.send_replace(Some(count));
            return removed(id, rest).await;
        }
        let noted = self.store.purge_groups(&groups, purge, at);
        sweep::sweep(self, groups.into_iter().map(|group| (group, noted)).collect(), sender);
        // To note no key would be to note something behind the groups.
        if !keys.is_empty() {
            removed(id, self.store.purge(&keys, purge, at).1).await;
        }
    }

    async fn forget(&self, floor: Position) {
        self.store.purges().raise_floor(floor);
    }
}

/// Waits until what the purge `id` is of is removed below memory, but not for ever: that is under way
/// in any case, and noted.
async fn removed(id: Position, rest: impl Future<Output = ()>) {
    if timeout(REMOVED_WITHIN, rest).await.is_err() {
        log::warn!("purge {id}: not all of it is removed below memory yet");
    }
}

/// The keys under which something may be stored for `targets`, each once.
fn keys(routes: &Routes, targets: &[Target]) -> Vec<Key> {
    let mut keys: Vec<_> = targets.iter().flat_map(|target| decide::keys(routes, target)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
