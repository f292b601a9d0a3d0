//! Makes a content coding out of a body, piece by piece or in one go (RFC 9110 §8.4.1).

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::field::coding::Coding;

/// How hard to try.
///
/// What an encoder takes at most, in MiB, however long the body; less for a short one:
///
/// | | `br` | `gzip` | `gzip` as a whole | `zstd` |
/// |---|---|---|---|---|
/// | `Quick` | 5 | 0.3 | 0.5 | 2 |
/// | `Best` | 67 | 0.4 | 6 | 30 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effort {
    /// As quick as an answer that somebody waits for has to be.
    Quick,
    /// As small as it gets, at a megabyte or a few in a second: for what is made once and kept.
    Best,
}

impl Effort {
    /// Every effort.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Best];
}

/// The encoder gave up, which it does for want of memory alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encoder of {} stopped: {reason}", coding.token())]
pub struct EncodeError {
    /// What it was making.
    pub coding: Coding,
    /// What it said.
    pub reason: String,
}

/// Encodes a body that is still arriving.
///
/// After an error what it gives is worth nothing: the answer must break off.
pub struct Encoder {
    codec: Codec,
}

enum Codec {
    Br(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Gzip(Compress),
    Zstd(CCtx<'static>),
}

/// What an encoder is to do once it has taken its input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Wait for more.
    Go,
    /// Give what makes all of it readable.
    Flush,
    /// Close the body.
    End,
}

/// By how much the output grows at once, in bytes.
const ROOM: usize = 16 * 1024;
/// The largest window of gzip, and the one that it always has, as a power of two.
const GZIP_WINDOW: u8 = 15;
/// The least window of brotli, as a power of two: for a smaller one it takes other tables, of 32
/// MiB.
const BR_LEAST_WINDOW: u32 = 17;

impl Encoder {
    /// An encoder that has been given nothing.
    #[must_use]
    pub fn new(coding: Coding, effort: Effort) -> Self {
        Self::sized(coding, effort, None)
    }

    /// An encoder for a body of exactly `length` bytes, where that is known: it takes less memory
    /// for a short one.
    #[must_use]
    pub fn sized(coding: Coding, effort: Effort, length: Option<u64>) -> Self {
        let codec = match coding {
            Coding::Br => Codec::Br(Box::new(brotli(effort, length))),
            Coding::Gzip => Codec::Gzip(Compress::new_gzip(gzip_level(effort), GZIP_WINDOW)),
            Coding::Zstd => Codec::Zstd(zstd(effort, length)),
        };
        Self { codec }
    }

    /// What it makes.
    #[must_use]
    pub const fn coding(&self) -> Coding {
        match self.codec {
            Codec::Br(_) => Coding::Br,
            Codec::Gzip(_) => Coding::Gzip,
            Codec::Zstd(_) => Coding::Zstd,
        }
    }

    /// Takes the next piece of the body, and gives what is ready: often nothing.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the codec gives up.
    pub fn write(&mut self, piece: &[u8]) -> Result<Bytes, EncodeError> {
        self.bytes(piece, Then::Go)
    }

    /// Gives what the client lacks to decode everything that was written so far.
    ///
    /// Each time costs a few bytes, and what comes after cannot be put as briefly.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the codec gives up.
    pub fn flush(&mut self) -> Result<Bytes, EncodeError> {
        self.bytes(&[], Then::Flush)
    }

    /// Gives the end of the encoded body.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the codec gives up.
    pub fn finish(mut self) -> Result<Bytes, EncodeError> {
        self.bytes(&[], Then::End)
    }

    fn bytes(&mut self, input: &[u8], then: Then) -> Result<Bytes, EncodeError> {
        let mut out = Vec::new();
        self.run(input, then, &mut out)?;
        out.shrink_to_fit();
        Ok(Bytes::from(out))
    }

