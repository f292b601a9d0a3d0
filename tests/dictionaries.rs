//! New versions of a bundle, told as what differs from the version that a client has (RFC 9842).

use forebay::field::dictionary::{DictionaryCoding, Hash};
use forebay::transform::dictionary::{decode, encode};
use serde_json::json;

use crate::support::{Answer, Browser, Edge, Origin, Reply, Request, Setup, look_again, soon};

const OLD: &str = "/app.3f2a9b1c.js";
const NEW: &str = "/app.77e0d142.js";
const WITH: &str = "compress = { dictionaries = true }";

/// A bundle of which one line in forty is another one in each version.
fn bundle(version: usize) -> String {
    let line = |at: usize| {
        let value = if at.is_multiple_of(40) { at * version } else { at };
        format!("export const f{at}=(a,b)=>a.x{}+b[{}];\n", at * 7919 % 4001, value * 31 % 997)
    };
    (0..2_000).map(line).collect()
}

fn answer(version: usize) -> Answer {
    Answer::cached(&bundle(version), "max-age=3600")
        .field("Content-Type", "text/javascript")
        .field("ETag", &format!("\"v{version}\""))
}

async fn origin() -> Origin {
    let origin = Origin::with(OLD, answer(1)).await;
    origin.answers(NEW, answer(2));
    origin
}

async fn edge() -> (Origin, Edge) {
    let origin = origin().await;
    let edge = Edge::with_policy(&origin, WITH).await;
    (origin, edge)
}

/// Asks until `is_so` of the reply.
async fn until(
    edge: &Edge,
    request: &Request,
    what: &str,
    is_so: impl Fn(&Reply) -> bool,
) -> Reply {
    let asked = async {
        loop {
            let reply = edge.send(request).await;
            if is_so(&reply) {
                return reply;
            }
            look_again().await;
        }
    };
    soon(what, asked).await
}

/// Asks for `path` until the edge tells what it is a dictionary for.
async fn told(edge: &Edge, path: &str) -> Reply {
    let has_field = |reply: &Reply| reply.field("use-as-dictionary").is_some();
    until(edge, &Request::get(path), "word of a dictionary", has_field).await
}

/// A request of a client that has `dictionary`, and takes `codings`.
fn having(path: &str, dictionary: &str, codings: &str) -> Request {
    Request::get(path)
        .field("Accept-Encoding", codings)
        .field("Available-Dictionary", &available(dictionary))
}

/// What a client says that has `dictionary`.
fn available(dictionary: &str) -> String {
    let mut said = String::new();
    let hash = Hash::of(dictionary.as_bytes());
    let item = sfv::RefBareItem::ByteSeq(hash.as_bytes());
    sfv::RefItemSerializer::new(&mut said).bare_item(&item).expect("bytes are an item");
    said
}

/// Asks until the answer is in `coding`.
async fn coded(edge: &Edge, request: &Request, coding: &str) -> Reply {
    let is_coded = |reply: &Reply| reply.field("content-encoding").as_deref() == Some(coding);
    until(edge, request, &format!("an answer in {coding}"), is_coded).await
}

#[track_caller]
fn decodes(reply: &Reply, coding: DictionaryCoding, dictionary: &str, body: &str) {
    let decoded = decode(coding, dictionary.as_bytes(), &reply.bytes, 1 << 20);
    assert!(decoded.as_deref() == Ok(body.as_bytes()), "{:?}", decoded.map(|it| it.len()));
}

