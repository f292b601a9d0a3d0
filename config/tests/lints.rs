//! Shows what the lints find, and what silences them.

use std::path::Path;

use forebay_config::lint::LINTS;
use forebay_config::reference::EXAMPLES;
use forebay_config::{Finding, PRESETS, Surroundings, parse_with};
use toml::{Table, Value};

/// An environment that has everything, and no files.
struct Anywhere;

impl Surroundings for Anywhere {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "LISTEN" | "ORIGIN" => "127.0.0.1:8000",
            "ADMIN_LISTEN" => "127.0.0.1:9900",
            _ => "secret",
        };
        Some(value.to_owned())
    }

    fn files(&self, _: &Path, _: &str) -> Result<Vec<std::path::PathBuf>, String> {
        Ok(Vec::new())
    }

    fn text(&self, _: &Path) -> Result<String, String> {
        Err("it is not there".to_owned())
    }
}

/// What is found in a whole file.
fn findings(text: &str) -> Vec<Finding> {
    let parsed = parse_with("forebay.toml", text, Path::new(""), &Anywhere);
    parsed.unwrap_or_else(|faults| panic!("{faults}\n{text}")).findings
}

/// Prints findings.
fn printed(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding:#}")).collect::<Vec<_>>().join("\n")
}

/// A file with these options in the policy of its one route.
fn with_policy(options: &str) -> String {
    format!(
        "version = 1
listeners.web.address = '127.0.0.1:8080'
origins.api.servers = ['http://127.0.0.1:8000']
routes = [{{ name = 'all', match = {{ path = '/**' }}, origin = 'api', policy = 'it' }}]
[policies.it]
{options}
"
    )
}

/// A file with these lines in its one route, and these options in the policy of it.
fn with_route(route: &str, options: &str) -> String {
    format!(
        "version = 1
listeners.web.address = '127.0.0.1:8080'
origins.api.servers = ['http://127.0.0.1:8000']
[[routes]]
name = 'all'
origin = 'api'
policy = 'it'
{route}
[policies.it]
{options}
"
    )
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(","))
        }
        Value::Table(table) => {
            let pair = |(key, value)| format!("\"{key}\" = {}", inline(value));
            format!("{{{}}}", table.iter().map(pair).collect::<Vec<_>>().join(","))
        }
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Float(_) | Value::Datetime(_) => panic!("no option takes {value:?}"),
    }
}

/// The table of `file` that `name` means, which is made if it is not there.
fn table_named<'t>(file: &'t mut Table, name: &str) -> &'t mut Table {
    if let Some(route) = name.strip_prefix("[routes.match] of ") {
        let route = table_named(file, &format!("[[routes]] {route}"));
        return route["match"].as_table_mut().expect("it is a table");
    }
    if let Some(route) = name.strip_prefix("[[routes]] ") {
        let routes = file["routes"].as_array_mut().expect("it is a list");
        let mut routes = routes.iter_mut().filter_map(Value::as_table_mut);
        return routes
            .find(|table| inline(&table["name"]) == route)
            .expect("there is such a route");
    }
    let path = name.trim_start_matches('[').trim_end_matches(']');
    path.split('.').fold(file, |table, key| {
        let inner = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
        inner.as_table_mut().expect("it is a table")
    })
}

/// Does what would mend each finding, one after the other, until nothing more is to be done.
#[track_caller]
fn check_mends(text: &str) {
    let mut file: Table = text.parse().expect("it is TOML");
    for _ in 0..10 {
        let text: String =
            file.iter().map(|(key, value)| format!("{key} = {}\n", inline(value))).collect();
        let mut mends = findings(&text).into_iter().map(|finding| finding.mend);
        let with_toml = mends.find_map(|mend| {
            let lines: Table = mend.toml.parse().expect("it is TOML");
            (!lines.is_empty()).then_some((mend.table, lines))
        });
        let Some((table, lines)) = with_toml else { return };
        table_named(&mut file, &table).extend(lines);
    }
    panic!("there is always more to mend: {}", printed(&findings(text)));
}

