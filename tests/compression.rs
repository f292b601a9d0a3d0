//! Content codings: made while an answer arrives, kept, and made better in the background.

use bytes::Bytes;
use forebay::field::coding::Coding;
use forebay::transform::decode::Decoder;
use forebay::transform::encode::{Effort, encode_whole};
use serde_json::{Value, json};

use crate::support::{
    Answer, Edge, Gate, Origin, Received, Reply, Request, Setup, look_again, soon,
};

/// A text that every coding makes smaller.
fn text() -> String {
    (0..400).map(|line| format!("line {line} of a text that says much the same again\n")).collect()
}

fn answer() -> Answer {
    Answer::cached(&text(), "max-age=60")
        .field("Content-Type", "text/plain; charset=utf-8")
        .field("ETag", "\"a\"")
}

async fn edge_with(policy: &str, answer: Answer) -> (Origin, Edge) {
    let origin = Origin::with("/a", answer).await;
    let edge = Edge::with_policy(&origin, policy).await;
    (origin, edge)
}

fn taking(codings: &str) -> Request {
    Request::get("/a").field("Accept-Encoding", codings)
}

/// Asks until the answer has this tag.
async fn tagged(edge: &Edge, request: &Request, tag: &str) -> Reply {
    let asked = async {
        loop {
            let reply = edge.send(request).await;
            if reply.field("etag").as_deref() == Some(tag) {
                return reply;
            }
            look_again().await;
        }
    };
    soon(&format!("an answer with the tag {tag}"), asked).await
}

/// The body of `reply`, read out of `coding`.
#[track_caller]
fn decoded(reply: &Reply, coding: Coding) -> Bytes {
    let mut decoder = Decoder::new(coding, 1 << 20);
    let body = decoder.write(&reply.bytes).expect("it is in its coding");
    decoder.finish().expect("it is whole");
    body
}

