//! Shows what right files turn into.

use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay_config::{
    Coding, Compress, Field, HostPattern, Mismatch, Need, Policy, RedisServers, Route,
    RouteRequest, Secret, Server, SetCookie, Settings, Strategy, TtlMode, covers, declared, parse,
};
use proptest::prelude::*;

const MINIMAL: &str = include_str!("../examples/minimal.toml");
const SITE: &str = include_str!("../examples/site.toml");
const TLS: &str = include_str!("../examples/tls.toml");

fn read(text: &str) -> Settings {
    let env = |name: &str| (name == "FOREBAY_ADMIN_TOKEN").then(|| "secret".to_owned());
    parse("forebay.toml", text, Path::new("/etc/forebay"), &env)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// The policy `name` of a file that has `policies`.
fn policy(policies: &str, name: &str) -> Policy {
    let route = format!("policy = \"{name}\"");
    let settings = read(&format!("{}\n{policies}", MINIMAL.replace("policy = \"api\"", &route)));
    let policy = settings.routes.iter().next().map(|route| Policy::clone(&route.policy));
    policy.expect("there is a route")
}

fn find<'s>(settings: &'s Settings, host: &str, path: &str) -> Option<&'s Route> {
    let fields = &Vec::<(String, String)>::new();
    let request = RouteRequest { host, path, method: "GET", query: None, fields };
    settings.routes.find(&request).map(AsRef::as_ref)
}

fn route(settings: &Settings, host: &str, path: &str) -> Option<String> {
    find(settings, host, path).map(|route| route.name.to_string())
}

const fn minutes(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(60 * count))
}

#[test]
fn the_minimal_example_has_every_default() {
    let settings = read(MINIMAL);
    assert_eq!(settings.listeners[0].name, "web");
    assert_eq!(settings.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.listeners[0].tls, None);
    let origin = &settings.origins[0];
    assert_eq!(origin.servers[0].to_string(), "http://127.0.0.1:8000");
    assert_eq!((&origin.host, &origin.ca), (&None, &None));
    assert_eq!(origin.timeouts.connect, Duration::from_secs(1));
    assert_eq!(origin.timeouts.first_byte, Duration::from_secs(30));
    assert_eq!(origin.timeouts.read, Duration::from_secs(30));
    assert_eq!(origin.idle, Duration::from_secs(60));
    assert_eq!(settings.admin.address.to_string(), "127.0.0.1:9900");
    assert_eq!(settings.cache.memory, 512 << 20);
    assert_eq!(settings.cache.max_object, 64 << 20);
    assert_eq!(settings.cache.disk, None);
    assert_eq!(settings.server.threads, None);
    assert_eq!(settings.server.grace, Duration::from_secs(30));
    assert_eq!(settings.server.upgrade_socket, None);
}

#[test]
fn the_site_example_sends_each_path_its_way() {
    let settings = read(SITE);
    let check = |path: &str, expected: &str| {
        assert_eq!(route(&settings, "any.example", path).as_deref(), Some(expected), "{path}");
    };
    check("/api/session", "sessions");
    check("/api/session/7", "sessions");
    check("/api/categories/7", "reference");
    check("/api/products", "api");
    check("/index.html", "static");
    check("/", "static");
    assert_eq!(route(&settings, "any.example", "*"), None);
    let routes: Vec<_> = settings.routes.iter().map(|route| (route.index, route.line)).collect();
    let first = SITE.lines().position(|line| line == "[[routes]]").expect("there are routes") + 1;
    assert_eq!(routes, [(0, first), (1, first + 6), (2, first + 12), (3, first + 18)]);
}

#[test]
fn the_site_example_sets_every_option_of_a_policy() {
    let settings = read(SITE);
    let route = find(&settings, "", "/api/x").expect("there is a route");
    let policy = &route.policy;
    assert_eq!((policy.name.as_str(), policy.strategy), ("api", Strategy::CacheFirst));
    assert_eq!((policy.ttl, policy.ttl_mode), (minutes(5), TtlMode::Default));
    let by_status: Vec<_> = policy.ttl_by_status.iter().map(|(s, d)| (*s, d.as_secs())).collect();
    assert_eq!(by_status, [(301, 3600), (404, 10)]);
    assert_eq!(policy.stale_while_revalidate, minutes(1));
    assert_eq!(policy.stale_if_error, minutes(60));
    assert_eq!((policy.heuristic, policy.set_cookie), (false, SetCookie::Skip));
    assert!(policy.bypass_if.cookies.iter().all(|name| name.matches(b"sessionid")));
    assert_eq!(policy.bypass_if.headers, ["authorization"]);
    assert_eq!(route.origin.host.as_deref(), Some("api.example"));
    assert_eq!(settings.server.upgrade_socket, Some(PathBuf::from("/etc/forebay/upgrade.sock")));
}

