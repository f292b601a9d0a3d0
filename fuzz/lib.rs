//! Makes header maps out of the bytes that a fuzzer thinks up.

use http::{HeaderMap, HeaderName, HeaderValue};

/// One line of `name` for each line of `data` that can be a field value.
#[must_use]
pub fn lines(name: &'static str, data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    append(&mut headers, name, data);
    headers
}

/// Adds one line of `name` for each line of `data` that can be a field value.
pub fn append(headers: &mut HeaderMap, name: &'static str, data: &[u8]) {
    for line in data.split(|&byte| byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
}
