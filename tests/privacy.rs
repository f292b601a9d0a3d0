//! What one user got is never given to another. The ids name the attack cases.

use crate::support::{Answer, Edge, Gate, Origin, Request, Setup};

/// The origin greets whom the cookie names; asks as Alice, then as Bob.
async fn bob_is_greeted_himself(
    policy: &str,
    answer: impl Fn(Answer) -> Answer + Send + Sync + 'static,
) {
    let origin = Origin::start().await;
    origin.answers_by("/account", move |request| {
        let name = request.field("cookie").unwrap_or_default();
        answer(Answer::ok(&format!("hello {name}")))
    });
    let edge = Edge::with_policy(&origin, policy).await;
    for name in ["alice", "bob"] {
        let reply = edge.get_with("/account", "Cookie", name).await;
        reply.answered(200, &format!("hello {name}"));
    }
}

#[tokio::test]
async fn d03_an_answer_that_sets_a_cookie_stays_with_its_client() {
    bob_is_greeted_himself("", |answer| {
        answer.field("Cache-Control", "public, max-age=60").field("Set-Cookie", "sid=1")
    })
    .await;
}

#[tokio::test]
async fn d03_an_overriding_lifetime_does_not_store_cookies() {
    let policy = "ttl = \"1h\"\nttl_mode = \"override\"";
    bob_is_greeted_himself(policy, |answer| answer.field("Set-Cookie", "sid=1")).await;
}

#[tokio::test]
async fn d04_an_answer_to_credentials_stays_with_them() {
    let origin = Origin::start().await;
    origin.answers_by("/account", |request| {
        let who = request.field("authorization").unwrap_or_default();
        Answer::cached(&format!("hello {who}"), "max-age=60")
    });
    let edge = Edge::before(&origin).await;
    for who in ["Bearer alice", "Bearer bob"] {
        let reply = edge.get_with("/account", "Authorization", who).await;
        reply.answered(200, &format!("hello {who}"));
    }
    edge.get("/account").await.answered(200, "hello ");
}

#[tokio::test]
async fn d05_what_is_marked_private_in_any_way_is_not_shared() {
    for (name, value) in [
        ("Cache-Control", "private"),
        ("Cache-Control", "max-age=60, private"),
        ("Cache-Control", "PRIVATE, max-age=60"),
        ("Cache-Control", "max-age=60, no-store"),
        ("Cache-Control", "no-cache"),
        ("Vary", "*"),
        ("Vary", "Cookie"),
        ("Vary", "Accept-Encoding, COOKIE"),
    ] {
        let keep = move |answer: Answer| {
            answer.field("Expires", &crate::support::in_seconds(60)).field(name, value)
        };
        bob_is_greeted_himself("", keep).await;
    }
}

#[tokio::test]
async fn d05_fields_named_by_no_cache_or_private_are_not_replayed() {
    for directive in ["no-cache=\"x-name\", max-age=60", "private=\"x-name\", max-age=60"] {
        let origin = Origin::start().await;
        origin.answers_by("/a", move |request| {
            let name = request.field("cookie").unwrap_or_default();
            Answer::cached("a", directive).field("X-Name", &name)
        });
        let edge = Edge::before(&origin).await;
        edge.get_with("/a", "Cookie", "alice").await;
        let reply = edge.get_with("/a", "Cookie", "bob").await;
        assert_ne!(reply.field("x-name").as_deref(), Some("alice"), "{directive}: {reply}");
    }
}

