//! A real browser reads what the edge compresses, again and again, and while it still arrives.

use serde_json::{Value, json};

use crate::support::{Answer, Browser, Edge, Gate, Origin, Request};

/// Asks for each path until its answer has come in the coding a few times, and tells of each the
/// digests of what arrived, the codings it came in, and whether those were smaller.
const READS_AGAIN_AND_AGAIN: &str = r##"
const digest = async (bytes) => {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
};
const measured = async (url) => {
  for (;;) {
    const [entry] = performance.getEntriesByName(url, "resource");
    if (entry) return entry;
    await new Promise((done) => setTimeout(done, 1));
  }
};
const loaded = (name, options) => new Promise((done, failed) => {
  const element = Object.assign(document.createElement(name), options);
  element.onload = done;
  element.onerror = () => failed(new Error(`${name} does not load`));
  document.head.append(element);
});
const told = {};
for (const path of ["/site.css", "/app.js", "/data.json"]) {
  const url = new URL(path, location).href;
  const digests = new Set(), codings = new Set();
  let coded = 0, smaller = 0;
  for (let asked = 0; asked < 10 || (coded < 5 && asked < 3000); asked += 1) {
    performance.clearResourceTimings();
    const response = await fetch(url);
    const body = await response.arrayBuffer();
    digests.add(`${response.status} ${await digest(body)}`);
    const coding = response.headers.get("content-encoding");
    if (!coding) continue;
    codings.add(coding);
    coded += 1;
    const { encodedBodySize, decodedBodySize } = await measured(url);
    if (encodedBodySize < decodedBodySize && decodedBodySize === body.byteLength) smaller += 1;
  }
  told[path] = { digests: [...digests], codings: [...codings], smaller: coded > 0 && coded === smaller };
}
// As pages use them, at last.
await loaded("link", { rel: "stylesheet", href: "/site.css" });
await loaded("script", { src: "/app.js" });
told.style = getComputedStyle(document.body).getPropertyValue("--last").trim();
told.script = globalThis.last;
return told;
"##;

fn style() -> String {
    let rules: String = (0..150)
        .map(|number| format!(".part-{number} {{ margin: {number}px; color: #abc }}\n"))
        .collect();
    format!("{rules}body {{ --last: grün }}\n")
}

fn script() -> String {
    let functions: String = (0..150)
        .map(|number| format!("function part{number}(given) {{ return given + {number}; }}\n"))
        .collect();
    format!("{functions}globalThis.last = part149(1) + \" ✓\";\n")
}

fn data() -> String {
    let rows: Vec<_> =
        (0..150).map(|number| json!({ "number": number, "name": "Größe" })).collect();
    Value::from(rows).to_string()
}

