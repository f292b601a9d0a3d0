//! Matches the names of query parameters and cookies.

use std::fmt;

use crate::decode::Text;
use crate::text::Unread;

/// The most stars in one pattern: matching takes time in proportion to their number.
const MOST_STARS: usize = 4;

/// The parameters by which advertisers and mailings track people.
const TRACKING: [&str; 24] = [
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "dclid",
    "epik",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "igshid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "s_kwcid",
    "srsltid",
    "ttclid",
    "twclid",
    "utm_*",
    "wbraid",
    "yclid",
];

/// Patterns for all parameters of tracking.
pub(crate) fn tracking() -> impl Iterator<Item = NamePattern> {
    TRACKING.into_iter().map(NamePattern::new)
}

/// A pattern for a name, in which `*` stands for any characters; case matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    /// Most patterns have no star, and a request may have thousands of names.
    has_star: bool,
}

impl NamePattern {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), has_star: text.contains('*') }
    }

    /// Whether the whole of `name` is meant.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        if !self.has_star {
            return self.text.as_bytes() == name;
        }
        let mut pieces = self.text.as_bytes().split(|&byte| byte == b'*');
        let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            let found = rest.windows(piece.len()).position(|window| window == piece);
            let Some(behind) = found.and_then(|at| rest.get(at + piece.len()..)) else {
                return false;
            };
            rest = behind;
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Text for NamePattern {
    const EXPECTED: &'static str = "a name such as \"page\" or \"utm_*\"";
    const PATTERN: &'static str = "^[^\\s&=;]+$";

    fn read(text: &str) -> Result<Self, Unread> {
        let wrong = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '&' | '=' | ';');
        if text.is_empty() {
            return Err(Unread::because("it is empty"));
        }
        if let Some(c) = text.chars().find(|c| wrong(*c)) {
            return Err(Unread::because(format!("it has {c:?}")));
        }
        if text.matches('*').count() > MOST_STARS {
            return Err(Unread::because(format!("it has more than {MOST_STARS} stars")));
        }
        Ok(Self::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        let read = NamePattern::read(pattern).expect("it is a pattern");
        assert_eq!(read.matches(name.as_bytes()), expected, "{pattern} {name}");
    }

    #[test]
    fn matches_the_whole_name() {
        check("page", "page", true);
        for name in ["Page", "pages", "apage", "", "pag"] {
            check("page", name, false);
        }
    }

    #[test]
    fn takes_any_characters_for_a_star() {
        for name in ["utm_", "utm_source", "utm_*"] {
            check("utm_*", name, true);
        }
        check("utm_*", "utm", false);
        check("*", "", true);
        check("*", "a", true);
        check("*id", "id", true);
        check("*id", "ids", false);
        check("a*b*c", "abc", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "acb", false);
        check("ab*ba", "aba", false);
        check("**", "x", true);
    }

    #[test]
    fn knows_only_patterns_that_can_be_written() {
        for pattern in TRACKING {
            assert!(NamePattern::read(pattern).is_ok(), "{pattern}");
        }
        for pattern in ["", "a b", "a=b", "a&b", "*****"] {
            assert!(NamePattern::read(pattern).is_err(), "{pattern}");
        }
    }
}
