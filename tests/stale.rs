//! Stale answers, where they are allowed (RFC 5861).

use std::time::Duration;

use crate::support::{Answer, Edge, Gate, Origin, Reply, Setup};

/// An answer that has been stale for a second.
fn stale(directives: &str) -> Answer {
    Answer::cached("old", &format!("max-age=60, {directives}")).field("Age", "61")
}

fn fresh() -> Answer {
    Answer::cached("new", "max-age=60")
}

#[track_caller]
fn is_stale_hit(reply: &Reply) {
    reply.answered(200, "old").cache_status("forebay; hit; detail=stale-while-revalidate");
    let ttl = reply.cache_status_value("ttl").expect("a hit says its ttl");
    assert!(ttl.starts_with('-'), "{reply}");
    assert!(reply.age().expect("Age") >= 61, "{reply}");
}

#[tokio::test]
async fn answers_stale_while_it_revalidates_in_the_background() {
    let answers = vec![stale("stale-while-revalidate=60"), fresh()];
    let (origin, edge) = Edge::after("", answers).await;
    is_stale_hit(&edge.get("/a").await);
    origin.has_seen("/a", 2).await;
    edge.get_until("/a", |reply| reply.text() == "new").await.hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn does_not_wait_for_the_revalidation() {
    let gate = Gate::closed();
    let answers = vec![stale("stale-while-revalidate=60"), fresh().when_open(&gate)];
    let (origin, edge) = Edge::after("", answers).await;
    for _ in 0..20 {
        is_stale_hit(&edge.get("/a").await);
    }
    origin.has_seen("/a", 2).await;
    gate.open();
    edge.get_until("/a", |reply| reply.text() == "new").await;
    assert_eq!(origin.count("/a"), 2, "one revalidation for all");
}

#[tokio::test]
async fn revalidates_in_the_background_with_conditions() {
    let old = stale("stale-while-revalidate=60").field("ETag", "\"a\"");
    let unchanged = Answer::status(304).field("ETag", "\"a\"").field("Cache-Control", "max-age=60");
    let (origin, edge) = Edge::after("", vec![old, unchanged]).await;
    is_stale_hit(&edge.get("/a").await);
    origin.has_seen("/a", 2).await;
    assert_eq!(origin.last("/a").field("if-none-match").as_deref(), Some("\"a\""));
    let fresh =
        |reply: &Reply| reply.cache_status_value("ttl").is_some_and(|t| !t.starts_with('-'));
    edge.get_until("/a", fresh).await.answered(200, "old").hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_failed_revalidation_is_tried_again() {
    let answers = vec![stale("stale-while-revalidate=60"), Answer::closes(), fresh()];
    let (_origin, edge) = Edge::after("", answers).await;
    edge.get_until("/a", |reply| reply.text() == "new").await.hit();
}

#[tokio::test]
async fn waits_for_the_origin_past_the_window() {
    let old = Answer::cached("old", "max-age=60, stale-while-revalidate=10").field("Age", "75");
    let (_origin, edge) = Edge::after("", vec![old, fresh()]).await;
    edge.get("/a").await.answered(200, "new").cache_status("forebay; fwd=stale; stored");
}

#[tokio::test]
async fn must_revalidate_forbids_stale_answers() {
    for directive in ["must-revalidate", "proxy-revalidate"] {
        let old = stale(&format!("stale-while-revalidate=60, stale-if-error=60, {directive}"));
        let (_origin, edge) = Edge::after("", vec![old, fresh()]).await;
        edge.get("/a").await.answered(200, "new").cache_status("forebay; fwd=stale; stored");
    }
}

#[tokio::test]
async fn the_route_may_allow_stale_answers() {
    let policy = "stale_while_revalidate = \"1m\"";
    let old = Answer::cached("old", "max-age=60").field("Age", "61");
    let (_origin, edge) = Edge::after(policy, vec![old, fresh()]).await;
    is_stale_hit(&edge.get("/a").await);
    edge.get_until("/a", |reply| reply.text() == "new").await.hit();
}

#[tokio::test]
async fn answers_stale_where_the_origin_errs() {
    for error in [
        Answer::status(500),
        Answer::status(502),
        Answer::status(503),
        Answer::status(504),
        Answer::closes(),
        Answer::resets(),
        Answer::raw("no HTTP at all\r\n\r\n"),
    ] {
        let (origin, edge) = Edge::after("", vec![stale("stale-if-error=600"), error]).await;
        let reply = edge.get("/a").await;
        reply.answered(200, "old");
        assert!(reply.age().expect("Age") >= 61, "{reply}");
        assert!(origin.count("/a") >= 2);
    }
}

#[tokio::test]
async fn answers_stale_where_the_origin_is_gone() {
    let (mut origin, edge) = Edge::after("", vec![stale("stale-if-error=600")]).await;
    origin.stop().await;
    edge.get("/a").await.answered(200, "old");
}

#[tokio::test]
async fn answers_stale_where_the_origin_is_silent() {
    let origin = Origin::start().await;
    origin.answers_each("/a", vec![stale("stale-if-error=600"), Answer::silent()]);
    let timeouts = "timeouts = { connect = \"1s\", first_byte = \"200ms\", read = \"1s\" }";
    let edge = Setup::before(&origin).origin(timeouts).start().await;
    edge.get("/a").await.answered(200, "old");
    edge.get("/a").await.answered(200, "old");
}

#[tokio::test]
async fn an_answer_of_the_origin_is_no_error() {
    let answers = vec![stale("stale-if-error=600"), Answer::ok("gone").code(404)];
    let (_origin, edge) = Edge::after("", answers).await;
    edge.get("/a").await.answered(404, "gone");
}

#[tokio::test]
async fn says_the_error_past_the_window() {
    let old = Answer::cached("old", "max-age=60, stale-if-error=10").field("Age", "75");
    let (_origin, edge) = Edge::after("", vec![old, Answer::ok("down").code(503)]).await;
    edge.get("/a").await.answered(503, "down");
}

#[tokio::test]
async fn says_the_error_where_stale_answers_are_forbidden() {
    let old = stale("stale-if-error=600, must-revalidate");
    let (mut origin, edge) = Edge::after("", vec![old]).await;
    origin.stop().await;
    let reply = edge.get("/a").await;
    assert!(matches!(reply.code, 502 | 504), "{reply}");
}

#[tokio::test]
async fn the_route_may_allow_stale_answers_on_errors() {
    let old = Answer::cached("old", "max-age=60").field("Age", "61");
    let answers = vec![old, Answer::status(500)];
    let (_origin, edge) = Edge::after("stale_if_error = \"1h\"", answers).await;
    edge.get("/a").await.answered(200, "old");
}

#[tokio::test]
async fn a_client_that_waits_sees_the_answer_it_waited_for() {
    let slow = fresh().taking(Duration::from_millis(50));
    let old = Answer::cached("old", "max-age=60").field("Age", "61");
    let (_origin, edge) = Edge::after("", vec![old, slow]).await;
    edge.get("/a").await.answered(200, "new");
}

#[tokio::test]
async fn revalidates_what_varies_by_the_cookie_in_the_name_of_its_client() {
    let origin = Origin::start().await;
    origin.answers_each(
        "/a",
        vec![
            stale("stale-while-revalidate=60").field("Vary", "Cookie"),
            fresh().field("Vary", "Cookie"),
        ],
    );
    let edge = Edge::before(&origin).await;
    edge.get_with("/a", "Cookie", "who=ann").await.answered(200, "old");
    edge.get_with("/a", "Cookie", "who=ann").await.answered(200, "new");
    assert_eq!(origin.last("/a").field("cookie").as_deref(), Some("who=ann"));
}