#[tokio::test]
async fn a_new_version_is_told_as_what_differs_from_the_old_one() {
    let (origin, edge) = edge().await;
    told(&edge, OLD)
        .await
        .answered(200, &bundle(1))
        .has("use-as-dictionary", "match=\"/app.*.js\"");
    told(&edge, NEW).await;
    for (codings, coding) in [
        ("gzip, br, zstd, dcb, dcz", DictionaryCoding::Dcb),
        ("gzip, br, zstd, dcz", DictionaryCoding::Dcz),
        ("br;q=0.5, dcb;q=0.5, dcz;q=0.8", DictionaryCoding::Dcz),
    ] {
        let reply = coded(&edge, &having(NEW, &bundle(1), codings), coding.token()).await;
        reply.status(200).hit();
        decodes(&reply, coding, &bundle(1), &bundle(2));
        let hash = Hash::of(bundle(1).as_bytes()).short();
        reply
            .has("etag", &format!("\"v2-{}-{hash}\"", coding.token()))
            .has("content-length", &reply.bytes.len().to_string())
            .has("content-type", "text/javascript")
            .has("use-as-dictionary", "match=\"/app.*.js\"")
            .has("vary", "Accept-Encoding, Available-Dictionary");
        let br = edge.send(&Request::get(NEW).field("Accept-Encoding", "br")).await;
        br.has("content-encoding", "br");
        assert!(reply.bytes.len() * 5 < br.bytes.len(), "{} {}", reply.bytes.len(), br.bytes.len());
    }
    assert_eq!((origin.count(OLD), origin.count(NEW)), (1, 1));
}

#[tokio::test]
async fn whoever_has_no_dictionary_or_takes_none_gets_it_as_before() {
    let (_origin, edge) = edge().await;
    told(&edge, OLD).await;
    told(&edge, NEW).await;
    coded(&edge, &having(NEW, &bundle(1), "br, dcb, dcz"), "dcb").await;
    let vary = "Accept-Encoding, Available-Dictionary";
    let plain = edge.get(NEW).await;
    plain.answered(200, &bundle(2)).has("vary", vary).has("etag", "\"v2\"");
    for request in [
        Request::get(NEW).field("Accept-Encoding", "br, dcb, dcz"),
        having(NEW, &bundle(1), "br"),
        having(NEW, &bundle(1), "br, *;q=0.1"),
        having(NEW, &bundle(1), "br, dcb;q=0.9"),
        having(NEW, "another", "br, dcb, dcz"),
        // It has this very version.
        having(NEW, &bundle(2), "br, dcb, dcz"),
        Request::get(NEW)
            .field("Accept-Encoding", "br, dcb")
            .field("Available-Dictionary", "malformed"),
    ] {
        edge.send(&request).await.status(200).has("content-encoding", "br").has("vary", vary);
    }
}

#[tokio::test]
async fn the_first_answer_says_by_what_it_will_vary() {
    let (_origin, edge) = edge().await;
    let first = edge.send(&Request::get(OLD).field("Accept-Encoding", "br, dcb")).await;
    first.status(200).has("vary", "Accept-Encoding, Available-Dictionary");
    first.lacks("use-as-dictionary");
}

#[tokio::test]
async fn a_condition_is_held_against_the_form_that_the_client_has() {
    let (origin, edge) = edge().await;
    told(&edge, OLD).await;
    told(&edge, NEW).await;
    let wants = having(NEW, &bundle(1), "br, dcb, dcz");
    let tag = coded(&edge, &wants, "dcb").await.field("etag").expect("it has a tag");
    let vary = "Accept-Encoding, Available-Dictionary";
    for asked in [
        wants.clone(),
        // Now it has this version as its dictionary, or none any more.
        having(NEW, &bundle(2), "br, dcb, dcz"),
        Request::get(NEW).field("Accept-Encoding", "br"),
        Request::get(NEW),
    ] {
        let reply = edge.send(&asked.field("If-None-Match", &tag)).await;
        reply.status(304).has("etag", &tag).has("vary", vary);
    }
    for other in ["\"v1-dcb-01234567\"", "\"v2-dcb-\"", "\"v2-dcb-0123456g\"", "\"x\""] {
        let reply = edge.send(&wants.clone().field("If-None-Match", other)).await;
        reply.status(200).has("content-encoding", "dcb");
    }
    // Who has it in another coding need not get it in this one.
    let br = edge.send(&Request::get(NEW).field("Accept-Encoding", "br")).await;
    let br = br.field("etag").expect("it has a tag");
    edge.send(&wants.clone().field("If-None-Match", &br)).await.status(304);
    // A part is one of what everybody can read.
    let part = edge.send(&wants.field("Range", "bytes=0-9")).await;
    assert_ne!(part.field("content-encoding").as_deref(), Some("dcb"));
    assert_eq!((origin.count(OLD), origin.count(NEW)), (1, 1));
}

