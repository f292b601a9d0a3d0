//! Which types a policy stores, what it tells browsers, and the policies that are there unwritten.

use crate::support::{Answer, Edge, Origin, Reply, Request, Setup, in_seconds, seconds_ago};

async fn stored_with(policy: &str, answer: Answer) -> (Reply, bool) {
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, policy).await;
    let first = edge.get("/a").await;
    let second = edge.get("/a").await;
    (first, second.cache_status_value("hit").is_some())
}

#[tokio::test]
async fn only_the_types_of_a_list_are_stored() {
    let policy = "types = ['text/css', 'image/*']";
    for (kind, expected) in [
        ("text/css", true),
        ("Text/CSS; charset=utf-8", true),
        ("text/css ;charset=utf-8", true),
        ("image/svg+xml", true),
        ("text/html", false),
        ("text/css2", false),
        ("text/css, text/html", false),
        ("images/png", false),
        ("", false),
    ] {
        let answer = Answer::cached("a", "max-age=60").field("Content-Type", kind);
        let (first, is_stored) = stored_with(policy, answer).await;
        assert_eq!(is_stored, expected, "{kind}");
        let detail = first.answered(200, "a").cache_status_value("detail");
        assert_eq!(detail.as_deref() == Some("content-type"), !expected, "{kind}: {first}");
    }
}

#[tokio::test]
async fn a_type_that_is_not_told_or_told_twice_is_none_of_the_list() {
    let policy = "types = ['text/css']";
    let untold = Answer::cached("a", "max-age=60");
    assert!(!stored_with(policy, untold.clone()).await.1);
    let twice = untold.field("Content-Type", "text/css").field("Content-Type", "text/html");
    assert!(!stored_with(policy, twice).await.1);
}

#[tokio::test]
async fn every_success_has_to_be_of_the_list_and_nothing_else() {
    let policy = "types = ['text/css']";
    for (status, expected) in
        [(203, false), (201, false), (204, true), (301, true), (404, true), (410, true)]
    {
        let answer = Answer::status(status)
            .field("Cache-Control", "max-age=60")
            .field("Content-Type", "text/html");
        assert_eq!(stored_with(policy, answer).await.1, expected, "{status}");
    }
}

#[tokio::test]
async fn a_part_has_to_be_of_the_list_too() {
    for (kind, expected) in [("text/css", true), ("text/html", false)] {
        let part = Answer::cached("12", "max-age=60").code(206);
        let part = part.field("Content-Range", "bytes 0-1/4").field("Content-Type", kind);
        let origin = Origin::with("/a", part.field("ETag", "\"1\"")).await;
        let edge = Edge::with_policy(&origin, "types = ['text/css']").await;
        edge.get_with("/a", "Range", "bytes=0-1").await.answered(206, "12");
        let again = edge.get_with("/a", "Range", "bytes=0-1").await;
        let is_hit = again.answered(206, "12").cache_status_value("hit").is_some();
        assert_eq!(is_hit, expected, "{kind}");
    }
}

#[tokio::test]
async fn browsers_are_told_how_long_they_may_keep_an_answer() {
    let answer = Answer::cached("a", "public, max-age=3600, must-revalidate")
        .field("Expires", &in_seconds(3600))
        .field("ETag", "\"1\"")
        .field("Age", "100");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, "browser_ttl = '1m'").await;
    for _ in 0..2 {
        let reply = edge.get("/a").await;
        let told = format!("public, must-revalidate, max-age={}", 60 + reply.age().unwrap());
        reply.answered(200, "a").has("cache-control", &told).lacks("expires");
    }
    // The edge itself keeps it for as long as the origin says.
    let reply = edge.get_with("/a", "If-None-Match", "\"1\"").await;
    let ttl: u64 = reply.cache_status_value("ttl").unwrap().parse().unwrap();
    assert!((3400..=3500).contains(&ttl), "{reply}");
    let told = format!("public, must-revalidate, max-age={}", 60 + reply.age().unwrap());
    reply.status(304).hit().has("cache-control", &told).lacks("expires");
}

