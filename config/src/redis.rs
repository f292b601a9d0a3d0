//! Reads the URL under which Redis or Valkey is found: one server, Sentinels or a cluster.

use std::fmt;
use std::path::PathBuf;

use crate::decode::{Decoder, Node, Printed, Text, Value, shown};
use crate::settings::{RedisServers, RedisUrl, Secret};
use crate::shape::Shape;
use crate::text::{self, Unread};

/// The variable whose value is the URL of Redis if the table `cache.redis` has none.
pub const REDIS_VARIABLE: &str = "REDIS_URL";

/// The most servers that a URL may name.
const MOST_SERVERS: usize = 64;
/// The highest number of a database.
const LAST_DATABASE: u16 = 16_383;

/// The port of a server, and of one of a cluster, where the URL says none.
const PORT: u16 = 6379;
/// The port of a Sentinel where the URL says none.
const SENTINEL_PORT: u16 = 26_379;

/// What stands for the user and the password wherever a URL is shown.
const HIDDEN: &str = "...@";

/// What kind of servers a URL names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Socket,
    Sentinels,
    Cluster,
}

impl RedisUrl {
    /// Reads a URL.
    ///
    /// What is said of a wrong one has nothing of its text, in which there may be a password.
    pub(crate) fn read(text: &str) -> Result<Self, Unread> {
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| Unread::because("it has no \"://\""))?;
        let (kind, tls) = read_scheme(scheme)?;
        if rest.contains(['?', '#']) {
            let reason = "it has a query or a fragment; in a password, write %3F for \"?\" and \
                          %23 for \"#\"";
            return Err(Unread::because(reason));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.contains('@') {
            return Err(Unread::because(
                "it has \"@\" behind \"/\"; in a password, write %2F for \"/\"",
            ));
        }
        let (user, servers) = match authority.rsplit_once('@') {
            Some((user, servers)) => (Some(user), servers),
            None => (None, authority),
        };
        let (user, password) = user.map_or(Ok((None, None)), read_user)?;
        let (servers, database) = read_servers(kind, servers, path)?;
        Ok(Self { tls, ca: None, servers, user, password, database })
    }
}

/// Reads `redis`, `rediss-cluster` and the like: which servers, and whether they speak TLS.
fn read_scheme(scheme: &str) -> Result<(Kind, bool), Unread> {
    let unknown = || {
        Unread::because(
            "it does not begin with \"redis://\", \"rediss://\", \"redis-sentinel://\", \
             \"redis-cluster://\" or \"redis+unix://\"",
        )
    };
    let after = scheme.strip_prefix("redis").or_else(|| scheme.strip_prefix("valkey"));
    let after = after.ok_or_else(unknown)?;
    let (tls, after) = after.strip_prefix('s').map_or((false, after), |after| (true, after));
    let kind = match after {
        "" => Kind::One,
        "-sentinel" | "+sentinel" => Kind::Sentinels,
        "-cluster" | "+cluster" => Kind::Cluster,
        "-unix" | "+unix" if !tls => Kind::Socket,
        _ => return Err(unknown()),
    };
    Ok((kind, tls))
}

/// Reads what stands before `@`.
fn read_user(text: &str) -> Result<(Option<String>, Option<Secret>), Unread> {
    let Some((user, password)) = text.split_once(':') else {
        return Err(Unread::because(
            "it has a user and no password; write \":\" before a password",
        ));
    };
    let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
    let password = (!password.is_empty()).then(|| Secret::new(password));
    if password.is_none() && !user.is_empty() {
        return Err(Unread::because("it has a user and no password"));
    }
    Ok(((!user.is_empty()).then_some(user), password))
}

/// Reads what stands behind the user: the servers and the path.
fn read_servers(kind: Kind, hosts: &str, path: &str) -> Result<(RedisServers, u16), Unread> {
    let path_alone = path.strip_prefix('/').unwrap_or("");
    match kind {
        Kind::One => {
            let mut servers = read_hosts(hosts, PORT)?;
            match (servers.pop(), servers.is_empty()) {
                (Some((host, port)), true) => {
                    Ok((RedisServers::One { host, port }, read_database(path_alone)?))
                }
                (Some(_) | None, _) => Err(Unread::because(
                    "it has several hosts; that is for \"redis-sentinel://\" and \
                     \"redis-cluster://\"",
                )),
            }
        }
        Kind::Socket if !hosts.is_empty() => Err(Unread::because(
            "it has a host; a socket is written \"redis+unix:///run/redis.sock\"",
        )),
        Kind::Socket if path_alone.is_empty() => Err(Unread::because("it has no path of a socket")),
        Kind::Socket => Ok((RedisServers::Socket(PathBuf::from(percent_decoded(path)?)), 0)),
        Kind::Sentinels => {
            let sentinels = read_hosts(hosts, SENTINEL_PORT)?;
            let (master, database) = path_alone.split_once('/').unwrap_or((path_alone, ""));
            if master.is_empty() {
                let reason = "it does not say behind \"/\" what the Sentinels call the master";
                return Err(Unread::because(reason));
            }
            let master = percent_decoded(master)?;
            Ok((RedisServers::Sentinels { sentinels, master }, read_database(database)?))
        }
        Kind::Cluster if read_database(path_alone)? > 0 => {
            Err(Unread::because("it has a database; a cluster has only 0"))
        }
        Kind::Cluster => Ok((RedisServers::Cluster(read_hosts(hosts, PORT)?), 0)),
    }
}

