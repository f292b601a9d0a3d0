//! The log of purges that a fleet of edges shares, over real Redis servers: what each edge is told,
//! and what becomes of it when Redis is slow, gone, or has forgotten.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use forebay::store::log::{Apply, Done, Edges, Logged, Mode, PurgeLog, What, Wish};
use forebay::store::position::Position;
use forebay::store::purges::At;
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, RedisCluster, RedisServer, Sentinel, look_again, soon};

/// An edge as the log sees it.
struct Edge {
    log: Arc<PurgeLog>,
    told: Arc<Told>,
    runs: JoinHandle<()>,
}

/// What an edge was told to do.
#[derive(Default)]
struct Told {
    purges: Mutex<Vec<(Position, At, Wish)>>,
    floors: Mutex<Vec<Position>>,
}

#[async_trait]
impl Apply for Told {
    async fn purge(&self, Logged { id, at, wish, meanings: _ }: Logged) {
        self.purges.lock().unwrap().push((id, at, wish));
    }

    async fn forget(&self, floor: Position) {
        self.floors.lock().unwrap().push(floor);
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.runs.abort();
    }
}

fn redis(url: &str) -> forebay_config::Redis {
    let text = format!(
        "version = 1\nlisteners.web.address = '127.0.0.1:0'\n\
         origins.api.servers = ['http://127.0.0.1']\n\
         routes = [{{ name = 'all', match = {{}}, origin = 'api', policy = 'api' }}]\n\
         [cache.redis]\nurl = '{url}'\n"
    );
    let settings = forebay_config::parse("", &text, Path::new(""), &|_| None)
        .unwrap_or_else(|faults| panic!("{faults}"));
    settings.cache.redis.expect("there is one")
}

impl Edge {
    /// One that has read the whole log.
    async fn at(url: &str) -> Self {
        let edge = Self::starting(PurgeLog::new(Some(&redis(url)), None));
        edge.is_caught_up().await;
        edge
    }

    /// One that is alone, with this file.
    async fn alone(file: PathBuf) -> Self {
        let edge = Self::starting(PurgeLog::new(None, Some(file)));
        edge.is_caught_up().await;
        edge
    }

    fn starting(log: PurgeLog) -> Self {
        let mut edge =
            Self { log: Arc::new(log), told: Arc::default(), runs: tokio::spawn(async {}) };
        edge.follow();
        edge
    }

    /// Has it read on.
    fn follow(&mut self) {
        let (log, told) = (Arc::clone(&self.log), Arc::clone(&self.told));
        self.runs = tokio::spawn(async move { log.follow(&*told).await });
    }

    async fn is_caught_up(&self) {
        assert!(self.log.caught_up(PATIENCE).await, "the edge has not read the log");
        assert!(self.log.is_caught_up());
    }

    async fn purge(&self, tag: &str) -> Done {
        self.log.purge(of_tag(tag), &*self.told).await.expect("it is clear")
    }

    /// Purges, and says where the log has it.
    async fn logs(&self, tag: &str) -> Position {
        let done = self.purge(tag).await;
        assert!(done.untold.is_none(), "{:?}", done.untold);
        done.id
    }

    /// Waits until it has done the purge `id`.
    async fn has_done(&self, id: Position) {
        soon("the edge to do the purge", async {
            while !self.purges().iter().any(|(done, ..)| *done == id) {
                look_again().await;
            }
        })
        .await;
    }

    /// Waits until it has let go of all that was asked for before a position after `since`.
    async fn has_forgotten(&self, since: Position) {
        soon("the edge to forget", async {
            while !self.told.floors.lock().unwrap().iter().any(|floor| *floor > since) {
                look_again().await;
            }
        })
        .await;
    }

    fn purges(&self) -> Vec<(Position, At, Wish)> {
        self.told.purges.lock().unwrap().clone()
    }

    async fn edges(&self, id: Position) -> Edges {
        self.log.edges(id).await.expect("Redis answers").expect("there are others")
    }

