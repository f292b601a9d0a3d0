//! Reads a body out of its content coding, and believes nothing that it says (RFC 9110 §8.4.1).

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::field::coding::Coding;

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not in its coding, or something stands behind its end.
    #[error("the body is not in the content coding that it claims")]
    Corrupt,
    /// The decoded body passes its limit, or the coding asks for a window past 8 MiB.
    #[error("the body takes more room than allowed when it is decoded")]
    TooLarge,
    /// It ends before its end.
    #[error("the body breaks off in the middle of its content coding")]
    Truncated,
}

/// Decodes a body that is still arriving.
///
/// It holds what its coding refers back to, at most 16 MiB for `br`, 8 MiB for `zstd` and 32 KiB
/// for `gzip`, but not more than a body has; and beside that 16 KiB and some tables.
pub struct Decoder {
    codec: Codec,
    /// How many bytes may still come out.
    left: u64,
    scratch: Box<[u8]>,
    failed: Option<DecodeError>,
}

enum Codec {
    Br(Box<Brotli>),
    Gzip(Gzip),
    Zstd(Zstd),
}

/// How far one step of a codec went.
struct Step {
    /// Bytes that it took.
    read: usize,
    /// Bytes that it gave.
    written: usize,
}

/// At most so many bytes come out of one step.
const SCRATCH: usize = 16 * 1024;
/// The window of gzip, as a power of two.
const GZIP_WINDOW: u8 = 15;
/// What each member of gzip begins with (RFC 1952 §2.3.1).
const GZIP_MAGIC: u8 = 0x1f;
/// The largest window of zstd in HTTP, as a power of two: nobody may send more than 8 MiB, and
/// everybody should take that much (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;
/// What a frame of zstd begins with (RFC 8878 §3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What a frame that is to be skipped begins with, after a byte that is 0x50 to 0x5f (RFC 8878
/// §3.1.2).
const ZSTD_SKIPPED: [u8; 3] = [0x2a, 0x4d, 0x18];

impl Decoder {
    /// A decoder of which at most `limit` bytes come out.
    #[must_use]
    pub fn new(coding: Coding, limit: u64) -> Self {
        let codec = match coding {
            Coding::Br => Codec::Br(Box::new(Brotli::new())),
            Coding::Gzip => Codec::Gzip(Gzip::Before { first: true }),
            Coding::Zstd => Codec::Zstd(Zstd::new()),
        };
        let scratch = vec![0; SCRATCH].into_boxed_slice();
        Self { codec, left: limit, scratch, failed: None }
    }

    /// Takes the next piece of the encoded body, and gives all that it decodes to: at most what is
    /// left of the limit.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Corrupt`] and [`DecodeError::TooLarge`]; every later call says the same.
    pub fn write(&mut self, piece: &[u8]) -> Result<Bytes, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.decode(piece).inspect_err(|error| self.failed = Some(*error))
    }

    /// Takes some of `input` and gives what that decodes to, at most 16 KiB; nothing once all of it
    /// is taken and all that it decodes to is given.
    ///
    /// # Errors
    ///
    /// Those of [`Decoder::write`].
    pub fn take(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.next(input).inspect_err(|error| self.failed = Some(*error))
    }

    fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        loop {
            let Step { read, written } = self.codec.step(input, &mut self.scratch)?;
            input.advance(read);
            self.left = self.left.checked_sub(written as u64).ok_or(DecodeError::TooLarge)?;
            if written > 0 {
                let given = self.scratch.get(..written).unwrap_or_default();
                return Ok(Some(Bytes::copy_from_slice(given)));
            }
            if input.is_empty() {
                return Ok(None);
            }
            if read == 0 {
                return Err(DecodeError::Corrupt);
            }
        }
    }

    /// Says whether the body came to its end.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if it did not, and the error of an earlier call.
    pub fn finish(self) -> Result<(), DecodeError> {
        match (self.failed, self.codec.is_at_end()) {
            (Some(error), _) => Err(error),
            (None, false) => Err(DecodeError::Truncated),
            (None, true) => Ok(()),
        }
    }

    fn decode(&mut self, piece: &[u8]) -> Result<Bytes, DecodeError> {
        let mut out = Vec::new();
        let mut rest = piece;
        loop {
            let Step { read, written } = self.codec.step(rest, &mut self.scratch)?;
            self.left = self.left.checked_sub(written as u64).ok_or(DecodeError::TooLarge)?;
            out.extend_from_slice(self.scratch.get(..written).unwrap_or_default());
            rest = rest.get(read..).unwrap_or_default();
            if rest.is_empty() && written < SCRATCH {
                break;
            }
            // A codec that neither takes nor gives would be asked for ever.
            if read == 0 && written == 0 {
                return Err(DecodeError::Corrupt);
            }
        }
        out.shrink_to_fit();
        Ok(Bytes::from(out))
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("left", &self.left)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Codec {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        match self {
            Self::Br(codec) => codec.step(input, output),
            Self::Gzip(codec) => codec.step(input, output),
            Self::Zstd(codec) => codec.step(input, output),
        }
    }

    /// Whether the body may end here.
    fn is_at_end(&self) -> bool {
        match self {
            Self::Br(codec) => codec.ended,
            Self::Gzip(codec) => matches!(codec, Gzip::Before { first: false }),
            Self::Zstd(codec) => matches!(codec.at, Frame::Before { seen: 0, first: false, .. }),
        }
    }
}

struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    ended: bool,
}

impl Brotli {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        // Strict: windows past 16 MiB are none of RFC 7932.
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), ended: false }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        if self.ended {
            return if input.is_empty() {
                Ok(Step { read: 0, written: 0 })
            } else {
                Err(DecodeError::Corrupt)
            };
        }
        let (mut input_left, mut read) = (input.len(), 0);
        let (mut room, mut written) = (output.len(), 0);
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut read,
            input,
            &mut room,
            &mut written,
            output,
            &mut 0,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => return Err(DecodeError::Corrupt),
        }
        Ok(Step { read, written })
    }
}

/// A body of one or more members (RFC 1952 §2.2).
enum Gzip {
    /// Before the next member.
    Before { first: bool },
    /// Inside of one.
    Inside(Decompress),
}

impl Gzip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        if let Self::Before { first } = self {
            match input.first() {
                None => return Ok(Step { read: 0, written: 0 }),
                // Some fill up what they send; every reader leaves that out.
                Some(0) if !*first => {
                    let read = input.iter().take_while(|byte| **byte == 0).count();
                    return Ok(Step { read, written: 0 });
                }
                Some(&GZIP_MAGIC) => *self = Self::Inside(Decompress::new_gzip(GZIP_WINDOW)),
                Some(_) => return Err(DecodeError::Corrupt),
            }
        }
        let Self::Inside(stream) = self else { return Ok(Step { read: 0, written: 0 }) };
        let before = (stream.total_in(), stream.total_out());
        let status = match stream.decompress(input, output, FlushDecompress::None) {
            Ok(status) => status,
            Err(error) => {
                log::debug!("gzip: {error}");
                return Err(DecodeError::Corrupt);
            }
        };
        let read = size(stream.total_in() - before.0);
        let written = size(stream.total_out() - before.1);
        match status {
            Status::StreamEnd => *self = Self::Before { first: false },
            Status::Ok | Status::BufError => {}
        }
        Ok(Step { read, written })
    }
}

/// A body of one or more frames (RFC 8878 §3).
struct Zstd {
    context: DCtx<'static>,
    at: Frame,
}

enum Frame {
    /// Before the next frame, with the first bytes of it that have been seen.
    Before { magic: [u8; 4], seen: usize, first: bool },
    /// Inside of one.
    Inside,
}

impl Zstd {
    fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))
            .expect("zstd allows a window of 8 MiB");
        Self { context, at: Frame::Before { magic: [0; 4], seen: 0, first: true } }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        match &mut self.at {
            Frame::Inside => self.inside(input, output),
            // The library may also know what zstd wrote before it had a standard: only a frame that
            // RFC 8878 tells of gets to it.
            Frame::Before { magic, seen, .. } => {
                let mut read = 0;
                for (place, byte) in magic.iter_mut().skip(*seen).zip(input) {
                    *place = *byte;
                    read += 1;
                }
                *seen += read;
                let (magic, seen) = (*magic, *seen);
                if !begins_frame(magic.get(..seen).unwrap_or_default()) {
                    return Err(DecodeError::Corrupt);
                }
                if seen == magic.len() {
                    self.at = Frame::Inside;
                    self.inside(&magic, output)?;
                }
                Ok(Step { read, written: 0 })
            }
        }
    }

    fn inside(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        match self.context.decompress_stream(&mut to, &mut from) {
            Ok(0) => self.at = Frame::Before { magic: [0; 4], seen: 0, first: false },
            Ok(_) => {}
            Err(code) => {
                log::debug!("zstd: {}", zstd_safe::get_error_name(code));
                let past_window = ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge;
                return Err(if zstd_safe::is_error_kind(code, past_window) {
                    DecodeError::TooLarge
                } else {
                    DecodeError::Corrupt
                });
            }
        }
        Ok(Step { read: from.pos(), written: to.pos() })
    }
}

