//! Every option as it is used: durations, sizes in bytes, compiled matchers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::name::NamePattern;
use crate::pattern::PathPatterns;
use crate::routing::Routes;

/// The settings of one running edge.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect, in the order of the file; at least one.
    pub listeners: Vec<Listener>,
    /// The servers behind the edge, in the order of the file; at least one.
    pub origins: Vec<Arc<Origin>>,
    /// How much is stored.
    pub cache: Cache,
    /// The listener for operators.
    pub admin: Admin,
    /// The program itself.
    pub server: Server,
    /// Which request goes where, under which policy.
    pub routes: Routes,
    /// Path and value of each option that takes effect at a restart.
    pub(crate) at_restart: BTreeMap<String, AtRestart>,
}

/// The value of an option that takes effect at a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AtRestart {
    /// What of it may be shown.
    pub(crate) shown: String,
    /// What else there is of it.
    pub(crate) hidden: Option<Secret>,
}

/// An option that would be different, but only after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path of the option, such as `listeners.web.address`.
    pub path: String,
    /// Its value now; nothing if it is left out.
    pub old: Option<String>,
    /// The value that it would have; nothing if it is left out.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: is {}, would be {}", self.path, value(&self.old), value(&self.new))
    }
}

impl Settings {
    /// What keeps an edge that runs with these settings from going on with `new` ones.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<Change> {
        let paths: BTreeSet<&String> =
            self.at_restart.keys().chain(new.at_restart.keys()).collect();
        let change = |path: &String| {
            let (old, new) = (self.at_restart.get(path), new.at_restart.get(path));
            let shown = |value: Option<&AtRestart>| value.map(|value| value.shown.clone());
            let (path, old, new, differ) = (path.clone(), shown(old), shown(new), old != new);
            let same = differ && old == new;
            let new = if same { new.map(|new| new + " with another password") } else { new };
            differ.then_some(Change { path, old, new })
        };
        paths.into_iter().filter_map(change).collect()
    }
}

/// An address where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the file.
    pub name: String,
    /// IP address and port; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// The certificate, if clients speak TLS.
    pub tls: Option<Tls>,
}

/// The certificate of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file with the certificate and its chain.
    pub cert: PathBuf,
    /// A PEM file with the private key.
    pub key: PathBuf,
}

/// A group of servers that give the same answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name in the file.
    pub name: String,
    /// The servers; at least one.
    pub servers: Vec<OriginServer>,
    /// What `Host` is to say instead of what the client said.
    pub host: Option<String>,
    /// How long the edge waits.
    pub timeouts: Timeouts,
    /// How long a connection without a request is kept.
    pub idle: Duration,
    /// A PEM file with the authorities to trust instead of those of the system.
    pub ca: Option<PathBuf>,
}

/// One server of an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginServer {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its name or IP address, in lower case; an IPv6 address has no brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl OriginServer {
    /// Host and port as a `Host` field says them: the port of the scheme is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { tls, host, port } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == if *tls { 443 } else { 80 } { host } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for OriginServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

/// How long the edge waits for an origin; none of them is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// From the end of the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub read: Duration,
}

/// A text that no log has.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether `text` can stand in a header field as it is.
    pub(crate) fn can_be(text: &str) -> bool {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
    }

    /// The text, which must not be printed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// The listener for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// IP address and port.
    pub address: SocketAddr,
    /// The bearer token to demand; always there if the address is not loopback.
    pub token: Option<Secret>,
}

/// How much is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The memory for stored responses, in bytes.
    pub memory: u64,
    /// The largest body that is stored, in bytes.
    pub max_object: u64,
    /// The folder for what outlives a restart.
    pub disk: Option<Disk>,
    /// The Redis that edges share.
    pub redis: Option<Redis>,
}

/// A folder for what outlives a restart and has no room in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is.
    pub path: PathBuf,
    /// The most that all files take, in bytes.
    pub size: u64,
    /// The most stored responses.
    pub entries: u64,
}

