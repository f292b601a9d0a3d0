//! The tier that edges share, over real Redis servers: healthy, slow, full, lying and gone.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay::key::{Key, KeyDigest, Target};
use forebay::store::redis::Redis;
use forebay::store::tally::Fault;
use tokio::task::JoinHandle;

use crate::support::{
    Certificate, RedisCluster, RedisServer, Sentinel, free_port, look_again, soon,
};

const MINUTE: Duration = Duration::from_secs(60);

/// The tier of one edge, which runs until it is dropped.
pub(crate) struct Tier {
    redis: Redis,
    runs: JoinHandle<()>,
}

impl std::ops::Deref for Tier {
    type Target = Redis;

    fn deref(&self) -> &Redis {
        &self.redis
    }
}

impl Drop for Tier {
    fn drop(&mut self) {
        self.runs.abort();
    }
}

impl Tier {
    pub(crate) async fn at(url: &str) -> Self {
        Self::with(url, "").await
    }

    /// With further options. Half a second is enough for a busy machine.
    pub(crate) async fn with(url: &str, options: &str) -> Self {
        let timeout = if options.contains("timeout") { "" } else { "timeout = '500ms'" };
        let tier = Self::unready(url, &format!("{options}\n{timeout}"));
        soon("a connection", async {
            while !tier.is_up() {
                look_again().await;
            }
        })
        .await;
        tier
    }

    fn unready(url: &str, options: &str) -> Self {
        let text = format!(
            "version = 1\nlisteners.web.address = '127.0.0.1:0'\n\
             origins.api.servers = ['http://127.0.0.1']\n\
             routes = [{{ name = 'all', match = {{}}, origin = 'api', policy = 'api' }}]\n\
             [cache.redis]\nurl = '{url}'\n{options}\n"
        );
        let settings = forebay_config::parse("", &text, Path::new(""), &|_| None)
            .unwrap_or_else(|faults| panic!("{faults}"));
        let redis = Redis::new(settings.cache.redis.expect("there is one")).expect("it opens");
        let runs = redis.clone();
        let runs = tokio::spawn(async move { runs.run().await.expect("it opened before") });
        Self { redis, runs }
    }

    /// Writes the primary record of a key and waits until that has been tried.
    async fn put(&self, digest: KeyDigest, record: &'static str) {
        self.set(digest, None, vec![Bytes::from_static(record.as_bytes())], MINUTE);
        self.settled().await;
    }

    /// Waits until the primary record of a key is there again, or can be put there.
    async fn comes_back(&self, digest: KeyDigest) {
        let works = async {
            while self.get(digest, None).await.is_none() {
                self.put(digest, "back").await;
                look_again().await;
            }
        };
        soon("the tier to come back", works).await;
    }

    fn faults(&self, fault: Fault) -> u64 {
        self.tally().faults(fault).get()
    }
}

pub(crate) fn digest(path: &str) -> KeyDigest {
    Key::of(&Target::parse("http", "a.example", path).expect("it is a path")).digest()
}

/// Two pieces of a record.
fn pieces(one: &'static str, other: &'static str) -> Vec<Bytes> {
    vec![Bytes::from_static(one.as_bytes()), Bytes::from_static(other.as_bytes())]
}

/// The key of the hash that has the records of a path.
fn hash(path: &str) -> String {
    format!("forebay:{{{}}}", digest(path))
}

/// Checks that what one edge stores another finds, and that removing it takes it all.
async fn check_shared(one: &Tier, other: &Tier) {
    for path in ["/a", "/b", "/c", "/d", "/e", "/f"] {
        let key = digest(path);
        one.set(key, None, pieces("head ", "body"), MINUTE);
        one.set(key, Some(7), pieces("another", ""), MINUTE);
        one.settled().await;
        assert_eq!(other.get(key, None).await.as_deref(), Some(b"head body".as_slice()));
        assert_eq!(other.get(key, Some(7)).await.as_deref(), Some(b"another".as_slice()));
        assert_eq!(other.get(key, Some(8)).await, None);
        assert!(other.remove(key).await);
        assert_eq!(one.get(key, None).await, None);
        assert_eq!(one.get(key, Some(7)).await, None);
    }
}

