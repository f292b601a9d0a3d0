//! Reads and writes durations, sizes, addresses and names the way a settings file spells them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::settings::OriginServer;

/// The longest duration: the largest number of seconds a cache has to count with (RFC 9111 §1.2.2).
pub const LONGEST: Duration = Duration::from_secs(1 << 31);

/// The longest name of a listener, an origin, a policy or a route, in bytes.
const LONGEST_NAME: usize = 64;

/// The units of a duration from long to short, in milliseconds.
const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A regular expression for every text that [`read_duration`] reads but the empty one.
pub(crate) const DURATION_PATTERN: &str = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// A regular expression for every text that [`read_size`] reads.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+([KMGT]i?)?B$";

/// A regular expression for every text that [`read_name`] reads.
pub(crate) const NAME_PATTERN: &str = "^[0-9A-Za-z_.-]{1,64}$";

/// A regular expression for every text that [`read_token`] reads.
pub(crate) const TOKEN_PATTERN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// The units of a size, in bytes; the binary ones first, from large to small.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Why a text is not a value of the wanted kind, such as `it has no unit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread(Cow<'static, str>);

impl Unread {
    pub(crate) fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unread {}

/// Reads a duration such as `300ms`, `5s` or `1h30m`.
///
/// # Errors
///
/// [`Unread`] if a number has no unit, a unit is unknown, repeated or out of order, or the whole
/// is longer than [`LONGEST`].
pub fn read_duration(text: &str) -> Result<Duration, Unread> {
    if text.is_empty() {
        return Err(Unread::because("it is empty"));
    }
    let mut rest = text;
    let mut units = DURATION_UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let (unit, after) = letters(after);
        if unit.is_empty() {
            return Err(no_unit(after));
        }
        let Some(found) = units.iter().position(|(name, _)| *name == unit) else {
            return Err(unfit_unit(unit));
        };
        let (step, later) = units.split_at(found + 1);
        let millis = step.last().map_or(1, |(_, millis)| *millis);
        let part = number.checked_mul(millis).ok_or_else(too_long)?;
        total = total.checked_add(part).ok_or_else(too_long)?;
        (rest, units) = (after, later);
    }
    let duration = Duration::from_millis(total);
    if duration > LONGEST { Err(too_long()) } else { Ok(duration) }
}

/// Writes a duration so that [`read_duration`] reads it again; parts below 1 ms are dropped.
#[must_use]
pub fn write_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in DURATION_UNITS {
        let count = rest / u128::from(millis);
        rest %= u128::from(millis);
        if count > 0 {
            write!(text, "{count}{unit}").expect("a string takes every write");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads a size such as `64KiB`, `10MB` or `0B`, in bytes.
///
/// # Errors
///
/// [`Unread`] if there is no number, no unit, an unknown unit, or more than 2^64 - 1 bytes.
pub fn read_size(text: &str) -> Result<u64, Unread> {
    let (number, unit) = number(text)?;
    if unit.is_empty() {
        return Err(no_unit(unit));
    }
    let Some((_, bytes)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(Unread::because(format!(
            "the unit is {unit:?}, not one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB"
        )));
    };
    number.checked_mul(*bytes).ok_or_else(|| Unread::because("it is too large"))
}

/// Writes a size in the largest unit that loses nothing, so that [`read_size`] reads it again.
#[must_use]
pub fn write_size(bytes: u64) -> String {
    let fits = |unit: u64| bytes >= unit && bytes.is_multiple_of(unit);
    SIZE_UNITS
        .iter()
        .find(|(_, unit)| fits(*unit))
        .map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// Reads an address to listen on: an IP address and a port.
pub(crate) fn read_address(text: &str) -> Result<SocketAddr, Unread> {
    text.parse().map_err(|error| {
        let reason = match text.rsplit_once(':') {
            Some(("", _)) => "it has no IP address; \"0.0.0.0\" means every one".into(),
            Some(("localhost", _)) => "it has a name; write \"127.0.0.1\"".into(),
            None => "it has no port".into(),
            Some(_) => Cow::Owned(format!("{error}")),
        };
        Unread::because(reason)
    })
}

/// Reads an IP address, or a block of them as in `10.0.0.0/8`.
pub(crate) fn read_network(text: &str) -> Result<IpNet, Unread> {
    let unread = |error: &dyn fmt::Display| Unread::because(error.to_string());
    let Some((address, _)) = text.split_once('/') else {
        let address: IpAddr = text.parse().map_err(|error| unread(&error))?;
        return Ok(IpNet::from(address.to_canonical()));
    };
    address.parse::<IpAddr>().map_err(|error| unread(&error))?;
    let network: IpNet = text.parse().map_err(|error| unread(&error))?;
    if network.trunc() != network {
        let whole = network.trunc();
        return Err(Unread::because(format!("the block that it lies in is \"{whole}\"")));
    }
    Ok(network)
}

/// Reads the URL of an origin server: scheme, host and optional port.
pub(crate) fn read_server(text: &str) -> Result<OriginServer, Unread> {
    let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
        (true, rest)
    } else if let Some(rest) = text.strip_prefix("http://") {
        (false, rest)
    } else {
        return Err(Unread::because("it does not begin with \"http://\" or \"https://\""));
    };
    // "http://host/" is the same URL as "http://host" (RFC 3986 §6.2.3).
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(extra) = rest.chars().find(|c| matches!(c, '/' | '?' | '#')) {
        let part = if extra == '/' { "a path" } else { "a query or a fragment" };
        return Err(Unread::because(format!("it has {part}")));
    }
    let (host, port) = read_authority(rest)?;
    Ok(OriginServer { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }) })
}

