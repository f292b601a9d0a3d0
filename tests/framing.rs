//! Where one message ends and the next begins. The ids name the attack cases.

use crate::support::{Answer, Connection, Edge, Origin, Reply, Request};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: edge.test\r\n\r\n";

async fn edge() -> (Origin, Edge) {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    origin.answers("/smuggled", Answer::ok("smuggled"));
    let edge = Edge::before(&origin).await;
    (origin, edge)
}

/// Sends the bytes over a connection of their own and reads the first answer.
async fn first_reply(edge: &Edge, bytes: &[u8]) -> (Connection, Option<Reply>) {
    let mut connection = edge.connect().await;
    connection.send(bytes).await;
    let reply = connection.next_reply("GET").await;
    (connection, reply)
}

/// What an edge may do after it has refused a message.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// Where the message ends is in doubt, so nothing more may be read.
    Ends,
    /// The message was well framed.
    MayGoOn,
}

/// What is wrong with how the edge treats a message that it must refuse, if anything.
async fn fault(message: &[u8], then: Then) -> Option<String> {
    let (origin, edge) = edge().await;
    let (mut connection, reply) = first_reply(&edge, message).await;
    let ends = match &reply {
        Some(_) if then == Then::Ends => connection.is_closed().await,
        Some(_) | None => true,
    };
    let code = reply.map(|reply| reply.code);
    let seen = origin.all();
    let refused = code.is_none_or(|code| (400..=505).contains(&code));
    if refused && ends && seen.is_empty() {
        return None;
    }
    let shown = String::from_utf8_lossy(message.get(..150).unwrap_or(message));
    let seen: Vec<_> = seen.iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
    let seen: Vec<_> = seen.iter().map(|seen| seen.get(..80).unwrap_or(seen)).collect();
    Some(format!("{shown:?}: status {code:?}, ends: {ends}, origin saw {seen:?}"))
}

