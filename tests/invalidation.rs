//! What a change makes of stored responses (RFC 9111 section 4.4).

use crate::support::{Answer, Edge, Gate, Origin, Request, look_again, soon};

/// Stores `/a` and `/b`, sends one request for `/a`, and says whether each is still there.
async fn left_after(request: &Request, answer: Answer) -> (bool, bool) {
    let origin = Origin::start().await;
    origin.answers_by("/a", move |request| match request.method.as_str() {
        "GET" => Answer::cached("a", "max-age=60"),
        _ => answer.clone(),
    });
    origin.answers("/b", Answer::cached("b", "max-age=60"));
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    edge.get("/b").await.answered(200, "b");
    edge.send(request).await;
    let (a, b) = (edge.get("/a").await, edge.get("/b").await);
    a.answered(200, "a");
    b.answered(200, "b");
    (a.cache_status_value("hit").is_some(), b.cache_status_value("hit").is_some())
}

#[tokio::test]
async fn an_unsafe_method_invalidates_its_uri() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "FOO"] {
        let left = left_after(&Request::new(method, "/a").body("x"), Answer::ok("")).await;
        assert_eq!(left, (false, true), "{method}");
    }
}

#[tokio::test]
async fn every_status_that_is_no_error_invalidates() {
    for status in [201, 204, 303] {
        let request = Request::new("POST", "/a").body("x");
        assert!(!left_after(&request, Answer::status(status)).await.0, "{status}");
    }
}

#[tokio::test]
async fn a_failed_change_invalidates_nothing() {
    for status in [400, 404, 500] {
        let request = Request::new("POST", "/a").body("x");
        assert!(left_after(&request, Answer::status(status)).await.0, "{status}");
    }
}

#[tokio::test]
async fn a_safe_method_invalidates_nothing() {
    for method in ["HEAD", "OPTIONS"] {
        let left = left_after(&Request::new(method, "/a"), Answer::ok("")).await;
        assert_eq!(left, (true, true), "{method}");
    }
}

#[tokio::test]
async fn the_places_that_the_answer_names_are_invalidated() {
    for field in ["Location", "Content-Location"] {
        for place in ["/b", "http://edge.test/b", "b"] {
            let answer = Answer::status(201).field(field, place);
            let left = left_after(&Request::new("POST", "/a").body("x"), answer).await;
            assert_eq!(left, (false, false), "{field}: {place}");
        }
    }
}

#[tokio::test]
async fn a_place_on_another_host_is_left_alone() {
    let answer = Answer::status(201).field("Location", "http://other.test/b");
    let left = left_after(&Request::new("POST", "/a").body("x"), answer).await;
    assert_eq!(left, (false, true));
}

#[tokio::test]
async fn every_variant_is_invalidated() {
    let origin = Origin::start().await;
    let answer = Answer::cached("a", "max-age=60").field("Vary", "Accept-Language");
    origin.answers("/a", answer);
    let edge = Edge::before(&origin).await;
    edge.get_with("/a", "Accept-Language", "en").await;
    edge.get_with("/a", "Accept-Language", "de").await;
    edge.send(&Request::new("DELETE", "/a")).await.status(200);
    for language in ["en", "de"] {
        let reply = edge.get_with("/a", "Accept-Language", language).await;
        assert!(reply.cache_status_value("fwd").is_some(), "{language}: {reply}");
    }
}

#[tokio::test]
async fn who_asks_after_a_change_waits_for_nothing_that_was_asked_before() {
    let (origin, gate) = (Origin::start().await, Gate::closed());
    let held = gate.clone();
    origin.answers_by("/a", move |request| match (request.method.as_str(), request.earlier) {
        ("POST", _) => Answer::status(204),
        (_, 0) => Answer::cached("old", "max-age=60").when_open(&held),
        _ => Answer::cached("new", "max-age=60"),
    });
    let edge = Edge::before(&origin).await;
    let mut before = edge.connect().await;
    before.send(Request::get("/a").http1()).await;
    let asked = async {
        while origin.count("/a") == 0 {
            look_again().await;
        }
    };
    soon("the origin to be asked", asked).await;
    edge.send(&Request::new("POST", "/a").body("x")).await.status(204);
    edge.get("/a").await.answered(200, "new");
    gate.open();
    before.reply("GET").await.answered(200, "old");
    edge.get("/a").await.answered(200, "new").hit();
}

/// Stores responses with groups and tags on two sites, sends one request to the first of them, and
/// says which are asked for again.
async fn asked_again_after(request: Request, answer: Answer) -> Vec<(&'static str, &'static str)> {
    const URLS: [(&str, &str); 4] =
        [("a.test", "/one"), ("a.test", "/both"), ("a.test", "/tag"), ("b.test", "/one")];
    let origin = Origin::start().await;
    for (path, name, value) in [
        ("/one", "Cache-Groups", "\"one\""),
        ("/both", "Cache-Groups", "\"one\", \"two\""),
        ("/tag", "Surrogate-Key", "one two"),
    ] {
        origin.answers(path, Answer::cached("x", "max-age=60").field(name, value));
    }
    origin.answers("/change", answer);
    let edge = Edge::before(&origin).await;
    for (host, path) in URLS {
        edge.send(&Request::get(path).host(host)).await.answered(200, "x");
        edge.send(&Request::get(path).host(host)).await.hit();
    }
    edge.send(&request.host("a.test")).await;
    let mut again = Vec::new();
    for (host, path) in URLS {
        let reply = edge.send(&Request::get(path).host(host)).await;
        if reply.cache_status_value("fwd").is_some() {
            again.push((host, path));
        }
    }
    again
}

fn names(groups: &str) -> Answer {
    Answer::ok("").field("Cache-Group-Invalidation", groups)
}

#[tokio::test]
async fn the_groups_that_the_answer_names_are_invalidated_on_its_site() {
    let change = || Request::new("POST", "/change").body("x");
    let one = asked_again_after(change(), names("\"one\"")).await;
    assert_eq!(one, [("a.test", "/one"), ("a.test", "/both")]);
    let two = asked_again_after(change(), names("\"zero\", \"two\";x=1")).await;
    assert_eq!(two, [("a.test", "/both")]);
    assert!(asked_again_after(change(), names("one, \"On\"")).await.is_empty());
}

#[tokio::test]
async fn no_group_is_invalidated_by_a_failed_change_or_a_safe_method() {
    let change = Request::new("POST", "/change").body("x");
    assert!(asked_again_after(change, names("\"one\"").code(409)).await.is_empty());
    for method in ["GET", "HEAD", "OPTIONS"] {
        let request = Request::new(method, "/change");
        assert!(asked_again_after(request, names("\"one\"")).await.is_empty(), "{method}");
    }
}

#[tokio::test]
async fn the_groups_that_a_304_names_count_from_then_on() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let answer = match request.field("if-none-match") {
            None => Answer::cached("a", "max-age=0").field("ETag", "\"a\""),
            Some(_) => Answer::status(304).field("Cache-Control", "max-age=60"),
        };
        answer.field("Cache-Groups", if request.earlier == 0 { "\"old\"" } else { "\"new\"" })
    });
    origin.answers("/old", names("\"old\""));
    origin.answers("/new", names("\"new\""));
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    edge.get("/a").await.cache_status("forebay; fwd=stale; fwd-status=304; stored");
    edge.send(&Request::new("DELETE", "/old")).await.status(200);
    edge.get("/a").await.answered(200, "a").hit();
    edge.send(&Request::new("DELETE", "/new")).await.status(200);
    edge.get("/a").await.cache_status("forebay; fwd=uri-miss; stored");
}
