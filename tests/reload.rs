//! Settings that are read again while it runs.

use crate::support::{
    Answer, Certificate, Connection, Edge, Gate, Http2Origin, Origin, Reply, Request, Setup,
    run_forebay, soon,
};

const FOR_A_SECOND: &str = "ttl = \"1s\"\nttl_mode = \"override\"";
const FOR_A_MINUTE: &str = "ttl = \"1m\"\nttl_mode = \"override\"";
const NEVER: &str = "strategy = \"bypass\"";
const WATCHED: &str = "threads = 1\ngrace = \"10s\"\nwatch = true";

/// The settings of a test, with these lines in its policy.
fn with(origin: &Origin, policy: &str) -> Setup {
    Setup::before(origin).policy(policy)
}

/// The hash that a line such as `settings 0123456789abcdef: 1 route` tells.
fn hash(reply: &Reply) -> String {
    let text = reply.status(200).text();
    let hash = text.strip_prefix("settings ").and_then(|rest| rest.split_once(':'));
    let hash = hash.unwrap_or_else(|| panic!("{text:?} has no hash")).0.to_owned();
    assert!(hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit()), "{hash}");
    hash
}

fn has_line(metrics: &str, wanted: &str) -> bool {
    metrics.lines().any(|line| line == wanted)
}

#[tokio::test]
async fn new_rules_hold_for_the_next_request() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = with(&origin, "").start().await;
    let mut connection = edge.connect().await;
    connection.request(&Request::get("/a")).await.cache_status("forebay; fwd=uri-miss; stored");
    connection.request(&Request::get("/a")).await.hit();
    edge.rewrite(&with(&origin, NEVER).text());
    edge.reload()
        .await
        .answered(200, &edge.reload().await.text())
        .has("content-type", "text/plain; charset=utf-8");
    connection.request(&Request::get("/a")).await.cache_status("forebay; fwd=bypass");
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn says_which_settings_hold_and_how_many_routes() {
    let origin = Origin::start().await;
    let edge = Edge::before(&origin).await;
    let unchanged = edge.reload().await;
    assert!(unchanged.status(200).text().ends_with(": 1 route\n"), "{unchanged}");
    assert_eq!(hash(&unchanged), hash(&edge.reload().await));
    let more = "[[routes]]\nname = \"more\"\nmatch = { path = \"/more\" }\n\
                origin = \"api\"\npolicy = \"all\"";
    edge.rewrite(&Setup::before(&origin).table(more).text());
    let changed = edge.reload().await;
    assert!(changed.text().ends_with(": 2 routes\n"), "{changed}");
    assert_ne!(hash(&unchanged), hash(&changed));
}

#[tokio::test]
async fn what_is_stored_survives() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = with(&origin, "").start().await;
    edge.get("/a").await.answered(200, "a");
    edge.rewrite(&with(&origin, FOR_A_SECOND).text());
    hash(&edge.reload().await);
    edge.get("/a").await.answered(200, "a").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn another_origin_answers_from_then_on() {
    let (first, second) = (Origin::start().await, Origin::start().await);
    first.answers("/a", Answer::cached("first", "no-store"));
    second.answers("/a", Answer::cached("second", "no-store"));
    let edge = Edge::before(&first).await;
    edge.get("/a").await.answered(200, "first");
    edge.rewrite(&Setup::before(&second).text());
    hash(&edge.reload().await);
    edge.get("/a").await.answered(200, "second");
}

#[tokio::test]
async fn nobody_waits_for_the_origin_of_before() {
    let gate = Gate::closed();
    let (first, second) = (Origin::start().await, Origin::start().await);
    first.answers("/a", Answer::cached("first", "max-age=60").when_open(&gate));
    second.answers("/a", Answer::cached("second", "max-age=60"));
    let edge = Edge::before(&first).await;
    let mut waiting = edge.connect().await;
    waiting.send(Request::get("/a").http1()).await;
    first.has_seen("/a", 1).await;
    edge.rewrite(&Setup::before(&second).text());
    hash(&edge.reload().await);
    edge.get("/a").await.answered(200, "second");
    gate.open();
    waiting.reply("GET").await.answered(200, "first");
}

