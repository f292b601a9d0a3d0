//! What is stored, and what never is (RFC 9111 section 3).

use crate::support::{Answer, Edge, Origin, Request, Setup};

/// Asks twice; says whether the second came from the cache.
async fn is_stored(policy: &str, request: &Request, answer: Answer) -> bool {
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, policy).await;
    edge.send(request).await;
    let reply = edge.send(request).await;
    let hit = reply.cache_status_value("hit").is_some();
    assert_eq!(origin.count("/a"), if hit { 1 } else { 2 }, "{reply}");
    hit
}

async fn plainly_stored(answer: Answer) -> bool {
    is_stored("", &Request::get("/a"), answer).await
}

#[tokio::test]
async fn private_and_no_store_are_never_stored() {
    for directive in ["private", "no-store", "max-age=60, Private", "no-store, s-maxage=60"] {
        assert!(!plainly_stored(Answer::cached("a", directive)).await, "{directive}");
    }
}

#[tokio::test]
async fn an_answer_with_a_cookie_is_not_stored() {
    let answer = Answer::cached("a", "public, max-age=60").field("Set-Cookie", "sid=1");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    for _ in 0..2 {
        let reply = edge.get("/a").await;
        reply.answered(200, "a").has("set-cookie", "sid=1");
        assert_eq!(reply.cache_status_value("stored"), None, "{reply}");
    }
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_cookie_is_stripped_where_the_route_says_so() {
    let answer = Answer::cached("a", "max-age=60").field("Set-Cookie", "sid=1");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, "set_cookie = \"strip\"").await;
    edge.get("/a").await.answered(200, "a");
    edge.get("/a").await.answered(200, "a").lacks("set-cookie").hit();
}

#[tokio::test]
async fn a_cookie_is_stored_where_the_route_says_so() {
    let answer = Answer::cached("a", "max-age=60").field("Set-Cookie", "theme=dark");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, "set_cookie = \"store\"").await;
    edge.get("/a").await.has("set-cookie", "theme=dark");
    edge.get("/a").await.has("set-cookie", "theme=dark").hit();
}

#[tokio::test]
async fn several_cookies_stay_several_lines() {
    let answer = Answer::ok("a").field("Set-Cookie", "a=1").field("Set-Cookie", "b=2");
    let origin = Origin::with("/a", answer).await;
    let reply = Edge::before(&origin).await.get("/a").await;
    assert_eq!(reply.values("set-cookie"), ["a=1", "b=2"]);
}

#[tokio::test]
async fn an_authorized_answer_is_stored_only_where_it_says_it_may() {
    let request = Request::get("/a").field("Authorization", "Bearer x");
    for (directive, stored) in [
        ("max-age=60", false),
        ("public, max-age=60", true),
        ("s-maxage=60", true),
        ("must-revalidate, max-age=60", true),
    ] {
        let answer = Answer::cached("a", directive);
        assert_eq!(is_stored("", &request, answer).await, stored, "{directive}");
    }
}

#[tokio::test]
async fn must_understand_stores_what_is_understood() {
    let directive = "must-understand, no-store, max-age=60";
    assert!(plainly_stored(Answer::cached("a", directive)).await);
    assert!(!plainly_stored(Answer::cached("a", directive).code(299)).await);
}

#[tokio::test]
async fn an_error_with_a_lifetime_is_stored() {
    assert!(plainly_stored(Answer::cached("a", "max-age=60").code(404)).await);
    assert!(!plainly_stored(Answer::ok("a").code(500)).await);
}

#[tokio::test]
async fn an_answer_to_post_is_not_given_to_get() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    let posted = edge.send(&Request::new("POST", "/a").body("x")).await;
    posted.answered(200, "a").cache_status("forebay; fwd=method");
    edge.get("/a").await.cache_status("forebay; fwd=uri-miss; stored");
}

#[tokio::test]
async fn an_answer_to_post_that_names_its_place_is_given_to_get() {
    let answer = Answer::cached("a", "max-age=60").field("Content-Location", "/a");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    edge.send(&Request::new("POST", "/a").body("x")).await.answered(200, "a");
    edge.get("/a").await.answered(200, "a").hit();
}

#[tokio::test]
async fn head_is_answered_from_a_stored_get() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await;
    let reply = edge.send(&Request::new("HEAD", "/a")).await;
    reply.answered(200, "").has("content-length", "5").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn an_answer_to_head_is_not_given_to_get() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    edge.send(&Request::new("HEAD", "/a")).await.answered(200, "");
    edge.get("/a").await.answered(200, "hello");
}

#[tokio::test]
async fn fields_of_one_hop_are_neither_sent_on_nor_stored() {
    let answer = Answer::cached("a", "max-age=60")
        .field("Connection", "x-hop")
        .field("X-Hop", "1")
        .field("Keep-Alive", "timeout=5")
        .field("Proxy-Authenticate", "Basic")
        .field("X-Kept", "1");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    for _ in 0..2 {
        let reply = edge.get("/a").await;
        reply.has("x-kept", "1").lacks("x-hop");
    }
    edge.get("/a").await.lacks("proxy-authenticate").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn says_that_it_passed_through() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    for _ in 0..2 {
        edge.get("/a").await.has("via", "1.1 forebay");
    }
}

#[tokio::test]
async fn a_chunked_answer_is_stored_whole() {
    let answer = Answer::chunked(&["one ", "two ", "three"]).field("Cache-Control", "max-age=60");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "one two three");
    edge.get("/a").await.answered(200, "one two three").hit();
}

#[tokio::test]
async fn a_large_answer_is_stored_whole() {
    let body = "0123456789".repeat(100_000);
    let origin = Origin::with("/a", Answer::cached(&body, "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, &body);
    edge.get("/a").await.answered(200, &body).hit();
}

#[tokio::test]
async fn an_oversized_answer_passes_through_unstored() {
    let body = "x".repeat(10_000);
    for answer in [Answer::ok(&body), Answer::chunked(&[&body, &body])] {
        let origin = Origin::with("/a", answer.field("Cache-Control", "max-age=60")).await;
        let setup = Setup::before(&origin).cache("memory = \"1MiB\"\nmax_object = \"5KiB\"");
        let edge = setup.start().await;
        for _ in 0..2 {
            let reply = edge.get("/a").await;
            reply.status(200);
            assert!(reply.whole && reply.bytes.len() >= 10_000, "{reply}");
        }
        assert_eq!(origin.count("/a"), 2);
    }
}

#[tokio::test]
async fn the_memory_stays_within_its_bound() {
    let origin = Origin::start().await;
    let body = "x".repeat(100_000);
    let setup = Setup::before(&origin).cache("memory = \"1MiB\"\nmax_object = \"512KiB\"");
    let edge = setup.start().await;
    for number in 0..40 {
        let path = format!("/{number}");
        origin.answers(&path, Answer::cached(&body, "max-age=60"));
        edge.get(&path).await.answered(200, &body);
    }
    let mut hits = 0;
    for number in 0..40 {
        let reply = edge.get_with(&format!("/{number}"), "Cache-Control", "only-if-cached").await;
        hits += usize::from(reply.code == 200);
    }
    assert!(hits <= 11, "{hits} answers of 100 kB in 1 MiB");
}

#[tokio::test]
async fn a_bypassed_route_stores_nothing() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::with_policy(&origin, "strategy = \"bypass\"").await;
    for _ in 0..2 {
        edge.get("/a").await.answered(200, "a").cache_status("forebay; fwd=bypass");
    }
    assert_eq!(origin.count("/a"), 2);
}