fn read_hosts(text: &str, usual_port: u16) -> Result<Vec<(String, u16)>, Unread> {
    let hosts = text.split(',').take(MOST_SERVERS + 1);
    // Why a host is none may repeat a part of it, which may be of a password that is cut off wrong.
    let read = |host: &str| match text::read_authority(host) {
        Ok((host, port)) => Ok((host, port.unwrap_or(usual_port))),
        Err(_) if host.is_empty() => Err(Unread::because("it has no host")),
        Err(_) => Err(Unread::because("one of its hosts is none, or its port")),
    };
    let hosts = hosts.map(read).collect::<Result<Vec<_>, _>>()?;
    if hosts.len() > MOST_SERVERS {
        return Err(Unread::because(format!("it has more than {MOST_SERVERS} hosts")));
    }
    Ok(hosts)
}

fn read_database(text: &str) -> Result<u16, Unread> {
    let digits = text.chars().all(|c| c.is_ascii_digit());
    match text.parse() {
        Err(_) if text.is_empty() => Ok(0),
        Ok(database) if digits && database <= LAST_DATABASE => Ok(database),
        Ok(_) | Err(_) => Err(Unread::because(
            "what follows its last \"/\" is no number of a database, such as 0",
        )),
    }
}

/// Reads `%40` and the like.
fn percent_decoded(text: &str) -> Result<String, Unread> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (Some(high), Some(low)) = (after.first().and_then(digit), after.get(1).and_then(digit))
        else {
            return Err(Unread::because("it has \"%\" without two digits; write %25 for \"%\""));
        };
        bytes.extend(u8::try_from(high << 4 | low));
        rest = after.get(2..).unwrap_or_default();
    }
    let decoded = String::from_utf8(bytes)
        .map_err(|error| Unread::because(format!("it is not UTF-8 ({})", error.utf8_error())))?;
    if decoded.contains(char::is_control) {
        return Err(Unread::because("it has a control character"));
    }
    Ok(decoded)
}

/// Without user and password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.password.is_some() { HIDDEN } else { "" };
        let scheme = if self.tls { "rediss" } else { "redis" };
        let list = |hosts: &[(String, u16)]| {
            hosts.iter().map(|(host, port)| printed_host(host, *port)).collect::<Vec<_>>().join(",")
        };
        match &self.servers {
            RedisServers::One { host, port } => {
                write!(out, "{scheme}://{hidden}{}", printed_host(host, *port))?;
            }
            RedisServers::Socket(path) => {
                write!(out, "{scheme}+unix://{hidden}{}", path.display())?;
            }
            RedisServers::Sentinels { sentinels, master } => {
                write!(out, "{scheme}-sentinel://{hidden}{}/{master}", list(sentinels))?;
            }
            RedisServers::Cluster(servers) => {
                write!(out, "{scheme}-cluster://{hidden}{}", list(servers))?;
            }
        }
        if self.database > 0 { write!(out, "/{}", self.database) } else { Ok(()) }
    }
}