/// Each message must be refused; all faults are told at once.
async fn none_passes(messages: impl IntoIterator<Item = String>, then: Then) {
    let mut faults = Vec::new();
    for message in messages {
        faults.extend(fault(message.as_bytes(), then).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Each must be refused, and with it what follows on the connection.
async fn all_refused(messages: impl IntoIterator<Item = String>) {
    none_passes(messages.into_iter().map(|message| message + SMUGGLED), Then::Ends).await;
}

/// Each must be refused; the connection may go on.
async fn all_errors(messages: impl IntoIterator<Item = String>) {
    none_passes(messages, Then::MayGoOn).await;
}

async fn refused(message: &str) {
    all_refused([message.to_owned()]).await;
}

/// A POST with these further field lines, each with its line end.
fn post(lines: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: edge.test\r\n{lines}\r\n{body}")
}

fn get(lines: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: edge.test\r\n{lines}\r\n")
}

#[tokio::test]
async fn a_sound_message_is_not_refused() {
    let (origin, edge) = edge().await;
    for lines in ["Transfer-Encoding: chunked\r\n", "transfer-encoding:  Chunked \r\n"] {
        let bytes = post(lines, "5\r\nhello\r\n0\r\n\r\n");
        let reply = first_reply(&edge, bytes.as_bytes()).await.1.expect("an answer");
        reply.answered(200, "a");
        assert_eq!(origin.last("/a").body, b"hello");
    }
}

#[tokio::test]
async fn a01_cl_te_is_refused() {
    refused(&post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")).await;
}

#[tokio::test]
async fn a02_te_cl_is_refused() {
    refused(&post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")).await;
}

#[tokio::test]
async fn a03_odd_transfer_codings_are_refused() {
    let odd = [
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: x",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding:\x0cchunked",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding: chun\r\n ked",
    ];
    all_refused(odd.map(|line| post(&format!("{line}\r\n"), "0\r\n\r\n"))).await;
}

/// A body that would be a request if anybody took it for one.
async fn body_stays_a_body(message: String, answer: Answer) {
    let (origin, edge) = edge().await;
    origin.answers("/a", answer);
    let (mut connection, reply) = first_reply(&edge, message.as_bytes()).await;
    assert!(reply.is_some(), "no answer to {message:?}");
    connection.send(Request::get("/b").http1()).await;
    if let Some(reply) = connection.next_reply("GET").await {
        reply.answered(404, "not scripted");
    }
    assert_eq!(origin.count("/smuggled"), 0, "{:?}", origin.all());
}

#[tokio::test]
async fn a04_a_body_that_the_origin_does_not_wait_for_stays_a_body() {
    let length = SMUGGLED.len();
    for expect in ["100-continue", "100-Continue", "y 100-continue", "100-continue, x", "x"] {
        let lines = format!("Expect: {expect}\r\nContent-Length: {length}\r\n");
        body_stays_a_body(post(&lines, SMUGGLED), Answer::ok("a").before_the_body()).await;
    }
}

#[tokio::test]
async fn a05_odd_lengths_are_refused() {
    let odd = [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5;",
        "Content-Length: 5.0",
        "Content-Length: \"5\"",
        "Content-Length:",
        "Content-Length: ,",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 18446744073709551621",
        "Content-Length : 5",
    ];
    all_refused(odd.map(|line| post(&format!("{line}\r\n"), "hello"))).await;
}

#[tokio::test]
async fn a05_a_length_given_twice_alike_counts_once_or_is_refused() {
    for lines in ["Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n"] {
        let (origin, edge) = edge().await;
        let bytes = format!("{}{SMUGGLED}", post(lines, "hello"));
        let reply = first_reply(&edge, bytes.as_bytes()).await.1.expect("an answer");
        let taken = reply.code == 200 && origin.last("/a").body == b"hello";
        assert!(taken || reply.code == 400, "{lines:?}: {reply}");
    }
}

#[tokio::test]
async fn a06_a_transfer_coding_in_http_1_0_is_refused() {
    let chunked = "Host: edge.test\r\nTransfer-Encoding: chunked\r\n";
    refused(&format!("POST /a HTTP/1.0\r\n{chunked}\r\n0\r\n\r\n")).await;
    let kept = "Connection: keep-alive\r\nTransfer-Encoding: identity\r\n";
    refused(&format!("POST /a HTTP/1.0\r\nHost: edge.test\r\n{kept}\r\n")).await;
}

#[tokio::test]
async fn a11_a_body_on_a_hit_is_not_the_next_request() {
    for method in ["GET", "HEAD"] {
        let (origin, edge) = edge().await;
        origin.answers("/a", Answer::cached("a", "max-age=60"));
        edge.get("/a").await.answered(200, "a");
        let head = format!("{method} /a HTTP/1.1\r\nHost: edge.test\r\n");
        let length = SMUGGLED.len();
        let mut connection = edge.connect().await;
        connection.send(format!("{head}Content-Length: {length}\r\n\r\n{SMUGGLED}")).await;
        connection.reply(method).await;
        connection.send(Request::get("/b").http1()).await;
        if let Some(reply) = connection.next_reply("GET").await {
            reply.answered(404, "not scripted");
        }
        assert_eq!(origin.count("/smuggled"), 0, "{method}: {:?}", origin.all());
    }
}

#[tokio::test]
async fn a11_a_late_body_on_a_hit_is_not_the_next_request() {
    let (origin, edge) = edge().await;
    origin.answers("/a", Answer::cached("a", "max-age=60"));
    edge.get("/a").await.answered(200, "a");
    let mut connection = edge.connect().await;
    connection.send(get(&format!("Content-Length: {}\r\n", SMUGGLED.len()))).await;
    // An edge may answer at once or wait for the body.
    connection.send(SMUGGLED).await;
    connection.reply("GET").await.answered(200, "a");
    if let Some(reply) = connection.next_reply_or_idle("GET").await {
        panic!("an answer to the body: {reply}");
    }
    assert_eq!(origin.count("/smuggled"), 0);
}

#[tokio::test]
async fn a12_odd_chunks_are_refused() {
    let mut faults = Vec::new();
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
    ] {
        let (origin, edge) = edge().await;
        let bytes = format!("{}{SMUGGLED}", post("Transfer-Encoding: chunked\r\n", body));
        let (_, reply) = first_reply(&edge, bytes.as_bytes()).await;
        // The head may have reached the origin by then; the body must not end there.
        if reply.is_some_and(|reply| reply.code == 200) || origin.count("/smuggled") > 0 {
            faults.push(format!("{body:?} was taken for a body"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

// Pingora reads these, and others might read them otherwise.
#[tokio::test]
async fn a12_nothing_is_read_behind_chunks_that_leave_a_doubt() {
    for body in [
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
    ] {
        let (origin, edge) = edge().await;
        let bytes = format!("{}{SMUGGLED}", post("Transfer-Encoding: chunked\r\n", body));
        let (mut connection, _) = first_reply(&edge, bytes.as_bytes()).await;
        assert!(connection.is_closed().await, "{body:?}");
        assert_eq!(origin.count("/smuggled"), 0, "{body:?}");
        for request in origin.requests("/a") {
            assert!(request.body.is_empty() || request.body == b"hello", "{body:?}: {request:?}");
        }
    }
}

#[tokio::test]
async fn a12_a_chunk_extension_does_not_end_the_line() {
    let (origin, edge) = edge().await;
    let body = "5;a=\"x;y\";b\r\nhello\r\n0;c\r\n\r\n";
    let bytes = post("Transfer-Encoding: chunked\r\n", body);
    let reply = first_reply(&edge, bytes.as_bytes()).await.1.expect("an answer");
    reply.answered(200, "a");
    assert_eq!(origin.last("/a").body, b"hello");
}

#[tokio::test]
async fn a13_trailers_are_not_requests_nor_fields() {
    for trailers in [
        SMUGGLED,
        "Content-Length: 100\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Host: evil.test\r\n\r\n",
        "Authorization: Bearer evil\r\n\r\n",
        "no colon\r\n\r\n",
        " folded: 1\r\n\r\n",
    ] {
        let (origin, edge) = edge().await;
        let bytes =
            post("Transfer-Encoding: chunked\r\n", &format!("5\r\nhello\r\n0\r\n{trailers}"));
        drop(first_reply(&edge, bytes.as_bytes()).await);
        assert_eq!(origin.count("/smuggled"), 0, "{trailers:?}");
        for request in origin.requests("/a") {
            assert_eq!(request.field("authorization"), None);
            assert_ne!(request.field("host").as_deref(), Some("evil.test"));
            assert_ne!(request.field("content-length").as_deref(), Some("100"));
        }
    }
}

#[tokio::test]
async fn a14_broken_lines_are_refused() {
    let odd = [
        get("X-A: 1\rX-B: 2\r\n"),
        get("X-A: 1\r\r\n"),
        get("X-A: 1\0\r\n"),
        get("X-A: one\r\n two\r\n"),
        get("X-A : 1\r\n"),
        get("X A: 1\r\n"),
        get(": 1\r\n"),
        get("no colon\r\n"),
        get("X-\u{e9}: 1\r\n"),
        "GET /a HTTP/1.1\r\n Host: edge.test\r\n\r\n".to_owned(),
        "GET /a\rb HTTP/1.1\r\nHost: edge.test\r\n\r\n".to_owned(),
        "GET\t/a\tHTTP/1.1\r\nHost: edge.test\r\n\r\n".to_owned(),
        "GET /a HTTP/1.1 \r\nHost: edge.test\r\n\r\n".to_owned(),
        "GET /a HTTP/2.0\r\nHost: edge.test\r\n\r\n".to_owned(),
        "GET /a http/1.1\r\nHost: edge.test\r\n\r\n".to_owned(),
        "G\0T /a HTTP/1.1\r\nHost: edge.test\r\n\r\n".to_owned(),
        "GET /a\r\n\r\n".to_owned(),
    ];
    all_refused(odd).await;
}

#[tokio::test]
async fn a14_a_space_in_a_target_reaches_the_origin_encoded() {
    let (origin, edge) = edge().await;
    drop(first_reply(&edge, b"GET /a b HTTP/1.1\r\nHost: edge.test\r\n\r\n").await);
    let targets: Vec<_> = origin.all().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/a%20b"]);
}

#[tokio::test]
async fn a14_a_bare_line_feed_hides_nothing() {
    for message in [
        "GET /a HTTP/1.1\nHost: edge.test\n\n".to_owned(),
        format!("{}{SMUGGLED}", get(&format!("X-A: 1\nContent-Length: {}\r\n", SMUGGLED.len()))),
        get("X-A: 1\n\nGET /smuggled HTTP/1.1\r\nX-B: 1\r\n"),
    ] {
        let (origin, edge) = edge().await;
        drop(first_reply(&edge, message.as_bytes()).await);
        for request in origin.all() {
            let clean = |line: &(String, String)| !line.1.contains(['\n', '\r']);
            assert!(request.lines.iter().all(clean), "{message:?}: {request:?}");
        }
        // One request or two: the edge must have seen each that the origin sees.
        assert!(origin.all().iter().all(|request| request.field("via").is_some()), "{message:?}");
    }
}

#[tokio::test]
async fn a15_a_body_on_head_stays_a_body() {
    let (origin, edge) = edge().await;
    let head = "HEAD /a HTTP/1.1\r\nHost: edge.test\r\n";
    let length = SMUGGLED.len();
    for framed in [
        format!("Content-Length: {length}\r\n\r\n{SMUGGLED}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
    ] {
        let mut connection = edge.connect().await;
        connection.send(format!("{head}{framed}")).await;
        connection.reply("HEAD").await;
        connection.send(Request::get("/b").http1()).await;
        if let Some(reply) = connection.next_reply("GET").await {
            reply.answered(404, "not scripted");
        }
        assert_eq!(origin.count("/smuggled"), 0);
    }
}

#[tokio::test]
async fn a15_an_answer_to_head_with_a_body_poisons_nothing() {
    let (origin, edge) = edge().await;
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{evil}", evil.len());
    origin.answers("/h", Answer::raw_kept(head));
    edge.send(&Request::new("HEAD", "/h")).await.answered(200, "");
    edge.get("/a").await.answered(200, "a");
}

#[tokio::test]
async fn a16_the_connection_of_an_aborted_body_is_not_used_again() {
    let (origin, edge) = edge().await;
    let mut aborting = edge.connect().await;
    aborting.send(post("Content-Length: 100\r\n", "0123456789")).await;
    origin.has_read("/a", b"0123456789").await;
    drop(aborting);
    for _ in 0..5 {
        edge.get("/b").await.answered(404, "not scripted");
    }
    let aborted = origin.last("/a").connection;
    assert!(origin.requests("/b").iter().all(|request| request.connection != aborted));
}

#[tokio::test]
async fn a17_an_answer_framed_in_two_ways_is_refused() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 4\r\n",
        "Content-Length: 5, 4\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Transfer-Encoding: x\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let (origin, edge) = edge().await;
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{lines}\r\nhello");
        origin.answers("/a", Answer::raw(head));
        let reply = edge.get("/a").await;
        assert_eq!(reply.code, 502, "{lines:?}: {reply}");
        origin.answers("/a", Answer::ok("sound"));
        edge.get("/a").await.answered(200, "sound");
    }
}

#[tokio::test]
async fn a17_a_length_beside_chunks_does_not_frame() {
    let (origin, edge) = edge().await;
    let lines = "Cache-Control: max-age=60\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n";
    origin.answers(
        "/a",
        Answer::raw(format!("HTTP/1.1 200 OK\r\n{lines}\r\n5\r\nhello\r\n0\r\n\r\n")),
    );
    let reply = edge.get("/a").await;
    let by_chunks = reply.code == 200 && reply.text() == "hello";
    assert!(by_chunks || reply.code == 502, "{reply}");
    assert_ne!(reply.field("content-length").as_deref(), Some("3"));
}

#[tokio::test]
async fn a17_an_early_answer_does_not_leave_the_body_to_the_next() {
    let (origin, edge) = edge().await;
    origin.answers("/a", Answer::ok("early").code(413).before_the_body());
    let mut connection = edge.connect().await;
    connection.send(post(&format!("Content-Length: {}\r\n", SMUGGLED.len()), "GET /sm")).await;
    // Which status comes depends on who gives up first; nothing may be taken for a request.
    connection.next_reply("POST").await;
    drop(connection);
    for _ in 0..3 {
        edge.get("/b").await.answered(404, "not scripted");
    }
    assert_eq!(origin.count("/smuggled"), 0);
    let known = |path: &str| ["/a", "/b"].contains(&path);
    assert!(origin.all().iter().all(|request| known(request.path())), "{:?}", origin.all());
}

#[tokio::test]
async fn a18_nothing_is_read_after_an_error() {
    all_refused(["BAD\r\n\r\n".to_owned(), "\0\x01\x02\r\n\r\n".to_owned(), get("X\r\n")]).await;
}

#[tokio::test]
async fn a19_odd_hosts_are_refused() {
    let with = |lines: &str| format!("GET /a HTTP/1.1\r\n{lines}\r\n");
    let hosts = [
        "",
        "Host: edge.test\r\nHost: edge.test\r\n",
        "Host: edge.test\r\nHost: other.test\r\n",
        "Host: edge.test, other.test\r\n",
        "Host: user@edge.test\r\n",
        "Host: edge.test/path\r\n",
        "Host: edge.test\\path\r\n",
        "Host: edge.test?query\r\n",
        "Host: edge.test#part\r\n",
        "Host: edge test\r\n",
        "Host: edge.test:80:80\r\n",
        "Host: edge.test:port\r\n",
        "Host: [::1\r\n",
        "Host: http://edge.test\r\n",
    ];
    all_errors(hosts.map(with)).await;
}

#[tokio::test]
async fn a19_odd_targets_are_refused() {
    let to = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: edge.test\r\n\r\n");
    let targets = [
        "a",
        "\\a",
        "@edge.test/a",
        "http://user@edge.test/a",
        "http://edge.test:port/a",
        "http:///a",
        "ftp://edge.test/a",
        "edge.test:80",
        "/a#part",
        "*",
    ];
    all_errors(targets.map(to)).await;
}

#[tokio::test]
async fn a19_a_tunnel_is_refused() {
    all_errors(["CONNECT edge.test:443 HTTP/1.1\r\nHost: edge.test:443\r\n\r\n".to_owned()]).await;
}

#[tokio::test]
async fn a20_what_is_over_long_is_refused() {
    let long = "x".repeat(100_000);
    let many: String = (0..1000).map(|number| format!("X-{number}: 1\r\n")).collect();
    all_refused([
        format!("GET /{} HTTP/1.1\r\nHost: edge.test\r\n\r\n", "x".repeat(2_000_000)),
        format!("{long} /a HTTP/1.1\r\nHost: edge.test\r\n\r\n"),
        get(&format!("X-{long}: 1\r\n")),
        get(&format!("X-A: {}\r\n", "x".repeat(2_000_000))),
        get(&many),
    ])
    .await;
}

#[tokio::test]
async fn b16_a_client_cannot_take_fields_away_with_connection() {
    let (origin, edge) = edge().await;
    let request = Request::new("POST", "/a")
        .field("Connection", "Host, Content-Length, Cookie, Via, X-Hop")
        .field("Cookie", "sid=1")
        .field("X-Hop", "1")
        .body("hello");
    let reply = edge.send(&request).await;
    if reply.code == 400 {
        return;
    }
    let received = origin.last("/a");
    assert_eq!(received.field("x-hop"), None, "{received:?}");
    assert_eq!(received.body, b"hello", "{received:?}");
    assert!(received.field("host").is_some(), "{received:?}");
}
