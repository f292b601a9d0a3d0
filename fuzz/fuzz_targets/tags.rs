//! Any tag field keeps to the bounds.
#![no_main]

use forebay::field::tags::{MAX_TAG_LENGTH, MAX_TAGS, tags};
use forebay_fuzz::{append, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = lines("surrogate-key", data);
    append(&mut headers, "cache-tag", data);
    append(&mut headers, "cache-groups", data);
    let tags = tags(&headers);
    assert!(tags.len() <= MAX_TAGS);
    assert!(tags.iter().all(|tag| (1..=MAX_TAG_LENGTH).contains(&tag.len())));
});
