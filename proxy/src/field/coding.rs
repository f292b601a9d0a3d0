//! Content codings, and `Accept-Encoding` brought down to the few answers that make a difference
//! (RFC 9110 §8.4.1, §12.5.3).

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use super::{list, preference};

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

/// The name of a coding, or of there being none.
#[must_use]
pub const fn token(coding: Option<Coding>) -> &'static str {
    match coding {
        Some(coding) => coding.token(),
        None => "identity",
    }
}

/// A body is in a coding that the edge cannot read, or in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign;

/// The coding that a body with `fields` is in; nothing if it is plain. `identity` is none
/// (RFC 9110 §8.4).
///
/// # Errors
///
/// [`Foreign`] if it is another one, or more than one.
pub fn of_body(fields: &HeaderMap) -> Result<Option<Coding>, Foreign> {
    let is = |said: &[u8], name: &str| said.eq_ignore_ascii_case(name.as_bytes());
    let mut said = list::members(fields, &CONTENT_ENCODING).filter(|said| !is(said, "identity"));
    let (Some(first), second) = (said.next(), said.next()) else { return Ok(None) };
    let known = Coding::ALL.into_iter().zip(NAMES);
    let mut known = known.filter(|(_, names)| names.iter().any(|name| is(first, name)));
    match (known.next(), second) {
        (Some((coding, _)), None) => Ok(Some(coding)),
        (Some(_), Some(_)) | (None, _) => Err(Foreign),
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

/// How much a client likes each coding, in thousandths; zero is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// One for each of [`Coding::ALL`].
    codings: [u16; 3],
    /// That of the plain body, if anything is said of it.
    plain: Option<u16>,
}

impl Weights {
    /// Reads `Accept-Encoding`.
    ///
    /// To say nothing would be to take everything (RFC 9110 §12.5.3). Who says nothing seldom can
    /// read a coding, so it counts as taking the plain body alone.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut named: [Option<u16>; 4] = [None; 4];
        let mut others = None;
        for (name, weight) in preference::weighted(headers, &ACCEPT_ENCODING) {
            let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
            match NAMES.iter().position(|names| names.iter().any(is)) {
                Some(at) => {
                    if let Some(told) = named.get_mut(at) {
                        *told = Some(weight);
                    }
                }
                None if name == b"*" => others = Some(weight),
                None => {}
            }
        }
        let [br, gzip, zstd, plain] = named.map(|weight| weight.or(others));
        Self { codings: [br, gzip, zstd].map(|weight| weight.unwrap_or(0)), plain }
    }

    /// How much it likes `coding`.
    #[must_use]
    pub const fn of(self, coding: Coding) -> u16 {
        let [br, gzip, zstd] = self.codings;
        match coding {
            Coding::Br => br,
            Coding::Gzip => gzip,
            Coding::Zstd => zstd,
        }
    }

    /// How much it likes the plain body; nothing if it does not say: then it takes it, after all
    /// that it names.
    #[must_use]
    pub const fn of_plain(self) -> Option<u16> {
        self.plain
    }
}

/// What the client takes, in one of sixteen forms; `None` if it does not say.
///
/// Which coding it likes best is left out: whoever answers chooses among those that it takes.
#[must_use]
pub fn accepted(headers: &HeaderMap) -> Option<&'static str> {
    headers.get(ACCEPT_ENCODING)?;
    let weights = Weights::read(headers);
    let taken = Coding::ALL.into_iter().enumerate().filter(|(_, coding)| weights.of(*coding) > 0);
    let class = taken.map(|(at, _)| 1 << at).sum::<usize>();
    // The plain body is fine unless it is ruled out, by name or among all others.
    let refused = weights.plain == Some(0);
    CLASSES.get(class + if refused { 1 << IDENTITY } else { 0 }).copied()
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

    #[track_caller]
    fn check_weights(lines: &[&str], br_gzip_zstd: [u16; 3], plain: Option<u16>) {
        let weights = Weights::read(&testing::lines("accept-encoding", lines));
        assert_eq!(weights, Weights { codings: br_gzip_zstd, plain }, "{lines:?}");
    }

    #[test]
    fn keeps_how_much_each_is_liked() {
        check_weights(&["br;q=0.5, X-Gzip", "zstd;Q=0.001"], [500, 1000, 1], None);
        check_weights(&["gzip;q=0.5, *;q=0.1"], [100, 500, 100], Some(100));
        check_weights(&["identity;q=0.2, *;q=0"], [0, 0, 0], Some(200));
        check_weights(&["*;q=0"], [0, 0, 0], Some(0));
        check_weights(&["deflate, br;level=4"], [1000, 0, 0], None);
        check_weights(&[""], [0, 0, 0], None);
        check_weights(&[], [0, 0, 0], None);
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
