//! What a request asks for, in one form (RFC 3986 §6.2.2, RFC 9110 §4.2.3).

use std::fmt;
use std::net::Ipv6Addr;

/// A longer path and query than this, in bytes, is refused.
const MAX_LENGTH: usize = 64 * 1024;
/// A longer host than this, in bytes, is no domain name.
const MAX_HOST_LENGTH: usize = 254;

/// The scheme of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// What a request asks for, normalised.
///
/// The host is in lower case, a default port is left out, the path has no dot segments, and each
/// of its characters is written in one way only. The query is as it came. A target printed and
/// parsed again is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    scheme: Scheme,
    /// Host, and `:port` unless it is the default of the scheme.
    authority: String,
    host_length: usize,
    port: Option<u16>,
    path_and_query: String,
    path_length: usize,
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is neither `http` nor `https`.
    #[error("unknown scheme")]
    Scheme,
    /// There is an `@` in the authority.
    #[error("user information in the authority")]
    Userinfo,
    /// The host is empty, or no domain name or address.
    #[error("malformed host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("malformed port")]
    Port,
    /// The path does not begin with a slash.
    #[error("path without a leading slash")]
    Path,
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("malformed percent-encoding in the path")]
    Encoding,
    /// A backslash, a control character or whitespace, or an encoded NUL, CR or LF.
    #[error("forbidden character")]
    Character,
    /// A parent segment behind an encoded slash or before a semicolon, which some origins walk up
    /// and others do not.
    #[error("ambiguous parent segment")]
    Traversal,
    /// There is a `#`.
    #[error("fragment in the target")]
    Fragment,
    /// The path and query are longer than 64 KiB.
    #[error("target too long")]
    TooLong,
}

impl Scheme {
    /// The scheme in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant where none is named.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
    }
}

impl Target {
    /// Normalises a target out of its three parts.
    ///
    /// An empty path is `/` (RFC 9110 §4.2.3). The `*` of `OPTIONS *` is no path: nothing is kept
    /// under it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, which the client should be told as a 400.
    pub fn parse(scheme: &str, authority: &str, path_and_query: &str) -> Result<Self, TargetError> {
        let scheme = Scheme::parse(scheme).ok_or(TargetError::Scheme)?;
        Self::with_scheme(scheme, authority, path_and_query)
    }

    fn with_scheme(scheme: Scheme, authority: &str, rest: &str) -> Result<Self, TargetError> {
        if rest.len() > MAX_LENGTH {
            return Err(TargetError::TooLong);
        }
        let (mut authority, port) = normal_host(authority)?;
        let host_length = authority.len();
        let port = port.filter(|port| *port != scheme.default_port());
        if let Some(port) = port {
            authority.push_str(&format!(":{port}"));
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut path_and_query = without_dot_segments(uniform_path(path)?)?;
        let path_length = path_and_query.len();
        if let Some(query) = query {
            check_query(query)?;
            path_and_query.push('?');
            path_and_query.push_str(query);
        }
        Ok(Self { scheme, authority, host_length, port, path_and_query, path_length })
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in lower case, without port; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.split_at(self.host_length).0
    }

    /// The port, unless it is the default of the scheme.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host, and the port unless it is the default of the scheme: what `Host` should say.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path; begins with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.split_at(self.path_length).0
    }

    /// The path as origins read it that decode it twice, take `%2F`, `\` or `%5C` for a slash,
    /// several slashes for one, and what follows a `;` for parameters; `None` if that is the same
    /// path. Not one that is to be asked for.
    #[must_use]
    pub fn loose_path(&self) -> Option<String> {
        let path = self.path();
        if !path.contains("//") && !path.contains(';') && !path.contains('%') {
            return None;
        }
        let decoded = path.replace("%25", "%");
        let loosened =
            [("%2F", "/"), ("%2f", "/"), ("%5C", "/"), ("%5c", "/"), ("%2E", "."), ("%2e", ".")];
        let decoded =
            loosened.iter().fold(decoded, |decoded, (from, to)| decoded.replace(from, to));
        let mut segments = Vec::new();
        for segment in decoded.split('/') {
            match segment.split(';').next().unwrap_or(segment) {
                "" | "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment),
            }
        }
        let end = if decoded.ends_with('/') && !segments.is_empty() { "/" } else { "" };
        let loose = format!("/{}{end}", segments.join("/"));
        (loose != path).then_some(loose)
    }