#[test]
fn the_tls_example_sees_files_from_its_folder() {
    let settings = read(TLS);
    let tls = settings.listeners[1].tls.as_ref().expect("it has a certificate");
    assert_eq!(tls.cert, PathBuf::from("/etc/forebay/tls.crt"));
    assert_eq!(tls.key, PathBuf::from("/etc/forebay/tls.key"));
    assert_eq!(settings.origins[0].ca, Some(PathBuf::from("/etc/forebay/internal-ca.pem")));
    assert_eq!(settings.admin.token.as_ref().map(Secret::reveal), Some("secret"));
}

#[test]
fn the_tls_example_tells_hosts_apart() {
    let settings = read(TLS);
    assert_eq!(route(&settings, "shop.example:8443", "/").as_deref(), Some("shop"));
    assert_eq!(route(&settings, "FILES.example", "/").as_deref(), Some("files"));
    assert_eq!(route(&settings, "a.files.example", "/").as_deref(), Some("files"));
    assert_eq!(route(&settings, "other.example", "/"), None);
    let hosts = &settings.routes.iter().next().expect("there are routes").hosts;
    assert_eq!(hosts[1], HostPattern::Under(".files.example".to_owned()));
}

/// The smallest example with these routes, each a name and what it matches.
fn with_routes(routes: &[(&str, &str)]) -> Settings {
    let (head, _) = MINIMAL.split_once("[[routes]]").expect("it has a route");
    let routes: String = routes
        .iter()
        .map(|(name, matched)| {
            format!(
                "[[routes]]\nname = \"{name}\"\nmatch = {matched}\norigin = \"api\"\n\
                 policy = \"api\"\n"
            )
        })
        .collect();
    read(&format!("{head}{routes}"))
}