#[tokio::test]
async fn a_running_request_keeps_its_rules() {
    let gate = Gate::closed();
    let origin = Origin::with("/a", Answer::cached("a", "max-age=5").when_open(&gate)).await;
    let edge = with(&origin, FOR_A_MINUTE).start().await;
    let mut running = edge.connect().await;
    running.send(Request::get("/a").http1()).await;
    origin.has_seen("/a", 1).await;
    edge.rewrite(&with(&origin, NEVER).text());
    hash(&edge.reload().await);
    gate.open();
    // The rules of before let it be stored, and for a minute.
    running.reply("GET").await.cache_status("forebay; fwd=uri-miss; stored").answered(200, "a");
    edge.rewrite(&with(&origin, "").text());
    hash(&edge.reload().await);
    let hit = edge.get("/a").await;
    let told = hit.answered(200, "a").hit().cache_status_value("ttl").expect("it tells its ttl");
    assert!(told.parse::<u64>().expect("a number") > 30, "{hit}");
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_all_its_faults_are_told() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    let wrong = with(&origin, NEVER).text().replace("memory =", "memry =").replace("2s", "soon");
    edge.rewrite(&wrong);
    let refused = edge.reload().await;
    let told = refused.status(422).has("content-type", "text/plain; charset=utf-8").text();
    assert!(told.contains("memry") && told.contains("soon"), "{told}");
    for line in told.lines().filter(|line| !line.is_empty()) {
        assert!(edge.log().contains(line), "the log lacks {line}:\n{}", edge.log());
    }
    // It is what `forebay check` would tell.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("forebay.toml");
    std::fs::write(&file, &wrong).expect("it can be written");
    let checked = run_forebay(&["check", file.to_str().expect("a path in UTF-8")]).await;
    let without_folders = |text: &str| -> Vec<String> {
        let last = |line: &str| line.rsplit('/').next().unwrap_or(line).to_owned();
        text.trim().lines().map(last).collect()
    };
    let checked = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(without_folders(&told), without_folders(&checked));
    edge.get("/a").await.answered(200, "a");
    edge.get("/a").await.answered(200, "a").hit();
}

#[tokio::test]
async fn a_file_that_is_named_and_missing_changes_nothing() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let edge = Edge::before(&origin).await;
    let ca = "ca = \"/nowhere/ca.pem\"";
    edge.rewrite(&Setup::before(&origin).origin(ca).text());
    let refused = edge.reload().await;
    assert!(refused.status(422).text().contains("/nowhere/ca.pem"), "{refused}");
    edge.get("/a").await.answered(200, "a");
}

#[tokio::test]
async fn a_changed_listener_is_refused_and_named() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    let text = with(&origin, NEVER).cache("memory = \"65MiB\"").text();
    edge.rewrite(&text.replacen("127.0.0.1:0", "127.0.0.1:1", 1));
    let told = edge.reload().await.status(422).text();
    let listener = "listeners.web.address: is \"127.0.0.1:0\", would be \"127.0.0.1:1\"";
    let memory = "cache.memory: is \"64MiB\", would be \"65MiB\"";
    for words in [listener, memory, "restart"] {
        assert!(told.contains(words), "{words} is not in\n{told}");
        assert!(edge.log().contains(words), "{words} is not in\n{}", edge.log());
    }
    edge.get("/a").await.cache_status("forebay; fwd=uri-miss; stored");
}

#[tokio::test]
async fn sighup_reads_the_settings_again() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = with(&origin, "").start().await;
    edge.rewrite(&with(&origin, NEVER).text());
    edge.signal("HUP");
    edge.has_logged("SIGHUP: settings ").await;
    edge.get("/a").await.cache_status("forebay; fwd=bypass");
    edge.rewrite("version = 2");
    edge.signal("HUP");
    edge.has_logged("the settings stay as they are").await;
    edge.get("/a").await.cache_status("forebay; fwd=bypass");
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_read_again() {
    let edge = Edge::demo().await;
    edge.reload().await.answered(409, "no settings file to read again\n");
    edge.signal("HUP");
    edge.has_logged("SIGHUP: no settings file to read again").await;
    edge.get("/").await.status(200);
}

#[tokio::test]
async fn a_file_that_is_watched_is_read_when_it_changes() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = with(&origin, "").server(WATCHED).start().await;
    edge.rewrite(&with(&origin, NEVER).server(WATCHED).text());
    let bypass = |reply: &Reply| reply.cache_status_value("fwd").as_deref() == Some("bypass");
    edge.get_until("/a", bypass).await;
}

