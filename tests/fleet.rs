//! Edges that share what they store over Redis.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Answer, Edge, HOST, Origin, RedisServer, Reply, Request, Setup, look_again, sample, soon,
};

/// An edge of the fleet that shares the Redis at `url`.
async fn edge_at(origin: &Origin, url: &str) -> Edge {
    let cache = format!("memory = \"16MiB\"\nredis = {{ url = \"{url}\", timeout = \"1s\" }}");
    let edge = Setup::before(origin).cache(&cache).start().await;
    // It asks the origin until it is connected.
    is_up(&edge).await;
    edge
}

/// Waits until `edge` can use its Redis.
async fn is_up(edge: &Edge) {
    let up = "forebay_tier_up{tier=\"redis\"}";
    edge.metrics_until(|metrics| sample(metrics, up) > 0.0).await;
}

/// Three edges that share one Redis.
async fn fleet(origin: &Origin) -> (RedisServer, [Edge; 3]) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let edges =
        [edge_at(origin, &url).await, edge_at(origin, &url).await, edge_at(origin, &url).await];
    (redis, edges)
}

/// Waits until `edge` has written so many records to Redis.
async fn written(edge: &Edge, count: u32) {
    let line = "forebay_tier_stores_total{tier=\"redis\"}";
    edge.metrics_until(|metrics| sample(metrics, line) >= f64::from(count)).await;
}

#[track_caller]
fn from_redis(reply: &Reply) {
    reply.hit();
    assert_eq!(reply.cache_status_value("detail").as_deref(), Some("redis"));
}

#[tokio::test]
async fn what_one_edge_stores_another_answers_with() {
    let answer = Answer::cached("shared", "max-age=60").field("ETag", "\"a\"");
    let origin = Origin::with("/a", answer).await;
    let (_redis, [one, two, three]) = fleet(&origin).await;
    one.get("/a").await.answered(200, "shared");
    written(&one, 1).await;
    for edge in [&two, &three] {
        let reply = edge.get("/a").await;
        from_redis(reply.answered(200, "shared").has("etag", "\"a\""));
        let again = edge.get("/a").await;
        again.answered(200, "shared").hit();
        assert_eq!(again.cache_status_value("detail"), None);
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn each_variant_is_shared() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let tongue = request.field("accept-language").unwrap_or_default();
        Answer::cached(&tongue, "max-age=60").field("Vary", "Accept-Language")
    });
    let (_redis, [one, two, _]) = fleet(&origin).await;
    for tongue in ["en", "de"] {
        one.get_with("/a", "Accept-Language", tongue).await.answered(200, tongue);
    }
    written(&one, 4).await;
    for tongue in ["en", "de"] {
        from_redis(two.get_with("/a", "Accept-Language", tongue).await.answered(200, tongue));
    }
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn what_is_private_is_not_shared() {
    let origin = Origin::with("/a", Answer::cached("mine", "private, max-age=60")).await;
    let (redis, [one, two, _]) = fleet(&origin).await;
    for edge in [&one, &two] {
        edge.get("/a").await.answered(200, "mine");
    }
    assert_eq!(origin.count("/a"), 2);
    let keys = redis.cli(&["keys", "*"]).await;
    assert!(keys.lines().all(|key| !key.ends_with('}')), "{keys}");
}

#[tokio::test]
async fn a_fleet_asks_once_for_a_cold_url() {
    let answer = Answer::cached("shared", "max-age=60").taking(Duration::from_millis(300));
    let origin = Origin::with("/a", answer).await;
    let (_redis, edges) = fleet(&origin).await;
    let mut connections = Vec::new();
    for _ in 0..20 {
        for edge in &edges {
            connections.push(edge.connect().await);
        }
    }
    for connection in &mut connections {
        connection.send(Request::get("/a").http1()).await;
    }
    for connection in &mut connections {
        connection.reply("GET").await.answered(200, "shared");
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn an_edge_that_dies_while_others_wait_holds_nobody_up_for_long() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let answer = Answer::cached("shared", "max-age=60");
        // The first never comes.
        if request.earlier == 0 { Answer::silent() } else { answer }
    });
    let (_redis, [mut one, two, _]) = fleet(&origin).await;
    let mut first = one.connect().await;
    first.send(Request::get("/a").http1()).await;
    origin.has_seen("/a", 1).await;
    let mut second = two.connect().await;
    second.send(Request::get("/a").http1()).await;
    one.signal("KILL");
    one.ended().await;
    second.reply("GET").await.answered(200, "shared");
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_redis_that_is_gone_takes_no_answer_away() {
    let origin = Origin::start().await;
    for path in ["/a", "/b", "/c"] {
        origin.answers(path, Answer::cached("stored", "max-age=60"));
    }
    let (mut redis, [one, two, _]) = fleet(&origin).await;
    one.get("/a").await.answered(200, "stored");
    written(&one, 1).await;
    redis.kill().await;
    for path in ["/a", "/b"] {
        two.get(path).await.answered(200, "stored");
        two.get(path).await.answered(200, "stored").hit();
    }
    redis.restart().await;
    // What was written while it was gone is not there; what comes is shared again, once both have
    // noticed.
    let shared_again = async {
        for number in 0.. {
            let path = format!("/c{number}");
            origin.answers(&path, Answer::cached("stored", "max-age=60"));
            one.get(&path).await.answered(200, "stored");
            look_again().await;
            let reply = two.get(&path).await;
            if reply.answered(200, "stored").cache_status_value("detail").as_deref()
                == Some("redis")
            {
                return;
            }
        }
    };
    soon("both to share again", shared_again).await;
}

