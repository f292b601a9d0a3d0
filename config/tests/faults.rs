//! Shows what is said about wrong files.

use std::path::Path;

use forebay_config::parse;

/// What a file needs beside the part that a case is about.
const REST: &str = r#"
[listeners.web]
address = "127.0.0.1:8080"

[origins.api]
servers = ["http://127.0.0.1:8000"]

[[routes]]
name   = "all"
match  = { path = "/**" }
origin = "api"
policy = "api"
"#;

fn faults(text: &str) -> String {
    let env = |name: &str| match name {
        "JUNK" => Some("hunter2".to_owned()),
        _ => None,
    };
    parse("forebay.toml", text, Path::new("/etc/forebay"), &env)
        .expect_err("the file is wrong")
        .to_string()
}

/// Shows the faults of a file that is right but for `part`.
macro_rules! part {
    ($part:literal, @$snapshot:literal) => {
        insta::assert_snapshot!(faults(&format!("version = 1\n{}\n{REST}", $part)), @$snapshot);
    };
}

/// Shows the faults of a whole file.
macro_rules! whole {
    ($text:literal, @$snapshot:literal) => {
        insta::assert_snapshot!(faults($text), @$snapshot);
    };
}

#[test]
fn an_empty_file_lacks_all_that_is_required() {
    whole!("", @r#"
    forebay.toml:1:1: version: expected the number 1, found nothing

    forebay.toml:1:1: listeners: expected one or more named tables, found nothing

    forebay.toml:1:1: origins: expected one or more named tables, found nothing

    forebay.toml:1:1: routes: expected a list of one or more elements, each a table, found nothing
    "#);
}

#[test]
fn the_version_must_be_known() {
    whole!(r#"
version = 2
listeners.web.address = "127.0.0.1:8080"
origins.api.servers = ["http://127.0.0.1:8000"]
routes = [{ name = "all", match = { path = "/**" }, origin = "api", policy = "api" }]
"#, @r#"forebay.toml:2:11: version: expected the number 1, found the number 2"#);
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    whole!("version = 1\n[cache\nmemory = \"1GiB\"\n[admin]\naddress = 127.0.0.1\n", @r#"
    forebay.toml:2:7: expected TOML, found a syntax error (unclosed table, expected `]`)

    forebay.toml:5:16: expected TOML, found a syntax error (invalid float, expected nothing)
    "#);
}

#[test]
fn a_key_may_not_be_written_twice() {
    part!("[cache]\nmemory = \"1GiB\"\nmemory = \"2GiB\"", @r#"forebay.toml:4:1: expected TOML, found a syntax error (duplicate key)"#);
}

#[test]
fn a_misspelt_key_is_told_the_nearest_name() {
    part!("[policies.news]\ntll = \"5m\"", @r#"forebay.toml:3:1: policies.news.tll: expected one of the options "strategy", "deadline", "ttl", "ttl_mode", "ttl_by_status", "browser_ttl", "stale_while_revalidate", "stale_if_error", "heuristic", "set_cookie", "immutable", "types", "key", "bypass_if", "compress", "lint_allow", "lint_reason", found "tll"; did you mean "ttl"?"#);
}

#[test]
fn a_misspelt_table_is_told_the_nearest_name() {
    part!("[policy.news]\nttl = \"5m\"\n[listener.x]\naddress = \"127.0.0.1:1\"", @r#"
    forebay.toml:2:2: policy: expected one of the options "version", "include", "listeners", "origins", "admin", "cache", "server", "policies", "routes", found "policy"

    forebay.toml:4:2: listener: expected one of the options "version", "include", "listeners", "origins", "admin", "cache", "server", "policies", "routes", found "listener"; did you mean "listeners"?
    "#);
}

#[test]
fn a_feature_that_is_not_there_yet_is_unknown() {
    part!(r#"
[cache]
tape = { path = "/dev/st0" }
"#, @r#"forebay.toml:4:1: cache.tape: expected one of the options "memory", "max_object", "disk", "redis", found "tape""#);
}

#[test]
fn a_duration_needs_units_in_order() {
    part!(r#"
[policies.a]
ttl = "30"
stale_if_error = "5 m"
stale_while_revalidate = "30m1h"
[policies.b]
ttl = 30
stale_if_error = "1w"
stale_while_revalidate = "99999d"
[server]
grace = ""
"#, @r#"
    forebay.toml:4:7: policies.a.ttl: expected a duration such as "30s", found "30" (it has no unit)

    forebay.toml:5:18: policies.a.stale_if_error: expected a duration such as "30s", found "5 m" (it has ' ' where a unit belongs)

    forebay.toml:6:26: policies.a.stale_while_revalidate: expected a duration such as "30s", found "30m1h" (its units do not go from long to short)

    forebay.toml:8:7: policies.b.ttl: expected a duration such as "30s", found the number 30

    forebay.toml:9:18: policies.b.stale_if_error: expected a duration such as "30s", found "1w" (the unit is "w", not one of ms, s, m, h, d)

    forebay.toml:10:26: policies.b.stale_while_revalidate: expected a duration such as "30s", found "99999d" (it is longer than 68 years)

    forebay.toml:12:9: server.grace: expected a duration such as "30s", found "" (it is empty)
    "#);
}

#[test]
fn a_size_needs_a_unit() {
    part!("[cache]\nmemory = \"512\"\nmax_object = \"64MB \"", @r#"
    forebay.toml:3:10: cache.memory: expected a size such as "64MiB", found "512" (it has no unit)

    forebay.toml:4:14: cache.max_object: expected a size such as "64MiB", found "64MB " (the unit is "MB ", not one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)
    "#);
    part!("[cache]\nmemory = \"64mb\"\nmax_object = \"99999999TiB\"", @r#"
    forebay.toml:3:10: cache.memory: expected a size such as "64MiB", found "64mb" (the unit is "mb", not one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)

    forebay.toml:4:14: cache.max_object: expected a size such as "64MiB", found "99999999TiB" (it is too large)
    "#);
}

#[test]
fn a_timeout_may_not_be_zero() {
    whole!(r#"
version = 1
listeners.web.address = "127.0.0.1:8080"
routes = [{ name = "all", match = { path = "/**" }, origin = "api", policy = "api" }]
[origins.api]
servers = ["http://127.0.0.1:8000"]
timeouts = { connect = "0s", first_bite = "5s" }
"#, @r#"
    forebay.toml:7:24: origins.api.timeouts.connect: expected a duration above zero such as "30s", found "0s" (it is zero)

    forebay.toml:7:30: origins.api.timeouts.first_bite: expected one of the options "connect", "first_byte", "read", found "first_bite"; did you mean "first_byte"?
    "#);
}

#[test]
fn an_address_is_an_ip_address_and_a_port() {
    part!(r#"
[listeners.a]
address = ":8080"
[listeners.b]
address = "localhost:8080"
[listeners.c]
address = "127.0.0.1"
[listeners.d]
address = "127.0.0.1:80800"
[listeners.e]
tls = { cert = "tls.crt" }
"#, @r#"
    forebay.toml:4:11: listeners.a.address: expected an IP address and a port such as "127.0.0.1:8080", found ":8080" (it has no IP address; "0.0.0.0" means every one)

    forebay.toml:6:11: listeners.b.address: expected an IP address and a port such as "127.0.0.1:8080", found "localhost:8080" (it has a name; write "127.0.0.1")

    forebay.toml:8:11: listeners.c.address: expected an IP address and a port such as "127.0.0.1:8080", found "127.0.0.1" (it has no port)

    forebay.toml:10:11: listeners.d.address: expected an IP address and a port such as "127.0.0.1:8080", found "127.0.0.1:80800" (invalid socket address syntax)

    forebay.toml:11:1: listeners.e.address: expected an IP address and a port such as "127.0.0.1:8080", found nothing

    forebay.toml:12:7: listeners.e.tls.key: expected the path of a file, found nothing
    "#);
}

#[test]
fn two_listeners_may_not_share_an_address() {
    part!(r#"
[listeners.other]
address = "127.0.0.1:8080"
[listeners.third]
address = "127.0.0.1:9900"
"#, @r#"
    forebay.toml:6:11: listeners.third.address: expected an address of its own, found "127.0.0.1:9900", which is admin.address too

    forebay.toml:10:11: listeners.web.address: expected an address of its own, found "127.0.0.1:8080", which is listeners.other.address too
    "#);
}

#[test]
fn an_origin_server_is_a_url_without_path() {
    whole!(r#"
version = 1
listeners.web.address = "127.0.0.1:8080"
routes = [{ name = "all", match = { path = "/**" }, origin = "api", policy = "api" }]
[origins.api]
servers = [
    "127.0.0.1:8000",
    "ftp://127.0.0.1",
    "http://127.0.0.1:8000/api",
    "http://127.0.0.1:0",
    "http://::1",
    "http://a..example",
    "http://127.0.0.256",
    "http://user:hunter2@a.example",
    "https://",
    8000,
]
host = "api.example/x"
"#, @r#"
    forebay.toml:7:5: origins.api.servers[0]: expected a URL without path such as "http://127.0.0.1:8000", found "127.0.0.1:8000" (it does not begin with "http://" or "https://")

    forebay.toml:8:5: origins.api.servers[1]: expected a URL without path such as "http://127.0.0.1:8000", found "ftp://127.0.0.1" (it does not begin with "http://" or "https://")

    forebay.toml:9:5: origins.api.servers[2]: expected a URL without path such as "http://127.0.0.1:8000", found "http://127.0.0.1:8000/api" (it has a path)

    forebay.toml:10:5: origins.api.servers[3]: expected a URL without path such as "http://127.0.0.1:8000", found "http://127.0.0.1:0" (its port is not between 1 and 65535)

    forebay.toml:11:5: origins.api.servers[4]: expected a URL without path such as "http://127.0.0.1:8000", found "http://::1" (an IPv6 address needs "[" and "]" around it)

    forebay.toml:12:5: origins.api.servers[5]: expected a URL without path such as "http://127.0.0.1:8000", found "http://a..example" (its host has an empty part)

    forebay.toml:13:5: origins.api.servers[6]: expected a URL without path such as "http://127.0.0.1:8000", found "http://127.0.0.256" (invalid IPv4 address syntax)

    forebay.toml:14:5: origins.api.servers[7]: expected a URL without path such as "http://127.0.0.1:8000", found "http://...@a.example" (it has a user name)

    forebay.toml:15:5: origins.api.servers[8]: expected a URL without path such as "http://127.0.0.1:8000", found "https://" (it has no host)

    forebay.toml:16:5: origins.api.servers[9]: expected a URL without path such as "http://127.0.0.1:8000", found the number 8000

    forebay.toml:18:8: origins.api.host: expected a host such as "api.example" or "api.example:8000", found "api.example/x" (its host has '/')
    "#);
}

#[test]
fn an_origin_needs_one_server_at_least() {
    whole!(r#"
version = 1
listeners.web.address = "127.0.0.1:8080"
routes = [{ name = "all", match = { path = "/**" }, origin = "api", policy = "api" }]
[origins.api]
servers = []
[origins."no spaces"]
servers = "http://127.0.0.1:8000"
"#, @r#"
    forebay.toml:6:11: origins.api.servers: expected 1 to 64 elements, found 0

    forebay.toml:7:10: origins."no spaces": expected a name of letters, digits, "-", "_" and ".", found "no spaces" (it has ' ')

    forebay.toml:8:11: origins."no spaces".servers: expected a list of one or more elements, each a URL without path such as "http://127.0.0.1:8000", found "http://127.0.0.1:8000"
    "#);
}

#[test]
fn an_open_admin_listener_needs_a_token() {
    part!("[admin]\naddress = \"0.0.0.0:9900\"", @r#"forebay.toml:3:11: admin.address: expected a loopback address, or admin.token beside it, found "0.0.0.0:9900" and no token"#);
}

#[test]
fn a_token_is_not_repeated() {
    part!("[admin]\naddress = \"0.0.0.0:9900\"\ntoken = 12345678", @r#"forebay.toml:4:9: admin.token: expected a token of visible ASCII characters, found something that is not a string"#);
    part!("[admin]\naddress = \"0.0.0.0:9900\"\ntoken = \"p ss\"", @r#"forebay.toml:4:9: admin.token: expected a token of visible ASCII characters, found other characters"#);
}

#[test]
fn a_variable_that_is_not_set_is_missed() {
    part!("[admin]\ntoken = \"${FOREBAY_ADMIN_TOKEN}\"", @r#"forebay.toml:3:9: admin.token: expected the variable FOREBAY_ADMIN_TOKEN in the environment, found it unset"#);
}

#[test]
fn a_token_of_the_environment_must_be_one_too() {
    let text = format!("version = 1\n{REST}");
    let told = |token: &str| {
        let env = |name: &str| (name == "FOREBAY_ADMIN_TOKEN").then(|| token.to_owned());
        parse("forebay.toml", &text, Path::new(""), &env).map_err(|faults| faults.to_string())
    };
    assert!(told("hunter2").is_ok());
    assert_eq!(
        told("hunter2\n").unwrap_err(),
        "forebay.toml:1:1: admin.token: expected a token of visible ASCII characters in \
         FOREBAY_ADMIN_TOKEN, found other characters"
    );
}

#[test]
fn a_disk_needs_a_folder_and_room() {
    part!("[cache]\ndisk = {}", @r#"forebay.toml:3:8: cache.disk.path: expected the path of a folder, found nothing"#);
    part!("[cache]\ndisk = { path = \"\", size = \"20\", entries = 0 }", @r#"
    forebay.toml:3:17: cache.disk.path: expected the path of a folder, found ""

    forebay.toml:3:28: cache.disk.size: expected a size such as "64MiB", found "20" (it has no unit)

    forebay.toml:3:44: cache.disk.entries: expected a number from 1 to 100000000, found the number 0
    "#);
    part!("[cache.disk]\npath = 1\nentries = 100_000_001\nsizes = \"1GiB\"", @r#"
    forebay.toml:3:8: cache.disk.path: expected the path of a folder, found the number 1

    forebay.toml:4:11: cache.disk.entries: expected a number from 1 to 100000000, found the number 100000001

    forebay.toml:5:1: cache.disk.sizes: expected one of the options "path", "size", "entries", found "sizes"; did you mean "size"?
    "#);
}

#[test]
fn a_redis_needs_a_url_and_the_url_is_not_repeated() {
    part!("[cache]\nredis = {}", @r#"forebay.toml:3:9: cache.redis.url: expected a URL such as "redis://127.0.0.1:6379" here or in REDIS_URL, found nothing"#);
    part!("[cache]\nredis = { url = \"redis://h?password=hunter2\" }", @r##"forebay.toml:3:17: cache.redis.url: expected a URL such as "redis://127.0.0.1:6379", found something else (it has a query or a fragment; in a password, write %3F for "?" and %23 for "#")"##);
    part!("[cache]\nredis = { url = \"redis://h\", ca = \"ca.pem\" }", @r#"forebay.toml:3:35: cache.redis.ca: expected a URL with TLS, such as "rediss://...", beside it, found one without"#);
    part!("[cache]\nredis = { url = 12345678 }", @r#"forebay.toml:3:17: cache.redis.url: expected a URL such as "redis://127.0.0.1:6379", found something that is not a string"#);
    part!("[cache]\nredis = { url = \"redis://${JUNK}@h\" }", @r#"forebay.toml:3:17: cache.redis.url: expected a URL such as "redis://127.0.0.1:6379", found something else (it has a user and no password; write ":" before a password)"#);
    part!("[cache.redis]\nurl = \"redis://h\"\nprefix = \"{a}\"\nmax_object = \"1GiB\"\ntimeout = \"0s\"", @r#"
    forebay.toml:4:10: cache.redis.prefix: expected a prefix of letters, digits, "-", "_", "." and ":", found "{a}" (it has '{')

    forebay.toml:5:14: cache.redis.max_object: expected a size of at most 64MiB such as "1MiB", found "1GiB" (it is larger)

    forebay.toml:6:11: cache.redis.timeout: expected a duration above zero such as "30s", found "0s" (it is zero)
    "#);
}

#[test]
fn a_redis_of_the_environment_must_be_one_too() {
    let text = format!("version = 1\n[cache.redis]\n{REST}");
    let env = |name: &str| (name == "REDIS_URL").then(|| "redis://:hunter/2@h".to_owned());
    let faults = parse("forebay.toml", &text, Path::new(""), &env).expect_err("it is wrong");
    insta::assert_snapshot!(faults.to_string(), @r#"forebay.toml:2:1: cache.redis.url: expected a URL such as "redis://127.0.0.1:6379" in REDIS_URL, found something else (it has "@" behind "/"; in a password, write %2F for "/")"#);
}

#[test]
fn a_variable_needs_a_name_and_a_brace() {
    part!("[admin]\ntoken = \"${\"\n[server]\nupgrade_socket = \"${A B}/x\"", @r#"
    forebay.toml:3:9: admin.token: expected "}" behind "${", found none

    forebay.toml:5:18: server.upgrade_socket: expected the name of a variable in "${}", found "A B"
    "#);
}

#[test]
fn what_the_environment_holds_is_not_repeated() {
    part!("[cache]\nmemory = \"${JUNK}\"\n[policies.a]\nstrategy = \"${JUNK}\"", @r#"
    forebay.toml:3:10: cache.memory: expected a size such as "64MiB", found "${JUNK}", which is not one when it is filled in

    forebay.toml:5:12: policies.a.strategy: expected one of "cache-first", "network-first", "stale-while-revalidate", "bypass", found "${JUNK}"
    "#);
}

#[test]
fn a_deadline_is_for_who_asks_the_origin_first() {
    part!(r#"
[policies.a]
deadline = "300ms"
[policies.b]
strategy = "stale-while-revalidate"
deadline = "300ms"
[policies.c]
strategy = "network-first"
deadline = "0s"
[policies.d]
strategy = "network-first"
deadline = "300ms"
"#, @r#"
    forebay.toml:4:12: policies.a.deadline: expected strategy = "network-first" beside it, found "cache-first"

    forebay.toml:7:12: policies.b.deadline: expected strategy = "network-first" beside it, found "stale-while-revalidate"

    forebay.toml:10:12: policies.c.deadline: expected a duration above zero such as "30s", found "0s" (it is zero)
    "#);
}

#[test]
fn a_policy_takes_known_words_only() {
    part!(r#"
[policies.a]
strategy = "cache-frist"
ttl_mode = "overide"
set_cookie = "drop"
heuristic = "no"
"#, @r#"
    forebay.toml:4:12: policies.a.strategy: expected one of "cache-first", "network-first", "stale-while-revalidate", "bypass", found "cache-frist"; did you mean "cache-first"?

    forebay.toml:5:12: policies.a.ttl_mode: expected one of "respect", "default", "override", found "overide"; did you mean "override"?

    forebay.toml:6:14: policies.a.set_cookie: expected one of "skip", "strip", "store", found "drop"

    forebay.toml:7:13: policies.a.heuristic: expected true or false, found "no"
    "#);
}

#[test]
fn what_is_compressed_is_known_and_told_once() {
    part!(r#"
[policies.a.compress]
codings = ["gzip", "deflate", "gzip"]
types = []
also_types = ["text", "application/*+", "*/*", "application/x*+json", "a/*+*"]
min_size = "1k"
level = 9
"#, @r#"
    forebay.toml:4:20: policies.a.compress.codings[1]: expected one of "br", "zstd", "gzip", found "deflate"

    forebay.toml:4:31: policies.a.compress.codings[2]: expected a coding that is not in the list yet, found "gzip" again

    forebay.toml:5:9: policies.a.compress.types: expected 1 to 64 elements, found 0

    forebay.toml:6:15: policies.a.compress.also_types[0]: expected a media type such as "text/css" or "image/*", found "text" (it has no "/")

    forebay.toml:6:23: policies.a.compress.also_types[1]: expected a media type such as "text/css" or "image/*", found "application/*+" ("*" may only stand for the whole subtype, or for what is before its "+")

    forebay.toml:6:41: policies.a.compress.also_types[2]: expected a media type such as "text/css" or "image/*", found "*/*" ("*" may only stand for the whole subtype, or for what is before its "+")

    forebay.toml:6:48: policies.a.compress.also_types[3]: expected a media type such as "text/css" or "image/*", found "application/x*+json" ("*" may only stand for the whole subtype, or for what is before its "+")

    forebay.toml:6:71: policies.a.compress.also_types[4]: expected a media type such as "text/css" or "image/*", found "a/*+*" ("*" may only stand for the whole subtype, or for what is before its "+")

    forebay.toml:7:12: policies.a.compress.min_size: expected a size such as "64MiB", found "1k" (the unit is "k", not one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)

    forebay.toml:8:1: policies.a.compress.level: expected one of the options "codings", "types", "also_types", "min_size", "personal", "upgrade_after", "dictionaries", "precompressed", found "level"
    "#);
}

#[test]
fn a_status_is_a_number_from_200_to_599() {
    part!(r#"
[policies.a]
ttl_by_status = { 404 = "10s", 600 = "1m", 4xx = "1m", 301 = "1 hour" }
[policies.b]
ttl_by_status = "10s"
"#, @r#"
    forebay.toml:4:32: policies.a.ttl_by_status.600: expected a status code from 200 to 599, found "600"

    forebay.toml:4:44: policies.a.ttl_by_status.4xx: expected a status code from 200 to 599, found "4xx"

    forebay.toml:4:62: policies.a.ttl_by_status.301: expected a duration such as "30s", found "1 hour" (it has ' ' where a unit belongs)

    forebay.toml:6:17: policies.b.ttl_by_status: expected a table such as { 404 = "10s" }, found "10s"
    "#);
}

#[test]
fn names_of_cookies_and_fields_are_tokens() {
    part!("[policies.a]\nbypass_if = { cookies = [\"a b\", \"\"], headers = \"Cookie\" }", @r#"
    forebay.toml:3:26: policies.a.bypass_if.cookies[0]: expected a name such as "page" or "utm_*", found "a b" (it has ' ')

    forebay.toml:3:33: policies.a.bypass_if.cookies[1]: expected a name such as "page" or "utm_*", found "" (it is empty)

    forebay.toml:3:48: policies.a.bypass_if.headers: expected a list of elements, each a name such as "sessionid" or "Authorization", found "Cookie"
    "#);
}

#[test]
fn a_route_names_an_origin_and_a_policy_that_are_there() {
    part!(r#"
[[routes]]
name = "first"
match = { path = "/a" }
origin = "apy"
policy = "statik"
"#, @r#"
    forebay.toml:6:10: routes[0].origin: expected one of the origins "api", found "apy"; did you mean "api"?

    forebay.toml:7:10: routes[0].policy: expected one of the policies "api", "reference", "session", "static", found "statik"; did you mean "static"?
    "#);
}

#[test]
fn a_reference_to_a_table_with_a_fault_is_right() {
    part!(r#"
[policies.news]
ttl = 5
[origins.other]
[[routes]]
name = "first"
match = { path = "/a" }
origin = "other"
policy = "news"
"#, @r#"
    forebay.toml:4:7: policies.news.ttl: expected a duration such as "30s", found the number 5

    forebay.toml:5:1: origins.other.servers: expected a list of one or more elements, each a URL without path such as "http://127.0.0.1:8000", found nothing
    "#);
}

#[test]
fn two_routes_may_not_share_a_name() {
    part!(r#"
[[routes]]
name = "all"
match = { path = "/a" }
origin = "api"
policy = "api"
"#, @r#"forebay.toml:17:10: routes[1].name: expected a name that no other route has, found that of the route in line 4"#);
}

#[test]
fn a_route_needs_all_of_its_parts() {
    part!("[[routes]]\n[[routes]]\nname = \"b\"\nmatch = { }\norigin = \"api\"\npolicy = \"api\"", @r#"
    forebay.toml:2:1: routes[0].name: expected a name of letters, digits, "-", "_" and ".", found nothing

    forebay.toml:2:1: routes[0].match: expected a table, found nothing

    forebay.toml:2:1: routes[0].origin: expected a name, found nothing

    forebay.toml:2:1: routes[0].policy: expected a name, found nothing
    "#);
}

#[test]
fn a_path_pattern_must_be_whole() {
    part!(r#"
[policies.a]
immutable = [
    "x/*.js",
    "/x**",
    "/[0-9",
    "/[z-a]",
    "/[]",
    "/[a]{9,8}",
    "/[a]{999}",
    "/{a,b",
    "/{a,{b}}",
    "/a]",
    "/a\\b",
    "/%zz",
    "",
]
"#, @r#"
    forebay.toml:5:5: policies.a.immutable[0]: expected a path pattern such as "/images/**", found "x/*.js" (it does not begin with "/" or "**/")

    forebay.toml:6:5: policies.a.immutable[1]: expected a path pattern such as "/images/**", found "/x**" ("**" must be a whole segment, as in "/x/**")

    forebay.toml:7:5: policies.a.immutable[2]: expected a path pattern such as "/images/**", found "/[0-9" (its "[" is not closed)

    forebay.toml:8:5: policies.a.immutable[3]: expected a path pattern such as "/images/**", found "/[z-a]" (its range "z-a" runs backwards)

    forebay.toml:9:5: policies.a.immutable[4]: expected a path pattern such as "/images/**", found "/[]" (it has an empty class)

    forebay.toml:10:5: policies.a.immutable[5]: expected a path pattern such as "/images/**", found "/[a]{9,8}" (its repeat "{9,8}" runs backwards)

    forebay.toml:11:5: policies.a.immutable[6]: expected a path pattern such as "/images/**", found "/[a]{999}" (its repeat "999" is not a number up to 256)

    forebay.toml:12:5: policies.a.immutable[7]: expected a path pattern such as "/images/**", found "/{a,b" (its "{" is not closed)

    forebay.toml:13:5: policies.a.immutable[8]: expected a path pattern such as "/images/**", found "/{a,{b}}" (it has braces within braces)

    forebay.toml:14:5: policies.a.immutable[9]: expected a path pattern such as "/images/**", found "/a]" ("]" closes nothing)

    forebay.toml:15:5: policies.a.immutable[10]: expected a path pattern such as "/images/**", found "/a\\b" (it has a backslash; "[*]" means a star itself)

    forebay.toml:16:5: policies.a.immutable[11]: expected a path pattern such as "/images/**", found "/%zz" ("%" is not followed by two hexadecimal digits)

    forebay.toml:17:5: policies.a.immutable[12]: expected a path pattern such as "/images/**", found "" (it does not begin with "/" or "**/")
    "#);
}

#[test]
fn a_host_pattern_has_no_port() {
    part!(r#"
[[routes]]
name = "a"
match = { path = [], host = ["a.example:8080", "a.*.example", "*", "*.", "a b"] }
origin = "api"
policy = "api"
[[routes]]
name = "b"
match = { path = 1, host = { a = 1 } }
origin = "api"
policy = "api"
"#, @r#"
    forebay.toml:5:18: routes[0].match.path: expected 1 to 256 elements, found 0

    forebay.toml:5:30: routes[0].match.host[0]: expected a host such as "a.example" or "*.example", found "a.example:8080" (it has a port)

    forebay.toml:5:48: routes[0].match.host[1]: expected a host such as "a.example" or "*.example", found "a.*.example" ("*" may only stand in front, as in "*.example.com")

    forebay.toml:5:63: routes[0].match.host[2]: expected a host such as "a.example" or "*.example", found "*" ("*" may only stand in front, as in "*.example.com")

    forebay.toml:5:68: routes[0].match.host[3]: expected a host such as "a.example" or "*.example", found "*." (it has no host)

    forebay.toml:5:74: routes[0].match.host[4]: expected a host such as "a.example" or "*.example", found "a b" (its host has ' ')

    forebay.toml:10:18: routes[1].match.path: expected a path pattern such as "/images/**", or a list, found the number 1

    forebay.toml:10:28: routes[1].match.host: expected a host such as "a.example" or "*.example", or a list, found a table
    "#);
}

#[test]
fn a_condition_of_a_route_must_be_one_that_can_hold() {
    part!(r#"
[[routes]]
name = "a"
match = { method = ["get", "A B"], extension = [".css", "tar.gz", "a/b", ""] }
origin = "api"
policy = "api"
[[routes]]
name = "b"
origin = "api"
policy = "api"
[routes.match]
method = 1
header = { "X A" = true, Host = "a", X-A = 1, X-B = "" }
query = { "" = true, a = { b = true } }
cookie = "sid"
"#, @r#"
    forebay.toml:5:21: routes[0].match.method[0]: expected a method such as "GET", found "get" (methods are in upper case: write "GET")

    forebay.toml:5:28: routes[0].match.method[1]: expected a method such as "GET", found "A B" (it has ' ')

    forebay.toml:5:49: routes[0].match.extension[0]: expected an extension without its dot such as "css", found ".css" (it begins with a dot)

    forebay.toml:5:57: routes[0].match.extension[1]: expected an extension without its dot such as "css", found "tar.gz" (only what follows the last dot counts)

    forebay.toml:5:67: routes[0].match.extension[2]: expected an extension without its dot such as "css", found "a/b" (it has '/')

    forebay.toml:5:74: routes[0].match.extension[3]: expected an extension without its dot such as "css", found "" (it is empty)

    forebay.toml:13:10: routes[1].match.method: expected a method such as "GET", or a list, found the number 1

    forebay.toml:14:12: routes[1].match.header."X A": expected the name of a header field such as "X-Beta", found "X A" (it has ' ')

    forebay.toml:14:26: routes[1].match.header.Host: expected the name of a header field such as "X-Beta", found "Host" (the host has an option of its own, routes.match.host)

    forebay.toml:14:44: routes[1].match.header.X-A: expected true, false or a pattern of the value such as "beta-*", found the number 1

    forebay.toml:14:53: routes[1].match.header.X-B: expected true, false or a pattern of the value such as "beta-*", found "" (it is empty)

    forebay.toml:15:11: routes[1].match.query."": expected the name of a query parameter such as "preview", found "" (it is empty)

    forebay.toml:15:26: routes[1].match.query.a: expected true, false or a pattern of the value such as "beta-*", found a table

    forebay.toml:16:10: routes[1].match.cookie: expected a table such as { beta = true, group = "b-*" }, found "sid"
    "#);
}

#[test]
fn the_conditions_of_a_route_are_bounded() {
    part!(r#"
[[routes]]
name = "a"
origin = "api"
policy = "api"
[routes.match.query]
"1" = true
"2" = true
"3" = true
"4" = true
"5" = true
"6" = true
"7" = true
"8" = true
"9" = true
a = true
b = true
c = true
d = true
e = true
f = true
g = true
h = true
"#, @"forebay.toml:7:1: routes[0].match.query: expected at most 16 names, found 17");
}

#[test]
fn the_number_of_threads_is_bounded() {
    part!("[server]\nthreads = 0", @r#"forebay.toml:3:11: server.threads: expected a number from 1 to 1024, found the number 0"#);
    part!("[server]\nthreads = -1", @r#"forebay.toml:3:11: server.threads: expected a number from 1 to 1024, found the number -1"#);
    part!("[server]\nthreads = 100_000", @r#"forebay.toml:3:11: server.threads: expected a number from 1 to 1024, found the number 100000"#);
}

#[test]
fn a_table_is_not_a_value() {
    whole!(r#"
version = "1"
listeners = "127.0.0.1:8080"
origins = ["http://127.0.0.1:8000"]
routes = { all = "/**" }
cache = "1GiB"
admin = 1979-05-27
server = 1.5
"#, @r#"
    forebay.toml:2:11: version: expected the number 1, found "1"

    forebay.toml:3:13: listeners: expected one or more named tables, found "127.0.0.1:8080"

    forebay.toml:4:11: origins: expected one or more named tables, found a list

    forebay.toml:5:10: routes: expected a list of one or more elements, each a table, found a table

    forebay.toml:6:9: cache: expected a table, found "1GiB"

    forebay.toml:7:9: admin: expected a table, found the time 1979-05-27

    forebay.toml:8:10: server: expected a table, found the number 1.5
    "#);
}

#[test]
fn a_long_value_is_cut() {
    part!("[cache]\nmemory = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", @r#"forebay.toml:3:10: cache.memory: expected a size such as "64MiB", found "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"... (a number is missing)"#);
}

#[test]
fn what_is_allowed_needs_a_reason_and_a_number() {
    part!(r#"
[policies.a]
lint_allow = ["L008"]
[policies.b]
lint_allow = ["L008"]
lint_reason = " "
[policies.c]
lint_allow = ["L099", "L8", "set-cookie", "l008"]
lint_reason = "why"
[policies.d]
lint_allow = []
[admin]
lint_allow = ["L016"]
"#, @r#"
    forebay.toml:4:14: policies.a.lint_allow: expected lint_reason = "..." beside it, found none

    forebay.toml:7:15: policies.b.lint_reason: expected a reason in words, found " " (it is empty)

    forebay.toml:9:15: policies.c.lint_allow[0]: expected the number of a lint such as "L003", found "L099" (the lints are L001 to L022; did you mean L009?)

    forebay.toml:9:23: policies.c.lint_allow[1]: expected the number of a lint such as "L003", found "L8" (the lints are L001 to L022)

    forebay.toml:9:29: policies.c.lint_allow[2]: expected the number of a lint such as "L003", found "set-cookie" (the lints are L001 to L022)

    forebay.toml:9:43: policies.c.lint_allow[3]: expected the number of a lint such as "L003", found "l008" (the lints are L001 to L022; did you mean L008?)

    forebay.toml:14:14: admin.lint_allow: expected lint_reason = "..." beside it, found none
    "#);
}

#[test]
fn columns_are_counted_in_characters() {
    part!("[policies.a] # é\r\nbypass_if = { cookies = [\"é\", \"é é\"] }\r\nttl = 1", @r#"
    forebay.toml:3:31: policies.a.bypass_if.cookies[1]: expected a name such as "page" or "utm_*", found "é é" (it has ' ')

    forebay.toml:4:7: policies.a.ttl: expected a duration such as "30s", found the number 1
    "#);
}

#[test]
fn not_all_of_very_many_faults_are_told() {
    let many: String = (0..1_500).map(|number| format!("x{number} = 1\n")).collect();
    let told = faults(&many);
    assert_eq!(told.split("\n\n").count(), 1_001);
    // Four are about what is required.
    assert!(told.ends_with("\n\n504 more faults"), "{told}");
}
