//! What `forebay explain` prints, of the settings alone and of a running edge.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::{Answer, Edge, Origin, Request, Setup, soon};

const SETTINGS: &str = r#"version = 1

[listeners.web]
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:9"

[origins.shop]
servers = ["http://127.0.0.1:9"]

[policies.pages]
ttl = "5m"
browser_ttl = "1m"
bypass_if = { cookies = ["session*"], headers = ["Authorization"] }
key = { query = { deny = ["ts"], drop_tracking = true, sort = true }, languages = ["en", "de"] }

[policies.files]
types = ["text/css", "image/*"]

[policies.calm]
strategy = "stale-while-revalidate"
ttl = "1m"

[[routes]]
name = "account"
match = { path = "/account/**" }
origin = "shop"
policy = "session"

[[routes]]
name = "files"
match = { path = "/files/**", method = ["GET", "HEAD"] }
origin = "shop"
policy = "files"

[[routes]]
name = "calm"
match = { path = "/calm/**" }
origin = "shop"
policy = "calm"

[[routes]]
name = "api"
match = { path = "/api/**" }
origin = "shop"
policy = "api"

[[routes]]
name = "pages"
match = { host = "shop.example", path = "/**" }
origin = "shop"
policy = "pages"
"#;

/// A folder with settings.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("forebay.toml"), SETTINGS).expect("it can be written");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `forebay explain` there, with `input` to read.
    async fn run(&self, arguments: &[&str], input: &str) -> Run {
        self.run_with(arguments, input, None).await
    }

    /// The same, with a token in the environment.
    async fn run_with(&self, arguments: &[&str], input: &str, token: Option<&str>) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.arg("explain").args(arguments).current_dir(self.folder.path());
        command.env_remove("FOREBAY_CONFIG").env_remove("FOREBAY_ADMIN_TOKEN");
        command.envs(token.map(|token| ("FOREBAY_ADMIN_TOKEN", token)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the binary starts");
        let mut pipe = child.stdin.take().expect("it is piped");
        // It may not read, and end before this is written.
        drop(pipe.write_all(input.as_bytes()).await);
        drop(pipe);
        let output = soon("explain to end", child.wait_with_output()).await.expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn said(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    #[track_caller]
    fn failed(self, expected: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{}", self.err);
        assert!(self.err.contains(expected), "{expected:?} expected: {}", self.err);
    }

    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.said()).expect("JSON")
    }
}

/// What is said of a request with `arguments`, and of the answer `head` to it.
async fn said(arguments: &[&str], head: &str) -> String {
    let mut arguments = arguments.to_vec();
    if !head.is_empty() {
        arguments.extend(["--response", "-"]);
    }
    Files::new().run(&arguments, head).await.said()
}

const PAGE: &str = "https://shop.example/shoes?utm_source=x&b=2&ts=1&a=1";

#[tokio::test]
async fn a_request_is_explained_to_a_person() {
    insta::assert_snapshot!(said(&[PAGE, "-H", "Accept-Language: de-AT"], "").await);
}

#[tokio::test]
async fn a_stored_answer_is_explained_to_a_person() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"a\"\r\n\
                Vary: Accept-Encoding\r\nCache-Control: stale-if-error=60\r\n\r\n<html>";
    let arguments = [PAGE, "-H", "Cookie: theme=dark", "-H", "Accept-Encoding: gzip"];
    insta::assert_snapshot!(said(&arguments, head).await);
}

#[tokio::test]
async fn an_answer_that_is_not_stored_is_explained_to_a_person() {
    let no_freshness = said(&["https://shop.example/api/a"], "HTTP/2 404 \r\n").await;
    let of_type = said(&["/files/a.css"], "HTTP/2 200\ncontent-type: text/html\nage: 7").await;
    let private = said(&["/files/a.css"], "Cache-Control: private").await;
    insta::assert_snapshot!([no_freshness, of_type, private].join("----\n"));
}

#[tokio::test]
async fn a_request_that_does_not_use_the_cache_is_explained_to_a_person() {
    let by_cookie = said(&[PAGE, "-H", "Cookie: sessionid=1"], "").await;
    let by_route = said(&["https://shop.example/account/cart"], "").await;
    let by_method = said(&["https://shop.example/files/a", "-X", "POST"], "").await;
    insta::assert_snapshot!([by_cookie, by_route, by_method].join("----\n"));
}

#[tokio::test]
async fn what_becomes_of_an_answer_that_is_passed_on_is_noted() {
    let check = async |more: &[&str], head: &str, note: &str| {
        let mut arguments = vec!["https://shop.example/files/a", "-X", "POST"];
        arguments.extend(["-H", "Accept-Encoding: gzip"].iter().chain(more));
        let said = said(&arguments, head).await;
        let said: Vec<_> = said.split_whitespace().collect();
        assert!(said.join(" ").contains(note), "{note} in {said:?}");
    };
    let head = "HTTP/1.1 200\nContent-Type: application/json\n";
    check(&[], head, "the answer is passed on, compressed with gzip for this request").await;
    let own = "the answer is passed on, not compressed: it is not stored and may be one person's";
    check(&["-H", "Authorization: Basic eA=="], head, own).await;
}