    /// Waits until so many edges have done the purge `id`, and so many have not.
    async fn counts(&self, id: Position, applied: usize, waiting: usize) {
        soon("the edges to say how far they are", async {
            loop {
                let edges = self.edges(id).await;
                if (edges.applied.len(), edges.waiting.len()) == (applied, waiting) {
                    return;
                }
                look_again().await;
            }
        })
        .await;
    }
}

fn of_tag(tag: &str) -> Wish {
    Wish { what: vec![What::Tag(tag.to_owned())], mode: Mode::Soft }
}

async fn three_at(url: &str) -> [Edge; 3] {
    [Edge::at(url).await, Edge::at(url).await, Edge::at(url).await]
}

/// What is purged on one of three edges is done once on each, at one position.
async fn check_all_do(edges: &[Edge; 3], tag: &str) {
    let id = edges[0].logs(tag).await;
    for edge in edges {
        edge.has_done(id).await;
        let done: Vec<_> = edge.purges().into_iter().filter(|(done, ..)| *done == id).collect();
        assert_eq!(done, [(id, At::Log(id), of_tag(tag))]);
    }
}

#[tokio::test]
async fn all_edges_do_what_one_is_asked_for() {
    let server = RedisServer::start().await;
    let edges = three_at(&server.url()).await;
    for tag in ["shoes", "red boots\n", "…"] {
        check_all_do(&edges, tag).await;
    }
    let order = |edge: &Edge| edge.purges().into_iter().map(|(id, ..)| id).collect::<Vec<_>>();
    assert!(order(&edges[0]).is_sorted());
    assert_eq!(order(&edges[0]), order(&edges[1]));
}

#[tokio::test]
async fn all_edges_of_a_cluster_do_what_one_is_asked_for() {
    let cluster = RedisCluster::start().await;
    check_all_do(&three_at(&cluster.url()).await, "shoes").await;
}

#[tokio::test]
async fn the_log_follows_the_master() {
    let mut servers = Sentinel::start().await;
    let edges = three_at(&servers.url()).await;
    check_all_do(&edges, "shoes").await;
    servers.master.kill().await;
    soon("the log to be with the new master", async {
        while edges[0].purge("boots").await.untold.is_some() {
            look_again().await;
        }
    })
    .await;
    check_all_do(&edges, "hats").await;
}

#[tokio::test]
async fn an_edge_that_starts_learns_what_was_purged() {
    let server = RedisServer::start().await;
    let first = Edge::at(&server.url()).await;
    let ids = [first.logs("shoes").await, first.logs("boots").await];
    let later = Edge::at(&server.url()).await;
    assert_eq!(later.purges().iter().map(|(id, ..)| *id).collect::<Vec<_>>(), ids);
    let floors = later.told.floors.lock().unwrap().clone();
    assert!(floors.iter().all(|floor| *floor < ids[0]) && !floors.is_empty(), "{floors:?}");
}

#[tokio::test]
async fn it_is_known_which_edges_have_done_a_purge() {
    let server = RedisServer::start().await;
    let mut edges = three_at(&server.url()).await;
    let id = edges[0].logs("shoes").await;
    edges[0].counts(id, 3, 0).await;
    edges[2].runs.abort();
    let id = edges[0].logs("boots").await;
    edges[1].counts(id, 2, 1).await;
    edges[2].follow();
    edges[1].counts(id, 3, 0).await;
    assert_eq!(edges[2].purges().len(), 2);
}

#[tokio::test]
async fn a_purge_that_cannot_be_logged_is_done_here_and_said_to_be_no_more() {
    let mut server = RedisServer::start().await;
    let edges = three_at(&server.url()).await;
    let before = edges[0].logs("shoes").await;
    server.kill().await;
    let done = edges[0].purge("boots").await;
    let said = done.untold.expect("nobody was told").to_string();
    assert!(said.contains("ask again"), "{said}");
    assert_eq!(edges[0].purges().last(), Some(&(done.id, At::Here, of_tag("boots"))));
    // It comes back with nothing: what was purged meanwhile nobody knows.
    server.restart().await;
    for edge in &edges {
        edge.has_forgotten(before).await;
    }
    check_all_do(&edges, "hats").await;
}

