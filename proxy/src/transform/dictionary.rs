//! Makes and reads the content codings `dcb` and `dcz`, which refer to a dictionary that the client
//! has already (RFC 9842 §4, §5).
//!
//! The dictionary is raw: bytes that are taken as if they stood before the body. Both codings begin
//! with its SHA-256, so that no other one is taken for it.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderParameter, BrotliEncoderStateStruct};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::Bytes;
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer};

use super::decode::DecodeError;
use super::encode::{EncodeError, Then, run_brotli, run_zstd};
use crate::field::dictionary::{DictionaryCoding, Hash};

/// What `dcb` begins with, before the hash (RFC 9842 §4).
const DCB_MAGIC: &[u8] = &[0xff, 0x44, 0x43, 0x42];
/// What `dcz` begins with, before the hash: the head of a frame that zstd skips (RFC 9842 §5).
const DCZ_MAGIC: &[u8] = &[0x5e, 0x2a, 0x4d, 0x18, 0x20, 0x00, 0x00, 0x00];
/// The window of brotli, as a power of two (RFC 7932 §9.1).
const BR_WINDOW: (u32, u32) = (17, 24);
/// The window of zstd that every client has room for, as a power of two: it is 8 MiB or more.
const ZSTD_WINDOW: (u32, u32) = (17, 23);
/// Where the dictionary and the body are longer than this together, in bytes, zstd looks for what
/// they share with a table of its own: those that find the least would take hundreds of megabytes.
const ZSTD_SEARCHED_IN_FULL: usize = 8 << 20;
/// Where they are longer than this, in bytes, brotli is content with less: it would take a second
/// for each further megabyte, and twelve times their length in memory.
const BR_SEARCHED_IN_FULL: usize = 4 << 20;
/// What a frame of zstd begins with (RFC 8878 §3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// At most so many bytes come out of one step of a decoder.
const STEP: usize = 64 * 1024;

/// Encodes a body, which is here as a whole in `pieces`, for who has `dictionary`. It is done as
/// well as time allows, for it is made once and kept; and it is read again before it is given, so
/// that nobody gets what cannot be read.
///
/// # Errors
///
/// [`EncodeError`] if the codec gives up, or what it made is not the body.
pub fn encode(
    coding: DictionaryCoding,
    dictionary: &[u8],
    pieces: &[Bytes],
) -> Result<Bytes, EncodeError> {
    let length = pieces.iter().map(Bytes::len).sum();
    let efforts = efforts(coding, dictionary.len().saturating_add(length));
    for effort in efforts {
        let mut out = Vec::from(magic(coding));
        out.extend_from_slice(Hash::of(dictionary).as_bytes());
        let run = match coding {
            DictionaryCoding::Dcb => encode_brotli,
            DictionaryCoding::Dcz => encode_zstd,
        };
        run(*effort, dictionary, pieces, length, &mut out)
            .map_err(|reason| EncodeError { coding: coding.plain(), reason })?;
        if is_body(decode(coding, dictionary, &out, length), pieces) {
            out.shrink_to_fit();
            return Ok(Bytes::from(out));
        }
    }
    let reason = "what it made with a dictionary reads as something else".to_owned();
    Err(EncodeError { coding: coding.plain(), reason })
}

/// The levels of a codec to be tried in turn where dictionary and body have `total` bytes.
const fn efforts(coding: DictionaryCoding, total: usize) -> &'static [i32] {
    match coding {
        // In the first 64 bytes of a body the encoder may, at its best, refer to a piece that runs
        // from the end of the dictionary into the body, which no decoder takes.
        DictionaryCoding::Dcb if total <= BR_SEARCHED_IN_FULL => &[11, 9],
        DictionaryCoding::Dcb => &[9],
        DictionaryCoding::Dcz if total <= ZSTD_SEARCHED_IN_FULL => &[19],
        DictionaryCoding::Dcz => &[12],
    }
}

/// Whether what was decoded is what `pieces` are together.
fn is_body(decoded: Result<Vec<u8>, DecodeError>, pieces: &[Bytes]) -> bool {
    let Ok(decoded) = decoded else { return false };
    let mut rest = decoded.as_slice();
    let all = pieces.iter().all(|piece| {
        let after = rest.strip_prefix(piece.as_ref());
        rest = after.unwrap_or_default();
        after.is_some()
    });
    all && rest.is_empty()
}

