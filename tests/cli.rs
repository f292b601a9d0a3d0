//! What the command line says.

use std::fs;
use std::process::Output;

use crate::support::{Origin, Setup, run_forebay};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Serves with that text as its configuration, which must be at fault.
async fn serve_with(config: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("forebay.toml");
    fs::write(&file, config).expect("it can be written");
    let path = file.to_str().expect("a path in UTF-8");
    let Output { status, stderr, .. } = run_forebay(&["serve", "--config", path]).await;
    (status.code(), text(&stderr))
}

fn config() -> String {
    Setup::before_url("http://127.0.0.1:9").text()
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
    let config = config().replace("memory =", "memry =");
    let line = 1 + config.lines().position(|line| line.contains("memry")).expect("it is there");
    let (code, message) = serve_with(&config).await;
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("memry") && message.contains("memory"), "{message}");
    assert!(message.contains(&format!("{line}:1")), "line {line}, column 1: {message}");
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let config = config().replace("\"64MiB\"", "\"much\"").replace("\"2s\"", "\"soon\"");
    let (code, message) = serve_with(&config).await;
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("much") && message.contains("soon"), "{message}");
}

#[tokio::test]
async fn a_name_that_is_not_defined_is_a_fault() {
    let (code, message) =
        serve_with(&config().replace("origin = \"api\"", "origin = \"apo\"")).await;
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("apo"), "{message}");
}

