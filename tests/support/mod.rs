//! What the end-to-end tests stand on: an origin that follows a script, the
//! real edge, and clients that hide nothing of what they are sent.

mod answer;
pub(crate) mod bodies;
mod browser;
pub(crate) mod cases;
mod drawer;
mod edge;
mod frames;
mod gate;
mod http1;
mod http2;
mod origin;
mod redis;
mod reply;
mod request;
mod tls;

pub(crate) use answer::{Answer, Framing, in_seconds, seconds_ago};
pub(crate) use browser::Browser;
pub(crate) use drawer::{Drawer, number};
pub(crate) use edge::{Edge, Setup, run_forebay};
pub(crate) use frames::{Frames, Outcome};
pub(crate) use gate::Gate;
pub(crate) use http1::Connection;
pub(crate) use http2::{Http2, Http2Origin};
pub(crate) use origin::{Origin, Received};
pub(crate) use redis::{RedisCluster, RedisServer, Sentinel, free_port};
pub(crate) use reply::Reply;
pub(crate) use request::{HOST, Request};
pub(crate) use tls::Certificate;

use std::future::Future;
use std::time::Duration;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what is under way; a test that waits for ever names what it waited for.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Lets a moment pass before a test looks again. What it waits for may be made by a thread of the
/// lowest priority, which gets nothing where a test asks without a pause.
pub(crate) async fn look_again() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// The value of the sample in `metrics` whose name and labels are `name`; zero if it is not there.
pub(crate) fn sample(metrics: &str, name: &str) -> f64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().expect("a number"))
}
