//! Asking the origin with conditions, and answering those of clients (RFC 9111
//! section 4.3).

use crate::support::{Answer, Edge, Origin, Received, Request, seconds_ago};

const STALE: &str = "max-age=60";

/// Version "a", stale from the start; where the origin is asked for it, it has not changed.
fn unchanged(request: &Received) -> Answer {
    if request.field("if-none-match").is_some_and(|tags| tags.contains("\"a\"")) {
        let answer = Answer::status(304).field("Cache-Control", "max-age=60");
        return answer.field("ETag", "\"a\"").field("X-Now", "new");
    }
    let answer = Answer::cached("body a", STALE).field("Age", "60").field("ETag", "\"a\"");
    answer.field("X-Now", "old")
}

/// An edge that has a stale response of version "a".
async fn stale_edge() -> (Origin, Edge) {
    let origin = Origin::start().await;
    origin.answers_by("/a", unchanged);
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "body a");
    (origin, edge)
}

/// An edge that has a fresh response with both validators.
async fn fresh_edge() -> (Origin, Edge, String) {
    let changed = seconds_ago(86_400);
    let answer = Answer::cached("body a", "max-age=60").field("ETag", "\"a\"");
    let origin = Origin::with("/a", answer.field("Last-Modified", &changed)).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "body a");
    (origin, edge, changed)
}

#[tokio::test]
async fn a_stale_answer_is_validated_and_kept() {
    let (origin, edge) = stale_edge().await;
    let reply = edge.get("/a").await;
    reply.answered(200, "body a").cache_status("forebay; fwd=stale; fwd-status=304; stored");
    assert_eq!(origin.last("/a").field("if-none-match").as_deref(), Some("\"a\""));
    edge.get("/a").await.answered(200, "body a").hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_304_updates_the_stored_fields() {
    let (_origin, edge) = stale_edge().await;
    edge.get("/a").await.has("x-now", "new").has("content-length", "6");
    edge.get("/a").await.has("x-now", "new").has("content-length", "6").hit();
}

#[tokio::test]
async fn a_304_that_forbids_storing_leaves_nothing_to_reuse() {
    let origin = Origin::start().await;
    origin.answers_each(
        "/a",
        vec![
            Answer::cached("body a", STALE).field("Age", "60").field("ETag", "\"a\""),
            Answer::status(304).field("ETag", "\"a\"").field("Cache-Control", "no-store"),
            Answer::ok("body b"),
        ],
    );
    let edge = Edge::before(&origin).await;
    edge.get("/a").await;
    edge.get("/a").await.answered(200, "body a");
    edge.get("/a").await;
    assert_eq!(origin.count("/a"), 3);
}

#[tokio::test]
async fn validates_by_date_where_no_tag_is() {
    let changed = seconds_ago(86_400);
    let origin = Origin::start().await;
    let answer = Answer::cached("a", STALE).field("Age", "60").field("Last-Modified", &changed);
    let not_modified = Answer::status(304).field("Cache-Control", "max-age=60");
    origin.answers_each("/a", vec![answer, not_modified]);
    let edge = Edge::before(&origin).await;
    edge.get("/a").await;
    edge.get("/a")
        .await
        .answered(200, "a")
        .cache_status("forebay; fwd=stale; fwd-status=304; stored");
    assert_eq!(origin.last("/a").field("if-modified-since"), Some(changed));
}

#[tokio::test]
async fn a_new_answer_replaces_the_stale_one() {
    let origin = Origin::start().await;
    let old = Answer::cached("old", STALE).field("Age", "60").field("ETag", "\"a\"");
    let new = Answer::cached("new", "max-age=60").field("ETag", "\"b\"");
    origin.answers_each("/a", vec![old, new]);
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "old");
    let reply = edge.get("/a").await;
    reply.answered(200, "new").cache_status("forebay; fwd=stale; fwd-status=200; stored");
    edge.get("/a").await.answered(200, "new").has("etag", "\"b\"").hit();
}