/// A Redis or Valkey that edges share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// Where it is.
    pub url: RedisUrl,
    /// What the names of all keys begin with; it has no braces.
    pub prefix: String,
    /// The largest value that is put there, in bytes.
    pub max_object: u64,
    /// How long a request waits for an answer.
    pub timeout: Duration,
}

/// Where Redis is, and who the edge is there. Printed, it has neither user nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// A PEM file with the authorities to trust instead of those of the system.
    pub ca: Option<PathBuf>,
    /// The servers.
    pub servers: RedisServers,
    /// The user; left out, the one that Redis calls `default`.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: u16,
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// The servers of a Redis: host and port of each. An IPv6 address has no brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisServers {
    /// One server.
    One {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A socket of this machine.
    Socket(PathBuf),
    /// Those who know the master.
    Sentinels {
        /// At least one.
        sentinels: Vec<(String, u16)>,
        /// What they call the master.
        master: String,
    },
    /// Some servers of a cluster; at least one.
    Cluster(Vec<(String, u16)>),
}

/// The program itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Threads that serve requests; left out, the program decides.
    pub threads: Option<usize>,
    /// How long a stop waits for requests that are running.
    pub grace: Duration,
    /// The socket over which a new process takes the listeners of the old one.
    pub upgrade_socket: Option<PathBuf>,
    /// Whether the settings file is read again when it changes.
    pub watch: bool,
    /// What a client sends to be told the key and more.
    pub debug_secret: Option<Secret>,
    /// From where `PURGE` may come; none at all leaves the method to the origin.
    pub purge_from: Vec<IpNet>,
}

impl Server {
    /// Whether `PURGE` may come from `address`.
    #[must_use]
    pub fn may_purge(&self, address: IpAddr) -> bool {
        // A listener on `[::]` sees the addresses of IPv4 as some of IPv6.
        let address = address.to_canonical();
        self.purge_from.iter().any(|network| network.contains(&address))
    }
}

/// What is asked first, the cache or the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// A fresh stored response answers; otherwise the origin does.
    CacheFirst,
    /// The origin answers; what is stored does if the origin fails or is late.
    NetworkFirst,
    /// A stored response answers, fresh or stale; a stale one is revalidated behind it.
    StaleWhileRevalidate,
    /// Every request goes to the origin and nothing is stored.
    Bypass,
}

/// Who decides how long a response is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TtlMode {
    /// The origin; where it says nothing, the heuristic, and then the policy.
    Respect,
    /// The origin; where it says nothing, the policy.
    Default,
    /// The policy, whatever the origin says.
    Override,
}

/// What becomes of a response that sets a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetCookie {
    /// It is not stored.
    Skip,
    /// It is stored without the cookie.
    Strip,
    /// It is stored with the cookie, and everybody gets it.
    Store,
}

/// How the responses of a route are cached.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name in the file, or of a preset.
    pub name: String,
    /// What is asked first.
    pub strategy: Strategy,
    /// With [`Strategy::NetworkFirst`], how long to wait for the origin if something stored could
    /// answer.
    pub deadline: Option<Duration>,
    /// How long a response is fresh, as far as `ttl_mode` lets the policy say it.
    pub ttl: Option<Duration>,
    /// Who decides how long a response is fresh.
    pub ttl_mode: TtlMode,
    /// The same as `ttl` for single status codes, which it overrules.
    pub ttl_by_status: BTreeMap<u16, Duration>,
    /// How long clients are told to keep a stored response; left out, the origin's word stands.
    pub browser_ttl: Option<Duration>,
    /// How long a stale response may answer while it is revalidated, if the origin does not say.
    pub stale_while_revalidate: Option<Duration>,
    /// How long a stale response may answer if the origin fails, if the origin does not say.
    pub stale_if_error: Option<Duration>,
    /// Whether a response without a lifetime is fresh for 10 % of the time since Last-Modified.
    pub heuristic: bool,
    /// What becomes of a response that sets a cookie.
    pub set_cookie: SetCookie,
    /// The paths whose responses never change.
    pub immutable: PathPatterns,
    /// The media types that are stored, in lower case, `image/*` for all that begin so and
    /// `image/*+xml` for those of them that also end so; left out, every one.
    pub types: Option<Vec<String>>,
    /// What of a request tells stored responses apart.
    pub key: KeyRules,
    /// The requests that do not use the cache.
    pub bypass_if: BypassIf,
    /// What is compressed of that which is stored.
    pub compress: Compress,
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli (RFC 7932).
    Br,
    /// Zstandard (RFC 8878).
    Zstd,
    /// RFC 1952.
    Gzip,
}