#[tokio::test]
async fn a_purge_waits_for_redis_no_longer_than_it_may() {
    let server = RedisServer::start().await;
    let edge = Edge::at(&server.url()).await;
    server.pause();
    let began = Instant::now();
    let done = edge.purge("shoes").await;
    assert!(done.untold.is_some() && began.elapsed() < Duration::from_secs(10), "{done:?}");
    server.resume();
    soon("the log to be there again", async {
        while edge.purge("boots").await.untold.is_some() {
            look_again().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_edge_that_was_away_for_too_long_begins_anew() {
    let server = RedisServer::start().await;
    let mut edges = three_at(&server.url()).await;
    let last = edges[0].logs("shoes").await;
    edges[1].has_done(last).await;
    edges[2].has_done(last).await;
    edges[2].runs.abort();
    for tag in ["boots", "hats"] {
        edges[0].logs(tag).await;
    }
    server.cli(&["xtrim", "forebay:purges", "maxlen", "=", "1"]).await;
    edges[2].follow();
    edges[2].has_forgotten(last).await;
    // The others have seen all of it.
    let floors = edges[0].told.floors.lock().unwrap().clone();
    assert!(floors.iter().all(|floor| *floor < last), "{floors:?}");
}

#[tokio::test]
async fn a_log_that_is_not_as_it_was_begins_anew_for_all() {
    let server = RedisServer::start().await;
    let edges = three_at(&server.url()).await;
    for lose in [&["del", "forebay:purges"][..], &["flushall"]] {
        let before = edges[0].logs("shoes").await;
        server.cli(lose).await;
        for edge in &edges {
            edge.has_forgotten(before).await;
        }
        check_all_do(&edges, "boots").await;
    }
    let last = edges[0].logs("hats").await;
    server.cli(&["xdel", "forebay:purges", &last.to_string()]).await;
    for edge in &edges {
        edge.has_forgotten(last).await;
    }
}

#[tokio::test]
async fn what_nobody_understands_is_taken_for_a_purge_of_everything() {
    let server = RedisServer::start().await;
    let edge = Edge::at(&server.url()).await;
    let id = server.cli(&["xadd", "forebay:purges", "*", "colour", "red"]).await;
    let id = id.trim().parse().expect("it is a position");
    edge.has_done(id).await;
    assert_eq!(edge.purges(), [(id, At::Log(id), Wish::all(Mode::Hard))]);
}

#[tokio::test]
async fn an_edge_reads_no_log_that_is_none() {
    let server = RedisServer::start().await;
    server.cli(&["set", "forebay:purges", "garbage"]).await;
    let edge = Edge::starting(PurgeLog::new(Some(&redis(&server.url())), None));
    assert!(edge.purge("shoes").await.untold.is_some());
    assert!(!edge.log.is_caught_up());
    server.cli(&["del", "forebay:purges"]).await;
    edge.is_caught_up().await;
}

#[tokio::test]
async fn an_edge_on_its_own_knows_after_a_restart_what_was_purged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("purges.log");
    let edge = Edge::alone(file.clone()).await;
    let ids = [edge.logs("shoes").await, edge.logs("boots").await];
    assert_eq!(edge.log.edges(ids[0]).await.expect("nobody is asked"), None);
    let later = Edge::alone(file.clone()).await;
    let expected = ["shoes", "boots"].map(of_tag);
    assert_eq!(later.purges().into_iter().map(|(.., wish)| wish).collect::<Vec<_>>(), expected);
    // With others it takes what it knew alone for too little, and so it does alone again.
    let server = RedisServer::start().await;
    let log = PurgeLog::new(Some(&redis(&server.url())), Some(file.clone()));
    let joined = Edge::starting(log);
    joined.has_forgotten(ids[1]).await;
    joined.is_caught_up().await;
    let joined = joined.logs("hats").await;
    let again = Edge::alone(file).await;
    assert!(again.told.floors.lock().unwrap().iter().any(|floor| *floor > ids[1]));
    assert!(again.logs("coats").await > joined);
}