#[tokio::test]
async fn files_that_are_included_are_watched_as_well() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let main = with(&origin, "").server(WATCHED).text();
    let main = main.replacen('\n', "\ninclude = [\"more-*.toml\"]\n", 1);
    let edge = with(&origin, "").server(WATCHED).start().await;
    edge.rewrite(&main);
    edge.has_logged("server.watch: settings ").await;
    let route = |policy: &str| {
        format!(
            "[[routes]]\nname = \"a\"\nmatch = {{ path = \"/a\" }}\norigin = \"api\"\n\
             policy = \"{policy}\"\n"
        )
    };
    let fwd = |reply: &Reply| reply.cache_status_value("fwd");
    edge.write("more-a.toml", &route("session"));
    edge.get_until("/a", |reply| fwd(reply).as_deref() == Some("bypass")).await;
    edge.write("more-a.toml", &route("all"));
    edge.get_until("/a", |reply| fwd(reply).as_deref() != Some("bypass")).await;
    edge.write("more-a.toml", &route("nobody"));
    edge.has_logged("more-a.toml:5:10: routes[0].policy").await;
}

#[tokio::test]
async fn what_is_dangerous_in_new_settings_is_told() {
    let origin = Origin::start().await;
    let edge = with(&origin, "").start().await;
    assert!(!edge.log().contains("L008"), "{}", edge.log());
    edge.rewrite(&with(&origin, "set_cookie = \"store\"").text());
    edge.reload().await.status(200);
    assert_eq!(edge.log().matches("L008").count(), 1, "{}", edge.log());
}

#[tokio::test]
async fn a_wrong_file_that_is_watched_is_told_once() {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = with(&origin, "").server(WATCHED).start().await;
    edge.rewrite("version = 2");
    edge.has_logged("the settings stay as they are").await;
    edge.rewrite(&with(&origin, NEVER).server(WATCHED).text());
    // Looked at several times before that one is read as well.
    edge.has_logged("server.watch: settings ").await;
    assert_eq!(edge.log().matches("the settings stay as they are").count(), 1, "{}", edge.log());
    edge.get("/a").await.cache_status("forebay; fwd=bypass");
}

#[tokio::test]
async fn reload_demands_the_token_that_holds() {
    let origin = Origin::start().await;
    let token = |token: &str| Setup::before(&origin).admin(&format!("token = \"{token}\""));
    let ask = |token: &str| {
        Request::new("POST", "/reload").field("Authorization", &format!("Bearer {token}"))
    };
    let edge = token("first-token").start().await;
    edge.reload().await.status(401).has("www-authenticate", "Bearer");
    edge.rewrite(&token("second-token").text());
    let told = edge.admin(&ask("first-token")).await.status(200).text();
    assert!(!told.contains("token"), "{told}");
    edge.admin(&ask("first-token")).await.status(401);
    edge.admin(&ask("second-token")).await.status(200);
    assert!(!edge.log().contains("-token"), "{}", edge.log());
}

#[tokio::test]
async fn reload_takes_post_alone() {
    let origin = Origin::start().await;
    let edge = Edge::before(&origin).await;
    for method in ["GET", "PUT", "DELETE"] {
        edge.admin(&Request::new(method, "/reload")).await.status(405).has("allow", "POST");
    }
    let refused = edge.admin(&Request::new("POST", "/metrics")).await;
    refused.status(405).has("allow", "GET, HEAD");
}

