//! What a route that asks its origin first remembers: how that has been doing, and by when it has
//! to answer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use forebay_config::{Route, Routes, Strategy};
use pingora::http::ResponseHeader;
use tokio::time::timeout;

use crate::event::Failure;
use crate::origin::Exchange;
use crate::policy::fail::{Trouble, is_down};
use crate::policy::rest::{Rest, Turn};
use crate::time::{self, Timestamp};

/// A route that asks its origin first.
#[derive(Debug)]
pub(super) struct NetworkFirst {
    rest: ArcSwap<Rest>,
    /// How long a request waits for the origin if something stored can answer.
    pub(super) deadline: Option<Duration>,
}

/// All routes that ask their origin first, by their place among the routes.
#[derive(Debug)]
pub(super) struct NetworkFirstRoutes(Box<[Option<NetworkFirst>]>);

impl NetworkFirstRoutes {
    /// Those of `routes`, of whose origins nothing is known yet.
    pub(super) fn new(routes: &Routes) -> Self {
        let entry = |route: &Arc<Route>| {
            (route.policy.strategy == Strategy::NetworkFirst)
                .then(|| NetworkFirst { rest: ArcSwap::default(), deadline: route.policy.deadline })
        };
        Self(routes.iter().map(entry).collect())
    }

    /// What `route` remembers, if it asks its origin first.
    pub(super) fn of(&self, route: &Route) -> Option<&NetworkFirst> {
        self.0.get(route.index)?.as_ref()
    }
}

impl NetworkFirst {
    /// Whether a request goes to the origin at `now`. Who gets [`Turn::Try`] has to.
    pub(super) fn turn(&self, now: Timestamp) -> Turn {
        loop {
            let rest = self.rest.load();
            let turn = rest.turn(now);
            if turn != Turn::Try {
                return turn;
            }
            let before = self.rest.compare_and_swap(&*rest, Arc::new(rest.tried(now)));
            if Arc::ptr_eq(&before, &rest) {
                return turn;
            }
        }
    }

    /// The same, without promising to go.
    pub(super) fn outlook(&self, now: Timestamp) -> Turn {
        self.rest.load().turn(now)
    }

    /// Waits for the head that `asking` brings, and remembers how the origin did.
    pub(super) async fn watch(
        &self,
        mut asking: impl Future<Output = Result<(Exchange, ResponseHeader), Failure>> + Unpin,
    ) -> Result<(Exchange, ResponseHeader), Failure> {
        let began = time::now();
        let in_time = timeout(self.deadline.unwrap_or(Duration::MAX), &mut asking).await;
        let Ok(answer) = in_time else {
            self.failed(Trouble::Disconnected, began);
            return asking.await;
        };
        match &answer {
            Ok((_, head)) if is_down(head.status) => self.failed(Trouble::Error, began),
            Ok(_) => self.answered(),
            Err(_) => self.failed(Trouble::Disconnected, began),
        }
        answer
    }

    fn failed(&self, trouble: Trouble, began: Timestamp) {
        let now = time::now();
        self.rest.rcu(|rest| rest.failed(trouble, began, now));
    }

    fn answered(&self) {
        if !self.rest.load().is_well() {
            self.rest.store(Arc::default());
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
        let route = NetworkFirst { rest: ArcSwap::from_pointee(failed), deadline: None };
        let over = now.after(Duration::from_secs(1));
        let tries = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..16).map(|_| scope.spawn(|| route.turn(over))).collect();
            asked
                .into_iter()
                .filter_map(|turn| (turn.join().unwrap() == Turn::Try).then_some(()))
                .count()
        });
        assert_eq!(tries, 1);
    }
}
