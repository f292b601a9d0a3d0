//! Whatever is encoded decodes to itself, however it is cut and whenever it is flushed.
#![no_main]

use bytes::Bytes;
use forebay::field::coding::Coding;
use forebay::transform::decode::Decoder;
use forebay::transform::encode::{Effort, Encoder, encode_whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, Vec<(bool, Vec<u8>)>)| {
    let (which, is_best, pieces) = input;
    let coding = Coding::ALL[usize::from(which) % Coding::ALL.len()];
    let effort = if is_best { Effort::Best } else { Effort::Quick };
    let mut encoder = Encoder::new(coding, effort);
    let mut decoder = Decoder::new(coding, u64::MAX);
    let (mut written, mut read) = (Vec::new(), Vec::new());
    for (is_flushed, piece) in &pieces {
        written.extend_from_slice(piece);
        read.extend(decoder.write(&encoder.write(piece).unwrap()).unwrap());
        if *is_flushed {
            read.extend(decoder.write(&encoder.flush().unwrap()).unwrap());
            assert_eq!(read, written);
        }
    }
    read.extend(decoder.write(&encoder.finish().unwrap()).unwrap());
    assert_eq!(read, written);
    decoder.finish().unwrap();

    let pieces: Vec<Bytes> = pieces.into_iter().map(|(_, piece)| piece.into()).collect();
    let whole = encode_whole(coding, effort, &pieces).unwrap();
    let mut decoder = Decoder::new(coding, u64::MAX);
    assert_eq!(decoder.write(&whole).unwrap(), written);
    decoder.finish().unwrap();
});
