//! Who is asked first: routes that ask the origin first, and what answers when it fails or is
//! late; routes that answer stale by themselves.

use crate::support::{Answer, Edge, Gate, Origin, Reply, Request, Setup};

const NETWORK_FIRST: &str = "strategy = \"network-first\"";
/// Long enough for an origin that is well, on a machine with much to do.
const WITH_DEADLINE: &str = "strategy = \"network-first\"\ndeadline = \"500ms\"";

fn old() -> Answer {
    Answer::cached("old", "max-age=60")
}

/// Has been stale for a second.
fn stale() -> Answer {
    old().field("Age", "61")
}

fn new() -> Answer {
    Answer::cached("new", "max-age=60")
}

#[track_caller]
fn is_resting(reply: &Reply, body: &str) {
    reply.answered(200, body).cache_status("forebay; hit; detail=origin-resting");
    assert!(reply.cache_status_value("ttl").is_some(), "{reply}");
}

fn is_new(reply: &Reply) -> bool {
    reply.text() == "new"
}

#[tokio::test]
async fn asks_the_origin_though_what_is_stored_is_fresh() {
    let unchanged = Answer::status(304).field("ETag", "\"a\"").field("Cache-Control", "max-age=9");
    let answers = vec![old().field("ETag", "\"a\""), unchanged, new()];
    let (origin, edge) = Edge::after(NETWORK_FIRST, answers).await;
    let asked = "forebay; fwd=miss; fwd-status=304; stored; detail=network-first";
    edge.get("/a").await.answered(200, "old").cache_status(asked);
    assert_eq!(origin.last("/a").field("if-none-match").as_deref(), Some("\"a\""));
    edge.get("/a").await.answered(200, "new").cache_status("forebay; fwd=miss; stored");
    assert_eq!(origin.count("/a"), 3);
}

#[tokio::test]
async fn asks_once_for_many_who_ask_together() {
    let gate = Gate::closed();
    let (origin, edge) = Edge::after(NETWORK_FIRST, vec![old(), new().when_open(&gate)]).await;
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut connection = edge.connect().await;
        connection.send(Request::get("/a").http1()).await;
        connections.push(connection);
    }
    origin.has_seen("/a", 2).await;
    gate.open();
    for mut connection in connections {
        connection.reply("GET").await.answered(200, "new");
    }
    assert!(origin.count("/a") < 5, "{} requests", origin.count("/a"));
}

