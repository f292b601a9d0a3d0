//! Which route a request takes: each part of `match` chooses another origin or policy.

use crate::support::{Answer, Edge, Origin, Request, Setup};

const HOUR: &str = "ttl = \"1h\"\nttl_mode = \"default\"";

/// Two origins that say their names, and an edge that sends what `matched` says to the second.
async fn two_origins(matched: &str) -> (Origin, Origin, Edge) {
    let (one, two) = (Origin::start().await, Origin::start().await);
    for path in ["/a", "/a.css", "/a?beta=1", "/a?beta", "/a?x=beta"] {
        one.answers(path, Answer::ok("one"));
        two.answers(path, Answer::ok("two"));
    }
    let tables = format!(
        "[origins.two]\nservers = [\"{}\"]\n[policies.none]\nstrategy = \"bypass\"\n[[routes]]\n\
         name = \"two\"\nmatch = {matched}\norigin = \"two\"\npolicy = \"none\"\n",
        two.url()
    );
    let edge = Setup::before(&one).policy(HOUR).table(&tables).start().await;
    (one, two, edge)
}

/// Checks that the second origin answers, and that the route after it was not asked.
async fn takes_the_second(edge: &Edge, request: &Request) {
    let reply = edge.send(request).await;
    reply.answered(200, "two").cache_status("forebay; fwd=bypass; detail=route-bypass");
}

async fn takes_the_first(edge: &Edge, request: &Request) {
    edge.send(request).await.answered(200, "one");
}

#[tokio::test]
async fn a_method_chooses_a_route() {
    let (one, two, edge) = two_origins(r#"{ method = ["POST", "PUT"] }"#).await;
    takes_the_first(&edge, &Request::get("/a")).await;
    let post = Request::new("POST", "/a").body("x");
    edge.send(&post).await.answered(200, "two");
    assert_eq!((one.count("/a"), two.count("/a")), (1, 1));
}

#[tokio::test]
async fn what_a_write_changes_is_invalidated_on_the_route_of_the_reads() {
    let (one, _two, edge) = two_origins(r#"{ method = "POST" }"#).await;
    takes_the_first(&edge, &Request::get("/a")).await;
    edge.get("/a").await.hit();
    edge.send(&Request::new("POST", "/a").body("x")).await.answered(200, "two");
    takes_the_first(&edge, &Request::get("/a")).await;
    assert_eq!(one.count("/a"), 2);
}

#[tokio::test]
async fn an_extension_chooses_a_route() {
    let (_one, _two, edge) = two_origins(r#"{ extension = ["CSS", "js"] }"#).await;
    takes_the_second(&edge, &Request::get("/a.css")).await;
    takes_the_first(&edge, &Request::get("/a")).await;
}

#[tokio::test]
async fn a_header_field_chooses_a_route() {
    let (_one, _two, edge) = two_origins(r#"{ header = { X-Group = "beta-*" } }"#).await;
    let with = |value| Request::get("/a").field("x-group", value);
    takes_the_second(&edge, &with("beta-1")).await;
    takes_the_second(&edge, &with("alpha").field("X-GROUP", "beta-")).await;
    takes_the_first(&edge, &with("alpha")).await;
    takes_the_first(&edge, &Request::get("/a")).await;
}

#[tokio::test]
async fn a_query_parameter_chooses_a_route() {
    let (_one, _two, edge) = two_origins(r#"{ query = { beta = true } }"#).await;
    takes_the_second(&edge, &Request::get("/a?beta=1")).await;
    takes_the_second(&edge, &Request::get("/a?beta")).await;
    takes_the_first(&edge, &Request::get("/a?x=beta")).await;
}

#[tokio::test]
async fn a_cookie_chooses_a_route() {
    let (_one, _two, edge) = two_origins(r#"{ cookie = { sid = true, group = "b" } }"#).await;
    let with = |value| Request::get("/a").field("Cookie", value);
    takes_the_second(&edge, &with("group=b; sid=1")).await;
    takes_the_second(&edge, &with("group=b").field("Cookie", "sid=1")).await;
    takes_the_first(&edge, &with("sid=1")).await;
    takes_the_first(&edge, &with("group=b; SID=1")).await;
}

#[tokio::test]
async fn a_path_that_hides_its_extension_is_not_stored() {
    let origin = Origin::start().await;
    let table = "[[routes]]\nname = \"files\"\nmatch = { extension = \"css\" }\norigin = \"api\"\n\
                 policy = \"all\"\n[[routes]]\nname = \"rest\"\nmatch = {}\norigin = \"api\"\n\
                 policy = \"session\"\n";
    let edge = Setup::before(&origin).policy(HOUR).table(table).only_these_routes().start().await;
    let path = "/account;x.css";
    origin.answers(path, Answer::ok("alice"));
    for _ in 0..2 {
        edge.get(path).await.cache_status("forebay; fwd=bypass; detail=ambiguous-path");
    }
}
