//! What makes two requests the same: scheme, host, path and query.

use crate::support::{Answer, Certificate, Connection, Edge, Http2, Origin, Request, Setup};

/// An edge whose origin answers with the host and target that it was asked for.
async fn echo_edge(paths: &[&str]) -> (Origin, Edge) {
    let origin = Origin::start().await;
    for path in paths {
        origin.answers_by(path, |request| {
            let host = request.field("host").unwrap_or_default();
            Answer::cached(&format!("{host} {}", request.target), "max-age=60")
        });
    }
    let edge = Edge::before(&origin).await;
    (origin, edge)
}

#[tokio::test]
async fn b01_hosts_never_mix() {
    let (origin, edge) = echo_edge(&["/a"]).await;
    for _ in 0..2 {
        for host in ["one.test", "two.test", "one.test.two.test"] {
            let reply = edge.send(&Request::get("/a").host(host)).await;
            reply.answered(200, &format!("{host} /a"));
        }
    }
    assert_eq!(origin.count("/a"), 3);
}

#[tokio::test]
async fn the_case_of_a_host_does_not_matter() {
    let (origin, edge) = echo_edge(&["/a"]).await;
    edge.send(&Request::get("/a").host("one.test")).await;
    edge.send(&Request::get("/a").host("ONE.Test")).await.hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn b02_ports_never_mix() {
    let (_origin, edge) = echo_edge(&["/a"]).await;
    edge.send(&Request::get("/a").host("one.test:81")).await;
    let reply = edge.send(&Request::get("/a").host("one.test:82")).await;
    assert!(reply.cache_status_value("fwd").is_some(), "{reply}");
}

#[tokio::test]
async fn b02_schemes_never_mix() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let certificate = Certificate::made();
    let listener =
        format!("[listeners.secure]\naddress = \"127.0.0.1:0\"\n{}\n", certificate.option());
    let edge = Setup::before(&origin).table(&listener).start().await;
    edge.get("/a").await.answered(200, "a");
    let secure = Http2::open_tls(&edge, "secure", &certificate).await;
    secure.get("/a").await.answered(200, "a").cache_status("forebay; fwd=uri-miss; stored");
}

#[tokio::test]
async fn queries_never_mix() {
    let (origin, edge) = echo_edge(&["/a"]).await;
    let targets = ["/a", "/a?", "/a?b", "/a?b=1", "/a?b=2", "/a?b=1&c=2", "/a?c=2&b=1", "/a?B=1"];
    for target in targets {
        edge.get(target).await.status(200);
    }
    for target in targets {
        let reply = edge.get(target).await;
        let body = reply.hit().text();
        // An empty query may count as none.
        assert!(
            body == format!("edge.test {target}")
                || target.starts_with("/a?") && body == "edge.test /a"
        );
    }
    assert!(origin.count("/a") >= targets.len() - 1);
}

#[tokio::test]
async fn paths_that_are_the_same_by_rfc_3986_share_a_key() {
    for (one, other) in [("/~u", "/%7Eu"), ("/a%2fb", "/a%2Fb"), ("/abc", "/%61bc")] {
        let origin = Origin::start().await;
        for path in [one, other] {
            origin.answers(path, Answer::cached("a", "max-age=60"));
        }
        let edge = Edge::before(&origin).await;
        edge.get(one).await.answered(200, "a");
        edge.get(other).await.answered(200, "a").hit();
    }
}

#[tokio::test]
async fn b10_paths_that_differ_never_mix() {
    let paths = ["/a/b", "/a%2Fb", "/A/b", "/a/b/", "/a//b", "/a%00b", "/a%3Fb", "/a%23b", "/a;b"];
    let (_origin, edge) = echo_edge(&paths).await;
    for path in paths {
        let reply = edge.get(path).await;
        let refused = (400..500).contains(&reply.code);
        assert!(refused || reply.cache_status_value("fwd").is_some(), "{path}: {reply}");
        assert!(refused || reply.text() == format!("edge.test {path}"), "{path}: {reply}");
    }
}

#[tokio::test]
async fn b10_dots_are_resolved_or_refused_before_anything_is_asked() {
    let (origin, edge) = echo_edge(&["/b", "/a/b", "/etc"]).await;
    for (dotted, plain) in [
        ("/a/../b", "/b"),
        ("/a/./b", "/a/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E%2e/b", "/b"),
        ("/../../etc", "/etc"),
    ] {
        let reply = edge.get(dotted).await;
        let refused = (400..500).contains(&reply.code);
        assert!(refused || reply.text() == format!("edge.test {plain}"), "{dotted}: {reply}");
    }
    for request in origin.all() {
        assert!(!request.target.contains("..") && !request.target.contains("%2"), "{request:?}");
    }
}

#[tokio::test]
async fn the_host_in_the_target_wins_over_the_field() {
    let (_origin, edge) = echo_edge(&["/a"]).await;
    let mut connection = edge.connect().await;
    connection.send("GET http://one.test/a HTTP/1.1\r\nHost: two.test\r\n\r\n").await;
    let reply = connection.reply("GET").await;
    assert!(reply.code == 400 || reply.text() == "one.test /a", "{reply}");
    let reply = edge.send(&Request::get("/a").host("two.test")).await;
    reply.answered(200, "two.test /a").cache_status("forebay; fwd=uri-miss; stored");
}

#[tokio::test]
async fn the_absolute_form_is_the_same_as_the_other() {
    let (origin, edge) = echo_edge(&["/a"]).await;
    edge.get("/a").await;
    let mut connection = Connection::open(edge.address("web")).await;
    connection.send("GET http://edge.test/a HTTP/1.1\r\nHost: edge.test\r\n\r\n").await;
    connection.reply("GET").await.answered(200, "edge.test /a").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn http_1_0_needs_no_host() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    for _ in 0..2 {
        let mut connection = edge.connect().await;
        connection.send("GET /a HTTP/1.0\r\n\r\n").await;
        connection.reply("GET").await.answered(200, "a");
    }
    assert_eq!(origin.count("/a"), 1);
}
