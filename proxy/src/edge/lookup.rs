//! Looks for a stored response that may answer.

use http::{HeaderMap, HeaderName};

use super::Shared;
use super::decide::Asked;
use crate::event::{Detail, Fwd, Tier};
use crate::policy::identity;
use crate::policy::look_up::{self, Serving, Use};
use crate::policy::reuse::Reuse;
use crate::store::memory::Epoch;
use crate::store::tiers::Tiers;
use crate::stored::Stored;
use crate::time::{self, Timestamp};

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// A stored response that may answer, and how.
    Usable(Stored, Reuse, Serving),
    /// Nothing that may answer as it is.
    Forward(Forward),
}

/// Why a request goes forward, and with what in hand.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) why: Fwd,
    /// The fact that decided, where `why` alone does not say it.
    pub(super) detail: Option<Detail>,
    /// What is stored, though it may not answer as it is.
    pub(super) stored: Option<Stored>,
    /// The request fields that are known to select among variants.
    pub(super) selecting: Vec<HeaderName>,
    /// The moment before it was looked up.
    pub(super) epoch: Epoch,
}

/// Looks up in memory what may answer a request with `fields`.
pub(super) fn look_up(shared: &Shared, asked: &Asked, fields: &HeaderMap, now: Timestamp) -> Found {
    let rules = &asked.route.policy.key;
    let epoch = shared.store.epoch();
    let Some(shelf) = shared.store.look_up(&asked.key) else {
        let selecting = identity::vary(Vec::new(), rules);
        return Found::Forward(Forward::new(Fwd::UriMiss, None, selecting, epoch));
    };
    let forward = |why, stored| {
        let newest = shelf.newest().map(|newest| newest.head.selecting.names().to_vec());
        let selecting = identity::vary(newest.unwrap_or_default(), rules);
        Found::Forward(Forward::new(why, stored, selecting, epoch))
    };
    // What was stored before the rules of the route changed may not keep apart what they do.
    let names: Vec<_> = identity::selecting(rules).collect();
    let Some(stored) = shelf.select(fields, &names) else {
        return forward(Fwd::VaryMiss, None);
    };
    match judge(stored, asked, fields, now) {
        Use::Answer(reuse, serving) => Found::Usable(stored.clone(), reuse, serving),
        Use::Forward(why) => forward(why, Some(stored.clone())),
    }
}

/// Says what `stored` is good for, to a request with `fields` that selects it.
fn judge(stored: &Stored, asked: &Asked, fields: &HeaderMap, now: Timestamp) -> Use {
    let turn = asked.network_first().map(|route| move || route.turn(&asked.key, now));
    look_up::judge(stored, &asked.wanted(fields), turn, now)
}

/// Looks below memory, where nothing was found, for what may answer a request with `fields`.
pub(super) async fn look_below(
    shared: &Shared,
    asked: &Asked,
    fields: &HeaderMap,
) -> Option<(Found, Tier)> {
    let rules = &asked.route.policy.key;
    let names: Vec<_> = identity::selecting(rules).collect();
    let epoch = shared.store.epoch();
    let (stored, tier) =
        shared.store.look_below(&asked.key, fields, &names, rules.max_variants).await?;
    let found = match judge(&stored, asked, fields, time::now()) {
        Use::Answer(reuse, serving) => Found::Usable(stored, reuse, serving),
        Use::Forward(why) => {
            let selecting = identity::vary(stored.head.selecting.names().to_vec(), rules);
            Found::Forward(Forward::new(why, Some(stored), selecting, epoch))
        }
    };
    Some((found, tier))
}

impl Forward {
    pub(super) const fn new(
        why: Fwd,
        stored: Option<Stored>,
        selecting: Vec<HeaderName>,
        epoch: Epoch,
    ) -> Self {
        Self { why, detail: Reuse::Validate(why).detail(), stored, selecting, epoch }
    }

    /// Whether a tier below memory may have what may answer: memory has nothing, or what another edge
    /// may have asked for anew.
    pub(super) fn may_be_below(&self, store: &Tiers) -> bool {
        let is_stale = self.why == Fwd::Stale && store.is_shared();
        let may_be_newer = |stored: &Stored| is_stale && !stored.head.freshness.always_validate;
        store.has_more() && self.stored.as_ref().is_none_or(may_be_newer)
    }
}
