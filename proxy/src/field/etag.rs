//! Entity tags and the conditions that name them (RFC 9110 §8.8.3, §13.1).

use bytes::Bytes;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{date, list};
use crate::time::Timestamp;

/// Tags of one condition past this many are left out, and so match nothing.
const MAX_TAGS: usize = 256;

/// An entity tag.
///
/// Its `==` tells whether two are the same in every part; to compare what they stand for use
/// [`strong_eq`](Self::strong_eq) or [`weak_eq`](Self::weak_eq).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag {
    /// Whether it was marked with `W/`.
    pub weak: bool,
    /// What stands between the quotes; never holds a quote.
    pub opaque: Bytes,
}

/// What `If-Match` or `If-None-Match` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `*`: whatever there is.
    Any,
    /// One of these. Empty if none could be read, and then it matches nothing.
    Tags(Vec<EntityTag>),
}

/// What `If-Range` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfRange {
    /// The representation with this tag, compared strongly.
    Tag(EntityTag),
    /// The representation last modified exactly then.
    Date(Timestamp),
    /// Something that cannot be read, which no representation fulfils.
    Invalid,
}

impl EntityTag {
    /// Reads one entity tag.
    ///
    /// A tag without quotes is taken for the same tag with them, and `w/` for `W/`, as some origins
    /// write them.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (tag, rest) = leading_tag(list::trim(text))?;
        rest.is_empty().then_some(tag)
    }

    /// Prints it as a field value, with its quotes.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        let mark: &[u8] = if self.weak { b"W/" } else { b"" };
        let text = [mark, b"\"", &self.opaque, b"\""].concat();
        HeaderValue::from_bytes(&text).expect("a tag is read from a field value")
    }

    /// Whether both stand for the same bytes: neither is weak.
    #[must_use]
    pub fn strong_eq(&self, other: &Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Whether both stand for the same meaning: either may be weak.
    #[must_use]
    pub fn weak_eq(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }
}

impl Condition {
    /// Whether `If-Match` holds for a representation with this tag.
    #[must_use]
    pub fn matches_strongly(&self, tag: Option<&EntityTag>) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
        //# An origin server MUST use the strong comparison function when
        //# comparing entity tags for If-Match
        self.matches(tag, EntityTag::strong_eq)
    }

    /// Whether `If-None-Match` names a representation with this tag.
    #[must_use]
    pub fn matches_weakly(&self, tag: Option<&EntityTag>) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
        //# A recipient MUST use the weak comparison function when comparing
        //# entity tags for If-None-Match
        self.matches(tag, EntityTag::weak_eq)
    }

    fn matches(&self, tag: Option<&EntityTag>, eq: fn(&EntityTag, &EntityTag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tag.is_some_and(|tag| tags.iter().any(|named| eq(named, tag))),
        }
    }
}

/// The tag of a response; `None` also if it cannot be read, or its lines differ.
#[must_use]
pub fn etag(headers: &HeaderMap) -> Option<EntityTag> {
    date::only_line(headers, &ETAG).and_then(EntityTag::parse)
}

/// What `If-Match` asks for; `None` if it is absent.
#[must_use]
pub fn if_match(headers: &HeaderMap) -> Option<Condition> {
    condition(headers, &IF_MATCH)
}

/// What `If-None-Match` asks for; `None` if it is absent.
#[must_use]
pub fn if_none_match(headers: &HeaderMap) -> Option<Condition> {
    condition(headers, &IF_NONE_MATCH)
}

/// What `If-Range` asks for; `None` if it is absent.
#[must_use]
pub fn if_range(headers: &HeaderMap) -> Option<IfRange> {
    headers.get(IF_RANGE)?;
    let Some(line) = date::only_line(headers, &IF_RANGE) else { return Some(IfRange::Invalid) };
    if let Some(at) = date::parse(line) {
        return Some(IfRange::Date(at));
    }
    // Without its quotes a tag cannot be told from a malformed date.
    let tag = if line.contains(&b'"') { EntityTag::parse(line) } else { None };
    Some(tag.map_or(IfRange::Invalid, IfRange::Tag))
}

