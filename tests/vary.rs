//! Variants under one key (RFC 9111 section 4.1).

use crate::support::{Answer, Edge, Origin, Received, Request};

fn by_language(request: &Received) -> Answer {
    let language = request.field("accept-language").unwrap_or_default();
    Answer::cached(&format!("in {language}"), "max-age=60").field("Vary", "Accept-Language")
}

async fn edge_by_language() -> (Origin, Edge) {
    let origin = Origin::start().await;
    origin.answers_by("/a", by_language);
    let edge = Edge::before(&origin).await;
    (origin, edge)
}

#[tokio::test]
async fn each_variant_is_stored_beside_the_others() {
    let (origin, edge) = edge_by_language().await;
    let first = edge.get_with("/a", "Accept-Language", "en").await;
    first.answered(200, "in en").cache_status("forebay; fwd=uri-miss; stored");
    let other = edge.get_with("/a", "Accept-Language", "de").await;
    other.answered(200, "in de").cache_status("forebay; fwd=vary-miss; stored");
    edge.get_with("/a", "Accept-Language", "en").await.answered(200, "in en").hit();
    edge.get_with("/a", "Accept-Language", "de").await.answered(200, "in de").hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_missing_field_is_a_variant_of_its_own() {
    let (_origin, edge) = edge_by_language().await;
    edge.get_with("/a", "Accept-Language", "en").await;
    edge.get("/a").await.answered(200, "in ").cache_status("forebay; fwd=vary-miss; stored");
    edge.get("/a").await.answered(200, "in ").hit();
}

#[tokio::test]
async fn white_space_makes_no_other_variant() {
    let (_origin, edge) = edge_by_language().await;
    edge.get_with("/a", "Accept-Language", "en, de").await;
    edge.get_with("/a", "Accept-Language", "en,de").await.hit();
    let two_lines =
        Request::get("/a").field("Accept-Language", "en").field("Accept-Language", "de");
    edge.send(&two_lines).await.hit();
}

#[tokio::test]
async fn a_field_that_is_not_named_makes_no_other_variant() {
    let (_origin, edge) = edge_by_language().await;
    edge.get_with("/a", "User-Agent", "one").await;
    edge.get_with("/a", "User-Agent", "two").await.hit();
}

#[tokio::test]
async fn every_named_field_counts_over_all_lines() {
    let answer = Answer::cached("a", "max-age=60").field("Vary", "X-One").field("Vary", "x-two");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    let request = |one, two| Request::get("/a").field("X-One", one).field("X-Two", two);
    edge.send(&request("1", "1")).await;
    edge.send(&request("1", "2")).await.cache_status("forebay; fwd=vary-miss; stored");
    edge.send(&request("2", "1")).await.cache_status("forebay; fwd=vary-miss; stored");
    edge.send(&request("1", "1")).await.hit();
}

#[tokio::test]
async fn an_asterisk_matches_nothing() {
    for vary in ["*", "Accept, *"] {
        let answer = Answer::cached("a", "max-age=60").field("Vary", vary);
        let origin = Origin::with("/a", answer).await;
        let edge = Edge::before(&origin).await;
        edge.get("/a").await;
        let reply = edge.get("/a").await;
        assert!(reply.cache_status_value("fwd").is_some(), "{vary}: {reply}");
        assert_eq!(origin.count("/a"), 2, "{vary}");
    }
}

#[tokio::test]
async fn an_answer_without_vary_does_not_hide_the_variants() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("accept-language").as_deref() {
        Some("fr") => Answer::cached("for all", "max-age=60"),
        _ => by_language(request),
    });
    let edge = Edge::before(&origin).await;
    edge.get_with("/a", "Accept-Language", "en").await.answered(200, "in en");
    edge.get_with("/a", "Accept-Language", "fr").await.answered(200, "for all");
    // Which of both is chosen is open; neither may be given out as the other.
    let reply = edge.get_with("/a", "Accept-Language", "en").await;
    assert!(["in en", "for all"].contains(&reply.text().as_str()), "{reply}");
}