#[tokio::test]
async fn a_matching_tag_gets_304_from_the_cache() {
    let (origin, edge, _) = fresh_edge().await;
    for tags in ["\"a\"", "W/\"a\"", "\"x\", \"a\"", "*"] {
        let reply = edge.get_with("/a", "If-None-Match", tags).await;
        reply.status(304).has("etag", "\"a\"").hit();
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn another_tag_gets_the_whole_from_the_cache() {
    let (_origin, edge, changed) = fresh_edge().await;
    edge.get_with("/a", "If-None-Match", "\"b\"").await.answered(200, "body a").hit();
    // The tag decides where both are given (RFC 9110 section 13.2.2).
    let both = Request::get("/a").field("If-None-Match", "\"b\"");
    edge.send(&both.field("If-Modified-Since", &changed)).await.answered(200, "body a").hit();
}

#[tokio::test]
async fn the_date_of_a_client_is_compared() {
    let (_origin, edge, changed) = fresh_edge().await;
    edge.get_with("/a", "If-Modified-Since", &changed).await.status(304).hit();
    edge.get_with("/a", "If-Modified-Since", &seconds_ago(60)).await.status(304).hit();
    let older = seconds_ago(2 * 86_400);
    edge.get_with("/a", "If-Modified-Since", &older).await.answered(200, "body a").hit();
    edge.get_with("/a", "If-Modified-Since", "yesterday").await.answered(200, "body a").hit();
}

#[tokio::test]
async fn a_304_to_a_client_carries_no_body_and_no_length_of_one() {
    let (_origin, edge, _) = fresh_edge().await;
    let mut connection = edge.connect().await;
    let request = Request::get("/a").field("If-None-Match", "\"a\"");
    connection.request(&request).await.status(304);
    connection.request(&Request::get("/a")).await.answered(200, "body a");
}

#[tokio::test]
async fn the_condition_of_a_client_does_not_replace_ours() {
    let (_origin, edge) = stale_edge().await;
    let reply = edge.get_with("/a", "If-None-Match", "\"b\"").await;
    reply.answered(200, "body a");
}

#[tokio::test]
async fn a_client_that_has_it_gets_304_after_validation() {
    let (_origin, edge) = stale_edge().await;
    edge.get_with("/a", "If-None-Match", "\"a\"").await.status(304);
    edge.get("/a").await.answered(200, "body a").hit();
}

#[tokio::test]
async fn a_condition_on_a_cold_cache_does_not_store_a_304_as_the_answer() {
    let origin = Origin::start().await;
    origin.answers_by("/a", unchanged);
    let edge = Edge::before(&origin).await;
    edge.get_with("/a", "If-None-Match", "\"a\"").await.status(304);
    edge.get("/a").await.answered(200, "body a");
}

#[tokio::test]
async fn head_freshens_what_is_stored() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let age = if request.method == "HEAD" { "0" } else { "60" };
        Answer::cached("body a", STALE).field("Age", age).field("ETag", "\"a\"")
    });
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "body a");
    edge.send(&Request::new("HEAD", "/a")).await.status(200);
    edge.get("/a").await.answered(200, "body a").hit();
}

#[tokio::test]
async fn a_304_for_something_else_changes_nothing() {
    let origin = Origin::start().await;
    let old = Answer::cached("old", STALE).field("Age", "60").field("ETag", "\"a\"");
    let wrong = Answer::status(304).field("Cache-Control", STALE).field("ETag", "\"z\"");
    let new = Answer::cached("new", STALE).field("ETag", "\"z\"");
    origin.answers_by("/a", move |request| match request.field("if-none-match") {
        _ if request.earlier == 0 => old.clone(),
        Some(_) => wrong.clone(),
        None => new.clone(),
    });
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "old");
    let reply = edge.get("/a").await;
    assert!(reply.text() != "old" || reply.field("etag").as_deref() == Some("\"a\""), "{reply}");
    let reply = edge.get("/a").await;
    assert!(reply.text() != "old" || reply.field("etag").as_deref() == Some("\"a\""), "{reply}");
}

#[tokio::test]
async fn a_client_cannot_take_away_what_is_stored() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let answer = match request.field("if-none-match") {
            Some(_) => Answer::status(304),
            None => Answer::ok("a"),
        };
        answer.field("ETag", "\"a\"").field("Cache-Control", "max-age=60")
    });
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    for (name, value) in [("Authorization", "x"), ("Cache-Control", "no-cache, no-store")] {
        let request = Request::get("/a").field("Cache-Control", "no-cache").field(name, value);
        edge.send(&request).await.answered(200, "a");
        edge.get("/a").await.answered(200, "a").hit();
    }
}

#[tokio::test]
async fn a_304_without_a_date_makes_fresh() {
    let origin = Origin::start().await;
    let old = Answer::cached("a", "max-age=60").field("Date", &seconds_ago(61));
    let unchanged = Answer::status(304).field("Cache-Control", "max-age=60");
    let tag = |answer: Answer| answer.field("ETag", "\"a\"");
    origin.answers_each("/a", vec![tag(old), tag(unchanged)]);
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    edge.get("/a").await.answered(200, "a").cache_status("forebay; fwd=stale; stored");
    edge.get("/a").await.answered(200, "a").hit();
}

#[tokio::test]
async fn a_head_that_fails_changes_nothing_that_is_stored() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.method.as_str() {
        "HEAD" => Answer::status(500).field("Cache-Control", "no-store").field("X-Now", "broken"),
        _ => Answer::cached("body a", "max-age=60").field("X-Now", "well"),
    });
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "body a");
    edge.send(&Request::new("HEAD", "/a").field("Cache-Control", "no-cache")).await.status(500);
    edge.get("/a").await.answered(200, "body a").has("x-now", "well").hit();
}

#[tokio::test]
async fn a_304_leaves_what_was_said_to_the_edge_alone_in_force() {
    let origin = Origin::start().await;
    let first = Answer::cached("body a", "no-store").field("Forebay-Cache-Control", "max-age=60");
    origin.answers_each(
        "/a",
        vec![
            first.field("Age", "60").field("ETag", "\"a\""),
            Answer::status(304).field("ETag", "\"a\""),
        ],
    );
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "body a").lacks("forebay-cache-control");
    edge.get("/a").await.answered(200, "body a").lacks("forebay-cache-control");
    edge.get("/a").await.answered(200, "body a").lacks("forebay-cache-control").hit();
    assert_eq!(origin.count("/a"), 2);
}