#[tokio::test]
async fn what_is_no_toml_is_refused() {
    let (code, message) = serve_with("version = \n").await;
    assert_eq!(code, Some(1), "{message}");
    assert!(!message.contains("panicked"), "{message}");
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let output = run_forebay(&["serve", "--config", "/nowhere/forebay.toml"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nowhere/forebay.toml"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let origin = Origin::start().await;
    let taken = format!("127.0.0.1:{}", origin.port());
    let (code, message) = serve_with(&config().replace("127.0.0.1:0", &taken)).await;
    assert!(code.is_some_and(|code| code != 0), "{message}");
    assert!(message.contains(&taken), "{message}");
}

#[tokio::test]
async fn helps() {
    let output = run_forebay(&["--help"]).await;
    assert_eq!(output.status.code(), Some(0));
    for command in ["serve", "demo", "check", "reference", "purge", "warm"] {
        assert!(text(&output.stdout).contains(command), "{}", text(&output.stdout));
    }
}

#[tokio::test]
async fn an_unknown_command_is_refused() {
    let output = run_forebay(&["sreve"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

/// Checks a settings file that has that text.
async fn check_file(config: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("forebay.toml");
    fs::write(&file, config).expect("it can be written");
    let path = file.to_str().expect("a path in UTF-8");
    let Output { status, stdout, stderr } = run_forebay(&["check", path]).await;
    (status.code(), text(&stdout).replace(path, "forebay.toml"), text(&stderr))
}

#[tokio::test]
async fn a_file_without_a_fault_is_summed_up() {
    let (code, said, complaint) = check_file(&config()).await;
    assert_eq!(code, Some(0), "{complaint}");
    assert_eq!(said, "forebay.toml: 1 listener, 1 origin, 1 route: no fault\n");
    assert_eq!(complaint, "");
    let more = "[listeners.other]\naddress = \"127.0.0.1:0\"\n";
    let (_, said, complaint) = check_file(&format!("{}\n{more}", config())).await;
    assert!(said.contains("2 listeners, 1 origin"), "{said}{complaint}");
}

#[tokio::test]
async fn check_tells_the_faults_that_serve_tells() {
    let config = config().replace("memory =", "memry =").replace("\"2s\"", "\"soon\"");
    let (code, said, complaint) = check_file(&config).await;
    assert_eq!((code, said.as_str()), (Some(1), ""), "{complaint}");
    assert!(complaint.contains("memory") && complaint.contains("soon"), "{complaint}");
    let (_, served) = serve_with(&config).await;
    let without_folders = |text: &str| -> Vec<String> {
        let last = |line: &str| line.rsplit('/').next().unwrap_or(line).to_owned();
        text.lines().map(last).collect()
    };
    assert_eq!(without_folders(&complaint), without_folders(&served));
}

#[tokio::test]
async fn check_finds_the_file_where_serve_does() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["forebay.toml", "other.toml"] {
        fs::write(folder.path().join(name), config()).expect("it can be written");
    }
    let here = |named: Option<&str>| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.arg("check").current_dir(folder.path()).env_remove("FOREBAY_CONFIG");
        command.envs(named.map(|name| ("FOREBAY_CONFIG", name)));
        command
    };
    for (named, found) in [(None, "forebay.toml: "), (Some("other.toml"), "other.toml: ")] {
        let output = here(named).output().await.expect("the binary runs");
        assert!(text(&output.stdout).starts_with(found), "{output:?}");
    }
}

#[tokio::test]
async fn check_names_a_missing_file() {
    let output = run_forebay(&["check", "/nowhere/forebay.toml"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nowhere/forebay.toml"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn the_manual_and_the_schema_are_printed() {
    let manual = run_forebay(&["reference"]).await;
    assert_eq!(manual.status.code(), Some(0), "{}", text(&manual.stderr));
    assert_eq!(text(&manual.stdout), include_str!("../config/REFERENCE.md"));
    let schema = run_forebay(&["reference", "--schema"]).await;
    assert_eq!(schema.status.code(), Some(0), "{}", text(&schema.stderr));
    assert_eq!(text(&schema.stdout), include_str!("../config/schema.json"));
}

/// A settings file whose policy says what a lint finds.
fn dangerous() -> String {
    Setup::before_url("http://127.0.0.1:9").policy("set_cookie = \"store\"").text()
}

#[tokio::test]
async fn check_tells_what_is_dangerous_and_what_mends_it() {
    let (code, said, complaint) = check_file(&dangerous()).await;
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{said}");
    for part in ["L008", "policies.all.set_cookie", "in [policies.all]:", "set_cookie = \"strip\""]
    {
        assert!(said.contains(part), "{said}");
    }
    assert!(said.ends_with("1 listener, 1 origin, 1 route: no fault, 1 lint\n"), "{said}");
}

#[tokio::test]
async fn serve_warns_of_what_is_dangerous_once() {
    let setup = Setup::before_url("http://127.0.0.1:9").policy("set_cookie = \"store\"");
    let edge = setup.start().await;
    let log = edge.log();
    assert_eq!(log.matches("L008").count(), 1, "{log}");
    assert!(log.contains("policies.all.set_cookie"), "{log}");
}

#[tokio::test]
async fn check_fails_for_a_lint_that_is_denied() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("forebay.toml");
    fs::write(&file, dangerous()).expect("it can be written");
    let path = file.to_str().expect("a path in UTF-8");
    for (denied, code) in [
        (vec!["--deny", "L008"], 1),
        (vec!["--deny", "all"], 1),
        (vec!["--deny", "L001,L008"], 1),
        (vec!["--deny", "L001", "--deny", "L008"], 1),
        (vec!["--deny", "L001,L002"], 0),
        (vec!["--deny", "L099"], 2),
        (vec!["--deny", "cookies-stored"], 2),
    ] {
        let arguments: Vec<&str> = ["check", path].into_iter().chain(denied.clone()).collect();
        let output = run_forebay(&arguments).await;
        assert_eq!(output.status.code(), Some(code), "{denied:?}: {output:?}");
        let complaint = text(&output.stderr);
        match code {
            0 => assert_eq!(complaint, ""),
            1 => assert_eq!(complaint, "forebay: found what --deny rules out: L008\n"),
            _ => assert!(complaint.contains("the lints are L001 to L022"), "{complaint}"),
        }
    }
}

#[tokio::test]
async fn a_lint_that_a_file_allows_is_not_told() {
    let allow = "set_cookie = \"store\"\nlint_allow = [\"L008\"]\nlint_reason = \"a test\"";
    let allowed = Setup::before_url("http://127.0.0.1:9").policy(allow).text();
    let (code, said, _) = check_file(&allowed).await;
    assert_eq!(code, Some(0));
    assert_eq!(said, "forebay.toml: 1 listener, 1 origin, 1 route: no fault\n");
    let (code, _, complaint) = check_file(&allowed.replace("lint_reason = \"a test\"", "")).await;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("lint_reason"), "{complaint}");
}

#[tokio::test]
async fn check_lists_the_lints() {
    let output = run_forebay(&["check", "--lints"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    for number in 1..=22 {
        assert!(said.contains(&format!("L{number:03} ")), "{said}");
    }
}

#[tokio::test]
async fn a_file_is_checked_with_those_that_it_includes() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("it can be written");
    };
    fs::create_dir(folder.path().join("conf.d")).expect("it can be made");
    write("forebay.toml", &config().replacen('\n', "\ninclude = [\"conf.d/*.toml\"]\n", 1));
    write("conf.d/b.toml", "[origins.b]\nservers = [\"http://127.0.0.1:9\"]\n");
    let route = "[[routes]]\nname = \"a\"\nmatch = { path = \"/a/**\" }\norigin = \"b\"\npolicy = \"all\"\n";
    write("conf.d/a.toml", route);
    write("conf.d/.a.toml.swp", "x");
    write("conf.d/.hidden.toml", "x");
    write("conf.d/a.toml.orig", "x");
    let path = folder.path().join("forebay.toml");
    let check = async || run_forebay(&["check", path.to_str().expect("a path in UTF-8")]).await;
    let output = check().await;
    assert!(
        text(&output.stdout).ends_with("1 listener, 2 origins, 2 routes: no fault\n"),
        "{output:?}"
    );

    write("conf.d/b.toml", "[origins.b]\nserver = [\"http://127.0.0.1:9\"]\n");
    write("conf.d/a.toml", &route.replace("policy", "polcy"));
    let output = check().await;
    assert_eq!(output.status.code(), Some(1));
    let complaint = text(&output.stderr);
    let places: Vec<_> =
        ["conf.d/a.toml:1:1: routes[0].policy", "conf.d/a.toml:5:1", "conf.d/b.toml:2:1"]
            .iter()
            .map(|place| complaint.find(place).unwrap_or_else(|| panic!("{place}: {complaint}")))
            .collect();
    assert!(places.is_sorted(), "{complaint}");
}
