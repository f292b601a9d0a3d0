//! Purging: what is stored is taken back by URL, prefix, tag, or as a whole.

use serde_json::{Value, json};

use crate::support::{
    Answer, Edge, Gate, HOST, Origin, Reply, Request, Setup, look_again, run_forebay, soon,
};

/// An origin that says how often it was asked, under two tags.
async fn origin() -> Origin {
    let origin = Origin::start().await;
    for path in ["/a", "/a/b", "/c"] {
        origin.answers_by(path, |request| {
            Answer::cached(&request.earlier.to_string(), "max-age=60")
                .field("Surrogate-Key", "shoes boots")
                .field("ETag", "\"a\"")
        });
    }
    origin
}

async fn purge(edge: &Edge, wish: &Value) -> Reply {
    edge.admin(&Request::new("POST", "/purge").body(&wish.to_string())).await
}

/// Stores three URLs, purges as `wish` says, and tells which of them are asked for again.
async fn asked_again(wish: Value) -> Vec<&'static str> {
    let origin = origin().await;
    let edge = Edge::before(&origin).await;
    for path in ["/a", "/a/b", "/c"] {
        edge.get(path).await.answered(200, "0");
        edge.get(path).await.answered(200, "0").hit();
    }
    purge(&edge, &wish).await.status(200);
    let mut again = Vec::new();
    for path in ["/a", "/a/b", "/c"] {
        if edge.get(path).await.text() == "1" {
            again.push(path);
        }
        edge.get(path).await.status(200).hit();
    }
    again
}

#[tokio::test]
async fn what_is_purged_is_asked_for_again() {
    let url = |path: &str| format!("http://{HOST}{path}");
    for mode in ["soft", "hard"] {
        let one = asked_again(json!({"url": url("/a"), "mode": mode})).await;
        assert_eq!(one, ["/a"], "{mode}");
        let some = asked_again(json!({"prefix": "/a", "mode": mode})).await;
        assert_eq!(some, ["/a", "/a/b"], "{mode}");
        let site = asked_again(json!({"prefix": url("/a/"), "mode": mode})).await;
        assert_eq!(site, ["/a/b"], "{mode}");
        let other = json!({"prefix": "https://other.example/", "mode": mode});
        assert!(asked_again(other.clone()).await.is_empty());
        for all in [json!({"tag": "boots", "mode": mode}), json!({"all": true, "mode": mode})] {
            assert_eq!(asked_again(all.clone()).await, ["/a", "/a/b", "/c"], "{all}");
        }
        assert!(asked_again(json!({"tag": "boot", "mode": mode})).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_purged_softly_answers_where_the_origin_fails_and_nowhere_else() {
    for (mode, expected) in [("soft", 200), ("hard", 502)] {
        let answers =
            vec![Answer::cached("old", "max-age=60, stale-while-revalidate=60"), Answer::closes()];
        let (_origin, edge) = Edge::after("", answers).await;
        edge.get("/a").await.answered(200, "old");
        purge(&edge, &json!({"all": true, "mode": mode})).await.status(200);
        let tolerant = Request::get("/a").field("Cache-Control", "max-stale");
        let reply = edge.send(&tolerant).await;
        reply.status(expected);
        assert!(reply.cache_status_value("fwd").is_some(), "{reply}");
        let only = Request::get("/a").field("Cache-Control", "only-if-cached");
        edge.send(&only).await.status(504);
    }
}

#[tokio::test]
async fn what_the_origin_confirms_is_fresh_again() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("if-none-match") {
        Some(_) => Answer::status(304).field("Cache-Control", "max-age=60"),
        None => Answer::cached("same", "max-age=60").field("ETag", "\"a\""),
    });
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "same");
    purge(&edge, &json!({"all": true})).await.status(200);
    edge.get("/a").await.cache_status("forebay; fwd=stale; fwd-status=304; stored");
    edge.get("/a").await.answered(200, "same").hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn an_answer_that_was_on_its_way_does_not_survive_a_purge() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start().await;
    origin.answers_by("/a", move |request| {
        let answer = Answer::cached(&request.earlier.to_string(), "max-age=60");
        let answer = answer.field("Cache-Tag", "shoes, red boots");
        if request.earlier == 0 { answer.when_open(&held) } else { answer }
    });
    let edge = Edge::before(&origin).await;
    for wish in [json!({"tag": "red boots"}), json!({"prefix": "/"})] {
        let mut before = edge.connect().await;
        before.send(Request::get("/a").http1()).await;
        origin.has_seen("/a", 1).await;
        purge(&edge, &wish).await.status(200);
        gate.open();
        before.reply("GET").await.status(200);
    }
    let reply = edge.get("/a").await;
    assert_ne!(reply.text(), "0", "{reply}");
}