#[tokio::test]
async fn what_one_edge_stores_another_finds() {
    let server = RedisServer::start().await;
    let (one, other) = (Tier::at(&server.url()).await, Tier::at(&server.url()).await);
    check_shared(&one, &other).await;
    assert_eq!(one.tally().stores.get(), 12);
    assert_eq!((other.tally().hits.get(), other.tally().misses.get()), (12, 6));
    assert_eq!(other.tally().bytes_read.get(), 6 * 16);
    assert_eq!(server.cli(&["dbsize"]).await.trim(), "0");
}

#[tokio::test]
async fn edges_with_another_prefix_share_nothing() {
    let server = RedisServer::start().await;
    let one = Tier::at(&server.url()).await;
    let other = Tier::with(&server.url(), "prefix = 'shop'").await;
    one.put(digest("/"), "x").await;
    assert_eq!(other.get(digest("/"), None).await, None);
}

#[tokio::test]
async fn a_database_and_a_password_are_those_of_the_url() {
    let server = RedisServer::start_with(&["--requirepass", "p/w"]).await;
    let address = format!("127.0.0.1:{}", server.port());
    let tier = Tier::at(&format!("redis://:p%2Fw@{address}/2")).await;
    tier.put(digest("/"), "x").await;
    let keys = server.cli(&["-a", "p/w", "--no-auth-warning", "-n", "2", "keys", "*"]).await;
    assert_eq!(keys.trim(), hash("/"));
    assert!(!format!("{tier:?}", tier = &*tier).contains("p/w"));
    let stranger = Tier::unready(&format!("redis://:guess@{address}"), "");
    assert_eq!(stranger.get(digest("/"), None).await, None);
    assert!(!stranger.is_up());
}

#[tokio::test]
async fn a_server_is_verified_over_tls() {
    let (certificate, port) = (Certificate::made(), free_port());
    let file = |name| certificate.path().with_file_name(name).display().to_string();
    let (crt, key) = (file("tls.crt"), file("tls.key"));
    let server = RedisServer::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &crt,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let url = format!("rediss://localhost:{port}");
    let tier = Tier::with(&url, &format!("ca = '{crt}'")).await;
    tier.put(digest("/"), "x").await;
    assert_eq!(tier.get(digest("/"), None).await.as_deref(), Some(b"x".as_slice()));
    let stranger = Tier::unready(&url, "");
    assert_eq!(stranger.get(digest("/"), None).await, None);
    assert!(!stranger.is_up());
    assert_eq!(server.cli(&["exists", &hash("/")]).await.trim(), "1");
}

#[tokio::test]
async fn a_socket_will_do() {
    let server = RedisServer::start_with(&["--unixsocket", "redis.sock"]).await;
    let tier = Tier::at(&format!("redis+unix://{}", server.path("redis.sock"))).await;
    tier.put(digest("/"), "x").await;
    assert_eq!(tier.get(digest("/"), None).await.as_deref(), Some(b"x".as_slice()));
}

#[tokio::test]
async fn a_key_is_kept_as_long_as_what_lives_longest_under_it() {
    let server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    let seconds = async || -> u64 {
        let left = server.cli(&["ttl", &hash("/")]).await;
        left.trim().parse().expect("it is a number")
    };
    tier.set(digest("/"), None, pieces("a", ""), MINUTE);
    tier.settled().await;
    assert!((50..=60).contains(&seconds().await));
    tier.set(digest("/"), Some(1), pieces("b", ""), MINUTE * 10);
    tier.settled().await;
    assert!((590..=600).contains(&seconds().await));
    tier.set(digest("/"), None, pieces("c", ""), MINUTE);
    tier.settled().await;
    assert!((590..=600).contains(&seconds().await));
}

