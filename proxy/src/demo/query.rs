//! Reads the query of a request as a form writes it.

/// The value of the first `name` in `query`, decoded.
pub(super) fn value(query: Option<&str>, name: &str) -> Option<String> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// `text` as it may stand in a query: all but letters, digits, `-`, `.`, `_` and `~` in codes.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Turns `+` into a blank and `%41` into `A`; leaves what is no code as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, coded(bytes, at)) {
            (b'%', Some(plain)) => {
                decoded.push(plain);
                at += 3;
            }
            (b'+', _) => {
                decoded.push(b' ');
                at += 1;
            }
            (other, _) => {
                decoded.push(other);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The byte that the two hex digits after `at` stand for.
fn coded(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |place: usize| bytes.get(place).copied().and_then(hex_digit);
    let (high, low) = (digit(at + 1)?, digit(at + 2)?);
    Some(high * 16 + low)
}

const fn hex_digit(byte: u8) -> Option<u8> {
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

    fn check(query: &str, name: &str, expected: Option<&str>) {
        assert_eq!(value(Some(query), name).as_deref(), expected, "{query}");
    }

    #[test]
    fn finds_and_decodes_the_first_value() {
        check("page=2&q=hex+bolt", "q", Some("hex bolt"));
        check("q=Zahnr%C3%A4der", "q", Some("Zahnräder"));
        check("q=1&q=2", "q", Some("1"));
        check("q", "q", Some(""));
        check("q=100%", "q", Some("100%"));
        check("q=%4", "q", Some("%4"));
        check("q=%ff", "q", Some("\u{fffd}"));
        check("page=2", "q", None);
    }

    proptest! {
        #[test]
        fn reads_any_query_without_panic(query in ".*", name in "[a-z]{0,3}") {
            let _found = value(Some(&query), &name);
        }

        #[test]
        fn reads_back_what_it_wrote(text in ".*") {
            let query = format!("q={}", encoded(&text));
            prop_assert_eq!(value(Some(&query), "q"), Some(text));
        }
    }
}
