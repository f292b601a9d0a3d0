//! What `forebay explain` says is what the edge does: drawn at random, and held against it.

use std::path::Path;

use forebay::explain::{Explanation, Question, Written, WrittenResponse, explain};
use forebay::key::Target;
use forebay::time;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::support::cases::{Asked, Said, answers, requests, settings};
use crate::support::{Drawer, Edge, Origin, Reply, Request, Setup, look_again, number, soon};

/// How many settings are tried, and requests with each.
fn measure() -> (u64, u64, u64) {
    (number("EXPLAIN_SEED", 1), number("EXPLAIN_EDGES", 12), number("EXPLAIN_REQUESTS", 40))
}

/// Who shows it is told the key and the route.
const SECRET: &str = "a-long-debug-secret";

/// An edge with settings that were drawn, before an origin.
struct World {
    origin: Origin,
    edge: Edge,
    text: String,
    settings: forebay_config::Settings,
}

impl World {
    async fn drawn(drawer: &mut Drawer) -> Self {
        Self::with(&drawer.draw(&settings())).await
    }

    /// With these policies and routes.
    async fn with(tables: &str) -> Self {
        let origin = Origin::start().await;
        let server = format!("threads = 1\ndebug_secret = \"{SECRET}\"");
        let setup = Setup::before(&origin).only_these_routes().server(&server).table(tables);
        let text = setup.text();
        let settings = forebay_config::parse("forebay.toml", &text, Path::new(""), &|_| None);
        let settings = settings.unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        Self { origin, edge: setup.start().await, text, settings }
    }

    /// Sends `asked` in the case `name`, which the origin answers with `said`.
    async fn send(&self, name: &str, asked: &Asked, said: &Said) -> Reply {
        let target = Target::parse("http", asked.host, &asked.target(name)).expect("a target");
        self.origin.answers(target.path(), said.answer());
        self.edge.send(&asked.request(name).field("Forebay-Debug", SECRET)).await
    }

    fn explained(&self, name: &str, asked: &Asked, said: &Said) -> Explanation {
        let question = Question::try_from(written(name, asked, said)).expect("a question");
        explain(&self.settings, &question, None, time::now())
    }

    /// What the running edge says.
    async fn explained_live(&self, name: &str, asked: &Asked, said: &Said) -> Value {
        let body = serde_json::to_string(&written(name, asked, said)).expect("JSON");
        let request = Request::new("POST", "/explain").field("Accept", "application/json");
        let reply = self.edge.admin(&request.body(&body)).await;
        serde_json::from_str(&reply.status(200).text()).expect("JSON")
    }

    /// Waits until what answered `asked` is stored, though its client did not wait for it.
    async fn has_stored(&self, name: &str, asked: &Asked, said: &Said) {
        let stored = async {
            loop {
                let known = self.explained_live(name, asked, said).await;
                if known["stored"].as_array().is_some_and(|stored| !stored.is_empty()) {
                    return;
                }
                look_again().await;
            }
        };
        soon("an answer to be stored", stored).await;
    }
}

fn written(name: &str, asked: &Asked, said: &Said) -> Written {
    Written {
        method: asked.method.to_owned(),
        url: asked.url(name),
        fields: asked.sent(),
        response: Some(WrittenResponse { status: said.status, fields: said.sent() }),
    }
}

/// The parameters of a `Cache-Status` that has one member.
fn parameters(field: &str) -> Vec<(String, String)> {
    let parameters = field.split(';').map(|parameter| {
        let (name, value) = parameter.trim().split_once('=').unwrap_or((parameter.trim(), ""));
        (name.to_owned(), value.to_owned())
    });
    let mut parameters: Vec<_> = parameters.collect();
    parameters.sort();
    parameters
}

/// Whether both say the same; a `ttl` may be counted in another second.
fn agree(one: &str, other: &str) -> bool {
    let (one, other) = (parameters(one), parameters(other));
    let is_near = |one: &str, other: &str| {
        let number = |text: &str| text.parse::<i64>().expect("a number of seconds");
        (number(one) - number(other)).abs() <= 2
    };
    one.len() == other.len()
        && one.iter().zip(&other).all(|((name, value), (its, theirs))| {
            name == its && (value == theirs || (name == "ttl" && is_near(value, theirs)))
        })
}

/// Whether `said` holds for what was done, where only the origin could tell the rest.
fn is_borne_out(said: &str, done: &str) -> bool {
    if said.contains("; hit") {
        return agree(said, done);
    }
    let (said, done) = (parameters(said), parameters(done));
    // What the origin answers may have a fact of its own.
    said.iter().filter(|(name, _)| name != "detail").all(|parameter| done.contains(parameter))
}

