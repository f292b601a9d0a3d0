//! How long an answer may be used again (RFC 9111 sections 4.2 and 5.2).

use crate::support::{Answer, Edge, Origin, Reply, Request, in_seconds, seconds_ago};

/// Asks twice for what the origin answers so, and gives the second reply.
async fn second(answer: Answer) -> Reply {
    second_under("", answer).await
}

async fn second_under(policy: &str, answer: Answer) -> Reply {
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, policy).await;
    edge.get("/a").await;
    let reply = edge.get("/a").await;
    let forwarded = origin.count("/a") == 2;
    assert_eq!(reply.cache_status_value("hit").is_none(), forwarded, "hit of {reply}");
    reply
}

fn aged(age: &str, cache_control: &str) -> Answer {
    Answer::cached("a", cache_control).field("Age", age)
}

async fn is_fresh(answer: Answer) {
    second(answer).await.answered(200, "a").hit();
}

async fn is_not_reused(answer: Answer) {
    let reply = second(answer).await;
    let fwd = reply.answered(200, "a").cache_status_value("fwd");
    assert!(fwd.is_some(), "not from the cache: {reply}");
}

#[tokio::test]
async fn answers_from_the_cache_while_fresh() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    let first = edge.get("/a").await;
    first.answered(200, "a").cache_status("forebay; fwd=uri-miss; fwd-status=200; stored");
    let second = edge.get("/a").await;
    second.answered(200, "a").cache_status("forebay; hit");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn says_how_long_it_stays_fresh() {
    let reply = second(Answer::cached("a", "max-age=1000")).await;
    let ttl = reply.cache_status_value("ttl").expect("a hit says its ttl");
    let ttl: i64 = ttl.parse().expect("a number");
    assert!((900..=1000).contains(&ttl), "{reply}");
}

#[tokio::test]
async fn counts_the_age_it_arrived_with() {
    let reply = second(aged("3600", "max-age=7200")).await;
    reply.hit();
    let age = reply.age().expect("a hit has Age");
    assert!((3600..3700).contains(&age), "{reply}");
}

#[tokio::test]
async fn counts_the_age_that_date_shows() {
    let answer = Answer::cached("a", "max-age=7200").field("Date", &seconds_ago(3600));
    let reply = second(answer).await;
    let age = reply.hit().age().expect("a hit has Age");
    assert!((3600..3700).contains(&age), "{reply}");
}

#[tokio::test]
async fn keeps_the_date_of_the_origin() {
    let date = seconds_ago(1000);
    let reply = second(Answer::cached("a", "max-age=7200").field("Date", &date)).await;
    reply.hit().has("date", &date);
}

#[tokio::test]
async fn an_answer_as_old_as_its_lifetime_is_stale() {
    is_not_reused(aged("60", "max-age=60")).await;
}

#[tokio::test]
async fn an_answer_older_than_expires_is_stale() {
    let answer = Answer::ok("a").field("Date", &seconds_ago(100));
    is_not_reused(answer.field("Expires", &seconds_ago(10))).await;
}

#[tokio::test]
async fn s_maxage_wins_over_max_age() {
    is_fresh(Answer::cached("a", "max-age=0, s-maxage=60")).await;
    is_not_reused(aged("30", "max-age=60, s-maxage=10")).await;
}

#[tokio::test]
async fn max_age_wins_over_expires() {
    is_fresh(Answer::cached("a", "max-age=60").field("Expires", &seconds_ago(60))).await;
    is_not_reused(Answer::cached("a", "max-age=0").field("Expires", &in_seconds(60))).await;
}

#[tokio::test]
async fn expires_counts_where_no_max_age_is() {
    is_fresh(Answer::ok("a").field("Expires", &in_seconds(60))).await;
}

#[tokio::test]
async fn an_invalid_expires_is_in_the_past() {
    is_not_reused(Answer::ok("a").field("Expires", "0")).await;
}

#[tokio::test]
async fn a_lifetime_beyond_all_numbers_is_long() {
    is_fresh(aged("1000", "max-age=99999999999999999999")).await;
}

