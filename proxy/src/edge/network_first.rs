//! What a route that asks its origin first remembers: how that has been doing, and by when it has
//! to answer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use forebay_config::{Route, Routes, Strategy};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use pingora::http::ResponseHeader;
use tokio::time::timeout;

use crate::event::Failure;
use crate::key::{Key, KeyDigest};
use crate::origin::Exchange;
use crate::policy::fail::{Trouble, is_error};
use crate::policy::rest::{Rest, Turn};
use crate::time::{self, Timestamp};

/// How many keys are remembered to have failed, on all routes.
const MOST_FAILING: u64 = 65_536;
/// How long a key is remembered to have failed: longer than any rest.
const REMEMBERED_FOR: Duration = Duration::from_mins(2);

/// A route that asks its origin first.
#[derive(Debug)]
pub(super) struct NetworkFirst {
    /// How the origin has been doing as a whole: whether it can be reached.
    origin: Watched,
    /// How it has been doing for each key that failed lately. One page that is slow, or errs, does
    /// not keep others from the origin.
    failing: Failing,
    /// How long a request waits for the origin if something stored can answer.
    pub(super) deadline: Option<Duration>,
}

/// Something that may fail, and rests after that.
#[derive(Debug, Default)]
struct Watched(ArcSwap<Rest>);

/// How the origin has been doing for each key that failed lately, on whatever route: a key is of
/// one route alone.
type Failing = Cache<KeyDigest, Arc<Watched>>;

/// All routes that ask their origin first, by their place among the routes.
#[derive(Debug)]
pub(super) struct NetworkFirstRoutes(Box<[Option<NetworkFirst>]>);

impl NetworkFirstRoutes {
    /// Those of `routes`, of whose origins nothing is known yet.
    pub(super) fn new(routes: &Routes) -> Self {
        let failing = Cache::builder()
            .max_capacity(MOST_FAILING)
            .time_to_live(REMEMBERED_FOR)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let entry = |route: &Arc<Route>| {
            (route.policy.strategy == Strategy::NetworkFirst)
                .then(|| NetworkFirst::new(route.policy.deadline, &failing))
        };
        Self(routes.iter().map(entry).collect())
    }

    /// What `route` remembers, if it asks its origin first.
    pub(super) fn of(&self, route: &Route) -> Option<&NetworkFirst> {
        self.0.get(route.index)?.as_ref()
    }
}

impl NetworkFirst {
    fn new(deadline: Option<Duration>, failing: &Failing) -> Self {
        Self { origin: Watched::default(), failing: failing.clone(), deadline }
    }

    /// How the origin has been doing for `key`, if it failed lately.
    fn of_key(&self, key: &Key) -> Option<Arc<Watched>> {
        self.failing.get(&key.digest())
    }

    /// Whether a request for `key` goes to the origin at `now`. Who gets [`Turn::Try`] has to.
    pub(super) fn turn(&self, key: &Key, now: Timestamp) -> Turn {
        match self.origin.turn(now) {
            Turn::Ask => self.of_key(key).map_or(Turn::Ask, |watched| watched.turn(now)),
            turn @ (Turn::Try | Turn::Wait(_)) => turn,
        }
    }

    /// The same, without promising to go.
    pub(super) fn outlook(&self, key: &Key, now: Timestamp) -> Turn {
        match self.origin.outlook(now) {
            Turn::Ask => self.of_key(key).map_or(Turn::Ask, |watched| watched.outlook(now)),
            turn @ (Turn::Try | Turn::Wait(_)) => turn,
        }
    }

    /// Waits for the head that `asking` brings for `key`, and remembers how the origin did.
    pub(super) async fn watch(
        &self,
        key: &Key,
        mut asking: impl Future<Output = Result<(Exchange, ResponseHeader), Failure>> + Unpin,
    ) -> Result<(Exchange, ResponseHeader), Failure> {
        let began = time::now();
        let in_time = timeout(self.deadline.unwrap_or(Duration::MAX), &mut asking).await;
        let answer = match in_time {
            Ok(answer) => answer,
            Err(_late) => {
                self.failed(key, Trouble::Disconnected, began);
                let answer = asking.await;
                if matches!(answer, Err(Failure::Unreachable)) {
                    self.origin.failed(Trouble::Disconnected, began);
                }
                return answer;
            }
        };
        match &answer {
            Ok((_, head)) => {
                self.origin.answered();
                if is_error(head.status) {
                    self.failed(key, Trouble::Error, began);
                } else if self.of_key(key).is_some() {
                    self.failing.invalidate(&key.digest());
                }
            }
            Err(Failure::Unreachable) => self.origin.failed(Trouble::Disconnected, began),
            Err(Failure::Timeout | Failure::Invalid | Failure::Closed) => {
                self.failed(key, Trouble::Disconnected, began);
            }
        }
        answer
    }

    fn failed(&self, key: &Key, trouble: Trouble, began: Timestamp) {
        self.failing.get_with(key.digest(), Arc::default).failed(trouble, began);
    }
}

impl Watched {
    fn turn(&self, now: Timestamp) -> Turn {
        loop {
            let rest = self.0.load();
            let turn = rest.turn(now);
            if turn != Turn::Try {
                return turn;
            }
            let before = self.0.compare_and_swap(&*rest, Arc::new(rest.tried(now)));
            if Arc::ptr_eq(&before, &rest) {
                return turn;
            }
        }
    }

    fn outlook(&self, now: Timestamp) -> Turn {
        self.0.load().turn(now)
    }

    fn failed(&self, trouble: Trouble, began: Timestamp) {
        let now = time::now();
        self.0.rcu(|rest| rest.failed(trouble, began, now));
    }

    fn answered(&self) {
        if !self.0.load().is_well() {
            self.0.store(Arc::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_one_of_many_try() {
        let now = Timestamp::from_seconds(1_000_000);
        let failed = Rest::default().failed(Trouble::Error, now, now);
        let origin = Watched(ArcSwap::from_pointee(failed));
        let over = now.after(Duration::from_secs(1));
        let tries = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..16).map(|_| scope.spawn(|| origin.turn(over))).collect();
            asked
                .into_iter()
                .filter_map(|turn| (turn.join().unwrap() == Turn::Try).then_some(()))
                .count()
        });
        assert_eq!(tries, 1);
    }
}
