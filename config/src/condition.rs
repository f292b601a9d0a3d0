//! What a request has to carry, or must not: header fields, query parameters, cookies.

pub(crate) mod written;

use std::borrow::Cow;
use std::fmt;

use memchr::memmem::Finder;

use crate::text::Unread;

/// The longest pattern of a value, in bytes.
const LONGEST_VALUE: usize = 1024;

/// The header fields of a request.
pub trait Fields {
    /// Whether `holds` does for the value of a line of the field `name`, which is in lower case.
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// Names and values, one for each line.
impl<N: AsRef<str>, V: AsRef<[u8]>> Fields for Vec<(N, V)> {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.iter()
            .any(|(own, value)| own.as_ref().eq_ignore_ascii_case(name) && holds(value.as_ref()))
    }
}

/// What is wanted under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The name; that of a header field is in lower case.
    pub name: String,
    /// What is wanted.
    pub wanted: Wanted,
}

/// What is wanted of what has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// It is there, whatever its value.
    Present,
    /// It is not there.
    Absent,
    /// It is there with such a value; of several, one is enough.
    Like(ValuePattern),
}

/// Hands the values that have a name to a test until it passes; says whether it did.
type Values<'a> = dyn FnMut(&mut dyn FnMut(&[u8]) -> bool) -> bool + 'a;

impl Condition {
    /// Whether it holds for the header fields of a request.
    pub(crate) fn holds_for_fields(&self, fields: &dyn Fields) -> bool {
        self.wanted.holds(&mut |test| fields.any(&self.name, &mut |line| test(line.trim_ascii())))
    }

    /// Whether it holds for the query of a request.
    pub(crate) fn holds_for_query(&self, query: Option<&str>) -> bool {
        let query = query.unwrap_or("").as_bytes();
        self.wanted.holds(&mut |test| {
            parameters(query)
                .filter(|(name, _)| decoded(name).eq(self.name.bytes()))
                .any(|(_, value)| test(&decoded_value(value)))
        })
    }

    /// Whether it holds for the cookies among the header fields of a request.
    pub(crate) fn holds_for_cookies(&self, fields: &dyn Fields) -> bool {
        self.wanted.holds(&mut |test| {
            fields.any("cookie", &mut |line| {
                cookies(line)
                    .filter(|(name, _)| *name == self.name.as_bytes())
                    .any(|(_, value)| test(value))
            })
        })
    }

    /// Whether it surely holds where `other` does.
    pub(crate) fn follows_from(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.wanted, &other.wanted) {
                (Wanted::Present, Wanted::Present | Wanted::Like(_))
                | (Wanted::Absent, Wanted::Absent) => true,
                (Wanted::Like(wider), Wanted::Like(narrower)) => wider.covers(narrower),
                (Wanted::Present | Wanted::Like(_), Wanted::Absent)
                | (Wanted::Absent | Wanted::Like(_), Wanted::Present)
                | (Wanted::Absent, Wanted::Like(_)) => false,
            }
    }
}

impl Wanted {
    fn holds(&self, any: &mut Values<'_>) -> bool {
        match self {
            Self::Present => any(&mut |_| true),
            Self::Absent => !any(&mut |_| true),
            Self::Like(pattern) => any(&mut |value| pattern.matches(value)),
        }
    }
}

/// A pattern of a value, in which `*` stands for any characters, also none; case matters.
#[derive(Debug, Clone)]
pub struct ValuePattern {
    written: String,
    /// What the value begins with; the whole value if there is no star.
    start: String,
    /// What stands between two stars, in this order.
    between: Vec<Finder<'static>>,
    /// What the value ends with, if there is a star.
    end: Option<String>,
}

impl ValuePattern {
    /// Reads a pattern.
    pub(crate) fn read(text: &str) -> Result<Self, Unread> {
        if text.is_empty() {
            return Err(Unread::because("it is empty"));
        }
        if text.len() > LONGEST_VALUE {
            return Err(Unread::because(format!("it is longer than {LONGEST_VALUE} bytes")));
        }
        if let Some(odd) = text.chars().find(|c| c.is_control()) {
            return Err(Unread::because(format!("it has {odd:?}")));
        }
        let (start, rest) = match text.split_once('*') {
            Some((start, rest)) => (start, Some(rest)),
            None => (text, None),
        };
        let (between, end) = match rest.map(|rest| rest.rsplit_once('*').unwrap_or(("", rest))) {
            Some((between, end)) => (between, Some(end.to_owned())),
            None => ("", None),
        };
        let between = between.split('*').filter(|piece| !piece.is_empty());
        let between = between.map(|piece| Finder::new(piece).into_owned()).collect();
        Ok(Self { written: text.to_owned(), start: start.to_owned(), between, end })
    }

