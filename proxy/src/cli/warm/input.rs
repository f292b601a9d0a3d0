//! Files as they are read line by line or as a whole, compressed with gzip or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// The longest line that counts, in bytes.
const LONGEST_LINE: usize = 64 << 10;
/// How a file begins that is compressed with gzip (RFC 1952 §2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The file at `path`, or standard input if that is `-`.
///
/// # Errors
///
/// That it cannot be read.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, String> {
    let cannot = |error: io::Error| format!("cannot read {}: {error}", path.display());
    if path == Path::new("-") {
        return unpacked(Box::new(BufReader::new(io::stdin()))).map_err(cannot);
    }
    let file = File::open(path).map_err(cannot)?;
    unpacked(Box::new(BufReader::new(file))).map_err(cannot)
}

/// `input`, or what is in it if it is compressed with gzip.
pub(super) fn unpacked(mut input: Box<dyn BufRead>) -> io::Result<Box<dyn BufRead>> {
    if input.fill_buf()?.starts_with(GZIP) {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(input))));
    }
    Ok(input)
}

/// Hands each line of `input` to `take`; what is too long, or no text, is left out.
pub(super) fn lines(mut input: Box<dyn BufRead>, mut take: impl FnMut(&str)) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = LONGEST_LINE as u64 + 1;
        if (&mut input).take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > LONGEST_LINE && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            continue;
        }
        if let Ok(line) = std::str::from_utf8(&line) {
            take(line);
        }
    }
}

/// All of `input`, which may have `most` bytes.
pub(super) fn whole(input: Box<dyn BufRead>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is longer than {} MiB", most >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn read(bytes: Vec<u8>) -> Vec<String> {
        let mut found = Vec::new();
        let input = unpacked(Box::new(Cursor::new(bytes))).unwrap();
        lines(input, |line| found.push(line.trim_end().to_owned())).unwrap();
        found
    }

    #[test]
    fn reads_lines_that_are_text_and_no_longer_than_they_may_be() {
        let long = "x".repeat(LONGEST_LINE * 3);
        let text = format!("a\n{long}\r\n\u{fe}b\n\nc");
        let mut bytes = text.into_bytes();
        assert_eq!(read(bytes.clone()), ["a", "\u{fe}b", "", "c"]);
        bytes.extend(b"\n\xff\nd\n");
        assert_eq!(read(bytes), ["a", "\u{fe}b", "", "c", "d"]);
    }

    #[test]
    fn reads_what_is_compressed() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"a\nb\n").unwrap();
        assert_eq!(read(packed.finish().unwrap()), ["a", "b"]);
    }

    #[test]
    fn reads_no_more_than_it_may() {
        let input = |length| Box::new(Cursor::new(vec![b'x'; length]));
        assert_eq!(whole(input(5), 5).unwrap().len(), 5);
        assert!(whole(input(6), 5).is_err());
    }
}
