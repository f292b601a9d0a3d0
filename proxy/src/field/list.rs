//! Splits fields that are comma lists (RFC 9110 §5.6.1), respecting quoted strings.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

/// The members of a list field over all its lines, without the whitespace around them.
///
/// Empty members are left out.
pub fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().flat_map(|line| split(line.as_bytes()))
}

/// The members of one line, without the whitespace around them; empty ones are left out.
pub fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    Members { rest: Some(line), quotes: true }.map(trim).filter(|member| !member.is_empty())
}

/// Splits one line at its commas and keeps everything: empty members and whitespace too.
pub(crate) fn split_all(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    Members { rest: Some(line), quotes: true }
}

/// Takes optional whitespace (`OWS`: space and tab) off both ends.
#[must_use]
pub fn trim(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let Some(first) = bytes.iter().position(is_text) else { return &[] };
    let last = bytes.iter().rposition(is_text).unwrap_or(first);
    &bytes[first..=last]
}

/// What stands inside a `quoted-string`; `None` if `bytes` is not exactly one.
#[must_use]
pub fn unquote(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = bytes.strip_prefix(b"\"")?;
    let length = closing_quote(inner)?;
    let (text, after) = inner.split_at(length);
    if after.len() != 1 {
        return None;
    }
    if !text.contains(&b'\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == b'\\' { *bytes.next()? } else { byte });
    }
    Some(Cow::Owned(plain))
}

/// Where the quote that ends a string stands, `inside` beginning after the one that opens it.
fn closing_quote(inside: &[u8]) -> Option<usize> {
    let mut escaped = false;
    inside.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// The pieces of a line between the commas outside of quoted strings.
struct Members<'a> {
    /// What is left to split; `None` at the end.
    rest: Option<&'a [u8]>,
    /// Whether a quote still opens a string. A quote that is never closed opens none, lest a
    /// stray one hide the `no-store` behind it; looking for its end once keeps the work linear.
    quotes: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            if byte == b',' {
                self.rest = Some(&line[at + 1..]);
                return Some(&line[..at]);
            }
            at += 1;
            if byte == b'"' && self.quotes {
                match closing_quote(&line[at..]) {
                    Some(length) => at += length + 1,
                    None => self.quotes = false,
                }
            }
        }
        self.rest = None;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use http::header::VARY;
    use proptest::prelude::*;

    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let headers = testing::lines("vary", lines);
        let found: Vec<_> =
            members(&headers, &VARY).map(|member| String::from_utf8_lossy(member)).collect();
        assert_eq!(found, expected, "{lines:?}");
    }

    #[test]
    fn splits_at_commas_outside_of_quoted_strings() {
        check(&["a,b"], &["a", "b"]);
        check(&[" a ,\tb\t"], &["a", "b"]);
        check(&["", ",, ,", "a"], &["a"]);
        check(&["a", "b, c"], &["a", "b", "c"]);
        check(&[r#"x="a,b", c"#], &[r#"x="a,b""#, "c"]);
        check(&[r#"x="a\",b", c"#], &[r#"x="a\",b""#, "c"]);
        check(&[r#"x="a\\",b"#], &[r#"x="a\\""#, "b"]);
    }

    #[test]
    fn takes_a_quote_that_is_never_closed_for_a_plain_character() {
        check(&[r#"x="a, no-store"#], &[r#"x="a"#, "no-store"]);
        check(&[r#"x="a"#, r#"b""#], &[r#"x="a"#, r#"b""#]);
        check(&[r#"x="a\", b"#], &[r#"x="a\""#, "b"]);
    }

    #[test]
    fn unquotes_whole_quoted_strings_only() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(unquote(text.as_bytes()).as_deref(), expected.map(str::as_bytes), "{text}");
        };
        check(r#""a b""#, Some("a b"));
        check(r#""a\"b\\""#, Some(r#"a"b\"#));
        check(r#""""#, Some(""));
        for text in ["", "\"", "a", "\"a", "a\"", r#""a"b"#, r#""a"b""#, r#""a\""#] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn loses_nothing_but_commas(line: Vec<u8>) {
            let pieces: Vec<_> = split_all(&line).collect();
            prop_assert_eq!(pieces.join(&b','), line);
        }
    }
}
