//! The lints about who can reach what, and what can be read on the way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::view::{Admin, Origin};
use super::{Draft, list};
use crate::decode::Written;
use crate::settings::OriginServer;

/// The ends of names that mean something on a private network alone.
const PRIVATE_NAMES: [&str; 8] =
    [".internal", ".local", ".lan", ".home.arpa", ".test", ".localhost", ".svc", ".cluster.local"];

/// Finds an admin listener that others can reach.
pub(super) fn opens_admin(admin: Admin<'_>) -> Vec<Draft> {
    let is_open = |address: &&Written<SocketAddr>| !address.value.ip().is_loopback();
    let draft = |address: &Written<SocketAddr>| {
        let whom = if address.value.ip().is_unspecified() {
            "it listens on every address of this machine"
        } else {
            "it listens on an address that other machines reach"
        };
        let danger = format!("{whom}, and the token goes over it in clear text");
        let port = address.value.port();
        Draft::at(
            address,
            danger,
            ("[admin]".to_owned(), format!("address = \"127.0.0.1:{port}\"")),
        )
    };
    admin.value.address.as_ref().filter(is_open).map(draft).into_iter().collect()
}

/// Finds servers on the internet that nobody verifies.
pub(super) fn trusts_the_network(origin: &Origin<'_>) -> Vec<Draft> {
    let servers = origin.at.value.servers.iter().flat_map(|servers| &servers.value.0);
    let secured = |server: &OriginServer| {
        let port = if server.port == 80 { 443 } else { server.port };
        OriginServer { tls: true, port, ..server.clone() }
    };
    let is_open = |server: &OriginServer| !server.tls && !is_private(&server.host);
    let draft = |server: &Written<OriginServer>| {
        let danger = format!(
            "whoever stands between here and {} can read what goes over http, and put answers of \
             their own into the cache",
            server.value.host
        );
        let written = servers.clone().map(|server| {
            let server = &server.value;
            if is_open(server) { secured(server).to_string() } else { server.to_string() }
        });
        let written: Vec<String> = written.collect();
        let toml = format!("servers = {}", list(written.iter().map(String::as_str)));
        Draft::at(server, danger, (format!("[{}]", origin.at.path), toml))
    };
    servers.clone().filter(|server| is_open(&server.value)).map(draft).collect()
}

/// Whether `host` is on this machine or on a private network.
fn is_private(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(inner) => is_private_v4(inner),
            None => is_private_v6(address),
        },
        Err(_) => !host.contains('.') || PRIVATE_NAMES.iter().any(|end| host.ends_with(end)),
    }
}

/// RFC 1918, loopback, link-local, and the addresses that carriers share (RFC 6598).
fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    address.is_private() || address.is_loopback() || address.is_link_local() || shared
}

/// Loopback, unique local (RFC 4193) and link-local.
fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_on_a_private_network() {
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "localhost",
            "backend",
            "api.internal",
            "api.default.svc",
            "api.default.svc.cluster.local",
            "printer.home.arpa",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "a.example", "local.ly"]
        {
            assert!(!is_private(host), "{host}");
        }
    }
}
