//! Freshness meant for the edge alone (RFC 9213).

use crate::support::{Answer, Edge, Origin, Reply};

async fn second(fields: &[(&str, &str)]) -> Reply {
    let answer =
        fields.iter().fold(Answer::ok("a"), |answer, (name, value)| answer.field(name, value));
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    edge.get("/a").await
}

async fn is_hit(fields: &[(&str, &str)]) {
    second(fields).await.answered(200, "a").hit();
}

async fn is_forwarded(fields: &[(&str, &str)]) {
    let reply = second(fields).await;
    assert!(reply.cache_status_value("fwd").is_some(), "{fields:?}: {reply}");
}

#[tokio::test]
async fn cdn_cache_control_wins_over_cache_control() {
    is_hit(&[("CDN-Cache-Control", "max-age=60"), ("Cache-Control", "no-store")]).await;
    is_forwarded(&[("CDN-Cache-Control", "no-store"), ("Cache-Control", "max-age=60")]).await;
    is_forwarded(&[("CDN-Cache-Control", "private"), ("Cache-Control", "max-age=60")]).await;
}

#[tokio::test]
async fn our_own_field_wins_over_all() {
    is_hit(&[("Forebay-Cache-Control", "max-age=60"), ("CDN-Cache-Control", "no-store")]).await;
    is_forwarded(&[("Forebay-Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=60")])
        .await;
}

#[tokio::test]
async fn expires_does_not_count_beside_a_field_for_the_edge() {
    let expires = crate::support::in_seconds(600);
    is_forwarded(&[("CDN-Cache-Control", "max-age=0"), ("Expires", &expires)]).await;
}

#[tokio::test]
async fn a_field_that_is_no_dictionary_does_not_count() {
    is_hit(&[("CDN-Cache-Control", "max-age=, &&"), ("Cache-Control", "max-age=60")]).await;
    is_forwarded(&[("CDN-Cache-Control", "max-age=60, &&"), ("Cache-Control", "no-store")]).await;
}

#[tokio::test]
async fn an_empty_field_does_not_count() {
    is_hit(&[("CDN-Cache-Control", ""), ("Cache-Control", "max-age=60")]).await;
}

#[tokio::test]
async fn clients_still_get_the_field_for_all() {
    let fields = [("CDN-Cache-Control", "max-age=60"), ("Cache-Control", "no-store")];
    second(&fields).await.has("cache-control", "no-store");
}

#[tokio::test]
async fn our_own_field_is_not_sent_on() {
    let reply = second(&[("Forebay-Cache-Control", "max-age=60")]).await;
    reply.hit().lacks("forebay-cache-control");
}
