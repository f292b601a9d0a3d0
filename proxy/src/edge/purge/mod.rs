//! Purges what is stored, for who asks on the admin listener or with the method `PURGE`, and keeps
//! the receipts.

pub(super) mod method;
mod receipts;
mod sweep;

use std::sync::Arc;

use forebay_config::Routes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use receipts::{Receipt, Receipts};
pub use sweep::Sweeper;

use super::Shared;
use crate::key::{Key, Target};
use crate::policy::decide;
use crate::store::position::Position;
use crate::store::purges::{At, Group, Purge};
use crate::stored::TagHash;
use crate::time;

/// A wish, as it is written: one of the first five, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// A URL, with its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How URLs begin, or their paths on every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A tag of the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Several of them; one is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Whether it is gone, or still answers in place of an origin that fails.
    #[serde(default)]
    pub mode: Mode,
}

impl Written {
    /// About how many bytes it takes.
    fn length(&self) -> usize {
        let Self { url, prefix, tag, tags, all: _, mode: _ } = self;
        let texts = [url, prefix, tag].into_iter().flatten().chain(tags);
        texts.map(|text| text.len() + size_of::<String>()).sum()
    }
}

/// What becomes of what is purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It answers only in place of an origin that fails.
    #[default]
    Soft,
    /// It is gone.
    Hard,
}

impl From<Mode> for Purge {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Soft => Self::Soft,
            Mode::Hard => Self::Hard,
        }
    }
}

/// What is to be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What is stored for these.
    Urls(Vec<Target>),
    /// What is of one of these.
    Groups(Vec<Group>),
}

impl Shared {
    /// Purges what `wish` says, which was `written` so. What is purged by its URL is gone below memory
    /// when this is done.
    pub async fn purge(self: &Arc<Self>, written: Written, wish: Wish) -> Arc<Receipt> {
        let purge = Purge::from(written.mode);
        let when = time::now();
        log::info!("purged: {}", serde_json::json!(written));
        self.snapshot().meters.count_purge();
        let (sender, count) = watch::channel(None);
        let keep = |id| self.receipts.keep(Receipt { id, purged: written, when, count });
        match wish {
            Wish::Urls(targets) => {
                let at = self.store.purges().newest().next(when);
                let keys = keys(&self.snapshot().settings.routes, &targets);
                let (count, rest) = self.store.purge(&keys, purge, At::Log(at));
                sender.send_replace(Some(count));
                let receipt = keep(at);
                rest.await;
                receipt
            }
            Wish::Groups(groups) => {
                let groups = self.purge_groups(groups, purge);
                let receipt = keep(groups.last().map_or(Position::START, |(_, at)| *at));
                sweep::sweep(self, groups, sender);
                receipt
            }
        }
    }

    /// Invalidates what has one of `tags`, since something changed that it depends on.
    pub(super) fn invalidate_tagged(&self, tags: &[String]) {
        for tag in tags {
            self.store.purge_group(Group::Tag(TagHash::of(tag)), Purge::Hard, At::Here);
        }
    }

    /// Purges `groups`, and says where each is noted.
    fn purge_groups(&self, groups: Vec<Group>, purge: Purge) -> Vec<(Group, Position)> {
        let note = |group: Group| {
            let at = At::Log(self.store.purges().newest().next(time::now()));
            (group.clone(), self.store.purge_group(group, purge, at))
        };
        groups.into_iter().map(note).collect()
    }
}

/// The keys under which something may be stored for `targets`, each once.
fn keys(routes: &Routes, targets: &[Target]) -> Vec<Key> {
    let mut keys: Vec<_> = targets.iter().flat_map(|target| decide::keys(routes, target)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