#[tokio::test]
async fn each_client_gets_the_coding_that_it_takes() {
    let (origin, edge) = edge_with("", answer()).await;
    for (codings, name, coding) in [
        ("gzip, deflate, br, zstd", "br", Coding::Br),
        ("gzip", "gzip", Coding::Gzip),
        ("zstd, gzip", "zstd", Coding::Zstd),
    ] {
        for _ in 0..3 {
            let reply = edge.send(&taking(codings)).await;
            reply.status(200).has("vary", "Accept-Encoding").has("content-encoding", name);
            reply.has("etag", &format!("W/\"a-{name}\""));
            assert_eq!(decoded(&reply, coding), text().as_bytes(), "{codings}");
        }
        let reply = tagged(&edge, &taking(codings), &format!("\"a-{name}\"")).await;
        reply.status(200).hit().has("vary", "Accept-Encoding").has("content-encoding", name);
        assert_eq!(decoded(&reply, coding), text().as_bytes(), "{codings}");
        let length = reply.bytes.len();
        assert!(length < text().len() / 4, "{codings}: {length}");
        reply.has("content-length", &length.to_string());
    }
    let reply = edge.send(&taking("br;q=0.5, gzip;q=0.9")).await;
    reply.status(200).hit().has("content-encoding", "gzip");
    for plain in ["identity", "gzip;q=0", "br;q=0.1, identity;q=0.5", "deflate"] {
        let reply = edge.send(&taking(plain)).await;
        reply.answered(200, &text()).hit().has("vary", "Accept-Encoding").has("etag", "\"a\"");
        reply.lacks("content-encoding");
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn the_first_answer_is_compressed_while_it_arrives() {
    let first = text();
    for (name, coding) in [("br", Coding::Br), ("zstd", Coding::Zstd), ("gzip", Coding::Gzip)] {
        let gate = Gate::closed();
        let answer = Answer::held(&first, &gate, "and the rest")
            .field("Cache-Control", "max-age=60")
            .field("Content-Type", "text/plain");
        let (origin, edge) = edge_with("", answer).await;
        let mut reading = edge.connect().await;
        reading.send(taking(name).http1()).await;
        reading.head().await.status(200).has("content-encoding", name).lacks("content-length");
        let mut decoder = Decoder::new(coding, 1 << 20);
        let mut read = Vec::new();
        // All that the origin has sent can be read before it sends more.
        while read.len() < first.len() {
            read.extend_from_slice(&decoder.write(&reading.chunk().await).unwrap());
        }
        assert_eq!(read, first.as_bytes(), "{name}");
        let mut joining = edge.connect().await;
        joining.send(taking(name).http1()).await;
        joining.head().await.status(200).has("content-encoding", name);
        gate.open();
        read.clear();
        while read.len() < "and the rest".len() {
            read.extend_from_slice(&decoder.write(&reading.chunk().await).unwrap());
        }
        assert_eq!(read, b"and the rest", "{name}");
        edge.get("/a").await.answered(200, &format!("{first}and the rest"));
        assert_eq!(origin.count("/a"), 1);
    }
}

#[tokio::test]
async fn a_crowd_that_waits_has_a_coding_made_once() {
    let gate = Gate::closed();
    let text = text();
    let (first, rest) = text.split_at(5000);
    let answer = Answer::held(first, &gate, rest)
        .field("Cache-Control", "max-age=60")
        .field("Content-Type", "text/plain");
    let (origin, edge) = edge_with("", answer).await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let mut reading = edge.connect().await;
        reading.send(taking("br").http1()).await;
        reading.head().await.status(200).has("content-encoding", "br");
        crowd.push(reading);
    }
    gate.open();
    for mut reading in crowd {
        let mut decoder = Decoder::new(Coding::Br, 1 << 20);
        let mut read = Vec::new();
        while read.len() < text.len() {
            read.extend_from_slice(&decoder.write(&reading.chunk().await).unwrap());
        }
        assert_eq!(read, text.as_bytes());
    }
    made_once(&edge, "br").await;
    assert_eq!(origin.count("/a"), 1);
}

/// Whether the text was put into `coding` once.
async fn made_once(edge: &Edge, coding: &str) {
    let made = format!(
        "forebay_encoded_plain_bytes_total{{coding=\"{coding}\",route=\"all\"}} {}\n",
        text().len()
    );
    edge.metrics_until(|metrics| metrics.contains(&made)).await;
}

#[tokio::test]
async fn a_coding_is_made_once_and_then_kept() {
    let (_origin, edge) = edge_with("compress = { upgrade_after = 0 }", answer()).await;
    let first = edge.send(&taking("gzip")).await;
    for _ in 0..50 {
        let reply = edge.send(&taking("gzip")).await;
        reply.status(200).hit().has("etag", "W/\"a-gzip\"");
        reply.has("content-length", &first.bytes.len().to_string());
        assert_eq!(reply.bytes, first.bytes);
    }
    made_once(&edge, "gzip").await;
}

#[tokio::test]
async fn what_is_stored_already_is_compressed_for_the_first_who_asks() {
    let (_origin, edge) = edge_with("", answer()).await;
    edge.get("/a").await.answered(200, &text());
    let reply = edge.send(&taking("br")).await;
    reply.status(200).hit().has("content-encoding", "br");
    assert_eq!(decoded(&reply, Coding::Br), text().as_bytes());
    made_once(&edge, "br").await;
    let head = edge.send(&Request::new("HEAD", "/a").field("Accept-Encoding", "gzip")).await;
    head.status(200).hit().has("vary", "Accept-Encoding");
}

#[tokio::test]
async fn conditions_and_ranges_are_those_of_the_coding() {
    let (origin, edge) = edge_with("", answer()).await;
    let whole = tagged(&edge, &taking("br"), "\"a-br\"").await;
    // Who has the one made in haste has the newest.
    for had in ["\"a-br\"", "W/\"a-br\""] {
        let not_modified = edge.send(&taking("br").field("If-None-Match", had)).await;
        not_modified.status(304).has("etag", "\"a-br\"").has("vary", "Accept-Encoding");
    }
    edge.send(&taking("br").field("If-None-Match", "\"a\"")).await.status(200);
    edge.send(&taking("gzip").field("If-None-Match", "\"a-br\"")).await.status(200);
    let part = edge.send(&taking("br").field("Range", "bytes=10-19")).await;
    part.status(206).has("content-encoding", "br");
    assert_eq!(part.bytes, whole.bytes[10..20]);
    let other =
        edge.send(&taking("br").field("Range", "bytes=0-1").field("If-Range", "\"a\"")).await;
    other.status(200);
    let plain = edge.send(&taking("identity").field("Range", "bytes=0-3")).await;
    plain.answered(206, "line");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn a_part_of_what_was_made_in_haste_is_cut_from_the_plain_body() {
    let (_origin, edge) = edge_with("", answer()).await;
    for _ in 0..2 {
        let part = edge.send(&taking("zstd").field("Range", "bytes=0-3")).await;
        part.answered(206, "line").has("etag", "\"a\"").has("vary", "Accept-Encoding");
        part.lacks("content-encoding");
        edge.send(&taking("zstd")).await.status(200).has("etag", "W/\"a-zstd\"");
        let haste = taking("zstd").field("Range", "bytes=0-3").field("If-Range", "W/\"a-zstd\"");
        edge.send(&haste).await.status(200).has("content-encoding", "zstd");
    }
}

#[tokio::test]
async fn a_date_does_not_tell_of_which_coding_a_part_is() {
    let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    let answer = Answer::cached(&text(), "max-age=60")
        .field("Content-Type", "text/plain")
        .field("Last-Modified", modified);
    let (_origin, edge) = edge_with("", answer).await;
    for codings in ["br", "identity", "br"] {
        let rest = taking(codings).field("Range", "bytes=9-").field("If-Range", modified);
        edge.send(&rest).await.status(200);
        edge.send(&taking(codings)).await.status(200);
    }
}

#[tokio::test]
async fn who_has_seen_a_coding_may_change_what_it_is_of() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("if-match") {
        Some(tags) if tags.contains("\"a\"") => Answer::status(204),
        Some(_) => Answer::status(412),
        None => answer(),
    });
    let edge = Edge::before(&origin).await;
    let seen = edge.send(&taking("br")).await.field("etag").unwrap();
    let change = Request::new("PUT", "/a").field("If-Match", &seen).body("new");
    edge.send(&change).await.status(204);
}