#[tokio::test]
async fn a_request_that_is_refused_is_explained_to_a_person() {
    let malformed = said(&["https://shop.example/a%2"], "").await;
    let no_route = said(&["https://else.example/a"], "").await;
    let only_if_cached = said(&[PAGE, "-H", "Cache-Control: only-if-cached"], "").await;
    insta::assert_snapshot!([malformed, no_route, only_if_cached].join("----\n"));
}

#[tokio::test]
async fn what_has_no_effect_is_noted() {
    let head = "Cache-Control: s-maxage=60";
    insta::assert_snapshot!(said(&["/calm/a"], head).await);
}

#[tokio::test]
async fn the_names_in_json_stay() {
    let files = Files::new();
    let arguments = [PAGE, "--json", "--response", "-"];
    let json =
        files.run(&arguments, "Vary: Accept-Language\nCache-Control: max-age=60").await.json();
    insta::assert_snapshot!(format!("{json:#}"));
}

#[tokio::test]
async fn an_answer_is_read_from_a_file() {
    let files = Files::new();
    fs::write(files.path("head"), "HTTP/1.1 503\nCache-Control: no-store\n").expect("written");
    let json = files.run(&[PAGE, "--json", "--response", "head"], "").await.json();
    assert_eq!(json["cache_status"], "forebay; fwd=uri-miss; fwd-status=503; detail=no-store");
    assert_eq!(json["status"], 503);
}

#[tokio::test]
async fn a_host_field_goes_before_the_url() {
    let files = Files::new();
    let arguments = ["http://127.0.0.1:8080/a", "-H", "Host: shop.example", "--json"];
    let json = files.run(&arguments, "").await.json();
    assert_eq!(json["url"], "http://shop.example/a");
    assert_eq!(json["route"]["name"], "pages");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_in_a_sentence() {
    let files = Files::new();
    let failed = async |arguments: &[&str], input: &str, expected: &str| {
        files.run(arguments, input).await.failed(expected);
    };
    failed(&["ftp://a/"], "", "\"ftp://a/\" cannot be asked for: unknown scheme").await;
    failed(&["/a", "-X", "GE T"], "", "\"GE T\" is no method").await;
    failed(&["/a", "-H", "nonsense"], "", "-H takes 'Name: value', and \"nonsense\"").await;
    failed(&["/a", "-H", "a b: c"], "", "\"a b: c\" is no header field").await;
    failed(&["/a", "--response", "-"], "HTTP/1.1 200\nnonsense\n", "\"nonsense\" is no line").await;
    failed(&["/a", "--response", "-"], "HTTP/1.1 103\n", "103 is no status of an answer").await;
    failed(&["/a", "--response", "nowhere"], "", "cannot read nowhere: ").await;
    failed(&["/a", "--config", "nowhere"], "", "name a settings file with --config").await;
    let admin = ["/a", "--live", "--admin", "127.0.0.1:9"];
    failed(&admin, "", "cannot ask http://127.0.0.1:9/explain: ").await;
    failed(&["/a", "--live"], "", "; is the edge running?").await;
    assert_eq!(files.run(&["/a", "--admin", "x"], "").await.code, Some(2));
    assert_eq!(files.run(&[], "").await.code, Some(2));
}

#[tokio::test]
async fn explain_helps() {
    insta::assert_snapshot!(Files::new().run(&["--help"], "").await.said());
}

/// An edge that has `/a` stored in two languages, one of them stale.
async fn live(admin: &str) -> (Origin, Edge) {
    let origin = Origin::start().await;
    origin.answers_by("/a", |asked| {
        let german = asked.field("accept-language").as_deref() == Some("de");
        let age = if german { "0" } else { "90" };
        Answer::cached("0123456789", "max-age=60")
            .field("Vary", "Accept-Language")
            .field("ETag", "\"a\"")
            .field("Age", age)
    });
    let edge = Setup::before(&origin).admin(admin).start().await;
    for language in ["de", "en"] {
        edge.get_with("/a", "Accept-Language", language).await.status(200);
    }
    (origin, edge)
}

/// What is said of a running edge; times are not the same twice.
async fn said_live(edge: &Edge, arguments: &[&str], input: &str) -> String {
    let admin = edge.url("admin").to_owned();
    let mut all = vec!["http://edge.test/a", "--live", "--admin", &admin];
    all.extend(arguments);
    let said = Files::new().run(&all, input).await.said();
    // A second may have passed, or two.
    let said = said.replace("1s old", "0s old").replace("2s old", "0s old");
    said.replace("91s", "90s").replace("31s", "30s")
}

#[tokio::test]
async fn what_is_stored_is_explained_to_a_person() {
    let (_origin, edge) = live("").await;
    let german = said_live(&edge, &["-H", "Accept-Language: de"], "").await;
    for expected in
        ["stored     200, 10 bytes", "(another variant)", "Cache-Status: forebay; hit; ttl="]
    {
        assert!(german.contains(expected), "{expected:?} expected: {german}");
    }
    assert!(german.contains("Because what is stored is fresh for "), "{german}");
    let english = said_live(&edge, &["-H", "Accept-Language: en"], "").await;
    assert!(english.contains("forebay; fwd=stale\n"), "{english}");
    assert!(english.contains("Because what is stored is stale."), "{english}");
    let french = said_live(&edge, &["-H", "Accept-Language: fr"], "").await;
    assert!(french.contains("forebay; fwd=vary-miss\n"), "{french}");
    let none = said_live(&edge, &["-H", "Host: other.test"], "").await;
    assert!(none.contains("stored     nothing\n"), "{none}");
}

#[tokio::test]
async fn an_answer_to_what_is_stored_is_explained_to_a_person() {
    let (_origin, edge) = live("").await;
    let stands = ["-H", "Accept-Language: en", "--response", "-"];
    let said = said_live(&edge, &stands, "HTTP/1.1 304\nETag: \"a\"\n").await;
    assert!(said.contains("forebay; fwd=stale; fwd-status=304; stored\n"), "{said}");
    assert!(said.contains("next time  Cache-Status: forebay; hit; ttl=60\n"), "{said}");
    let other = said_live(&edge, &stands, "HTTP/1.1 304\nETag: \"b\"\n").await;
    assert!(other.contains("another version"), "{other}");
    let error = said_live(&edge, &stands, "HTTP/1.1 500\n").await;
    assert!(error.contains("client     gets 500 Internal Server Error\n"), "{error}");
    let tolerant = [&stands[..], &["-H", "Cache-Control: stale-if-error=600"]].concat();
    let error = said_live(&edge, &tolerant, "HTTP/1.1 500\n").await;
    assert!(error.contains("client     gets 200 OK\n"), "{error}");
    assert!(error.contains("fwd-status=500; detail=stale-if-error\n"), "{error}");
}

#[tokio::test]
async fn the_rest_of_a_stored_part_is_explained_to_a_person() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |asked| {
        let (range, half) = match asked.field("range").as_deref() {
            Some("bytes=0-4") => ("bytes 0-4/10", "01234"),
            _ => ("bytes 5-9/10", "56789"),
        };
        let answer = Answer::cached(half, "max-age=60").code(206).field("ETag", "\"a\"");
        answer.field("Content-Range", range)
    });
    let edge = Edge::before(&origin).await;
    edge.get_with("/a", "Range", "bytes=0-4").await.answered(206, "01234");
    let head = "HTTP/1.1 206\nETag: \"a\"\nContent-Range: bytes 5-9/10\nContent-Length: 5\n";
    let arguments = ["--response", "-"];
    let other = said_live(&edge, &arguments, &head.replace("\"a\"", "\"b\"")).await;
    assert!(other.contains("forebay; fwd=partial\n"), "{other}");
    assert!(other.contains("the edge asks the origin again, for the whole."), "{other}");
    let said = said_live(&edge, &arguments, head).await;
    assert!(said.contains("forebay; fwd=partial; fwd-status=206; stored\n"), "{said}");
    assert!(said.contains("client     gets 200 OK\n"), "{said}");
    let reply = edge.get("/a").await;
    reply.cache_status("forebay; fwd=partial; fwd-status=206; stored");
    reply.answered(200, "0123456789");
}

