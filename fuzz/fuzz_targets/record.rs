//! Any bytes are a record or a fault, also behind a checksum that is right; a record is written
//! again as it was read.
#![no_main]

use bytes::Bytes;
use forebay::key::{Key, Target};
use forebay::store::record::{Record, decode};
use forebay::stored::region::checksum;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &[u8])| {
    let (head, rest) = data;
    let target = Target::parse("http", "a", "/").expect("it is a target");
    let key = Key::of(&target);
    let _fault = decode(&key, &Bytes::copy_from_slice(head));
    let mut record = b"forebay\x01".to_vec();
    record.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
    record.extend_from_slice(&checksum(head).to_le_bytes());
    record.extend_from_slice(head);
    record.extend_from_slice(rest);
    if let Ok(stored) = decode(&key, &record.into()) {
        let _fields = stored.head.fields.to_map();
        let again = Record::new(&key, &stored).expect("its head is no longer than before");
        let again: Bytes = again.pieces().expect("it is in memory").concat().into();
        let again = decode(&key, &again).expect("it was written just now");
        assert_eq!(format!("{:?}", again.head), format!("{:?}", stored.head));
        assert_eq!(again.body.as_slice().concat(), stored.body.as_slice().concat());
    }
});