    /// The query without its `?`; an empty one is not the same as none.
    ///
    /// It is free of whitespace and control characters, but may hold others that a strict reader of
    /// URIs refuses, such as `<`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.split_at(self.path_length).1.strip_prefix('?')
    }

    /// The root of the same host.
    #[must_use]
    pub fn root(&self) -> Self {
        Self { path_and_query: "/".to_owned(), path_length: 1, ..self.clone() }
    }

    /// The same with another query.
    #[must_use]
    pub fn with_query(&self, query: Option<&str>) -> Self {
        let mut path_and_query = self.path().to_owned();
        if let Some(query) = query {
            path_and_query.push('?');
            path_and_query.push_str(query);
        }
        Self { path_and_query, ..self.clone() }
    }

    /// The same on another host; `None` if that is no host.
    #[must_use]
    pub fn with_authority(&self, authority: &str) -> Option<Self> {
        parsed(Self::with_scheme(self.scheme, authority, &self.path_and_query))
    }

    /// The path and, behind a `?`, the query: what the origin should be asked for.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// Whether both have the same scheme, host and port (RFC 9110 §4.3.1).
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.authority == other.authority
    }

    /// The target that `reference` (a `Location`, a `Content-Location`) names, seen from here
    /// (RFC 3986 §5.2); `None` if it is no target that could be stored under a key.
    #[must_use]
    pub fn join(&self, reference: &str) -> Option<Self> {
        let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
        let (scheme, rest) = match split_scheme(reference) {
            Some((scheme, rest)) => (Scheme::parse(scheme)?, rest.strip_prefix("//")?),
            None => match reference.strip_prefix("//") {
                Some(rest) => (self.scheme, rest),
                None => return self.join_path(reference),
            },
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        parsed(Self::with_scheme(scheme, authority, rest))
    }

    /// Resolves a reference that has neither scheme nor authority.
    fn join_path(&self, reference: &str) -> Option<Self> {
        let text = if reference.is_empty() {
            return Some(self.clone());
        } else if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            format!("{}{reference}", self.path())
        } else {
            let folder = self.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{reference}")
        };
        parsed(Self::with_scheme(self.scheme, &self.authority, &text))
    }
}

/// A reference that is refused names nothing, for whatever reason.
fn parsed(target: Result<Target, TargetError>) -> Option<Target> {
    #[expect(clippy::disallowed_methods, reason = "nobody asks why a reference names nothing")]
    target.ok()
}

/// The scheme that a reference begins with, and what comes after its colon.
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    (!scheme.contains(['/', '?'])).then_some((scheme, rest))
}

