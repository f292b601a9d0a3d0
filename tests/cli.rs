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
    for command in ["serve", "demo", "check", "reference"] {
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