#[tokio::test]
async fn a_key_has_at_most_so_many_records() {
    let server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    tier.put(digest("/"), "first").await;
    for variant in 0..300 {
        tier.set(digest("/"), Some(variant), pieces("x", ""), MINUTE);
    }
    tier.settled().await;
    assert_eq!(server.cli(&["hlen", &hash("/")]).await.trim(), "256");
    assert!(tier.get(digest("/"), None).await.is_some());
    assert!(tier.get(digest("/"), Some(299)).await.is_some());
}

#[tokio::test]
async fn what_is_too_large_is_neither_sent_nor_used() {
    let server = RedisServer::start().await;
    let small = Tier::with(&server.url(), "max_object = '8B'").await;
    let large = Tier::at(&server.url()).await;
    small.put(digest("/a"), "123456789").await;
    assert_eq!(large.get(digest("/a"), None).await, None);
    large.put(digest("/a"), "123456789").await;
    assert_eq!(small.get(digest("/a"), None).await, None);
    assert_eq!(small.faults(Fault::Foreign), 1);
    large.put(digest("/a"), "12345678").await;
    assert!(small.get(digest("/a"), None).await.is_some());
}

#[tokio::test]
async fn what_somebody_else_put_there_is_a_miss_and_is_replaced() {
    let server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    server.cli(&["set", &hash("/"), "garbage"]).await;
    assert_eq!(tier.get(digest("/"), None).await, None);
    assert_eq!(tier.faults(Fault::Foreign), 1);
    tier.put(digest("/"), "ours").await;
    assert_eq!(tier.get(digest("/"), None).await.as_deref(), Some(b"ours".as_slice()));
    // Bytes that are no record are for who decodes them to refuse.
    server.cli(&["hset", &hash("/"), "primary", "garbage"]).await;
    assert_eq!(tier.get(digest("/"), None).await.as_deref(), Some(b"garbage".as_slice()));
}