/// Whether a frame of RFC 8878 can begin with `bytes`, at most four of them.
fn begins_frame(bytes: &[u8]) -> bool {
    let is_skipped = match bytes.split_first() {
        None => true,
        Some((first, rest)) => first & 0xf0 == 0x50 && ZSTD_SKIPPED.starts_with(rest),
    };
    is_skipped || ZSTD_MAGIC.starts_with(bytes)
}

/// A number of bytes that were in a slice.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transform::encode::{Effort, encode_whole};

    fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
        let pieces = [Bytes::copy_from_slice(body)];
        encode_whole(coding, Effort::Quick, &pieces).expect("there is memory").into()
    }

    /// Decodes `body`, cut into pieces of `cut` bytes.
    fn decoded(
        coding: Coding,
        limit: u64,
        body: &[u8],
        cut: usize,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(coding, limit);
        let mut out = Vec::new();
        for piece in body.chunks(cut) {
            out.extend(decoder.write(piece)?);
        }
        decoder.finish().map(|()| out)
    }

    /// Decodes `body` whole and byte by byte.
    #[track_caller]
    fn check(coding: Coding, body: &[u8], expected: Result<&[u8], DecodeError>) {
        for cut in [usize::MAX, 1] {
            let decoded = decoded(coding, 1000, body, cut);
            assert_eq!(decoded.as_deref(), expected.as_ref().copied(), "{coding:?} {body:x?}");
        }
    }

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn refuses_what_stands_behind_the_end() {
        for coding in Coding::ALL {
            let body = encoded(coding, b"hello");
            check(coding, &body, Ok(b"hello"));
            for tail in [&b"x"[..], b"\0x", b"garbage that is longer"] {
                check(coding, &joined(&[&body, tail]), Err(DecodeError::Corrupt));
            }
            for zeros in [&b"\0"[..], b"\0\0\0\0\0\0\0\0"] {
                let is_taken = coding == Coding::Gzip;
                let expected = if is_taken { Ok(&b"hello"[..]) } else { Err(DecodeError::Corrupt) };
                check(coding, &joined(&[&body, zeros]), expected);
            }
        }
    }

    #[test]
    fn takes_several_members_and_frames() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let (hello, empty) = (encoded(coding, b"hello"), encoded(coding, b""));
            check(coding, &joined(&[&hello, &empty, &hello]), Ok(b"hellohello"));
            check(coding, &joined(&[&hello, &hello[..9]]), Err(DecodeError::Truncated));
        }
        let twice = joined(&[&encoded(Coding::Br, b"hello"), &encoded(Coding::Br, b"hello")]);
        check(Coding::Br, &twice, Err(DecodeError::Corrupt));
    }

    #[test]
    fn says_where_a_body_breaks_off() {
        for coding in Coding::ALL {
            let body = encoded(coding, b"hello, hello, hello, how do you do");
            for length in 0..body.len() {
                check(coding, &body[..length], Err(DecodeError::Truncated));
            }
        }
    }

    #[test]
    fn refuses_what_is_in_another_coding() {
        for (body, claimed) in [
            (encoded(Coding::Gzip, b"hello"), Coding::Zstd),
            (encoded(Coding::Zstd, b"hello"), Coding::Gzip),
            (b"<!doctype html>".to_vec(), Coding::Gzip),
            (b"<!doctype html>".to_vec(), Coding::Zstd),
            (b"<!doctype html><title>A page</title>".to_vec(), Coding::Br),
        ] {
            check(claimed, &body, Err(DecodeError::Corrupt));
        }
    }

    #[test]
    fn refuses_a_member_whose_checksum_is_wrong() {
        let mut body = encoded(Coding::Gzip, b"hello");
        let at = body.len() - 8;
        body[at] ^= 1;
        check(Coding::Gzip, &body, Err(DecodeError::Corrupt));
    }

    #[test]
    fn takes_a_body_of_the_limit_and_none_past_it() {
        for coding in Coding::ALL {
            check(coding, &encoded(coding, &[7; 1000]), Ok(&[7; 1000]));
            check(coding, &encoded(coding, &[7; 1001]), Err(DecodeError::TooLarge));
        }
    }

    #[test]
    fn stops_a_bomb_at_the_limit() {
        for coding in Coding::ALL {
            let bomb = encoded(coding, &vec![0; 50_000_000]);
            assert!(bomb.len() < 100_000, "{coding:?}");
            let mut decoder = Decoder::new(coding, 100_000);
            assert_eq!(decoder.write(&bomb), Err(DecodeError::TooLarge));
            assert_eq!(decoder.write(b""), Err(DecodeError::TooLarge));
            assert_eq!(decoder.finish(), Err(DecodeError::TooLarge));
        }
    }

    /// The head of a frame of zstd with a window of `2^(10 + exponent)` bytes, and an empty block.
    fn frame(exponent: u8) -> Vec<u8> {
        joined(&[&ZSTD_MAGIC, &[0, exponent << 3, 1, 0, 0]])
    }

    #[test]
    fn takes_a_window_of_eight_mebibytes_and_none_past_it() {
        check(Coding::Zstd, &frame(13), Ok(b""));
        check(Coding::Zstd, &frame(14), Err(DecodeError::TooLarge));
        // Ten bits of size and more are brotli's large windows, which are not those of RFC 7932.
        check(Coding::Br, &[0x11, 0x1e, 0x03], Err(DecodeError::Corrupt));
    }

    #[test]
    fn knows_the_frames_of_the_standard_alone() {
        let skipped = [0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let hello = encoded(Coding::Zstd, b"hello");
        check(Coding::Zstd, &joined(&[&skipped, &hello, &skipped]), Ok(b"hello"));
        // The magic numbers of zstd 0.2 to 0.7.
        for version in 0x22..=0x27 {
            let old = [version, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0];
            check(Coding::Zstd, &old, Err(DecodeError::Corrupt));
        }
    }

    #[test]
    fn takes_a_flush_without_content() {
        for coding in Coding::ALL {
            let mut encoder = crate::transform::encode::Encoder::new(coding, Effort::Quick);
            let mut body = Vec::new();
            for piece in [&b""[..], b"a", b"", b""] {
                body.extend(encoder.write(piece).expect("there is memory"));
                body.extend(encoder.flush().expect("there is memory"));
            }
            body.extend(encoder.finish().expect("there is memory"));
            check(coding, &body, Ok(b"a"));
        }
    }

    proptest! {
        #[test]
        fn says_the_same_of_a_body_however_it_is_cut(
            coding in prop::sample::select(&Coding::ALL[..]),
            body in prop::collection::vec(any::<u8>(), 0..500),
            is_encoded in any::<bool>(),
            change in prop::option::of((any::<prop::sample::Index>(), 1..=255_u8)),
            cut in 1..50_usize,
        ) {
            let mut body = if is_encoded { encoded(coding, &body) } else { body };
            if let (Some((at, flip)), false) = (change, body.is_empty()) {
                let at = at.index(body.len());
                body[at] ^= flip;
            }
            let whole = decoded(coding, 2000, &body, usize::MAX);
            // What is past the limit may be found out before or after what is wrong behind it.
            if whole != Err(DecodeError::TooLarge) {
                prop_assert_eq!(whole, decoded(coding, 2000, &body, cut));
            }
        }

        #[test]
        fn never_gives_more_than_the_limit(
            coding in prop::sample::select(&Coding::ALL[..]),
            length in 0..60_000_usize,
            limit in 0..60_000_u64,
        ) {
            let body = encoded(coding, &vec![b'a'; length]);
            let decoded = decoded(coding, limit, &body, 7).map(|body| body.len());
            let fits = length as u64 <= limit;
            prop_assert_eq!(decoded, if fits { Ok(length) } else { Err(DecodeError::TooLarge) });
        }
    }
}