    /// Whether it matches the whole of `value`, in time linear in its length.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        let Some(end) = &self.end else { return value == self.start.as_bytes() };
        let rest = value.strip_prefix(self.start.as_bytes());
        let Some(mut rest) = rest.and_then(|rest| rest.strip_suffix(end.as_bytes())) else {
            return false;
        };
        self.between.iter().all(|piece| {
            let found = piece.find(rest).and_then(|at| rest.get(at + piece.needle().len()..));
            rest = found.unwrap_or(rest);
            found.is_some()
        })
    }

    /// Whether it surely matches every value that `other` does.
    fn covers(&self, other: &Self) -> bool {
        // Between patterns with stars, nothing more is worked out.
        self.written == other.written
            || self.written == "*"
            || (other.end.is_none() && self.matches(other.start.as_bytes()))
    }
}

impl PartialEq for ValuePattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for ValuePattern {}

/// Prints it as it was written.
impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The names and values of a query, as they are written.
fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').map(|pair| split(pair).unwrap_or((pair, b"")))
}

/// The names and values of one `Cookie` field.
fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').map(|pair| {
        let (name, value) = split(pair).unwrap_or((pair, b""));
        (name.trim_ascii(), value.trim_ascii())
    })
}

/// What stands before and behind the first `=`.
fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, rest) = pair.split_at_checked(at)?;
    Some((name, rest.get(1..)?))
}

/// What a name or a value of a query stands for; a `%` without two digits stands for itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        rest = after;
        Some(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                (None, _) | (_, None) => b'%',
            },
            (byte, _) => *byte,
        })
    })
}

