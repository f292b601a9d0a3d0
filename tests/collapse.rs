//! Many requests for one key, one forward.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::{Answer, Edge, Gate, Http2, Origin, Reply, Request};

/// As long as a slow origin takes; the crowd has come by then.
const SLOW: Duration = Duration::from_millis(200);

/// Sends so many requests at once, each over a connection of its own.
async fn crowd(edge: &Edge, count: usize, request: impl Fn(usize) -> Request) -> Vec<Reply> {
    let mut connections = Vec::new();
    for number in 0..count {
        let mut connection = edge.connect().await;
        connection.send(request(number).http1()).await;
        connections.push(connection);
    }
    let mut replies = Vec::new();
    for mut connection in connections {
        replies.push(connection.reply("GET").await);
    }
    replies
}

#[tokio::test]
async fn a_thousand_requests_for_a_cold_url_reach_the_origin_once() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60").taking(SLOW)).await;
    let edge = Edge::before(&origin).await;
    let mut replies = JoinSet::new();
    for _ in 0..20 {
        let connection = Http2::open(&edge).await;
        for _ in 0..50 {
            let connection = connection.clone();
            replies.spawn(async move { connection.get("/a").await });
        }
    }
    let replies = replies.join_all().await;
    assert_eq!(replies.len(), 1000);
    for reply in replies {
        reply.answered(200, "hello");
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn says_who_waited_for_the_forward_of_another() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60").taking(SLOW)).await;
    let edge = Edge::before(&origin).await;
    let replies = crowd(&edge, 20, |_| Request::get("/a")).await;
    assert_eq!(origin.count("/a"), 1);
    let collapsed = |reply: &&Reply| reply.cache_status_value("collapsed").is_some();
    assert_eq!(replies.iter().filter(collapsed).count(), 19, "all but the first");
    for reply in &replies {
        assert_eq!(reply.cache_status_value("fwd").as_deref(), Some("uri-miss"), "{reply}");
    }
}

#[tokio::test]
async fn waiters_get_the_body_while_it_arrives() {
    let gate = Gate::closed();
    let answer = Answer::held("first", &gate, " second").field("Cache-Control", "max-age=60");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    let mut connections = [edge.connect().await, edge.connect().await];
    for connection in &mut connections {
        connection.send(Request::get("/a").http1()).await;
        connection.head().await.status(200).has("content-length", "12");
        assert_eq!(connection.bytes(5).await, b"first");
    }
    gate.open();
    for connection in &mut connections {
        assert_eq!(connection.bytes(7).await, b" second");
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn d08_waiters_never_get_a_private_answer() {
    let origin = Origin::start().await;
    for (path, directive) in [("/private", "private, max-age=60"), ("/no-store", "no-store")] {
        origin.answers_by(path, move |request| {
            let user = request.field("x-user").expect("each request names its user");
            Answer::cached(&format!("for {user}"), directive).taking(SLOW)
        });
        let edge = Edge::before(&origin).await;
        let as_user = |number: usize| Request::get(path).field("X-User", &number.to_string());
        let replies = crowd(&edge, 20, as_user).await;
        for (number, reply) in replies.iter().enumerate() {
            reply.answered(200, &format!("for {number}"));
        }
        assert_eq!(origin.count(path), 20);
    }
}

#[tokio::test]
async fn d08_waiters_never_get_an_answer_with_a_cookie() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let cookie = format!("sid={}", request.field("x-user").expect("each names its user"));
        Answer::cached("a", "max-age=60").field("Set-Cookie", &cookie).taking(SLOW)
    });
    let edge = Edge::before(&origin).await;
    let as_user = |number: usize| Request::get("/a").field("X-User", &number.to_string());
    for (number, reply) in crowd(&edge, 20, as_user).await.iter().enumerate() {
        reply.has("set-cookie", &format!("sid={number}"));
    }
}

#[tokio::test]
async fn e14_requests_for_what_is_never_stored_do_not_queue() {
    let origin = Origin::with("/a", Answer::cached("a", "no-store").taking(SLOW)).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await;
    for reply in crowd(&edge, 20, |_| Request::get("/a")).await {
        reply.answered(200, "a");
    }
    assert!(origin.most_at_once("/a") >= 10, "{} at once", origin.most_at_once("/a"));
}

#[tokio::test]
async fn variants_are_not_collapsed_into_one() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let language = request.field("accept-language").expect("each names its language");
        let answer = Answer::cached(&language, "max-age=60").field("Vary", "Accept-Language");
        answer.taking(SLOW)
    });
    let edge = Edge::before(&origin).await;
    let language = |number: usize| ["en", "de", "fr"][number % 3];
    let request = |number| Request::get("/a").field("Accept-Language", language(number));
    for (number, reply) in crowd(&edge, 12, request).await.iter().enumerate() {
        reply.answered(200, language(number));
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_take_the_answer_with_it() {
    let gate = Gate::closed();
    let answer = Answer::held("first", &gate, " second").field("Cache-Control", "max-age=60");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    let mut leaving = edge.connect().await;
    leaving.send(Request::get("/a").http1()).await;
    leaving.head().await.status(200);
    let mut waiting = edge.connect().await;
    waiting.send(Request::get("/a").http1()).await;
    waiting.head().await.status(200);
    drop(leaving);
    assert_eq!(waiting.bytes(5).await, b"first");
    gate.open();
    assert_eq!(waiting.bytes(7).await, b" second");
}

#[tokio::test]
async fn waiters_are_answered_where_the_first_forward_fails() {
    let origin = Origin::start().await;
    let failing = Answer::cut(10, "hello").field("Cache-Control", "max-age=60").taking(SLOW);
    let sound = Answer::cached("hello", "max-age=60");
    origin.answers_each("/a", vec![failing, sound]);
    let edge = Edge::before(&origin).await;
    // Each gets an end: the whole, the first part cut off, or an error.
    for reply in crowd(&edge, 10, |_| Request::get("/a")).await {
        let whole = reply.whole && reply.code == 200;
        assert!(!whole || reply.text() == "hello", "{reply}");
    }
    edge.get("/a").await.answered(200, "hello");
}

#[tokio::test]
async fn posts_are_never_collapsed() {
    let origin = Origin::with("/a", Answer::ok("done").taking(SLOW)).await;
    let edge = Edge::before(&origin).await;
    for reply in crowd(&edge, 5, |_| Request::new("POST", "/a").body("x")).await {
        reply.answered(200, "done");
    }
    assert_eq!(origin.count("/a"), 5);
}

#[tokio::test]
async fn a_crowd_shares_the_failure_of_its_origin() {
    let origin = Origin::with("/a", Answer::ok("no").code(503).taking(SLOW)).await;
    let edge = Edge::before(&origin).await;
    let replies = crowd(&edge, 50, |_| Request::get("/a")).await;
    for reply in &replies {
        reply.status(503);
    }
    assert_eq!(origin.count("/a"), 1);
    // What the origin said to one is not for the others.
    assert_eq!(replies.iter().filter(|reply| reply.text() == "no").count(), 1);
}

#[tokio::test]
async fn a_range_that_is_not_there_does_not_part_the_crowd() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("range") {
        Some(_) => Answer::status(416).field("Content-Range", "bytes */1"),
        None => Answer::cached("a", "max-age=60").taking(SLOW),
    });
    let edge = Edge::before(&origin).await;
    edge.get_with("/a", "Range", "bytes=9-").await.status(416);
    for reply in crowd(&edge, 20, |_| Request::get("/a")).await {
        reply.answered(200, "a");
    }
    assert_eq!(origin.count("/a"), 2);
}