/// What is compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compress {
    /// The codings to make, each once, the best first; none compresses nothing.
    pub codings: Vec<Coding>,
    /// The media types, written like those of [`Policy::types`].
    pub types: Vec<String>,
    /// The smallest body, in bytes.
    pub min_size: u64,
    /// The names, in lower case, of the request fields by which a response may be one person's own,
    /// and is left as it is; none if such are compressed too.
    pub personal: Vec<String>,
    /// After how many answers what was made quickly is made again as small as it gets; never if
    /// zero.
    pub upgrade_after: u32,
    /// Whether versions of a file are sent as what differs from each other.
    pub dictionaries: bool,
    /// Whether the origin is asked first for a file that it compressed ahead of time.
    pub precompressed: bool,
}

impl Compress {
    /// The media types that shrink, where the settings name no others.
    pub(crate) const USUAL_TYPES: [&str; 27] = [
        "text/*",
        "application/*+json",
        "application/*+xml",
        "application/ecmascript",
        "application/javascript",
        "application/json",
        "application/jsonl",
        "application/vnd.apple.mpegurl",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-mpegurl",
        "application/x-ndjson",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
        "application/x-font-ttf",
        "application/x-font-otf",
        "font/collection",
        "font/otf",
        "font/sfnt",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
        "image/vnd.microsoft.icon",
        "image/x-icon",
        "model/gltf+json",
    ];
}

/// What of a request tells stored responses apart, beside its path and what `Vary` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRules {
    /// Which parameters of the query count.
    pub query: QueryRules,
    /// The fields whose values count, in lower case.
    pub headers: Vec<String>,
    /// The cookies whose values count, while all others are kept from the origin; left out, the
    /// origin gets all and none counts.
    pub cookies: Option<Vec<NamePattern>>,
    /// Whether classes of devices are apart.
    pub device: bool,
    /// The languages among which one is chosen; none at all leaves `Accept-Language` as it is.
    pub languages: Vec<String>,
    /// Whether schemes are apart.
    pub scheme: bool,
    /// Whether hosts are apart.
    pub host: bool,
    /// How many variants one key may have.
    pub max_variants: usize,
}

/// Which parameters of the query count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRules {
    /// Those that count; left out, all.
    pub allow: Option<Vec<NamePattern>>,
    /// Those of them that do not.
    pub deny: Vec<NamePattern>,
    /// Whether their order does not count.
    pub sort: bool,
    /// Whether the origin gets the query as the client wrote it.
    pub forward: bool,
}

impl QueryRules {
    /// Whether every query is left as it is.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty() && !self.sort
    }

    /// Whether the parameter `name`, which is percent-decoded, counts.
    #[must_use]
    pub fn keeps(&self, name: &[u8]) -> bool {
        let named = |patterns: &[NamePattern]| patterns.iter().any(|one| one.matches(name));
        self.allow.as_deref().is_none_or(named) && !named(&self.deny)
    }
}

/// The requests that do not use the cache; one match is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BypassIf {
    /// Names of cookies that the request has.
    pub cookies: Vec<NamePattern>,
    /// Names of fields that the request has, in lower case.
    pub headers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Text as _;
    use crate::kind::MediaType;

    #[test]
    fn the_usual_types_are_media_types() {
        for kind in Compress::USUAL_TYPES {
            let read = MediaType::read(kind).unwrap_or_else(|unread| panic!("{kind}: {unread}"));
            assert_eq!(read.0, kind);
        }
    }
}
