//! Content codings, and `Accept-Encoding` brought down to the few answers that make a difference
//! (RFC 9110 §8.4.1, §12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::preference;

/// A content coding that the edge can make and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// `br` (RFC 7932).
    Br,
    /// `gzip` (RFC 1952).
    Gzip,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Self; 3] = [Self::Br, Self::Gzip, Self::Zstd];

    /// Its name, as `Content-Encoding` says it.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The content codings that are told apart, and what each set of them is written as; the place in
/// the list has a bit for each of `br`, `gzip`, `zstd`, and one where the plain body is refused.
const CLASSES: [&str; 16] = [
    "identity",
    "br",
    "gzip",
    "br, gzip",
    "zstd",
    "br, zstd",
    "gzip, zstd",
    "br, gzip, zstd",
    "identity;q=0",
    "br, identity;q=0",
    "gzip, identity;q=0",
    "br, gzip, identity;q=0",
    "zstd, identity;q=0",
    "br, zstd, identity;q=0",
    "gzip, zstd, identity;q=0",
    "br, gzip, zstd, identity;q=0",
];
/// The names of a coding, each at the place of its bit.
const NAMES: [[&str; 2]; 4] =
    [["br", "br"], ["gzip", "x-gzip"], ["zstd", "zstd"], ["identity", "identity"]];
const IDENTITY: usize = 3;

/// What the client takes, in one of sixteen forms; `None` if it does not say.
///
/// Which coding it likes best is left out: whoever answers chooses among those that it takes.
#[must_use]
pub fn accepted(headers: &HeaderMap) -> Option<&'static str> {
    headers.get(ACCEPT_ENCODING)?;
    let mut named: [Option<bool>; 4] = [None; 4];
    let mut others = None;
    for (name, weight) in preference::weighted(headers, &ACCEPT_ENCODING) {
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        match NAMES.iter().position(|names| names.iter().any(is)) {
            Some(at) => {
                if let Some(taken) = named.get_mut(at) {
                    *taken = Some(weight > 0);
                }
            }
            None if name == b"*" => others = Some(weight > 0),
            None => {}
        }
    }
    let takes = |at: usize, otherwise| named.get(at).copied().flatten().unwrap_or(otherwise);
    let codings = (0..IDENTITY).filter(|at| takes(*at, others == Some(true)));
    let class = codings.map(|at| 1 << at).sum::<usize>();
    // The plain body is fine unless it is ruled out, by name or among all others.
    let plain = takes(IDENTITY, others != Some(false));
    CLASSES.get(class + if plain { 0 } else { 1 << IDENTITY }).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(lines: &[&str], expected: Option<&str>) {
        let headers = testing::lines("accept-encoding", lines);
        assert_eq!(accepted(&headers), expected, "{lines:?}");
    }

    #[test]
    fn says_what_browsers_take_in_one_form() {
        check(&["gzip, deflate, br, zstd"], Some("br, gzip, zstd"));
        check(&["zstd, br, gzip"], Some("br, gzip, zstd"));
        check(&["gzip, deflate, br"], Some("br, gzip"));
        check(&["br;q=1.0, gzip;q=0.8, *;q=0.1"], Some("br, gzip, zstd"));
        check(&["gzip", "BR"], Some("br, gzip"));
        check(&["x-gzip"], Some("gzip"));
    }

    #[test]
    fn leaves_out_what_is_refused_or_unknown() {
        check(&["gzip;q=0, br"], Some("br"));
        check(&["deflate"], Some("identity"));
        check(&["identity"], Some("identity"));
        check(&[""], Some("identity"));
        check(&["*, gzip;q=0"], Some("br, zstd"));
    }

    #[test]
    fn tells_where_the_plain_body_is_refused() {
        check(&["gzip, identity;q=0"], Some("gzip, identity;q=0"));
        check(&["br, *;q=0"], Some("br, identity;q=0"));
        check(&["identity, *;q=0"], Some("identity"));
    }

    #[test]
    fn says_nothing_of_who_says_nothing() {
        check(&[], None);
    }

    #[test]
    fn stays_the_same_when_it_is_read_again() {
        for class in CLASSES {
            check(&[class], Some(class));
        }
    }
}