#[tokio::test]
async fn a_running_edge_is_asked_with_its_token() {
    let (_origin, edge) = live("token = \"a-long-secret-token\"").await;
    let files = Files::new();
    let arguments = ["http://edge.test/a", "--live", "--json", "--admin", edge.url("admin")];
    let refused = files.run(&arguments, "").await;
    refused
        .failed("401 Unauthorized: a bearer token is needed; FOREBAY_ADMIN_TOKEN has to hold it");
    let known = files.run_with(&arguments, "", Some("a-long-secret-token")).await.json();
    assert_eq!(known["stored"].as_array().map(Vec::len), Some(2));
    let settings = fs::read_to_string(files.path("forebay.toml")).expect("it is there");
    let admin = "address = \"127.0.0.1:9\"";
    let own = format!("address = \"{}\"\ntoken = \"a-long-secret-token\"", edge.address("admin"));
    fs::write(files.path("forebay.toml"), settings.replace(admin, &own)).expect("written");
    files.run(&["http://edge.test/a", "--live"], "").await.said();
}

#[tokio::test]
async fn a_question_that_is_none_is_refused_by_the_edge() {
    let (_origin, edge) = live("").await;
    let ask = async |body: &str, expected: &str| {
        let reply = edge.admin(&Request::new("POST", "/explain").body(body)).await;
        assert!(reply.status(400).text().contains(expected), "{reply}");
    };
    ask("nonsense", "the body is no question in JSON: ").await;
    ask("{}", "missing field `url`").await;
    ask("{\"url\": \"/a\", \"feilds\": []}", "unknown field `feilds`").await;
    ask("{\"url\": \"ftp://a/\"}", "cannot be asked for").await;
    edge.admin(&Request::get("/explain")).await.status(405);
}