/// Shows what is found in a file, what mends it, and that `lint_allow` in the same table silences it.
macro_rules! found {
    ($file:ident($($part:literal),+), $number:literal, @$snapshot:literal) => {
        let text = $file($($part),+);
        insta::assert_snapshot!(printed(&findings(&text)), @$snapshot);
        check_mends(&text);
        let allow = format!("lint_allow = ['{}']\nlint_reason = 'it is a test'\n", $number);
        let first = [$($part),+][0];
        let allowed = text.replacen(first, &format!("{allow}{first}"), 1);
        assert_eq!(printed(&findings(&allowed)), "");
    };
}

#[test]
fn l001_a_key_without_host_or_scheme() {
    found!(with_policy("key = { host = false, scheme = false }"), "L001", @r#"
    forebay.toml:6:16: L001 key-too-short: policies.it.key.host: all hosts share what is stored on route "all": what the origin says to one is told to all
        in [policies.it.key]:
            host = true
    forebay.toml:6:32: L001 key-too-short: policies.it.key.scheme: all schemes share what is stored on route "all": what the origin says to one is told to all
        in [policies.it.key]:
            scheme = true
    "#);
}

#[test]
fn l002_a_ttl_whatever_authorization_says() {
    found!(with_policy("ttl = '1m'
ttl_mode = 'default'
key = { cookies = [] }
bypass_if = { cookies = ['a'] }"), "L002", @r#"
    forebay.toml:6:7: L002 credentials-unminded: policies.it.ttl: nothing is said of Authorization on route "all": who sends it is given what is stored for everybody, and what the origin marks public, s-maxage or must-revalidate for one is stored for all
        in [policies.it]:
            bypass_if = { cookies = ["a"], headers = ["Authorization"] }
    "#);
    assert_eq!(
        printed(&findings(&with_policy(
            "ttl = '1m'\nttl_mode = 'default'\nkey = { cookies = [], headers = ['authorization'] }"
        ))),
        ""
    );
    // Each of these keeps what the origin says nothing about.
    for options in ["ttl = '1m'", "ttl_by_status = { 200 = '1m' }"] {
        let numbers = findings(&with_policy(options)).into_iter().map(|found| found.lint.number);
        assert_eq!(numbers.collect::<Vec<_>>(), ["L002", "L003"], "{options}");
        check_mends(&with_policy(options));
    }
    for options in ["ttl = '0s'", "ttl_by_status = { 301 = '1h' }", ""] {
        assert_eq!(printed(&findings(&with_policy(options))), "", "{options}");
    }
}

#[test]
fn l003_a_cached_route_that_forgets_cookies() {
    found!(with_policy("ttl = '1m'
ttl_mode = 'default'
bypass_if = { headers = ['Authorization'] }"), "L003", @r#"
    forebay.toml:6:7: L003 session-cached: policies.it.ttl: the origin gets every cookie on route "all", and what it answers to one visitor's is stored for all
        in [policies.it]:
            key = { cookies = [] } # if no answer depends on a cookie; or else the session cookie in bypass_if.cookies
    "#);
}

#[test]
fn l003_a_session_in_the_key() {
    found!(with_policy("key = { cookies = ['theme', 'sessionid'] }
compress = { codings = [] }"), "L003", @r#"
    forebay.toml:6:29: L003 session-cached: policies.it.key.cookies[1]: "sessionid" looks like the cookie of a session: on route "all" each visitor fills the cache with responses that answer nobody else
        in [policies.it]:
            bypass_if = { cookies = ["sessionid"] }
    "#);
    assert_eq!(
        printed(&findings(&with_policy(
            "key = { cookies = ['sessionid'] }\nbypass_if = { cookies = ['sess*'] }"
        ))),
        ""
    );
}

#[test]
fn l003_a_route_for_those_with_a_session() {
    found!(with_route("match = { cookie = { sessionid = true, theme = 'dark' } }", ""), "L003", @r#"
    forebay.toml:8:22: L003 session-cached: routes[0].match.cookie.sessionid: "sessionid" looks like the cookie of a session: all who have one are of this route, and what policies.it stores for one of them it gives to the others
        in [[routes]] "all":
            policy = "session"
    "#);
    for (route, policy) in [
        ("match = { cookie = { sessionid = false } }", ""),
        ("match = { cookie = { sessionid = true } }", "strategy = 'bypass'"),
        ("match = { cookie = { sessionid = true } }", "key = { cookies = [] }"),
    ] {
        assert_eq!(printed(&findings(&with_route(route, policy))), "");
    }
}

#[test]
fn l003_a_session_that_another_policy_knows() {
    let text = "version = 1
listeners.web.address = '127.0.0.1:8080'
origins.api.servers = ['http://127.0.0.1:8000']
origins.other.servers = ['http://127.0.0.1:8001']
routes = [
    { name = 'a', match = { path = '/a' }, origin = 'api', policy = 'careful' },
    { name = 'b', match = { path = '/b' }, origin = 'api', policy = 'forgetful' },
    { name = 'c', match = { path = '/c' }, origin = 'other', policy = 'forgetful' },
]
[policies.careful]
bypass_if = { cookies = ['shop_session', 'theme'] }
[policies.forgetful]
ttl = '1m'
ttl_mode = 'default'
bypass_if = { cookies = ['preview'], headers = ['Authorization'] }
";
    check_mends(text);
    insta::assert_snapshot!(printed(&findings(text)), @r#"
    forebay.toml:12:11: L003 session-cached: policies.forgetful: policies.careful knows the cookie "shop_session" as one that must not meet the cache; here, on route "b", the same origin gets it and the answer is stored for all
        in [policies.forgetful]:
            bypass_if = { cookies = ["preview", "shop_session"], headers = ["Authorization"] }
    "#);
    let wide = text.replace("'preview'", "'*_session'");
    assert_eq!(printed(&findings(&wide)), "");
}

#[test]
fn l004_a_parameter_that_is_forwarded_unkeyed() {
    found!(with_policy("key.query = { drop_tracking = true, forward = true }"), "L004", @r#"
    forebay.toml:6:47: L004 query-unkeyed: policies.it.key.query.forward: the origin gets parameters that are not in the key: whoever asks first on route "all" chooses with them what everybody is given
        in [policies.it.key.query]:
            forward = false
    "#);
    let harmless = with_policy("key.query = { sort = true, forward = true }");
    assert_eq!(printed(&findings(&harmless)), "");
}

#[test]
fn l005_a_header_that_only_the_route_knows() {
    found!(with_route("match = { header = { X-Tenant = 'a*', X-One = 'b', X-Any = true } }", ""), "L005", @r#"
    forebay.toml:8:22: L005 header-unkeyed: routes[0].match.header.X-Tenant: requests with different values of x-tenant are one to the key of policies.it: unless the origin names it in Vary, who asks first chooses the answer for all
        in [policies.it.key]:
            headers = ["x-any", "x-tenant"]
    forebay.toml:8:52: L005 header-unkeyed: routes[0].match.header.X-Any: requests with different values of x-any are one to the key of policies.it: unless the origin names it in Vary, who asks first chooses the answer for all
        in [policies.it.key]:
            headers = ["x-any", "x-tenant"]
    "#);
    for policy in [
        "key = { headers = ['X-Tenant'] }",
        "bypass_if = { headers = ['X-Tenant'] }",
        "strategy = 'bypass'",
    ] {
        let text = with_route("match = { header = { X-Tenant = '*' } }", policy);
        assert_eq!(printed(&findings(&text)), "");
    }
}

#[test]
fn l005_a_header_that_has_a_class_in_the_key() {
    let by = "match = { header = { User-Agent = '*bot*', Accept-Language = 'de*', X-Any = true } }";
    let text = with_route(by, "");
    let keyed = "languages = [\"en\"]\ndevice = true\nheaders = [\"x-any\"]";
    for finding in findings(&text) {
        assert_eq!((finding.lint.number, &*finding.mend.toml), ("L005", keyed));
    }
    check_mends(&text);
    let built_in = text.replace("policy = 'it'", "policy = 'static'").replace("[policies.it]", "");
    let keyed =
        "key = { cookies = [], languages = [\"en\"], device = true, headers = [\"x-any\"] }";
    assert!(findings(&built_in).iter().all(|finding| finding.mend.toml.ends_with(keyed)));
    check_mends(&built_in);
}

#[test]
fn l006_files_by_the_end_of_their_name() {
    found!(with_route("match = { extension = ['css', 'png'] }", ""), "L006", @r#"
    forebay.toml:8:23: L006 files-by-name: routes[0].match.extension: it is for names that end in .css, .png wherever they stand, and policies.it stores every media type: an origin that answers /account/x.css with the page at /account has it stored for all
        in [policies.it]:
            types = ["text/css", "image/*"]
    "#);
    let text = with_route("match = { extension = ['css'] }", "types = ['text/css']");
    assert_eq!(printed(&findings(&text)), "");
    let text = with_route("match = { extension = ['css'], path = '/assets/**' }", "");
    assert_eq!(printed(&findings(&text)), "");
}

#[test]
fn l006_files_of_a_built_in_policy() {
    let text = with_route("match = { path = '/**/*.{css,js}' }", "")
        .replace("policy = 'it'", "policy = 'static'")
        .replace("[policies.it]", "");
    check_mends(&text);
    insta::assert_snapshot!(printed(&findings(&text)), @r#"
    forebay.toml:8:18: L006 files-by-name: routes[0].match.path: it is for names that end in .{css,js} wherever they stand, and policies.static stores every media type: an origin that answers /account/x.css with the page at /account has it stored for all
        in [policies.static]:
            ttl       = "1h"
            ttl_mode  = "default"
            immutable = ["**/*.[0-9a-f]{8,}.*"]
            key       = { cookies = [] }
            bypass_if = { headers = ["Authorization"] }
            compress  = { dictionaries = true }
            types = ["text/css", "text/javascript"]
    forebay.toml:8:18: L011 pattern-loose: routes[0].match.path: "/**/*.{css,js}" begins below any folder: /account/*.{css,js} goes this way as well
        in [routes.match] of "all":
            path = ["/files/**/*.{css,js}"] # the folder where they are
    "#);
}

#[test]
fn l007_a_ttl_that_overrides() {
    found!(with_policy("ttl = '1m'
ttl_mode = 'override'
key = { cookies = [] }
bypass_if = { headers = ['Authorization'] }"), "L007", @r#"
    forebay.toml:7:12: L007 origin-overruled: policies.it.ttl_mode: on route "all" no max-age, no-cache or Expires of the origin counts any more: what it wants validated or dropped soon is kept all the same
        in [policies.it]:
            ttl_mode = "default"
    "#);
    assert_eq!(printed(&findings(&with_policy("ttl_mode = 'override'"))), "");
}

#[test]
fn l008_cookies_that_are_stored() {
    found!(with_policy("set_cookie = 'store'"), "L008", @r#"
    forebay.toml:6:14: L008 cookies-stored: policies.it.set_cookie: a cookie that the origin sets for one visitor is stored and given to all on route "all"
        in [policies.it]:
            set_cookie = "strip"
    "#);
}

#[test]
fn l009_errors_that_are_kept() {
    found!(with_policy("ttl_by_status = { 404 = '1m', 301 = '1h', 503 = '11s', 410 = '10s' }"), "L009", @r#"
    forebay.toml:6:25: L009 errors-kept: policies.it.ttl_by_status.404: one 404, which may be over in a second or be provoked by one client, is the answer to all for 1m on route "all"
        in [policies.it.ttl_by_status]:
            404 = "10s"
    forebay.toml:6:49: L009 errors-kept: policies.it.ttl_by_status.503: one 503, which may be over in a second or be provoked by one client, is the answer to all for 11s on route "all"
        in [policies.it.ttl_by_status]:
            503 = "10s"
    "#);
}

#[test]
fn l010_a_route_that_no_request_reaches() {
    let text = "version = 1
listeners.web.address = '127.0.0.1:8080'
origins.api.servers = ['http://127.0.0.1:8000']
[[routes]]
name = 'all'
match = { path = '/api/**' }
origin = 'api'
policy = 'api'
[[routes]]
name = 'lost'
match = { path = '/api/items/**', host = 'a.example' }
origin = 'api'
policy = 'api'
";
    insta::assert_snapshot!(printed(&findings(text)), @r#"
    forebay.toml:9:1: L010 route-shadowed: routes[1]: no request reaches it: the route "all" at forebay.toml:4 matches all that it could match
        in [[routes]] "lost":
            # move it above the route "all"
    "#);
    let allow = "name = 'lost'\nlint_allow = ['L010']\nlint_reason = 'it is a test'";
    assert_eq!(printed(&findings(&text.replace("name = 'lost'", allow))), "");
}

#[test]
fn l011_patterns_that_are_loose_or_large() {
    found!(with_route("match = { path = ['**/logo', '/[0-9a-f]{200,256}/{a,b}[x-z]{200}'] }", ""), "L011", @r#"
    forebay.toml:8:19: L011 pattern-loose: routes[0].match.path[0]: "**/logo" begins below any folder: /account/logo goes this way as well
        in [routes.match] of "all":
            path = ["/files/**/logo", "/[0-9a-f]{200,256}/{a,b}[x-z]{200}"] # the folder where they are
    forebay.toml:8:30: L011 pattern-loose: routes[0].match.path[1]: "/[0-9a-f]{200,256}/{a,b}[x-z]{200}" is large when it is compiled: long repeats make every request dear
        in [[routes]] "all":
            # write `{8,}` or `*` in place of a long repeat
    "#);
    for path in ["/**", "**", "/a/**/b", "/assets/*.[0-9a-f]{8,}.*", "/[0-9a-f]{32}"] {
        let text = with_route(&format!("match = {{ path = '{path}' }}"), "");
        assert_eq!(printed(&findings(&text)), "");
    }
}

#[test]
fn l012_stale_responses_that_s_maxage_forbids() {
    found!(with_policy("stale_while_revalidate = '1m'"), "L012", @r#"
    forebay.toml:6:26: L012 stale-forbidden: policies.it.stale_while_revalidate: on route "all" the lifetime is what the origin says, and if it says s-maxage, it forbids stale answers with it (RFC 9111 §5.2.2.10): then this never acts
        in [policies.it]:
            # let the origin send CDN-Cache-Control: max-age=60 in place of s-maxage
    "#);
    found!(with_policy("strategy = 'stale-while-revalidate'"), "L012", @r#"
    forebay.toml:6:12: L012 stale-forbidden: policies.it.strategy: on route "all" the lifetime is what the origin says, and if it says s-maxage, it forbids stale answers with it (RFC 9111 §5.2.2.10): then this never acts
        in [policies.it]:
            # let the origin send CDN-Cache-Control: max-age=60 in place of s-maxage
    "#);
}

#[test]
fn l013_stale_responses_that_outlive_the_law() {
    found!(with_policy("stale_if_error = '31d'"), "L013", @r#"
    forebay.toml:6:18: L013 stale-for-months: policies.it.stale_if_error: if the origin fails, what it erased may still be answered 30d later on route "all"; the law may ask for it to be gone within a month
        in [policies.it]:
            stale_if_error = "7d"
    "#);
    assert_eq!(printed(&findings(&with_policy("stale_if_error = '30d'"))), "");
}

#[test]
fn l014_what_one_person_gets_compressed() {
    found!(with_policy("compress = { personal = true }"), "L014", @r#"
    forebay.toml:6:25: L014 secrets-compressed: policies.it.compress.personal: what one person gets is compressed on route "all": where it repeats what its client sent, its length tells the secrets in it
        in [policies.it.compress]:
            personal = false
    "#);
    let silent = [
        "compress = { personal = false }",
        "compress = { personal = true, codings = [] }",
        "key = { cookies = ['theme'] }",
    ];
    for options in silent {
        assert_eq!(printed(&findings(&with_policy(options))), "", "{options}");
    }
    let bypass = with_policy("strategy = 'bypass'\ncompress = { personal = true }");
    let numbers: Vec<_> = findings(&bypass).iter().map(|finding| finding.lint.number).collect();
    assert_eq!(numbers, ["L014"]);
}

#[test]
fn l015_raw_client_hints() {
    found!(with_policy("key.headers = ['X-Tenant', 'DPR', 'Sec-CH-Width']"), "L015", @r#"
    forebay.toml:6:28: L015 hints-raw: policies.it.key.headers[1]: every value of DPR that a client thinks of is a variant of its own, and drives the others out
        in [policies.it.key]:
            headers = ["X-Tenant"]
            device = true
    forebay.toml:6:35: L015 hints-raw: policies.it.key.headers[2]: every value of Sec-CH-Width that a client thinks of is a variant of its own, and drives the others out
        in [policies.it.key]:
            headers = ["X-Tenant"]
            device = true
    "#);
}

#[test]
fn l016_an_admin_listener_that_others_reach() {
    found!(with_admin("address = '0.0.0.0:9900'\ntoken = 'secret'"), "L016", @r#"
    forebay.toml:8:11: L016 admin-open: admin.address: it listens on every address of this machine, and the token goes over it in clear text
        in [admin]:
            address = "127.0.0.1:9900"
    "#);
}

/// A file with these options of the admin listener.
fn with_admin(options: &str) -> String {
    let api = with_policy("").replace("[policies.it]", "").replace("'it'", "'api'");
    format!("{api}[admin]\n{options}\n")
}

#[test]
fn l018_a_server_on_the_internet() {
    found!(with_origin("servers = ['http://a.example', 'http://10.0.0.1:8000', 'http://8.8.8.8:8000']"), "L018", @r#"
    forebay.toml:5:12: L018 origin-unverified: origins.far.servers[0]: whoever stands between here and a.example can read what goes over http, and put answers of their own into the cache
        in [origins.far]:
            servers = ["https://a.example", "http://10.0.0.1:8000", "https://8.8.8.8:8000"]
    forebay.toml:5:56: L018 origin-unverified: origins.far.servers[2]: whoever stands between here and 8.8.8.8 can read what goes over http, and put answers of their own into the cache
        in [origins.far]:
            servers = ["https://a.example", "http://10.0.0.1:8000", "https://8.8.8.8:8000"]
    "#);
}

/// A file with these options of its one origin.
fn with_origin(options: &str) -> String {
    format!(
        "version = 1
listeners.web.address = '127.0.0.1:8080'
routes = [{{ name = 'all', match = {{ path = '/**' }}, origin = 'far', policy = 'api' }}]
[origins.far]
{options}
"
    )
}

#[test]
fn l019_raw_clients_in_the_key() {
    found!(with_policy("key.headers = ['user-agent', 'Cookie', 'Accept-Language', 'X-A']"), "L019", @r#"
    forebay.toml:6:16: L019 clients-keyed: policies.it.key.headers[0]: user-agent is different for nearly every client, so that hardly any response answers twice
        in [policies.it.key]:
            headers = ["X-A"]
            device = true
    forebay.toml:6:30: L019 clients-keyed: policies.it.key.headers[1]: Cookie is different for nearly every client, so that hardly any response answers twice
        in [policies.it.key]:
            headers = ["X-A"]
            cookies = [] # and the names of those that the answer depends on
    forebay.toml:6:40: L019 clients-keyed: policies.it.key.headers[2]: Accept-Language is different for nearly every client, so that hardly any response answers twice
        in [policies.it.key]:
            headers = ["X-A"]
            languages = ["en"] # and the others that the origin has
    "#);
    let chosen = with_policy("key = { headers = ['Accept-Language'], languages = ['en'] }");
    assert_eq!(printed(&findings(&chosen)), "");
}

#[test]
fn l021_what_is_allowed_in_vain() {
    let text = with_policy(
        "lint_allow = ['L007', 'L008']\nlint_reason = 'it is a test'\nset_cookie = 'store'",
    );
    check_mends(&text);
    insta::assert_snapshot!(printed(&findings(&text)), @r#"
    forebay.toml:6:15: L021 allowed-in-vain: policies.it.lint_allow[0]: it allows L007, of which nothing is found
        in [policies.it]:
            lint_allow = ["L008"]
    "#);
}

#[test]
fn l022_what_no_route_uses() {
    let text = with_policy("")
        + "[policies.lost]\nset_cookie = 'store'\n[origins.lost]\nservers = ['http://a.example']\n";
    insta::assert_snapshot!(printed(&findings(&text)), @r#"
    forebay.toml:7:11: L022 unused: policies.lost: no route uses it, so nothing that it says holds anywhere
        in [policies.lost]:
            # name it in a route, or take it out
    forebay.toml:9:10: L022 unused: origins.lost: no route uses it, so nothing that it says holds anywhere
        in [origins.lost]:
            # name it in a route, or take it out
    "#);
}

#[test]
fn a_policy_is_told_once_and_silenced_by_all_of_its_routes() {
    let file = |first: &str, second: &str| {
        format!(
            "version = 1
listeners.web.address = '127.0.0.1:8080'
origins.api.servers = ['http://127.0.0.1:8000']
[policies.it]
set_cookie = 'store'
[[routes]]
name = 'first'
match = {{ path = '/a' }}
origin = 'api'
policy = 'it'
{first}
[[routes]]
name = 'second'
match = {{ path = '/b' }}
origin = 'api'
policy = 'it'
{second}
"
        )
    };
    let allow = "lint_allow = ['L008']\nlint_reason = 'it is a test'";
    insta::assert_snapshot!(printed(&findings(&file("", ""))), @r#"
    forebay.toml:5:14: L008 cookies-stored: policies.it.set_cookie: a cookie that the origin sets for one visitor is stored and given to all on routes "first", "second"
        in [policies.it]:
            set_cookie = "strip"
    "#);
    assert_eq!(findings(&file(allow, "")).len(), 1);
    assert_eq!(findings(&file(allow, allow)).len(), 0);
}

#[test]
fn nothing_that_does_not_cache_is_found_to_cache_badly() {
    let text = with_policy(
        "strategy = 'bypass'
ttl = '1m'
ttl_mode = 'override'
ttl_by_status = { 404 = '1h' }
stale_if_error = '90d'
set_cookie = 'store'
key = { host = false, cookies = ['sessionid'], headers = ['DPR', 'User-Agent'] }",
    );
    assert_eq!(printed(&findings(&text)), "");
}

#[test]
fn nothing_is_found_in_the_examples() {
    for (name, text) in EXAMPLES {
        assert_eq!(printed(&findings(text)), "", "{name}");
    }
}

#[test]
fn nothing_is_found_in_the_built_in_policies() {
    let names: Vec<_> =
        PRESETS.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).collect();
    assert!(names.len() >= 4, "{names:?}");
    let mut text = "version = 1
listeners.web.address = '127.0.0.1:8080'
origins.api.servers = ['http://127.0.0.1:8000']
"
    .to_owned();
    for name in &names {
        text.push_str(&format!(
            "[[routes]]\nname = '{name}'\nmatch = {{ path = '/{name}' }}\norigin = 'api'\npolicy = '{name}'\n"
        ));
    }
    assert_eq!(printed(&findings(&text)), "");
    text.push_str(&PRESETS.replace("\n[", "\n[policies."));
    assert_eq!(printed(&findings(&text)), "");
}

#[test]
fn lints_are_numbered_in_their_order_and_named_apart() {
    for (index, lint) in LINTS.iter().enumerate() {
        assert_eq!(lint.number, format!("L{:03}", index + 1));
        assert!(lint.why.ends_with('.') && !lint.title.ends_with('.'), "{}", lint.number);
        let same = LINTS.iter().filter(|other| other.name == lint.name);
        assert_eq!(same.count(), 1, "{}", lint.name);
    }
    let never: Vec<_> =
        LINTS.iter().filter(|lint| !lint.can_happen()).map(|lint| lint.number).collect();
    assert_eq!(never, ["L017", "L020"]);
}