/// The host in its normal form, and the port if one is named.
fn normal_host(authority: &str) -> Result<(String, Option<u16>), TargetError> {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-4.2.4
    //# Before making use of an "http" or "https" URI reference received from an
    //# untrusted source, a recipient SHOULD parse for userinfo and treat its
    //# presence as an error
    if authority.contains('@') {
        return Err(TargetError::Userinfo);
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(TargetError::Host)?;
        let Ok(address) = address.parse::<Ipv6Addr>() else { return Err(TargetError::Host) };
        let port = match port.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if port.is_empty() => None,
            None => return Err(TargetError::Host),
        };
        return Ok((format!("[{address}]"), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (authority, None),
    };
    if !is_domain_name(host) {
        return Err(TargetError::Host);
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// Whether it is labels of letters, digits, `-` and `_`, with one dot between each two.
///
/// A dot may end it, and then it is another name than without.
fn is_domain_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= MAX_HOST_LENGTH && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

/// Reads a port; an empty one names none (RFC 3986 §3.2.3).
fn parse_port(text: &str) -> Result<Option<u16>, TargetError> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_number = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if is_number && port > 0 => Ok(Some(port)),
        Ok(_) | Err(_) => Err(TargetError::Port),
    }
}

/// The path with every character written in one way: what need not be encoded is not, and what
/// must be is, in upper case.
fn uniform_path(path: &str) -> Result<String, TargetError> {
    if path.is_empty() {
        return Ok("/".to_owned());
    }
    if !path.starts_with('/') {
        return Err(TargetError::Path);
    }
    let mut uniform = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let byte = decoded(bytes.next(), bytes.next()).ok_or(TargetError::Encoding)?;
                if matches!(byte, b'\0' | b'\r' | b'\n') {
                    return Err(TargetError::Character);
                }
                //= https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2.2
                //# These URIs should be normalized by decoding any
                //# percent-encoded octet that corresponds to an unreserved
                //# character
                if is_unreserved(byte) {
                    uniform.push(char::from(byte));
                } else {
                    push_encoded(&mut uniform, byte);
                }
            }
            b'#' => return Err(TargetError::Fragment),
            b'\\' | b' ' => return Err(TargetError::Character),
            byte if byte.is_ascii_control() => return Err(TargetError::Character),
            byte if is_unreserved(byte) || b"/:@!$&'()*+,;=".contains(&byte) => {
                uniform.push(char::from(byte));
            }
            byte => push_encoded(&mut uniform, byte),
        }
    }
    Ok(uniform)
}

/// The byte that two hexadecimal digits stand for.
fn decoded(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let value = digit(high)? * 16 + digit(low)?;
    Some(u8::try_from(value).unwrap_or(u8::MAX))
}