/// How it was answered, without what is disclosed.
fn cache_status(reply: &Reply) -> String {
    let field = reply.field("cache-status").unwrap_or_else(|| panic!("no Cache-Status: {reply}"));
    field.split("; key=").next().expect("a split has a first part").to_owned()
}

/// `NAME (FILE:LINE)` without the folder of the file.
fn last_names(route: &str) -> String {
    let (name, place) = route.split_once(" (").expect("a name and a place");
    format!("{name} ({}", place.rsplit('/').next().expect("a split has a first part"))
}

/// What is wrong with what was said before `reply` came.
fn faults(explained: &Explanation, said: &Said, reply: &Reply) -> Vec<String> {
    let mut faults = Vec::new();
    let done = cache_status(reply);
    if !agree(&explained.cache_status, &done) {
        faults.push(format!("Cache-Status was {done}"));
    }
    let found = (reply.cache_status_value("key"), reply.cache_status_value("route"));
    if let (Some(key), (Some(found), _)) = (&explained.key, &found)
        && key.text != *found
    {
        faults.push(format!("the key was {found}"));
    }
    let route = explained.route.as_ref().map(|route| format!("{} ({})", route.name, route.at));
    if route != found.1.map(|place| last_names(&place)) {
        faults.push("the route was another".to_owned());
    }
    if explained.status.is_some_and(|status| status != reply.code) {
        faults.push(format!("the status was {}", reply.code));
    }
    if let Some(response) = &explained.response {
        let origins = said.fields.iter().filter(|(name, _)| *name == "Cache-Control");
        let origins: Vec<_> = origins.map(|(_, value)| value.as_str()).collect();
        let origins = (!origins.is_empty()).then(|| origins.join(", "));
        let told = response.clients_are_told.clone().or(origins);
        let done = reply.field("cache-control");
        if done != told {
            faults.push(format!("Cache-Control was {done:?}, and not {told:?}"));
        }
    }
    faults
}

/// What is wrong with what was said of the request that the origin got.
fn faults_of_request(explained: &Explanation, world: &World, path: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (Some(key), Some(asked)) = (&explained.key, world.origin.requests(path).pop()) else {
        return faults;
    };
    if asked.target != key.origin_is_asked {
        faults.push(format!("the origin was asked for {}", asked.target));
    }
    for (name, value) in &key.rewritten {
        if asked.field(name) != *value {
            faults.push(format!("the origin was told {name}: {:?}", asked.field(name)));
        }
    }
    faults
}

/// A second may pass between what is said and what is done. What is wrong is wrong again.
const ATTEMPTS: usize = 3;

/// What is wrong with what is said of `asked` and `said` before they are sent in the case `name`.
async fn faults_of_one(world: &World, name: &str, asked: &Asked, said: &Said) -> Vec<String> {
    let explained = world.explained(name, asked, said);
    let reply = world.send(name, asked, said).await;
    let mut faults = faults(&explained, said, &reply);
    let target = Target::parse("http", asked.host, &asked.target(name)).expect("a target");
    faults.extend(faults_of_request(&explained, world, target.path()));
    if let (true, Some(next)) = (faults.is_empty(), &explained.next) {
        if reply.code != said.status || asked.method == "HEAD" {
            world.has_stored(name, asked, said).await;
        }
        let done = cache_status(&world.send(name, asked, said).await);
        if !is_borne_out(next, &done) {
            faults.push(format!("Cache-Status of the next was {done}"));
        }
    }
    if !faults.is_empty() {
        faults.push(format!("{asked:#?}\n{said}\n{explained}"));
    }
    faults
}

#[tokio::test]
async fn what_is_explained_is_what_happens() {
    let (seed, edges, requests_each) = measure();
    for edge in 0..edges {
        let mut drawer = Drawer::new(seed * 1000 + edge);
        let world = World::drawn(&mut drawer).await;
        for case in 0..requests_each {
            let (asked, said) = (drawer.draw(&requests()), drawer.draw(&answers()));
            let mut faults = Vec::new();
            for attempt in 0..ATTEMPTS {
                let name = format!("c{case}-{attempt}");
                faults = faults_of_one(&world, &name, &asked, &said).await;
                if faults.is_empty() {
                    break;
                }
            }
            let text = &world.text;
            let faults = faults.join("\n");
            assert!(faults.is_empty(), "seed {seed}, edge {edge}, case {case}:\n{text}\n{faults}");
        }
    }
}

