//! Files that the origin compressed ahead of time: asked for once, compared, and used.

use bytes::Bytes;
use forebay::field::coding::Coding;
use forebay::transform::decode::Decoder;
use forebay::transform::encode::{Effort, encode_whole};

use crate::support::{Answer, Edge, Origin, Reply, Request, Setup, look_again, soon};

const ON: &str = "compress = { precompressed = true, upgrade_after = 2 }";

/// A script that every coding makes smaller, and all the smaller with more effort.
fn script() -> String {
    let line = |n: u64| format!("call({n}); f{}(a{}, {});\n", n * 7919 % 1000, n * 31 % 97, n * n);
    (0..400).map(line).collect()
}

fn plain() -> Answer {
    Answer::cached(&script(), "max-age=60")
        .field("Content-Type", "text/javascript")
        .field("ETag", "\"a\"")
}

/// `text` as a tool makes it that takes its time.
fn ahead(coding: Coding, text: &str) -> Vec<u8> {
    let text = Bytes::copy_from_slice(text.as_bytes());
    encode_whole(coding, Effort::Best, &[text]).unwrap().to_vec()
}

fn file(coding: Coding) -> Answer {
    Answer::bytes(ahead(coding, &script())).field("Content-Type", "application/octet-stream")
}

/// An edge before an origin that has `/app.js`, and beside it what is given.
async fn edge_with(policy: &str, beside: Vec<(&str, Answer)>) -> (Origin, Edge) {
    let origin = Origin::with("/app.js", plain()).await;
    for (path, answer) in beside {
        origin.answers(path, answer);
    }
    let edge = Edge::with_policy(&origin, policy).await;
    (origin, edge)
}

fn taking(coding: Coding) -> Request {
    Request::get("/app.js").field("Accept-Encoding", coding.token())
}

/// Asks until the answer has this tag, and reads it out of its coding.
async fn tagged(edge: &Edge, request: &Request, coding: Coding, tag: &str) -> Reply {
    let asked = async {
        loop {
            let reply = edge.send(request).await;
            let mut decoder = Decoder::new(coding, 1 << 20);
            let body = decoder.write(&reply.bytes).expect("it is in its coding");
            assert_eq!(body, script().as_bytes());
            if reply.field("etag").as_deref() == Some(tag) {
                return reply;
            }
            look_again().await;
        }
    };
    soon(&format!("an answer with the tag {tag}"), asked).await
}

#[tokio::test]
async fn a_file_of_the_origin_takes_the_place_of_the_edges_own() {
    for (coding, path) in
        [(Coding::Br, "/app.js.br"), (Coding::Zstd, "/app.js.zst"), (Coding::Gzip, "/app.js.gz")]
    {
        for answer in [file(coding), file(coding).field("Content-Encoding", coding.token())] {
            let (origin, edge) = edge_with(ON, vec![(path, answer)]).await;
            let tag = format!("W/\"a-{}-origin\"", coding.token());
            let reply = tagged(&edge, &taking(coding), coding, &tag).await;
            reply.status(200).hit().has("content-encoding", coding.token());
            reply.has("content-type", "text/javascript").has("vary", "Accept-Encoding");
            assert_eq!(reply.bytes, ahead(coding, &script()));
            let had = edge.send(&taking(coding).field("If-None-Match", &tag)).await;
            had.status(304).has("etag", &tag);
            let part = edge.send(&taking(coding).field("Range", "bytes=3-7")).await;
            // Of a file that may be packed anew no part is cut.
            part.status(206).lacks("content-encoding").has("etag", "\"a\"");
            assert_eq!(part.bytes, script().as_bytes()[3..8]);
            assert_eq!((origin.count("/app.js"), origin.count(path)), (1, 1));
        }
    }
}

#[tokio::test]
async fn it_is_asked_for_in_nobodys_name_and_not_kept_for_itself() {
    let (origin, edge) = edge_with(
        "key = { cookies = ['theme'] }\n\
         compress = { precompressed = true, upgrade_after = 2 }",
        vec![("/app.js.br", file(Coding::Br).field("Cache-Control", "max-age=60"))],
    )
    .await;
    let request = Request::get("/app.js?v=3&w=4")
        .field("Accept-Encoding", "br")
        .field("Cookie", "theme=dark")
        .field("Accept-Language", "de");
    tagged(&edge, &request, Coding::Br, "W/\"a-br-origin\"").await;
    let asked = origin.last("/app.js.br");
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.target, "/app.js.br?v=3&w=4");
    assert_eq!(asked.field("host").as_deref(), Some("edge.test"));
    assert_eq!(asked.field("accept-encoding").as_deref(), Some("identity"));
    for name in ["cookie", "authorization", "x-forwarded-for", "accept-language"] {
        assert_eq!(asked.field(name), None, "{name}");
    }
    edge.get("/app.js.br?v=3&w=4").await.status(200).cache_status("forebay; fwd=uri-miss; stored");
}

