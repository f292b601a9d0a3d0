//! `Cookie`: names and values (RFC 6265 §4.2.1).

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::testing;

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