fn push_encoded(text: &mut String, byte: u8) {
    let digit = |value: u8| {
        char::from_digit(u32::from(value), 16).map_or('0', |digit| digit.to_ascii_uppercase())
    };
    text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The path without its `.` and `..` segments (RFC 3986 §5.2.4), empty ones kept.
fn without_dot_segments(path: String) -> Result<String, TargetError> {
    if !path.contains("/.") && !path.contains("..") {
        return Ok(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ if hides_parent(segment) => return Err(TargetError::Traversal),
            _ => kept.push(segment),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

/// Whether an origin that decodes slashes, or cuts a segment at its semicolon, may find a `..`.
fn hides_parent(segment: &str) -> bool {
    segment.contains("..")
        && segment
            .split("%2F")
            .flat_map(|piece| piece.split("%5C"))
            .any(|piece| piece.split_once(';').map_or(piece, |(name, _)| name) == "..")
}

fn check_query(query: &str) -> Result<(), TargetError> {
    match query.bytes().find(|byte| byte.is_ascii_control() || matches!(byte, b' ' | b'#')) {
        None => Ok(()),
        Some(b'#') => Err(TargetError::Fragment),
        Some(_) => Err(TargetError::Character),
    }
}

/// Prints the target as an absolute URI.
impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}{}", self.scheme.as_str(), self.authority, self.path_and_query)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_path(path: &str, expected: Result<&str, TargetError>) {
        let found = Target::parse("http", "a.example", path);
        let found = found.as_ref().map(Target::path_and_query).map_err(|error| *error);
        assert_eq!(found, expected, "{path:?}");
    }

    #[track_caller]
    fn check_host(scheme: &str, authority: &str, expected: Result<&str, TargetError>) {
        let found = Target::parse(scheme, authority, "/");
        let found = found.as_ref().map(Target::authority).map_err(|error| *error);
        assert_eq!(found, expected, "{scheme} {authority:?}");
    }

    #[test]
    fn reads_a_path_as_loosely_as_some_origins_do() {
        for (path, loose) in [
            ("/api/session/me", None),
            ("//api///session/me", Some("/api/session/me")),
            ("/api/session;x=1/me;y", Some("/api/session/me")),
            ("/api%2fsession/me", Some("/api/session/me")),
            ("/api%5Csession/me", Some("/api/session/me")),
            ("/api%252fsession/me", Some("/api/session/me")),
            ("/x/%252e%252E/api/session/me", Some("/api/session/me")),
            ("/;x/api/;y/session/me", Some("/api/session/me")),
            ("/a%20b", None),
            ("/a//", Some("/a/")),
        ] {
            let target = Target::parse("http", "a.test", path).expect("a target");
            assert_eq!(target.loose_path().as_deref(), loose, "{path}");
        }
    }

    #[test]
    fn writes_a_host_in_one_way() {
        check_host("http", "A.Example", Ok("a.example"));
        check_host("HTTP", "a.example:80", Ok("a.example"));
        check_host("https", "a.example:80", Ok("a.example:80"));
        check_host("https", "a.example:0443", Ok("a.example"));
        check_host("http", "a.example:", Ok("a.example"));
        check_host("http", "a.example.", Ok("a.example."));
        check_host("http", "a_b-c", Ok("a_b-c"));
        check_host("http", "127.0.0.1:8080", Ok("127.0.0.1:8080"));
        check_host("http", "[::0:1]:8080", Ok("[::1]:8080"));
        check_host("http", "[2001:DB8::]", Ok("[2001:db8::]"));
    }

    #[test]
    fn refuses_a_malformed_authority() {
        for host in [
            "",
            ".",
            ":80",
            "a..b",
            ".a",
            "a b",
            "a/b",
            "a\\b",
            "a%41",
            "\u{e9}",
            "a,b",
            "a\0",
            "[::1",
            "[a]",
            "[::1]x",
            "[::1%25eth0]",
            "::1",
            "a#b",
            "a?b",
        ] {
            let found = Target::parse("http", host, "/");
            assert!(matches!(found, Err(TargetError::Host | TargetError::Port)), "{host:?}");
        }
        check_host("http", "a@b", Err(TargetError::Userinfo));
        check_host("http", &"a".repeat(64), Err(TargetError::Host));
        check_host("ftp", "a", Err(TargetError::Scheme));
        for port in ["0", "65536", "+80", "8a", "000080", "80:80", " 80"] {
            check_host("http", &format!("a:{port}"), Err(TargetError::Port));
        }
    }

    #[test]
    fn writes_a_path_in_one_way() {
        check_path("", Ok("/"));
        check_path("?a", Ok("/?a"));
        check_path("/a/b", Ok("/a/b"));
        check_path("/%7Ea%2d%41", Ok("/~a-A"));
        check_path("/%e9%2f%3f", Ok("/%E9%2F%3F"));
        check_path("/\u{e9}|\"", Ok("/%C3%A9%7C%22"));
        check_path("/a;b=c,d@e:f", Ok("/a;b=c,d@e:f"));
    }

    #[test]
    fn removes_dot_segments() {
        check_path("/a/./b/../c", Ok("/a/c"));
        check_path("/a/%2e/b/%2E%2e/c", Ok("/a/c"));
        check_path("/..", Ok("/"));
        check_path("/../../a", Ok("/a"));
        check_path("/a/.", Ok("/a/"));
        check_path("/a/b/..", Ok("/a/"));
        check_path("/a//../b", Ok("/a/b"));
        check_path("//a//b", Ok("//a//b"));
        check_path("/.//a", Ok("//a"));
        check_path("/...", Ok("/..."));
        check_path("/.a/b..", Ok("/.a/b.."));
    }

    #[test]
    fn refuses_what_origins_read_differently() {
        for path in ["/a\\b", "/a b", "/a\tb", "/\0", "/%00", "/%0a", "/%0D", "/a\u{7f}", "/?a b"] {
            check_path(path, Err(TargetError::Character));
        }
        for path in ["/a/..%2fb", "/a%2F..%2fb", "/a/..%5cb", "/a/..;/b", "/a/..;x=y", "/a%2f.%2e"]
        {
            check_path(path, Err(TargetError::Traversal));
        }
        for path in ["/%", "/%a", "/%zz", "/%+1", "/a%"] {
            check_path(path, Err(TargetError::Encoding));
        }
        check_path("/a#b", Err(TargetError::Fragment));
        check_path("/a?b#c", Err(TargetError::Fragment));
        check_path("a", Err(TargetError::Path));
        check_path("*", Err(TargetError::Path));
        check_path(&"/".repeat(MAX_LENGTH + 1), Err(TargetError::TooLong));
    }

    #[test]
    fn keeps_the_query_as_it_is() {
        check_path("/a?b=%7e&c=../%zz\\", Ok("/a?b=%7e&c=../%zz\\"));
        check_path("/a?b?c", Ok("/a?b?c"));
        let query = |path| Target::parse("http", "a", path).unwrap().query().map(str::to_owned);
        assert_eq!(query("/a"), None);
        assert_eq!(query("/a?").as_deref(), Some(""));
        assert_eq!(query("/a?b?").as_deref(), Some("b?"));
    }

    #[test]
    fn resolves_references() {
        let base = Target::parse("http", "a.example:8080", "/b/c/d?e").unwrap();
        let check = |reference: &str, expected: Option<&str>| {
            let found = base.join(reference).map(|target| target.to_string());
            assert_eq!(found.as_deref(), expected, "{reference:?}");
        };
        check("f", Some("http://a.example:8080/b/c/f"));
        check("./f?g", Some("http://a.example:8080/b/c/f?g"));
        check("../f", Some("http://a.example:8080/b/f"));
        check("../../../f", Some("http://a.example:8080/f"));
        check("/f#g", Some("http://a.example:8080/f"));
        check("?f", Some("http://a.example:8080/b/c/d?f"));
        check("", Some("http://a.example:8080/b/c/d?e"));
        check("#f", Some("http://a.example:8080/b/c/d?e"));
        check("//H.example/i", Some("http://h.example/i"));
        check("https://h.example", Some("https://h.example/"));
        check("https://h.example?i", Some("https://h.example/?i"));
        check("./f:g", Some("http://a.example:8080/b/c/f:g"));
        for reference in
            ["mailto:f", "http:f", "ftp://f/", "http://u@f/", "f g", "\\\\f", "http://"]
        {
            check(reference, None);
        }
    }

    #[test]
    fn compares_origins() {
        let target = |scheme, host| Target::parse(scheme, host, "/a").unwrap();
        let one = target("http", "a.example");
        assert!(one.same_origin(&target("http", "A.example:80")));
        assert!(!one.same_origin(&target("https", "a.example")));
        assert!(!one.same_origin(&target("http", "a.example:81")));
        assert!(!one.same_origin(&target("http", "b.example")));
    }

    proptest! {
        #[test]
        fn is_normal_once_normalised(
            host in "[a-zA-Z.:0-9\\[\\]]{0,9}", path in "/([./;%?a]|%2[eEfF]|%5[cC]|.){0,12}",
        ) {
            if let Ok(target) = Target::parse("http", &host, &path) {
                let again = Target::parse("http", target.authority(), target.path_and_query());
                prop_assert_eq!(again, Ok(target.clone()));
                let segments: Vec<&str> = target.path().split('/').collect();
                prop_assert!(!segments.contains(&".") && !segments.contains(&".."));
            }
        }

        #[test]
        fn resolves_itself_to_itself(reference in "([./?#:a]|.){0,12}") {
            let base = Target::parse("http", "a.example", "/b/c").unwrap();
            if let Some(target) = base.join(&reference) {
                prop_assert_eq!(base.join(&target.to_string()), Some(target));
            }
        }
    }
}