#[tokio::test]
async fn what_is_no_copy_of_the_body_is_not_used() {
    let other = ahead(Coding::Br, &script().replace("call(399)", "call(393)"));
    let shorter = ahead(Coding::Br, &script().replace("call(399)", ""));
    let longer = ahead(Coding::Br, &format!("{}more", script()));
    let bomb = ahead(Coding::Br, &"0".repeat(1 << 22));
    let whole = ahead(Coding::Br, &script());
    let broken = whole[..whole.len() - 9].to_vec();
    let behind = [whole.clone(), b"more".to_vec()].concat();
    let origin = Origin::start().await;
    let edge = Edge::with_policy(&origin, ON).await;
    for (what, answer) in [
        ("of another file", Answer::bytes(other)),
        ("too short", Answer::bytes(shorter)),
        ("too long", Answer::bytes(longer)),
        ("a bomb", Answer::bytes(bomb)),
        ("broken off", Answer::bytes(broken)),
        ("with more behind it", Answer::bytes(behind)),
        ("empty", Answer::ok("")),
        ("a page for everything", Answer::ok("<!doctype html><title>App</title>")),
        ("the plain file", plain()),
        ("a 404", Answer::status(404)),
        ("a 206", file(Coding::Br).code(206).field("Content-Range", "bytes 0-9/10")),
        ("a redirect", Answer::status(302).field("Location", "/app.js")),
        ("in another coding", file(Coding::Br).field("Content-Encoding", "gzip")),
        ("forbidden to keep", file(Coding::Br).field("Cache-Control", "no-store")),
        ("endless", Answer::endless()),
        ("cut", Answer::cut(1000, "some of it")),
        ("no answer of HTTP", Answer::raw("nonsense\r\n\r\n")),
    ] {
        let path = format!("/{}", what.replace(' ', "-"));
        let file = format!("{path}.br");
        origin.answers(&path, plain());
        origin.answers(&file, answer);
        let request = Request::get(&path).field("Accept-Encoding", "br");
        tagged(&edge, &request, Coding::Br, "\"a-br\"").await.status(200).hit();
        for _ in 0..9 {
            edge.send(&request).await.hit().has("etag", "\"a-br\"");
        }
        assert_eq!(origin.count(&file), 1, "{what}");
    }
}

#[tokio::test]
async fn each_coding_is_asked_for_once() {
    let (origin, edge) = edge_with(ON, vec![("/app.js.zst", file(Coding::Zstd))]).await;
    tagged(&edge, &taking(Coding::Br), Coding::Br, "\"a-br\"").await;
    tagged(&edge, &taking(Coding::Zstd), Coding::Zstd, "W/\"a-zstd-origin\"").await;
    tagged(&edge, &taking(Coding::Gzip), Coding::Gzip, "\"a-gzip\"").await;
    for path in ["/app.js", "/app.js.br", "/app.js.zst", "/app.js.gz"] {
        assert_eq!(origin.count(path), 1, "{path}");
    }
}

#[tokio::test]
async fn nothing_is_asked_before_it_is_worth_it() {
    let few = "compress = { precompressed = true, upgrade_after = 1000 }";
    let never = "compress = { precompressed = true, upgrade_after = 0 }";
    let other = "compress = { precompressed = true, upgrade_after = 2, codings = ['gzip'] }";
    let image = "compress = { precompressed = true, upgrade_after = 2, types = ['text/css'] }";
    for policy in ["compress = { upgrade_after = 1000 }", few, never, other, image] {
        let (origin, edge) = edge_with(policy, vec![("/app.js.br", file(Coding::Br))]).await;
        for _ in 0..9 {
            edge.send(&taking(Coding::Br)).await.status(200);
        }
        assert_eq!(origin.all().len(), 1, "{policy}");
    }
    // What is off stays off also where the edge makes its own.
    let off = "compress = { upgrade_after = 2 }";
    let (origin, edge) = edge_with(off, vec![("/app.js.br", file(Coding::Br))]).await;
    tagged(&edge, &taking(Coding::Br), Coding::Br, "\"a-br\"").await;
    assert_eq!(origin.all().len(), 1);
}

#[tokio::test]
async fn the_origin_of_the_body_is_asked_whatever_the_route_of_its_path() {
    let (origin, elsewhere) = (Origin::with("/app.js", plain()).await, Origin::start().await);
    origin.answers("/app.js.br", file(Coding::Br));
    let table = format!(
        "[origins.elsewhere]\nservers = [\"{}\"]\n\
         [[routes]]\nname = \"packed\"\nmatch = {{ path = \"/**/*.br\" }}\n\
         origin = \"elsewhere\"\npolicy = \"all\"\n",
        elsewhere.url()
    );
    let edge = Setup::before(&origin).policy(ON).table(&table).start().await;
    tagged(&edge, &taking(Coding::Br), Coding::Br, "W/\"a-br-origin\"").await;
    assert_eq!(elsewhere.all().len(), 0);
}
