//! What of a request counts by the rules of a route: what is told apart, and what the origin sees.

use crate::support::{Answer, Edge, Gate, Http2, Origin, Received, Reply, Request, Setup};

/// An edge with these options of `key`, before an origin that answers `/a` by `script`.
async fn keyed(
    options: &str,
    script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
) -> (Origin, Edge) {
    let origin = Origin::start().await;
    origin.answers_by("/a", script);
    let edge = Edge::with_policy(&origin, &format!("key = {{ {options} }}")).await;
    (origin, edge)
}

/// An answer that says what the request said in `name`, for a minute.
fn echo(name: &'static str) -> impl Fn(&Received) -> Answer {
    move |request| Answer::cached(&request.field(name).unwrap_or_default(), "max-age=60")
}

fn target(request: &Received) -> Answer {
    Answer::cached(&request.target, "max-age=60")
}

/// Asks for each of `targets` in turn, all of which are to be one for the origin: `expected`.
async fn all_are_one(options: &str, targets: &[&str], expected: &str) {
    let (origin, edge) = keyed(&format!("query = {{ {options} }}"), target).await;
    for (number, target) in targets.iter().enumerate() {
        let reply = edge.get(target).await;
        reply.answered(200, expected);
        let expected = if number == 0 { "forebay; fwd=uri-miss; stored" } else { "forebay; hit" };
        reply.cache_status(expected);
    }
    let seen: Vec<_> = origin.all().into_iter().map(|request| request.target).collect();
    assert_eq!(seen, [expected], "{options}");
}

/// Asks for each of `targets`, each of which is to be one of its own.
async fn all_are_apart(options: &str, targets: &[&str]) {
    let (origin, edge) = keyed(&format!("query = {{ {options} }}"), target).await;
    for _ in 0..2 {
        for target in targets {
            edge.get(target).await.answered(200, target);
        }
    }
    assert_eq!(origin.count("/a"), targets.len(), "{options}");
}

#[tokio::test]
async fn only_parameters_that_are_allowed_count() {
    let targets = ["/a?q=1&x=2&page=3", "/a?q=1&page=3", "/a?x=9&q=1&&page=3&y"];
    all_are_one("allow = ['q', 'page']", &targets, "/a?q=1&page=3").await;
    all_are_one("allow = []", &["/a?q=1", "/a", "/a?", "/a?&&"], "/a").await;
    all_are_apart("allow = ['q']", &["/a", "/a?q", "/a?q=", "/a?q=1", "/a?q=1&q=2"]).await;
}

#[tokio::test]
async fn parameters_that_are_denied_do_not_count() {
    let targets = ["/a?b=1&ts=1", "/a?ts=2&b=1", "/a?b=1&_x", "/a?b=1"];
    all_are_one("deny = ['ts', '_*']", &targets, "/a?b=1").await;
}

#[tokio::test]
async fn parameters_of_tracking_are_dropped_however_they_are_written() {
    let targets = ["/a?b=1&utm_source=x", "/a?gclid=1&b=1&fbclid=2", "/a?b=1&%75tm%5Fx=1"];
    all_are_one("drop_tracking = true", &targets, "/a?b=1").await;
}

#[tokio::test]
async fn parameters_are_sorted_by_name_but_not_by_value() {
    let targets = ["/a?c=3&b=2&b=1", "/a?b=2&c=3&b=1", "/a?b=2&b=1&c=3"];
    all_are_one("sort = true", &targets, "/a?b=2&b=1&c=3").await;
    all_are_apart("sort = true", &["/a?b=1&b=2", "/a?b=2&b=1"]).await;
}

#[tokio::test]
async fn what_others_take_for_a_border_hides_no_parameter() {
    let deny = "deny = ['utm_*']";
    all_are_apart(deny, &["/a?b=1", "/a?b=1;utm_x=1", "/a?b=1;utm_x=2", "/a?b=1%26utm_x=1"]).await;
    all_are_apart("allow = ['b']", &["/a?b=1", "/a?b=1;c=1", "/a?b=1?c=1"]).await;
}