#[tokio::test]
async fn what_is_changed_on_a_condition_is_told_the_tag_of_the_origin() {
    let (origin, edge) = edge().await;
    let tag = "\"v2-dcb-01234567\"";
    edge.send(&Request::new("PUT", NEW).field("If-Match", tag)).await;
    assert_eq!(origin.last(NEW).field("if-match").as_deref(), Some(&*format!("{tag}, \"v2\"")));
}

#[tokio::test]
async fn the_origin_sees_nothing_of_dictionaries() {
    let (origin, edge) = edge().await;
    let fields = |path: &str| {
        let asked = origin.last(path);
        (asked.field("available-dictionary"), asked.field("dictionary-id"))
    };
    let request = having(OLD, "some", "br, dcb").field("Dictionary-ID", "\"a\"");
    edge.send(&request).await.status(200);
    assert_eq!(fields(OLD), (None, None));
    assert_eq!(origin.last(OLD).field("accept-encoding").as_deref(), Some("br"));
    // All on the route, for an answer for one client would be stored for others.
    edge.send(&having("/page", "some", "br")).await;
    assert_eq!(fields("/page"), (None, None));
}

#[tokio::test]
async fn nothing_is_said_where_the_settings_say_nothing() {
    let origin = origin().await;
    let edge = Edge::with_policy(&origin, "").await;
    edge.get(OLD).await.status(200);
    for request in [Request::get(OLD), having(OLD, "some", "br, dcb")] {
        let reply = edge.send(&request).await;
        reply.status(200).has("vary", "Accept-Encoding").lacks("use-as-dictionary");
    }
}

#[tokio::test]
async fn what_is_no_version_of_a_bundle_is_no_dictionary() {
    let (origin, edge) = edge().await;
    origin.answers("/app.js", answer(1));
    let short = Answer::cached("let a = 1;", "max-age=60").field("Content-Type", "text/javascript");
    origin.answers("/short.3f2a9b1c.js", short);
    let missing = "/missing.3f2a9b1c.js";
    origin.answers(missing, answer(1).code(404));
    let own = "/own.3f2a9b1c.js";
    origin.answers(own, answer(1).field("Use-As-Dictionary", "match=\"/other/*\""));
    for path in ["/app.js", "/short.3f2a9b1c.js", missing] {
        edge.get(path).await;
    }
    // Time enough for the others to be told.
    told(&edge, OLD).await;
    for path in ["/app.js", "/short.3f2a9b1c.js", missing] {
        let reply = edge.get(path).await;
        reply.hit().lacks("use-as-dictionary");
        assert!(!reply.field("vary").unwrap_or_default().contains("Available"), "{path}");
    }
    edge.get(own).await.has("use-as-dictionary", "match=\"/other/*\"");
}

#[tokio::test]
async fn a_dictionary_outlives_the_response_that_it_came_with() {
    let (origin, edge) = edge().await;
    told(&edge, OLD).await;
    origin
        .answers_by(OLD, |request| Answer::status(if request.method == "GET" { 404 } else { 204 }));
    edge.send(&Request::new("DELETE", OLD)).await.status(204);
    edge.get(OLD).await.status(404);
    told(&edge, NEW).await;
    let reply = coded(&edge, &having(NEW, &bundle(1), "br, dcb"), "dcb").await;
    decodes(&reply, DictionaryCoding::Dcb, &bundle(1), &bundle(2));
}

