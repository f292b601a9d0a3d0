//! HTTP/2 towards clients, with and without TLS, and towards origins.

use crate::support::{
    Answer, Certificate, Edge, Frames, Http2, Http2Origin, Origin, Outcome, Request, Setup,
};

async fn secure_edge(origin: &Origin, certificate: &Certificate) -> Edge {
    let listener =
        format!("[listeners.secure]\naddress = \"127.0.0.1:0\"\n{}\n", certificate.option());
    Setup::before(origin).table(&listener).start().await
}

#[tokio::test]
async fn answers_over_http2_without_tls() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    let client = Http2::open(&edge).await;
    client.get("/a").await.answered(200, "hello").cache_status("forebay; fwd=uri-miss; stored");
    client.get("/a").await.answered(200, "hello").has("content-length", "5").hit();
}

#[tokio::test]
async fn answers_over_http2_within_tls() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60")).await;
    let certificate = Certificate::made();
    let edge = secure_edge(&origin, &certificate).await;
    let client = Http2::open_tls(&edge, "secure", &certificate).await;
    client.get("/a").await.answered(200, "hello").cache_status("forebay; fwd=uri-miss; stored");
    client.get("/a").await.answered(200, "hello").hit();
}

#[tokio::test]
async fn answers_over_http1_within_tls() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60")).await;
    let certificate = Certificate::made();
    let edge = secure_edge(&origin, &certificate).await;
    for protocols in [&["http/1.1"][..], &[]] {
        let mut connection = certificate.open(&edge, "secure", protocols).await;
        connection.request(&Request::get("/a")).await.answered(200, "hello");
    }
}