fn digest(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The edge keeps it, and the browser asks every time: with a condition where it has a tag.
fn kept(body: &str, kind: &str) -> Answer {
    Answer::cached(body, "s-maxage=600, max-age=0").field("Content-Type", kind)
}

async fn check(coding: &str) {
    let origin = Origin::start().await;
    let files = [("/site.css", style()), ("/app.js", script()), ("/data.json", data())];
    let [style, script, data] = files.each_ref().map(|(_, text)| text.as_str());
    origin.answers("/site.css", kept(style, "text/css; charset=utf-8").field("ETag", "\"css\""));
    let script = kept(script, "text/javascript; charset=utf-8").field("ETag", "W/\"js\"");
    origin.answers("/app.js", script);
    origin.answers("/data.json", kept(data, "application/json"));
    Browser::write_page(&origin, "/page", READS_AGAIN_AND_AGAIN);
    let edge = Edge::with_policy(&origin, &format!("compress.codings = [\"{coding}\"]")).await;

    let told = Browser::new().visit(&format!("{}/page", edge.url("web"))).await;

    for (path, text) in &files {
        let expected = json!({
            "digests": [format!("200 {}", digest(text))],
            "codings": [coding],
            "smaller": true,
        });
        assert_eq!(told[path], expected, "{path} in {coding}");
    }
    assert_eq!((&told["style"], &told["script"]), (&json!("grün"), &json!("150 ✓")));
    let metrics = edge.admin(&Request::get("/metrics")).await.text();
    let made = format!("forebay_encoded_bytes_total{{coding=\"{coding}\",route=\"all\"}} ");
    assert!(metrics.contains(&made), "{metrics}");
}

#[tokio::test]
async fn a_browser_reads_br() {
    check("br").await;
}

#[tokio::test]
async fn a_browser_reads_zstd() {
    check("zstd").await;
}

#[tokio::test]
async fn a_browser_reads_gzip() {
    check("gzip").await;
}

/// How many parts are sent one by one, each once the browser has told that it has the one before.
const PARTS: usize = 4;

/// Has `origin` answer `path` by parts that `write` makes, of which the last never comes, and take
/// word under `path` and `/has/` and the number of a part.
fn in_parts(origin: &Origin, path: &str, kind: &str, cache: &str, write: impl Fn(usize) -> String) {
    let gates: Vec<_> = (0..=PARTS).map(|_| Gate::closed()).collect();
    gates[0].open();
    let parts: Vec<_> = (0..=PARTS).map(write).collect();
    let pieces: Vec<_> = parts.iter().map(String::as_str).zip(&gates).collect();
    let answer = Answer::gated(&pieces).field("Content-Type", kind).field("Cache-Control", cache);
    origin.answers(path, answer);
    for (number, next) in gates.iter().skip(1).take(PARTS - 1).enumerate() {
        let next = next.clone();
        origin.answers_by(&format!("{path}/has/{number}"), move |_| {
            next.open();
            Answer::status(204).field("Cache-Control", "no-store")
        });
    }
}

/// Reads the events of two streams, and tells of each what it heard and whether the stream was open
/// at the end, which is 1.
const HEARS_EVENTS: &str = r#"
const heard = (path, parts) => new Promise((done, failed) => {
  const source = new EventSource(path), numbers = [];
  source.onerror = () => failed(new Error(`${path} breaks off after ${numbers}`));
  source.onmessage = ({ data }) => {
    const [number] = data.split(" ");
    numbers.push(Number(number));
    if (numbers.length < parts) return fetch(`${path}/has/${number}`).catch(failed);
    done({ numbers, state: source.readyState });
    source.close();
  };
});
const told = {};
for (const path of ["/passed", "/kept"]) told[path] = await heard(path, 4);
return told;
"#;

#[tokio::test]
async fn events_reach_a_browser_while_the_stream_is_open() {
    let origin = Origin::start().await;
    let event = |number| format!("data: {number} {}\n\n", "more of the same ".repeat(100));
    for (path, cache) in [("/passed", "no-store"), ("/kept", "s-maxage=600")] {
        in_parts(&origin, path, "text/event-stream", cache, event);
    }
    Browser::write_page(&origin, "/page", HEARS_EVENTS);
    let edge = Edge::before(&origin).await;
    let told = Browser::new().visit(&format!("{}/page", edge.url("web"))).await;
    let expected = json!({ "numbers": [0, 1, 2, 3], "state": 1 });
    assert_eq!(told, json!({ "/passed": expected, "/kept": expected }));
}

/// Reads a text that arrives in parts, each of them before the next is sent.
const READS_PARTS: &str = r#"
const reader = (await fetch("/text")).body.pipeThrough(new TextDecoderStream()).getReader();
let text = "";
for (let number = 0; number < 4; number += 1) {
  while (!text.includes(`end of ${number}\n`)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ends after ${text}`);
    text += value;
  }
  if (number < 3) await fetch(`/text/has/${number}`);
}
reader.cancel();
return { text };
"#;

#[tokio::test]
async fn a_body_reaches_a_browser_as_it_arrives() {
    let part = |number| format!("{}end of {number}\n", "much the same once more, ".repeat(100));
    let text: String = (0..PARTS).map(part).collect();
    for coding in ["br", "zstd", "gzip"] {
        let origin = Origin::start().await;
        in_parts(&origin, "/text", "text/plain", "s-maxage=600", part);
        Browser::write_page(&origin, "/page", READS_PARTS);
        let edge = Edge::with_policy(&origin, &format!("compress.codings = [\"{coding}\"]")).await;
        let told = Browser::new().visit(&format!("{}/page", edge.url("web"))).await;
        assert_eq!(told, json!({ "text": text }), "{coding}");
    }
}