#[tokio::test]
async fn what_waits_to_be_stored_does_not_survive_a_removal() {
    let server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    for variant in 0..200 {
        tier.set(digest("/"), Some(variant), pieces("x", ""), MINUTE);
    }
    assert!(tier.remove(digest("/")).await);
    tier.settled().await;
    assert_eq!(server.cli(&["exists", &hash("/")]).await.trim(), "0");
    tier.put(digest("/"), "new").await;
    assert!(tier.get(digest("/"), None).await.is_some());
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_not_stored() {
    let server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    server.pause();
    for variant in 0..2000 {
        tier.set(digest("/"), Some(variant), pieces("x", ""), MINUTE);
    }
    assert!(tier.faults(Fault::Busy) >= 900);
    server.resume();
}

#[tokio::test]
async fn a_redis_that_is_gone_costs_nothing_and_comes_back() {
    let mut server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    tier.put(digest("/"), "x").await;
    server.kill().await;
    let began = Instant::now();
    for _ in 0..10_000 {
        assert_eq!(tier.get(digest("/"), None).await, None);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(tier.faults(Fault::Resting) > 9_900);
    server.restart().await;
    tier.comes_back(digest("/")).await;
}

#[tokio::test]
async fn a_connection_that_breaks_while_nobody_uses_it_loses_no_record() {
    let mut server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    server.kill().await;
    server.restart().await;
    tier.put(digest("/"), "x").await;
    let other = Tier::at(&server.url()).await;
    assert_eq!(other.get(digest("/"), None).await.as_deref(), Some(b"x".as_slice()));
}

#[tokio::test]
async fn that_redis_is_gone_and_back_is_known_without_asking() {
    let mut server = RedisServer::start().await;
    let tier = Tier::at(&server.url()).await;
    let is_up = async |expected: bool| {
        while tier.is_up() != expected {
            look_again().await;
        }
    };
    server.kill().await;
    soon("the loss to be noticed", is_up(false)).await;
    server.restart().await;
    soon("the return to be noticed", is_up(true)).await;
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_found_later() {
    let mut server = RedisServer::start().await;
    server.kill().await;
    let tier = Tier::unready(&server.url(), "timeout = '500ms'");
    assert_eq!(tier.get(digest("/"), None).await, None);
    assert!(!tier.remove(digest("/")).await);
    server.restart().await;
    tier.comes_back(digest("/")).await;
}

#[tokio::test]
async fn a_redis_that_is_slow_is_left_alone_and_comes_back() {
    let server = RedisServer::start().await;
    let tier = Tier::with(&server.url(), "timeout = '20ms'").await;
    tier.comes_back(digest("/")).await;
    server.pause();
    let began = Instant::now();
    for _ in 0..1000 {
        assert_eq!(tier.get(digest("/"), None).await, None);
    }
    // Five that are late, and nothing for all others.
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(tier.faults(Fault::Late) >= 5);
    assert!(tier.faults(Fault::Resting) >= 900);
    server.resume();
    tier.comes_back(digest("/")).await;
}

#[tokio::test]
async fn a_removal_that_redis_misses_is_made_up_for() {
    let server = RedisServer::start().await;
    let tier = Tier::with(&server.url(), "timeout = '20ms'").await;
    let other = Tier::at(&server.url()).await;
    tier.comes_back(digest("/")).await;
    server.pause();
    assert!(!tier.remove(digest("/")).await);
    assert_eq!(tier.get(digest("/"), None).await, None);
    server.resume();
    let removed = async {
        while other.get(digest("/"), None).await.is_some() {
            assert_eq!(tier.get(digest("/"), None).await, None);
            look_again().await;
        }
    };
    soon("the removal", removed).await;
}

#[tokio::test]
async fn a_redis_that_evicts_takes_all_and_keeps_some() {
    let options = ["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"];
    let server = RedisServer::start_with(&options).await;
    let tier = Tier::at(&server.url()).await;
    let large = Bytes::from(vec![b'x'; 100_000]);
    for number in 0..100 {
        tier.set(digest(&format!("/{number}")), None, vec![large.clone()], MINUTE);
        tier.settled().await;
    }
    assert_eq!(tier.tally().stores.get(), 100);
    let mut found = 0;
    for number in 0..100 {
        let record = tier.get(digest(&format!("/{number}")), None).await;
        assert!(record.as_ref().is_none_or(|record| *record == large));
        found += u32::from(record.is_some());
    }
    assert!((1..60).contains(&found), "{found}");
}

#[tokio::test]
async fn a_redis_that_is_full_is_counted_and_still_answers() {
    let options = ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"];
    let server = RedisServer::start_with(&options).await;
    let tier = Tier::at(&server.url()).await;
    tier.put(digest("/"), "x").await;
    for number in 0..60 {
        let large = Bytes::from(vec![b'x'; 100_000]);
        tier.set(digest(&format!("/{number}")), None, vec![large], MINUTE);
        tier.settled().await;
    }
    assert!(tier.faults(Fault::Full) > 20);
    assert!(tier.get(digest("/"), None).await.is_some());
    assert!(tier.remove(digest("/")).await);
}

#[tokio::test]
async fn a_cluster_will_do_and_may_lose_a_master() {
    let mut cluster = RedisCluster::start().await;
    let (one, other) = (Tier::at(&cluster.url()).await, Tier::at(&cluster.url()).await);
    check_shared(&one, &other).await;
    one.put(digest("/"), "x").await;
    assert!(other.get(digest("/"), None).await.is_some());
    cluster.master_of(&hash("/")).await.kill().await;
    one.comes_back(digest("/")).await;
    other.comes_back(digest("/")).await;
}

#[tokio::test]
async fn sentinels_lead_to_the_new_master() {
    let mut sentinel = Sentinel::start().await;
    let (one, other) = (Tier::at(&sentinel.url()).await, Tier::at(&sentinel.url()).await);
    check_shared(&one, &other).await;
    sentinel.master.kill().await;
    one.comes_back(digest("/")).await;
    assert_eq!(sentinel.replica.cli(&["exists", &hash("/")]).await.trim(), "1");
    other.comes_back(digest("/")).await;
}
