//! Any list of entity tags is read, and each tag reads the same once printed.
#![no_main]

use forebay::field::etag::{self, Condition, EntityTag, IfRange};
use forebay_fuzz::{append, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = lines("if-none-match", data);
    append(&mut headers, "if-range", data);
    append(&mut headers, "etag", data);
    let mut tags = Vec::from_iter(etag::etag(&headers));
    if let Some(Condition::Tags(named)) = etag::if_none_match(&headers) {
        tags.extend(named);
    }
    if let Some(IfRange::Tag(tag)) = etag::if_range(&headers) {
        tags.push(tag);
    }
    for tag in tags {
        assert_eq!(EntityTag::parse(tag.value().as_bytes()), Some(tag));
    }
});
