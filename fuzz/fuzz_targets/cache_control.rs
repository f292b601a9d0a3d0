//! Any `Cache-Control` is read, and reads the same once printed.
#![no_main]

use forebay::field::cache_control::{RequestDirectives, ResponseDirectives};
use forebay_fuzz::lines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let headers = lines("cache-control", data);
    let directives = ResponseDirectives::parse(&headers);
    if directives.present {
        let again = lines("cache-control", directives.to_string().as_bytes());
        assert_eq!(ResponseDirectives::parse(&again), directives);
    }
    let request = RequestDirectives::parse(&headers);
    assert_eq!(request.no_store, directives.no_store);
    assert_eq!(request.no_cache, directives.no_cache.is_some());
});
