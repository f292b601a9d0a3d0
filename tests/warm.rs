//! `forebay warm`: what it asks for, and what it tells of that.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Answer, Certificate, Edge, Origin, Request, Setup, run_forebay};

/// An origin with two pages that are stored, one that is not, and one that is missing.
async fn origin() -> Origin {
    let origin = Origin::start().await;
    for path in ["/a", "/b"] {
        origin.answers(path, Answer::cached("x", "max-age=60"));
    }
    origin.answers("/own", Answer::cached("x", "private"));
    origin
}

/// Warms `edge`, fast, with a file that has this text in place of `FILE`.
async fn warm(edge: &Edge, file: impl AsRef<[u8]>, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, file).expect("it can be written");
    warm_with(edge.url("web"), &path, arguments).await
}

async fn warm_with(edge: &str, file: &Path, arguments: &[&str]) -> Output {
    let file = file.to_str().expect("a path in UTF-8");
    let mut all = vec!["warm", "--edge", edge, "--rate", "10000"];
    all.extend(arguments.iter().map(|argument| if *argument == "FILE" { file } else { argument }));
    run_forebay(&all).await
}

/// Demands the numbers of the table, and the exit status that they make.
#[track_caller]
fn check(output: &Output, hit: usize, stored: usize, not_stored: &str, failed: usize) {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no line {name}: {output:?}")).trim().to_owned()
    };
    let found = (line("hit already"), line("stored"), line("not stored"), line("failed"));
    let expected = (hit.to_string(), stored.to_string(), not_stored.to_owned(), failed.to_string());
    assert_eq!(found, expected, "{output:?}");
    assert_eq!(output.status.code(), Some(i32::from(failed > 0)), "{output:?}");
}

#[tokio::test]
async fn what_is_on_a_list_is_stored_before_people_come() {
    let origin = origin().await;
    let edge = Edge::before(&origin).await;
    let list = "# pages\nhttp://edge.test/a\n\nhttp://edge.test/x/../a\nhttp://edge.test/b\n\
                http://edge.test/own\n";
    check(&warm(&edge, list, &["--list", "FILE"]).await, 0, 2, "1  private 1", 0);
    for path in ["/a", "/b"] {
        edge.get(path).await.answered(200, "x").hit();
    }
    check(&warm(&edge, list, &["--list", "FILE"]).await, 2, 0, "1  private 1", 0);
    assert_eq!(origin.last("/a").field("host").as_deref(), Some("edge.test"));
}

#[tokio::test]
async fn what_fails_is_told_and_ends_in_failure() {
    let origin = origin().await;
    origin.answers("/broken", Answer::cut(10, "x"));
    let edge = Edge::before(&origin).await;
    let list = "/a\n/missing\n/broken";
    let output = warm(&edge, list, &["--list", "FILE", "--site", "http://edge.test"]).await;
    check(&output, 0, 1, "0", 2);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("http://edge.test/missing  answered 404"), "{said}");
    assert!(said.contains("http://edge.test/broken  "), "{said}");
}

#[tokio::test]
async fn each_coding_and_each_field_that_is_wished_for_is_sent() {
    let origin = origin().await;
    let edge = Edge::before(&origin).await;
    let arguments = ["--list", "FILE", "--accept-encoding", "gzip", "--accept-encoding", "br"];
    let arguments = [&arguments[..], &["-H", "Accept-Language: de", "--parallel", "1"]].concat();
    let output = warm(&edge, "http://edge.test/own", &arguments).await;
    check(&output, 0, 0, "2  private 2", 0);
    let said = origin.requests("/own");
    let said = said.iter().map(|request| request.field("accept-encoding").unwrap_or_default());
    assert_eq!(said.collect::<Vec<_>>(), ["gzip", "br"]);
    assert_eq!(origin.last("/own").field("accept-language").as_deref(), Some("de"));
}

fn sitemap(element: &str, urls: &[&str]) -> String {
    let urls = urls.iter().map(|url| format!("<{element}><loc>{url}</loc></{element}>"));
    format!("<?xml version=\"1.0\"?><all>{}</all>", urls.collect::<String>())
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).expect("memory can be written");
    packed.finish().expect("memory can be written")
}