/// What is wrong with what a running edge says of each of `exchanges` in turn, as a story.
async fn faults_of_many(world: &World, name: &str, exchanges: &[(Asked, Said)]) -> Option<String> {
    let mut story = String::new();
    for (asked, said) in exchanges {
        let explained = world.explained_live(name, asked, said).await;
        let reply = world.send(name, asked, said).await;
        let done = cache_status(&reply);
        story.push_str(&format!("{asked:#?}\n{said}was {} {done}\n\n", reply.code));
        let word = |name: &str| explained[name].as_str().expect("a string");
        let is_right = if word("because").contains("asks the origin again") {
            is_borne_out(word("cache_status"), &done)
        } else {
            let status = explained["status"].as_u64();
            agree(word("cache_status"), &done)
                && status.is_none_or(|status| status == u64::from(reply.code))
        };
        if !is_right {
            return Some(format!("{story}{explained:#}"));
        }
        // What goes on in the background would race with what is asked next.
        let is_whole = reply.code == said.status && reply.code != 206;
        if done.contains("while-revalidate") || (done.contains("stored") && !is_whole) {
            break;
        }
    }
    None
}

/// Requests for one URL, or nearly, and what the origin answers each.
fn exchanges(drawer: &mut Drawer) -> Vec<(Asked, Said)> {
    const KEPT: [&str; 5] = [
        "max-age=60",
        "max-age=0, stale-if-error=60",
        "max-age=0, stale-while-revalidate=60",
        "no-cache",
        "max-age=60, must-revalidate",
    ];
    let mostly = prop::bool::weighted(0.8);
    let mut exchanges = vec![(drawer.draw(&requests()), drawer.draw(&answers()))];
    let (first, said) = &mut exchanges[0];
    if drawer.draw(&mostly) {
        // Something that is stored, fresh or stale.
        (first.method, first.fields) = ("GET", Vec::new());
        said.fields.retain(|(name, _)| ["ETag", "Date", "Content-Type"].contains(name));
        said.fields.push(("Cache-Control", drawer.draw(&select(&KEPT[..])).to_owned()));
        if drawer.draw(&mostly) {
            said.status = 200;
        }
    }
    for _ in 0..3 {
        let (mut asked, said) = (drawer.draw(&requests()), drawer.draw(&answers()));
        let first = &exchanges[0].0;
        (asked.rest, asked.host) = (first.rest, first.host);
        if drawer.draw(&mostly) {
            (asked.method, asked.query) = ("GET", first.query.clone());
        }
        if drawer.draw(&any::<bool>()) {
            asked.fields.retain(|(name, _)| ["Range", "Cache-Control"].contains(name));
        }
        exchanges.push((asked, said));
    }
    exchanges
}

#[tokio::test]
async fn what_a_running_edge_explains_is_what_happens_next() {
    let (seed, edges, requests_each) = measure();
    for edge in 0..edges {
        let mut drawer = Drawer::new(seed * 1000 + 500 + edge);
        let world = World::drawn(&mut drawer).await;
        for case in 0..requests_each / 3 {
            let exchanges = exchanges(&mut drawer);
            let mut fault = None;
            for attempt in 0..ATTEMPTS {
                fault = faults_of_many(&world, &format!("c{case}-{attempt}"), &exchanges).await;
                if fault.is_none() {
                    break;
                }
            }
            let text = &world.text;
            if let Some(fault) = fault {
                panic!("seed {seed}, edge {edge}, case {case}:\n{text}\n{fault}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_seldom_drawn_is_explained_as_well() {
    const ALL: &str = "[policies.p]\nbrowser_ttl = \"1m\"\n[[routes]]\nname = \"all\"\n\
                       origin = \"api\"\npolicy = \"p\"\nmatch = { path = \"/**\" }\n";
    let world = World::with(ALL).await;
    let asked = |fields: &[(&'static str, &str)]| Asked {
        method: "GET",
        host: "edge.test",
        rest: "",
        query: None,
        fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
    };
    let said = |cache_control: &str| Said {
        status: 200,
        fields: vec![("Cache-Control", cache_control.to_owned())],
    };
    // A part that the answer does not have: an error, for which the origin's word stands.
    let beyond = asked(&[("Range", "bytes=50-")]);
    let faults = faults_of_one(&world, "beyond", &beyond, &said("max-age=600")).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // A URL that is known not to be shared, asked for by who goes alone, and then by all.
    let alone = asked(&[("Cache-Control", "no-cache")]);
    for (name, last) in [("alone", alone), ("all", asked(&[]))] {
        let exchanges = [(asked(&[]), said("no-store")), (last, said("max-age=600"))];
        let fault = faults_of_many(&world, name, &exchanges).await.unwrap_or_default();
        assert!(fault.is_empty(), "{fault}");
    }
}