/// Reads a host and an optional port; the host comes back in lower case and without brackets.
pub(crate) fn read_authority(text: &str) -> Result<(String, Option<u16>), Unread> {
    if text.contains('@') {
        return Err(Unread::because("it has a user name"));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, after) =
            rest.split_once(']').ok_or_else(|| Unread::because("its \"[\" is not closed"))?;
        inner.parse::<Ipv6Addr>().map_err(|error| Unread::because(format!("{error}")))?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(read_port(port)?),
            None if after.is_empty() => None,
            None => return Err(Unread::because("there is more after \"]\" than a port")),
        };
        return Ok((inner.to_ascii_lowercase(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            return Err(Unread::because("an IPv6 address needs \"[\" and \"]\" around it"));
        }
        Some((host, port)) => (host, Some(read_port(port)?)),
        None => (text, None),
    };
    Ok((read_host(host)?, port))
}

/// Reads the name or the IPv4 address of a host, in lower case.
pub(crate) fn read_host(text: &str) -> Result<String, Unread> {
    if text.is_empty() {
        return Err(Unread::because("it has no host"));
    }
    if text.len() > 253 {
        return Err(Unread::because("its host is longer than 253 bytes"));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(odd) = text.chars().find(|c| !fits(*c)) {
        return Err(Unread::because(format!("its host has {odd:?}")));
    }
    if text.split('.').any(str::is_empty) {
        return Err(Unread::because("its host has an empty part"));
    }
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        text.parse::<Ipv4Addr>().map_err(|error| Unread::because(format!("{error}")))?;
    }
    Ok(text.to_ascii_lowercase())
}

