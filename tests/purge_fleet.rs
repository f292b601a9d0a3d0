//! Purges over all tiers of real edges: what was purged does not come back, neither from another
//! edge nor from the disk.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Answer, Edge, HOST, Origin, RedisServer, Reply, Request, Setup, look_again, sample, soon,
};

/// An origin that says how often it was asked, under a tag.
async fn origin() -> Origin {
    let origin = Origin::start().await;
    for path in ["/a", "/b"] {
        origin.answers_by(path, |request| {
            let body = request.earlier.to_string();
            Answer::cached(&body, "max-age=60").field("Surrogate-Key", "shoes")
        });
    }
    origin
}

/// An edge with these tiers below memory.
async fn edge(origin: &Origin, redis: Option<&RedisServer>, disk: Option<&TempDir>) -> Edge {
    let mut cache = "memory = \"16MiB\"\n".to_owned();
    if let Some(redis) = redis {
        cache += &format!("redis = {{ url = \"{}\", timeout = \"1s\" }}\n", redis.url());
    }
    if let Some(disk) = disk {
        cache += &format!("disk = {{ path = \"{}\" }}\n", disk.path().display());
    }
    let edge = Setup::before(origin).cache(&cache).start().await;
    if redis.is_some() {
        let up = "forebay_tier_up{tier=\"redis\"}";
        edge.metrics_until(|metrics| sample(metrics, up) > 0.0).await;
        edge.has_logged("reading the log of purges").await;
    }
    edge
}

async fn purge(edge: &Edge, wish: &Value) -> Reply {
    edge.admin(&Request::new("POST", "/purge").body(&wish.to_string())).await
}

/// Purges, and says what the receipt says.
async fn purged(edge: &Edge, wish: &Value) -> Value {
    let reply = purge(edge, wish).await;
    serde_json::from_str(&reply.status(200).text()).expect("a receipt")
}

/// Waits until so many edges have done what the receipt is of, and so many have not.
async fn counts(edge: &Edge, receipt: &Value, applied: usize, waiting: usize) {
    let path = format!("/purge/{}", receipt["id"].as_str().expect("an id"));
    soon("the edges to say how far they are", async {
        loop {
            let reply = edge.admin(&Request::get(&path)).await.text();
            let told: Value = serde_json::from_str(&reply).unwrap_or(Value::Null);
            let count = |which: &str| told["edges"][which].as_array().map_or(0, Vec::len);
            if (count("applied"), count("waiting")) == (applied, waiting) {
                return;
            }
            look_again().await;
        }
    })
    .await;
}

/// Waits until the tier of `edge` has so many records.
async fn written(edge: &Edge, tier: &str, count: u32) {
    let line = format!("forebay_tier_stores_total{{tier=\"{tier}\"}} {count}");
    edge.metrics_until(|metrics| metrics.contains(&line)).await;
}

async fn killed(mut edge: Edge) {
    edge.signal("KILL");
    edge.ended().await;
}

#[tokio::test]
async fn what_is_purged_on_one_edge_is_purged_on_all() {
    let origin = origin().await;
    let redis = RedisServer::start().await;
    let mut edges = Vec::new();
    for _ in 0..3 {
        edges.push(edge(&origin, Some(&redis), None).await);
    }
    let wishes = [
        json!({"tag": "shoes"}),
        json!({"tag": "shoes", "mode": "hard"}),
        json!({"prefix": "/a"}),
        json!({"url": "http://a.example/a", "mode": "hard"}),
        json!({"all": true}),
    ];
    for (number, mut wish) in wishes.into_iter().enumerate() {
        if let Some(url) = wish.get_mut("url") {
            *url = format!("http://{HOST}/a").into();
        }
        let text = number.to_string();
        edges[0].get_until("/a", |reply| reply.text() == text).await;
        for edge in &edges {
            edge.get_until("/a", |reply| reply.text() == text).await;
        }
        let receipt = purged(&edges[number % 3], &wish).await;
        counts(&edges[2 - number % 3], &receipt, 3, 0).await;
        // None has it any more, in no tier.
        let next = (number + 1).to_string();
        let asked = edges[(number + 1) % 3].get("/a").await;
        assert_eq!(asked.text(), next, "{wish}: {asked}");
    }
}

#[tokio::test]
async fn an_edge_that_was_killed_learns_what_was_purged_meanwhile() {
    let origin = origin().await;
    let redis = RedisServer::start().await;
    let disk = TempDir::new().unwrap();
    let one = edge(&origin, Some(&redis), None).await;
    let two = edge(&origin, Some(&redis), Some(&disk)).await;
    two.get("/a").await.answered(200, "0");
    written(&two, "disk", 1).await;
    killed(two).await;
    let receipt = purged(&one, &json!({"tag": "shoes", "mode": "hard"})).await;
    counts(&one, &receipt, 1, 1).await;
    let two = edge(&origin, Some(&redis), Some(&disk)).await;
    counts(&one, &receipt, 2, 1).await;
    two.get("/a").await.answered(200, "1");
}

#[tokio::test]
async fn a_purge_of_which_the_fleet_was_not_told_says_so() {
    let origin = origin().await;
    let mut redis = RedisServer::start().await;
    let one = edge(&origin, Some(&redis), None).await;
    one.get("/a").await.answered(200, "0");
    redis.kill().await;
    let reply = purge(&one, &json!({"all": true, "mode": "hard"})).await;
    assert!(reply.status(503).text().contains("ask again"), "{reply}");
    one.get("/a").await.answered(200, "1");
}

/// What an edge with a disk has stored is lost to what `lose` does, and whatever else happens to it.
async fn check_lost(edge_of: &Origin, lose: impl AsyncFnOnce(&Edge, &TempDir), answer: &str) {
    let disk = TempDir::new().unwrap();
    let before = edge(edge_of, None, Some(&disk)).await;
    before.get("/a").await.answered(200, "0");
    written(&before, "disk", 1).await;
    lose(&before, &disk).await;
    killed(before).await;
    let after = edge(edge_of, None, Some(&disk)).await;
    after.metrics_until(|metrics| metrics.contains("forebay_tier_")).await;
    after.get("/a").await.answered(200, answer);
}

#[tokio::test]
async fn what_was_purged_does_not_come_back_from_the_disk() {
    let url = format!("http://{HOST}/a");
    for wish in [
        json!({"tag": "shoes", "mode": "hard"}),
        json!({"tag": "shoes"}),
        json!({"prefix": "/", "mode": "hard"}),
        json!({"url": url, "mode": "hard"}),
        json!({"all": true, "mode": "hard"}),
    ] {
        let lose = async |edge: &Edge, _: &TempDir| drop(purged(edge, &wish).await);
        check_lost(&origin().await, lose, "1").await;
    }
}

#[tokio::test]
async fn the_disk_is_not_believed_where_its_log_is_lost() {
    let forget = async |_: &Edge, disk: &TempDir| {
        fs::remove_file(disk.path().join("purges.log")).expect("there is one");
    };
    check_lost(&origin().await, forget, "1").await;
}
