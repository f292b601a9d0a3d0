//! A body that stays in a file, and is read while it is sent.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

/// How many bytes one checksum is for.
pub const BLOCK: u64 = 64 * 1024;

/// The checksum of a block, and of anything else that a record holds (XXH3, 64 bits).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The checksum of each block of what `pieces` make together.
#[must_use]
pub fn checksums<'a>(pieces: impl IntoIterator<Item = &'a Bytes>) -> Vec<u64> {
    let mut sums = Vec::new();
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let mut filled = 0;
    for piece in pieces {
        let mut rest = &**piece;
        while !rest.is_empty() {
            let room = fitting(BLOCK) - filled;
            let (now, later) = rest.split_at(rest.len().min(room));
            hasher.update(now);
            filled += now.len();
            rest = later;
            if now.len() == room {
                sums.push(hasher.digest());
                hasher.reset();
                filled = 0;
            }
        }
    }
    if filled > 0 {
        sums.push(hasher.digest());
    }
    sums
}

/// A part of a file, with the checksum of each of its blocks. The file stays readable while this
/// is held, also after it was removed.
pub struct Region {
    file: Arc<File>,
    /// Where it begins in the file.
    offset: u64,
    length: u64,
    sums: Arc<[u64]>,
    failed: AtomicBool,
}

impl Region {
    /// The `length` bytes of `file` from `offset` on, whose blocks have the checksums `sums`;
    /// nothing if those are not as many as there are blocks.
    #[must_use]
    pub fn new(file: Arc<File>, offset: u64, length: u64, sums: Arc<[u64]>) -> Option<Self> {
        (sums.len() as u64 == length.div_ceil(BLOCK)).then_some(Self {
            file,
            offset,
            length,
            sums,
            failed: AtomicBool::new(false),
        })
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The file and where this begins in it.
    #[must_use]
    pub fn place(&self) -> (&File, u64) {
        (&self.file, self.offset)
    }

    /// The checksum of each block.
    #[must_use]
    pub fn sums(&self) -> &[u64] {
        &self.sums
    }

    /// Whether it could not be read once: it is of no use any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The bytes from `start` to the end of its block, or to `end` if that comes first. It waits
    /// for the disk, so it is no work for a thread that serves.
    ///
    /// # Errors
    ///
    /// What the disk says; [`io::ErrorKind::InvalidData`] if the block is not as it was written.
    pub fn read(&self, start: u64, end: u64) -> io::Result<Bytes> {
        self.block(start, end).inspect_err(|_error| self.failed.store(true, Ordering::Relaxed))
    }

    fn block(&self, start: u64, end: u64) -> io::Result<Bytes> {
        let number = start / BLOCK;
        let begin = number * BLOCK;
        let length = fitting(self.length.min(begin + BLOCK).saturating_sub(begin));
        let mut block = BytesMut::zeroed(length);
        self.file.read_exact_at(&mut block, self.offset + begin)?;
        if self.sums.get(fitting(number)) != Some(&checksum(&block)) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut block = block.freeze();
        let within = |at: u64| fitting(at.saturating_sub(begin)).min(length);
        block.truncate(within(end));
        Ok(block.slice(within(start).min(block.len())..))
    }
}

/// A number that is at most the length of a block, or of a table in memory.
fn fitting(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl fmt::Debug for Region {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Region({} bytes from {})", self.length, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// So many bytes, of which no two blocks are the same.
    fn bytes(length: usize) -> Vec<u8> {
        (0..251).cycle().take(length).collect()
    }

    fn region(before: &[u8], body: &[u8]) -> Region {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(before).unwrap();
        file.write_all(body).unwrap();
        let sums = checksums(&[Bytes::copy_from_slice(body)]).into();
        Region::new(Arc::new(file), before.len() as u64, body.len() as u64, sums).unwrap()
    }

    fn read(region: &Region, mut start: u64, end: u64) -> Vec<u8> {
        let mut all = Vec::new();
        while start < end {
            let piece = region.read(start, end).unwrap();
            assert!(!piece.is_empty());
            start += piece.len() as u64;
            all.extend_from_slice(&piece);
        }
        all
    }

    #[test]
    fn tells_a_block_that_is_not_as_it_was_written() {
        let body = vec![7; 200_000];
        let good = region(b"head", &body);
        let mut sums = good.sums().to_vec();
        sums[1] += 1;
        let bad = Region { sums: sums.into(), ..good };
        assert!(bad.read(0, 10).is_ok());
        assert!(!bad.has_failed());
        assert_eq!(bad.read(BLOCK, BLOCK + 1).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(bad.read(2 * BLOCK, 200_000).is_ok());
        assert!(bad.has_failed());
    }

    #[test]
    fn wants_a_checksum_for_each_block() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let new = |length, sums: &[u64]| Region::new(Arc::clone(&file), 0, length, sums.into());
        assert!(new(0, &[]).is_some());
        assert!(new(BLOCK, &[1]).is_some());
        assert!(new(BLOCK + 1, &[1]).is_none());
        assert!(new(1, &[]).is_none());
    }

    proptest! {
        #[test]
        fn reads_any_part(
            length in 0..300_000_usize, start: u32, end: u32,
        ) {
            let body = bytes(length);
            let length = body.len() as u64;
            let (start, end) = (u64::from(start) % (length + 1), u64::from(end) % (length + 1));
            let (start, end) = (start.min(end), start.max(end));
            let expected = &body[fitting(start)..fitting(end)];
            prop_assert_eq!(&read(&region(b"ab", &body), start, end), expected);
        }

        #[test]
        fn sums_the_same_however_it_is_cut(length in 0..200_000_usize, at: usize) {
            let whole = Bytes::from(bytes(length));
            let at = at % (whole.len() + 1);
            let halves = [whole.slice(..at), whole.slice(at..)];
            prop_assert_eq!(checksums(&halves), checksums(&[whole]));
        }
    }
}