#[tokio::test]
async fn what_is_not_stored_is_compressed_too_unless_it_may_be_one_persons() {
    let dynamic = |control: &str| {
        let answer = Answer::cached(&text(), control).field("Content-Type", "application/json");
        answer.field("ETag", "\"a\"")
    };
    let (_origin, edge) = edge_with("", dynamic("no-store")).await;
    for _ in 0..2 {
        let reply = edge.send(&taking("br")).await;
        reply.status(200).has("content-encoding", "br").has("vary", "Accept-Encoding");
        reply.has("etag", "W/\"a-br\"");
        assert_eq!(decoded(&reply, Coding::Br), text().as_bytes());
        let had = edge.send(&taking("br").field("If-None-Match", "W/\"a-br\"")).await;
        had.status(304).has("etag", "W/\"a-br\"");
    }
    for (name, value) in [("Cookie", "session=1"), ("Authorization", "Basic eA==")] {
        let own = edge.send(&taking("br").field(name, value)).await;
        own.answered(200, &text()).lacks("content-encoding");
    }
    let (_origin, edge) =
        edge_with("compress = { personal = true }", dynamic("private").field("Set-Cookie", "a=b"))
            .await;
    let own = edge.send(&taking("br").field("Authorization", "Basic eA==")).await;
    own.status(200).has("content-encoding", "br");
    let (_origin, edge) = edge_with("key = { cookies = [] }", dynamic("no-store")).await;
    let reply = edge.send(&taking("br").field("Cookie", "session=1")).await;
    reply.has("content-encoding", "br");
    for own in [dynamic("private"), dynamic("no-store").field("Set-Cookie", "a=b")] {
        let (_origin, edge) = edge_with("", own).await;
        edge.send(&taking("br")).await.answered(200, &text()).lacks("content-encoding");
    }
}

#[tokio::test]
async fn an_event_is_told_as_soon_as_it_comes() {
    let gate = Gate::closed();
    let events = ["data: one\n\n".to_owned(), format!("data: {}\n\n", text().replace('\n', " "))];
    let answer = Answer::held(&events[0], &gate, &events[1])
        .field("Cache-Control", "no-store")
        .field("Content-Type", "text/event-stream");
    let (_origin, edge) = edge_with("", answer).await;
    let mut reading = edge.connect().await;
    reading.send(taking("gzip").http1()).await;
    reading.head().await.status(200).has("content-encoding", "gzip");
    let mut decoder = Decoder::new(Coding::Gzip, 1 << 20);
    let mut read = Vec::new();
    for event in events {
        read.clear();
        while read.len() < event.len() {
            read.extend_from_slice(&decoder.write(&reading.chunk().await).unwrap());
        }
        assert_eq!(read, event.as_bytes());
        gate.open();
    }
}

/// An answer of an origin that sends gzip to everybody.
fn gzip_only() -> Answer {
    let body = encode_whole(Coding::Gzip, Effort::Best, &[text().into()]).unwrap();
    Answer::bytes(body)
        .field("Cache-Control", "max-age=60")
        .field("Content-Type", "text/plain; charset=utf-8")
        .field("Content-Encoding", "gzip")
        .field("ETag", "\"a\"")
}

