//! Parts of stored responses (RFC 9110 section 14, RFC 9111 section 3.3).

use crate::support::{Answer, Edge, Origin, Received, Reply, Request, seconds_ago};

const DIGITS: &str = "0123456789";

/// An edge that has stored ten digits with the tag "a".
async fn edge_with_digits() -> (Origin, Edge) {
    let answer = Answer::cached(DIGITS, "max-age=60").field("ETag", "\"a\"");
    let origin = Origin::with("/a", answer.field("Last-Modified", &seconds_ago(86_400))).await;
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, DIGITS);
    (origin, edge)
}

async fn range(edge: &Edge, range: &str) -> Reply {
    edge.get_with("/a", "Range", range).await
}

#[tokio::test]
async fn one_range_is_cut_out_of_the_stored_response() {
    let (origin, edge) = edge_with_digits().await;
    for (asked, part, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-100", DIGITS, "bytes 0-9/10"),
        ("Bytes=2-4", "234", "bytes 2-4/10"),
    ] {
        let reply = range(&edge, asked).await;
        reply.answered(206, part).has("content-range", content_range).hit();
        reply.has("content-length", &part.len().to_string());
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn a_range_beyond_the_end_is_not_satisfiable() {
    let (_origin, edge) = edge_with_digits().await;
    for asked in ["bytes=10-", "bytes=20-30", "bytes=-0"] {
        range(&edge, asked).await.status(416).has("content-range", "bytes */10");
    }
}

#[tokio::test]
async fn a_range_that_is_none_is_ignored() {
    let (_origin, edge) = edge_with_digits().await;
    for asked in ["bytes=4-2", "bytes=a-b", "lines=0-1", "bytes", "bytes=1-2-3"] {
        range(&edge, asked).await.answered(200, DIGITS).hit();
    }
}

#[tokio::test]
async fn several_ranges_come_in_parts() {
    let (_origin, edge) = edge_with_digits().await;
    let reply = range(&edge, "bytes=0-1,5-6").await;
    reply.status(206).lacks("content-range").hit();
    assert!(reply.whole, "{reply}");
    let kind = reply.field("content-type").expect("a type");
    let boundary = kind.split_once("boundary=").expect("multipart/byteranges").1.trim_matches('"');
    let text = reply.text();
    let parts: Vec<_> = text.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 4, "{text}");
    for (part, content_range, bytes) in [(1, "bytes 0-1/10", "01"), (2, "bytes 5-6/10", "56")] {
        let (head, body) = parts[part].split_once("\r\n\r\n").expect("a head");
        assert!(head.to_ascii_lowercase().contains(&format!("content-range: {content_range}")));
        assert_eq!(body, format!("{bytes}\r\n"));
    }
}

#[tokio::test]
async fn e08_a_flood_of_ranges_is_not_answered_range_by_range() {
    let (_origin, edge) = edge_with_digits().await;
    let many = vec!["0-9"; 300].join(",");
    let reply = range(&edge, &format!("bytes={many}")).await;
    assert!(matches!(reply.code, 200 | 206 | 416), "{reply}");
    assert!(reply.bytes.len() < 1000, "{} bytes out of ten", reply.bytes.len());
}

#[tokio::test]
async fn if_range_with_the_right_tag_gets_the_part() {
    let (_origin, edge) = edge_with_digits().await;
    let request = Request::get("/a").field("Range", "bytes=2-4");
    edge.send(&request.clone().field("If-Range", "\"a\"")).await.answered(206, "234").hit();
}

#[tokio::test]
async fn if_range_with_anything_else_gets_the_whole() {
    let (_origin, edge) = edge_with_digits().await;
    let request = Request::get("/a").field("Range", "bytes=2-4");
    for condition in ["\"b\"", "W/\"a\"", &seconds_ago(3 * 86_400)] {
        let reply = edge.send(&request.clone().field("If-Range", condition)).await;
        reply.answered(200, DIGITS).hit();
    }
}

#[tokio::test]
async fn a_condition_comes_before_the_range() {
    let (_origin, edge) = edge_with_digits().await;
    let request = Request::get("/a").field("Range", "bytes=2-4").field("If-None-Match", "\"a\"");
    edge.send(&request).await.status(304);
}

#[tokio::test]
async fn a_range_means_nothing_to_head() {
    let (_origin, edge) = edge_with_digits().await;
    let reply = edge.send(&Request::new("HEAD", "/a").field("Range", "bytes=2-4")).await;
    reply.answered(200, "").has("content-length", "10");
}

/// An origin that knows ranges of the form `bytes=first-last`, and `If-Range`.
fn by_range(request: &Received) -> Answer {
    let fields =
        |answer: Answer| answer.field("ETag", "\"a\"").field("Cache-Control", "max-age=60");
    let condition = request.field("if-range");
    let asked = request.field("range").filter(|_| condition.is_none_or(|tag| tag == "\"a\""));
    let Some((first, last)) =
        asked.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return fields(Answer::ok(DIGITS));
    };
    let number = |text: &str| text.parse::<usize>().expect("the edge asks for numbers");
    let first = number(first);
    let last = if last.is_empty() { 9 } else { number(last).min(9) };
    let part = DIGITS.get(first..=last).expect("a range within the digits");
    fields(Answer::ok(part).code(206)).field("Content-Range", &format!("bytes {first}-{last}/10"))
}

