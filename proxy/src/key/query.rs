//! The parameters of a query, as most origins read them: `&` between each two, `=` behind a name.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// As it stands in the query.
    pub written: &'a str,
    /// Its name, decoded: two ways to write one name are the same.
    pub name: Cow<'a, [u8]>,
}

/// The parameters of `query` in their order, without empty ones.
pub fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    query.split('&').filter(|written| !written.is_empty()).map(|written| {
        let name = written.split_once('=').map_or(written, |(name, _)| name);
        Parameter { written, name: decoded(name) }
    })
}

/// `text` without percent-encoding, `+` being a space.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode(spaced.as_bytes()).collect());
    }
    percent_decode(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &[(&str, &str)]) {
        let found: Vec<_> = parameters(query)
            .map(|one| (one.written, String::from_utf8_lossy(&one.name).into_owned()))
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(written, name)| (*written, (*name).to_owned())).collect();
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn reads_parameters_as_most_origins_do() {
        check("", &[]);
        check("a", &[("a", "a")]);
        check("a=1&b=2", &[("a=1", "a"), ("b=2", "b")]);
        check("a=1&&a=2&", &[("a=1", "a"), ("a=2", "a")]);
        check("a=b=c", &[("a=b=c", "a")]);
        check("=x", &[("=x", "")]);
        check("a[]=1&a%5B%5D=2", &[("a[]=1", "a[]"), ("a%5B%5D=2", "a[]")]);
    }

    #[test]
    fn reads_a_name_however_it_is_encoded() {
        check("%75tm_source=1", &[("%75tm_source=1", "utm_source")]);
        check("a+b=1", &[("a+b=1", "a b")]);
        check("a%2Bb=1", &[("a%2Bb=1", "a+b")]);
        check("a%=1&%zz", &[("a%=1", "a%"), ("%zz", "%zz")]);
        check("a%26b=1", &[("a%26b=1", "a&b")]);
    }

    #[test]
    fn cuts_nowhere_else() {
        check("a=1;b=2", &[("a=1;b=2", "a")]);
        check("a=1?b=2", &[("a=1?b=2", "a")]);
    }
}
