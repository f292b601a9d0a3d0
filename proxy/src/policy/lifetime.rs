//! Decides how long a response is fresh, by whose word, and for how long it may answer stale
//! (RFC 9111 §4.2, RFC 5861).

use std::time::Duration;

use forebay_config::{Policy, Strategy, TtlMode};
use http::StatusCode;

use super::admit::Arrival;
use crate::field::cache_control::ResponseDirectives;
use crate::field::date::Expires;
use crate::field::{age, date};
use crate::stored::Freshness;
use crate::time::{Seconds, Timestamp};

/// How long a response under a hashed name is fresh: a year.
const HASHED_NAME: Duration = Duration::from_hours(365 * 24);
/// How long a stale response may answer while it is revalidated, on a route whose strategy is that,
/// if nobody says.
const STALE_BY_STRATEGY: Duration = Duration::from_hours(24);
/// The longest lifetime that is guessed from `Last-Modified`.
const LONGEST_GUESS: Seconds = Seconds(24 * 60 * 60);

/// By whose word a response is fresh for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `s-maxage` of the origin.
    SMaxage,
    /// `max-age` of the origin.
    MaxAge,
    /// `Expires` of the origin.
    Expires,
    /// `ttl_by_status` of the policy.
    TtlByStatus,
    /// `immutable` of the policy: a hashed name.
    Immutable,
    /// `ttl` of the policy.
    Ttl,
    /// Nobody's: a tenth of the time since it was last modified (RFC 9111 §4.2.2).
    Heuristic,
}

/// A lifetime, and by whose word it is that.
pub type Lifetime = (Seconds, Word);

/// Everything that speaks about the lifetime of one response.
pub(super) struct Source<'a> {
    pub(super) said: &'a ResponseDirectives,
    pub(super) expires: Option<Expires>,
    pub(super) arrival: &'a Arrival<'a>,
    pub(super) rules: &'a Policy,
    pub(super) immutable: bool,
}

impl Source<'_> {
    /// How long it is fresh: what the origin says, what the route says, or a guess, as the route
    /// wants it; `None` if nobody knows.
    pub(super) fn lifetime(&self) -> Option<Lifetime> {
        match self.rules.ttl_mode {
            TtlMode::Override => {
                self.of_route().or_else(|| self.explicit()).or_else(|| self.guess())
            }
            TtlMode::Default => {
                self.explicit().or_else(|| self.of_route()).or_else(|| self.guess())
            }
            TtlMode::Respect => {
                self.explicit().or_else(|| self.guess()).or_else(|| self.of_route())
            }
        }
    }

    /// What the origin says (RFC 9111 §4.2.1).
    pub(super) fn explicit(&self) -> Option<Lifetime> {
        let by = |word: Word| move |seconds: Seconds| (seconds, word);
        self.said
            .s_maxage
            .map(by(Word::SMaxage))
            .or_else(|| self.said.max_age.map(by(Word::MaxAge)))
            .or_else(|| match self.expires? {
                Expires::At(expires) => Some((expires.since(self.date()), Word::Expires)),
                Expires::Invalid => Some((Seconds::ZERO, Word::Expires)),
            })
    }

    /// What the route says.
    fn of_route(&self) -> Option<Lifetime> {
        let by = |word: Word| move |ttl: Duration| (Seconds::from(ttl), word);
        let by_status = self.rules.ttl_by_status.get(&self.arrival.status.as_u16()).copied();
        let ttl = self.rules.ttl.filter(|_| takes_ttl(self.arrival.status));
        by_status
            .map(by(Word::TtlByStatus))
            .or_else(|| self.immutable.then_some(HASHED_NAME).map(by(Word::Immutable)))
            .or_else(|| ttl.map(by(Word::Ttl)))
    }

    /// A tenth of the time since it was last modified, a day at most (RFC 9111 §4.2.2).
    fn guess(&self) -> Option<Lifetime> {
        let allowed =
            self.rules.heuristic && (is_heuristic(self.arrival.status) || self.said.public);
        if !allowed {
            return None;
        }
        let modified = date::last_modified(self.arrival.fields)?;
        let tenth = Seconds(self.date().since(modified).0 / 10);
        Some((tenth.min(LONGEST_GUESS), Word::Heuristic))
    }

    /// When the origin made it: `Date`, or else when it came in (RFC 9110 §6.6.1).
    fn date(&self) -> Timestamp {
        date::date(self.arrival.fields).unwrap_or(self.arrival.arrived)
    }

    pub(super) fn freshness(&self, lifetime: Seconds) -> Freshness {
        let Arrival { asked, arrived, fields, .. } = *self.arrival;
        let apparent_age = arrived.since(self.date());
        let corrected_age = age::age(fields).plus(arrived.since(asked));
        let overridden = self.rules.ttl_mode == TtlMode::Override && self.of_route().is_some();
        let never_stale = self.said.must_revalidate
            || self.said.proxy_revalidate
            || (self.said.s_maxage.is_some() && !overridden);
        let or_rule = |said: Option<Seconds>, rule: Option<Duration>| {
            said.or_else(|| rule.map(Seconds::from))
        };
        let by_strategy = (self.rules.strategy == Strategy::StaleWhileRevalidate && !never_stale)
            .then_some(STALE_BY_STRATEGY);
        let while_revalidate = or_rule(
            self.said.stale_while_revalidate,
            self.rules.stale_while_revalidate.or(by_strategy),
        );
        Freshness {
            arrived,
            initial_age: apparent_age.max(corrected_age),
            lifetime,
            // A `no-cache` that names fields is taken for one that names none.
            always_validate: self.said.no_cache.is_some() && !overridden,
            never_stale,
            while_revalidate: while_revalidate.unwrap_or(Seconds::ZERO),
            if_error: or_rule(self.said.stale_if_error, self.rules.stale_if_error),
            withdrawn: false,
        }
    }
}

/// Whether the `ttl` of a route is meant for such a status. An error is not kept for as long as what
/// was asked for; `ttl_by_status` can say so.
#[must_use]
pub fn takes_ttl(status: StatusCode) -> bool {
    is_heuristic(status) && !status.is_client_error() && !status.is_server_error()
}

/// Statuses that are heuristically cacheable (RFC 9110 §15.1).
pub(super) const fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}
