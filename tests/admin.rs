//! The listener of the operator.

use crate::support::{Answer, Connection, Edge, Origin, Request, Setup, look_again, soon};

async fn edge() -> (Origin, Edge) {
    let origin = Origin::with("/a", Answer::cached("a", "max-age=60")).await;
    let edge = Edge::before(&origin).await;
    (origin, edge)
}

#[tokio::test]
async fn says_that_it_is_alive_and_ready() {
    let (_origin, edge) = edge().await;
    edge.admin(&Request::get("/healthz")).await.status(200);
    edge.admin(&Request::get("/readyz")).await.status(200);
    edge.admin(&Request::get("/nothing")).await.status(404);
}

#[tokio::test]
async fn stays_alive_without_its_origin() {
    let (mut origin, edge) = edge().await;
    origin.stop().await;
    edge.get("/a").await.status(502);
    edge.admin(&Request::get("/healthz")).await.status(200);
}

/// The sum of all samples of a metric that have that label.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let start = format!("{name}{{");
    let samples = metrics.lines().filter(|line| line.starts_with(&start) && line.contains(label));
    let value = |line: &str| line.rsplit(' ').next().expect("a value").parse::<f64>();
    samples.map(|line| value(line).expect("a number")).sum()
}

#[tokio::test]
async fn counts_what_it_does() {
    let (_origin, edge) = edge().await;
    for _ in 0..3 {
        edge.get("/a").await.answered(200, "a");
    }
    // A request is counted when it is over, which is after its client has the answer.
    let counted = async {
        loop {
            let reply = edge.admin(&Request::get("/metrics")).await;
            if sum(&reply.text(), "forebay_requests_total", "") >= 3.0 {
                return reply;
            }
            look_again().await;
        }
    };
    let reply = soon("three requests to be counted", counted).await;
    let kind = reply.status(200).field("content-type").expect("a type");
    assert!(kind.starts_with("text/plain"), "{kind}");
    let count = |label: &str| sum(&reply.text(), "forebay_requests_total", label);
    assert!((count("cache=\"hit\"") - 2.0).abs() < 0.5, "{}", reply.text());
    assert!((count("cache=\"uri-miss\"") - 1.0).abs() < 0.5, "{}", reply.text());
}

#[tokio::test]
async fn d11_is_not_reached_through_the_edge() {
    let (origin, edge) = edge().await;
    for path in ["/metrics", "/healthz", "/readyz", "/purge", "/config"] {
        edge.get(path).await.answered(404, "not scripted");
        let mut connection = edge.connect().await;
        let host = edge.address("admin");
        let request = Request::get(path).host(host);
        connection.request(&request).await.answered(404, "not scripted");
    }
    assert_eq!(origin.all().len(), 10);
}

#[tokio::test]
async fn d11_demands_its_token() {
    let origin = Origin::start().await;
    let edge = Setup::before(&origin).admin("token = \"a-long-secret-token\"").start().await;
    let ask = |token: &'static str| Request::get("/metrics").field("Authorization", token);
    edge.admin(&Request::get("/metrics")).await.status(401);
    edge.admin(&ask("Bearer a-wrong-token")).await.status(401);
    edge.admin(&ask("Basic a-long-secret-token")).await.status(401);
    edge.admin(&ask("Bearer a-long-secret-token")).await.status(200);
}

#[tokio::test]
async fn the_demo_does_the_main_job() {
    let edge = Edge::demo().await;
    let first = edge.get("/").await;
    assert!(first.status(200).text().contains("<html"), "{first}");
    let mut connection = Connection::open(edge.address("admin")).await;
    connection.request(&Request::get("/healthz")).await.status(200);
}

#[tokio::test]
async fn no_page_of_another_site_reaches_it_through_a_browser() {
    let (_origin, edge) = edge().await;
    let admin = edge.address("admin");
    let port = admin.rsplit(':').next().expect("it has a port");
    let ask = async |request: Request, host: &str| {
        Connection::open(admin).await.request(&request.host(host)).await
    };
    for host in [admin, &format!("localhost:{port}"), "[::1]", "127.0.0.1"] {
        ask(Request::get("/metrics"), host).await.status(200);
    }
    for host in [&format!("evil.test:{port}"), "evil.test", "127.0.0.1.evil.test"] {
        ask(Request::get("/metrics"), host).await.status(403);
        ask(Request::get("/healthz"), host).await.status(200);
    }
    let reload = Request::new("POST", "/reload").body("");
    ask(reload.clone().field("Origin", "http://evil.test"), admin).await.status(403);
    ask(reload.field("Origin", &format!("http://{admin}")), admin).await.status(200);
}
