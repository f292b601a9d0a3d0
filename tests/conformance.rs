//! The public HTTP cache conformance suite; `conformance/run.mjs` tells the rest.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

/// The release that `expected-non-passes.txt` is about.
const PACKAGE: &str = "http-cache-tests";
const VERSION: &str = "0.4.5";

fn succeeds(command: &mut Command) -> bool {
    match command.output() {
        Ok(Output { status, .. }) => status.success(),
        Err(_) => false,
    }
}

/// Where the suite is kept between runs: outside of the project, which it is no part of.
fn cache_folder() -> PathBuf {
    let set = |name: &str| env::var_os(name).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(env::temp_dir).join("forebay").join(format!("{PACKAGE}-{VERSION}"))
}

/// Installs the suite unless it is there, and gives its folder.
fn installed_suite() -> PathBuf {
    let folder = cache_folder();
    let suite = folder.join("node_modules").join(PACKAGE);
    if suite.join("package.json").exists() {
        return suite;
    }
    fs::create_dir_all(&folder).expect("the cache folder can be made");
    fs::write(folder.join("package.json"), "{ \"private\": true }\n").expect("it can be written");
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
    npm.arg(&folder).arg(format!("{PACKAGE}@{VERSION}"));
    let done = npm.output().expect("npm runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    suite
}

#[test]
fn passes_the_http_cache_tests_suite() {
    let is_old = "process.exit(Number(process.versions.node.split('.')[0]) < 18 ? 1 : 0)";
    let node = succeeds(Command::new("node").args(["-e", is_old]));
    let npm = succeeds(Command::new("npm").arg("--version"));
    assert!(node && npm, "this test needs node 18 or newer, and npm: apt-get install nodejs npm");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance");
    let done = Command::new("node")
        .arg(here.join("run.mjs"))
        .arg("--suite")
        .arg(installed_suite())
        .args(["--forebay", env!("CARGO_BIN_EXE_forebay")])
        .arg("--expected")
        .arg(here.join("expected-non-passes.txt"))
        // Its progress, and what keeps it from running.
        .stderr(Stdio::inherit())
        .output()
        .expect("node runs");
    let report = String::from_utf8_lossy(&done.stdout);
    println!("{report}");
    assert!(done.status.success(), "not as expected: see the report above");
}
