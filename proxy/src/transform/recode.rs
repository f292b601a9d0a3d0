//! Takes a body that is arriving out of one content coding and puts it into another.

use bytes::Bytes;

use super::decode::{DecodeError, Decoder};
use super::encode::{Effort, EncodeError, Encoder};
use crate::field::coding::Coding;

/// At most so many bytes are encoded in one step: a millisecond or two of work.
const STEP: usize = 64 * 1024;

/// Why a body could not be put into another coding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecodeError {
    /// It could not be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Takes a body out of one coding, if it is in one, and puts it into another, if it shall be.
///
/// It holds what its [`Decoder`] and its [`Encoder`] hold.
#[derive(Debug)]
pub struct Recoder {
    decoder: Option<Decoder>,
    encoder: Option<Encoder>,
    /// It has been given something that is not flushed.
    holds: bool,
    plain: u64,
}

impl Recoder {
    /// A recoder of a body in the coding `from` to one in the coding `to`, quickly; nothing is the
    /// plain body. At most `limit` bytes of that may there be, where it has to be decoded.
    #[must_use]
    pub fn new(from: Option<Coding>, to: Option<Coding>, limit: u64) -> Self {
        Self::sized(from, to, limit, None)
    }

    /// The same for a body of exactly `length` bytes as it comes, if that is known.
    #[must_use]
    pub fn sized(
        from: Option<Coding>,
        to: Option<Coding>,
        limit: u64,
        length: Option<u64>,
    ) -> Self {
        let plain = length.filter(|_| from.is_none());
        Self {
            decoder: from.map(|from| Decoder::new(from, limit)),
            encoder: to.map(|to| Encoder::sized(to, Effort::Quick, plain)),
            holds: false,
            plain: 0,
        }
    }

    /// Takes some of `input` and gives what is ready, which may be empty; nothing once all of it is
    /// taken. What it gives at once, and the work for it, is bounded.
    ///
    /// # Errors
    ///
    /// [`RecodeError`]; what was given until then is worth nothing.
    pub fn take(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, RecodeError> {
        let plain = match &mut self.decoder {
            Some(decoder) => decoder.take(input)?,
            None if input.is_empty() => None,
            None => Some(input.split_to(STEP.min(input.len()))),
        };
        let Some(plain) = plain else { return Ok(None) };
        self.holds = true;
        self.plain += plain.len() as u64;
        Ok(Some(match &mut self.encoder {
            Some(encoder) => encoder.write(&plain)?,
            None => plain,
        }))
    }

    /// How many bytes of the plain body it has seen.
    #[must_use]
    pub const fn plain(&self) -> u64 {
        self.plain
    }

    /// Gives what the client lacks to read everything that was taken so far.
    ///
    /// # Errors
    ///
    /// [`RecodeError`].
    pub fn flush(&mut self) -> Result<Bytes, RecodeError> {
        match &mut self.encoder {
            Some(encoder) if std::mem::take(&mut self.holds) => Ok(encoder.flush()?),
            Some(_) | None => Ok(Bytes::new()),
        }
    }

    /// Gives the rest.
    ///
    /// # Errors
    ///
    /// [`RecodeError`], also if what was taken breaks off in the middle of its coding.
    pub fn finish(self) -> Result<Bytes, RecodeError> {
        if let Some(decoder) = self.decoder {
            decoder.finish()?;
        }
        Ok(self.encoder.map_or(Ok(Bytes::new()), Encoder::finish)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transform::encode::encode_whole;

    const PLENTY: u64 = 1 << 24;

    /// All that a recoder makes of `pieces`.
    fn recoded(
        mut recoder: Recoder,
        pieces: &[Bytes],
        flush: bool,
    ) -> Result<Vec<u8>, RecodeError> {
        let mut out = Vec::new();
        for piece in pieces {
            let mut piece = piece.clone();
            while let Some(ready) = recoder.take(&mut piece)? {
                out.extend_from_slice(&ready);
            }
            if flush {
                out.extend_from_slice(&recoder.flush()?);
            }
        }
        out.extend_from_slice(&recoder.finish()?);
        Ok(out)
    }

    fn any_coding() -> impl Strategy<Value = Option<Coding>> {
        prop::option::of(prop::sample::select(&Coding::ALL[..]))
    }

    proptest! {
        #[test]
        fn makes_the_same_body_of_whatever_coding(
            text in prop::collection::vec(any::<u8>(), 0..300),
            repeats in 1..800_usize,
            (from, to) in (any_coding(), any_coding()),
            size in 1..5000_usize,
            flush in any::<bool>(),
        ) {
            let plain = Bytes::from(text.repeat(repeats));
            let sent = match from {
                Some(from) => {
                    encode_whole(from, Effort::Quick, std::slice::from_ref(&plain)).unwrap()
                }
                None => plain.clone(),
            };
            let pieces: Vec<_> = sent.chunks(size).map(Bytes::copy_from_slice).collect();
            let made = recoded(Recoder::new(from, to, PLENTY), &pieces, flush).unwrap();
            let back = Recoder::new(to, None, PLENTY);
            prop_assert_eq!(recoded(back, &[made.into()], false).unwrap(), plain);
        }
    }

    #[test]
    fn gives_little_of_a_bomb_at_once_and_no_more_than_its_limit() {
        let bomb = vec![0; 1 << 22];
        for coding in Coding::ALL {
            let mut sent = encode_whole(coding, Effort::Quick, &[bomb.clone().into()]).unwrap();
            let mut recoder = Recoder::new(Some(coding), None, 1 << 20);
            let mut given = 0;
            let error = loop {
                match recoder.take(&mut sent) {
                    Ok(Some(piece)) => {
                        assert!(piece.len() <= STEP, "{coding:?}");
                        given += piece.len();
                    }
                    Ok(None) => panic!("{coding:?} gave all of it"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error, RecodeError::Decode(DecodeError::TooLarge), "{coding:?}");
            assert!(given <= 1 << 20, "{coding:?}");
        }
    }

    #[test]
    fn says_that_what_it_read_breaks_off() {
        for coding in Coding::ALL {
            let sent = encode_whole(coding, Effort::Quick, &[vec![7; 9000].into()]).unwrap();
            let half = sent.slice(..sent.len() / 2);
            let made =
                recoded(Recoder::new(Some(coding), Some(Coding::Br), PLENTY), &[half], false);
            assert_eq!(made, Err(RecodeError::Decode(DecodeError::Truncated)), "{coding:?}");
        }
    }

    #[test]
    fn flushes_only_what_is_held() {
        let mut recoder = Recoder::new(None, Some(Coding::Gzip), PLENTY);
        assert!(recoder.flush().unwrap().is_empty());
        let mut text = Bytes::from_static(b"data: one\n\n");
        while recoder.take(&mut text).unwrap().is_some() {}
        assert!(!recoder.flush().unwrap().is_empty());
        assert!(recoder.flush().unwrap().is_empty());
    }
}
