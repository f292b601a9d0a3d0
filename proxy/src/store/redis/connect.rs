//! Connects to what the URL of a Redis names: a server, the master of some Sentinels, or a cluster.

use std::fs;
use std::time::Duration;

use forebay_config::{RedisServers, RedisUrl, Secret};
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, TlsCertificates, TlsMode, Value,
};
use tokio::time::timeout;

/// How long each step to a connection may take.
const STEP: Duration = Duration::from_secs(1);
/// How many commands may wait to be written to one connection.
const QUEUE: usize = 1024;
/// How often a command to a cluster is tried again, and in milliseconds how long after.
const RETRIES: u32 = 3;
const RETRY_WAIT: u64 = 10;

/// Makes connections to one Redis.
pub struct Connector {
    way: Way,
    settings: AsyncConnectionConfig,
}

enum Way {
    One(Box<Client>),
    Sentinels(Box<SentinelClient>),
    Cluster(Box<ClusterClient>),
}

/// A connection, which many may use at a time. Clones are the same one.
#[derive(Clone)]
pub enum Link {
    /// To one server.
    One(MultiplexedConnection),
    /// To all of a cluster.
    Cluster(ClusterConnection),
}

impl Connector {
    /// A connector to the Redis at `url`. Nothing is connected yet.
    ///
    /// A server of a cluster that has not answered for `longest` is taken for lost. With one server,
    /// how long to wait is for the caller of [`Link::ask`] to say.
    ///
    /// # Errors
    ///
    /// What the URL asks for cannot be had: the file with the authorities is not readable, or has
    /// none.
    pub fn new(url: &RedisUrl, longest: Duration) -> Result<Self, RedisError> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(STEP))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let way = match &url.servers {
            RedisServers::One { host, port } => one(url, address(url.tls, host, *port))?,
            RedisServers::Socket(path) => one(url, ConnectionAddr::Unix(path.clone()))?,
            RedisServers::Sentinels { sentinels, master } => sentinel(url, sentinels, master)?,
            RedisServers::Cluster(servers) => cluster(url, servers, longest)?,
        };
        Ok(Self { way, settings })
    }

    /// Makes a connection. Sentinels are asked anew each time who the master is.
    ///
    /// # Errors
    ///
    /// There is nobody, or not who was looked for, or the user or the password is wrong.
    pub async fn connect(&mut self) -> Result<Link, RedisError> {
        let settings = &self.settings;
        match &mut self.way {
            Way::One(client) => {
                client.get_multiplexed_async_connection_with_config(settings).await.map(Link::One)
            }
            Way::Sentinels(client) => {
                client.get_async_connection_with_config(settings).await.map(Link::One)
            }
            Way::Cluster(client) => client.get_async_connection().await.map(Link::Cluster),
        }
    }
}

impl Link {
    /// Sends a command and waits for the reply, for as long as it takes.
    ///
    /// # Errors
    ///
    /// What Redis says is wrong, or that the connection is.
    pub async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let reply = match self {
            Self::One(connection) => connection.req_packed_command(command).await?,
            Self::Cluster(connection) => connection.req_packed_command(command).await?,
        };
        reply.extract_error()
    }

    /// Whether the other end still answers. A cluster looks after its connections by itself.
    pub(super) async fn stands(&self) -> bool {
        match self {
            Self::One(connection) => {
                let (mut connection, ping) = (connection.clone(), redis::cmd("PING"));
                // A reply of whatever kind is one.
                let reply = timeout(STEP, connection.req_packed_command(&ping)).await;
                matches!(reply, Ok(Ok(_)))
            }
            Self::Cluster(_) => true,
        }
    }
}

fn address(tls: bool, host: &str, port: u16) -> ConnectionAddr {
    let host = host.to_owned();
    if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

/// The authorities to trust, unless they are those of the system.
fn certificates(url: &RedisUrl) -> Result<Option<TlsCertificates>, RedisError> {
    let Some(path) = &url.ca else { return Ok(None) };
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(fs::read(path)?) }))
}

fn one(url: &RedisUrl, address: ConnectionAddr) -> Result<Way, RedisError> {
    let mut settings = RedisConnectionInfo::default().set_db(i64::from(url.database));
    if let Some(user) = &url.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &url.password {
        settings = settings.set_password(password.reveal());
    }
    let server = address.into_connection_info()?.set_redis_settings(settings);
    let client = match certificates(url)? {
        Some(certificates) => Client::build_with_tls(server, certificates)?,
        None => Client::open(server)?,
    };
    Ok(Way::One(Box::new(client)))
}

fn sentinel(url: &RedisUrl, sentinels: &[(String, u16)], master: &str) -> Result<Way, RedisError> {
    let addresses = sentinels.iter().map(|(host, port)| address(url.tls, host, *port));
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(url.database));
    if url.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = &url.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &url.password {
        builder = builder.set_client_to_redis_password(password.reveal());
    }
    if let Some(certificates) = certificates(url)? {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build().map(Box::new).map(Way::Sentinels)
}

fn cluster(
    url: &RedisUrl,
    servers: &[(String, u16)],
    longest: Duration,
) -> Result<Way, RedisError> {
    let servers = servers.iter().map(|(host, port)| address(url.tls, host, *port));
    let mut builder = ClusterClientBuilder::new(servers)
        .connection_timeout(STEP)
        .response_timeout(longest)
        .retries(RETRIES)
        .min_retry_wait(RETRY_WAIT)
        .max_retry_wait(RETRY_WAIT);
    if url.tls {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(user) = &url.user {
        builder = builder.username(user);
    }
    if let Some(password) = url.password.as_ref().map(Secret::reveal) {
        builder = builder.password(password);
    }
    if let Some(certificates) = certificates(url)? {
        builder = builder.certs(certificates);
    }
    builder.build().map(Box::new).map(Way::Cluster)
}
