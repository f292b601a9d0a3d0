//! The real binary, started for one test on ports of its own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::process::{ExitStatus, Output, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Answer, Connection, Origin, Reply, Request, look_again, soon};

const BINARY: &str = env!("CARGO_BIN_EXE_forebay");

const ROUTE_FOR_ALL: &str = r#"[[routes]]
name = "all"
match = { path = "/**" }
origin = "api"
policy = "all"
"#;

/// Runs the binary to its end.
pub(crate) async fn run_forebay(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    soon("forebay to end", command.output()).await.expect("the binary runs")
}

/// A configuration file in the making.
pub(crate) struct Setup {
    origin_url: String,
    origin: String,
    policy: String,
    cache: String,
    admin: String,
    server: String,
    more: String,
    routes: &'static str,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// One listener, one origin, one route for everything.
    pub(crate) fn before(origin: &Origin) -> Self {
        Self::before_url(&origin.url())
    }

    pub(crate) fn before_url(url: &str) -> Self {
        Self {
            origin_url: url.to_owned(),
            origin: "timeouts = { connect = \"2s\", first_byte = \"10s\", read = \"10s\" }"
                .to_owned(),
            policy: String::new(),
            cache: "memory = \"64MiB\"".to_owned(),
            admin: String::new(),
            server: "threads = 1\ngrace = \"10s\"".to_owned(),
            more: String::new(),
            routes: ROUTE_FOR_ALL,
            environment: Vec::new(),
        }
    }

    /// Lines of the origin, in place of the usual timeouts.
    pub(crate) fn origin(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.origin);
        self
    }

    /// Lines of the policy that the route uses.
    pub(crate) fn policy(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.policy);
        self
    }

    /// Lines of the cache, in place of 64 MiB of memory.
    pub(crate) fn cache(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.cache);
        self
    }

    /// Lines of the admin listener.
    pub(crate) fn admin(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.admin);
        self
    }

    /// Lines of the server, in place of one thread.
    pub(crate) fn server(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.server);
        self
    }

    /// Further tables.
    pub(crate) fn table(mut self, table: &str) -> Self {
        self.more.push_str(table);
        self.more.push('\n');
        self
    }

    /// Leaves out the route for everything; a table must bring its own.
    pub(crate) fn only_these_routes(mut self) -> Self {
        self.routes = "";
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The configuration as the edge would read it.
    pub(crate) fn text(&self) -> String {
        let Self { origin_url, origin, policy, cache, admin, server, more, routes, .. } = self;
        let strategy = if policy.contains("strategy") { "" } else { "strategy = \"cache-first\"" };
        format!(
            r#"version = 1

[listeners.web]
address = "127.0.0.1:0"

[origins.api]
servers = ["{origin_url}"]
{origin}

[admin]
address = "127.0.0.1:0"
{admin}

[cache]
{cache}

[server]
{server}

[policies.all]
{strategy}
{policy}

{more}
{routes}"#
        )
    }

    pub(crate) async fn start(self) -> Edge {
        let folder = tempfile::tempdir().expect("a folder for the configuration");
        let file = folder.path().join("forebay.toml");
        fs::write(&file, self.text()).expect("the configuration can be written");
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(&file).envs(self.environment);
        Edge::run(command, folder).await
    }
}

/// A running edge; it is killed when the test ends.
pub(crate) struct Edge {
    child: Child,
    urls: HashMap<String, String>,
    folder: TempDir,
}

impl Edge {
    /// An edge that adds no rules of its own to what the origin says.
    pub(crate) async fn before(origin: &Origin) -> Self {
        Setup::before(origin).start().await
    }

    pub(crate) async fn with_policy(origin: &Origin, lines: &str) -> Self {
        Setup::before(origin).policy(lines).start().await
    }

    /// An edge with these lines of policy that has stored the first of `answers`, whose body is
    /// "old", under `/a`.
    pub(crate) async fn after(policy: &str, answers: Vec<Answer>) -> (Origin, Self) {
        let origin = Origin::start().await;
        origin.answers_each("/a", answers);
        let edge = Self::with_policy(&origin, policy).await;
        edge.get("/a").await.answered(200, "old");
        (origin, edge)
    }

