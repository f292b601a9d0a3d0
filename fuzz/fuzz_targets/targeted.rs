//! Any targeted field is read or ignored, and what it says reads the same as `Cache-Control`.
#![no_main]

use forebay::field::cache_control::ResponseDirectives;
use forebay::field::targeted::{CDN_CACHE_CONTROL, FOREBAY_CACHE_CONTROL, targeted};
use forebay_fuzz::{append, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (own, cdn) = data.split_at(data.len() / 2);
    let mut headers = lines("forebay-cache-control", own);
    append(&mut headers, "cdn-cache-control", cdn);
    let names = [FOREBAY_CACHE_CONTROL.clone(), CDN_CACHE_CONTROL.clone()];
    if let Some((name, directives)) = targeted(&headers, &names) {
        assert!(headers.contains_key(name));
        let printed = lines("cache-control", directives.to_string().as_bytes());
        assert_eq!(ResponseDirectives::parse(&printed), directives);
    }
});
