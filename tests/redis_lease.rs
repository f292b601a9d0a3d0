//! Leases across edges: of all that miss the same, one fetches it.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay::store::redis::{Guard, Lease, Redis, Turn, Waiting};
use tokio::time::timeout;

use crate::redis::{Tier, digest};
use crate::support::{RedisCluster, RedisServer};

const MINUTE: Duration = Duration::from_secs(60);

#[track_caller]
fn mine(lease: Lease) -> Guard {
    match lease {
        Lease::Mine(guard) => guard,
        Lease::Theirs(_) | Lease::Unavailable => panic!("another has it: {lease:?}"),
    }
}

#[track_caller]
fn theirs(lease: Lease) -> Waiting {
    match lease {
        Lease::Theirs(waiting) => waiting,
        Lease::Mine(_) | Lease::Unavailable => panic!("nobody has it: {lease:?}"),
    }
}

/// What comes of `future`, and how long it took.
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = future.await;
    (done, began.elapsed())
}

fn record() -> Vec<Bytes> {
    vec![Bytes::from_static(b"record")]
}

async fn check_that_one_fetches(url: &str) {
    let (one, other) = (Tier::at(url).await, Tier::at(url).await);
    let guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await);
    // Another variant is another matter.
    drop(mine(other.lease(digest("/"), Some(1)).await));
    one.set(digest("/"), None, record(), MINUTE);
    guard.stored();
    match waits.next().await {
        Turn::Record(found) => assert_eq!(found, "record"),
        turn @ (Turn::Mine(_) | Turn::Forward) => panic!("{turn:?}"),
    }
}

#[tokio::test]
async fn one_fetches_and_the_others_find_what_it_stored() {
    check_that_one_fetches(&RedisServer::start().await.url()).await;
}

#[tokio::test]
async fn one_fetches_in_a_cluster_too() {
    let cluster = RedisCluster::start().await;
    check_that_one_fetches(&cluster.url()).await;
}

#[tokio::test]
async fn of_many_edges_one_has_the_lease() {
    let server = RedisServer::start().await;
    let mut edges = Vec::new();
    for _ in 0..8 {
        edges.push(Tier::at(&server.url()).await);
    }
    let leases: Vec<_> = edges
        .iter()
        .map(|edge| {
            let edge = Redis::clone(edge);
            tokio::spawn(async move { edge.lease(digest("/"), None).await })
        })
        .collect();
    let mut held = Vec::new();
    for lease in leases {
        match lease.await.expect("it does not panic") {
            Lease::Mine(guard) => held.push(guard),
            Lease::Theirs(_) => {}
            Lease::Unavailable => panic!("Redis is there"),
        }
    }
    assert_eq!(held.len(), 1);
}

#[tokio::test]
async fn nobody_waits_for_what_is_not_stored() {
    let server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    let guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await);
    guard.not_stored();
    assert!(matches!(waits.next().await, Turn::Forward));
    assert!(matches!(other.lease(digest("/"), None).await, Lease::Unavailable));
}

#[tokio::test]
async fn nobody_waits_for_what_could_not_be_stored() {
    let server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    let guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await);
    // Nothing was set.
    guard.stored();
    assert!(matches!(waits.next().await, Turn::Forward));
}

#[tokio::test]
async fn who_gives_up_leaves_the_turn_to_another() {
    let server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    let guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await);
    drop(guard);
    let (turn, took) = timed(waits.next()).await;
    assert!(matches!(turn, Turn::Mine(_)), "{turn:?}");
    assert!(took < Duration::from_millis(800), "it waited for the lease to end: {took:?}");
}

#[tokio::test]
async fn a_record_that_was_seen_before_is_no_news() {
    let server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    one.set(digest("/"), None, record(), MINUTE);
    one.settled().await;
    let guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await).knowing(b"record");
    drop(guard);
    assert!(matches!(waits.next().await, Turn::Mine(_)));
}

#[tokio::test]
async fn a_lease_is_renewed_while_it_is_held() {
    let server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    let guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await);
    assert!(timeout(Duration::from_secs(2), waits.next()).await.is_err(), "it waits no more");
    one.set(digest("/"), None, record(), MINUTE);
    guard.stored();
    assert!(matches!(waits.next().await, Turn::Record(_)));
}

#[tokio::test]
async fn nobody_waits_for_more_than_three_seconds() {
    let server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    let _guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await);
    let (turn, took) = timed(waits.next()).await;
    assert!(matches!(turn, Turn::Forward), "{turn:?}");
    assert!((2_900..4_000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn an_edge_that_is_killed_holds_the_others_up_for_a_second() {
    let edge = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("it can be made")
    };
    let (here, killed) = (edge(), edge());
    let server = here.block_on(RedisServer::start());
    let guard = killed.block_on(async {
        let tier = Tier::at(&server.url()).await;
        mine(tier.lease(digest("/"), None).await)
    });
    here.block_on(async {
        let other = Tier::at(&server.url()).await;
        let mut waits = theirs(other.lease(digest("/"), None).await);
        // All that it ran stops, and it says no more.
        killed.shutdown_background();
        std::mem::forget(guard);
        let (turn, took) = timed(waits.next()).await;
        assert!(matches!(turn, Turn::Mine(_)), "{turn:?}");
        assert!(took < Duration::from_millis(1_500), "{took:?}");
    });
}

#[tokio::test]
async fn without_redis_everybody_goes_forward_at_once() {
    let mut server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    let _guard = mine(one.lease(digest("/"), None).await);
    let mut waits = theirs(other.lease(digest("/"), None).await);
    server.kill().await;
    let (turn, took) = timed(waits.next()).await;
    assert!(matches!(turn, Turn::Forward), "{turn:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(matches!(other.lease(digest("/"), None).await, Lease::Unavailable));
}