/// Decodes a body that was encoded for who has `dictionary`, to at most `limit` bytes.
///
/// # Errors
///
/// [`DecodeError`]; [`DecodeError::Corrupt`] also if it was encoded with another dictionary.
pub fn decode(
    coding: DictionaryCoding,
    dictionary: &[u8],
    encoded: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecodeError> {
    let stream = encoded
        .strip_prefix(magic(coding))
        .and_then(|rest| rest.strip_prefix(Hash::of(dictionary).as_bytes()))
        .ok_or(DecodeError::Corrupt)?;
    match coding {
        DictionaryCoding::Dcb => decode_brotli(dictionary, stream, limit),
        DictionaryCoding::Dcz => decode_zstd(dictionary, stream, limit),
    }
}

const fn magic(coding: DictionaryCoding) -> &'static [u8] {
    match coding {
        DictionaryCoding::Dcb => DCB_MAGIC,
        DictionaryCoding::Dcz => DCZ_MAGIC,
    }
}

/// The least window, as a power of two within `bounds`, that has room for `length` bytes.
fn window(length: usize, bounds: (u32, u32)) -> u32 {
    // Brotli keeps 16 bytes of a window for itself.
    (length.saturating_add(16).ilog2() + 1).clamp(bounds.0, bounds.1)
}

fn encode_brotli(
    quality: i32,
    dictionary: &[u8],
    pieces: &[Bytes],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    // A reference past the window would mean a word of brotli's own.
    let window = window(dictionary.len().saturating_add(length), BR_WINDOW);
    let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
    for (parameter, value) in [
        (BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality.unsigned_abs()),
        (BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window),
        (BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, u32::try_from(length).unwrap_or(u32::MAX)),
    ] {
        let taken = state.set_parameter(parameter, value);
        debug_assert!(taken, "brotli knows its parameters before it begins");
    }
    state.set_custom_dictionary(dictionary.len(), dictionary);
    for piece in pieces {
        run_brotli(&mut state, piece, Then::Go, out)?;
    }
    run_brotli(&mut state, &[], Then::End, out)
}

fn encode_zstd(
    level: i32,
    dictionary: &[u8],
    pieces: &[Bytes],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let total = dictionary.len().saturating_add(length);
    let mut context = CCtx::create();
    let mut set = |parameter| context.set_parameter(parameter).map(drop).map_err(reason);
    set(CParameter::CompressionLevel(level))?;
    // The dictionary can be referred to for as long as what was decoded fits into the window.
    set(CParameter::WindowLog(window(length, ZSTD_WINDOW)))?;
    if total > ZSTD_SEARCHED_IN_FULL {
        set(CParameter::EnableLongDistanceMatching(true))?;
    } else {
        let log = window(total, ZSTD_WINDOW);
        set(CParameter::ChainLog(log + 1))?;
        set(CParameter::HashLog(log))?;
    }
    context.set_pledged_src_size(Some(length as u64)).map_err(reason)?;
    context.ref_prefix(dictionary).map_err(reason)?;
    for piece in pieces {
        run_zstd(&mut context, piece, Then::Go, out)?;
    }
    run_zstd(&mut context, &[], Then::End, out)
}

fn reason(code: usize) -> String {
    zstd_safe::get_error_name(code).to_owned()
}

fn decode_brotli(dictionary: &[u8], stream: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let alloc = StandardAlloc::default;
    // Strict: windows past 16 MiB are for none of these codings.
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    if !dictionary.is_empty() && !state.attach_dictionary(dictionary.to_vec().into()) {
        return Err(DecodeError::TooLarge);
    }
    let (mut left, mut at) = (stream.len(), 0);
    let (mut out, mut step) = (Vec::new(), vec![0; STEP]);
    loop {
        let (mut room, mut written) = (step.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            stream,
            &mut room,
            &mut written,
            &mut step,
            &mut 0,
            &mut state,
        );
        take(&mut out, step.get(..written), limit)?;
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess if left == 0 => return Ok(out),
            BrotliResult::ResultSuccess | BrotliResult::ResultFailure => {
                return Err(DecodeError::Corrupt);
            }
            BrotliResult::NeedsMoreInput => return Err(DecodeError::Truncated),
        }
    }
}