fn condition(headers: &HeaderMap, name: &HeaderName) -> Option<Condition> {
    headers.get(name)?;
    let lines = headers.get_all(name);
    let mut whole = lines.iter().map(|line| list::trim(line.as_bytes()));
    if whole.all(|line| line == b"*") {
        return Some(Condition::Any);
    }
    let mut tags = Vec::new();
    for line in lines {
        let mut rest = line.as_bytes();
        while !rest.is_empty() && tags.len() < MAX_TAGS {
            let (tag, after) = next_member(rest);
            tags.extend(tag);
            rest = after;
        }
    }
    Some(Condition::Tags(tags))
}

/// Reads the first member of a list of tags, and what comes after its comma.
///
/// Lists of tags have a splitter of their own because a backslash in a tag escapes nothing.
fn next_member(line: &[u8]) -> (Option<EntityTag>, &[u8]) {
    let (tag, after) = match leading_tag(list::trim(line)) {
        Some((tag, after)) => (Some(tag), after),
        None => (None, line),
    };
    match after.iter().position(|&byte| byte == b',') {
        // Something between the tag and the comma spoils the tag.
        Some(comma) => {
            let is_clean = list::trim(&after[..comma]).is_empty();
            (tag.filter(|_| is_clean), &after[comma + 1..])
        }
        None => (tag.filter(|_| list::trim(after).is_empty()), &[]),
    }
}

