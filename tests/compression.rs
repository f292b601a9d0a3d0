//! Content codings: each made once from what is stored, and kept beside it.

use bytes::Bytes;
use forebay::field::coding::Coding;
use forebay::transform::decode::Decoder;

use crate::support::{Answer, Edge, Origin, Reply, Request, Setup, soon};

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

/// Asks until the answer is in `coding`.
async fn coded(edge: &Edge, request: &Request, coding: &str) -> Reply {
    let asked = async {
        loop {
            let reply = edge.send(request).await;
            if reply.field("content-encoding").as_deref() == Some(coding) {
                return reply;
            }
            tokio::task::yield_now().await;
        }
    };
    soon(&format!("an answer in {coding}"), asked).await
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
    edge.get("/a").await.answered(200, &text());
    for (codings, name, coding) in [
        ("gzip, deflate, br, zstd", "br", Coding::Br),
        ("gzip", "gzip", Coding::Gzip),
        ("zstd, gzip", "zstd", Coding::Zstd),
        ("br;q=0.5, gzip;q=0.9", "gzip", Coding::Gzip),
    ] {
        let reply = coded(&edge, &taking(codings), name).await;
        reply.status(200).hit().has("vary", "Accept-Encoding");
        assert_eq!(decoded(&reply, coding), text().as_bytes(), "{codings}");
        let length = reply.bytes.len();
        assert!(length < text().len() / 4, "{codings}: {length}");
        reply.has("content-length", &length.to_string()).has("etag", &format!("\"a-{name}\""));
    }
    for plain in ["identity", "gzip;q=0", "br;q=0.1, identity;q=0.5", "deflate"] {
        let reply = edge.send(&taking(plain)).await;
        reply.answered(200, &text()).hit().has("vary", "Accept-Encoding").has("etag", "\"a\"");
        assert_eq!(reply.field("content-encoding"), None, "{plain}");
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn the_first_answer_says_by_what_it_will_vary() {
    let (_origin, edge) = edge_with("", answer()).await;
    edge.send(&taking("br")).await.answered(200, &text()).has("vary", "Accept-Encoding");
}

#[tokio::test]
async fn a_coding_is_made_once() {
    let (_origin, edge) = edge_with("", answer()).await;
    edge.get("/a").await.status(200);
    coded(&edge, &taking("gzip"), "gzip").await;
    for _ in 0..50 {
        assert_eq!(
            edge.send(&taking("gzip")).await.field("content-encoding").as_deref(),
            Some("gzip")
        );
    }
    let metrics = edge.admin(&Request::get("/metrics")).await.text();
    let made = format!(
        "forebay_encoded_plain_bytes_total{{coding=\"gzip\",route=\"all\"}} {}",
        text().len()
    );
    assert!(metrics.contains(&made), "{metrics}");
}

#[tokio::test]
async fn conditions_and_ranges_are_those_of_the_coding() {
    let (origin, edge) = edge_with("", answer()).await;
    edge.get("/a").await.status(200);
    let whole = coded(&edge, &taking("br"), "br").await;
    let not_modified = edge.send(&taking("br").field("If-None-Match", "\"a-br\"")).await;
    not_modified.status(304).has("etag", "\"a-br\"").has("vary", "Accept-Encoding");
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
    coded(&edge, &taking("br"), "br").await;
    let again = edge.send(&taking("br").field("Cache-Control", "no-cache")).await;
    again.status(200).cache_status("forebay; fwd=request; fwd-status=304; stored");
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
    edge.get("/a").await.status(200);
    coded(&edge, &taking("br"), "br").await;
    edge.send(&Request::new("POST", "/a").body("")).await.status(204);
    edge.get("/a").await.answered(200, &format!("2{}", text()));
    let reply = coded(&edge, &taking("br"), "br").await;
    assert_eq!(decoded(&reply, Coding::Br), format!("2{}", text()).as_bytes());
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