#[tokio::test]
async fn what_the_origin_compressed_takes_part() {
    use forebay::field::coding::Coding;
    use forebay::transform::encode::{Effort, encode_whole};
    let origin = Origin::start().await;
    for (path, version) in [(OLD, 1), (NEW, 2)] {
        let gzip = encode_whole(Coding::Gzip, Effort::Quick, &[bundle(version).into()]);
        let answer = Answer::bytes(gzip.expect("there is memory"))
            .field("Cache-Control", "max-age=60")
            .field("Content-Type", "text/javascript")
            .field("Content-Encoding", "gzip")
            .field("ETag", &format!("\"v{version}\""));
        origin.answers(path, answer);
    }
    let edge = Edge::with_policy(&origin, WITH).await;
    let taking = |path| Request::get(path).field("Accept-Encoding", "gzip");
    let has_field = |reply: &Reply| reply.field("use-as-dictionary").is_some();
    until(&edge, &taking(OLD), "word of a dictionary", has_field).await;
    until(&edge, &taking(NEW), "word of a dictionary", has_field).await;
    let reply = coded(&edge, &having(NEW, &bundle(1), "gzip, br, dcb"), "dcb").await;
    decodes(&reply, DictionaryCoding::Dcb, &bundle(1), &bundle(2));
}

#[tokio::test]
async fn what_is_made_is_counted_and_made_once() {
    let (_origin, edge) = edge().await;
    told(&edge, OLD).await;
    told(&edge, NEW).await;
    let request = having(NEW, &bundle(1), "br, dcb");
    coded(&edge, &request, "dcb").await;
    for _ in 0..20 {
        edge.send(&request).await.has("content-encoding", "dcb");
    }
    let made = format!(
        "forebay_encoded_plain_bytes_total{{coding=\"dcb\",route=\"all\"}} {}\n",
        bundle(2).len()
    );
    // It is counted a moment after it answers.
    edge.metrics_until(|metrics| metrics.contains(&made)).await;
}

#[tokio::test]
async fn what_is_not_smaller_is_not_tried_again() {
    let (origin, edge) = edge().await;
    let small = "export default 1;\n".repeat(70);
    origin.answers(
        NEW,
        Answer::cached(&small, "max-age=60").field("Content-Type", "text/javascript"),
    );
    told(&edge, OLD).await;
    told(&edge, NEW).await;
    let request = having(NEW, &bundle(1), "br, dcb");
    edge.send(&request).await.has("content-encoding", "br");
    let tried = async {
        loop {
            let metrics = edge.admin(&Request::get("/metrics")).await.text();
            if metrics.contains("encoded_bytes_total{coding=\"dcb\"") {
                return metrics;
            }
            edge.send(&request).await;
        }
    };
    soon("the try", tried).await;
    for _ in 0..20 {
        edge.send(&request).await.has("content-encoding", "br");
    }
    let metrics = edge.admin(&Request::get("/metrics")).await.text();
    let tried = format!("coding=\"dcb\",route=\"all\"}} {}\n", small.len());
    assert!(metrics.contains(&tried), "{metrics}");
}

/// Loads the old version, waits until the browser has written it down, which it tells in requests
/// that the origin sees, and loads the new one.
const NEXT_DEPLOY: &str = r##"
const loaded = (src) => new Promise((done, failed) => {
  const element = Object.assign(document.createElement("script"), { src, type: "module" });
  element.onload = done;
  element.onerror = () => failed(new Error(`${src} does not load`));
  document.head.append(element);
});
const measured = async (path) => {
  const url = new URL(path, location).href;
  for (;;) {
    const [entry] = performance.getEntriesByName(url, "resource");
    if (entry) return entry;
    await new Promise((done) => setTimeout(done, 1));
  }
};
await loaded("/app.3f2a9b1c.js");
const old = globalThis.version;
while (await (await fetch("/app.said.js")).text() === "nothing") {
  await new Promise((done) => setTimeout(done, 1));
}
performance.clearResourceTimings();
await loaded("/app.77e0d142.js");
const { encodedBodySize, decodedBodySize } = await measured("/app.77e0d142.js");
return { old, version: globalThis.version, encodedBodySize, decodedBodySize };
"##;