async fn edge_by_range() -> (Origin, Edge) {
    let origin = Origin::start().await;
    origin.answers_by("/a", by_range);
    let edge = Edge::before(&origin).await;
    (origin, edge)
}

#[tokio::test]
async fn a_range_of_what_is_not_stored_is_answered_with_that_range() {
    let (_origin, edge) = edge_by_range().await;
    let reply = range(&edge, "bytes=2-4").await;
    reply.answered(206, "234").has("content-range", "bytes 2-4/10");
}

#[tokio::test]
async fn a_stored_part_answers_the_same_range() {
    let (origin, edge) = edge_by_range().await;
    range(&edge, "bytes=2-4").await.answered(206, "234");
    let reply = range(&edge, "bytes=2-4").await;
    reply.answered(206, "234").has("content-range", "bytes 2-4/10").hit();
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn b12_a_stored_part_is_never_given_as_the_whole() {
    let (_origin, edge) = edge_by_range().await;
    range(&edge, "bytes=0-4").await.answered(206, "01234");
    edge.get("/a").await.answered(200, DIGITS).lacks("content-range");
    edge.get("/a").await.answered(200, DIGITS).hit();
}

#[tokio::test]
async fn parts_of_two_versions_are_never_joined() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match (request.field("range"), request.earlier) {
        (Some(_), 0) => Answer::cached("01234", "max-age=60")
            .code(206)
            .field("ETag", "\"old\"")
            .field("Content-Range", "bytes 0-4/10"),
        // The second version does not answer ranges of the first.
        _ => Answer::cached("abcdefghij", "max-age=60").field("ETag", "\"new\""),
    });
    let edge = Edge::before(&origin).await;
    range(&edge, "bytes=0-4").await.answered(206, "01234");
    edge.get("/a").await.answered(200, "abcdefghij");
}

#[tokio::test]
async fn a_416_is_not_stored_as_the_answer() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("range") {
        Some(_) => Answer::ok("").code(416).field("Cache-Control", "max-age=60"),
        None => Answer::cached(DIGITS, "max-age=60"),
    });
    let edge = Edge::before(&origin).await;
    range(&edge, "bytes=50-60").await;
    edge.get("/a").await.answered(200, DIGITS);
}

/// Answers a range with that part of ten digits, and anything else with all of them.
fn cut(request: &Received) -> Answer {
    let whole = Answer::cached(DIGITS, "max-age=60").field("ETag", "\"a\"");
    let Some(range) = request.field("range") else { return whole };
    let (first, last) = range.trim_start_matches("bytes=").split_once('-').expect("a range");
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    Answer::cached(DIGITS.get(first..=last).unwrap(), "max-age=60")
        .code(206)
        .field("ETag", "\"a\"")
        .field("Content-Range", &format!("bytes {first}-{last}/10"))
}

#[tokio::test]
async fn a_head_makes_no_whole_of_a_part() {
    let origin = Origin::start().await;
    origin.answers_by("/a", cut);
    let edge = Edge::before(&origin).await;
    range(&edge, "bytes=0-4").await.answered(206, "01234");
    edge.send(&Request::new("HEAD", "/a")).await.status(200);
    edge.get("/a").await.answered(200, DIGITS);
}

#[tokio::test]
async fn a_part_that_is_shorter_than_it_says_completes_nothing() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.field("range").as_deref() {
        Some("bytes=5-9") => Answer::cached("5", "max-age=60")
            .code(206)
            .field("ETag", "\"a\"")
            .field("Content-Range", "bytes 5-9/10"),
        _ => cut(request),
    });
    let edge = Edge::before(&origin).await;
    range(&edge, "bytes=0-4").await.answered(206, "01234");
    edge.get("/a").await.answered(200, DIGITS);
    edge.get("/a").await.answered(200, DIGITS).hit();
}

#[tokio::test]
async fn a_stored_part_is_no_answer_for_the_whole_when_the_origin_is_gone() {
    let mut origin = Origin::start().await;
    origin.answers_by("/a", cut);
    let edge = Edge::before(&origin).await;
    range(&edge, "bytes=0-4").await.answered(206, "01234");
    origin.stop().await;
    edge.get("/a").await.status(502);
    range(&edge, "bytes=7-8").await.status(502);
    range(&edge, "bytes=1-2").await.answered(206, "12").hit();
}

#[tokio::test]
async fn a_part_does_not_push_out_the_whole() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| match request.earlier {
        0 => Answer::cached(DIGITS, "max-age=60"),
        _ => cut(request),
    });
    let edge = Edge::before(&origin).await;
    edge.get("/a").await.answered(200, DIGITS);
    let request = Request::get("/a").field("Cache-Control", "no-cache");
    edge.send(&request.field("Range", "bytes=0-0")).await.answered(206, "0");
    edge.get("/a").await.answered(200, DIGITS).hit();
}
