//! `Cookie`: names and values (RFC 6265 §4.2.1).

use std::borrow::Cow;

use http::{HeaderMap, header};

/// One cookie of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// As it stands in the field, name included.
    pub written: &'a [u8],
}

/// The cookies of a request in their order, without those that are empty.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = Pair<'_>> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|written| !written.is_empty())
        .map(|written| {
            let name = written.split(|&byte| byte == b'=').next().unwrap_or(written);
            Pair { name: name.trim_ascii(), written }
        })
}

/// Whether `is_meant` holds for what some origin takes for the name of a cookie; that name, as it
/// stands in the field.
///
/// Some split at commas and whitespace too, and some read `.`, `[` and a space as `_`.
pub fn any_name(headers: &HeaderMap, is_meant: impl Fn(&[u8]) -> bool) -> Option<&[u8]> {
    let border = |byte: &u8| matches!(byte, b';' | b',' | b' ' | b'\t');
    let lines = headers.get_all(header::COOKIE).iter().map(http::HeaderValue::as_bytes);
    let loose = lines.flat_map(|line| line.split(border)).filter(|piece| !piece.is_empty());
    let loose = loose.map(|piece| piece.split(|&byte| byte == b'=').next().unwrap_or(piece));
    let mut names = pairs(headers).map(|pair| pair.name).chain(loose);
    names.find(|name| is_meant(name) || is_meant(&underscored(name)))
}

/// `name` as an origin reads it that makes a variable of it.
fn underscored(name: &[u8]) -> Cow<'_, [u8]> {
    let is_no_letter = |byte: &u8| matches!(byte, b'.' | b'[' | b' ');
    if !name.iter().any(is_no_letter) {
        return Cow::Borrowed(name);
    }
    name.iter().map(|byte| if is_no_letter(byte) { b'_' } else { *byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::testing;

    #[test]
    fn finds_a_name_where_any_origin_would() {
        let found = |line: &str| {
            let headers = testing::lines("cookie", &[line]);
            any_name(&headers, |name| name == b"a_sid").map(<[u8]>::to_vec)
        };
        for line in ["a_sid=1", "b=1;a_sid", "b=1, a_sid=2", "b=1 a_sid=2", "b=\"1; a_sid=2\""] {
            assert_eq!(found(line).as_deref(), Some(&b"a_sid"[..]), "{line}");
        }
        for name in ["a.sid", "a[sid", "a sid"] {
            assert_eq!(found(&format!("{name}=1")).as_deref(), Some(name.as_bytes()), "{name}");
        }
        for line in ["", "b=a_sid", "A_SID=1", "a-sid=1", "=a_sid", "a_sids=1; ba_sid=1"] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn reads_cookies_however_they_are_spaced() {
        let headers = testing::lines("cookie", &["a=1;b=2; c = 3 ;;", "d; =x"]);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let found: Vec<_> =
            pairs(&headers).map(|pair| (text(pair.name), text(pair.written))).collect();
        let expected = [("a", "a=1"), ("b", "b=2"), ("c", "c = 3"), ("d", "d"), ("", "=x")];
        assert_eq!(found, expected.map(|(name, written)| (name.to_owned(), written.to_owned())));
    }
}
