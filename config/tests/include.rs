//! Shows how a settings file and those that it includes become one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use forebay_config::{Parsed, Surroundings, included, parse, parse_with};

/// Files that stand in no folder of a disk.
struct Files(BTreeMap<&'static str, &'static str>);

impl Surroundings for Files {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "SITE").then(|| "b".to_owned())
    }

    /// Knows one kind of pattern, and gives the files in the wrong order.
    fn files(&self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let ending = pattern.strip_prefix('*').ok_or("it is none that is known here")?;
        let paths = self.0.keys().map(PathBuf::from);
        let of_it = |path: &PathBuf| {
            path.parent() == Some(folder) && path.to_string_lossy().ends_with(ending)
        };
        Ok(paths.filter(of_it).rev().collect())
    }

    fn text(&self, path: &Path) -> Result<String, String> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        text.map(|text| (*text).to_owned()).ok_or_else(|| "it is not there".to_owned())
    }
}

const MAIN: &str = r#"
version = 1
include = ["conf.d/*.toml"]
[listeners.web]
address = "127.0.0.1:8080"
[origins.main]
servers = ["http://127.0.0.1:8000"]
[[routes]]
name   = "rest"
match  = { path = "/**" }
origin = "main"
policy = "api"
"#;

const A: &str = r#"
[origins.a]
servers = ["http://127.0.0.1:8001"]
[policies.a]
types = ["text/css"]
[[routes]]
name   = "a"
match  = { path = "/a/**" }
origin = "a"
policy = "a"
"#;

const B: &str = r#"
version = 1
[listeners.b]
address = "127.0.0.1:8081"
tls = { cert = "b.crt", key = "b.key" }
[[routes]]
name   = "b"
match  = { path = "/b/**" }
origin = "main"
policy = "a"
"#;

/// What a main file and those around it turn into, or all that is wrong in them.
fn read(main: &str, files: &[(&'static str, &'static str)]) -> Result<Parsed, String> {
    let around = Files(files.iter().copied().collect());
    parse_with("etc/forebay.toml", main, Path::new("etc"), &around)
        .map_err(|faults| faults.to_string())
}

fn faults(main: &str, files: &[(&'static str, &'static str)]) -> String {
    read(main, files).expect_err("there is a fault")
}

#[test]
fn files_are_joined_and_their_routes_go_first() {
    let files = [("etc/conf.d/b.toml", B), ("etc/conf.d/a.toml", A), ("etc/other.toml", "x")];
    let parsed = read(MAIN, &files).expect("there is no fault");
    let settings = &parsed.settings;
    let routes: Vec<_> = settings
        .routes
        .iter()
        .map(|route| (route.index, &*route.name, &*route.file, route.line))
        .collect();
    assert_eq!(
        routes,
        [
            (0, "a", "etc/conf.d/a.toml", 6),
            (1, "b", "etc/conf.d/b.toml", 6),
            (2, "rest", "etc/forebay.toml", 8),
        ]
    );
    let listeners: Vec<_> = settings.listeners.iter().map(|listener| &listener.name).collect();
    assert_eq!(listeners, ["web", "b"]);
    let origins: Vec<_> = settings.origins.iter().map(|origin| &origin.name).collect();
    assert_eq!(origins, ["main", "a"]);
    let tls = settings.listeners[1].tls.as_ref().expect("it has a certificate");
    assert_eq!(tls.cert, Path::new("etc/b.crt"), "paths begin at the folder of the main file");
    assert_eq!(parsed.files, ["etc/conf.d/a.toml", "etc/conf.d/b.toml"].map(PathBuf::from));
}

