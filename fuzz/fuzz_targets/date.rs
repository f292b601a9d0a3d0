//! Any date is read or refused, and reads the same once printed.
#![no_main]

use forebay::field::{age, date};
use forebay_fuzz::{append, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(at) = date::parse(data) {
        assert_eq!(date::parse(&date::print(at)), Some(at));
    }
    let mut headers = lines("expires", data);
    for name in ["date", "last-modified", "age"] {
        append(&mut headers, name, data);
    }
    assert_eq!(date::expires(&headers).is_some(), headers.contains_key("expires"));
    let _ = (date::date(&headers), date::last_modified(&headers), age::age(&headers));
});
