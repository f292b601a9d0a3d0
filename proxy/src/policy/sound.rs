//! Decides whether the head of a request leaves no doubt about what is asked and where it ends
//! (RFC 9112 §3.2, §6, §11.2).
//!
//! What two readers could understand differently is refused: one of them may be an attacker's
//! means to slip a second request past the other.

use http::{HeaderMap, Method, StatusCode, Version, header};

/// The longest method.
const LONGEST_METHOD: usize = 32;
/// The longest request target, in bytes.
const LONGEST_TARGET: usize = 8 * 1024;
/// The most field lines.
const MOST_FIELDS: usize = 128;
/// The most bytes of field lines.
const LARGEST_FIELDS: usize = 64 * 1024;

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its version.
    pub version: Version,
    /// Its path and query.
    pub path: &'a str,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// All of it as it was sent; empty for HTTP/2.
    pub raw: &'a [u8],
}

impl<'a> Head<'a> {
    /// The target as it was sent; `None` if the request line has no three words (RFC 9112 §3).
    fn target(&self) -> Option<&'a [u8]> {
        // An empty line before a request is to be passed over (RFC 9112 §2.2).
        let line = self.raw.trim_ascii_start().split(|&byte| byte == b'\n').next()?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut words = line.split(|&byte| byte == b' ').skip(1);
        let (target, _version) = (words.next()?, words.next()?);
        words.next().is_none().then_some(target)
    }
}

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// It can be understood in two ways, or in none.
    Malformed,
    /// Its method is none that anybody knows.
    Method,
    /// Its target is too long.
    TargetTooLong,
    /// Its fields are too many or too long.
    FieldsTooLarge,
}

impl Unsound {
    /// The status that says so.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// Says whether `head` is sound.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(head: &Head<'_>) -> Result<(), Unsound> {
    if head.method.as_str().len() > LONGEST_METHOD {
        return Err(Unsound::Method);
    }
    // HTTP/2 carries the parts of a target apart, and they were checked one by one.
    if head.version != Version::HTTP_2 {
        check_target(head.method, head.target().ok_or(Unsound::Malformed)?)?;
    } else if head.path.len() > LONGEST_TARGET {
        return Err(Unsound::TargetTooLong);
    }
    let bytes =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| name.as_str().len() + value.len();
    if head.fields.len() > MOST_FIELDS
        || head.fields.iter().map(bytes).sum::<usize>() > LARGEST_FIELDS
    {
        return Err(Unsound::FieldsTooLarge);
    }
    if is_framed(head) { Ok(()) } else { Err(Unsound::Malformed) }
}

/// Whether the target has a form that its method may have (RFC 9112 §3.2).
fn check_target(method: &Method, target: &[u8]) -> Result<(), Unsound> {
    if target.len() > LONGEST_TARGET {
        return Err(Unsound::TargetTooLong);
    }
    let absolute = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let form = target.starts_with(b"/")
        || absolute(b"http://")
        || absolute(b"https://")
        || (target == b"*" && *method == Method::OPTIONS);
    let plain = target.iter().all(|&byte| byte > b' ' && byte != 0x7f && byte != b'#');
    if form && plain { Ok(()) } else { Err(Unsound::Malformed) }
}

/// Whether it is beyond doubt where the message ends (RFC 9112 §6.1, §6.3).
#[must_use]
pub fn is_framed(head: &Head<'_>) -> bool {
    let mut lengths = head.fields.get_all(header::CONTENT_LENGTH).iter();
    let length_is_plain = match (lengths.next(), lengths.next()) {
        (None, _) => true,
        (Some(one), None) => !one.is_empty() && one.as_bytes().iter().all(u8::is_ascii_digit),
        (Some(_), Some(_)) => false,
    };
    let mut codings = head.fields.get_all(header::TRANSFER_ENCODING).iter();
    let coding_is_plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(one), None) => {
            one.as_bytes().eq_ignore_ascii_case(b"chunked")
                && head.version == Version::HTTP_11
                && !has_line(head.raw, b"content-length")
        }
        (Some(_), Some(_)) => false,
    };
    length_is_plain && coding_is_plain
}

/// Whether a head has a line for the field `name`, whatever became of it in parsing.
fn has_line(raw: &[u8], name: &[u8]) -> bool {
    raw.split(|&byte| byte == b'\n').any(|line| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && line.get(name.len()) == Some(&b':')
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn check_lines(target: &str, lines: &[(&str, &str)], expected: Result<(), Unsound>) {
        let mut fields = HeaderMap::new();
        let mut raw = format!("GET {target} HTTP/1.1\r\n");
        for (name, value) in lines {
            raw.push_str(&format!("{name}: {value}\r\n"));
            fields.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let head = Head {
            method: &Method::GET,
            version: Version::HTTP_11,
            path: "/",
            fields: &fields,
            raw: raw.as_bytes(),
        };
        assert_eq!(check(&head), expected, "{target} {lines:?}");
    }

    #[test]
    fn refuses_targets_of_no_form() {
        for sound in ["/", "/a?b", "http://a/b", "HTTPS://a"] {
            check_lines(sound, &[], Ok(()));
        }
        for unsound in ["", "a", "*", "\\a", "@a/b", "a:80", "ftp://a/b", "/a#b", "/a b", "/\x7f"] {
            check_lines(unsound, &[], Err(Unsound::Malformed));
        }
    }

    #[test]
    fn refuses_lengths_and_codings_that_leave_a_doubt() {
        let bad = Err(Unsound::Malformed);
        check_lines("/", &[("content-length", "5")], Ok(()));
        check_lines("/", &[("transfer-encoding", "Chunked")], Ok(()));
        check_lines("/", &[("content-length", "5"), ("content-length", "5")], bad);
        check_lines("/", &[("content-length", "5, 5")], bad);
        check_lines("/", &[("content-length", "+5")], bad);
        check_lines("/", &[("transfer-encoding", "gzip, chunked")], bad);
        check_lines("/", &[("transfer-encoding", "identity")], bad);
        check_lines(
            "/",
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            bad,
        );
        check_lines("/", &[("transfer-encoding", "chunked"), ("content-length", "5")], bad);
    }

    #[test]
    fn refuses_what_is_too_large() {
        check_lines(&format!("/{}", "a".repeat(9000)), &[], Err(Unsound::TargetTooLong));
        let long = "a".repeat(70_000);
        check_lines("/", &[("x-a", &long)], Err(Unsound::FieldsTooLarge));
        check_lines("/", &[("x-a", "b"); 129], Err(Unsound::FieldsTooLarge));
    }

    proptest! {
        #[test]
        fn lets_no_doubtful_byte_into_a_target(target in "/[ -~\\x00-\\x09\\x0b-\\x1f\\x7f#]{0,40}") {
            let fields = HeaderMap::new();
            let line = format!("GET {target} HTTP/1.1\r\n");
            let head = Head {
                method: &Method::GET,
                version: Version::HTTP_11,
                path: "/",
                fields: &fields,
                raw: line.as_bytes(),
            };
            let doubtful = target.bytes().any(|byte| byte <= b' ' || byte == b'#' || byte == 0x7f);
            prop_assert_eq!(check(&head).is_err(), doubtful);
        }
    }
}