fn printed_host(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Value for RedisUrl {
    fn expected() -> String {
        "a URL such as \"redis://127.0.0.1:6379\"".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let found = if node.get_ref().is_str() {
            let text = decoder.string(node, &Self::expected())?;
            match Self::read(&text) {
                Ok(url) => return Some(url),
                Err(unread) => format!("something else ({unread})"),
            }
        } else {
            "something that is not a string".to_owned()
        };
        decoder.report(decoder.written(node, ()), Self::expected(), found);
        None
    }

    fn shape() -> Shape {
        Shape::Text(Some("^(redis|valkey)(s?|s?[+-](sentinel|cluster)|[+-]unix)://[^?#]+$"))
    }
}

impl Printed for RedisUrl {
    fn printed(&self) -> String {
        shown(&self.to_string())
    }

    fn hidden(&self) -> Option<Secret> {
        let password = self.password.as_ref()?.reveal();
        // Neither half can hold the line end that stands between them.
        Some(Secret::new(format!("{}\n{password}", self.user.as_deref().unwrap_or_default())))
    }
}

/// What the names of all keys in Redis begin with.
#[derive(Debug, Clone)]
pub(crate) struct Prefix(pub(crate) String);

impl Text for Prefix {
    const EXPECTED: &'static str = "a prefix of letters, digits, \"-\", \"_\", \".\" and \":\"";
    const PATTERN: &'static str = "^[0-9A-Za-z_.:-]{1,64}$";

    fn read(text: &str) -> Result<Self, Unread> {
        if text.is_empty() {
            return Err(Unread::because("it is empty"));
        }
        if text.len() > 64 {
            return Err(Unread::because("it is longer than 64 characters"));
        }
        // Braces would choose the slot of a cluster.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        match text.chars().find(|c| !fits(*c)) {
            Some(odd) => Err(Unread::because(format!("it has {odd:?}"))),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl Printed for Prefix {
    fn printed(&self) -> String {
        shown(&self.0)
    }
}

/// The size of the largest value that is put into Redis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RedisValue(pub(crate) u64);

/// The largest value that may be allowed: a reply is read as a whole.
const LARGEST_VALUE: u64 = 64 << 20;

impl Text for RedisValue {
    const EXPECTED: &'static str = "a size of at most 64MiB such as \"1MiB\"";
    const PATTERN: &'static str = text::SIZE_PATTERN;

    fn read(text: &str) -> Result<Self, Unread> {
        match text::read_size(text)? {
            size if size <= LARGEST_VALUE => Ok(Self(size)),
            _ => Err(Unread::because("it is larger")),
        }
    }
}

impl Printed for RedisValue {
    fn printed(&self) -> String {
        format!("\"{}\"", text::write_size(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, shows: &str) {
        let url = RedisUrl::read(text).unwrap_or_else(|unread| panic!("{text}: {unread}"));
        assert_eq!(url.to_string(), shows);
        assert!(!format!("{url:?}").contains("hunter2"), "{url:?}");
    }

    #[track_caller]
    fn check_refused(text: &str, why: &str) {
        let unread = RedisUrl::read(text).expect_err(text).to_string();
        assert!(unread.contains(why), "{text}: {unread}");
        assert!(!unread.contains("hunter"), "{unread}");
    }

    #[test]
    fn reads_one_server() {
        check("redis://127.0.0.1", "redis://127.0.0.1:6379");
        check("redis://127.0.0.1:6380/", "redis://127.0.0.1:6380");
        check("valkey://Cache.example/3", "redis://cache.example:6379/3");
        check("rediss://:hunter2@[::1]:6380", "rediss://...@[::1]:6380");
        check("valkeys://edge:hunter2@a.example/0", "rediss://...@a.example:6379");
    }

    #[test]
    fn reads_a_socket() {
        check("redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock");
        check("redis-unix://:hunter2@/run/redis.sock", "redis+unix://...@/run/redis.sock");
    }

    #[test]
    fn reads_sentinels() {
        check("redis-sentinel://a,b:1/main", "redis-sentinel://a:26379,b:1/main");
        check("rediss+sentinel://:hunter2@a/main/2", "rediss-sentinel://...@a:26379/main/2");
    }

    #[test]
    fn reads_a_cluster() {
        check("redis-cluster://a,b:1,[::1]", "redis-cluster://a:6379,b:1,[::1]:6379");
        check("rediss+cluster://u:hunter2@a/0", "rediss-cluster://...@a:6379");
    }

    #[test]
    fn reads_a_password_with_anything_in_it() {
        let url = RedisUrl::read("redis://a%40b:p%2F%3A%25@:x@h").expect("it is a URL");
        assert_eq!(url.user.as_deref(), Some("a@b"));
        assert_eq!(url.password.as_ref().map(Secret::reveal), Some("p/:%@:x"));
    }

    #[test]
    fn says_what_is_wrong_and_repeats_nothing() {
        check_refused("127.0.0.1:6379", "no \"://\"");
        check_refused("http://hunter2", "does not begin with");
        check_refused("rediss+unix:///x", "does not begin with");
        check_refused("redis://", "no host");
        check_refused("redis://hunter2@h", "a user and no password");
        check_refused("redis://hunter2:@h", "a user and no password");
        check_refused("redis://:hunter/2@h", "write %2F");
        check_refused("redis://:hunter?2@h", "write %3F");
        check_refused("redis://:hunter%2@h", "write %25");
        check_refused("redis://:hunter%ff@h", "not UTF-8");
        check_refused("redis://:hunter%0a@h", "a control character");
        check_refused("redis://h:hunter2", "one of its hosts is none");
        check_refused("redis://a,b", "several hosts");
        check_refused("redis://h/hunter2", "no number of a database");
        check_refused("redis://h/99999", "no number of a database");
        check_refused("redis-sentinel://a,b", "what the Sentinels call the master");
        check_refused("redis-cluster://a/1", "a cluster has only 0");
        check_refused("redis+unix://h/x", "it has a host");
        check_refused("redis+unix://", "no path");
        check_refused(&format!("redis-cluster://a{}", ",a".repeat(64)), "more than 64");
    }

    proptest! {
        #[test]
        fn shows_what_it_reads_again(
            text in "(redis|valkeys)(-sentinel|-cluster|)://[a-z]{1,3}(:[1-9][0-9]{0,3})?(,[a-z]{1,3})?(/[a-z0-9]{0,3})?(/[0-9])?",
        ) {
            if let Ok(url) = RedisUrl::read(&text) {
                prop_assert_eq!(RedisUrl::read(&url.to_string()), Ok(url));
            }
        }

        #[test]
        fn reads_or_refuses_any_text(text in "((redis|valkey)s?[+-]?(sentinel|cluster|unix)?://)?\\PC{0,40}") {
            if let Ok(url) = RedisUrl::read(&text) {
                prop_assert!(text.starts_with("redis") || text.starts_with("valkey"), "{}", url);
            }
        }
    }
}
