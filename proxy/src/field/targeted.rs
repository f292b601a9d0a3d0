//! Targeted cache control: `CDN-Cache-Control` and its like (RFC 9213).

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::cache_control::{ResponseDirectives, Scope, widen};
use crate::time::Seconds;

/// The field that speaks to Forebay alone.
pub static FOREBAY_CACHE_CONTROL: HeaderName = HeaderName::from_static("forebay-cache-control");
/// The field that speaks to every CDN (RFC 9213 §3).
pub static CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// A longer field than this, in bytes, is ignored.
const MAX_LENGTH: usize = 16 * 1024;

/// The first field of `names` that is there, well-formed and not empty, with what it says.
///
/// If there is one, `Cache-Control` and `Expires` do not count.
#[must_use]
pub fn targeted(
    headers: &HeaderMap,
    names: &[HeaderName],
) -> Option<(HeaderName, ResponseDirectives)> {
    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
    //# the cache MUST select the first (in target-list order) field with a
    //# valid, non-empty value and use its value to determine the caching policy
    //# for the response, and it MUST ignore the Cache-Control and Expires header
    //# fields in that response
    names.iter().find_map(|name| {
        let directives = directives(&dictionary(headers, name)?);
        Some((name.clone(), directives))
    })
}

/// The field as a structured dictionary; `None` if it is absent, malformed or empty.
fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Option<Dictionary> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes()).collect();
    let text = lines.join(&b", "[..]);
    if text.len() > MAX_LENGTH {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
    //# If a targeted field in a given response is empty, or a parsing error is
    //# encountered, that field MUST be ignored by the cache
    match Parser::parse_dictionary(&text) {
        Ok(dictionary) if !dictionary.is_empty() => Some(dictionary),
        Ok(_) | Err(_) => None,
    }
}

/// What a dictionary says; parameters and unknown directives are ignored.
///
/// A value of the wrong type is never read as if it had the right one. A lifetime is then zero, a
/// directive that restricts holds in full, and one that permits does not hold.
fn directives(dictionary: &Dictionary) -> ResponseDirectives {
    //= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
    //# Implementations SHOULD NOT consume values that violate these inferred
    //# constraints.
    let mut directives = ResponseDirectives { present: true, ..ResponseDirectives::default() };
    for (name, value) in dictionary {
        match name.as_str() {
            "no-store" => directives.no_store = restricts(value),
            "no-cache" if restricts(value) => widen(&mut directives.no_cache, scope(value)),
            "private" if restricts(value) => widen(&mut directives.private, scope(value)),
            "public" => directives.public = permits(value),
            "must-revalidate" => directives.must_revalidate = restricts(value),
            "proxy-revalidate" => directives.proxy_revalidate = restricts(value),
            "must-understand" => directives.must_understand = permits(value),
            "no-transform" => directives.no_transform = restricts(value),
            "immutable" => directives.immutable = permits(value),
            "max-age" => directives.max_age = Some(lifetime(value)),
            "s-maxage" => directives.s_maxage = Some(lifetime(value)),
            "stale-while-revalidate" => directives.stale_while_revalidate = Some(lifetime(value)),
            "stale-if-error" => directives.stale_if_error = Some(lifetime(value)),
            _ => {}
        }
    }
    directives
}

fn bare(value: &ListEntry) -> Option<&BareItem> {
    match value {
        ListEntry::Item(item) => Some(&item.bare_item),
        ListEntry::InnerList(_) => None,
    }
}

fn restricts(value: &ListEntry) -> bool {
    bare(value).and_then(BareItem::as_bool) != Some(false)
}

fn permits(value: &ListEntry) -> bool {
    bare(value).and_then(BareItem::as_bool) == Some(true)
}

fn lifetime(value: &ListEntry) -> Seconds {
    let seconds = bare(value).and_then(BareItem::as_int).unwrap_or(0);
    // What cannot be converted is negative.
    u64::try_from(seconds).map_or(Seconds::ZERO, |seconds| Seconds(seconds).min(Seconds::MAX_DELTA))
}

