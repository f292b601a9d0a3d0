//! Decides whether what was found under the key may answer as it is, and what of it.

use forebay_config::KeyRules;
use http::HeaderMap;

use super::answer::{self, Answer, Facts};
use super::fail::{Trouble, may_stand_in};
use super::forward::personal;
use super::request::Ask;
use super::rest::Turn;
use super::reuse::{self, Reuse};
use super::strategy::network_first;
use crate::event::Fwd;
use crate::stored::Stored;
use crate::time::Timestamp;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What the request asks of the cache.
    pub ask: &'a Ask,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// What of a request counts on its route.
    pub rules: &'a KeyRules,
}

/// What a stored response is good for.
#[derive(Clone, Debug)]
pub enum Use {
    /// It may answer; this of it, and its fields.
    Answer(Reuse, Answer, HeaderMap),
    /// It may not as it is, because of this.
    Forward(Fwd),
}

/// Says what `stored` is good for, which was selected for what is `wanted`. Where the route asks
/// the origin first, `turn` says whether this request does; it is asked only if that decides.
#[must_use]
pub fn judge(
    stored: &Stored,
    wanted: &Wanted<'_>,
    turn: Option<impl FnOnce() -> Turn>,
    now: Timestamp,
) -> Use {
    let (freshness, directives) = (&stored.head.freshness, &wanted.ask.directives);
    let reuse = match turn {
        Some(turn) if !directives.only_if_cached => {
            network_first(freshness, directives, turn(), now)
        }
        Some(_) | None => reuse::decide(freshness, directives, now),
    };
    let selecting = stored.head.selecting.names();
    match reuse {
        Reuse::Validate(why) => return Use::Forward(why),
        // It is revalidated in nobody's name, and would come back as another variant.
        Reuse::WhileRevalidate if personal(wanted.rules).any(|name| selecting.contains(&name)) => {
            return Use::Forward(Fwd::Stale);
        }
        Reuse::Fresh | Reuse::Tolerated | Reuse::WhileRevalidate | Reuse::Resting => {}
    }
    let kept = stored.head.fields.to_map();
    let answer = choose(stored, &kept, wanted);
    if answer == Answer::Missing {
        return Use::Forward(Fwd::Partial);
    }
    Use::Answer(reuse, answer, kept)
}

/// Whether `stored` answers what is `wanted` in place of an origin that was asked and met with
/// `trouble`.
#[must_use]
pub fn stands_in(stored: &Stored, wanted: &Wanted<'_>, trouble: Trouble, now: Timestamp) -> bool {
    may_stand_in(&stored.head.freshness, &wanted.ask.directives, trouble, now)
        && choose(stored, &stored.head.fields.to_map(), wanted) != Answer::Missing
}

/// What of `stored`, whose fields are `kept`, answers what is `wanted`.
#[must_use]
pub fn choose(stored: &Stored, kept: &HeaderMap, wanted: &Wanted<'_>) -> Answer {
    let facts = Facts {
        status: stored.head.status,
        fields: kept,
        length: Some(stored.body.length()),
        part: stored.head.part.as_ref(),
    };
    answer::choose(&wanted.ask.method, wanted.fields, &facts)
}