async fn purge(edge: &Edge, wish: &Value) -> Value {
    let reply = edge.admin(&Request::new("POST", "/purge").body(&wish.to_string())).await;
    serde_json::from_str(&reply.status(200).text()).expect("the receipt is JSON")
}

/// Asks `edge` for the receipt with this id until no edge has yet to do what it says.
async fn done_everywhere(edge: &Edge, id: &str) -> Value {
    let asked = async {
        loop {
            let reply = edge.admin(&Request::get(&format!("/purge/{id}"))).await;
            // It is not known to an edge that has not read of it.
            if reply.code == 200 {
                let receipt: Value = serde_json::from_str(&reply.text()).expect("it is JSON");
                if receipt["edges"]["waiting"].as_array().is_some_and(Vec::is_empty) {
                    return receipt;
                }
            }
            look_again().await;
        }
    };
    soon("all edges to have purged", asked).await
}

#[tokio::test]
async fn a_purge_is_done_by_all_edges_and_says_so() {
    for wish in [
        json!({"url": format!("http://{HOST}/a")}),
        json!({"tag": "shoes", "mode": "hard"}),
        json!({"prefix": "/"}),
    ] {
        let origin = Origin::start().await;
        origin.answers_by("/a", |request| {
            Answer::cached(&request.earlier.to_string(), "max-age=60")
                .field("Surrogate-Key", "shoes")
        });
        let (_redis, edges) = fleet(&origin).await;
        edges[0].get("/a").await.answered(200, "0");
        written(&edges[0], 1).await;
        for edge in &edges {
            edge.get("/a").await.answered(200, "0").hit();
        }
        let receipt = purge(&edges[0], &wish).await;
        assert_eq!(receipt["count"], 1, "{receipt}");
        let id = receipt["id"].as_str().expect("it has an id").to_owned();
        for edge in &edges {
            let receipt = done_everywhere(edge, &id).await;
            assert_eq!(receipt["edges"]["applied"].as_array().map(Vec::len), Some(3), "{receipt}");
        }
        edges[0].get("/a").await.answered(200, "1");
        // Written again after the purge.
        written(&edges[0], 2).await;
        for edge in &edges {
            edge.get("/a").await.answered(200, "1").hit();
        }
        assert_eq!(origin.count("/a"), 2, "{wish}");
    }
}

#[tokio::test]
async fn an_edge_that_was_away_does_what_was_purged_meanwhile() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        Answer::cached(&request.earlier.to_string(), "max-age=60").field("Surrogate-Key", "shoes")
    });
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().expect("a folder for stored responses");
    let cache = format!(
        "memory = \"16MiB\"\nredis = {{ url = \"{}\", timeout = \"1s\" }}\ndisk = {{ path = {:?} }}",
        redis.url(),
        folder.path()
    );
    let one = edge_at(&origin, &redis.url()).await;
    let mut two = Setup::before(&origin).cache(&cache).start().await;
    is_up(&two).await;
    two.get("/a").await.answered(200, "0");
    let on_disk = "forebay_tier_stores_total{tier=\"disk\"}";
    two.metrics_until(|metrics| sample(metrics, on_disk) > 0.0).await;
    two.signal("KILL");
    two.ended().await;
    purge(&one, &json!({"tag": "shoes", "mode": "hard"})).await;
    // It comes back while the log cannot be read: what is on its disk may be purged.
    redis.pause();
    let two = Setup::before(&origin).cache(&cache).start().await;
    two.get("/a").await.answered(200, "1");
    redis.resume();
    is_up(&two).await;
    // Nor is what it stored then kept longer than until it has read the log.
    let reply = two.get("/a").await;
    assert_ne!(reply.status(200).text(), "0");
}