#[tokio::test]
async fn answers_only_if_cached_without_asking() {
    let (origin, edge) = Edge::after(NETWORK_FIRST, vec![old(), new()]).await;
    let reply = edge.get_with("/a", "Cache-Control", "only-if-cached").await;
    reply.answered(200, "old").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn answers_from_the_store_past_the_deadline() {
    for (stored, fwd) in [(old(), "miss"), (stale(), "stale")] {
        let gate = Gate::closed();
        let (_origin, edge) =
            Edge::after(WITH_DEADLINE, vec![stored, new().when_open(&gate)]).await;
        let expected = format!("forebay; fwd={fwd}; detail=deadline");
        edge.get("/a").await.answered(200, "old").cache_status(&expected);
        // The origin is left alone for a while.
        is_resting(&edge.get("/a").await, "old");
        // The late answer is stored when it comes.
        gate.open();
        edge.get_until("/a", is_new).await;
    }
}

#[tokio::test]
async fn stores_the_late_answer_though_nobody_waits_for_it() {
    let gate = Gate::closed();
    let answers = vec![old(), new().when_open(&gate), Answer::closes()];
    let (origin, edge) = Edge::after(WITH_DEADLINE, answers).await;
    let mut leaving = edge.connect().await;
    leaving.send(Request::get("/a").http1()).await;
    origin.has_seen("/a", 2).await;
    drop(leaving);
    gate.open();
    edge.get_until("/a", is_new).await;
}

#[tokio::test]
async fn who_joins_what_is_overdue_does_not_wait() {
    let policy = "strategy = \"network-first\"\ndeadline = \"900ms\"";
    let gate = Gate::closed();
    let (origin, edge) = Edge::after(policy, vec![old(), new().when_open(&gate)]).await;
    edge.get("/a").await.cache_status("forebay; fwd=miss; detail=deadline");
    let late = |reply: &Reply| reply.cache_status_value("detail").as_deref() == Some("deadline");
    let reply = edge.get_until("/a", late).await;
    reply.answered(200, "old").cache_status("forebay; fwd=miss; collapsed; detail=deadline");
    let timing = reply.field("server-timing").expect("it tells how long it waited");
    let waited = timing.split("origin;dur=").nth(1).expect("it waited for the origin");
    assert!(waited.parse::<f64>().expect("a number") < 450.0, "{timing}");
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn answers_parts_and_heads_past_the_deadline() {
    let held = Gate::closed();
    let range = ("Range", "bytes=0-1");
    let part = Answer::ok("ol").code(206).field("Content-Range", "bytes 0-1/3");
    let part = part.field("Cache-Control", "max-age=60").field("ETag", "\"a\"");
    for stored in [old(), part] {
        let origin = Origin::start().await;
        origin.answers_each("/a", vec![stored, new().when_open(&held)]);
        let edge = Edge::with_policy(&origin, WITH_DEADLINE).await;
        edge.get_with("/a", range.0, range.1).await.answered(206, "ol");
        let reply = edge.get_with("/a", range.0, range.1).await;
        reply.answered(206, "ol").cache_status("forebay; fwd=miss; detail=deadline");
    }
    let (_origin, edge) = Edge::after(WITH_DEADLINE, vec![old(), new().when_open(&held)]).await;
    let reply = edge.send(&Request::new("HEAD", "/a")).await;
    reply.status(200).has("content-length", "3");
    reply.cache_status("forebay; fwd=miss; detail=deadline");
}

/// Whether a request waits for the origin well beyond the deadline, and gets its answer.
async fn waits(edge: &Edge, request: &Request, gate: &Gate) {
    let mut connection = edge.connect().await;
    connection.send(request.http1()).await;
    assert!(connection.next_reply_or_idle("GET").await.is_none(), "it did not wait");
    gate.open();
    connection.reply("GET").await.answered(200, "new");
}

#[tokio::test]
async fn waits_beyond_the_deadline_where_nothing_is_stored() {
    let gate = Gate::closed();
    let origin = Origin::with("/a", new().when_open(&gate)).await;
    let policy = "strategy = \"network-first\"\ndeadline = \"50ms\"";
    let edge = Edge::with_policy(&origin, policy).await;
    waits(&edge, &Request::get("/a"), &gate).await;
}

#[tokio::test]
async fn waits_beyond_the_deadline_where_what_is_stored_must_be_validated() {
    let policy = "strategy = \"network-first\"\ndeadline = \"50ms\"";
    let stale = |said: &str| Answer::cached("old", said).field("Age", "61");
    for (stored, asked) in [
        (stale("max-age=60, must-revalidate").field("ETag", "\"a\""), "x"),
        (stale("s-maxage=60").field("ETag", "\"a\""), "x"),
        (Answer::cached("old", "no-cache, max-age=60").field("ETag", "\"a\""), "x"),
        (old(), "no-cache"),
        (old().field("Age", "9"), "max-age=0"),
        (stale("max-age=60"), "max-age=600"),
        (stale("max-age=60"), "max-stale=0"),
    ] {
        let gate = Gate::closed();
        let (_origin, edge) = Edge::after(policy, vec![stored, new().when_open(&gate)]).await;
        waits(&edge, &Request::get("/a").field("Cache-Control", asked), &gate).await;
    }
}

#[tokio::test]
async fn answers_from_the_store_for_an_origin_that_fails_and_asks_it_rarely() {
    for error in [
        Answer::ok("down").code(500),
        Answer::ok("down").code(503),
        Answer::closes(),
        Answer::resets(),
        Answer::raw("no HTTP at all\r\n\r\n"),
    ] {
        let (origin, edge) = Edge::after(NETWORK_FIRST, vec![old(), error]).await;
        let first = edge.get("/a").await;
        first.answered(200, "old").cache_status("forebay; fwd=miss; detail=fresh-if-error");
        is_resting(&edge.get("/a").await, "old");
        for _ in 0..50 {
            edge.get("/a").await.answered(200, "old");
        }
        // A connection that was kept may have been tried first.
        assert!(origin.count("/a") < 10, "{} requests", origin.count("/a"));
    }
}

#[tokio::test]
async fn answers_from_the_store_for_an_origin_that_is_gone() {
    for stored in [old(), stale()] {
        let (mut origin, edge) = Edge::after(NETWORK_FIRST, vec![stored]).await;
        origin.stop().await;
        edge.get("/a").await.answered(200, "old");
        is_resting(&edge.get("/a").await, "old");
    }
}

#[tokio::test]
async fn answers_stale_for_an_error_only_where_that_is_allowed() {
    let answers = || vec![stale(), Answer::ok("down").code(503)];
    let (_origin, edge) = Edge::after(NETWORK_FIRST, answers()).await;
    edge.get("/a").await.answered(503, "down");
    edge.get("/a").await.answered(503, "down").cache_status("forebay; fwd=stale");
    let policy = format!("{NETWORK_FIRST}\nstale_if_error = \"1h\"");
    let (_origin, edge) = Edge::after(&policy, answers()).await;
    let expected = "forebay; fwd=stale; fwd-status=503; detail=stale-if-error";
    edge.get("/a").await.answered(200, "old").cache_status(expected);
    is_resting(&edge.get("/a").await, "old");
}

#[tokio::test]
async fn the_error_of_one_page_does_not_keep_others_from_the_origin() {
    for trouble in [Answer::ok("oops").code(500), Answer::ok("down").code(502), Answer::closes()] {
        let (origin, edge) = Edge::after(NETWORK_FIRST, vec![old(), new()]).await;
        origin.answers("/b", trouble);
        edge.get("/b").await;
        edge.get("/a").await.answered(200, "new").cache_status("forebay; fwd=miss; stored");
    }
}

#[tokio::test]
async fn goes_forward_without_anything_stored_while_the_origin_rests() {
    let (origin, edge) = Edge::after(NETWORK_FIRST, vec![old(), Answer::status(502)]).await;
    edge.get("/a").await.answered(200, "old");
    origin.answers("/b", Answer::cached("b", "max-age=60"));
    edge.get("/b").await.answered(200, "b");
    // What failed rests on, though another page is well.
    is_resting(&edge.get("/a").await, "old");
}

#[tokio::test]
async fn one_request_tries_the_origin_after_its_rest() {
    let answers = vec![old(), Answer::status(502), new()];
    let (origin, edge) = Edge::after(NETWORK_FIRST, answers).await;
    edge.get("/a").await.answered(200, "old");
    edge.get_until("/a", is_new).await.cache_status("forebay; fwd=miss; stored");
    assert_eq!(origin.count("/a"), 3, "once to store, once to fail, once to try");
    edge.get("/a").await.cache_status("forebay; fwd=miss; stored; detail=network-first");
}

#[tokio::test]
async fn others_are_answered_from_the_store_while_one_tries() {
    let gate = Gate::closed();
    let answers = vec![old(), Answer::status(502), new().when_open(&gate)];
    let (origin, edge) = Edge::after(NETWORK_FIRST, answers).await;
    edge.get("/a").await.answered(200, "old");
    let mut trying = loop {
        let mut connection = edge.connect().await;
        connection.send(Request::get("/a").http1()).await;
        match connection.next_reply_or_idle("GET").await {
            Some(reply) => is_resting(&reply, "old"),
            None => break connection,
        }
    };
    for _ in 0..2 {
        is_resting(&edge.get("/a").await, "old");
    }
    gate.open();
    trying.reply("GET").await.answered(200, "new");
    assert_eq!(origin.count("/a"), 3);
}

#[tokio::test]
async fn revalidates_behind_a_stale_answer_for_a_day_where_nobody_says_how_long() {
    let policy = "strategy = \"stale-while-revalidate\"";
    let hours_old = |hours: u64| old().field("Age", &(hours * 3600).to_string());
    let (_origin, edge) = Edge::after(policy, vec![hours_old(24), new()]).await;
    let expected = "forebay; hit; detail=stale-while-revalidate";
    edge.get("/a").await.answered(200, "old").cache_status(expected);
    edge.get_until("/a", is_new).await.hit();
    let (_origin, edge) = Edge::after(policy, vec![hours_old(25), new()]).await;
    edge.get("/a").await.answered(200, "new").cache_status("forebay; fwd=stale; stored");
}

#[tokio::test]
async fn the_origin_of_one_route_does_not_rest_for_another() {
    let origin = Origin::start().await;
    origin.answers_each("/a", vec![old(), Answer::status(502)]);
    origin.answers_each("/b/a", vec![old(), new()]);
    let other = "[[routes]]\nname = \"other\"\nmatch = { path = \"/b/**\" }\norigin = \"api\"\n\
                 policy = \"all\"\n";
    let edge = Setup::before(&origin).policy(NETWORK_FIRST).table(other).start().await;
    edge.get("/a").await.answered(200, "old");
    edge.get("/b/a").await.answered(200, "old");
    edge.get("/a").await.answered(200, "old").cache_status("forebay; fwd=miss");
    edge.get("/b/a").await.answered(200, "new");
}
