//! Any bytes are decoded or refused, within the limit, and alike however they are cut.
#![no_main]

use forebay::field::coding::Coding;
use forebay::transform::decode::{DecodeError, Decoder};
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 1 << 20;

fn decode(coding: Coding, data: &[u8], cut: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(coding, LIMIT);
    let mut body = Vec::new();
    for piece in data.chunks(cut) {
        body.extend(decoder.write(piece)?);
    }
    decoder.finish().map(|()| body)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (which, cut, data) = input;
    let coding = Coding::ALL[usize::from(which) % Coding::ALL.len()];
    let whole = decode(coding, data, usize::MAX);
    if let Ok(body) = &whole {
        assert!(body.len() as u64 <= LIMIT);
    }
    // What is past the limit may be found out before or after what is wrong behind it.
    if whole != Err(DecodeError::TooLarge) {
        assert_eq!(whole, decode(coding, data, usize::from(cut) + 1));
    }
});