#[tokio::test]
async fn what_the_origin_sends_in_one_coding_only_reaches_everybody() {
    for first in ["identity", "br", "gzip", "zstd"] {
        let (origin, edge) = edge_with("", gzip_only()).await;
        edge.send(&taking(first)).await.status(200);
        for _ in 0..3 {
            for plain in [taking("identity"), taking("deflate"), Request::get("/a")] {
                let reply = edge.send(&plain).await;
                reply.answered(200, &text()).has("etag", "\"a-identity\"");
                reply.lacks("content-encoding").has("vary", "Accept-Encoding");
            }
            let reply = edge.send(&taking("gzip")).await;
            reply.has("content-encoding", "gzip").has("etag", "\"a\"");
            reply.has("vary", "Accept-Encoding");
            assert_eq!(decoded(&reply, Coding::Gzip), text().as_bytes());
            let reply = edge.send(&taking("gzip, br")).await;
            reply.has("content-encoding", "br");
            assert_eq!(decoded(&reply, Coding::Br), text().as_bytes());
        }
        let part = edge.send(&taking("identity").field("Range", "bytes=5-8")).await;
        part.answered(206, "0 of").has("etag", "\"a-identity\"");
        tagged(&edge, &taking("br"), "\"a-br\"").await;
        assert_eq!(origin.count("/a"), 1, "{first}");
    }
}

#[tokio::test]
async fn what_unfolds_to_far_more_than_may_be_stored_is_cut_off() {
    let bomb = encode_whole(Coding::Gzip, Effort::Best, &[vec![0; 32 << 20].into()]).unwrap();
    let answer = Answer::bytes(bomb.clone())
        .field("Cache-Control", "max-age=60")
        .field("Content-Type", "text/plain")
        .field("Content-Encoding", "gzip");
    let origin = Origin::with("/a", answer).await;
    let edge = Setup::before(&origin).cache("max_object = '1MiB'").start().await;
    let reply = edge.send(&taking("identity")).await;
    assert!(!reply.whole && reply.bytes.len() <= 16 << 20, "{}", reply.bytes.len());
    // By then it is known, and everybody gets what the origin sent.
    let asked = async {
        loop {
            let reply = edge.send(&taking("identity")).await;
            if reply.whole {
                return reply;
            }
        }
    };
    let reply = soon("an answer as the origin sent it", asked).await;
    reply.hit().has("content-encoding", "gzip");
    assert_eq!(reply.bytes, bomb);
    edge.send(&taking("gzip")).await.hit().has("content-encoding", "gzip");
}

#[tokio::test]
async fn what_unfolds_to_more_than_may_be_stored_goes_through() {
    let long = text().repeat(200);
    let body = encode_whole(Coding::Gzip, Effort::Best, &[long.clone().into()]).unwrap();
    for control in ["max-age=60", "no-store"] {
        let answer = Answer::bytes(body.clone())
            .field("Cache-Control", control)
            .field("Content-Type", "text/plain")
            .field("Content-Encoding", "gzip");
        let origin = Origin::with("/a", answer).await;
        let edge = Setup::before(&origin).cache("max_object = '1MiB'").start().await;
        for _ in 0..2 {
            edge.send(&taking("identity")).await.answered(200, &long);
            let reply = edge.send(&taking("gzip, br")).await;
            assert!(reply.whole, "{control}");
        }
    }
}

#[tokio::test]
async fn what_is_for_one_alone_stays_in_the_coding_that_it_comes_in() {
    for control in ["no-store", "max-age=60"] {
        let answer = gzip_only().field("Cache-Control", control);
        let (_origin, edge) = edge_with("", answer).await;
        let reply = edge.send(&taking("gzip, br")).await;
        let expected = if control == "no-store" { "gzip" } else { "br" };
        reply.has("content-encoding", expected).has("vary", "Accept-Encoding");
        edge.send(&taking("identity")).await.answered(200, &text());
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_the_length_of_what_arrives() {
    let (_origin, edge) = edge_with("", answer()).await;
    let mut connection = edge.connect().await;
    let head = "GET /a HTTP/1.0\r\nHost: edge.test\r\nAccept-Encoding: br\r\n\r\n";
    connection.send(head).await;
    let reply = connection.reply("GET").await;
    reply.answered(200, &text()).has("content-length", &text().len().to_string());
}

#[tokio::test]
async fn head_in_another_coding_takes_nothing_away() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| negotiates(request, "max-age=60"));
    let edge = Edge::before(&origin).await;
    edge.send(&taking("gzip")).await.status(200);
    let head = Request::new("HEAD", "/a").field("Cache-Control", "no-cache");
    edge.send(&head).await.status(200);
    assert_eq!(origin.count("/a"), 2);
    edge.send(&taking("gzip")).await.status(200).hit();
}

