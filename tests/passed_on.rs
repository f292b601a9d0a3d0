//! Content codings of answers that are passed on: made as they go by, and kept by nobody.

use bytes::Bytes;
use forebay::field::coding::Coding;
use forebay::transform::decode::Decoder;
use forebay::transform::encode::{Effort, encode_whole};

use crate::support::{
    Answer, Connection, Edge, Gate, Http2, Http2Origin, Origin, Reply, Request, Setup,
};

const BYPASS: &str = "strategy = 'bypass'";
const ALL: [(&str, Coding); 3] =
    [("br", Coding::Br), ("zstd", Coding::Zstd), ("gzip", Coding::Gzip)];

/// A text that every coding makes smaller, longer than any buffer.
fn text() -> String {
    (0..9000).map(|line| format!("line {line} of a text that says much the same again\n")).collect()
}

fn answer() -> Answer {
    Answer::ok(&text()).field("Content-Type", "text/plain; charset=utf-8").field("ETag", "\"a\"")
}

async fn edge_with(policy: &str, answer: Answer) -> (Origin, Edge) {
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, policy).await;
    (origin, edge)
}

fn taking(method: &str, codings: &str) -> Request {
    let request = Request::new(method, "/a").field("Accept-Encoding", codings);
    if method == "POST" { request.body("x") } else { request }
}

/// The body of `reply`, read out of `coding`.
#[track_caller]
fn decoded(reply: &Reply, coding: Coding) -> Bytes {
    let mut decoder = Decoder::new(coding, 1 << 24);
    let body = decoder.write(&reply.bytes).expect("it is in its coding");
    decoder.finish().expect("it is whole");
    body
}

/// Demands the text in `coding`, by that name.
#[track_caller]
fn is_coded<'a>(reply: &'a Reply, (name, coding): (&str, Coding)) -> &'a Reply {
    reply.status(200).has("content-encoding", name).has("vary", "Accept-Encoding");
    assert!(reply.whole, "{reply}");
    assert_eq!(decoded(reply, coding), text().as_bytes(), "{name}");
    assert!(reply.bytes.len() < text().len() / 4, "{name}: {}", reply.bytes.len());
    reply.lacks("content-length")
}

#[tokio::test]
async fn what_is_passed_on_is_compressed_as_it_goes_by() {
    let lines: Vec<String> = text().split_inclusive('\n').map(str::to_owned).collect();
    let parts: Vec<String> = lines.chunks(100).map(<[String]>::concat).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    for answer in [Answer::ok(&text()), Answer::chunked(&parts), Answer::until_close(&text())] {
        let answer = answer.field("Content-Type", "text/plain").field("ETag", "\"a\"");
        let (_origin, edge) = edge_with("bypass_if = { headers = ['X-Now'] }", answer).await;
        for coding in ALL {
            let mut connection = edge.connect().await;
            for _ in 0..2 {
                let reply = connection.request(&taking("POST", coding.0)).await;
                is_coded(&reply, coding).has("etag", &format!("W/\"a-{}\"", coding.0));
            }
        }
        let plain = edge.send(&taking("POST", "identity")).await;
        plain.answered(200, &text()).has("etag", "\"a\"").has("vary", "Accept-Encoding");
        plain.lacks("content-encoding");
    }
}

#[tokio::test]
async fn a_route_that_bypasses_the_cache_compresses_too() {
    let (origin, edge) = edge_with(BYPASS, answer().field("Accept-Ranges", "bytes")).await;
    for coding in ALL {
        is_coded(&edge.send(&taking("GET", coding.0)).await, coding).lacks("accept-ranges");
    }
    let head = edge.send(&taking("HEAD", "br")).await;
    head.status(200).lacks("content-encoding").has("vary", "Accept-Encoding").has("etag", "\"a\"");
    head.has("content-length", &text().len().to_string());
    assert_eq!(origin.count("/a"), 4);
    let wanted = format!(
        "forebay_encoded_plain_bytes_total{{coding=\"br\",route=\"all\"}} {}\n",
        text().len()
    );
    edge.metrics_until(|metrics| metrics.contains(&wanted)).await;
    let answers = "forebay_coded_responses_total{coding=\"br\",route=\"all\"} 1\n";
    let metrics = edge.metrics_until(|metrics| metrics.contains(answers)).await;
    assert!(metrics.contains("forebay_encodings_in_progress 0\n"), "{metrics}");
}