#[tokio::test]
async fn d06_a_session_cookie_takes_the_request_past_the_cache() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::with_policy(&origin, "bypass_if = { cookies = [\"sessionid\"] }").await;
    edge.get("/a").await.cache_status("forebay; fwd=uri-miss; stored");
    let session = edge.get_with("/a", "Cookie", "theme=dark; sessionid=1").await;
    session.answered(200, "a").cache_status("forebay; fwd=bypass");
    edge.get_with("/a", "Cookie", "theme=dark").await.hit();
    // A name that only ends alike is another cookie.
    edge.get_with("/a", "Cookie", "xsessionid=1").await.hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn d06_a_field_takes_the_request_past_the_cache() {
    let origin = Origin::with("/a", Answer::cached("a", "public, max-age=60")).await;
    let edge = Edge::with_policy(&origin, "bypass_if = { headers = [\"Authorization\"] }").await;
    for _ in 0..2 {
        let reply = edge.get_with("/a", "Authorization", "Bearer x").await;
        reply.answered(200, "a").cache_status("forebay; fwd=bypass");
    }
    edge.get("/a").await.cache_status("forebay; fwd=uri-miss; stored");
}

#[tokio::test]
async fn d07_a_background_revalidation_carries_no_credentials() {
    let origin = Origin::start().await;
    let old = Answer::cached("old", "public, max-age=60, stale-while-revalidate=60");
    let new = Answer::cached("new", "public, max-age=60");
    origin.answers_each("/a", vec![old.field("Age", "61"), new]);
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "old");
    let request = Request::get("/a").field("Cookie", "sid=alice");
    let request = request.field("Authorization", "Bearer alice");
    edge.send(&request).await.answered(200, "old");
    origin.has_seen("/a", 2).await;
    let revalidation = origin.last("/a");
    assert_eq!(revalidation.field("cookie"), None, "{revalidation:?}");
    assert_eq!(revalidation.field("authorization"), None, "{revalidation:?}");
}

#[tokio::test]
async fn d08_a_cookie_that_comes_with_a_304_stays_with_its_client() {
    let gate = Gate::closed();
    let origin = Origin::start().await;
    let old = Answer::cached("a", "max-age=60").field("Age", "61").field("ETag", "\"a\"");
    let unchanged = |sid: &str| {
        Answer::status(304)
            .field("ETag", "\"a\"")
            .field("Cache-Control", "max-age=60")
            .field("Set-Cookie", sid)
    };
    let first = unchanged("sid=1").when_open(&gate);
    origin.answers_each("/a", vec![old, first, unchanged("sid=2"), unchanged("sid=3")]);
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, "a");
    let open = async {
        origin.has_seen("/a", 2).await;
        gate.open();
    };
    let (one, two, ()) = tokio::join!(edge.get("/a"), edge.get("/a"), open);
    assert_ne!(one.field("set-cookie"), two.field("set-cookie"), "{one}\n{two}");
}

#[tokio::test]
async fn d07_what_a_cookie_selects_is_not_revalidated_without_it() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let name = request.field("cookie").unwrap_or_default();
        Answer::cached(&format!("hello {name}"), "max-age=60, stale-while-revalidate=60")
            .field("Age", "61")
            .field("Vary", "Cookie")
    });
    let edge = Edge::before(&origin).await;
    for _ in 0..3 {
        edge.get_with("/a", "Cookie", "alice").await.answered(200, "hello alice");
    }
}

#[tokio::test]
async fn d05_what_the_address_of_a_client_selects_is_not_shared() {
    let origin = Origin::start().await;
    origin.answers("/a", Answer::cached("a", "max-age=60").field("Vary", "X-Forwarded-For"));
    let edge = Edge::before(&origin).await;
    for _ in 0..2 {
        edge.get("/a").await.cache_status("forebay; fwd=uri-miss; detail=vary-star");
    }
}

#[tokio::test]
async fn d05_a_hashed_name_makes_nothing_public_that_is_not_stored() {
    let origin = Origin::start().await;
    let path = "/app.0123abcd.js";
    origin.answers_each(
        path,
        vec![
            Answer::ok("a").field("Set-Cookie", "sid=1"),
            Answer::ok("a").field("CDN-Cache-Control", "no-store"),
            Answer::ok("a"),
        ],
    );
    let policy = "ttl_mode = \"default\"\nimmutable = [\"**/*.[0-9a-f]{8,}.*\"]";
    let edge = Edge::with_policy(&origin, policy).await;
    for _ in 0..2 {
        edge.get(path).await.answered(200, "a").lacks("cache-control");
    }
    edge.get(path).await.has("cache-control", "public, max-age=31536000, immutable");
    edge.get(path).await.hit();
}