    fn run(&mut self, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let coding = self.coding();
        let ran = match &mut self.codec {
            Codec::Br(state) => run_brotli(state, input, then, out),
            Codec::Gzip(stream) => run_gzip(stream, input, then, out),
            Codec::Zstd(context) => run_zstd(context, input, then, out),
        };
        ran.map_err(|reason| EncodeError { coding, reason })
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("coding", &self.coding()).finish_non_exhaustive()
    }
}

/// Encodes a body that is here as a whole, cut into `pieces` in whatever way.
///
/// It knows what an [`Encoder`] cannot, how much is to come: a short body takes less memory, and
/// gzip is made by a codec that needs the whole and makes less of it. For that several pieces are
/// joined first, which takes their length in memory again.
///
/// # Errors
///
/// [`EncodeError`] if the codec gives up.
pub fn encode_whole(
    coding: Coding,
    effort: Effort,
    pieces: &[Bytes],
) -> Result<Bytes, EncodeError> {
    let mut out = Vec::new();
    match coding {
        Coding::Gzip => match pieces {
            [piece] => whole_gzip(effort, piece, &mut out)?,
            pieces => whole_gzip(effort, &pieces.concat(), &mut out)?,
        },
        Coding::Br | Coding::Zstd => {
            let length = pieces.iter().map(|piece| piece.len() as u64).sum();
            let mut encoder = Encoder::sized(coding, effort, Some(length));
            for piece in pieces {
                encoder.run(piece, Then::Go, &mut out)?;
            }
            encoder.run(&[], Then::End, &mut out)?;
        }
    }
    out.shrink_to_fit();
    Ok(Bytes::from(out))
}

fn brotli(effort: Effort, length: Option<u64>) -> BrotliEncoderStateStruct<StandardAlloc> {
    // Quality 5 takes half as long again, for a body that is 5 % smaller; what matters is made again.
    let (quality, largest) = match effort {
        Effort::Quick => (4, 18),
        Effort::Best => (11, 22),
    };
    let window = length.map_or(largest, |length| {
        // Brotli keeps 16 bytes of a window for itself.
        (length.saturating_add(16).ilog2() + 1).clamp(BR_LEAST_WINDOW, largest)
    });
    let hint = length.map_or(0, |length| u32::try_from(length).unwrap_or(u32::MAX));
    let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
    for (parameter, value) in [
        (BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality),
        (BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window),
        (BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint),
    ] {
        let taken = state.set_parameter(parameter, value);
        debug_assert!(taken, "brotli knows its parameters before it begins");
    }
    state
}

pub(super) fn run_brotli(
    state: &mut BrotliEncoderStateStruct<StandardAlloc>,
    input: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let operation = match then {
        Then::Go => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        Then::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        Then::End => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let (mut left, mut at) = (input.len(), 0);
    loop {
        // It is lent no room: its output is taken out of its own.
        let went_on = state.compress_stream(
            operation,
            &mut left,
            input,
            &mut at,
            &mut 0,
            &mut [],
            &mut 0,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !went_on {
            return Err("it gave no reason".to_owned());
        }
        // Nought asks for all there is, and turns into how much that was.
        let mut length = 0;
        let ready = state.take_output(&mut length);
        out.extend_from_slice(ready.get(..length).unwrap_or_default());
        if left == 0 && !state.has_more_output() && (then != Then::End || state.is_finished()) {
            return Ok(());
        }
    }
}

fn gzip_level(effort: Effort) -> Compression {
    match effort {
        // Level 6 is a sixth slower, and smaller by three in a thousand.
        Effort::Quick => Compression::new(5),
        Effort::Best => Compression::new(9),
    }
}

fn run_gzip(
    stream: &mut Compress,
    input: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let flush = match then {
        Then::Go => FlushCompress::None,
        Then::Flush => FlushCompress::Sync,
        Then::End => FlushCompress::Finish,
    };
    let mut rest = input;
    loop {
        out.reserve(ROOM);
        let before = stream.total_in();
        let status = stream.compress_vec(rest, out, flush).map_err(|error| error.to_string())?;
        let taken = usize::try_from(stream.total_in() - before).unwrap_or(rest.len());
        rest = rest.get(taken..).unwrap_or_default();
        // Where there is room left, there was no more to say.
        let has_room = out.len() < out.capacity();
        let done = match status {
            Status::StreamEnd => true,
            Status::Ok | Status::BufError => rest.is_empty() && has_room && then != Then::End,
        };
        if done {
            return Ok(());
        }
    }
}

/// Encodes with libdeflate, which takes a body as a whole and makes it smaller than zlib can.
fn whole_gzip(effort: Effort, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let level = match effort {
        Effort::Quick => 6,
        Effort::Best => 12,
    };
    let level = CompressionLvl::new(level).expect("libdeflate has levels from 0 to 12");
    let mut compressor = Compressor::new(level);
    out.resize(compressor.gzip_compress_bound(body.len()), 0);
    let length = compressor
        .gzip_compress(body, out)
        .map_err(|error| EncodeError { coding: Coding::Gzip, reason: error.to_string() })?;
    out.truncate(length);
    Ok(())
}

fn zstd(effort: Effort, length: Option<u64>) -> CCtx<'static> {
    // By themselves the windows and tables of level 3 take 3.5 MiB, and those of level 19 take 90.
    let parameters: &[CParameter] = match effort {
        Effort::Quick => &[CParameter::CompressionLevel(3), CParameter::WindowLog(19)],
        Effort::Best => &[
            CParameter::CompressionLevel(19),
            CParameter::WindowLog(22),
            CParameter::ChainLog(22),
            CParameter::HashLog(21),
        ],
    };
    let mut context = CCtx::create();
    for parameter in parameters {
        context.set_parameter(*parameter).expect("zstd allows these parameters");
    }
    context.set_pledged_src_size(length).expect("zstd takes a length before it begins");
    context
}

pub(super) fn run_zstd(
    context: &mut CCtx<'_>,
    input: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let directive = match then {
        Then::Go => ZSTD_EndDirective::ZSTD_e_continue,
        Then::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        Then::End => ZSTD_EndDirective::ZSTD_e_end,
    };
    let mut input_buffer = InBuffer::around(input);
    loop {
        out.reserve(ROOM);
        let at = out.len();
        let mut output = OutBuffer::around_pos(out, at);
        let left = context
            .compress_stream2(&mut output, &mut input_buffer, directive)
            .map_err(|code| zstd_safe::get_error_name(code).to_owned())?;
        // Without a flush `left` counts what waits for more input as well.
        let done = match then {
            Then::Go => input_buffer.pos() == input.len() && out.len() < out.capacity(),
            Then::Flush | Then::End => left == 0,
        };
        if done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transform::decode::Decoder;

    /// What `encoded` decodes to, as a whole.
    fn decoded(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(coding, u64::MAX);
        let body = decoder.write(encoded).expect("it is in its coding");
        decoder.finish().expect("it is complete");
        body.into()
    }

    /// Encodes `body` in one go, and says how long it became.
    #[track_caller]
    fn check(coding: Coding, effort: Effort, body: &[u8]) -> usize {
        let mut encoder = Encoder::new(coding, effort);
        let mut streamed = Vec::from(encoder.write(body).expect("there is memory"));
        streamed.extend(encoder.finish().expect("there is memory"));
        assert!(decoded(coding, &streamed) == body, "{coding:?} {effort:?} as a stream");
        let (first, second) = body.split_at(body.len() / 2);
        let pieces = [Bytes::copy_from_slice(first), Bytes::copy_from_slice(second)];
        let whole = encode_whole(coding, effort, &pieces).expect("there is memory");
        assert!(decoded(coding, &whole) == body, "{coding:?} {effort:?} as a whole");
        whole.len()
    }

    fn every() -> impl Iterator<Item = (Coding, Effort)> {
        let pair = |coding| Effort::ALL.map(|effort| (coding, effort));
        Coding::ALL.into_iter().flat_map(pair)
    }

    /// Text that is like itself here and there.
    fn text(length: usize) -> Vec<u8> {
        let words =
            ["function", "(a,b)", "{return ", "a.length", "+", "this.", "state", "}", ";\n"];
        let mut seed = 1_u64;
        let mut body = Vec::new();
        while body.len() < length {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).expect("31 bits fit");
            body.extend_from_slice(words[at % words.len()].as_bytes());
        }
        body.truncate(length);
        body
    }

    #[test]
    fn gives_back_bodies_of_every_kind() {
        for (coding, effort) in every() {
            check(coding, effort, b"");
            check(coding, effort, b"a");
            check(coding, effort, &[0; 100_000]);
            // Longer than a window of gzip, and than the room that is made at once.
            check(coding, effort, &text(100_000));
        }
    }

    #[test]
    fn gives_back_a_body_longer_than_its_window() {
        for coding in Coding::ALL {
            check(coding, Effort::Quick, &text(1_500_000));
        }
    }

    #[test]
    fn makes_less_of_a_body_with_more_effort() {
        for coding in Coding::ALL {
            let body = text(200_000);
            let [quick, best] = Effort::ALL.map(|effort| check(coding, effort, &body));
            assert!(best < quick && quick < body.len() / 3, "{coding:?}: {best} < {quick}");
        }
    }

    #[test]
    fn can_go_to_another_thread() {
        const fn can_go<T: Send + 'static>() {}
        can_go::<Encoder>();
        can_go::<Decoder>();
    }

    /// A body in pieces, each with whether it is flushed: noise, and what repeats itself.
    fn pieces() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
        let noise = prop::collection::vec(any::<u8>(), 0..2_000);
        let repeated = (prop::collection::vec(any::<u8>(), 1..40), 0..2_000_usize)
            .prop_map(|(unit, length)| unit.into_iter().cycle().take(length).collect());
        let piece = prop_oneof![noise, repeated, (0..40_000_usize).prop_map(text)];
        prop::collection::vec((piece, any::<bool>()), 0..8)
    }

    fn which() -> impl Strategy<Value = (Coding, Effort)> {
        prop::sample::select(every().collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn decodes_to_what_was_written_whenever_it_is_flushed(
            pieces in pieces(),
            (coding, effort) in which(),
        ) {
            let mut encoder = Encoder::new(coding, effort);
            let mut decoder = Decoder::new(coding, u64::MAX);
            let (mut written, mut read) = (Vec::new(), Vec::new());
            for (piece, flushed) in pieces {
                written.extend_from_slice(&piece);
                let ready = encoder.write(&piece).expect("there is memory");
                read.extend(decoder.write(&ready).expect("it is in its coding"));
                prop_assert!(written.starts_with(&read));
                if flushed {
                    let rest = encoder.flush().expect("there is memory");
                    read.extend(decoder.write(&rest).expect("it is in its coding"));
                    prop_assert!(read == written);
                }
            }
            let end = encoder.finish().expect("there is memory");
            read.extend(decoder.write(&end).expect("it is in its coding"));
            prop_assert!(read == written);
            prop_assert_eq!(decoder.finish(), Ok(()));
        }

        #[test]
        fn makes_the_same_of_a_whole_however_it_is_cut(
            pieces in pieces(),
            (coding, effort) in which(),
        ) {
            let cut: Vec<Bytes> = pieces.into_iter().map(|(piece, _)| piece.into()).collect();
            let joined = Bytes::from(cut.concat());
            let whole = encode_whole(coding, effort, &cut).expect("there is memory");
            prop_assert!(decoded(coding, &whole) == joined);
            let again = encode_whole(coding, effort, &[joined]).expect("there is memory");
            prop_assert!(whole == again);
        }
    }
}
