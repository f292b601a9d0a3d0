//! `Vary`, and what of a request it selects by (RFC 9110 §12.5.5, RFC 9111 §4.1).

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderName};

use super::{list, preference};

/// A response that varies by more fields than this is not worth keeping: it varies by everything.
const MAX_FIELDS: usize = 32;

/// By which fields of the request a response was selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// By none: the response answers every request for its key.
    Nothing,
    /// By more than fields can tell: the response answers no other request.
    Everything,
    /// By these: sorted by name, each once, at least one.
    Fields(Vec<HeaderName>),
}

impl Vary {
    /// Reads all lines of `Vary`; a member that is no field name means everything.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut fields = Vec::new();
        for member in list::members(headers, &VARY) {
            //= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
            //# A stored response with a Vary header field value containing a
            //# member "*" always fails to match.
            // The star alone is also a token, and so a field name.
            let Ok(name) = HeaderName::from_bytes(member) else { return Self::Everything };
            if name == "*" {
                return Self::Everything;
            }
            if !fields.contains(&name) {
                if fields.len() == MAX_FIELDS {
                    return Self::Everything;
                }
                fields.push(name);
            }
        }
        fields.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        if fields.is_empty() { Self::Nothing } else { Self::Fields(fields) }
    }
}

/// What a request says in each of `fields`, in a form that can be compared; `None` where it says
/// nothing.
///
/// Two requests with the same values select the same variant.
#[must_use]
pub fn secondary(fields: &[HeaderName], request: &HeaderMap) -> Vec<Option<Bytes>> {
    fields.iter().map(|name| comparable(name, request).map(Bytes::from)).collect()
}

/// All lines of one field in one form.
fn comparable(name: &HeaderName, request: &HeaderMap) -> Option<Vec<u8>> {
    request.get(name)?;
    let lines = || request.get_all(name).into_iter().map(|line| line.as_bytes());
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
    //# normalizing both header field values in a way that is known to have
    //# identical semantics, according to the header field's specification
    let uniform = if *name == ACCEPT || *name == ACCEPT_ENCODING || *name == ACCEPT_LANGUAGE {
        preference::uniform(lines())
    } else {
        None
    };
    uniform.or_else(|| Some(combined(lines())))
}