#[tokio::test]
async fn d06_an_answer_to_a_post_with_a_session_is_not_stored() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let name = request.field("cookie").unwrap_or_default();
        Answer::cached(&format!("hello {name}"), "max-age=60").field("Content-Location", "/a")
    });
    let edge = Edge::with_policy(&origin, "bypass_if = { cookies = [\"sid\"] }").await;
    let post = Request::new("POST", "/a").field("Cookie", "sid=alice").body("x");
    edge.send(&post).await.answered(200, "hello sid=alice");
    edge.get("/a").await.answered(200, "hello ");
}

#[tokio::test]
async fn d01_a_path_that_origins_read_differently_is_not_stored() {
    let origin = Origin::start().await;
    let table = "[[routes]]\nname = \"session\"\nmatch = { path = \"/session/**\" }\n\
                 origin = \"api\"\npolicy = \"session\"\n";
    let edge = Setup::before(&origin).table(table).policy("ttl = \"1h\"").start().await;
    for path in [
        "//session/me",
        "/session;x/me",
        "/session%2Fme",
        "/session%5Cme",
        "/session%252Fme",
        "/SESSION/me",
        "/x/..//session/me",
    ] {
        origin.answers(path, Answer::ok("alice"));
        for _ in 0..2 {
            let reply = edge.get(path).await;
            reply.cache_status("forebay; fwd=bypass; detail=ambiguous-path");
        }
    }
}

#[tokio::test]
async fn d08_an_interim_response_is_for_the_one_who_leads() {
    let gate = Gate::closed();
    let origin = Origin::start().await;
    let link = "Link: </alice.css>; rel=preload\r\n";
    let answer = Answer::cached("a", "private").after_interim(103, link).when_open(&gate);
    origin.answers_each("/a", vec![answer, Answer::cached("b", "private")]);
    let edge = Edge::before(&origin).await;
    let (mut first, mut second) = (edge.connect().await, edge.connect().await);
    first.send(Request::get("/a").http1()).await;
    origin.has_seen("/a", 1).await;
    second.send(Request::get("/a").http1()).await;
    gate.open();
    assert_eq!(first.interim().await.0, 103);
    first.reply("GET").await.answered(200, "a");
    let head = second.head().await;
    assert_eq!(head.code, 200, "{head}");
}

#[tokio::test]
async fn d10_tells_the_key_only_to_who_knows_the_secret() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let server = "threads = 1\ndebug_secret = \"hunter2\"";
    let edge = Setup::before(&origin).server(server).start().await;
    let debug = "Forebay-Debug";
    for target in ["/a?b=1", "/a?b=1", "/none"] {
        let told = edge.get_with(target, debug, "hunter2").await;
        let key = told.cache_status_value("key").unwrap_or_else(|| panic!("{told}"));
        assert!(key.contains(&format!("http://edge.test{target}")), "{told}");
        let route = told.cache_status_value("route").unwrap_or_else(|| panic!("{told}"));
        assert!(route.contains("all (") && route.contains("forebay.toml:"), "{told}");
        for guess in ["hunter", "hunter22", ""] {
            let reply = edge.get_with(target, debug, guess).await;
            assert_eq!(reply.cache_status_value("key"), None, "{reply}");
        }
    }
    assert!(origin.all().iter().all(|request| request.field("forebay-debug").is_none()));
    let silent = Edge::before(&origin).await;
    let reply = silent.get_with("/a", debug, "").await;
    assert_eq!(reply.cache_status_value("key"), None, "{reply}");
}