#[tokio::test]
async fn what_is_not_in_its_coding_breaks_off_and_is_not_tried_again() {
    let broken = Answer::cached("this is no gzip at all", "max-age=60")
        .field("Content-Type", "text/plain")
        .field("Content-Encoding", "gzip");
    let (origin, edge) = edge_with("", broken).await;
    assert!(!edge.send(&taking("identity")).await.whole);
    edge.send(&taking("gzip")).await.answered(200, "this is no gzip at all");
    edge.get_until("/a", |reply| reply.whole).await.answered(200, "this is no gzip at all");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn a_304_of_the_origin_keeps_what_was_made() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        if request.field("if-none-match").as_deref() == Some("\"a\"") {
            Answer::status(304).field("ETag", "\"a\"").field("Cache-Control", "max-age=60")
        } else {
            answer().field("Age", "50")
        }
    });
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.status(200);
    tagged(&edge, &taking("br"), "\"a-br\"").await;
    let again = edge.send(&taking("br").field("Cache-Control", "no-cache")).await;
    again.status(200).cache_status("forebay; fwd=request; fwd-status=304; stored");
    again.has("etag", "\"a-br\"");
    assert_eq!(decoded(&again, Coding::Br), text().as_bytes());
}

#[tokio::test]
async fn what_is_not_for_compressing_is_left_as_it_is() {
    let small = Answer::cached("small", "max-age=60").field("Content-Type", "text/plain");
    let typed = |kind: &str| Answer::cached(&text(), "max-age=60").field("Content-Type", kind);
    for (policy, answer) in [
        ("", small),
        ("", typed("image/png")),
        ("", Answer::cached(&text(), "max-age=60")),
        (
            "",
            Answer::cached(&text(), "max-age=60, no-transform").field("Content-Type", "text/plain"),
        ),
        ("", typed("text/plain").field("Content-Encoding", "x-own")),
        ("compress = { codings = [] }", typed("text/plain")),
        ("", Answer::cached(&text(), "private").field("Content-Type", "text/plain")),
    ] {
        let (_origin, edge) = edge_with(policy, answer).await;
        for _ in 0..3 {
            let reply = edge.send(&taking("br, gzip")).await;
            assert_ne!(reply.field("content-encoding").as_deref(), Some("br"), "{reply}");
            assert_eq!(reply.field("vary"), None, "{reply}");
        }
    }
}

#[tokio::test]
async fn what_is_invalidated_takes_its_codings_along() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        if request.method == "POST" {
            return Answer::status(204);
        }
        let body = format!("{}{}", request.earlier, text());
        Answer::cached(&body, "max-age=60").field("Content-Type", "text/plain")
    });
    let edge = Setup::before(&origin).start().await;
    edge.send(&taking("br")).await.status(200);
    edge.send(&Request::new("POST", "/a").body("")).await.status(204);
    edge.get("/a").await.answered(200, &format!("2{}", text()));
    let reply = edge.send(&taking("br")).await;
    assert_eq!(decoded(&reply, Coding::Br), format!("2{}", text()).as_bytes());
}

#[tokio::test]
async fn what_is_saved_is_told() {
    let (_origin, edge) = edge_with("compress = { upgrade_after = 0 }", answer()).await;
    let mut bytes = 0;
    for _ in 0..3 {
        bytes += edge.send(&taking("gzip")).await.bytes.len();
    }
    edge.send(&taking("gzip").field("If-None-Match", "W/\"a-gzip\"")).await.status(304);
    edge.send(&taking("identity")).await.answered(200, &text());
    let instead_of = 3 * text().len();
    let told =
        format!("forebay_coded_response_bytes_total{{coding=\"gzip\",route=\"all\"}} {bytes}");
    edge.metrics_until(|metrics| metrics.contains(&told)).await;
    let stats = edge.admin(&Request::get("/stats")).await;
    stats.status(200).has("content-type", "application/json");
    let stats: Value = serde_json::from_str(&stats.text()).unwrap();
    let compression = &stats["compression"];
    assert_eq!(compression["saved_bytes"], instead_of - bytes);
    let by_route = &compression["by_route"];
    assert_eq!(by_route.as_array().map(Vec::len), Some(1), "{stats}");
    for (name, expected) in [("answers", 3), ("bytes", bytes), ("instead_of", instead_of)] {
        assert_eq!(by_route[0][name], expected, "{stats}");
    }
    assert_eq!((&by_route[0]["route"], &by_route[0]["coding"]), (&json!("all"), &json!("gzip")));
}