#[tokio::test]
async fn both_versions_share_what_is_stored() {
    let origin = Origin::with("/a", Answer::cached("hello", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "hello");
    let client = Http2::open(&edge).await;
    client.get("/a").await.answered(200, "hello").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn carries_many_requests_at_once() {
    let origin = Origin::start().await;
    for number in 0..20 {
        origin.answers(&format!("/{number}"), Answer::ok(&format!("answer {number}")));
    }
    let edge = Edge::before(&origin).await;
    let client = Http2::open(&edge).await;
    let mut tasks = Vec::new();
    for number in 0..20 {
        let client = client.clone();
        tasks.push(tokio::spawn(async move { client.get(&format!("/{number}")).await }));
    }
    for (number, task) in tasks.into_iter().enumerate() {
        task.await.expect("no panic").answered(200, &format!("answer {number}"));
    }
}

#[tokio::test]
async fn a_request_body_goes_through() {
    let origin = Origin::with("/a", Answer::ok("done")).await;
    let edge = Edge::before(&origin).await;
    let body = "0123456789".repeat(50_000);
    let client = Http2::open(&edge).await;
    client.send(&Request::new("POST", "/a").body(&body)).await.answered(200, "done");
    assert_eq!(origin.last("/a").body, body.as_bytes());
}

#[tokio::test]
async fn a_large_answer_goes_through() {
    let body = "0123456789".repeat(100_000);
    let origin = Origin::with("/a", Answer::cached(&body, "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    let client = Http2::open(&edge).await;
    client.get("/a").await.answered(200, &body);
    client.get("/a").await.answered(200, &body).hit();
}

#[tokio::test]
async fn fields_of_one_hop_never_appear() {
    let answer = Answer::ok("a").field("Connection", "x-hop").field("X-Hop", "1");
    let origin = Origin::with("/a", answer.field("Keep-Alive", "timeout=5")).await;
    let edge = Edge::before(&origin).await;
    let reply = Http2::open(&edge).await.get("/a").await;
    reply.answered(200, "a").lacks("connection").lacks("x-hop").lacks("keep-alive");
    reply.lacks("transfer-encoding");
}

#[tokio::test]
async fn a_body_cut_off_is_seen_to_be() {
    let origin = Origin::with("/a", Answer::cut(10, "hello")).await;
    let edge = Edge::before(&origin).await;
    let client = Http2::open(&edge).await;
    if let Ok(reply) = client.try_send(&Request::get("/a")).await {
        assert!(!reply.whole || reply.code == 502, "{reply}");
    }
}

#[tokio::test]
async fn cookie_crumbs_are_joined_towards_the_origin() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let edge = Edge::before(&origin).await;
    let client = Http2::open(&edge).await;
    let request = Request::get("/a").field("cookie", "a=1").field("cookie", "b=2");
    client.send(&request).await.answered(200, "a");
    let received = origin.last("/a");
    let lines = received.lines.iter().filter(|line| line.0.eq_ignore_ascii_case("cookie"));
    let cookies: Vec<_> = lines.map(|line| line.1.as_str()).collect();
    assert_eq!(cookies, ["a=1; b=2"]);
}

#[tokio::test]
async fn speaks_http2_to_an_origin_that_knows_nothing_else() {
    let origin = Http2Origin::start("hello", "max-age=60").await;
    let trusted = origin.certificate().path();
    let edge = Setup::before_url(&origin.url())
        .origin("host = \"localhost\"")
        .environment("SSL_CERT_FILE", trusted.to_str().expect("a path in UTF-8"))
        .start()
        .await;
    edge.get("/a").await.answered(200, "hello");
    edge.get("/a").await.answered(200, "hello").hit();
    assert_eq!(origin.paths(), ["/a"]);
}

#[tokio::test]
async fn f05_an_origin_whose_certificate_nobody_vouches_for_is_a_502() {
    let origin = Http2Origin::start("hello", "max-age=60").await;
    let setup = Setup::before_url(&origin.url()).origin("host = \"localhost\"");
    let edge = setup.start().await;
    edge.get("/a").await.status(502);
    assert_eq!(origin.paths().len(), 0);
}

#[tokio::test]
async fn frames_by_hand_are_answered_where_they_are_sound() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let edge = Edge::before(&origin).await;
    assert_eq!(Frames::get("/a", &[]).send(&edge).await, Outcome::Answered);
    let post = Frames::with_method("POST", "/a", &[("content-length", "5")]).body("hello");
    assert_eq!(post.send(&edge).await, Outcome::Answered);
    assert_eq!(origin.last("/a").body, b"hello");
}

/// The frames must be refused, and the origin must not hear of them.
async fn is_refused(frames: Frames) {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let edge = Edge::before(&origin).await;
    assert_ne!(frames.send(&edge).await, Outcome::Answered);
    assert_eq!(origin.all().len(), 0, "{:?}", origin.all());
}

#[tokio::test]
async fn a07_h2_a_length_that_is_not_that_of_the_body_is_refused() {
    for (length, body) in [("10", "hello"), ("2", "hello"), ("0", "GET /smuggled HTTP/1.1\r\n\r\n")]
    {
        let origin = Origin::with("/a", Answer::ok("a")).await;
        let edge = Edge::before(&origin).await;
        let frames = Frames::with_method("POST", "/a", &[("content-length", length)]).body(body);
        assert_ne!(frames.send(&edge).await, Outcome::Answered, "{length}: {body}");
        assert_eq!(origin.count("/smuggled"), 0);
    }
}

#[tokio::test]
async fn a08_h2_fields_of_one_hop_are_refused() {
    for field in [
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("connection", "transfer-encoding"),
        ("upgrade", "h2c"),
        ("keep-alive", "1"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
    ] {
        is_refused(Frames::get("/a", &[field])).await;
    }
}

#[tokio::test]
async fn a09_h2_bytes_that_would_break_lines_are_refused() {
    for field in [
        ("x-a", "b\r\nx-evil: 1"),
        ("x-a", "b\nx-evil: 1"),
        ("x-a", "b\rc"),
        ("x-a", "b\0c"),
        ("x-a\r\nx-evil", "1"),
        ("x-a: 1\r\nx-evil", "1"),
        ("x:a", "1"),
        ("x a", "1"),
        ("X-Upper", "1"),
        ("", "1"),
        (":late", "1"),
        ("content-length", "5, 5"),
    ] {
        is_refused(Frames::get("/a", &[field])).await;
    }
}

#[tokio::test]
async fn a09_h2_targets_that_would_break_lines_are_refused() {
    for target in ["/a HTTP/1.1\r\nHost: evil\r\n\r\n", "/a b", "/a\r\n", "/a\0", "", "a"] {
        is_refused(Frames::get(target, &[])).await;
    }
    for (method, authority) in [
        ("GET / HTTP/1.1\r\nX: ", "edge.test"),
        ("G T", "edge.test"),
        ("GET", "edge.test\r\nx-evil: 1"),
        ("GET", "user@edge.test"),
        ("GET", "edge.test/x"),
        ("GET", ""),
    ] {
        let fields =
            [(":method", method), (":scheme", "http"), (":authority", authority), (":path", "/a")];
        is_refused(Frames::new(&fields)).await;
    }
}

#[tokio::test]
async fn a19_h2_two_hosts_that_differ_are_refused() {
    is_refused(Frames::get("/a", &[("host", "other.test")])).await;
}

#[tokio::test]
async fn h2_pseudo_fields_that_are_missing_or_double_are_refused() {
    let all =
        [(":method", "GET"), (":scheme", "http"), (":authority", "edge.test"), (":path", "/a")];
    for missing in [":method", ":path"] {
        let rest: Vec<_> = all.iter().copied().filter(|field| field.0 != missing).collect();
        is_refused(Frames::new(&rest)).await;
    }
    let mut double = all.to_vec();
    double.push((":path", "/b"));
    is_refused(Frames::new(&double)).await;
}

#[tokio::test]
async fn a_cookie_may_come_in_many_crumbs() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let edge = Edge::before(&origin).await;
    let client = Http2::open(&edge).await;
    let request = (0..140).fold(Request::get("/a"), |request, number| {
        request.field("cookie", &format!("c{number}=1"))
    });
    client.send(&request).await.answered(200, "a");
    let cookie = origin.last("/a").field("cookie").expect("a cookie");
    assert_eq!(cookie.split("; ").count(), 140, "{cookie}");
}