#[tokio::test]
async fn browsers_are_told_so_where_the_origin_says_nothing() {
    let policy = "browser_ttl = '1m'\nttl = '1h'";
    let (reply, is_stored) = stored_with(policy, Answer::ok("a")).await;
    reply.answered(200, "a").has("cache-control", "max-age=60");
    assert!(is_stored);
}

#[tokio::test]
async fn what_is_not_for_browsers_to_keep_stays_as_it_is() {
    for said in ["private, max-age=9", "no-store", "no-cache", "max-age=9, immutable"] {
        let answer = Answer::cached("a", said)
            .field("CDN-Cache-Control", "max-age=60")
            .field("Expires", &seconds_ago(9));
        let origin = Origin::with("/a", answer).await;
        let edge = Edge::with_policy(&origin, "browser_ttl = '1m'").await;
        for _ in 0..2 {
            let reply = edge.get("/a").await;
            assert!(reply.answered(200, "a").field("expires").is_some(), "{said}");
            reply.has("cache-control", said);
        }
    }
}

#[tokio::test]
async fn errors_and_what_is_not_stored_stay_as_they_are() {
    let error = Answer::cached("a", "max-age=9").code(404);
    let cookie = Answer::cached("a", "max-age=9").field("Set-Cookie", "sid=1");
    for answer in [error, cookie] {
        let (reply, _) = stored_with("browser_ttl = '1m'", answer).await;
        reply.has("cache-control", "max-age=9");
    }
}

/// An edge with the policy `preset`, before an origin that answers with the cookies it was sent.
async fn with_preset(preset: &str) -> (Origin, Edge) {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| Answer::ok(&request.field("cookie").unwrap_or_default()));
    let route = format!(
        "[[routes]]
        name = 'all'
        match = {{ path = '/**' }}
        origin = 'api'
        policy = '{preset}'"
    );
    let edge = Setup::before(&origin).only_these_routes().table(&route).start().await;
    (origin, edge)
}

#[tokio::test]
async fn the_policy_api_answers_nobody_with_a_cookie_or_credentials_from_the_cache() {
    let (origin, edge) = with_preset("api").await;
    edge.get("/a").await.answered(200, "");
    edge.get("/a").await.answered(200, "").hit();
    for (name, value) in [("Cookie", "a=1"), ("Cookie", "b"), ("Authorization", "Basic eA==")] {
        let reply = edge.get_with("/a", name, value).await;
        reply.cache_status("forebay; fwd=bypass; detail=bypass-if");
        let seen = origin.last("/a").field(name);
        assert_eq!(seen.as_deref(), Some(value));
    }
    // A field without a cookie in it is none.
    edge.get_with("/a", "Cookie", ";").await.answered(200, "").hit();
}

#[tokio::test]
async fn the_policies_of_files_and_reference_data_keep_cookies_from_the_origin() {
    for preset in ["static", "reference"] {
        let (origin, edge) = with_preset(preset).await;
        edge.get_with("/a", "Cookie", "sid=1").await.answered(200, "");
        edge.get("/a").await.answered(200, "").hit();
        let with_credentials = Request::get("/a").field("Authorization", "Basic eA==");
        let reply = edge.send(&with_credentials.field("Cookie", "sid=2")).await;
        reply.answered(200, "sid=2").cache_status("forebay; fwd=bypass; detail=bypass-if");
        assert_eq!(origin.count("/a"), 2, "{preset}");
    }
}

#[tokio::test]
async fn the_policy_session_stores_nothing() {
    let (origin, edge) = with_preset("session").await;
    for _ in 0..2 {
        edge.get_with("/a", "Cookie", "sid=1").await.answered(200, "sid=1");
    }
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn cookies_of_a_pattern_bypass_the_cache() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::with_policy(&origin, "bypass_if = { cookies = ['wp_*_in'] }").await;
    edge.get("/a").await.answered(200, "a");
    edge.get_with("/a", "Cookie", "wp_in=1; a=wp_x_in").await.hit();
    for cookies in ["wp_x_in=1", "a=1; wp_x_in", "a=1;wp_x_in =2", "a=1, wp.x.in=2"] {
        let reply = edge.get_with("/a", "Cookie", cookies).await;
        reply.cache_status("forebay; fwd=bypass; detail=bypass-if");
    }
}
