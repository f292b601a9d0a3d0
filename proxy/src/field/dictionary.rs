//! What the fields of Compression Dictionary Transport say (RFC 9842).
//!
//! A client says in `Available-Dictionary` the SHA-256 of a response that it has kept, and an answer
//! may then be written as a difference from that. Which responses it keeps for what, an origin, or
//! the edge in its place, says in `Use-As-Dictionary`.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ring::digest;
use sfv::Parser;

use super::coding::Coding;
use super::preference;

/// `Available-Dictionary` (RFC 9842 §2.2).
pub const AVAILABLE: HeaderName = HeaderName::from_static("available-dictionary");
/// `Dictionary-ID` (RFC 9842 §2.3): what a server may have named a dictionary. The edge gives none.
pub const ID: HeaderName = HeaderName::from_static("dictionary-id");
/// `Use-As-Dictionary` (RFC 9842 §2.1).
pub const USE_AS: HeaderName = HeaderName::from_static("use-as-dictionary");

/// A content coding that refers to a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DictionaryCoding {
    /// `dcb`: `br` with a dictionary (RFC 9842 §4).
    Dcb,
    /// `dcz`: `zstd` with a dictionary (RFC 9842 §5).
    Dcz,
}

impl DictionaryCoding {
    /// Both, the one that makes less of a body first.
    pub const ALL: [Self; 2] = [Self::Dcb, Self::Dcz];

    /// Its name, as `Content-Encoding` says it.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Dcb => "dcb",
            Self::Dcz => "dcz",
        }
    }

    /// The coding that it is without a dictionary.
    #[must_use]
    pub const fn plain(self) -> Coding {
        match self {
            Self::Dcb => Coding::Br,
            Self::Dcz => Coding::Zstd,
        }
    }
}

/// The SHA-256 of a dictionary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Hash::LENGTH]);

impl Hash {
    /// Its length in bytes.
    pub const LENGTH: usize = 32;
    /// How many characters [`Hash::short`] has.
    pub const SHORT: usize = 8;