#[tokio::test]
async fn the_admin_listener_takes_no_long_body() {
    let origin = Origin::start().await;
    let edge = Edge::before(&origin).await;
    let post = |length: usize| Request::new("POST", "/reload").body(&"x".repeat(length));
    edge.admin(&post(64 << 10)).await.status(200);
    edge.admin(&post((64 << 10) + 1)).await.status(413);
    // Nor one that is announced and never sent.
    let mut connection = Connection::open(edge.address("admin")).await;
    let head = "POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n";
    connection.send(head).await;
    connection.reply("POST").await.status(413);
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn no_request_fails_while_settings_change() {
    let origin = Origin::with("/cached", Answer::cached("a", "max-age=60")).await;
    origin.answers("/own", Answer::cached("b", "no-store"));
    let edge = with(&origin, "").start().await;
    let done = Gate::closed();
    let asking = (0..20).map(|number: usize| {
        let (address, done) = (edge.address("web").to_owned(), done.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await;
            let mut asked = 0_usize;
            while !done.is_open() || asked < 10 {
                let (path, body) = [("/cached", "a"), ("/own", "b")][(number + asked) % 2];
                connection.request(&Request::get(path)).await.answered(200, body);
                asked += 1;
            }
        })
    });
    let asking: Vec<_> = asking.collect();
    for turn in 0..10 {
        let policy = [NEVER, FOR_A_MINUTE, "", "heuristic = false"][turn % 4];
        edge.rewrite(&with(&origin, policy).text());
        hash(&edge.reload().await);
    }
    done.open();
    for asking in asking {
        soon("a client to end", asking).await.expect("every answer was 200");
    }
}

#[tokio::test]
async fn tells_which_settings_requests_run_under() {
    let gate = Gate::closed();
    let origin = Origin::with("/a", Answer::held("first", &gate, " second")).await;
    let edge = with(&origin, "").start().await;
    let before = hash(&edge.reload().await);
    let mut running = edge.connect().await;
    running.send(Request::get("/a").http1()).await;
    running.head().await.status(200);
    edge.rewrite(&with(&origin, NEVER).text());
    let after = hash(&edge.reload().await);
    let in_flight = |hash: &str, count: usize| {
        format!("forebay_requests_in_flight{{settings=\"{hash}\"}} {count}")
    };
    let metrics = edge.admin(&Request::get("/metrics")).await.status(200).text();
    for wanted in [
        in_flight(&before, 1),
        in_flight(&after, 0),
        format!("forebay_settings_info{{hash=\"{after}\"}} 1"),
        "forebay_reloads_total{result=\"applied\"} 2".to_owned(),
        "forebay_reloads_total{result=\"refused\"} 0".to_owned(),
    ] {
        assert!(has_line(&metrics, &wanted), "{wanted} is not in\n{metrics}");
    }
    assert!(metrics.contains("\nforebay_settings_loaded_timestamp_seconds "), "{metrics}");
    gate.open();
    running.bytes(12).await;
    edge.metrics_until(|metrics| !metrics.contains(&before)).await;
    edge.rewrite("version = 2");
    edge.reload().await.status(422);
    let refused = "forebay_reloads_total{result=\"refused\"} 1";
    edge.metrics_until(|metrics| has_line(metrics, refused)).await;
}

#[tokio::test]
async fn routes_that_are_gone_leave_no_metrics() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let named = |name: &str| {
        let route = format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/**\" }}\n\
             origin = \"api\"\npolicy = \"all\""
        );
        Setup::before(&origin).only_these_routes().table(&route)
    };
    let edge = named("route-0").start().await;
    let lines = |metrics: &str| metrics.lines().count();
    let first = edge.admin(&Request::get("/metrics")).await.text();
    for number in 1..5 {
        edge.get("/a").await.answered(200, "a");
        edge.rewrite(&named(&format!("route-{number}")).text());
        hash(&edge.reload().await);
    }
    let last = edge.metrics_until(|metrics| lines(metrics) == lines(&first)).await;
    assert!(last.contains("route-4") && !last.contains("route-3"), "{last}");
}

#[tokio::test]
async fn an_authority_that_is_renewed_is_trusted() {
    let origin = Http2Origin::start("hello", "no-store").await;
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    let copy = |from: &Certificate| {
        std::fs::copy(from.path(), &ca).expect("a certificate can be copied");
    };
    copy(&Certificate::made());
    let options = format!("host = \"localhost\"\nca = {:?}", ca.display().to_string());
    let edge = Setup::before_url(&origin.url()).origin(&options).start().await;
    edge.get("/a").await.status(502);
    copy(origin.certificate());
    // The settings are the same, but for what they name.
    hash(&edge.reload().await);
    edge.get("/a").await.answered(200, "hello");
    std::fs::write(&ca, "no certificate").expect("it can be written");
    assert!(edge.reload().await.status(422).text().contains("ca.pem"));
    edge.get("/a").await.answered(200, "hello");
}