/// An origin that compresses with gzip for who takes it, and says so.
fn negotiates(request: &Received, control: &str) -> Answer {
    let accepted = request.field("accept-encoding").unwrap_or_default();
    let (answer, tag) = if accepted.contains("gzip") {
        let body = encode_whole(Coding::Gzip, Effort::Best, &[text().into()]).unwrap();
        (Answer::bytes(body).field("Content-Encoding", "gzip"), "\"a-gz\"")
    } else {
        (Answer::ok(&text()), "\"a\"")
    };
    let is_had = request.field("if-none-match").as_deref() == Some(tag);
    let answer = if is_had { Answer::status(304) } else { answer };
    answer
        .field("Cache-Control", control)
        .field("Content-Type", "text/plain")
        .field("Vary", "Accept-Encoding")
        .field("ETag", tag)
}

#[tokio::test]
async fn one_answer_of_an_origin_that_compresses_serves_all() {
    let takes = ["gzip, deflate, br, zstd", "gzip", "identity", "br", "zstd;q=0.5", "*"];
    for first in takes {
        let origin = Origin::start().await;
        origin.answers_by("/a", |request| negotiates(request, "max-age=60"));
        let edge = Edge::before(&origin).await;
        edge.send(&taking(first)).await.status(200);
        for codings in takes {
            let reply = edge.send(&taking(codings)).await;
            reply.status(200).hit().has("vary", "Accept-Encoding");
            let coding = Coding::ALL
                .into_iter()
                .find(|coding| reply.field("content-encoding").as_deref() == Some(coding.token()));
            let body = coding.map_or_else(|| reply.bytes.clone().into(), |it| decoded(&reply, it));
            assert_eq!(body, text().as_bytes(), "{first}, then {codings}: {reply}");
            assert_eq!(coding.is_none(), codings == "identity", "{first}, then {codings}: {reply}");
        }
        assert_eq!(origin.count("/a"), 1, "{first}");
    }
}

#[tokio::test]
async fn what_is_stored_is_compared_with_the_same_form_at_the_origin() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| negotiates(request, "max-age=0"));
    let edge = Edge::before(&origin).await;
    edge.send(&taking("gzip, br")).await.status(200);
    for codings in ["gzip", "gzip, deflate, br, zstd"] {
        let reply = edge.send(&taking(codings)).await;
        reply.status(200).cache_status("forebay; fwd=stale; fwd-status=304; stored");
        assert_eq!(origin.last("/a").field("accept-encoding").as_deref(), Some("gzip"));
    }
    // Who could not read an answer in that form asks in its own.
    let reply = edge.send(&taking("identity")).await;
    reply.answered(200, &text()).cache_status("forebay; fwd=stale; fwd-status=200; stored");
    let reply = edge.send(&taking("gzip")).await;
    reply.cache_status("forebay; fwd=stale; fwd-status=304; stored");
    assert_eq!(origin.last("/a").field("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(decoded(&reply, Coding::Gzip), text().as_bytes());
}

#[tokio::test]
async fn what_was_stored_for_all_serves_all_though_nothing_is_compressed_any_more() {
    let (origin, edge) = edge_with("", gzip_only().field("Vary", "Accept-Encoding")).await;
    edge.send(&taking("gzip")).await.status(200);
    let off = Setup::before(&origin).policy("compress = { codings = [] }").text();
    edge.rewrite(&off);
    edge.reload().await.status(200);
    edge.send(&taking("identity")).await.answered(200, &text()).hit().lacks("content-encoding");
    edge.send(&taking("br, gzip")).await.hit().has("content-encoding", "gzip");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn the_origin_may_do_it_itself() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let answer = answer().field("Vary", "Accept-Encoding");
        match request.field("accept-encoding").as_deref() {
            Some("gzip") => answer.field("Content-Encoding", "gzip"),
            _ => answer,
        }
    });
    let edge = Edge::before(&origin).await;
    for _ in 0..2 {
        let reply = edge.send(&taking("gzip")).await;
        reply.answered(200, &text()).has("content-encoding", "gzip").has("etag", "\"a\"");
    }
}
