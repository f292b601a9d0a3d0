//! The method `PURGE`: what a site behind the edge sends when one of its pages has changed.

use serde_json::Value;

use crate::support::{Answer, Edge, HOST, Http2, Origin, Reply, Request, Setup};

/// An edge that has stored `/a`, with two tags, and `/b`, and lets these addresses purge.
async fn edge(purge_from: &str) -> (Origin, Edge) {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.method.as_str() {
        "PURGE" => Answer::ok("purged by the origin").code(418),
        _ => Answer::cached(&request.earlier.to_string(), "max-age=60, stale-if-error=60")
            .field("Surrogate-Key", "one two"),
    });
    origin.answers("/b", Answer::cached("b", "max-age=60"));
    let edge = Setup::before(&origin).server(&settings(purge_from)).start().await;
    for path in ["/a", "/b"] {
        edge.get(path).await.status(200);
        edge.get(path).await.hit();
    }
    (origin, edge)
}

fn settings(purge_from: &str) -> String {
    format!("threads = 1\ngrace = \"10s\"\npurge_from = {purge_from}")
}

const HERE: &str = "[\"10.0.0.0/8\", \"127.0.0.0/8\"]";

async fn purge(edge: &Edge, path: &str, fields: &[(&str, &str)]) -> Reply {
    let request = Request::new("PURGE", path);
    let request = fields.iter().fold(request, |request, (name, value)| request.field(name, value));
    edge.send(&request).await
}

/// Which of both is asked for again.
async fn asked_again(edge: &Edge) -> Vec<&'static str> {
    let mut again = Vec::new();
    for path in ["/a", "/b"] {
        if edge.get(path).await.cache_status_value("fwd").is_some() {
            again.push(path);
        }
    }
    again
}

#[tokio::test]
async fn a_url_is_purged_from_where_it_may_be() {
    let (origin, edge) = edge(HERE).await;
    let reply = purge(&edge, "/a", &[]).await;
    reply.status(200).has("content-type", "application/json").has("cache-control", "no-store");
    reply.cache_status("forebay");
    let receipt: Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(receipt["urls"][0], format!("http://{HOST}/a"));
    assert_eq!((&receipt["mode"], &receipt["count"]), (&"soft".into(), &1.into()));
    assert_eq!(asked_again(&edge).await, ["/a"]);
    assert!(origin.all().iter().all(|request| request.method == "GET"));
    let id = receipt["id"].as_str().unwrap();
    edge.admin(&Request::get(&format!("/purge/{id}"))).await.answered(200, &reply.text());
    edge.metrics_until(|metrics| metrics.contains("forebay_purges_total 1\n")).await;
}

#[tokio::test]
async fn every_variant_of_a_url_is_purged() {
    let origin = Origin::start().await;
    origin.answers("/a", Answer::cached("a", "max-age=60").field("Vary", "Accept-Language"));
    let edge = Setup::before(&origin).server(&settings(HERE)).start().await;
    for language in ["en", "de"] {
        edge.get_with("/a", "Accept-Language", language).await.status(200);
    }
    let receipt: Value = serde_json::from_str(&purge(&edge, "/a", &[]).await.text()).unwrap();
    assert_eq!(receipt["count"], 2);
    for language in ["en", "de"] {
        let reply = edge.get_with("/a", "Accept-Language", language).await;
        assert!(reply.cache_status_value("fwd").is_some(), "{language}: {reply}");
    }
}

#[tokio::test]
async fn what_is_purged_hard_does_not_stand_in_for_a_dead_origin() {
    for (fields, expected) in [(&[][..], 200), (&[("Forebay-Purge", "hard")][..], 502)] {
        let (mut origin, edge) = edge(HERE).await;
        purge(&edge, "/a", fields).await.status(200);
        origin.stop().await;
        edge.get("/a").await.status(expected);
    }
}

#[tokio::test]
async fn tags_are_purged_in_place_of_the_url() {
    for field in [("Surrogate-Key", "zero two"), ("Cache-Tag", "zero, two")] {
        let (_origin, edge) = edge(HERE).await;
        purge(&edge, "/b", &[field]).await.status(200);
        assert_eq!(asked_again(&edge).await, ["/a"], "{field:?}");
    }
}

#[tokio::test]
async fn nobody_else_purges() {
    let (origin, edge) = edge("[\"10.0.0.0/8\", \"127.0.0.2\"]").await;
    for forged in ["X-Forwarded-For", "X-Real-IP", "Forwarded"] {
        let reply = purge(&edge, "/a", &[(forged, "10.0.0.1")]).await;
        reply.status(403).cache_status("forebay; detail=purge-refused");
    }
    assert!(asked_again(&edge).await.is_empty());
    assert!(origin.all().iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn what_cannot_be_understood_purges_nothing() {
    let (_origin, edge) = edge(HERE).await;
    for field in [("Forebay-Purge", "harsh"), ("Surrogate-Key", " "), ("Cache-Tag", ",")] {
        purge(&edge, "/a", &[field]).await.status(400);
    }
    edge.send(&Request::new("purge", "/b")).await;
    assert_eq!(asked_again(&edge).await, ["/b"], "another method, which is passed on");
}

#[tokio::test]
async fn it_goes_to_the_origin_where_nobody_may_purge() {
    let (origin, edge) = edge("[]").await;
    purge(&edge, "/a", &[]).await.answered(418, "purged by the origin");
    assert_eq!(origin.last("/a").method, "PURGE");
}

#[tokio::test]
async fn who_may_purge_changes_with_a_reload() {
    let origin = Origin::start().await;
    origin.answers("/a", Answer::cached("a", "max-age=60"));
    let setup = |purge_from: &str| Setup::before(&origin).server(&settings(purge_from));
    let edge = setup("[\"10.0.0.0/8\"]").start().await;
    purge(&edge, "/a", &[]).await.status(403);
    edge.rewrite(&setup(HERE).text());
    edge.reload().await.status(200);
    purge(&edge, "/a", &[]).await.status(200);
}

#[tokio::test]
async fn http2_purges_as_well() {
    let (_origin, edge) = edge(HERE).await;
    let client = Http2::open(&edge).await;
    client.send(&Request::new("PURGE", "/a")).await.status(200);
    assert_eq!(asked_again(&edge).await, ["/a"]);
}
