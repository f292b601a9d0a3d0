//! Any `Vary` is read, and what a request says reads the same once normalised.
#![no_main]

use forebay::field::vary::{Vary, secondary};
use forebay_fuzz::{append, lines};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const FIELDS: [&str; 4] = ["accept", "accept-encoding", "accept-language", "foo"];

fuzz_target!(|data: &[u8]| {
    let mut headers = lines("vary", data);
    if let Vary::Fields(fields) = Vary::parse(&headers) {
        assert!(!fields.is_empty());
        assert!(fields.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    }
    for name in FIELDS {
        append(&mut headers, name, data);
    }
    let fields = FIELDS.map(HeaderName::from_static);
    let values = secondary(&fields, &headers);
    let mut normal = HeaderMap::new();
    for (name, value) in fields.iter().zip(&values) {
        if let Some(value) = value {
            let value = HeaderValue::from_bytes(value).expect("a field value stays one");
            normal.insert(name, value);
        }
    }
    // A quote that is never closed in its own line may close in the line that all become.
    if !data.contains(&b'"') {
        assert_eq!(secondary(&fields, &normal), values);
    }
});
