//! Redis servers for one test: alone, in a cluster, or behind a Sentinel.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{look_again, soon};

/// A server in a folder of its own that keeps nothing on disk.
pub(crate) struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    child: Child,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts it with further options, such as `["--maxmemory", "4mb"]`.
    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let usual = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];
        let replicas_follow_at_once = ["--repl-diskless-sync-delay", "0"];
        let usual = [usual.as_slice(), &replicas_follow_at_once].concat();
        let arguments: Vec<_> =
            usual.iter().chain(options).map(|option| (*option).to_owned()).collect();
        let (port, folder) = (free_port(), TempDir::new().expect("a folder can be made"));
        let child = run(port, &arguments, &folder);
        let mut server = Self { port, arguments, folder, child };
        server.ready().await;
        server
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The path of a file in its folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("it is UTF-8").to_owned()
    }

    /// Ends it at once, as when its machine loses power.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().expect("it runs");
        soon("Redis to end", self.child.wait()).await.expect("it can be waited for");
    }

    /// Starts it again on the same port, empty.
    pub(crate) async fn restart(&mut self) {
        self.child = run(self.port, &self.arguments, &self.folder);
        self.ready().await;
    }

    /// Stops it as it is: it still accepts connections, and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// What `redis-cli` prints when it is given these arguments.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments).await
    }

    async fn ready(&mut self) {
        let answers = async {
            while cli(self.port, &["ping"]).await.contains("Could not connect") {
                let ended = self.child.try_wait().expect("it can be waited for");
                assert!(ended.is_none(), "Redis ended: {ended:?}, {}", self.log());
                look_again().await;
            }
        };
        soon("Redis to answer", answers).await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log is text")
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success(), "kill -{name} {pid}");
    }
}

/// Six servers: three masters with a replica each.
pub(crate) struct RedisCluster {
    pub(crate) servers: Vec<RedisServer>,
}

impl RedisCluster {
    pub(crate) async fn start() -> Self {
        let enabled = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let options = [enabled.as_slice(), &["--cluster-replica-validity-factor", "0"]].concat();
        let mut servers = Vec::new();
        for _ in 0..6 {
            servers.push(RedisServer::start_with(&options).await);
        }
        let addresses: Vec<String> =
            servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(addresses.iter().map(String::as_str));
        arguments.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        let made = servers[0].cli(&arguments).await;
        assert!(made.contains("All 16384 slots covered"), "{made}");
        let cluster = Self { servers };
        for server in &cluster.servers {
            let agrees = async {
                while !server.cli(&["cluster", "info"]).await.contains("cluster_state:ok") {
                    look_again().await;
                }
                // A replica that never followed its master is not chosen in its place.
                while server.cli(&["info", "replication"]).await.contains("link_status:down") {
                    look_again().await;
                }
            };
            soon("the cluster to agree", agrees).await;
        }
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let ports: Vec<String> =
            self.servers[..2].iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis-cluster://{}", ports.join(","))
    }

    /// The server that has the slot of `key`.
    pub(crate) async fn master_of(&mut self, key: &str) -> &mut RedisServer {
        let slot = self.servers[0].cli(&["cluster", "keyslot", key]).await;
        let slot: u16 = slot.trim().parse().expect("it is a number");
        let slots = self.servers[0].cli(&["cluster", "nodes"]).await;
        let has_it = |line: &&str| {
            line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                match (first.parse::<u16>(), last.parse::<u16>()) {
                    (Ok(first), Ok(last)) => (first..=last).contains(&slot),
                    (Err(_), _) | (_, Err(_)) => false,
                }
            })
        };
        let line = slots.lines().find(has_it).expect("each slot has a master");
        let address = line.split(' ').nth(1).and_then(|address| address.split('@').next());
        let port = address.and_then(|address| address.rsplit(':').next()).expect("it has a port");
        let port: u16 = port.parse().expect("it is a number");
        self.servers.iter_mut().find(|server| server.port == port).expect("it is of this cluster")
    }
}

/// A Sentinel that watches a master with one replica.
pub(crate) struct Sentinel {
    pub(crate) master: RedisServer,
    pub(crate) replica: RedisServer,
    sentinel: RedisServer,
}

impl Sentinel {
    pub(crate) async fn start() -> Self {
        let master = RedisServer::start().await;
        let port = master.port.to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
        let follows = async {
            while !master.cli(&["info", "replication"]).await.contains("state=online") {
                look_again().await;
            }
        };
        soon("the replica to follow", follows).await;
        let sentinel = Self::watch(&port).await;
        let knows = async {
            while !sentinel.cli(&["sentinel", "replicas", "main"]).await.contains("127.0.0.1") {
                look_again().await;
            }
        };
        soon("the Sentinel to know the replica", knows).await;
        Self { master, replica, sentinel }
    }

    async fn watch(port: &str) -> RedisServer {
        let folder = TempDir::new().expect("a folder can be made");
        let settings = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 2000\n"
        );
        let path = folder.path().join("sentinel.conf");
        fs::write(&path, settings).expect("it can be written");
        let path = path.to_str().expect("it is UTF-8").to_owned();
        let arguments = vec![path, "--sentinel".to_owned()];
        let port = free_port();
        let child = run(port, &arguments, &folder);
        let mut server = RedisServer { port, arguments, folder, child };
        server.ready().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}/main", self.sentinel.port)
    }
}

fn run(port: u16, arguments: &[String], folder: &TempDir) -> Child {
    let log = fs::File::create(folder.path().join("log")).expect("it can be written");
    // A file of settings has to be the first argument.
    let (files, options): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.ends_with(".conf"));
    Command::new("redis-server")
        .args(files)
        .args(["--port", &port.to_string()])
        .args(options)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server is installed")
}

async fn cli(port: u16, arguments: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &port.to_string()]).args(arguments).stdin(Stdio::null());
    let output = soon("redis-cli to end", command.kill_on_drop(true).output());
    let output = output.await.expect("redis-cli is installed");
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8(all).expect("it prints text")
}

/// A free port. The one 10,000 above it, over which a cluster speaks, is free as well.
pub(crate) fn free_port() -> u16 {
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port));
    loop {
        let listener = bind(0).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        if port < 55_000 && bind(port + 10_000).is_ok() {
            return port;
        }
    }
}
