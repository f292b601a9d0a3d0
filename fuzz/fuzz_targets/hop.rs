//! Any `Connection` takes away only what is there and may go, all at once.
#![no_main]

use forebay::field::hop::{hop_by_hop, is_end_to_end, strip_hop_by_hop};
use forebay_fuzz::{append, lines};
use libfuzzer_sys::fuzz_target;

const FIELDS: [&str; 8] =
    ["a", "b", "cookie", "host", "keep-alive", "set-cookie", "te", "transfer-encoding"];

fuzz_target!(|data: &[u8]| {
    let mut headers = lines("connection", data);
    for name in FIELDS {
        append(&mut headers, name, b"1\n2");
    }
    let names = hop_by_hop(&headers);
    assert!(names.iter().all(|name| headers.contains_key(name) && !is_end_to_end(name)));
    strip_hop_by_hop(&mut headers);
    assert!(hop_by_hop(&headers).is_empty());
    for name in ["cookie", "host", "set-cookie"] {
        assert_eq!(headers.get_all(name).iter().count(), 2);
    }
});