fn decode_zstd(dictionary: &[u8], stream: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let corrupt = |code| {
        log::debug!("dcz: {}", reason(code));
        DecodeError::Corrupt
    };
    // It may know what zstd wrote before it had a standard, which is for nobody.
    if !stream.starts_with(&ZSTD_MAGIC) {
        return Err(DecodeError::Corrupt);
    }
    let mut context = DCtx::create();
    context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW.1)).map_err(corrupt)?;
    context.ref_prefix(dictionary).map_err(corrupt)?;
    let mut from = InBuffer::around(stream);
    let (mut out, mut step) = (Vec::new(), vec![0; STEP]);
    loop {
        let mut to = OutBuffer::around(step.as_mut_slice());
        let left = context.decompress_stream(&mut to, &mut from).map_err(corrupt)?;
        let written = to.pos();
        take(&mut out, step.get(..written), limit)?;
        let is_read = from.pos() == stream.len();
        if left == 0 {
            return if is_read { Ok(out) } else { Err(DecodeError::Corrupt) };
        }
        if is_read && written < STEP {
            return Err(DecodeError::Truncated);
        }
    }
}

/// Puts a step of a decoder behind what came before it.
fn take(out: &mut Vec<u8>, step: Option<&[u8]>, limit: usize) -> Result<(), DecodeError> {
    let step = step.unwrap_or_default();
    if out.len().saturating_add(step.len()) > limit {
        return Err(DecodeError::TooLarge);
    }
    out.extend_from_slice(step);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::coding::Coding;
    use crate::transform::encode::{Effort, encode_whole};

    /// Encodes `body`, and says how long it became.
    #[track_caller]
    fn check(coding: DictionaryCoding, dictionary: &[u8], body: &[u8]) -> usize {
        let (first, second) = body.split_at(body.len() / 2);
        let pieces = [Bytes::copy_from_slice(first), Bytes::copy_from_slice(second)];
        let encoded = encode(coding, dictionary, &pieces).expect("there is memory");
        let decoded = decode(coding, dictionary, &encoded, body.len());
        assert!(decoded.as_deref() == Ok(body), "{coding:?} {:?}", decoded.map(|it| it.len()));
        encoded.len()
    }

    /// What a bundler makes: one function in a hundred is another one in each version.
    fn bundle(length: usize, version: u64) -> Vec<u8> {
        let mut seed = 7_u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        let mut body = Vec::new();
        while body.len() < length {
            let (name, value, bound) = (next(), next(), next());
            let value = if value.is_multiple_of(100) { value * version } else { value };
            body.extend_from_slice(
                format!("function f{name}(a,b){{return a.x{value}<b?a:b+{bound}}}\n").as_bytes(),
            );
        }
        body.truncate(length);
        body
    }

    #[test]
    fn makes_little_of_what_changed_little() {
        let (old, new) = (bundle(256 * 1024, 1), bundle(256 * 1024, 3));
        let alone = encode_whole(Coding::Br, Effort::Best, &[new.clone().into()]).unwrap().len();
        for coding in DictionaryCoding::ALL {
            let length = check(coding, &old, &new);
            assert!(length * 20 < alone, "{coding:?} {length} of {alone}");
        }
    }

    #[test]
    fn gives_back_bodies_of_every_kind() {
        let text = bundle(50_000, 1);
        let noise: Vec<u8> = (0..5_000_u32).map(|at| (at * at * 31 % 251) as u8).collect();
        for coding in DictionaryCoding::ALL {
            for dictionary in [&b""[..], b"a", b"ab", &text, &noise] {
                for body in [&b""[..], b"a", &text, &noise, &text[20_000..], &text[..9]] {
                    check(coding, dictionary, body);
                }
            }
        }
    }

    #[test]
    fn finds_what_they_share_in_long_ones() {
        let old = bundle(5 << 20, 1);
        let new = [b"/* of today */", &old[1 << 20..4 << 20]].concat();
        for coding in DictionaryCoding::ALL {
            let length = check(coding, &old, &new);
            assert!(length < 20_000, "{coding:?} {length}");
        }
    }

    #[test]
    fn a_body_may_go_on_where_the_dictionary_ends() {
        // What the body repeats at once stands half in the dictionary and half in itself.
        let dictionary = [bundle(2_000, 1), b"xyz".to_vec()].concat();
        let body = [b"uvw-xyzuvw-xyzuvw-".to_vec(), bundle(2_000, 1)].concat();
        for coding in DictionaryCoding::ALL {
            check(coding, &dictionary, &body);
        }
    }

    const DICTIONARY: &[u8] = b"export function greet(name) { return 'Hello, ' + name + '!'; }\n";
    const BODY: &[u8] = b"export function greet(name) { return 'Good day, ' + name + '!'; }\n\
                          export const version = 2;\n";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    #[track_caller]
    fn check_foreign(coding: DictionaryCoding, head: &str, stream: &str) {
        let hash = "42c8f82ee09bf510c8edf3c05e8184b841a902b2\
                    d3dbf3d7983c326f435d239b";
        let encoded = bytes(&[head, hash, stream].concat());
        assert_eq!(decode(coding, DICTIONARY, &encoded, 100).as_deref(), Ok(BODY));
        let made = encode(coding, DICTIONARY, &[BODY.into()]).unwrap();
        assert!(made.starts_with(&bytes(&[head, hash].concat())));
    }

    #[test]
    fn reads_what_others_have_made() {
        // Made by the libraries of brotli and zstd that are written in C.
        let brotli = "1b5b00e02d0eec583278c10276f25a01446647f68c91955b5e85bdd51c1d38e4e8c072c3b6\
                      44132967a6c4e0912dee464bab081b";
        let zstd = "28b52ffd205c2d0100e065476f6f6420646179636f6e73742076657273696f6e203d20323b0a\
                    020045844c78021b";
        check_foreign(DictionaryCoding::Dcb, "ff444342", brotli);
        check_foreign(DictionaryCoding::Dcz, "5e2a4d1820000000", zstd);
    }

    #[test]
    fn reads_nothing_that_is_damaged_or_for_another_dictionary() {
        for coding in DictionaryCoding::ALL {
            let whole = encode(coding, DICTIONARY, &[BODY.into()]).unwrap();
            for cut in 0..whole.len() {
                assert!(decode(coding, DICTIONARY, &whole[..cut], 1000).is_err(), "{cut}");
            }
            let longer = [&whole[..], b"x"].concat();
            let corrupt = Err(DecodeError::Corrupt);
            assert_eq!(decode(coding, DICTIONARY, &longer, 1000), corrupt);
            assert_eq!(decode(coding, &DICTIONARY[1..], &whole, 1000), corrupt);
            let too_large = Err(DecodeError::TooLarge);
            assert_eq!(decode(coding, DICTIONARY, &whole, BODY.len() - 1), too_large);
        }
    }

    /// A dictionary, and a body of pieces of it and of itself, with noise between them.
    fn related() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let dictionary = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(b'a'..b'd', 0..5_000),
            (0..20_000_usize).prop_map(|length| bundle(length, 1)),
        ];
        let piece = (any::<prop::sample::Index>(), 0..400_usize, 0..4_u8, any::<u64>());
        (dictionary, prop::collection::vec(piece, 0..60)).prop_map(|(dictionary, pieces)| {
            let mut body = Vec::new();
            for (from, length, kind, noise) in pieces {
                let source = if kind == 0 { &body } else { &dictionary };
                let from = match kind {
                    // The end of the dictionary, which the body goes on from.
                    1 => source.len().saturating_sub(length % 9),
                    _ => from.index(source.len() + 1),
                };
                let piece = source[from..].iter().copied().take(length).collect::<Vec<_>>();
                body.extend(piece);
                if kind == 3 {
                    body.extend_from_slice(&noise.to_le_bytes());
                }
            }
            (dictionary, body)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn gives_back_what_it_was_given(
            (dictionary, body) in related(),
            coding in prop::sample::select(&DictionaryCoding::ALL[..]),
        ) {
            check(coding, &dictionary, &body);
        }

        #[test]
        fn reads_whatever_comes_without_harm(
            stream: Vec<u8>,
            dictionary: Vec<u8>,
            coding in prop::sample::select(&DictionaryCoding::ALL[..]),
        ) {
            let head = [magic(coding), Hash::of(&dictionary).as_bytes()].concat();
            let read = decode(coding, &dictionary, &[head, stream].concat(), 1000);
            prop_assert!(read.is_err() || read.is_ok_and(|body| body.len() <= 1000));
        }
    }
}
