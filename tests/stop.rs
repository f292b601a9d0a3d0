//! How it ends.

use tokio::net::TcpStream;

use crate::support::{Answer, Edge, Gate, Origin, Request, Setup, look_again, soon};

#[tokio::test]
async fn sigterm_ends_an_idle_edge() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let mut edge = Edge::before(&origin).await;
    let mut idle = edge.connect().await;
    idle.request(&Request::get("/a")).await.answered(200, "a");
    edge.signal("TERM");
    assert_eq!(edge.ended().await.code(), Some(0), "{}", edge.log());
}

#[tokio::test]
async fn sigterm_lets_a_running_request_end_whole() {
    let gate = Gate::closed();
    let origin = Origin::with("/a", Answer::held("first", &gate, " second")).await;
    let mut edge = Edge::before(&origin).await;
    let mut connection = edge.connect().await;
    connection.send(Request::get("/a").http1()).await;
    connection.head().await.status(200);
    edge.signal("TERM");
    let refused = async {
        while TcpStream::connect(edge.address("web")).await.is_ok() {
            look_again().await;
        }
    };
    soon("new connections to be refused", refused).await;
    gate.open();
    assert_eq!(connection.bytes(12).await, b"first second");
    assert_eq!(edge.ended().await.code(), Some(0), "{}", edge.log());
}

#[tokio::test]
async fn sigterm_does_not_wait_longer_than_its_grace() {
    let never = Gate::closed();
    let origin = Origin::with("/a", Answer::held("first", &never, " second")).await;
    let setup = Setup::before(&origin).server("threads = 1\ngrace = \"300ms\"");
    let mut edge = setup.start().await;
    let mut connection = edge.connect().await;
    connection.send(Request::get("/a").http1()).await;
    connection.head().await.status(200);
    edge.signal("TERM");
    edge.ended().await;
}

#[tokio::test]
async fn sigterm_does_not_wait_for_a_connection_that_never_spoke() {
    let origin = Origin::with("/a", Answer::ok("a")).await;
    let mut edge = Setup::before(&origin).server("threads = 1\ngrace = \"1h\"").start().await;
    let _silent = edge.connect().await;
    edge.get("/a").await.answered(200, "a");
    edge.signal("TERM");
    assert_eq!(edge.ended().await.code(), Some(0), "{}", edge.log());
}

#[tokio::test]
async fn sigterm_does_not_wait_for_a_client_that_went_away() {
    let origin = Origin::with("/a", Answer::silent()).await;
    let mut edge = Setup::before(&origin)
        .origin("timeouts = { first_byte = \"1h\" }")
        .server("threads = 1\ngrace = \"1h\"")
        .start()
        .await;
    let mut connection = edge.connect().await;
    connection.send(Request::get("/a").http1()).await;
    origin.has_seen("/a", 1).await;
    drop(connection);
    edge.signal("TERM");
    assert_eq!(edge.ended().await.code(), Some(0), "{}", edge.log());
}
