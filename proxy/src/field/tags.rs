//! The surrogate keys of a response: the names that a purge may call it by.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, ListEntry, Parser};

use super::list;

/// Keys past this many are left out.
pub const MAX_TAGS: usize = 128;
/// A longer key than this, in bytes, is left out.
pub const MAX_TAG_LENGTH: usize = 1024;

static SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
static CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
static CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
static CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// The fields that hold surrogate keys, which clients need not see.
pub static FIELDS: [HeaderName; 3] = [
    HeaderName::from_static("surrogate-key"),
    HeaderName::from_static("cache-tag"),
    HeaderName::from_static("cache-groups"),
];

/// The surrogate keys of a response, each once, in the order they came.
///
/// `Surrogate-Key` parts them by whitespace, `Cache-Tag` by commas, and `Cache-Groups` is a
/// structured list of strings (RFC 9875 §2), ignored as a whole if it is malformed.
#[must_use]
pub fn tags(headers: &HeaderMap) -> Vec<Box<str>> {
    let mut tags = Tags(Vec::new());
    for line in headers.get_all(&SURROGATE_KEY) {
        for tag in line.as_bytes().split(|byte| matches!(byte, b' ' | b'\t')) {
            tags.add(tag);
        }
    }
    for line in headers.get_all(&CACHE_TAG) {
        for tag in line.as_bytes().split(|&byte| byte == b',').map(list::trim) {
            tags.add(tag);
        }
    }
    tags.add_groups(headers, &CACHE_GROUPS);
    tags.0
}

/// The cache groups of a response: the tags that its `Cache-Groups` alone names (RFC 9875 §2).
#[must_use]
pub fn groups(headers: &HeaderMap) -> Vec<Box<str>> {
    let mut groups = Tags(Vec::new());
    groups.add_groups(headers, &CACHE_GROUPS);
    groups.0
}

/// The cache groups that a response invalidates, by `Cache-Group-Invalidation` (RFC 9875 §3).
#[must_use]
pub fn invalidated_groups(headers: &HeaderMap) -> Vec<Box<str>> {
    let mut groups = Tags(Vec::new());
    groups.add_groups(headers, &CACHE_GROUP_INVALIDATION);
    groups.0
}

/// The name of a cache group; its parameters are ignored.
fn group_name(member: &ListEntry) -> Option<&str> {
    match member {
        ListEntry::Item(item) => BareItem::as_str(&item.bare_item),
        ListEntry::InnerList(_) => None,
    }
}

struct Tags(Vec<Box<str>>);

impl Tags {
    fn add(&mut self, tag: &[u8]) {
        // A key that is not UTF-8 cannot be named by a purge.
        let Ok(tag) = std::str::from_utf8(tag) else { return };
        let fits = !tag.is_empty() && tag.len() <= MAX_TAG_LENGTH && self.0.len() < MAX_TAGS;
        if fits && !self.0.iter().any(|known| **known == *tag) {
            self.0.push(tag.into());
        }
    }

    fn add_groups(&mut self, headers: &HeaderMap, name: &HeaderName) {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes()).collect();
        if let Ok(groups) = Parser::parse_list(&lines.join(&b", "[..])) {
            for group in groups.iter().filter_map(group_name) {
                self.add(group.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(name: &'static str, lines: &[&str], expected: &[&str]) {
        let found = tags(&testing::lines(name, lines));
        let found: Vec<&str> = found.iter().map(|tag| &**tag).collect();
        assert_eq!(found, expected, "{name}: {lines:?}");
    }

    #[test]
    fn reads_all_three_fields() {
        check("surrogate-key", &["a  b,c", "d\ta"], &["a", "b,c", "d"]);
        check("cache-tag", &["a, b c ,,", "d"], &["a", "b c", "d"]);
        check("cache-groups", &[r#""a", "b c";x=1"#, r#""d,e""#], &["a", "b c", "d,e"]);
        check("cache-groups", &[r#""a", b, 1, ("c")"#], &["a"]);
        check("cache-groups", &[r#""a", &"#], &[]);
        let mut all = testing::lines("cache-tag", &["a, b"]);
        testing::append(&mut all, "surrogate-key", &["b c"]);
        assert_eq!(tags(&all), ["b", "c", "a"].map(Box::<str>::from));
    }

    #[test]
    fn reads_groups_by_themselves() {
        let mut both = testing::lines("cache-groups", &[r#""a";x, "b""#, r#""a""#]);
        testing::append(&mut both, "cache-group-invalidation", &[r#""c", d"#]);
        testing::append(&mut both, "cache-tag", &["e"]);
        assert_eq!(groups(&both), ["a", "b"].map(Box::<str>::from));
        assert_eq!(invalidated_groups(&both), ["c"].map(Box::<str>::from));
        let many: Vec<String> = (0..500).map(|number| format!("\"{number}\"")).collect();
        let many = testing::lines("cache-group-invalidation", &[&many.join(",")]);
        assert_eq!(invalidated_groups(&many).len(), MAX_TAGS);
    }

    #[test]
    fn bounds_how_many_and_how_long() {
        let many: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        assert_eq!(tags(&testing::lines("surrogate-key", &[&many.join(" ")])).len(), MAX_TAGS);
        let long = "x".repeat(MAX_TAG_LENGTH + 1);
        check("cache-tag", &[&format!("{long}, y")], &["y"]);
    }

    proptest! {
        #[test]
        fn keeps_to_its_bounds(lines: Vec<Vec<u8>>) {
            for name in ["surrogate-key", "cache-tag", "cache-groups"] {
                let found = tags(&testing::hostile(name, &lines));
                prop_assert!(found.len() <= MAX_TAGS);
                prop_assert!(found.iter().all(|tag| (1..=MAX_TAG_LENGTH).contains(&tag.len())));
            }
        }
    }
}
