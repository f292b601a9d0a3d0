//! Header grammars: bytes of fields in, plain types out.
//!
//! Everything here is pure and bounded: no clock, no log, and no more work than the field is
//! long. A field may come in several lines, hold bytes that are not UTF-8, and be written to do
//! harm; each parser says what it makes of a malformed one. Where a field limits what a cache may
//! do, malformed means the stricter reading.

pub mod age;
pub mod cache_control;
pub mod coding;
pub mod cookie;
pub mod date;
pub mod device;
pub mod dictionary;
pub mod etag;
pub mod hop;
pub mod language;
pub mod list;
pub mod media_type;
pub mod number;
mod preference;
pub mod range;
pub mod tags;
pub mod targeted;
pub mod vary;

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of the parsers share.

    use http::{HeaderMap, HeaderName, HeaderValue};

    /// A header map with one line of `name` for each of `lines`.
    pub(crate) fn lines(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        append(&mut headers, name, lines);
        headers
    }

    /// Adds one line of `name` for each of `lines`.
    pub(crate) fn append(headers: &mut HeaderMap, name: &'static str, lines: &[&str]) {
        for line in lines {
            let value =
                HeaderValue::from_bytes(line.as_bytes()).expect("a test writes valid lines");
            headers.append(HeaderName::from_static(name), value);
        }
    }

    /// A header map with one line of `name` for each of `lines` that can be a field value.
    pub(crate) fn hostile(name: &'static str, lines: &[Vec<u8>]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}
