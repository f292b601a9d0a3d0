//! Matches the hosts of requests against the patterns of a settings file.

use std::fmt;

use crate::text::{Unread, read_authority, read_host};

/// A pattern for the host of a request; matching ignores case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host, in lower case; an IPv6 address has no brackets.
    Exact(String),
    /// Every host that ends so, in lower case and with the leading dot; any depth.
    Under(String),
}

impl HostPattern {
    /// Reads a pattern: a host without port, or `*.` and a host for all that are below it.
    pub(crate) fn read(text: &str) -> Result<Self, Unread> {
        if let Some(parent) = text.strip_prefix("*.") {
            return Ok(Self::Under(format!(".{}", read_host(parent)?)));
        }
        if text.contains('*') {
            return Err(Unread::because("\"*\" may only stand in front, as in \"*.example.com\""));
        }
        match read_authority(text)? {
            (host, None) => Ok(Self::Exact(host)),
            (_, Some(_)) => Err(Unread::because("it has a port")),
        }
    }

    /// Whether `host`, as [`bare_host`] gives it, is meant.
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Under(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .and_then(|start| host.as_bytes().get(start..).filter(|_| start > 0))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes())),
        }
    }

    /// Whether every host that `other` matches matches this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(name), Self::Exact(other)) => name == other,
            (Self::Under(_), Self::Exact(other)) => self.matches(other),
            (Self::Under(end), Self::Under(other)) => other.ends_with(end),
            (Self::Exact(_), Self::Under(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(address) if address.contains(':') => write!(f, "[{address}]"),
            Self::Exact(host) => f.write_str(host),
            Self::Under(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// The host of a `Host` field: without port, brackets and the dot of the root.
pub(crate) fn bare_host(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(host, |(inner, _)| inner);
    }
    let name = match host.split_once(':') {
        Some((_, rest)) if rest.contains(':') => host, // An IPv6 address without brackets.
        Some((name, _)) => name,
        None => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_host(pattern: &str, matching: &[&str], other: &[&str]) {
        let read = HostPattern::read(pattern).unwrap();
        assert_eq!(read.to_string(), pattern.to_ascii_lowercase());
        for host in matching {
            assert!(read.matches(bare_host(host)), "{pattern} matches {host}");
        }
        for host in other {
            assert!(!read.matches(bare_host(host)), "{pattern} does not match {host}");
        }
    }

    #[test]
    fn a_host_matches_without_case_and_port() {
        let same = ["a.example", "A.EXAMPLE", "a.example:8080", "a.example."];
        check_host("a.Example", &same, &["b.a.example", "xa.example", "a.example.b", ""]);
        check_host("[::1]", &["[::1]:8080", "[::1]"], &["[::2]", "1"]);
    }

    #[test]
    fn a_star_stands_for_every_host_below() {
        let below = ["a.example.com", "a.b.Example.com:1"];
        check_host("*.example.com", &below, &["example.com", ".example.com", "aexample.com"]);
    }
}