    /// That of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// What the client says in `Available-Dictionary` that it has; nothing if it says nothing, or
    /// nothing that can be read.
    #[must_use]
    pub fn available(fields: &HeaderMap) -> Option<Self> {
        let mut lines = fields.get_all(AVAILABLE).iter();
        let line = lines.next()?;
        // An item stands in one line (RFC 9651 §3.3).
        if lines.next().is_some() {
            return None;
        }
        let Ok(item) = Parser::parse_item(line.as_bytes()) else { return None };
        let Ok(bytes) = item.bare_item.as_byte_seq()?.as_slice().try_into() else { return None };
        Some(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The first eight of its digits, which tell it from others in the tag of an answer.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// How much a client likes each coding with a dictionary, in thousandths; zero is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weights([u16; 2]);

impl Weights {
    /// Reads `Accept-Encoding`. `*` stands for none of them: who does not name a coding of this
    /// kind hardly knows how to read it.
    #[must_use]
    pub fn read(fields: &HeaderMap) -> Self {
        let mut weights = [0; 2];
        for (name, weight) in preference::weighted(fields, &header::ACCEPT_ENCODING) {
            let is =
                |coding: &DictionaryCoding| name.eq_ignore_ascii_case(coding.token().as_bytes());
            let at = DictionaryCoding::ALL.iter().position(is);
            if let Some(told) = at.and_then(|at| weights.get_mut(at)) {
                *told = weight;
            }
        }
        Self(weights)
    }

    /// How much it likes `coding`.
    #[must_use]
    pub const fn of(self, coding: DictionaryCoding) -> u16 {
        let Self([dcb, dcz]) = self;
        match coding {
            DictionaryCoding::Dcb => dcb,
            DictionaryCoding::Dcz => dcz,
        }
    }
}

/// Paths that are the same but for one piece, for which any characters may stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// What stands before that piece.
    pub before: String,
    /// What stands behind it.
    pub after: String,
}

impl Pattern {
    /// What `Use-As-Dictionary` says of a response that is a dictionary for these paths; nothing if
    /// they have a character that it cannot say.
    #[must_use]
    pub fn use_as(&self) -> Option<HeaderValue> {
        let mut value = String::from("match=\"");
        write_literal(&self.before, &mut value)?;
        value.push('*');
        write_literal(&self.after, &mut value)?;
        value.push('"');
        Some(HeaderValue::try_from(value).expect("visible characters make a field value"))
    }
}

/// Writes `literal` as it stands in a URL pattern within a string of a structured field.
fn write_literal(literal: &str, out: &mut String) -> Option<()> {
    for char in literal.chars() {
        match char {
            // What means more than itself in a pattern stands behind a backslash, and that behind
            // another one in a string.
            '*' | '+' | '?' | ':' | '{' | '}' | '(' | ')' => out.extend(['\\', '\\', char]),
            // No path in its one form has these.
            '\\' | '"' => return None,
            '!'..='~' => out.push(char),
            _ => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sfv::{ListEntry, Parser};

    use super::*;
    use crate::field::testing::{append, hostile, lines};

    const ONE: &str = ":pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4=:";

    #[track_caller]
    fn check(written: &[&str], expected: Option<Hash>) {
        let fields = lines("available-dictionary", written);
        assert_eq!(Hash::available(&fields), expected, "{written:?}");
    }

    #[test]
    fn reads_the_hash_that_a_client_says() {
        let hash = Some(Hash::of(b"Hello World"));
        check(&[ONE], hash);
        check(&[&format!("  {ONE}  ")], hash);
        check(&[&format!("{ONE};later=1")], hash);
    }

    #[test]
    fn what_is_malformed_is_not_said() {
        let bare = ONE.trim_matches(':');
        let quoted = format!("\"{bare}\"");
        for line in ["", "::", ":AA==:", bare, &quoted, ":pZGm", "(:AA==:)", "a", "1", "?1"] {
            check(&[line], None);
        }
        check(&[&format!("{ONE}, {ONE}")], None);
        check(&[ONE, ONE], None);
        check(&[], None);
    }

    #[track_caller]
    fn check_weights(accepted: &[&str], expected: [u16; 2]) {
        let weights = Weights::read(&lines("accept-encoding", accepted));
        assert_eq!(
            DictionaryCoding::ALL.map(|coding| weights.of(coding)),
            expected,
            "{accepted:?}"
        );
    }

    #[test]
    fn reads_how_much_each_coding_is_liked() {
        check_weights(&["gzip, deflate, br, zstd, dcb, dcz"], [1000, 1000]);
        check_weights(&["DCB;q=0.5", "dcz;q=0"], [500, 0]);
        check_weights(&["*"], [0, 0]);
        check_weights(&["br"], [0, 0]);
        check_weights(&[], [0, 0]);
    }

    #[track_caller]
    fn check_use_as(before: &str, after: &str, expected: Option<&str>) {
        let pattern = Pattern { before: before.to_owned(), after: after.to_owned() };
        let value = pattern.use_as();
        assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), expected);
    }

    #[test]
    fn writes_paths_as_patterns() {
        check_use_as("/app.", ".js", Some("match=\"/app.*.js\""));
        check_use_as("/a%20b/app-", "", Some("match=\"/a%20b/app-*\""));
        check_use_as("/a(1):*/x.", ".js", Some(r#"match="/a\\(1\\)\\:\\*/x.*.js""#));
        check_use_as("/a\"b.", ".js", None);
        check_use_as("/ä.", ".js", None);
    }

    proptest! {
        #[test]
        fn writes_only_what_can_be_read(before in "/[ -~]{0,20}", after in "[ -~]{0,20}") {
            let pattern = Pattern { before, after };
            if let Some(value) = pattern.use_as() {
                let read = Parser::parse_dictionary(value.as_bytes()).unwrap();
                let Some(ListEntry::Item(item)) = read.get("match") else { panic!("{value:?}") };
                let read = item.bare_item.as_str().unwrap();
                prop_assert_eq!(
                    read.replace('\\', ""),
                    format!("{}*{}", pattern.before, pattern.after)
                );
            }
        }

        #[test]
        fn reads_whatever_is_said(lines: Vec<Vec<u8>>, more in "[a-z;=, ]{0,12}") {
            let mut fields = hostile("available-dictionary", &lines);
            append(&mut fields, "accept-encoding", &[&more]);
            if Hash::available(&fields).is_some() {
                prop_assert_eq!(fields.get_all(AVAILABLE).iter().count(), 1);
            }
            let weights = Weights::read(&fields);
            prop_assert!(weights.of(DictionaryCoding::Dcb) <= 1000);
        }
    }
}