/// What `method target` with `fields`, such as `x-a: 1`, is asked of the routes as.
fn asked<T>(
    method: &str,
    target: &str,
    fields: &[&str],
    ask: impl FnOnce(&RouteRequest<'_>) -> T,
) -> T {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let fields: Vec<_> = fields.iter().filter_map(|field| field.split_once(':')).collect();
    ask(&RouteRequest { host: "a.example", path, method, query, fields: &fields })
}

#[test]
fn each_condition_chooses_a_route() {
    let settings = with_routes(&[
        ("write", r#"{ method = ["POST", "PUT"] }"#),
        ("scripts", r#"{ extension = ["js", "MJS"], path = "/files/**" }"#),
        ("styles", r#"{ extension = "css" }"#),
        ("beta", r#"{ header = { X-Beta = true, X-Level = "b*" } }"#),
        ("preview", r#"{ query = { preview = "1", "a b" = false } }"#),
        ("member", r#"{ cookie = { sid = true, group = "m-*" } }"#),
        ("all", "{}"),
    ]);
    let check = |method: &str, target: &str, fields: &[&str], expected: &str| {
        let found = asked(method, target, fields, |request| {
            settings.routes.find(request).map(|route| route.name.to_string())
        });
        assert_eq!(found.as_deref(), Some(expected), "{method} {target} {fields:?}");
    };
    check("POST", "/a.css", &[], "write");
    check("post", "/a", &[], "all");
    check("HEAD", "/a.css", &[], "styles");
    check("GET", "/a.b/c.Css", &[], "styles");
    check("GET", "/.css", &[], "styles");
    for target in ["/a.css/", "/a.css/b", "/a.css.gz", "/css", "/a.", "/a?b.css"] {
        check("GET", target, &[], "all");
    }
    check("GET", "/files/a.mjs", &[], "scripts");
    check("GET", "/a.js", &[], "all");
    check("GET", "/", &["x-beta: no", "x-level: a", "X-LEVEL: beta"], "beta");
    check("GET", "/", &["x-beta: no"], "all");
    check("GET", "/", &["x-level: beta"], "all");
    check("GET", "/?preview=1", &[], "preview");
    check("GET", "/?preview=1&a+b", &[], "all");
    check("GET", "/?preview=2", &[], "all");
    check("GET", "/", &["cookie: group=m-1; sid=2"], "member");
    check("GET", "/", &["cookie: group=m-1; SID=2"], "all");
}

#[test]
fn what_keeps_a_request_from_earlier_routes_is_told() {
    let settings = with_routes(&[
        ("path", r#"{ path = ["/b", "/c/*"] }"#),
        ("host", r#"{ path = "/a", host = "*.b.example" }"#),
        ("method", r#"{ method = "POST" }"#),
        ("extension", r#"{ extension = "css" }"#),
        ("header", r#"{ header = { X-Beta = true } }"#),
        ("query", r#"{ query = { "a b" = true } }"#),
        ("cookie", r#"{ cookie = { sid = "a" } }"#),
        ("found", r#"{ path = "/a", query = { "a b" = false } }"#),
        ("behind", "{}"),
    ]);
    asked("GET", "/a", &[], |request| {
        let trace = settings.routes.trace(request);
        let told: Vec<_> =
            trace.iter().map(|(route, why)| format!("{}: {why}", route.name)).collect();
        assert_eq!(
            told,
            [
                "path: path",
                "host: host",
                "method: method",
                "extension: extension",
                "header: header \"x-beta\"",
                "query: query \"a b\"",
                "cookie: cookie \"sid\"",
            ]
        );
        assert_eq!(trace[4].1, Mismatch::Header("x-beta"));
        assert_eq!(settings.routes.find(request).map(|route| route.index), Some(7));
    });
}

#[test]
fn the_routes_that_a_target_may_take_are_told() {
    let settings = with_routes(&[
        ("beta", r#"{ path = ["/a/**", "/a/*"], cookie = { beta = true } }"#),
        ("b", r#"{ host = "b.example" }"#),
        ("post", r#"{ path = "/a/*.css", method = "POST" }"#),
        ("js", r#"{ extension = "js" }"#),
        ("css", r#"{ extension = "css" }"#),
        ("all", "{}"),
    ]);
    let names = |host: &str, path: &str| -> Vec<_> {
        settings.routes.for_target(host, path).map(|route| route.name.to_string()).collect()
    };
    assert_eq!(names("A.example:80", "/a/x.css"), ["beta", "post", "css"]);
    assert_eq!(names("b.example", "/"), ["b"]);
    assert_eq!(names("a.example", "/a"), ["beta", "all"]);
    let conditional: Vec<_> = settings.routes.iter().map(|route| route.is_conditional()).collect();
    assert_eq!(conditional, [true, false, true, false, false, false]);
}

#[test]
fn a_route_that_another_covers_is_known() {
    let check = |earlier: &str, later: &str, expected: bool| {
        let settings = with_routes(&[("earlier", earlier), ("later", later)]);
        let routes: Vec<_> = settings.routes.iter().collect();
        assert_eq!(covers(routes[0], routes[1]), expected, "{earlier} {later}");
    };
    check("{}", r#"{ path = "/a", host = "b", method = "GET" }"#, true);
    check(r#"{ path = "/**" }"#, "{}", true);
    check(r#"{ path = "/*" }"#, "{}", false);
    check(r#"{ path = "/a/**" }"#, r#"{ path = ["/a", "/a/b", "/a/*/c", "/a/b/**"] }"#, true);
    check(r#"{ path = "/a/**" }"#, r#"{ path = ["/a", "/b"] }"#, false);
    check(r#"{ path = "/a/**" }"#, r#"{ path = "/a*" }"#, false);
    check(r#"{ path = "/a/**" }"#, r#"{ path = "/ab/**" }"#, false);
    check(r#"{ path = "/*.js" }"#, r#"{ path = "/a.js" }"#, true);
    check(r#"{ path = ["/a", "/b"] }"#, r#"{ path = ["/b", "/a"] }"#, true);
    check(r#"{ host = "*.a.example" }"#, r#"{ host = ["b.a.example", "*.c.a.example"] }"#, true);
    check(r#"{ host = "*.a.example" }"#, r#"{ host = "a.example" }"#, false);
    check(r#"{ host = "b.a.example" }"#, r#"{ host = "*.a.example" }"#, false);
    check(r#"{ host = "a" }"#, "{}", false);
    check(r#"{ method = ["GET", "HEAD"] }"#, r#"{ method = "HEAD" }"#, true);
    check(r#"{ method = "HEAD" }"#, r#"{ method = ["GET", "HEAD"] }"#, false);
    check(r#"{ method = "GET" }"#, "{}", false);
    check(r#"{ extension = ["js", "css"] }"#, r#"{ extension = "CSS" }"#, true);
    check(r#"{ extension = "js" }"#, r#"{ path = "/a.js" }"#, false);
    check(r#"{ header = { X-A = true } }"#, r#"{ header = { x-a = "1", x-b = true } }"#, true);
    check(r#"{ header = { X-A = "1" } }"#, r#"{ header = { x-a = true } }"#, false);
    check(r#"{ query = { a = false } }"#, r#"{ query = { a = false, b = "1" } }"#, true);
    check(r#"{ query = { a = false } }"#, "{}", false);
    check(r#"{ cookie = { a = "b*" } }"#, r#"{ cookie = { a = "bc" } }"#, true);
    check(r#"{ cookie = { a = "b*" } }"#, r#"{ cookie = { A = "bc" } }"#, false);
}

#[test]
fn listeners_and_origins_keep_the_order_of_the_file() {
    let settings = read(&format!(
        "{MINIMAL}\n[listeners.a]\naddress = \"127.0.0.1:0\"\n[listeners.b]\naddress = \"127.0.0.1:0\""
    ));
    let names: Vec<_> = settings.listeners.iter().map(|listener| &listener.name).collect();
    assert_eq!(names, ["web", "a", "b"]);
}

#[test]
fn a_file_may_have_a_byte_order_mark_and_the_line_ends_of_windows() {
    read(&format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n")));
}

#[test]
fn the_token_is_read_from_the_environment_where_it_is_left_out() {
    assert_eq!(read(MINIMAL).admin.token.as_ref().map(Secret::reveal), Some("secret"));
    let settings = read(&format!("{MINIMAL}\n[admin]\ntoken = \"written\""));
    assert_eq!(settings.admin.token.as_ref().map(Secret::reveal), Some("written"));
}

#[test]
fn an_empty_token_in_the_environment_does_not_open_the_admin_listener() {
    let text = format!("{MINIMAL}\n[admin]\naddress = \"[::]:9900\"");
    let faults = parse("f", &text, Path::new(""), &|_| Some(String::new())).expect_err("no token");
    assert_eq!(faults.iter().map(|fault| &*fault.path).collect::<Vec<_>>(), ["admin.address"]);
}

#[test]
fn no_log_has_the_token() {
    assert!(!format!("{:?}", read(TLS)).contains("\"secret\""));
}

/// The smallest example with `part`, where the environment has `url` for `REDIS_URL`.
fn with_redis(part: &str, url: Option<&str>) -> Settings {
    let env = |name: &str| url.filter(|_| name == "REDIS_URL").map(str::to_owned);
    parse("f", &format!("{MINIMAL}\n{part}"), Path::new(""), &env)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn a_redis_has_every_default() {
    let settings = with_redis("[cache]\nredis = { url = 'redis://a.example' }", None);
    let redis = settings.cache.redis.expect("it is set");
    let servers = RedisServers::One { host: "a.example".to_owned(), port: 6379 };
    assert_eq!((redis.url.servers, redis.url.tls, redis.url.database), (servers, false, 0));
    assert_eq!((redis.prefix.as_str(), redis.max_object), ("forebay", 1 << 20));
    assert_eq!(redis.timeout, Duration::from_millis(20));
}

#[test]
fn a_redis_over_tls_may_have_authorities_of_its_own() {
    let settings = read(&format!("{MINIMAL}\n[cache.redis]\nurl = 'rediss://a'\nca = 'ca.pem'"));
    let ca = settings.cache.redis.expect("it is set").url.ca;
    assert_eq!(ca, Some(PathBuf::from("/etc/forebay/ca.pem")));
}

#[test]
fn the_environment_alone_brings_no_redis() {
    assert_eq!(with_redis("", Some("redis://a.example")).cache.redis, None);
    let settings = with_redis("[cache.redis]", Some("redis://a.example/2"));
    let redis = settings.cache.redis.expect("there is a table");
    assert_eq!(redis.url.to_string(), "redis://a.example:6379/2");
    let written = with_redis("[cache.redis]\nurl = 'redis://b'", Some("redis://a"));
    assert_eq!(written.cache.redis.expect("it is set").url.to_string(), "redis://b:6379");
}

#[test]
fn no_log_has_the_password_of_redis() {
    let settings = with_redis("[cache.redis]", Some("redis://edge:hunter2@a.example"));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn a_restart_is_needed_for_another_redis() {
    let check = |old: Option<&str>, new: Option<&str>, expected: &[&str]| {
        let with =
            |url: Option<&str>| with_redis(if url.is_some() { "[cache.redis]" } else { "" }, url);
        let changes = with(old).needs_restart(&with(new));
        let urls = changes.iter().filter(|change| change.path == "cache.redis.url");
        assert_eq!(urls.map(ToString::to_string).collect::<Vec<_>>(), expected);
    };
    check(None, None, &[]);
    check(Some("redis://a"), Some("redis://a:6379/0"), &[]);
    check(
        None,
        Some("redis://:hunter2@a"),
        &[r#"cache.redis.url: is nothing, would be "redis://...@a:6379""#],
    );
    check(
        Some("redis://:hunter2@a"),
        Some("redis://:hunter3@a"),
        &[
            r#"cache.redis.url: is "redis://...@a:6379", would be "redis://...@a:6379" with another password"#,
        ],
    );
}

#[test]
fn a_policy_without_options_does_what_the_origin_says() {
    let policy = policy("[policies.plain]", "plain");
    assert_eq!((policy.strategy, policy.ttl_mode), (Strategy::CacheFirst, TtlMode::Respect));
    assert_eq!((policy.ttl, policy.heuristic), (None, true));
    assert_eq!((policy.stale_while_revalidate, policy.stale_if_error), (None, None));
    assert_eq!(policy.set_cookie, SetCookie::Skip);
    assert!(policy.ttl_by_status.is_empty() && policy.immutable.is_empty());
}

#[test]
fn presets_are_there_without_being_written() {
    let check = |name: &str, strategy, ttl, ttl_mode, hashed: bool| {
        let policy = policy("", name);
        assert_eq!((policy.strategy, policy.ttl, policy.ttl_mode), (strategy, ttl, ttl_mode));
        assert_eq!(policy.immutable.matches("/assets/app.0a1b2c3d.js"), hashed, "{name}");
        assert!(!policy.immutable.matches("/assets/app.js"), "{name}");
    };
    check("api", Strategy::CacheFirst, minutes(5), TtlMode::Default, false);
    check("reference", Strategy::CacheFirst, minutes(60), TtlMode::Default, false);
    check("static", Strategy::CacheFirst, minutes(60), TtlMode::Default, true);
    check("session", Strategy::Bypass, None, TtlMode::Respect, false);
}

#[test]
fn a_policy_replaces_the_preset_of_its_name_as_a_whole() {
    let policy = policy("[policies.static]\nstale_if_error = \"1m\"", "static");
    assert_eq!((policy.ttl, policy.stale_if_error), (None, minutes(1)));
    assert!(policy.immutable.is_empty());
}

#[test]
fn a_url_alone_is_settings() {
    let settings = Settings::for_origin("http://localhost:8000/", None, None, Some("secret"))
        .expect("it is a URL");
    assert_eq!(settings.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.address.to_string(), "127.0.0.1:9900");
    let route = find(&settings, "any.example", "/x").expect("every path has a route");
    assert_eq!(route.origin.servers[0].to_string(), "http://localhost:8000");
    assert_eq!((&route.policy.ttl, route.policy.ttl_mode), (&None, TtlMode::Respect));
    let token = settings.admin.token.as_ref().map(Secret::reveal);
    assert_eq!(token, Some("secret"));
    let fault =
        Settings::for_origin("http://a", None, None, Some("a b")).expect_err("it has a space");
    assert!(fault.to_string().starts_with("FOREBAY_ADMIN_TOKEN: expected"), "{fault}");
}

#[test]
fn a_url_alone_can_listen_elsewhere() {
    let listen = "[::1]:0".parse().expect("it is an address");
    let settings =
        Settings::for_origin("https://a.example", Some(listen), None, None).expect("it is a URL");
    assert_eq!(settings.listeners[0].address, listen);
}

#[test]
fn a_url_alone_can_take_a_built_in_policy() {
    let settings = Settings::for_origin("http://a.example", None, Some("api"), None);
    let settings = settings.expect("it is built in");
    let route = find(&settings, "any.example", "/x").expect("every path has a route");
    assert_eq!(route.policy.ttl, minutes(5));
    let fault =
        Settings::for_origin("http://a", None, Some("statics"), None).expect_err("it is none");
    insta::assert_snapshot!(fault, @r#"--policy: expected one of the policies "api", "reference", "respect", "session", "static", found "statics"; did you mean "static"?"#);
}

#[test]
fn a_wrong_url_alone_is_told_without_a_line() {
    let fault =
        Settings::for_origin("localhost:8000", None, None, None).expect_err("it has no scheme");
    insta::assert_snapshot!(fault, @r#"--origin: expected a URL without path such as "http://127.0.0.1:8000", found "localhost:8000" (it does not begin with "http://" or "https://")"#);
    let listen = "127.0.0.1:9900".parse().expect("it is an address");
    let fault =
        Settings::for_origin("http://a", Some(listen), None, None).expect_err("it is taken");
    insta::assert_snapshot!(fault, @r#"--listen: expected an address of its own, found "127.0.0.1:9900", which is admin.address too"#);
}

#[test]
fn every_option_has_a_manual_a_default_and_an_example_that_are_right() {
    fn check(fields: &[Field], path: &str) -> usize {
        let each = fields.iter().map(|field| {
            let path = format!("{path}.{}", field.name);
            assert!(field.manual.iter().any(|line| !line.trim().is_empty()), "{path}");
            assert!(!field.expected().is_empty(), "{path}");
            if let Err(faults) = field.accepts(field.example) {
                panic!("{path}: {faults}");
            }
            match field.need {
                Need::Default(default) => field.accepts(default).expect("the default is right"),
                Need::Required | Need::InAnyFile | Need::Optional => {}
            }
            1 + check(field.fields(), &path)
        });
        each.sum()
    }
    assert!(check(declared(), "") > 60, "the tables within tables are declared too");
}

proptest! {
    #[test]
    fn a_wrong_file_always_has_a_fault(
        cut in 0..SITE.len(), length in 0..12usize, put in r#"[a-z0-9"'={}\[\],.$\n -]{0,6}"#,
    ) {
        let text: String = SITE.chars().take(cut).chain(put.chars())
            .chain(SITE.chars().skip(cut + length)).collect();
        if let Err(faults) = parse("f", &text, Path::new(""), &|_| None) {
            prop_assert!(faults.iter().next().is_some(), "{text}");
            prop_assert!(faults.iter().all(|fault| fault.place.is_some()));
        }
    }
}

/// Checks what keeps the smallest example with `old` added from becoming the one with `new`.
#[track_caller]
fn check_restart(old: &str, new: &str, expected: &[&str]) {
    let with = |part: &str| read(&format!("{MINIMAL}\n{part}"));
    let changes = with(old).needs_restart(&with(new));
    assert_eq!(changes.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn a_restart_is_needed_for_what_is_set_up_once() {
    let memory = r#"cache.memory: is "512MiB", would be "1GiB""#;
    check_restart("", "[cache]\nmemory = \"1GiB\"", &[memory]);
    let grace = r#"server.grace: is "1m", would be "30s""#;
    let threads = "server.threads: is 2, would be 3";
    let server = "[server]\nthreads = 2\ngrace = \"1m\"";
    check_restart(server, "[server]\nthreads = 3", &[grace, threads]);
    let socket = r#"server.upgrade_socket: is nothing, would be "/etc/forebay/up""#;
    check_restart("", "[server]\nupgrade_socket = \"up\"", &[socket]);
    let admin = r#"admin.address: is "127.0.0.1:1", would be "127.0.0.1:9900""#;
    check_restart("[admin]\naddress = \"127.0.0.1:1\"", "", &[admin]);
}

#[test]
fn a_disk_has_every_default_and_is_seen_from_the_folder_of_the_file() {
    let disk = read(&format!("{MINIMAL}\n[cache]\ndisk = {{ path = \"cache\" }}"))
        .cache
        .disk
        .expect("it is set");
    assert_eq!(disk.path, PathBuf::from("/etc/forebay/cache"));
    assert_eq!((disk.size, disk.entries), (10 << 30, 1_000_000));
    let other = "[cache.disk]\npath = \"/a\"\nsize = \"1MiB\"\nentries = 70_000";
    let other = read(&format!("{MINIMAL}\n{other}"));
    let other = other.cache.disk.expect("it is set");
    assert_eq!((other.size, other.entries), (1 << 20, 70_000));
}

#[test]
fn a_restart_is_needed_for_another_disk() {
    let set = "[cache.disk]\npath = \"/a\"\nsize = \"1GiB\"";
    let path = r#"cache.disk.path: is "/a", would be nothing"#;
    let size = r#"cache.disk.size: is "1GiB", would be nothing"#;
    let entries = "cache.disk.entries: is 1000000, would be nothing";
    check_restart(set, "", &[entries, path, size]);
    let other = "cache.disk.entries: is 1000000, would be 5";
    check_restart(set, &format!("{set}\nentries = 5"), &[other]);
    check_restart(set, "[cache]\ndisk = { path = \"/a\", size = \"1024MiB\" }", &[]);
}

#[test]
fn a_restart_is_needed_for_other_listeners() {
    let other = "[listeners.b]\naddress = \"127.0.0.1:1\"";
    let with_tls = format!("{other}\ntls = {{ cert = \"/c\", key = \"/k\" }}");
    let cert = r#"listeners.b.tls.cert: is nothing, would be "/c""#;
    let key = r#"listeners.b.tls.key: is nothing, would be "/k""#;
    check_restart("", other, &[r#"listeners.b.address: is nothing, would be "127.0.0.1:1""#]);
    check_restart(other, "", &[r#"listeners.b.address: is "127.0.0.1:1", would be nothing"#]);
    check_restart(other, &with_tls, &[cert, key]);
}

#[test]
fn no_restart_is_needed_for_the_same_in_other_words_nor_for_anything_else() {
    check_restart("[cache]\nmemory = \"1GiB\"", "[cache]\nmemory = \"1024MiB\"", &[]);
    check_restart("", "[server]\ngrace = \"30000ms\"", &[]);
    check_restart("", "[admin]\ntoken = \"another\"\n[server]\nwatch = true", &[]);
    check_restart("", "[cache]\nmax_object = \"1MiB\"\n[policies.api]\nttl = \"1s\"", &[]);
    check_restart("", "[origins.more]\nservers = [\"http://a\"]", &[]);
}

#[test]
fn who_may_purge_is_told_by_its_address() {
    let server = |from: &str| read(&format!("{MINIMAL}\n[server]\npurge_from = {from}")).server;
    let may = |server: &Server, address: &str| server.may_purge(address.parse().unwrap());
    let nobody = server("[]");
    assert!(!may(&nobody, "127.0.0.1") && !may(&nobody, "::1"));
    let some = server(r#"["127.0.0.1", "10.0.0.0/8", "fd00::/8"]"#);
    for address in ["127.0.0.1", "10.1.2.3", "fd00::7", "::ffff:10.1.2.3"] {
        assert!(may(&some, address), "{address}");
    }
    for address in ["127.0.0.2", "11.0.0.1", "::1", "fe80::7", "::ffff:11.0.0.1"] {
        assert!(!may(&some, address), "{address}");
    }
}

#[test]
fn what_is_compressed_goes_without_saying() {
    let compress = policy("", "api").compress;
    assert_eq!(compress.codings, [Coding::Br, Coding::Zstd, Coding::Gzip]);
    assert_eq!((compress.min_size, compress.dictionaries), (1024, false));
    assert!(policy("", "static").compress.dictionaries);
    let has = |compress: &Compress, kind: &str| compress.types.iter().any(|one| one == kind);
    assert!(has(&compress, "text/*") && has(&compress, "application/*+json"));
    let one =
        "[policies.api]\ncompress = { codings = ['gzip'], also_types = ['Application/X-Tile'] }";
    let more = policy(one, "api").compress;
    assert_eq!(more.codings, [Coding::Gzip]);
    assert!(has(&more, "text/*") && has(&more, "application/x-tile"));
    let other =
        "[policies.api]\ncompress = { types = ['a/*+xml'], also_types = ['b/c'], min_size = '0B' }";
    let other = policy(other, "api").compress;
    assert_eq!((other.types, other.min_size), (vec!["a/*+xml".to_owned(), "b/c".to_owned()], 0));
}
