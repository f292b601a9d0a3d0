//! The real curl reads what the edge compresses.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::{Answer, Edge, Origin, soon};

/// What curl says with these arguments.
async fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let done = soon("curl to end", command.output()).await;
    let done = done.expect("this test needs curl: apt-get install curl");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("it says text")
}

/// Asks five times, and then until the answer is in `coding`; what is written is always the text.
async fn check(edge: &Edge, folder: &Path, text: &str, coding: &str) {
    let (url, file) = (format!("{}/a", edge.url("web")), folder.join("a"));
    let written = file.to_str().expect("the path of a temporary file is text");
    let arguments = ["-sS", "--fail", "--compressed", "-o", written];
    let asked = async {
        for time in 0.. {
            let said = [&arguments[..], &["-w", "%header{content-encoding}", &url]].concat();
            let found = curl(&said).await;
            let arrived = std::fs::read_to_string(&file).expect("curl has written it");
            assert_eq!(arrived, text, "answer {time} in {coding:?} came in {found:?}");
            if time >= 5 && found == coding {
                return;
            }
            assert!(found.is_empty() || found == coding, "{found}");
        }
    };
    soon(&format!("an answer in {coding}"), asked).await;
}

#[tokio::test]
async fn what_curl_writes_is_what_the_origin_sent() {
    let features = curl(&["--version"]).await;
    let folder = tempfile::tempdir().expect("a folder for what is written");
    let text: String = (0..2000).map(|line| format!("line {line}: größer, schöner\n")).collect();
    let answer = Answer::cached(&text, "s-maxage=60").field("Content-Type", "text/plain");
    let of_curl = [("gzip", "libz"), ("br", "brotli"), ("zstd", "zstd")];
    let able = of_curl.into_iter().filter(|(_, feature)| features.contains(feature));
    let able: Vec<_> = able.map(|(coding, _)| coding).collect();
    assert!(able.contains(&"gzip"), "a curl that reads gzip is needed: {features}");
    for coding in able {
        let origin = Origin::with("/a", answer.clone()).await;
        let edge = Edge::with_policy(&origin, &format!("compress.codings = [\"{coding}\"]")).await;
        check(&edge, folder.path(), &text, coding).await;
    }
}
