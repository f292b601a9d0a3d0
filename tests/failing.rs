//! Origins that fail, and what clients see of it.

use crate::support::{Answer, Edge, Gate, Origin, Reply, Request, Setup};

#[track_caller]
fn is_error(reply: &Reply, codes: &[u16]) {
    assert!(codes.contains(&reply.code), "one of {codes:?} expected: {reply}");
    assert!(reply.whole && reply.bytes.len() < 1000, "a short whole body expected: {reply}");
    assert!(reply.cache_status_value("fwd").is_some(), "Cache-Status expected: {reply}");
    assert_eq!(reply.cache_status_value("stored"), None, "{reply}");
}

/// The reply to an answer that is none, and the reply once the origin is sound again.
async fn after(answer: Answer, codes: &[u16]) {
    let origin = Origin::with("/a", answer).await;
    let timeouts = "timeouts = { connect = \"1s\", first_byte = \"300ms\", read = \"300ms\" }";
    let edge = Setup::before(&origin).origin(timeouts).start().await;
    is_error(&edge.get("/a").await, codes);
    origin.answers("/a", Answer::cached("sound", "max-age=60"));
    edge.get("/a").await.answered(200, "sound");
}

#[tokio::test]
async fn an_origin_that_refuses_is_a_502() {
    let mut origin = Origin::start().await;
    origin.stop().await;
    let edge = Edge::before(&origin).await;
    is_error(&edge.get("/a").await, &[502]);
}

#[tokio::test]
async fn an_origin_that_says_nothing_is_a_504() {
    after(Answer::silent(), &[504]).await;
}

#[tokio::test]
async fn an_origin_that_hangs_up_is_a_502() {
    after(Answer::closes(), &[502]).await;
    after(Answer::resets(), &[502]).await;
}

#[tokio::test]
async fn an_origin_that_does_not_speak_http_is_a_502() {
    for garbage in [
        "garbage\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno colon\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        after(Answer::raw(garbage), &[502]).await;
    }
}

#[tokio::test]
async fn a_body_cut_off_is_never_stored_as_whole() {
    let chunked = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n";
    for cut in [Answer::cut(10, "hello"), Answer::reset(10, "hello"), Answer::raw(chunked)] {
        let origin = Origin::start().await;
        let sound = Answer::cached("hello, all", "max-age=60");
        origin.answers_each("/a", vec![cut.field("Cache-Control", "max-age=60"), sound]);
        let edge = Edge::before(&origin).await;
        let reply = edge.get("/a").await;
        // Either the client sees that it was cut, or it was fetched anew in time.
        let retried = reply.code == 200 && reply.whole && reply.text() == "hello, all";
        assert!(!reply.whole || reply.code == 502 || retried, "{reply}");
        edge.get("/a").await.answered(200, "hello, all");
    }
}

#[tokio::test]
async fn a_body_that_stops_is_never_stored_as_whole() {
    let origin = Origin::start().await;
    let never = Gate::closed();
    let stuck = Answer::held("hello", &never, ", all").field("Cache-Control", "max-age=60");
    origin.answers_each("/a", vec![stuck, Answer::cached("hello, all", "max-age=60")]);
    let timeouts = "timeouts = { connect = \"1s\", first_byte = \"1s\", read = \"300ms\" }";
    let edge = Setup::before(&origin).origin(timeouts).start().await;
    assert!(!edge.get("/a").await.whole);
    edge.get("/a").await.answered(200, "hello, all");
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_whole() {
    let answer = Answer::until_close("hello").field("Cache-Control", "max-age=60");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "hello");
    edge.get("/a").await.answered(200, "hello");
}

#[tokio::test]
async fn bytes_beyond_the_length_do_not_reach_anybody() {
    let origin = Origin::start().await;
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\n";
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    origin.answers("/a", Answer::raw_kept(format!("{head}hello{extra}")));
    origin.answers("/b", Answer::ok("b"));
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "hello");
    edge.get("/b").await.answered(200, "b");
    edge.get("/a").await.answered(200, "hello");
}

#[tokio::test]
async fn an_endless_body_streams_through() {
    let answer = Answer::endless().field("Cache-Control", "max-age=60");
    let origin = Origin::with("/a", answer).await;
    origin.answers("/b", Answer::ok("b"));
    let setup = Setup::before(&origin).cache("memory = \"2MiB\"\nmax_object = \"1MiB\"");
    let edge = setup.start().await;
    let mut connection = edge.connect().await;
    connection.send(Request::get("/a").http1()).await;
    connection.head().await.status(200);
    let bytes = connection.bytes(8 * 1024 * 1024).await;
    assert!(bytes.iter().filter(|byte| **byte == b'x').count() > 7 * 1024 * 1024);
    drop(connection);
    edge.get("/b").await.answered(200, "b");
}

#[tokio::test]
async fn a_connection_that_the_origin_has_closed_is_replaced() {
    let origin = Origin::start().await;
    let kept = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 1\r\n\r\na";
    // It promises to stay by saying nothing, and goes.
    origin.answers("/a", Answer::raw(kept));
    let edge = Edge::before(&origin).await;
    for _ in 0..5 {
        edge.get("/a").await.answered(200, "a");
    }
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let origin = Origin::with("/a", Answer::closes()).await;
    let edge = Edge::before(&origin).await;
    is_error(&edge.send(&Request::new("POST", "/a").body("x")).await, &[502]);
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn an_error_of_the_origin_passes_through() {
    let origin = Origin::with("/a", Answer::ok("its own words").code(503)).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(503, "its own words");
    edge.get("/a").await.answered(503, "its own words");
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_host_without_a_route_is_not_forwarded() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let route = "[[routes]]\nname = \"one\"\nmatch = { path = \"/a\", host = \"one.test\" }\n\
                 origin = \"api\"\npolicy = \"all\"\n";
    let edge = Setup::before(&origin).table(route).only_these_routes().start().await;
    edge.send(&Request::get("/a").host("one.test")).await.answered(200, "a");
    let reply = edge.send(&Request::get("/a").host("two.test")).await;
    assert!(matches!(reply.code, 404 | 421), "{reply}");
    assert_eq!(origin.count("/a"), 1);
}