/// The lines as one, with the same whitespace around every comma outside of quoted strings.
fn combined<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut gap: &[u8] = b"";
    for member in lines.flat_map(list::split_all) {
        text.extend_from_slice(gap);
        text.extend_from_slice(list::trim(member));
        gap = b", ";
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    #[expect(clippy::needless_pass_by_value, reason = "a case reads better without ampersands")]
    #[track_caller]
    fn check(lines: &[&str], expected: Vary) {
        assert_eq!(Vary::parse(&testing::lines("vary", lines)), expected, "{lines:?}");
    }

    fn fields(names: &[&'static str]) -> Vary {
        Vary::Fields(names.iter().map(|name| HeaderName::from_static(name)).collect())
    }

    #[test]
    fn reads_field_names() {
        check(&[], Vary::Nothing);
        check(&[""], Vary::Nothing);
        check(&["Foo"], fields(&["foo"]));
        check(&["Foo, bar", "BAZ, foo"], fields(&["bar", "baz", "foo"]));
    }

    #[test]
    fn finds_a_star_wherever_it_stands() {
        check(&["*"], Vary::Everything);
        check(&["*, *"], Vary::Everything);
        check(&["*", "*"], Vary::Everything);
        check(&[", *"], Vary::Everything);
        check(&["", "*"], Vary::Everything);
        check(&["*, Foo"], Vary::Everything);
        check(&["Foo, *"], Vary::Everything);
    }

    #[test]
    fn varies_by_everything_where_it_cannot_tell() {
        check(&["Foo Bar"], Vary::Everything);
        check(&["\"Foo\""], Vary::Everything);
        check(&["\u{e9}"], Vary::Everything);
        let many: Vec<_> = (0..=MAX_FIELDS).map(|number| format!("f{number}")).collect();
        check(&[&many.join(",")], Vary::Everything);
    }

    #[track_caller]
    fn check_same(name: &'static str, one: &[&str], other: &[&str], expected: bool) {
        let fields = [HeaderName::from_static(name)];
        let of = |lines| secondary(&fields, &testing::lines(name, lines));
        assert_eq!(of(one) == of(other), expected, "{one:?} {other:?}");
    }

    #[test]
    fn compares_what_a_field_says() {
        check_same("foo", &["1"], &["1"], true);
        check_same("foo", &["1"], &["2"], false);
        check_same("foo", &["1"], &[], false);
        check_same("foo", &[""], &[], false);
        check_same("foo", &[], &[], true);
        check_same("foo", &["a"], &["A"], false);
        check_same("foo", &["1, 2"], &["2, 1"], false);
    }

    #[test]
    fn compares_lines_as_one_list() {
        check_same("foo", &["1, 2"], &["1", "2"], true);
        check_same("foo", &["1,2"], &[" 1, 2 "], true);
        check_same("foo", &["1 ,\t2"], &["1", "2"], true);
        check_same("foo", &["\"1,2\""], &["\"1, 2\""], false);
        check_same("foo", &["1,2"], &["12"], false);
        check_same("foo", &["1 2"], &["1  2"], false);
    }

    #[test]
    fn compares_preferences_by_what_they_mean() {
        check_same("accept-language", &["en, de"], &["de, en"], true);
        check_same("accept-language", &["en, de"], &["eN, De"], true);
        check_same("accept-language", &["en, de"], &[" en ,   de"], true);
        check_same("accept-language", &["en, de"], &["fr;q=0.5, de;q=1.0"], false);
        check_same("accept-encoding", &["gzip, br;q=1.0"], &["BR", "gzip"], true);
        check_same("accept-encoding", &["gzip, br;q=0.5"], &["gzip, br"], false);
        check_same("accept-encoding", &[""], &[], false);
        check_same("accept", &["text/html;q=x, a"], &["a, text/html;q=x"], false);
    }

    #[test]
    fn keeps_the_fields_apart() {
        let fields = [HeaderName::from_static("a"), HeaderName::from_static("b")];
        let mut one = testing::lines("a", &["1, 2"]);
        let other = one.clone();
        testing::append(&mut one, "b", &[""]);
        assert_ne!(secondary(&fields, &one), secondary(&fields, &other));
    }

    proptest! {
        #[test]
        fn combines_lines_however_they_were_cut(members: Vec<[bool; 3]>) {
            let words: Vec<String> = members.iter().map(|bits| format!("{bits:?}")).collect();
            let words: Vec<String> = words.iter().map(|word| word.replace(", ", "-")).collect();
            let lines: Vec<&str> = words.iter().map(String::as_str).collect();
            let fields = [HeaderName::from_static("foo")];
            let cut = secondary(&fields, &testing::lines("foo", &lines));
            let whole = secondary(&fields, &testing::lines("foo", &[&words.join(",")]));
            prop_assert!(cut == whole || words.is_empty());
        }

        #[test]
        fn reads_what_was_printed(names in proptest::collection::btree_set("[a-z]{1,9}", 1..9)) {
            let text: Vec<String> = names.into_iter().collect();
            let found = Vary::parse(&testing::lines("vary", &[&text.join(", ")]));
            let Vary::Fields(fields) = found else { panic!("{text:?}") };
            let names: Vec<&str> = fields.iter().map(HeaderName::as_str).collect();
            prop_assert_eq!(names, text);
        }

        #[test]
        fn never_varies_by_less_than_a_star(before in ".{0,20}", after in ".{0,20}") {
            let lines = [before.into_bytes(), b"*".to_vec(), after.into_bytes()];
            prop_assert_eq!(Vary::parse(&testing::hostile("vary", &lines)), Vary::Everything);
        }
    }
}
