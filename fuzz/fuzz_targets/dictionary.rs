//! Whatever is coded with a dictionary decodes to itself, and whatever else comes does no harm.
#![no_main]

use bytes::Bytes;
use forebay::field::dictionary::{DictionaryCoding, Hash, Weights};
use forebay::transform::dictionary::{decode, encode};
use forebay_fuzz::{append, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<u8>, Vec<u8>, Vec<u8>)| {
    let (which, dictionary, new, more) = input;
    let coding = DictionaryCoding::ALL[usize::from(which)];
    let body = [&dictionary[dictionary.len() / 2..], &new, &dictionary, &new].concat();
    let encoded = encode(coding, &dictionary, &[Bytes::from(body.clone())]).unwrap();
    assert_eq!(decode(coding, &dictionary, &encoded, body.len()).unwrap(), body);

    let head = &encoded[..encoded.len().min(36)];
    let damaged = [head, &more].concat();
    assert!(decode(coding, &dictionary, &damaged, 1000).map_or(0, |body| body.len()) <= 1000);

    let mut fields = lines("available-dictionary", &more);
    append(&mut fields, "accept-encoding", &more);
    let _ = (Hash::available(&fields), Weights::read(&fields));
});