#[test]
fn patterns_are_read_in_their_order_and_no_file_twice() {
    let main = MAIN.replace(r#"["conf.d/*.toml"]"#, r#"["conf.d/${SITE}.toml", "conf.d/*.toml"]"#);
    let files = [("etc/conf.d/a.toml", A), ("etc/conf.d/b.toml", B)];
    let parsed = read(&main, &files).expect("there is no fault");
    assert_eq!(parsed.files, ["etc/conf.d/b.toml", "etc/conf.d/a.toml"].map(PathBuf::from));
}

#[test]
fn a_pattern_may_match_nothing_and_never_the_main_file() {
    assert!(read(MAIN, &[]).is_ok());
    let main = MAIN.replace("conf.d/*.toml", "*.toml");
    let files = [("etc/forebay.toml", "broken"), ("etc/a.toml", A)];
    let parsed = read(&main, &files).expect("there is no fault");
    assert_eq!(parsed.files, [PathBuf::from("etc/a.toml")]);
}

#[test]
fn all_may_stand_in_included_files() {
    let main = "version = 1\ninclude = ['conf.d/*.toml']\n";
    let files = [("etc/conf.d/all.toml", MAIN.split_once("]\n").expect("it has one").1)];
    assert!(read(main, &files).is_ok());
    insta::assert_snapshot!(faults(main, &[("etc/conf.d/a.toml", A)]), @r#"etc/forebay.toml:1:1: listeners: expected one or more named tables, found nothing"#);
}

#[test]
fn faults_of_all_files_are_told_file_by_file() {
    let files = [
        (
            "etc/conf.d/a.toml",
            "[origins.a]\nserver = 'http://a'\n[[routes]]\nname = 'rest'\norigin = 'main'\npolicy = 'apo'\nmatch = {}\n",
        ),
        ("etc/conf.d/b.toml", "[[routes]]\n"),
    ];
    let main = MAIN.replace("\"main\"\npolicy", "\"mein\"\npolicy");
    insta::assert_snapshot!(faults(&main, &files), @r#"
    etc/forebay.toml:9:10: routes[0].name: expected a name that no other route has, found that of the route at etc/conf.d/a.toml:4:8

    etc/forebay.toml:11:10: routes[0].origin: expected one of the origins "main", "a", found "mein"; did you mean "main"?

    etc/conf.d/a.toml:1:1: origins.a.servers: expected a list of one or more elements, each a URL without path such as "http://127.0.0.1:8000", found nothing

    etc/conf.d/a.toml:2:1: origins.a.server: expected one of the options "servers", "host", "timeouts", "idle", "ca", "lint_allow", "lint_reason", found "server"; did you mean "servers"?

    etc/conf.d/a.toml:6:10: routes[0].policy: expected one of the policies "api", "reference", "session", "static", found "apo"; did you mean "api"?

    etc/conf.d/b.toml:1:1: routes[0].name: expected a name of letters, digits, "-", "_" and ".", found nothing

    etc/conf.d/b.toml:1:1: routes[0].match: expected a table, found nothing

    etc/conf.d/b.toml:1:1: routes[0].origin: expected a name, found nothing

    etc/conf.d/b.toml:1:1: routes[0].policy: expected a name, found nothing
    "#);
}

#[test]
fn nothing_is_missed_that_may_stand_in_a_broken_file() {
    let main = MAIN.replace("origin = \"main\"", "origin = \"b\"");
    let files = [
        ("etc/conf.d/a.toml", "[policies.a]\ntll = '1m'\n"),
        ("etc/conf.d/b.toml", "[origins.b\n"),
    ];
    insta::assert_snapshot!(faults(&main, &files), @r#"
    etc/conf.d/a.toml:2:1: policies.a.tll: expected one of the options "strategy", "deadline", "ttl", "ttl_mode", "ttl_by_status", "browser_ttl", "stale_while_revalidate", "stale_if_error", "heuristic", "set_cookie", "immutable", "types", "key", "bypass_if", "compress", "lint_allow", "lint_reason", found "tll"; did you mean "ttl"?

    etc/conf.d/b.toml:1:11: expected TOML, found a syntax error (unclosed table, expected `]`)
    "#);
}

#[test]
fn names_are_for_all_files_together() {
    let files = [
        ("etc/conf.d/a.toml", A),
        (
            "etc/conf.d/c.toml",
            "[policies.a]\n[listeners.web]\naddress = '127.0.0.1:1'\n[origins.a]\nservers = ['http://a']\n",
        ),
    ];
    insta::assert_snapshot!(faults(MAIN, &files), @r#"
    etc/conf.d/c.toml:1:11: policies.a: expected a name that no other file gives, found that of etc/conf.d/a.toml:4:11

    etc/conf.d/c.toml:2:12: listeners.web: expected a name that no other file gives, found that of etc/forebay.toml:4:12

    etc/conf.d/c.toml:4:10: origins.a: expected a name that no other file gives, found that of etc/conf.d/a.toml:2:10
    "#);
}

#[test]
fn two_files_may_not_want_one_address() {
    let files = [("etc/conf.d/c.toml", "[listeners.c]\naddress = '127.0.0.1:8080'\n")];
    insta::assert_snapshot!(faults(MAIN, &files), @r#"etc/conf.d/c.toml:2:11: listeners.c.address: expected an address of its own, found "127.0.0.1:8080", which is listeners.web.address too"#);
}

#[test]
fn only_the_main_file_has_what_is_there_once() {
    let files = [(
        "etc/conf.d/a.toml",
        "include = ['*.toml']\n[admin]\n[cache]\nmemory = '1GiB'\n[server]\n[polices.a]\n",
    )];
    insta::assert_snapshot!(faults(MAIN, &files), @r#"
    etc/conf.d/a.toml:1:11: include: expected it in the main file alone, found it in a file that is included

    etc/conf.d/a.toml:2:1: admin: expected it in the main file alone, found it in a file that is included

    etc/conf.d/a.toml:3:1: cache: expected it in the main file alone, found it in a file that is included

    etc/conf.d/a.toml:5:1: server: expected it in the main file alone, found it in a file that is included

    etc/conf.d/a.toml:6:2: polices: expected one of the options "version", "listeners", "origins", "policies", "routes", "admin", "cache", "server", "include", found "polices"; did you mean "policies"?
    "#);
}

#[test]
fn a_path_that_is_no_pattern_must_be_that_of_a_file() {
    let patterns = r#"["none.toml", "conf.d/[ab].toml", "conf.d/", "*/a.toml", "**", "", 1]"#;
    let main = MAIN.replace(r#"["conf.d/*.toml"]"#, patterns);
    insta::assert_snapshot!(faults(&main, &[]), @r#"
    etc/forebay.toml:3:12: include[0]: expected a file that can be read, found "etc/none.toml" (it is not there)

    etc/forebay.toml:3:25: include[1]: expected a pattern of files that can be listed, found "conf.d/[ab].toml" (it is none that is known here)

    etc/forebay.toml:3:45: include[2]: expected a path of files such as "conf.d/*.toml", found "conf.d/" (it names no file)

    etc/forebay.toml:3:56: include[3]: expected a path of files such as "conf.d/*.toml", found "*/a.toml" (only its last part may have "*", "?" or "[")

    etc/forebay.toml:3:68: include[4]: expected a path of files such as "conf.d/*.toml", found "**" (it has "**")

    etc/forebay.toml:3:74: include[5]: expected a path of files such as "conf.d/*.toml", found "" (it names no file)

    etc/forebay.toml:3:78: include[6]: expected a path of files such as "conf.d/*.toml", found the number 1
    "#);
}

#[test]
fn a_file_alone_includes_nothing() {
    let read = parse("forebay.toml", MAIN, Path::new("etc"), &|_| None);
    insta::assert_snapshot!(read.expect_err("there are no files"), @r#"forebay.toml:3:12: include[0]: expected a pattern of files that can be listed, found "conf.d/*.toml" (there are no files around this one)"#);
}

#[test]
fn faults_name_the_files_that_were_read() {
    let around = Files([("etc/conf.d/a.toml", "x")].into());
    let read = parse_with("etc/forebay.toml", MAIN, Path::new("etc"), &around);
    let faults = read.expect_err("a file is broken");
    assert_eq!(faults.files(), [PathBuf::from("etc/conf.d/a.toml")]);
}

#[test]
fn what_is_included_is_told_without_looking_into_it() {
    let around = Files([("etc/conf.d/a.toml", "x"), ("etc/conf.d/b.toml", "")].into());
    let check = |text: &str, expected: &[&str]| {
        let found = included("etc/forebay.toml", text, Path::new("etc"), &around);
        assert_eq!(found, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{text}");
    };
    let all = "etc/none.toml etc/conf.d/a.toml etc/conf.d/b.toml";
    let all: Vec<_> = all.split(' ').collect();
    check("include = ['none.toml', 3, 'conf.d/*.toml']\n[nonsense]", &all);
    check("version = 1", &[]);
    check("include = ['conf.d/*.toml']\n[broken", &[]);
}

#[test]
fn findings_name_their_own_file() {
    let files = [("etc/conf.d/a.toml", A), ("etc/conf.d/c.toml", "[policies.lost]\n")];
    let parsed = read(MAIN, &files).expect("there is no fault");
    let found: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"), @r#"etc/conf.d/c.toml:1:11: L022 unused: policies.lost: no route uses it, so nothing that it says holds anywhere"#);
}