#[tokio::test]
async fn http2_gets_it_too() {
    let (_origin, edge) = edge_with("", answer()).await;
    let client = Http2::open(&edge).await;
    for coding in ALL {
        is_coded(&client.send(&taking("POST", coding.0)).await, coding);
    }
    client.send(&taking("POST", "identity")).await.answered(200, &text());
}

#[tokio::test]
async fn an_origin_of_http2_is_compressed_to_its_end() {
    const BODY: &str = include_str!("passed_on.rs");
    for origin in [
        Http2Origin::start(BODY, "no-store").await,
        Http2Origin::with_trailer(BODY, "no-store").await,
    ] {
        let trusted = origin.certificate().path();
        let edge = Setup::before_url(&origin.url())
            .origin("host = \"localhost\"")
            .environment("SSL_CERT_FILE", trusted.to_str().expect("a path in UTF-8"))
            .start()
            .await;
        let http2 = Http2::open(&edge).await;
        for (name, coding) in ALL {
            for reply in
                [edge.send(&taking("POST", name)).await, http2.send(&taking("POST", name)).await]
            {
                reply.status(200).has("content-encoding", name);
                assert!(reply.whole);
                assert_eq!(decoded(&reply, coding), BODY.as_bytes(), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_it_plain() {
    let (_origin, edge) = edge_with("", answer()).await;
    let mut connection = edge.connect().await;
    let head = "POST /a HTTP/1.0\r\nHost: edge.test\r\nContent-Length: 0\r\n";
    connection.send(format!("{head}Accept-Encoding: br\r\n\r\n")).await;
    let reply = connection.reply("POST").await;
    reply.answered(200, &text()).lacks("content-encoding").lacks("transfer-encoding");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let chunked = Answer::chunked(&["one ", "two"]).field("Content-Type", "text/plain");
    let (_origin, edge) = edge_with("", chunked).await;
    for connection in ["", "Connection: keep-alive\r\n"] {
        let mut reading = edge.connect().await;
        let head = "POST /a HTTP/1.0\r\nHost: edge.test\r\nContent-Length: 0\r\n";
        reading.send(format!("{head}{connection}\r\n")).await;
        let reply = reading.reply("POST").await;
        reply.answered(200, "one two").lacks("transfer-encoding").lacks("content-length");
        assert!(reading.is_closed().await);
    }
}

/// Reads chunks until they unfold to as much as `expected`, and demands just that.
async fn read(reading: &mut Connection, decoder: &mut Decoder, expected: &str) {
    let mut read = Vec::new();
    while read.len() < expected.len() {
        read.extend_from_slice(&decoder.write(&reading.chunk().await).unwrap());
    }
    assert_eq!(read, expected.as_bytes());
}

#[tokio::test]
async fn nothing_is_held_back() {
    for kind in ["text/event-stream", "text/html"] {
        for (name, coding) in ALL {
            let gate = Gate::closed();
            let held = Answer::held("data: one\n\n", &gate, "data: two\n\n");
            let policy = "strategy = 'bypass'\ncompress = { min_size = '0B' }";
            let (_origin, edge) = edge_with(policy, held.field("Content-Type", kind)).await;
            let mut reading = edge.connect().await;
            reading.send(taking("GET", name).http1()).await;
            reading.head().await.status(200).has("content-encoding", name);
            let mut decoder = Decoder::new(coding, 1 << 20);
            read(&mut reading, &mut decoder, "data: one\n\n").await;
            gate.open();
            read(&mut reading, &mut decoder, "data: two\n\n").await;
        }
    }
}

#[tokio::test]
async fn what_may_be_one_persons_own_is_left_as_it_is() {
    let is_left = async |policy: &str, answer: Answer, request: &Request| {
        let (_origin, edge) = edge_with(policy, answer).await;
        edge.send(request).await.answered(200, &text()).lacks("content-encoding");
    };
    let request = taking("POST", "br");
    for (name, value) in [("Cookie", "sid=1"), ("Authorization", "Basic eA==")] {
        let request = request.clone().field(name, value);
        is_left("key = { cookies = ['theme'] }", answer(), &request).await;
    }
    let named = "bypass_if = { headers = ['X-Api-Key'] }";
    is_left(named, answer(), &taking("GET", "br").field("X-Api-Key", "x")).await;
    for (name, value) in [
        ("Set-Cookie", "a=b"),
        ("Cache-Control", "private"),
        ("Cache-Control", "no-transform"),
        ("Content-Digest", "sha-256=:x:"),
    ] {
        is_left("", answer().field(name, value), &request).await;
    }
    is_left("compress = { codings = [] }", answer(), &request).await;
    is_left("compress = { types = ['text/css'] }", answer(), &request).await;
    is_left("compress = { min_size = '1MiB' }", answer(), &request).await;
}

#[tokio::test]
async fn what_is_no_answer_to_compress_is_left_as_it_is() {
    for status in [201, 206, 400, 500] {
        let (_origin, edge) = edge_with("", answer().code(status)).await;
        let reply = edge.send(&taking("POST", "br")).await;
        reply.answered(status, &text()).lacks("content-encoding").has("etag", "\"a\"");
    }
    for bodiless in [Answer::status(204), Answer::ok("")] {
        let (_origin, edge) = edge_with("", bodiless.field("Content-Type", "text/plain")).await;
        let mut connection = edge.connect().await;
        for _ in 0..2 {
            let reply = connection.request(&taking("POST", "br")).await;
            assert!(reply.bytes.is_empty() && reply.whole, "{reply}");
            reply.lacks("content-encoding");
        }
    }
}

#[tokio::test]
async fn an_upgrade_is_left_as_it_is() {
    let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\nContent-Type: text/plain\r\n\r\n";
    let (_origin, edge) = edge_with("", Answer::raw_then_echo(switched)).await;
    let mut connection = edge.connect().await;
    let request = taking("GET", "br").field("Connection", "Upgrade").field("Upgrade", "websocket");
    connection.send(request.http1()).await;
    connection.head().await.status(101).lacks("content-encoding");
    connection.send("ping").await;
    assert_eq!(connection.bytes(4).await, b"ping");
    // Who declines it answers like anybody.
    let (_origin, edge) = edge_with("", answer()).await;
    is_coded(&edge.send(&request).await, ALL[0]);
}

#[tokio::test]
async fn what_breaks_off_stays_broken() {
    let typed = |answer: Answer| answer.field("Content-Type", "text/plain");
    for answer in [typed(Answer::cut(1 << 20, &text())), typed(Answer::reset(1 << 20, &text()))] {
        let (_origin, edge) = edge_with("", answer).await;
        for (name, coding) in ALL {
            let reply = edge.send(&taking("POST", name)).await;
            reply.status(200).has("content-encoding", name);
            assert!(!reply.whole, "{reply}");
            let mut decoder = Decoder::new(coding, 1 << 24);
            decoder.write(&reply.bytes).expect("what came is in its coding");
            assert!(decoder.finish().is_err(), "{name}");
        }
        let reply = Http2::open(&edge).await.try_send(&taking("POST", "br")).await;
        assert!(reply.is_err() || reply.is_ok_and(|reply| !reply.whole));
    }
}

/// Whether a client can see that this is not what it asked for. It is told so in words where that
/// was found out before anything was sent.
fn is_broken(reply: &Reply) -> bool {
    reply.code == 502 || !reply.whole
}

#[tokio::test]
async fn a_coding_of_the_origin_is_read_for_who_does_not_take_it() {
    let gzip = encode_whole(Coding::Gzip, Effort::Best, &[text().into()]).unwrap();
    let answer = |bytes: Vec<u8>| {
        let answer = Answer::bytes(bytes).field("Content-Type", "text/plain");
        answer.field("Content-Encoding", "gzip").field("ETag", "\"a\"")
    };
    let (_origin, edge) = edge_with("", answer(gzip.to_vec())).await;
    let plain = edge.send(&taking("POST", "identity")).await;
    plain.answered(200, &text()).lacks("content-encoding").has("etag", "\"a-identity\"");
    is_coded(&edge.send(&taking("POST", "zstd")).await, ALL[1]);
    for takes in ["gzip", "br, gzip"] {
        let reply = edge.send(&taking("POST", takes)).await;
        reply.status(200).has("content-encoding", "gzip").has("etag", "\"a\"");
        assert_eq!(reply.bytes, gzip);
    }
    // Half of it, and nonsense: what cannot be read breaks off.
    for bytes in [gzip[..gzip.len() / 2].to_vec(), b"no gzip at all".to_vec()] {
        let (_origin, edge) = edge_with("", answer(bytes)).await;
        for codings in ["identity", "zstd"] {
            let reply = edge.connect().await.request_or_end(&taking("POST", codings)).await;
            assert!(reply.is_none_or(|reply| is_broken(&reply)), "{codings}");
            let reply = Http2::open(&edge).await.try_send(&taking("POST", codings)).await;
            assert!(reply.is_ok_and(|reply| is_broken(&reply)), "{codings}");
        }
    }
}

#[tokio::test]
async fn what_unfolds_to_too_much_is_cut_off() {
    let bomb = |size: usize| {
        let zeros = Bytes::from(vec![0; size]);
        let bytes = encode_whole(Coding::Gzip, Effort::Best, &[zeros]).unwrap();
        let answer = Answer::bytes(bytes).field("Content-Type", "text/plain");
        answer.field("Content-Encoding", "gzip")
    };
    for (policy, size) in [("max_object = '1MiB'", 2 << 20), ("max_object = '512MiB'", 32 << 20)] {
        let origin = Origin::with("/a", bomb(size)).await;
        let edge = Setup::before(&origin).cache(policy).start().await;
        let reply = edge.connect().await.request_or_end(&taking("POST", "identity")).await;
        assert!(reply.is_none_or(|reply| is_broken(&reply) && reply.bytes.len() <= 16 << 20));
        // Who takes it gets it.
        assert!(edge.send(&taking("POST", "gzip")).await.whole);
    }
}

#[tokio::test]
async fn a_client_that_has_a_coding_is_told_that_it_stands() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("if-none-match") {
        Some(tags) if tags.contains("\"a\"") => Answer::status(304).field("ETag", "\"a\""),
        Some(_) | None => answer(),
    });
    let edge = Edge::with_policy(&origin, BYPASS).await;
    let tag = edge.send(&taking("GET", "br")).await.field("etag").unwrap();
    assert_eq!(tag, "W/\"a-br\"");
    let had = edge.send(&taking("GET", "br").field("If-None-Match", &tag)).await;
    had.status(304).has("etag", &tag).has("vary", "Accept-Encoding");
    let had = edge.send(&taking("GET", "identity").field("If-None-Match", "\"a\"")).await;
    had.status(304).has("etag", "\"a\"");
    let other = taking("GET", "br").field("If-None-Match", "W/\"b-br\"");
    is_coded(&edge.send(&other).await, ALL[0]);
}

#[tokio::test]
async fn a_date_tells_no_coding_from_another() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let (origin, edge) = edge_with(BYPASS, Answer::ok(&text())).await;
    let part = |codings: &str| taking("GET", codings).field("Range", "bytes=9-");
    edge.send(&part("br").field("If-Range", date)).await.status(200);
    assert_eq!(
        (origin.last("/a").field("range"), origin.last("/a").field("if-range")),
        (None, None)
    );
    for request in [part("br"), part("br").field("If-Range", "\"a\""), part("identity")] {
        edge.send(&request).await.status(200);
        assert_eq!(origin.last("/a").field("range").as_deref(), Some("bytes=9-"));
    }
}

#[tokio::test]
async fn what_a_post_leaves_to_be_stored_is_what_the_origin_sent() {
    let kept = answer().field("Cache-Control", "max-age=60").field("Content-Location", "/a");
    let (origin, edge) = edge_with("", kept).await;
    let reply = edge.send(&taking("POST", "br")).await;
    is_coded(&reply, ALL[0]).cache_status("forebay; fwd=method; stored");
    edge.send(&taking("GET", "identity")).await.answered(200, &text()).hit().has("etag", "\"a\"");
    let reply = edge.send(&taking("GET", "gzip")).await;
    assert_eq!(decoded(&reply, Coding::Gzip), text().as_bytes());
    assert_eq!(origin.count("/a"), 1);
}
