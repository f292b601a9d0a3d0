//! What the origin gets of a request.

use crate::support::{Answer, Edge, Origin, Received, Request};

/// What the origin gets of it.
async fn received(request: &Request) -> Received {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let edge = Edge::before(&origin).await;
    edge.send(request).await.answered(200, "a");
    origin.last("/a")
}

#[tokio::test]
async fn says_to_the_origin_that_it_passed_through() {
    let plain = received(&Request::get("/a")).await;
    assert_eq!(plain.field("via").as_deref(), Some("1.1 forebay"));
    let after_another = received(&Request::get("/a").field("Via", "1.0 front")).await;
    assert_eq!(after_another.field("via").as_deref(), Some("1.0 front, 1.1 forebay"));
}

#[tokio::test]
async fn the_target_arrives_as_it_was_asked_for() {
    for target in ["/a", "/a?b=1&a=2", "/a?q=%C3%A9+x&empty=", "/a?x=/../y"] {
        assert_eq!(received(&Request::get(target)).await.target, target);
    }
}

#[tokio::test]
async fn the_host_arrives_as_it_was_asked_for() {
    let received = received(&Request::get("/a").host("shop.test:8080")).await;
    assert_eq!(received.field("host").as_deref(), Some("shop.test:8080"));
}

#[tokio::test]
async fn every_method_arrives() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"] {
        let received = received(&Request::new(method, "/a").body("x")).await;
        assert_eq!((received.method.as_str(), &*received.body), (method, &b"x"[..]));
    }
}

#[tokio::test]
async fn a_change_names_the_tag_that_the_origin_knows_too() {
    let seen = |tag: &str| Request::new("PUT", "/a").field("If-Match", tag).body("x");
    let coded = received(&seen("\"v1-br\"")).await;
    assert_eq!(coded.field("if-match").as_deref(), Some("\"v1-br\", \"v1\""));
    let plain = received(&seen("\"v1\"")).await;
    assert_eq!(plain.field("if-match").as_deref(), Some("\"v1\""));
}

#[tokio::test]
async fn fields_of_one_hop_do_not_arrive() {
    let request = Request::get("/a")
        .field("Connection", "x-hop, keep-alive")
        .field("X-Hop", "1")
        .field("Keep-Alive", "timeout=5")
        .field("Proxy-Connection", "keep-alive")
        .field("TE", "gzip")
        .field("X-Kept", "1");
    let received = received(&request).await;
    for name in ["x-hop", "keep-alive", "proxy-connection", "te"] {
        assert_eq!(received.field(name), None, "{name}: {received:?}");
    }
    assert_eq!(received.field("x-kept").as_deref(), Some("1"));
}

#[tokio::test]
async fn lines_of_one_name_stay_in_order() {
    let request = Request::get("/a").field("X-A", "1").field("X-A", "2").field("X-A", "3");
    assert_eq!(received(&request).await.field("x-a").as_deref(), Some("1, 2, 3"));
}

#[tokio::test]
async fn connections_to_the_origin_are_used_again() {
    let origin = Origin::with("/a", Answer::cached("a", "no-store")).await;
    let edge = Edge::before(&origin).await;
    for _ in 0..5 {
        edge.get("/a").await.answered(200, "a");
    }
    assert!(origin.requests("/a").iter().all(|request| request.connection == 0));
}