/// Reads the name of a listener, an origin, a policy or a route.
pub(crate) fn read_name(text: &str) -> Result<String, Unread> {
    if text.is_empty() {
        return Err(Unread::because("it is empty"));
    }
    if text.len() > LONGEST_NAME {
        return Err(Unread::because("it is longer than 64 characters"));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text.chars().find(|c| !fits(*c)) {
        Some(odd) => Err(Unread::because(format!("it has {odd:?}"))),
        None => Ok(text.to_owned()),
    }
}

/// Reads a token (RFC 9110 §5.6.2): the name of a field or of a cookie.
pub(crate) fn read_token(text: &str) -> Result<String, Unread> {
    if text.is_empty() {
        return Err(Unread::because("it is empty"));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match text.chars().find(|c| !fits(*c)) {
        Some(odd) => Err(Unread::because(format!("it has {odd:?}"))),
        None => Ok(text.to_owned()),
    }
}

/// Fills in every `${NAME}` of `text` with what `env` knows.
///
/// What is filled in is not read for `${` again.
pub(crate) fn fill_in(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, UnfilledReason> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let (name, after) = after.split_once('}').ok_or(UnfilledReason::Open)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fits) {
            return Err(UnfilledReason::Name(name.to_owned()));
        }
        filled.push_str(&env(name).ok_or_else(|| UnfilledReason::Unset(name.to_owned()))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Why `${NAME}` cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnfilledReason {
    /// There is no `}` behind `${`.
    Open,
    /// What stands between the braces is not the name of a variable.
    Name(String),
    /// The environment has no variable of that name.
    Unset(String),
}

fn number(text: &str) -> Result<(u64, &str), Unread> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Err(Unread::because("a number is missing"));
    }
    let number = digits
        .parse()
        .map_err(|error: std::num::ParseIntError| Unread::because(format!("{error}")))?;
    Ok((number, rest))
}

fn letters(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len()))
}

fn no_unit(after: &str) -> Unread {
    match after.chars().next() {
        None => Unread::because("it has no unit"),
        Some(odd) => Unread::because(format!("it has {odd:?} where a unit belongs")),
    }
}

fn unfit_unit(unit: &str) -> Unread {
    if DURATION_UNITS.iter().any(|(name, _)| *name == unit) {
        return Unread::because("its units do not go from long to short");
    }
    Unread::because(format!("the unit is {unit:?}, not one of ms, s, m, h, d"))
}

fn too_long() -> Unread {
    Unread::because("it is longer than 68 years")
}

