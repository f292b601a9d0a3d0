//! Any bytes are a key or none, and a key prints without harm.
#![no_main]

use bytes::Bytes;
use forebay::key::Key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(key) = Key::from_bytes(Bytes::copy_from_slice(data)) {
        assert_eq!(key.as_bytes(), data);
        assert!(!key.to_string().bytes().any(|byte| byte.is_ascii_control()));
    }
});
