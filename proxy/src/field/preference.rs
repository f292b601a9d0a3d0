//! Brings lists of preferences (`Accept` and its like) into one form (RFC 9110 §12.4.2, §12.5).

use http::{HeaderMap, HeaderName};

use super::list;

/// More members than this are left as they are.
const MAX_MEMBERS: usize = 64;

/// The list in one form that only lists of the same meaning share.
///
/// The case of names, the whitespace, the order of members and the way a weight is written mean
/// nothing and are made uniform. `None` if there is anything in it that is not understood: then
/// nobody may say what it means.
pub(super) fn uniform<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut members = Vec::new();
    for line in lines {
        // A quoted string may hold any separator and is case-sensitive.
        if line.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
            return None;
        }
        for member in list::split(line) {
            if members.len() == MAX_MEMBERS {
                return None;
            }
            members.push(uniform_member(member)?);
        }
    }
    members.sort_unstable();
    members.dedup();
    Some(members.join(&b", "[..]))
}

/// The members of all lines of `name`, each with its weight in thousandths.
///
/// A weight that is not understood counts as one: who sends it named the member for a reason.
/// Members past the first 64 are left out.
pub(super) fn weighted<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a [u8], u16)> {
    list::members(headers, name).take(MAX_MEMBERS).map(|member| {
        let mut pieces = member.split(|&byte| byte == b';').map(list::trim);
        let name = pieces.next().unwrap_or_default();
        let written = pieces.find_map(|piece| {
            piece.strip_prefix(b"q=").or_else(|| piece.strip_prefix(b"Q=")).map(list::trim)
        });
        (name, written.and_then(weight).map_or(1000, thousandths))
    })
}

/// A weight without the zeros at its end, in thousandths.
fn thousandths(weight: &[u8]) -> u16 {
    match weight {
        [b'0', b'.', digits @ ..] => (0..3).fold(0, |sum, at| {
            sum * 10 + digits.get(at).map_or(0, |digit| u16::from(digit - b'0'))
        }),
        [b'0'] => 0,
        _ => 1000,
    }
}

fn uniform_member(member: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = member.split(|&byte| byte == b';').map(list::trim);
    let name = pieces.next().filter(|name| !name.is_empty() && name.iter().all(is_name))?;
    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.3
    //# A recipient SHOULD consider "x-gzip" to be equivalent to "gzip".
    let mut uniform = match name.to_ascii_lowercase() {
        name if name == b"x-gzip" => b"gzip".to_vec(),
        name => name,
    };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let equals = piece.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (piece[..equals].to_ascii_lowercase(), &piece[equals + 1..]);
        if name.is_empty() || value.is_empty() || !name.iter().chain(value).all(is_name) {
            return None;
        }
        let value = if name == b"q" { weight(value)? } else { value };
        // The weight of what has none is one.
        if name == b"q" && value == b"1" && pieces.peek().is_none() {
            break;
        }
        uniform.push(b';');
        uniform.extend_from_slice(&name);
        uniform.push(b'=');
        uniform.extend_from_slice(value);
    }
    Some(uniform)
}

/// A `qvalue` without the zeros at its end.
fn weight(value: &[u8]) -> Option<&[u8]> {
    let (whole, fraction) = value.split_first()?;
    let digits = match fraction {
        [] => &[],
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let is_weight = match whole {
        b'0' => digits.iter().all(u8::is_ascii_digit),
        b'1' => digits.iter().all(|&digit| digit == b'0'),
        _ => false,
    };
    let kept = digits.iter().rposition(|&digit| digit != b'0').map_or(1, |at| at + 3);
    if is_weight { value.get(..kept) } else { None }
}

/// The characters of a `token`, and the slash of a media type.
fn is_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        let found = uniform([line.as_bytes()].into_iter());
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{line}");
    }

    #[test]
    fn makes_lists_of_one_meaning_one() {
        check("en, de", Some("de, en"));
        check("de,eN ,, DE", Some("de, en"));
        check("gzip;q=1.0, br;Q=0.50, *;q=0.000", Some("*;q=0, br;q=0.5, gzip"));
        check("x-gzip", Some("gzip"));
        check("Text/HTML ; Level=A ; q=1", Some("text/html;level=A"));
        check("text/html;q=1.000;x=y", Some("text/html;q=1;x=y"));
        check("", Some(""));
    }

    #[test]
    fn weighs_each_member() {
        let headers = crate::field::testing::lines(
            "accept-language",
            &["de, en;q=0.5, fr ; q=0.05", "es;q=0, it;x=1;q=0.125, pl;q=2, *;Q=1.000"],
        );
        let found: Vec<_> = weighted(&headers, &http::header::ACCEPT_LANGUAGE)
            .map(|(name, weight)| (String::from_utf8_lossy(name).into_owned(), weight))
            .collect();
        let expected =
            [("de", 1000), ("en", 500), ("fr", 50), ("es", 0), ("it", 125), ("pl", 1000)];
        let expected = expected.into_iter().chain([("*", 1000)]);
        assert_eq!(
            found,
            expected.map(|(name, weight)| (name.to_owned(), weight)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn leaves_what_it_does_not_understand() {
        for line in ["a;q=2", "a;q=1.5", "a;q=0.1234", "a;q=.5", "a;b", "a b", "a;b=\"c\"", ";q=1"]
        {
            check(line, None);
        }
        check(&"a,".repeat(MAX_MEMBERS + 1), None);
    }
}
