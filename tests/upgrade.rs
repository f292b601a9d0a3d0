//! Protocols and heads beside request and answer: upgrades, 1xx, streamed bodies.

use crate::support::{Answer, Edge, Gate, Origin, Request};

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn websocket(path: &str) -> Request {
    let request = Request::get(path).field("Connection", "Upgrade").field("Upgrade", "websocket");
    let key = request.field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    key.field("Sec-WebSocket-Version", "13")
}

#[tokio::test]
async fn a_websocket_passes_through() {
    let origin = Origin::with("/ws", Answer::raw_then_echo(SWITCHED)).await;
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    connection.send(websocket("/ws").http1()).await;
    connection.head().await.status(101).has("upgrade", "websocket");
    for message in ["ping", "\x01\x02\0\x7f", "GET / HTTP/1.1\r\n\r\n"] {
        connection.send(message).await;
        assert_eq!(connection.bytes(message.len()).await, message.as_bytes());
    }
    assert_eq!(origin.last("/ws").field("upgrade").as_deref(), Some("websocket"));
    assert_eq!(origin.all().len(), 1);
}

#[tokio::test]
async fn an_upgrade_that_the_origin_declines_is_an_ordinary_answer() {
    let origin = Origin::with("/ws", Answer::ok("no").code(426)).await;
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    connection.request(&websocket("/ws")).await.answered(426, "no");
}

#[tokio::test]
async fn a10_bytes_after_an_upgrade_wait_for_the_101() {
    let origin = Origin::with("/ws", Answer::ok("no upgrade")).await;
    origin.answers("/a", Answer::cached("a", "max-age=60"));
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    let mut connection = edge.connect().await;
    let mut bytes = websocket("/ws").http1();
    bytes.extend(Request::get("/a").http1());
    connection.send(bytes).await;
    connection.reply("GET").await.answered(200, "no upgrade");
    // The second request is ours to answer, or nobody's.
    if let Some(reply) = connection.next_reply("GET").await {
        reply.answered(200, "a").hit();
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn early_hints_are_forwarded() {
    let link = "Link: </a.css>; rel=preload\r\n";
    let answer = Answer::cached("a", "max-age=60").after_interim(103, link);
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    let reply = edge.get("/a").await;
    reply.answered(200, "a").lacks("link");
    let hints: Vec<_> = reply.interim.iter().filter(|interim| interim.0 == 103).collect();
    assert_eq!(hints.len(), 1, "{reply}");
    let link = |line: &(String, String)| line.0.eq_ignore_ascii_case("link");
    assert!(hints[0].1.iter().any(link), "{:?}", hints[0].1);
}

#[tokio::test]
async fn b21_early_hints_are_not_merged_into_the_stored_head() {
    let answer = Answer::cached("a", "max-age=60").after_interim(103, "X-Hint: 1\r\n");
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await;
    edge.get("/a").await.answered(200, "a").lacks("x-hint").hit();
}

#[tokio::test]
async fn early_hints_arrive_before_the_answer() {
    let gate = Gate::closed();
    let answer = Answer::ok("a").after_interim(103, "Link: </a.css>\r\n").when_open(&gate);
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    connection.send(Request::get("/a").http1()).await;
    assert_eq!(connection.interim().await.0, 103);
    gate.open();
    connection.reply("GET").await.answered(200, "a");
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it() {
    let origin = Origin::with("/a", Answer::ok("done")).await;
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    let head =
        "POST /a HTTP/1.1\r\nHost: edge.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    connection.send(head).await;
    assert_eq!(connection.interim().await.0, 100);
    connection.send("hello").await;
    connection.reply("POST").await.answered(200, "done");
    assert_eq!(origin.last("/a").body, b"hello");
}

#[tokio::test]
async fn request_bodies_stream() {
    let origin = Origin::with("/a", Answer::ok("done")).await;
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    let head = "POST /a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(format!("{head}5\r\nfirst\r\n")).await;
    origin.has_read("/a", b"first").await;
    connection.send("7\r\n second\r\n0\r\n\r\n").await;
    connection.reply("POST").await.answered(200, "done");
    assert_eq!(origin.last("/a").body, b"first second");
}

#[tokio::test]
async fn a_large_request_body_arrives_whole() {
    let origin = Origin::with("/a", Answer::ok("done")).await;
    let edge = Edge::before(&origin).await;
    let body = "0123456789".repeat(200_000);
    edge.send(&Request::new("PUT", "/a").body(&body)).await.answered(200, "done");
    assert_eq!(origin.last("/a").body, body.as_bytes());
}

#[tokio::test]
async fn answers_stream() {
    let gate = Gate::closed();
    let origin = Origin::with("/a", Answer::held("first", &gate, " second")).await;
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    connection.send(Request::get("/a").http1()).await;
    connection.head().await.status(200);
    assert_eq!(connection.bytes(5).await, b"first");
    gate.open();
    assert_eq!(connection.bytes(7).await, b" second");
}

#[tokio::test]
async fn trailers_do_not_become_fields() {
    let answer = Answer::chunked_with_trailers(&["a"], "X-Sum: 1\r\nSet-Cookie: sid=1\r\n");
    let origin = Origin::with("/a", answer.field("Cache-Control", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    for _ in 0..2 {
        edge.get("/a").await.answered(200, "a").lacks("x-sum").lacks("set-cookie");
    }
}

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    origin.answers("/b", Answer::cached("b", "no-store"));
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    for _ in 0..3 {
        connection.request(&Request::get("/a")).await.answered(200, "a");
        connection.request(&Request::new("HEAD", "/a")).await.answered(200, "");
        connection.request(&Request::get("/b")).await.answered(200, "b");
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_order() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    origin.answers("/b", Answer::cached("b", "no-store"));
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    connection.send([Request::get("/a").http1(), Request::get("/b").http1()].concat()).await;
    connection.reply("GET").await.answered(200, "a");
    connection.reply("GET").await.answered(200, "b");
}

#[tokio::test]
async fn a_client_that_sends_no_more_still_gets_its_answer() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    origin.answers("/b", Answer::cached("b", "no-store"));
    let edge = Edge::before(&origin).await;
    let requests = [Request::get("/a"), Request::get("/b"), Request::new("POST", "/b").body("x")];
    for (request, body) in requests.iter().zip(["a", "b", "b"]) {
        let mut connection = edge.connect().await;
        connection.send(request.http1()).await;
        connection.send_no_more().await;
        connection.reply("GET").await.answered(200, body);
    }
}

#[tokio::test]
async fn an_offer_of_h2c_keeps_nobody_from_the_cache() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    let offer = Request::get("/a").field("Connection", "Upgrade, HTTP2-Settings");
    let offer = offer.field("Upgrade", "h2c").field("HTTP2-Settings", "AAMAAABkAAQAAP__");
    edge.send(&offer).await.answered(200, "a").hit();
}

#[tokio::test]
async fn what_is_passed_on_goes_out_as_it_comes_in() {
    let gate = Gate::closed();
    let origin = Origin::with("/a", Answer::held("first", &gate, " second")).await;
    let edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    connection.send(Request::new("POST", "/a").body("x").http1()).await;
    connection.head().await.status(200);
    assert_eq!(connection.bytes(5).await, b"first");
    gate.open();
    assert_eq!(connection.bytes(7).await, b" second");
}