const ROUTES: &str = r#"
[policies.passed]
strategy = "bypass"
[[routes]]
name = "said"
match = { path = "/app.said.js" }
origin = "api"
policy = "passed"
[[routes]]
name = "all"
match = { path = "/**" }
origin = "api"
policy = "all"
"#;

/// What a version of the bundle says for [`NEXT_DEPLOY`].
fn script(version: usize) -> String {
    format!("{}globalThis.version = {version};\n", bundle(version))
}

/// An origin with a page that loads both versions, and says which dictionary it was told of.
async fn origin_with_page() -> Origin {
    let origin = Origin::start().await;
    for (path, version) in [(OLD, 1), (NEW, 2)] {
        let answer = Answer::cached(&script(version), "max-age=3600");
        origin.answers(path, answer.field("Content-Type", "text/javascript"));
    }
    origin.answers_by("/app.said.js", |request| {
        Answer::ok(&request.field("available-dictionary").unwrap_or("nothing".to_owned()))
    });
    Browser::write_page(&origin, "/page", NEXT_DEPLOY);
    origin
}

/// Has a browser load both versions from `url`, the new one as `sent` bytes.
async fn check_browser(url: &str, sent: usize) {
    let page = Browser::new().visit(&format!("{url}/page")).await;
    let expected = json!({
        "old": 1,
        "version": 2,
        "encodedBodySize": sent,
        "decodedBodySize": script(2).len(),
    });
    assert_eq!(page, expected);
}

#[tokio::test]
async fn a_browser_takes_the_next_deploy_as_what_differs() {
    let origin = origin_with_page().await;
    let setup = Setup::before(&origin).policy(WITH).table(ROUTES).only_these_routes();
    let edge = setup.start().await;
    // As the browser will ask, so that it finds what is made.
    let host = edge.address("web");
    for path in [OLD, NEW] {
        let has_field = |reply: &Reply| reply.field("use-as-dictionary").is_some();
        until(&edge, &Request::get(path).host(host), "word of a dictionary", has_field).await;
    }
    let made = coded(&edge, &having(NEW, &script(1), "dcb").host(host), "dcb").await;
    check_browser(edge.url("web"), made.bytes.len()).await;
}

/// It takes both, and the edge would choose the other: so it gets this one from the origin.
#[tokio::test]
async fn a_browser_reads_dcz() {
    let origin = origin_with_page().await;
    let old = Answer::cached(&script(1), "max-age=3600").field("Content-Type", "text/javascript");
    origin.answers(OLD, old.field("Use-As-Dictionary", "match=\"/app.*.js\""));
    let made = encode(DictionaryCoding::Dcz, script(1).as_bytes(), &[script(2).into()]);
    let made = made.expect("there is memory");
    let answer = Answer::bytes(made.clone())
        .field("Cache-Control", "max-age=3600")
        .field("Content-Type", "text/javascript")
        .field("Content-Encoding", "dcz")
        .field("Vary", "Accept-Encoding, Available-Dictionary");
    origin.answers(NEW, answer);
    check_browser(&origin.url(), made.len()).await;
}

#[tokio::test]
async fn what_a_browser_that_has_another_version_gets_is_explained() {
    let origin = Origin::start().await;
    let edge = Edge::with_policy(&origin, WITH).await;
    let explained = async |path: &str| {
        let fields = r#"[["Content-Type", "text/javascript"], ["Cache-Control", "max-age=60"]]"#;
        let body =
            format!(r#"{{"url": "{path}", "response": {{"status": 200, "fields": {fields}}}}}"#);
        edge.admin(&Request::new("POST", "/explain").body(&body)).await.status(200).text()
    };
    let note = "it is a version of /app.*.js: who says to have another one is sent what differs";
    let said = explained("/app.3f2a9b1c.js").await;
    assert!(said.contains(note), "{said}");
    let said = explained("/app.js").await;
    assert!(!said.contains("what differs"), "{said}");
}