#[tokio::test]
async fn a_sitemap_is_read_over_the_edge_with_those_that_it_names() {
    let origin = origin().await;
    let sites = ["http://edge.test/1.xml", "http://edge.test/2.xml.gz"];
    origin.answers("/sitemap.xml", Answer::ok(&sitemap("sitemap", &sites)));
    origin.answers("/1.xml", Answer::ok(&sitemap("url", &["http://edge.test/a"])));
    let second = sitemap("url", &["http://edge.test/b", "http://edge.test/a"]);
    origin.answers("/2.xml.gz", Answer::bytes(packed(&second)));
    let edge = Edge::before(&origin).await;
    let output = warm(&edge, "", &["--sitemap", "http://edge.test/sitemap.xml"]).await;
    check(&output, 0, 2, "0", 0);
    let output = warm(&edge, packed(&second), &["--sitemap", "FILE"]).await;
    check(&output, 2, 0, "0", 0);
}

#[tokio::test]
async fn a_sitemap_that_cannot_be_had_is_told() {
    let origin = origin().await;
    origin.answers("/loop.xml", Answer::ok(&sitemap("sitemap", &["http://edge.test/loop.xml"])));
    let edge = Edge::before(&origin).await;
    for (place, why) in [
        ("http://edge.test/missing.xml", "404"),
        ("http://edge.test/a", "cannot read the sitemap"),
        ("http://edge.test/loop.xml", "nothing to ask for"),
        ("/nowhere/sitemap.xml", "cannot read /nowhere/sitemap.xml"),
    ] {
        let output = warm(&edge, "", &["--sitemap", place]).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(why), "{place}: {said}");
    }
}

#[tokio::test]
async fn what_was_asked_for_most_comes_from_a_log() {
    let origin = origin().await;
    let edge = Edge::before(&origin).await;
    let line =
        |path: &str| format!("::1 - - [01/Jan/2025:00:00:00 +0000] \"GET {path} HTTP/1.1\" 200 1");
    let log = [line("/own"), line("/a"), line("/b"), line("/a"), line("/b")].join("\n");
    let arguments = ["--log", "FILE", "--top", "2", "--site", "http://edge.test"];
    check(&warm(&edge, &log, &arguments).await, 0, 2, "0", 0);
    assert_eq!(origin.count("/own"), 0);
    let log = "{\"host\": \"edge.test\", \"uri\": \"/a\", \"status\": 200}\n";
    check(&warm(&edge, log, &["--log", "FILE"]).await, 1, 0, "0", 0);
}

#[tokio::test]
async fn a_redirect_is_followed_on_its_own_site_alone() {
    let origin = origin().await;
    origin.answers("/here", Answer::status(302).field("Location", "/a"));
    origin.answers("/there", Answer::status(302).field("Location", "http://other.test/b"));
    origin.answers("/round", Answer::status(302).field("Location", "/back"));
    origin.answers("/back", Answer::status(302).field("Location", "/round"));
    let edge = Edge::before(&origin).await;
    let list = "/here\n/there\n/round";
    let output = warm(&edge, list, &["--list", "FILE", "--site", "http://edge.test"]).await;
    check(&output, 0, 1, "1  no-freshness 1", 1);
    assert_eq!((origin.count("/a"), origin.count("/b")), (1, 0));
}

#[tokio::test]
async fn an_edge_with_tls_is_asked_by_the_name_of_the_site() {
    let origin = origin().await;
    let certificate = Certificate::made();
    let listener =
        format!("[listeners.secure]\naddress = \"127.0.0.1:0\"\n{}", certificate.option());
    let edge = Setup::before(&origin).table(&listener).start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list");
    fs::write(&file, "https://edge.test/a").expect("it can be written");
    let output = warm_with(edge.url("secure"), &file, &["--list", "FILE"]).await;
    assert_eq!(output.status.code(), Some(1), "nobody vouches for the certificate: {output:?}");
    let output = warm_with(edge.url("secure"), &file, &["--list", "FILE", "--insecure"]).await;
    check(&output, 0, 1, "0", 0);
    let mut connection = certificate.open(&edge, "secure", &["http/1.1"]).await;
    connection.request(&Request::get("/a")).await.hit();
}

#[tokio::test]
async fn an_edge_that_is_not_there_is_told_at_once() {
    let mut origin = origin().await;
    let gone = origin.url();
    origin.stop().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list");
    fs::write(&file, "http://edge.test/a").expect("it can be written");
    let output = warm_with(&gone, &file, &["--list", "FILE"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is the edge running?"), "{said}");
}