#[tokio::test]
async fn the_query_is_forwarded_whole_where_that_is_wanted() {
    let options = "query = { deny = ['ts'], forward = true }";
    let (origin, edge) = keyed(options, target).await;
    edge.get("/a?ts=1&b=2").await.answered(200, "/a?ts=1&b=2");
    edge.get("/a?ts=2&b=2").await.answered(200, "/a?ts=1&b=2").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn ranges_conditions_and_heads_find_what_is_stored_without_what_does_not_count() {
    let script = |request: &Received| target(request).field("ETag", "\"1\"");
    let (origin, edge) = keyed("query = { deny = ['ts'] }", script).await;
    edge.get("/a?ts=1&b=2").await.answered(200, "/a?b=2");
    edge.get_with("/a?b=2&ts=2", "Range", "bytes=3-5").await.answered(206, "b=2").hit();
    edge.get_with("/a?ts=3&b=2", "If-None-Match", "\"1\"").await.status(304).hit();
    edge.send(&Request::new("HEAD", "/a?ts=4&b=2")).await.has("content-length", "6").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn what_is_passed_on_keeps_its_query_and_its_cookies() {
    let origin = Origin::with("/a", Answer::ok("done")).await;
    let policy = "bypass_if = { headers = ['X-Preview'] }
        key = { query = { allow = [], sort = true }, cookies = [], languages = ['de'] }";
    let edge = Edge::with_policy(&origin, policy).await;
    let request = |method: &str| {
        Request::new(method, "/a?z=1&b=2")
            .field("Cookie", "sid=1; theme=dark")
            .field("Accept-Language", "fr")
            .field("Accept-Encoding", "gzip, deflate")
    };
    for request in [request("POST").body("x"), request("GET").field("X-Preview", "1")] {
        edge.send(&request).await.answered(200, "done");
        let seen = origin.last("/a");
        assert_eq!(seen.target, "/a?z=1&b=2");
        assert_eq!(seen.field("cookie").as_deref(), Some("sid=1; theme=dark"));
        assert_eq!(seen.field("accept-language").as_deref(), Some("fr"));
        assert_eq!(seen.field("accept-encoding").as_deref(), Some("gzip, deflate"));
    }
}

#[tokio::test]
async fn fields_that_count_are_told_apart_though_the_origin_says_nothing_of_them() {
    let (origin, edge) = keyed("headers = ['X-Tenant', 'x-b']", echo("x-tenant")).await;
    for expected in ["forebay; fwd=uri-miss; stored", "forebay; hit"] {
        let reply = edge.get_with("/a", "X-Tenant", "one").await;
        reply.answered(200, "one").cache_status(expected).has("vary", "x-tenant, x-b");
    }
    edge.get_with("/a", "X-Tenant", "two").await.answered(200, "two");
    edge.get("/a").await.answered(200, "").cache_status("forebay; fwd=vary-miss; stored");
    // To say nothing is not the same as to say it is empty.
    edge.get_with("/a", "X-Tenant", "").await.cache_status("forebay; fwd=vary-miss; stored");
    edge.get_with("/a", "x-tenant", "one").await.answered(200, "one").hit();
    assert_eq!(origin.count("/a"), 4);
}

#[tokio::test]
async fn a_field_that_counts_cannot_be_taken_away_on_its_way() {
    let (origin, edge) = keyed("headers = ['X-Tenant']", echo("x-tenant")).await;
    let attack = Request::get("/a").field("Connection", "X-Tenant").field("X-Tenant", "one");
    edge.send(&attack).await.answered(200, "");
    edge.get_with("/a", "X-Tenant", "one").await.answered(200, "one");
    edge.get("/a").await.answered(200, "").hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_field_that_vary_names_cannot_be_taken_away_on_its_way() {
    let script = |request: &Received| echo("x-b")(request).field("Vary", "X-B, X-Forwarded-Host");
    let (_origin, edge) = keyed("", script).await;
    let attack = Request::get("/a").field("Connection", "X-B").field("X-B", "one");
    edge.send(&attack).await.answered(200, "");
    edge.get_with("/a", "X-B", "one").await.answered(200, "one");
    // What a client says for a proxy reaches no origin, and so selects nothing.
    edge.get_with("/a", "X-Forwarded-Host", "evil").await.answered(200, "").hit();
}

#[tokio::test]
async fn cookies_that_count_are_told_apart_and_others_stay_here() {
    let (origin, edge) = keyed("cookies = ['theme', 'x_*']", echo("cookie")).await;
    let reply = edge.get_with("/a", "Cookie", "sid=1; x_b=2; theme=dark").await;
    reply.answered(200, "theme=dark; x_b=2").has("vary", "cookie");
    let other_order = edge.get_with("/a", "Cookie", "theme=dark; sid=2; x_b=2").await;
    other_order.answered(200, "theme=dark; x_b=2").hit();
    edge.get_with("/a", "Cookie", "theme=light").await.answered(200, "theme=light");
    edge.get_with("/a", "Cookie", "sid=3").await.answered(200, "");
    edge.get("/a").await.answered(200, "").hit();
    // Of two cookies with one name the origin may take either: both count.
    let both = edge.get_with("/a", "Cookie", "theme=light; theme=dark").await;
    both.answered(200, "theme=light; theme=dark");
    assert_eq!(origin.count("/a"), 4);
}

#[tokio::test]
async fn cookies_in_several_fields_are_one() {
    let (origin, edge) = keyed("cookies = ['theme', 'x']", echo("cookie")).await;
    edge.get_with("/a", "Cookie", "theme=dark; sid=1; x=2").await;
    let request = Request::get("/a").field("Cookie", "x=2").field("Cookie", "theme=dark");
    edge.send(&request).await.answered(200, "theme=dark; x=2").hit();
    Http2::open(&edge).await.send(&request).await.answered(200, "theme=dark; x=2").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn no_cookie_at_all_reaches_the_origin_where_none_counts() {
    let script = |request: &Received| echo("cookie")(request).field("Vary", "Cookie");
    let (origin, edge) = keyed("cookies = []", script).await;
    edge.get_with("/a", "Cookie", "sid=1").await.answered(200, "");
    edge.get_with("/a", "Cookie", "sid=2").await.answered(200, "").hit();
    assert_eq!(origin.count("/a"), 1);
}

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile/15E148";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Mobile Safari/537.36";
const TABLET: &str = "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X)";

#[tokio::test]
async fn classes_of_devices_are_told_apart_and_told_to_the_origin() {
    let script = |request: &Received| echo("forebay-device")(request).field("Vary", "User-Agent");
    let (origin, edge) = keyed("device = true", script).await;
    let classes = [(PHONE, "mobile"), (ANDROID, "mobile"), (TABLET, "tablet"), ("x", "desktop")];
    for (agent, class) in classes {
        let reply = edge.get_with("/a", "User-Agent", agent).await;
        reply.answered(200, class).has("vary", "User-Agent");
    }
    edge.get("/a").await.answered(200, "desktop").hit();
    assert_eq!(origin.count("/a"), 3);
}

#[tokio::test]
async fn clients_are_told_that_an_answer_is_for_a_class_of_devices() {
    let (_origin, edge) = keyed("device = true", echo("forebay-device")).await;
    edge.get_with("/a", "User-Agent", PHONE).await.has("vary", "user-agent");
    edge.get_with("/a", "User-Agent", ANDROID).await.has("vary", "user-agent").hit();
}

#[tokio::test]
async fn no_client_says_of_which_class_it_is() {
    for (options, expected) in [("device = true", "desktop"), ("", "")] {
        let (origin, edge) = keyed(options, echo("forebay-device")).await;
        let forged = Request::get("/a").field("Forebay-Device", "mobile");
        edge.send(&forged).await.answered(200, expected);
        let taken_away = Request::get("/a").field("Connection", "Forebay-Device");
        edge.send(&taken_away).await.answered(200, expected).hit();
        // Nor of what is passed on.
        let forged = Request::new("POST", "/a").field("Forebay-Device", "mobile").body("x");
        edge.send(&forged).await.answered(200, expected);
        assert_eq!(origin.count("/a"), 2);
    }
}

#[tokio::test]
async fn the_language_that_fits_counts_and_is_told_to_the_origin() {
    let (origin, edge) = keyed("languages = ['en', 'de']", echo("accept-language")).await;
    for (asked, expected) in [("de-AT, en;q=0.5", "de"), ("fr, de;q=0.2", "de"), ("fr", "en")] {
        let reply = edge.get_with("/a", "Accept-Language", asked).await;
        reply.answered(200, expected).has("vary", "accept-language");
    }
    edge.get("/a").await.answered(200, "en").hit();
    let lines = Request::get("/a").field("Accept-Language", "fr").field("Accept-Language", "de");
    edge.send(&lines).await.answered(200, "de").hit();
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn codings_that_mean_the_same_share_an_answer() {
    let script =
        |request: &Received| echo("accept-encoding")(request).field("Vary", "Accept-Encoding");
    let (origin, edge) = keyed("", script).await;
    for asked in ["gzip, deflate, br", "br,gzip", "br;q=0.5, gzip;q=1"] {
        edge.get_with("/a", "Accept-Encoding", asked).await.answered(200, "br, gzip");
    }
    let lines = Request::get("/a").field("Accept-Encoding", "br").field("Accept-Encoding", "gzip");
    edge.send(&lines).await.answered(200, "br, gzip").hit();
    edge.get_with("/a", "Accept-Encoding", "").await.answered(200, "identity");
    edge.get("/a").await.answered(200, "");
    assert_eq!(origin.count("/a"), 3);
}

#[tokio::test]
async fn the_oldest_of_too_many_variants_goes() {
    let options = "headers = ['X-B'], max_variants = 2";
    let (origin, edge) = keyed(options, echo("x-b")).await;
    for value in ["1", "2", "3"] {
        edge.get_with("/a", "X-B", value).await.answered(200, value);
    }
    edge.get_with("/a", "X-B", "3").await.hit();
    edge.get_with("/a", "X-B", "2").await.hit();
    edge.get_with("/a", "X-B", "1").await.cache_status("forebay; fwd=vary-miss; stored");
    assert_eq!(origin.count("/a"), 4);
}

#[tokio::test]
async fn hosts_share_what_no_host_decides() {
    let script = |request: &Received| {
        let told = |name| request.field(name).unwrap_or_default();
        Answer::cached(&format!("{} {}", told("host"), told("x-forwarded-host")), "max-age=60")
    };
    let (origin, edge) = keyed("host = false", script).await;
    let own = format!("127.0.0.1:{}", origin.port());
    for host in ["evil.test", "one.test", "two.test"] {
        let reply = edge.send(&Request::get("/a").host(host)).await;
        reply.answered(200, &format!("{own} {own}"));
    }
    assert_eq!(origin.count("/a"), 1);
    // What is passed on is for one host.
    let reply = edge.send(&Request::new("POST", "/a").host("one.test").body("x")).await;
    reply.answered(200, "one.test one.test");
}

#[tokio::test]
async fn schemes_share_what_no_scheme_decides() {
    let (_origin, edge) = keyed("scheme = false", echo("x-forwarded-proto")).await;
    edge.get("/a").await.answered(200, "");
    edge.send(&Request::new("POST", "/a").body("x")).await.answered(200, "http");
}

#[tokio::test]
async fn a_change_invalidates_what_is_stored_for_the_parameters_that_count() {
    let script = |request: &Received| match request.method.as_str() {
        "GET" => target(request),
        _ => Answer::ok("done"),
    };
    let options = "query = { drop_tracking = true, sort = true }";
    for changed in ["/a?b=1&c=2", "/a?c=2&b=1", "/a?gclid=1&c=2&b=1"] {
        let (_origin, edge) = keyed(options, script).await;
        edge.get("/a?b=1&c=2").await;
        edge.get("/a?b=9").await;
        edge.send(&Request::new("POST", changed).body("x")).await.answered(200, "done");
        edge.get("/a?b=1&c=2").await.cache_status("forebay; fwd=uri-miss; stored");
        edge.get("/a?b=9").await.hit();
    }
}

/// Sends `POST` and says how a `GET` after it is answered.
async fn after_post(options: &str, post: Request, get: &Request) -> Reply {
    let script = |request: &Received| {
        let said: Vec<_> = ["accept-encoding", "cookie", "x-tenant"]
            .into_iter()
            .filter_map(|name| request.field(name))
            .collect();
        Answer::cached(&format!("{} {}", request.method, said.join(" ")), "max-age=60")
            .field("Content-Location", &request.target)
            .field("Vary", "Accept-Encoding")
    };
    let (_origin, edge) = keyed(options, script).await;
    edge.send(&post.body("x")).await.status(200);
    edge.send(get).await
}

#[tokio::test]
async fn an_answer_to_post_is_kept_only_if_all_of_its_request_counts() {
    let post = |name, value| Request::new("POST", "/a?b=1").field(name, value);
    let get = |name, value| Request::get("/a?b=1").field(name, value);
    for (options, post, get) in [
        ("query = { allow = ['c'] }", post("X-A", ""), Request::get("/a")),
        ("cookies = ['theme']", post("Cookie", "sid=1"), get("X-A", "")),
        ("host = false", post("X-A", ""), get("X-A", "")),
        ("scheme = false", post("X-A", ""), get("X-A", "")),
        ("", post("Accept-Encoding", "deflate"), get("Accept-Encoding", "identity")),
        ("languages = ['en', 'de']", post("Accept-Language", "fr"), get("X-A", "")),
        (
            "headers = ['X-Tenant']",
            post("X-Tenant", "one").field("Connection", "X-Tenant"),
            get("X-Tenant", "one"),
        ),
    ] {
        let reply = after_post(options, post, &get).await;
        assert!(reply.text().starts_with("GET"), "{options}: {reply}");
    }
    let other_order = Request::new("POST", "/a?c=1&b=1");
    let get = Request::get("/a?b=1&c=1");
    let reply = after_post("query = { sort = true }", other_order, &get).await;
    assert!(reply.text().starts_with("GET"), "{reply}");
}

#[tokio::test]
async fn an_answer_to_post_is_kept_for_who_says_the_same() {
    let post = Request::new("POST", "/a?b=1").field("Cookie", "theme=dark");
    let get = Request::get("/a?b=1").field("Cookie", "theme=dark; sid=1");
    let options = "cookies = ['theme'], query = { sort = true }, device = true";
    after_post(options, post.clone(), &get).await.answered(200, "POST theme=dark").hit();
    let other = Request::get("/a?b=1").field("Cookie", "theme=light");
    after_post(options, post, &other).await.answered(200, "GET theme=light");
}

#[tokio::test]
async fn what_is_stale_is_revalidated_behind_each_of_its_variants() {
    let script = |request: &Received| {
        let cookie = request.field("cookie").unwrap_or_default();
        let stale = if request.earlier < 2 { "max-age=60" } else { "max-age=600" };
        let age = if request.earlier < 2 { "100" } else { "0" };
        Answer::cached(&format!("{cookie} {}", request.earlier), stale).field("Age", age)
    };
    let origin = Origin::start().await;
    origin.answers_by("/a", script);
    let policy = "stale_while_revalidate = '1h'\nkey = { cookies = ['theme'] }";
    let edge = Edge::with_policy(&origin, policy).await;
    let ask = |cookies: &'static str| edge.get_with("/a", "Cookie", cookies);
    ask("theme=dark; sid=1").await.answered(200, "theme=dark 0");
    ask("theme=light; sid=2").await.answered(200, "theme=light 1");
    ask("theme=dark; sid=3").await.answered(200, "theme=dark 0").hit();
    origin.has_seen("/a", 3).await;
    assert_eq!(origin.last("/a").field("cookie").as_deref(), Some("theme=dark"));
    ask("theme=light; sid=4").await.answered(200, "theme=light 1").hit();
    origin.has_seen("/a", 4).await;
    assert_eq!(origin.last("/a").field("cookie").as_deref(), Some("theme=light"));
    for theme in ["theme=dark", "theme=light"] {
        let asked = async { while !ask(theme).await.text().ends_with(['2', '3']) {} };
        crate::support::soon("the new answer", asked).await;
        assert!(ask(theme).await.text().starts_with(theme));
    }
}

/// What both get who ask for `/a` at the same time, while nothing is stored.
async fn at_once(options: &str, requests: [Request; 2], forwards: usize) -> [String; 2] {
    let gate = Gate::closed();
    let held = gate.clone();
    let (origin, edge) = keyed(options, move |request| {
        let told = ["x-tenant", "cookie", "forebay-device", "accept-language"];
        let told: Vec<_> = told.into_iter().filter_map(|name| request.field(name)).collect();
        Answer::cached(&told.join(" "), "max-age=60").when_open(&held)
    })
    .await;
    let [first, second] = requests;
    let (mut one, mut other) = (edge.connect().await, edge.connect().await);
    one.send(first.http1()).await;
    origin.has_seen("/a", 1).await;
    other.send(second.http1()).await;
    if forwards == 2 {
        origin.has_seen("/a", 2).await;
    }
    gate.open();
    let replies = [one.reply("GET").await, other.reply("GET").await];
    assert_eq!(origin.count("/a"), forwards, "{options}");
    replies.map(|reply| reply.status(200).text())
}

#[tokio::test]
async fn requests_that_differ_in_nothing_that_counts_make_one_forward() {
    let dropped = [Request::get("/a?gclid=1"), Request::get("/a?gclid=2")];
    at_once("query = { drop_tracking = true }", dropped, 1).await;
    let cookies = ["sid=1; theme=x", "theme=x; sid=2"];
    let cookies = cookies.map(|cookies| Request::get("/a").field("Cookie", cookies));
    assert_eq!(at_once("cookies = ['theme']", cookies, 1).await, ["theme=x", "theme=x"]);
}

#[tokio::test]
async fn requests_that_differ_in_what_counts_never_wait_for_each_other() {
    for (options, name, values, expected) in [
        ("headers = ['X-Tenant']", "X-Tenant", ["one", "two"], ["one", "two"]),
        ("cookies = ['theme']", "Cookie", ["theme=x", "theme=y"], ["theme=x", "theme=y"]),
        ("device = true", "User-Agent", [PHONE, TABLET], ["mobile", "tablet"]),
        ("languages = ['en', 'de']", "Accept-Language", ["de", "fr"], ["de", "en"]),
    ] {
        let requests = values.map(|value| Request::get("/a").field(name, value));
        assert_eq!(at_once(options, requests, 2).await, expected, "{options}");
    }
}

#[tokio::test]
async fn what_a_304_varies_by_holds_for_what_it_updates() {
    let script = |request: &Received| match request.field("if-none-match") {
        None => echo("x-b")(request).field("ETag", "\"1\""),
        Some(_) => Answer::status(304).field("ETag", "\"1\"").field("Vary", "X-B"),
    };
    let (_origin, edge) = keyed("", script).await;
    edge.get_with("/a", "X-B", "one").await.answered(200, "one");
    let again = Request::get("/a").field("X-B", "one").field("Cache-Control", "no-cache");
    edge.send(&again).await.answered(200, "one");
    edge.get_with("/a", "X-B", "one").await.answered(200, "one").hit();
    edge.get_with("/a", "X-B", "two").await.answered(200, "two");
}

#[tokio::test]
async fn what_a_second_part_leaves_unsaid_was_said_with_the_first() {
    let script = |request: &Received| {
        let tenant = request.field("x-b").unwrap_or_default();
        let part = |range: &str, body: &str| {
            Answer::cached(body, "max-age=60").code(206).field("Content-Range", range)
        };
        let answer = match request.field("range").as_deref() {
            Some("bytes=0-3") => part("bytes 0-3/8", "1234").field("Vary", "X-B"),
            Some(_) => part("bytes 4-7/8", "5678"),
            None => Answer::cached("whole", "max-age=60"),
        };
        answer.field("ETag", &format!("\"{tenant}\""))
    };
    let (_origin, edge) = keyed("", script).await;
    let ask = |tenant| Request::get("/a").field("X-B", tenant);
    edge.send(&ask("one").field("Range", "bytes=0-3")).await.answered(206, "1234");
    edge.send(&ask("one")).await.answered(200, "12345678");
    edge.send(&ask("one")).await.answered(200, "12345678").hit();
    edge.send(&ask("two")).await.answered(200, "whole");
}

#[tokio::test]
async fn a_target_is_as_long_over_http_2_as_over_http_1() {
    let (origin, edge) = keyed("query = { drop_tracking = true }", target).await;
    let long = format!("/a?{}", "a&".repeat(4_200));
    edge.get(&long).await.status(414);
    Http2::open(&edge).await.get(&long).await.status(414);
    assert_eq!(origin.count("/a"), 0);
}

#[tokio::test]
async fn routes_share_nothing_though_hosts_do_not_count() {
    let (one, other) = (
        Origin::with("/a", Answer::cached("one", "max-age=60")).await,
        Origin::with("/a", Answer::cached("other", "max-age=60")).await,
    );
    let tables = format!(
        "[origins.other]
        servers = ['{}']
        [[routes]]
        name = 'other'
        match = {{ host = 'other.test' }}
        origin = 'other'
        policy = 'all'
        [[routes]]
        name = 'rest'
        match = {{ path = '/**' }}
        origin = 'api'
        policy = 'all'",
        other.url()
    );
    let setup = Setup::before(&one).policy("key = { host = false }").only_these_routes();
    let edge = setup.table(&tables).start().await;
    for (host, expected) in [("one.test", "one"), ("other.test", "other"), ("two.test", "one")] {
        edge.send(&Request::get("/a").host(host)).await.answered(200, expected);
    }
    assert_eq!((one.count("/a"), other.count("/a")), (1, 1));
}

#[tokio::test]
async fn a_field_that_is_taken_away_on_its_way_chooses_no_route() {
    let origin = Origin::start().await;
    origin.answers_by("/a", echo("x-beta"));
    let routes = "[[routes]]
        name = 'beta'
        match = { header = { X-Beta = true } }
        origin = 'api'
        policy = 'all'
        [[routes]]
        name = 'rest'
        match = { path = '/**' }
        origin = 'api'
        policy = 'all'";
    let edge = Setup::before(&origin).only_these_routes().table(routes).start().await;
    let attack = Request::get("/a").field("Connection", "X-Beta").field("X-Beta", "1");
    edge.send(&attack).await.answered(200, "");
    edge.get_with("/a", "X-Beta", "1").await.answered(200, "1");
    edge.get("/a").await.answered(200, "").hit();
}

#[tokio::test]
async fn what_was_stored_before_a_rule_was_written_answers_nobody_it_tells_apart() {
    let origin = Origin::start().await;
    origin.answers_by("/a", echo("x-tenant"));
    let edge = Setup::before(&origin).start().await;
    edge.get_with("/a", "X-Tenant", "one").await.answered(200, "one");
    edge.get_with("/a", "X-Tenant", "two").await.answered(200, "one").hit();
    edge.rewrite(&Setup::before(&origin).policy("key = { headers = ['X-Tenant'] }").text());
    edge.reload().await.status(200);
    for tenant in ["one", "two"] {
        let reply = edge.get_with("/a", "X-Tenant", tenant).await;
        reply.answered(200, tenant).cache_status("forebay; fwd=vary-miss; stored");
        edge.get_with("/a", "X-Tenant", tenant).await.answered(200, tenant).hit();
    }
}

#[tokio::test]
async fn what_stands_in_for_an_origin_that_fails_is_of_the_same_variant() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("x-fail") {
        Some(_) => Answer::status(503),
        None => echo("cookie")(request),
    });
    let policy = "strategy = 'network-first'\nkey = { cookies = ['theme'] }";
    let edge = Edge::with_policy(&origin, policy).await;
    for theme in ["theme=dark", "theme=light"] {
        edge.get_with("/a", "Cookie", &format!("sid=1; {theme}")).await.answered(200, theme);
    }
    for theme in ["theme=light", "theme=dark"] {
        let failing = Request::get("/a").field("Cookie", theme).field("X-Fail", "1");
        edge.send(&failing).await.answered(200, theme);
    }
}