fn decoded_value(value: &[u8]) -> Cow<'_, [u8]> {
    if value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        Cow::Owned(decoded(value).collect())
    } else {
        Cow::Borrowed(value)
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> ValuePattern {
        ValuePattern::read(text).unwrap()
    }

    fn like(name: &str, text: &str) -> Condition {
        Condition { name: name.to_owned(), wanted: Wanted::Like(pattern(text)) }
    }

    fn present(name: &str) -> Condition {
        Condition { name: name.to_owned(), wanted: Wanted::Present }
    }

    fn absent(name: &str) -> Condition {
        Condition { name: name.to_owned(), wanted: Wanted::Absent }
    }

    #[track_caller]
    fn check(text: &str, matching: &[&str], other: &[&str]) {
        let pattern = pattern(text);
        for value in matching {
            assert!(pattern.matches(value.as_bytes()), "{text} matches {value}");
        }
        for value in other {
            assert!(!pattern.matches(value.as_bytes()), "{text} does not match {value}");
        }
    }

    #[track_caller]
    fn check_query(condition: &Condition, holding: &[&str], other: &[&str]) {
        for query in holding {
            assert!(condition.holds_for_query(Some(query)), "{condition:?} holds for {query}");
        }
        for query in other {
            assert!(!condition.holds_for_query(Some(query)), "{condition:?} fails for {query}");
        }
    }

    #[track_caller]
    fn check_cookies(condition: &Condition, holding: &[&str], other: &[&str]) {
        let holds = |line: &str| condition.holds_for_cookies(&vec![("Cookie", line)]);
        for line in holding {
            assert!(holds(line), "{condition:?} holds for {line}");
        }
        for line in other {
            assert!(!holds(line), "{condition:?} fails for {line}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        check("a", &["a"], &["", "aa", "A", "a "]);
        check("*", &["", "a", "a*b"], &[]);
        check("beta-*", &["beta-", "beta-1"], &["beta", "xbeta-1"]);
        check("*-beta", &["-beta", "1-beta"], &["-beta1"]);
        check("a*a", &["aa", "aba"], &["a", "ab"]);
        check("a*b*c", &["abc", "axbxc", "abbc"], &["ac", "acb", "ab"]);
        check("**a**b**", &["ab", "xaxbx"], &["ba", "a"]);
        check("*ab*ab*", &["abab", "xababx"], &["aab", "aba"]);
    }

    #[test]
    fn a_value_may_have_any_bytes() {
        assert!(pattern("a*b").matches(b"a\xff\nb"));
        assert!(pattern("*é").matches("caf\u{e9}".as_bytes()));
    }

    #[test]
    fn a_field_matches_if_one_line_does() {
        let fields = vec![("X-A", "1"), ("x-b", ""), ("X-a", " 2 ")];
        for condition in
            [like("x-a", "1"), like("x-a", "2"), present("x-a"), present("x-b"), absent("x-c")]
        {
            assert!(condition.holds_for_fields(&fields), "{condition:?}");
        }
        for condition in
            [like("x-a", "3"), like("x-c", "*"), present("x-c"), absent("x-a"), absent("x-b")]
        {
            assert!(!condition.holds_for_fields(&fields), "{condition:?}");
        }
    }

    #[test]
    fn a_query_is_decoded_once_and_split_at_ampersands_alone() {
        let holding = ["a=1", "b&a=1", "a=2&a=1", "%61=1", "a=%31", "&&a=1"];
        check_query(&like("a", "1"), &holding, &["", "a", "A=1", "a=1;b", "b;a=1", "a=%2531"]);
        check_query(&present("a"), &["a", "a=", "a=&b", "b=1&a=2"], &["", "b=a", "aa", "=a"]);
        check_query(&absent("a"), &["", "b", "A"], &["a", "b&a=1", "%61"]);
        check_query(&like("a b", "c d"), &["a+b=c+d", "a%20b=c%20d"], &["a%2Bb=c+d", "a+b=c%2Bd"]);
        check_query(&like("a", "x=y"), &["a=x=y"], &["a=x"]);
        check_query(&like("a", "100%"), &["a=100%", "a=100%25"], &["a=100"]);
        check_query(&like("a", "%zz%"), &["a=%zz%"], &[]);
        check_query(&like("é", "*"), &["%C3%A9", "%c3%a9=1"], &["e"]);
        assert!(absent("a").holds_for_query(None) && !present("a").holds_for_query(None));
    }

    #[test]
    fn cookies_are_told_apart_by_their_whole_name() {
        let holding = ["sid=1", "a=b; sid=1", "a=b;sid=1", " sid = 1 ", "sid=2; sid=1"];
        check_cookies(&like("sid", "1"), &holding, &["", "SID=1", "sid=11", "asid=1", "a=sid=1"]);
        check_cookies(&present("sid"), &["sid", "sid=", "a; sid"], &["", "a=sid", "sida=1"]);
        check_cookies(&absent("sid"), &["", "a=1"], &["sid=1", "a; sid"]);
        assert!(present("b").holds_for_cookies(&vec![("cookie", "a"), ("Cookie", "b")]));
    }

    #[test]
    fn one_condition_may_follow_from_another() {
        let check = |condition: &Condition, other: &Condition, expected: bool| {
            assert_eq!(condition.follows_from(other), expected, "{condition:?} {other:?}");
        };
        check(&present("a"), &like("a", "1"), true);
        check(&present("a"), &present("b"), false);
        check(&absent("a"), &absent("a"), true);
        check(&absent("a"), &like("a", "1"), false);
        check(&like("a", "*"), &present("a"), false);
        check(&like("a", "b*"), &like("a", "bc"), true);
        check(&like("a", "b*"), &like("a", "b*"), true);
        check(&like("a", "b*"), &like("a", "b*c"), false);
        check(&like("a", "*"), &like("a", "b*"), true);
        check(&like("a", "1"), &like("a", "2"), false);
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_the_same_expression_does(
            text in "[ab*]{1,8}", value in "[ab]{0,12}",
        ) {
            let expression = format!("^{}$", text.replace('*', ".*"));
            let expected = regex::Regex::new(&expression).unwrap().is_match(&value);
            prop_assert_eq!(pattern(&text).matches(value.as_bytes()), expected);
        }

        #[test]
        fn any_query_and_any_cookies_are_read(text: String, name in "[a%]{1,3}") {
            let (there, not) = (present(&name), absent(&name));
            prop_assert_ne!(there.holds_for_query(Some(&text)), not.holds_for_query(Some(&text)));
            let fields = vec![("cookie", &text)];
            prop_assert_ne!(there.holds_for_cookies(&fields), not.holds_for_cookies(&fields));
        }
    }
}