    /// `forebay demo` on free ports.
    pub(crate) async fn demo() -> Self {
        let mut command = Command::new(BINARY);
        let any = "127.0.0.1:0";
        command.args(["demo", "--listen", any, "--origin-listen", any, "--admin-listen", any]);
        Self::run(command, tempfile::tempdir().expect("a folder for the log")).await
    }

    async fn run(mut command: Command, folder: TempDir) -> Self {
        let log = File::create(folder.path().join("log")).expect("a file for the log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary starts");
        let output = child.stdout.take().expect("it is piped");
        let mut edge = Self { child, urls: HashMap::new(), folder };
        let mut lines = BufReader::new(output).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.expect("its output is text") {
                if line == "ready" {
                    return true;
                }
                if let Some(listening) = line.strip_prefix("listening ") {
                    let (name, url) = listening.split_once(' ').expect("a name and a URL");
                    edge.urls.insert(name.to_owned(), url.to_owned());
                }
            }
            false
        };
        let ready = soon("the edge to be ready", ready).await;
        assert!(ready, "the edge ended before it was ready:\n{}", edge.log());
        // A pipe that nobody reads would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        edge
    }

    /// The URL of a listener, without a slash at its end.
    pub(crate) fn url(&self, listener: &str) -> &str {
        let url = self.urls.get(listener);
        url.unwrap_or_else(|| panic!("no listener {listener} was announced")).trim_end_matches('/')
    }

    /// `host:port` of a listener.
    pub(crate) fn address(&self, listener: &str) -> &str {
        self.url(listener).split_once("://").expect("a URL has a scheme").1
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address("web")).await
    }

    /// Sends one request over a connection of its own.
    pub(crate) async fn send(&self, request: &Request) -> Reply {
        self.connect().await.request(request).await
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send(&Request::get(target)).await
    }

    /// GET with one more field.
    pub(crate) async fn get_with(&self, target: &str, name: &str, value: &str) -> Reply {
        self.send(&Request::get(target).field(name, value)).await
    }

    pub(crate) async fn admin(&self, request: &Request) -> Reply {
        let admin = self.address("admin");
        Connection::open(admin).await.request(&request.clone().host(admin)).await
    }

    /// Writes its settings file anew.
    pub(crate) fn rewrite(&self, text: &str) {
        self.write("forebay.toml", text);
    }

    /// Writes the file `name` beside its settings file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        fs::write(file, text).expect("the configuration can be written");
    }

    /// Has it read its settings again.
    pub(crate) async fn reload(&self) -> Reply {
        self.admin(&Request::new("POST", "/reload")).await
    }

    /// Reads its metrics until they are as wanted, for what happens in the background.
    pub(crate) async fn metrics_until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let read = async {
            loop {
                let metrics = self.admin(&Request::get("/metrics")).await.status(200).text();
                if wanted(&metrics) {
                    return metrics;
                }
                look_again().await;
            }
        };
        soon("the metrics to change", read).await
    }

    /// Waits until its log says `words`.
    pub(crate) async fn has_logged(&self, words: &str) {
        let said = async {
            while !self.log().contains(words) {
                look_again().await;
            }
        };
        soon(&format!("the log to say {words}"), said).await;
    }

    /// Asks again until the answer is as wanted, for what happens in the background.
    pub(crate) async fn get_until(&self, target: &str, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let asked = async {
            loop {
                let reply = self.get(target).await;
                if wanted(&reply) {
                    return reply;
                }
                look_again().await;
            }
        };
        soon(&format!("the answer to {target} to change"), asked).await
    }

    /// Sends a signal by name, for example `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success(), "kill -{name} {pid}");
    }

    /// Waits until the process ends.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        soon("the edge to end", self.child.wait()).await.expect("it can be waited for")
    }

    /// What it has written to its standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log is text")
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the edge:\n{}", self.log());
        }
    }
}