/// Demands what `expected` says of a receipt, whose count may come a little later.
async fn check(edge: &Edge, receipt: &Reply, expected: Value) {
    let read = |reply: &Reply| -> Value { serde_json::from_str(&reply.text()).unwrap() };
    let mut receipt = read(receipt);
    let id = receipt["id"].as_str().expect("an id").to_owned();
    let counted = async {
        while receipt.get("counting").is_some() {
            look_again().await;
            receipt = read(&edge.admin(&Request::get(&format!("/purge/{id}"))).await);
        }
    };
    soon("the purge to be counted", counted).await;
    let again = edge.admin(&Request::get(&format!("/purge/{id}"))).await;
    assert_eq!(read(again.status(200)), receipt);
    let receipt = receipt.as_object_mut().expect("a receipt");
    for name in ["id", "when"] {
        assert!(receipt.remove(name).is_some_and(|said| said.is_string()), "{name}");
    }
    assert_eq!(Value::Object(receipt.clone()), expected);
}

#[tokio::test]
async fn a_receipt_tells_what_was_purged() {
    let origin = origin().await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.status(200);
    let url = format!("http://{HOST}/a");
    let receipt = purge(&edge, &json!({"url": url})).await;
    receipt.status(200).has("content-type", "application/json");
    check(&edge, &receipt, json!({"url": url, "mode": "soft", "count": 1})).await;
    edge.get("/c").await.status(200);
    let receipt = purge(&edge, &json!({"tag": "boots", "mode": "hard"})).await;
    check(&edge, &receipt, json!({"tag": "boots", "mode": "hard", "count": 2})).await;
    let receipt = purge(&edge, &json!({"tags": ["boots", "hats"]})).await;
    check(&edge, &receipt, json!({"tags": ["boots", "hats"], "mode": "soft", "count": 0})).await;
    purge(&edge, &json!({"tags": "boots"})).await.status(400);
    edge.metrics_until(|metrics| metrics.contains("forebay_purges_total 3\n")).await;
    edge.metrics_until(|metrics| metrics.contains("forebay_tier_entries{tier=\"memory\"} 0\n"))
        .await;
}

#[tokio::test]
async fn only_who_knows_the_token_purges() {
    let origin = origin().await;
    let edge = Setup::before(&origin).admin("token = \"of-sixteen-letters\"").start().await;
    edge.get("/a").await.status(200);
    purge(&edge, &json!({"all": true})).await.status(401);
    edge.admin(&Request::get("/purge/1-0")).await.status(401);
    edge.get("/a").await.hit();
}

#[tokio::test]
async fn a_receipt_that_nobody_has_is_not_found() {
    let edge = Edge::before(&origin().await).await;
    for (path, status) in
        [("/purge/1-0", 404), ("/purge/x", 400), ("/purge/", 404), ("/purge/1-0/", 400)]
    {
        edge.admin(&Request::get(path)).await.status(status);
    }
    edge.admin(&Request::new("POST", "/purge/1-0")).await.status(405).has("allow", "GET, HEAD");
    edge.admin(&Request::get("/purge")).await.status(405).has("allow", "POST");
}

#[tokio::test]
async fn a_purge_may_be_asked_for_in_a_shell() {
    let origin = origin().await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "0");
    let admin = edge.url("admin").to_owned();
    let output = run_forebay(&["purge", "--tag", "boots", "--admin", &admin]).await;
    assert!(output.status.success(), "{output:?}");
    let receipt: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(receipt["tag"], "boots");
    edge.get("/a").await.answered(200, "1");
    let output = run_forebay(&["purge", "--admin", &admin]).await;
    assert!(!output.status.success());
}