/// Reads the tag that `text` begins with, and what comes after it.
fn leading_tag(text: &[u8]) -> Option<(EntityTag, &[u8])> {
    let (weak, text) = match text {
        [b'W' | b'w', b'/', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (opaque, rest) = if let Some(inner) = text.strip_prefix(b"\"") {
        let end = inner.iter().position(|&byte| byte == b'"')?;
        (&inner[..end], &inner[end + 1..])
    } else {
        let end = text.iter().position(|&byte| byte == b',').unwrap_or(text.len());
        let bare = list::trim(&text[..end]);
        let is_tag = bare.iter().all(|byte| !matches!(byte, b'"' | b'*' | b' ' | b'\t'));
        if bare.is_empty() || !is_tag {
            return None;
        }
        (bare, &text[end..])
    };
    Some((EntityTag { weak, opaque: Bytes::copy_from_slice(opaque) }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    fn strong(opaque: &'static str) -> EntityTag {
        EntityTag { weak: false, opaque: Bytes::from_static(opaque.as_bytes()) }
    }

    fn weak(opaque: &'static str) -> EntityTag {
        EntityTag { weak: true, ..strong(opaque) }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a case reads better without ampersands")]
    #[track_caller]
    fn check(text: &str, expected: Option<EntityTag>) {
        assert_eq!(EntityTag::parse(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn reads_one_tag() {
        check(r#""abcdef""#, Some(strong("abcdef")));
        check(r#"W/"abcdef""#, Some(weak("abcdef")));
        check(r#""""#, Some(strong("")));
        check(r#""a\""#, Some(strong(r"a\")));
        check(r#""a,b""#, Some(strong("a,b")));
        check("\"abcdef\u{fc}\"", Some(strong("abcdef\u{fc}")));
    }

    #[test]
    fn forgives_missing_quotes_and_case() {
        check("abcdef", Some(strong("abcdef")));
        check("w/\"abcdef\"", Some(weak("abcdef")));
    }

    #[test]
    fn reads_nothing_else_as_a_tag() {
        for text in ["", "\"", "\"abc", "abc\"", "W/", "*", "a b", "a, b", "W\"a\"", r#""a""b""#] {
            check(text, None);
        }
    }

    #[test]
    fn compares_strongly_and_weakly() {
        let check = |a: &EntityTag, b: &EntityTag, strongly, weakly| {
            assert_eq!((a.strong_eq(b), a.weak_eq(b)), (strongly, weakly), "{a:?} {b:?}");
        };
        check(&strong("1"), &strong("1"), true, true);
        check(&strong("1"), &weak("1"), false, true);
        check(&weak("1"), &weak("1"), false, true);
        check(&weak("1"), &weak("2"), false, false);
    }

    #[expect(clippy::needless_pass_by_value, reason = "a case reads better without ampersands")]
    #[track_caller]
    fn check_condition(lines: &[&str], expected: Option<Condition>) {
        let headers = testing::lines("if-none-match", lines);
        assert_eq!(if_none_match(&headers), expected, "{lines:?}");
    }

    #[test]
    fn reads_lists_of_tags() {
        let tags = |tags: &[EntityTag]| Some(Condition::Tags(tags.to_vec()));
        check_condition(&[], None);
        check_condition(&["*"], Some(Condition::Any));
        check_condition(&[r#""1", W/"2" ,,"3""#], tags(&[strong("1"), weak("2"), strong("3")]));
        check_condition(&[r#""1""#, "abc"], tags(&[strong("1"), strong("abc")]));
        check_condition(
            &[r#""a,b", "c\", "d""#],
            tags(&[strong("a,b"), strong(r"c\"), strong("d")]),
        );
        check_condition(&["abc, \"1\""], tags(&[strong("abc"), strong("1")]));
    }

    #[test]
    fn leaves_malformed_members_out() {
        let tags = |tags: &[EntityTag]| Some(Condition::Tags(tags.to_vec()));
        check_condition(&[""], tags(&[]));
        check_condition(&["*, \"1\""], tags(&[strong("1")]));
        check_condition(&["\"1\"x, \"2\""], tags(&[strong("2")]));
        check_condition(&["\"1"], tags(&[]));
    }

    #[test]
    fn matches_any_representation_with_a_star() {
        assert!(Condition::Any.matches_weakly(None));
        assert!(!Condition::Tags(vec![strong("1")]).matches_weakly(None));
        assert!(Condition::Tags(vec![strong("1")]).matches_weakly(Some(&weak("1"))));
        assert!(!Condition::Tags(vec![strong("1")]).matches_strongly(Some(&weak("1"))));
    }

    #[test]
    fn trusts_no_etag_that_contradicts_itself() {
        assert_eq!(etag(&testing::lines("etag", &["\"1\"", "\"1\""])), Some(strong("1")));
        assert_eq!(etag(&testing::lines("etag", &["\"1\"", "\"2\""])), None);
    }

    #[test]
    fn reads_if_range() {
        let check = |lines: &[&str], expected| {
            assert_eq!(if_range(&testing::lines("if-range", lines)), expected, "{lines:?}");
        };
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        check(&[], None);
        check(&["\"1\""], Some(IfRange::Tag(strong("1"))));
        check(&[date], Some(IfRange::Date(Timestamp::from_seconds(784_111_777))));
        check(&["Sun, 06 Nov 1994"], Some(IfRange::Invalid));
        check(&["\"1\"", date], Some(IfRange::Invalid));
        check(&["\"1\", \"2\""], Some(IfRange::Invalid));
        check(&["1"], Some(IfRange::Invalid));
    }

    proptest! {
        #[test]
        fn reads_what_was_printed(weak: bool, opaque in "[!#-~\u{e9}]{0,20}") {
            let tag = EntityTag { weak, opaque: Bytes::from(opaque) };
            prop_assert_eq!(EntityTag::parse(tag.value().as_bytes()), Some(tag));
        }

        #[test]
        fn reads_any_bytes_without_harm(lines: Vec<Vec<u8>>) {
            let headers = testing::hostile("if-match", &lines);
            if let Some(Condition::Tags(tags)) = if_match(&headers) {
                for tag in tags {
                    prop_assert_eq!(EntityTag::parse(tag.value().as_bytes()), Some(tag));
                }
            }
        }
    }
}