#[tokio::test]
async fn no_cache_is_validated_each_time() {
    is_not_reused(Answer::cached("a", "no-cache, max-age=60").field("ETag", "\"a\"")).await;
}

#[tokio::test]
async fn an_answer_without_any_date_of_change_is_not_guessed_fresh() {
    is_not_reused(Answer::ok("a")).await;
}

#[tokio::test]
async fn guesses_a_tenth_of_the_time_since_the_last_change() {
    let unchanged = || Answer::ok("a").field("Last-Modified", &seconds_ago(10 * 86_400));
    second_under("heuristic = true", unchanged()).await.hit();
    let old = unchanged().field("Age", "90000");
    let reply = second_under("heuristic = true", old).await;
    reply.cache_status("forebay; fwd=stale; stored");
}

#[tokio::test]
async fn guesses_nothing_where_the_route_forbids_it() {
    let answer = Answer::ok("a").field("Last-Modified", &seconds_ago(10 * 86_400));
    let reply = second_under("heuristic = false", answer).await;
    assert!(reply.cache_status_value("fwd").is_some(), "{reply}");
}

#[tokio::test]
async fn a_default_lifetime_fills_the_gap() {
    let policy = "ttl = \"1m\"\nttl_mode = \"default\"";
    second_under(policy, Answer::ok("a")).await.hit();
    let reply = second_under(policy, Answer::cached("a", "max-age=0")).await;
    assert!(reply.cache_status_value("fwd").is_some(), "the origin said otherwise: {reply}");
}

#[tokio::test]
async fn an_overriding_lifetime_wins_over_the_origin() {
    let policy = "ttl = \"1m\"\nttl_mode = \"override\"";
    second_under(policy, Answer::cached("a", "max-age=0")).await.hit();
}

#[tokio::test]
async fn a_lifetime_by_status_counts_for_that_status() {
    let policy = "ttl_mode = \"default\"\nttl_by_status = { 404 = \"1m\" }";
    second_under(policy, Answer::status(404)).await.status(404).hit();
    let reply = second_under(policy, Answer::ok("a")).await;
    assert!(reply.cache_status_value("fwd").is_some(), "{reply}");
}

/// Asks for a fresh stored response with that `Cache-Control` in the request.
async fn asked_with(name: &str, value: &str) -> Reply {
    let origin = Origin::with("/a", aged("50", "max-age=100")).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await;
    edge.get_with("/a", name, value).await
}

#[tokio::test]
async fn a_client_may_ask_for_a_fresher_answer() {
    for value in ["no-cache", "max-age=0", "max-age=10", "min-fresh=80"] {
        let reply = asked_with("Cache-Control", value).await;
        assert_eq!(reply.cache_status_value("fwd").as_deref(), Some("request"), "{value}: {reply}");
    }
    let reply = asked_with("Pragma", "no-cache").await;
    assert_eq!(reply.cache_status_value("fwd").as_deref(), Some("request"), "{reply}");
}

#[tokio::test]
async fn a_fresh_enough_answer_satisfies_the_client() {
    for value in ["max-age=60", "min-fresh=10", "max-stale=5", "only-if-cached"] {
        asked_with("Cache-Control", value).await.hit();
    }
}

#[tokio::test]
async fn only_if_cached_never_goes_forward() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    edge.get_with("/a", "Cache-Control", "only-if-cached").await.status(504);
    assert_eq!(origin.count("/a"), 0);
}

#[tokio::test]
async fn a_request_with_no_store_leaves_nothing_behind() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    let request = Request::get("/a").field("Cache-Control", "no-store");
    assert_eq!(edge.send(&request).await.cache_status_value("stored"), None);
    edge.get("/a").await.cache_status("forebay; fwd=uri-miss; stored");
}

#[tokio::test]
async fn the_ttl_of_a_route_is_not_for_errors() {
    let origin = Origin::with("/a", Answer::status(404)).await;
    let edge = Edge::with_policy(&origin, "ttl = \"1h\"\nttl_mode = \"default\"").await;
    for _ in 0..2 {
        edge.get("/a").await.status(404).cache_status("forebay; fwd=uri-miss; detail=no-freshness");
    }
}