fn read_port(text: &str) -> Result<u16, Unread> {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        Ok(_) | Err(_) => Err(Unread::because("its port is not between 1 and 65535")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_duration(text: &str, millis: u64) {
        assert_eq!(read_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }

    #[track_caller]
    fn check_size(text: &str, bytes: u64) {
        assert_eq!(read_size(text), Ok(bytes), "{text}");
    }

    #[track_caller]
    fn check_server(text: &str, tls: bool, host: &str, port: u16, written: &str) {
        let server = read_server(text).unwrap();
        assert_eq!((server.tls, server.host.as_str(), server.port), (tls, host, port), "{text}");
        assert_eq!(server.to_string(), written);
    }

    #[test]
    fn reads_addresses_and_blocks_of_them() {
        for (text, written) in [
            ("127.0.0.1", "127.0.0.1/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1/128"),
            ("FD00::/8", "fd00::/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ] {
            let network = read_network(text).map(|network| network.to_string());
            assert_eq!(network.as_deref(), Ok(written), "{text}");
        }
        for text in ["", "10", "10.0.0.0/33", "10.0.0.0/", "::/129", "localhost", "[::1]", " ::1"] {
            assert!(read_network(text).is_err(), "{text}");
        }
        let unread = read_network("10.0.0.1/8").unwrap_err().to_string();
        assert!(unread.contains("10.0.0.0/8"), "{unread}");
    }

    #[test]
    fn reads_durations_of_one_and_of_several_units() {
        check_duration("300ms", 300);
        check_duration("5s", 5_000);
        check_duration("5m", 300_000);
        check_duration("7d", 604_800_000);
        check_duration("1h30m", 5_400_000);
        check_duration("1d1h1m1s1ms", 90_061_001);
        check_duration("0s", 0);
        check_duration("0024h", 86_400_000);
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for text in ["", "0", "5", "s", "1.5h", "-1s", "1s1m", "1s1s", " 1s", "1S", "1s ", "١s"] {
            assert!(read_duration(text).is_err(), "{text}");
        }
        assert!(read_duration("2147483648s").is_ok());
        assert!(read_duration("2147483649s").is_err());
        assert!(read_duration("18446744073709551615d").is_err());
        assert!(read_duration("18446744073709551616ms").is_err());
    }

    #[test]
    fn reads_sizes_in_powers_of_two_and_of_ten() {
        check_size("0B", 0);
        check_size("64KiB", 65_536);
        check_size("512MiB", 536_870_912);
        check_size("20GiB", 21_474_836_480);
        check_size("10MB", 10_000_000);
        check_size("1TB", 1_000_000_000_000);
    }

    #[test]
    fn refuses_what_is_not_a_size() {
        for text in ["", "0", "64", "MiB", "64 MiB", "64mib", "-1B", "1.5GiB", "1GiB1MiB"] {
            assert!(read_size(text).is_err(), "{text}");
        }
        assert!(read_size("16777215TiB").is_ok());
        assert!(read_size("16777216TiB").is_err());
    }

    #[test]
    fn reads_origin_servers() {
        check_server("http://127.0.0.1:8000", false, "127.0.0.1", 8000, "http://127.0.0.1:8000");
        check_server("http://A.Example", false, "a.example", 80, "http://a.example");
        check_server("https://a.example/", true, "a.example", 443, "https://a.example");
        check_server("https://a.example:80", true, "a.example", 80, "https://a.example:80");
        check_server("http://[::1]:8000", false, "::1", 8000, "http://[::1]:8000");
        check_server("https://[2001:DB8::1]", true, "2001:db8::1", 443, "https://[2001:db8::1]");
    }

    #[test]
    fn refuses_what_is_not_an_origin_server() {
        for text in [
            "",
            "http://",
            "http:///",
            "http://a//",
            "http://a?b",
            "http://a#b",
            "http://a b",
            "http://a:",
            "http://a:+80",
            "http://a:65536",
            "http://[::1",
            "http://[::1]8000",
            "http://[::g]",
            "http://é.example",
            "HTTP://a",
        ] {
            assert!(read_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fills_in_variables_once() {
        let env = |name: &str| match name {
            "A" => Some("${B}".to_owned()),
            "B" => Some(String::new()),
            _ => None,
        };
        assert_eq!(fill_in("x${A}y${B}z$", &env), Ok("x${B}yz$".to_owned()));
        assert_eq!(fill_in("${C}", &env), Err(UnfilledReason::Unset("C".to_owned())));
        assert_eq!(fill_in("${}", &env), Err(UnfilledReason::Name(String::new())));
        assert_eq!(fill_in("a${A", &env), Err(UnfilledReason::Open));
    }

    proptest! {
        #[test]
        fn reads_the_duration_that_it_wrote(millis in 0..=LONGEST.as_secs() * 1000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(read_duration(&write_duration(duration)), Ok(duration));
        }

        #[test]
        fn reads_the_size_that_it_wrote(base: u64, shift in 0..64u32) {
            let bytes = base >> shift << (shift / 2);
            prop_assert_eq!(read_size(&write_size(bytes)), Ok(bytes));
        }

        #[test]
        fn reads_the_server_that_it_wrote(text in r"https?://([a-z]{1,3}\.[a-z]{2}|\[::[0-9a-f]{1,4}\])(:[1-9][0-9]{0,3})?") {
            let server = read_server(&text).unwrap();
            prop_assert_eq!(read_server(&server.to_string()), Ok(server));
        }

        #[test]
        fn a_pattern_matches_what_is_read(text in "[0-9]{0,3}[A-Za-z_.% -]{0,3}([0-9]{1,2}[hms]{1,2}){0,2}") {
            let matches = |pattern| regex::Regex::new(pattern).unwrap().is_match(&text);
            // A text may match and be too long or too large; an empty one is told by its length.
            prop_assert_eq!(
                read_duration(&text).is_ok(),
                matches(DURATION_PATTERN) && !text.is_empty()
            );
            prop_assert_eq!(read_size(&text).is_ok(), matches(SIZE_PATTERN));
            prop_assert_eq!(read_name(&text).is_ok(), matches(NAME_PATTERN));
            prop_assert_eq!(read_token(&text).is_ok(), matches(TOKEN_PATTERN));
        }

        #[test]
        fn survives_any_text(text: String) {
            prop_assert_eq!(read_duration(&text).is_ok() && read_size(&text).is_ok(), false);
            prop_assert_eq!(read_address(&text).is_ok() && read_server(&text).is_ok(), false);
            let opens = text.contains("${");
            prop_assert_eq!(fill_in(&text, &|_| None).is_ok(), !opens);
        }
    }
}
