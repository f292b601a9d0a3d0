//! Any `Range` is read or ignored, and no part lies outside of the body or touches another.
#![no_main]

use forebay::field::range::{ContentRange, RangeSpec, Resolved, resolve};
use forebay_fuzz::{append, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (length, data) = input;
    let mut headers = lines("range", data);
    append(&mut headers, "content-range", data);
    if let Some(spec) = RangeSpec::parse(&headers) {
        let printed = lines("range", spec.to_string().as_bytes());
        assert_eq!(RangeSpec::parse(&printed).as_ref(), Some(&spec));
        if let Resolved::Parts(mut parts) = resolve(&spec, length) {
            parts.sort_by_key(|part| part.first);
            assert!(!parts.is_empty());
            assert!(parts.iter().all(|part| part.first <= part.last && part.last < length));
            assert!(parts.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
        }
    }
    if let Some(range) = ContentRange::parse(&headers) {
        let printed = lines("content-range", range.to_string().as_bytes());
        assert_eq!(ContentRange::parse(&printed), Some(range));
    }
});