fn scope(value: &ListEntry) -> Scope {
    let names = bare(value).and_then(|item| item.as_str().or_else(|| item.as_token()));
    names.map_or(Scope::Whole, |names| Scope::of(names.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::header::SET_COOKIE;
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    fn found(lines: &[&str]) -> Option<ResponseDirectives> {
        let headers = testing::lines("cdn-cache-control", lines);
        targeted(&headers, std::slice::from_ref(&CDN_CACHE_CONTROL))
            .map(|(_, directives)| directives)
    }

    #[track_caller]
    fn check_max_age(line: &str, expected: Option<Option<u64>>) {
        let found = found(&[line]).map(|directives| directives.max_age);
        assert_eq!(found, expected.map(|max_age| max_age.map(Seconds)), "{line}");
    }

    #[test]
    fn reads_max_age() {
        check_max_age("max-age=3600", Some(Some(3600)));
        check_max_age("max-age=0", Some(Some(0)));
        check_max_age("max-age=99999999999", Some(Some(2_147_483_648)));
        check_max_age("foobar, max-age=3600", Some(Some(3600)));
        check_max_age("max-age=1, max-age=2", Some(Some(2)));
        check_max_age("max-age=60;a=b", Some(Some(60)));
        check_max_age("none", Some(None));
    }

    #[test]
    fn ignores_a_field_that_is_malformed_or_empty() {
        for line in [
            "",
            "max-age=10000, &&&&&",
            "max-age =100",
            "max-age= 100",
            "MaX-aGe=3600",
            "max-age=1,",
            "max-age='1'",
            "max-age=\"\u{e9}\"",
            "max-age=9999999999999999",
        ] {
            check_max_age(line, None);
        }
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn reads_no_lifetime_out_of_the_wrong_type() {
        for line in ["max-age=\"10000\"", "max-age=1.5", "max-age", "max-age=(60)", "max-age=-60"] {
            check_max_age(line, Some(Some(0)));
        }
    }

    #[test]
    fn lets_the_wrong_type_restrict_but_not_permit() {
        let found = found(&["no-store=1, private=(a), public=1, immutable=\"x\""]).unwrap();
        assert!(found.no_store);
        assert_eq!(found.private, Some(Scope::Whole));
        assert!(!found.public && !found.immutable);
    }

    #[test]
    fn reads_booleans_and_scopes() {
        let found = found(&["no-store=?0, private=\"Set-Cookie\"", "no-cache, must-revalidate=?1"])
            .unwrap();
        assert!(!found.no_store && found.must_revalidate);
        assert_eq!(found.private, Some(Scope::Fields(vec![SET_COOKIE])));
        assert_eq!(found.no_cache, Some(Scope::Whole));
        assert!(found.present);
    }

    #[test]
    fn takes_the_first_field_of_the_list_that_counts() {
        let names = [FOREBAY_CACHE_CONTROL.clone(), CDN_CACHE_CONTROL.clone()];
        let check = |own: &[&str], expected: &HeaderName| {
            let mut headers = testing::lines("cdn-cache-control", &["max-age=1"]);
            testing::append(&mut headers, "forebay-cache-control", own);
            let (name, _) = targeted(&headers, &names).unwrap();
            assert_eq!(name, expected, "{own:?}");
        };
        check(&["max-age=2"], &FOREBAY_CACHE_CONTROL);
        check(&["max-age=2, &"], &CDN_CACHE_CONTROL);
        check(&[""], &CDN_CACHE_CONTROL);
        check(&[], &CDN_CACHE_CONTROL);
    }

    proptest! {
        #[test]
        fn reads_any_bytes_without_harm(lines: Vec<Vec<u8>>) {
            let headers = testing::hostile("cdn-cache-control", &lines);
            let found = targeted(&headers, std::slice::from_ref(&CDN_CACHE_CONTROL));
            prop_assert!(found.is_none_or(|(_, directives)| directives.present));
        }

        #[test]
        fn reads_what_was_printed(max_age in 0..=Seconds::MAX_DELTA.0, no_store: bool) {
            let directives = ResponseDirectives {
                present: true,
                no_store,
                max_age: Some(Seconds(max_age)),
                ..ResponseDirectives::default()
            };
            prop_assert_eq!(found(&[&directives.to_string()]), Some(directives));
        }
    }
}
