//! Looks for a stored response that may answer.

use http::{HeaderMap, HeaderName};

use super::Shared;
use super::decide::Asked;
use crate::event::{Detail, Fwd};
use crate::policy::identity;
use crate::policy::look_up::{self, Serving, Use};
use crate::policy::reuse::Reuse;
use crate::stored::Stored;
use crate::time::Timestamp;

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
}

/// Looks up what may answer a request with `fields`.
pub(super) fn look_up(shared: &Shared, asked: &Asked, fields: &HeaderMap, now: Timestamp) -> Found {
    let rules = &asked.route.policy.key;
    let Some(shelf) = shared.store.look_up(&asked.key) else {
        let selecting = identity::vary(Vec::new(), rules);
        return Found::Forward(Forward::new(Fwd::UriMiss, None, selecting));
    };
    let forward = |why, stored| {
        let newest = shelf.newest().map(|newest| newest.head.selecting.names().to_vec());
        let selecting = identity::vary(newest.unwrap_or_default(), rules);
        Found::Forward(Forward::new(why, stored, selecting))
    };
    // What was stored before the rules of the route changed may not keep apart what they do.
    let names: Vec<_> = identity::selecting(rules).collect();
    let Some(stored) = shelf.select(fields, &names) else {
        return forward(Fwd::VaryMiss, None);
    };
    let turn = asked.network_first().map(|route| move || route.turn(&asked.key, now));
    match look_up::judge(stored, &asked.wanted(fields), turn, now) {
        Use::Answer(reuse, serving) => Found::Usable(stored.clone(), reuse, serving),
        Use::Forward(why) => forward(why, Some(stored.clone())),
    }
}

impl Forward {
    pub(super) const fn new(why: Fwd, stored: Option<Stored>, selecting: Vec<HeaderName>) -> Self {
        Self { why, detail: Reuse::Validate(why).detail(), stored, selecting }
    }
}
