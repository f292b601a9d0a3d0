//! The folder of the disk tier: `<2 digits>/<32 digits of the key>[.<16 digits of the variant>]`,
//! and `tmp/` for what is not there in full yet.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::key::KeyDigest;
use crate::store::tally::Fault;

/// The folder of a tier.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// That of its key.
    pub(super) digest: KeyDigest,
    /// Its variant; nothing for the primary.
    pub(super) variant: Option<u64>,
}

impl Place {
    /// That of the record of a key through which the others are found.
    pub(super) const fn primary(digest: KeyDigest) -> Self {
        Self { digest, variant: None }
    }

    /// The name of its file.
    pub(super) fn name(self) -> String {
        let key = u128::from_be_bytes(*self.digest.as_bytes());
        match self.variant {
            None => format!("{key:032x}"),
            Some(variant) => format!("{key:032x}.{variant:016x}"),
        }
    }

    /// The place whose file has that name; nothing if it is no such name.
    pub(super) fn named(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?;
        let (key, variant) = match name.split_once('.') {
            None => (name, None),
            Some((key, variant)) => {
                let Ok(variant) = u64::from_str_radix(variant, 16) else { return None };
                (key, Some(variant))
            }
        };
        let Ok(key) = u128::from_str_radix(key, 16) else { return None };
        let place = Self { digest: KeyDigest::from_bytes(key.to_be_bytes()), variant };
        // One place has one name.
        (place.name() == name).then_some(place)
    }
}

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where the folder is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The file of the record at `place`.
    pub(super) fn file(&self, place: Place) -> PathBuf {
        self.shelf(place.digest.as_bytes()[0]).join(place.name())
    }

    /// The folder of the keys whose first byte is `first`.
    pub(super) fn shelf(&self, first: u8) -> PathBuf {
        self.0.join(format!("{first:02x}"))
    }

    /// The file that says whose folder it is.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The folder for what is not there in full yet.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// Opens the record at `place`; nothing if there is none.
    pub(super) fn open(&self, place: Place) -> io::Result<Option<File>> {
        found(File::open(self.file(place)))
    }

    /// Removes the record at `place`; says whether there was one.
    pub(super) fn remove(&self, place: Place) -> io::Result<bool> {
        Ok(found(fs::remove_file(self.file(place)))?.is_some())
    }

    /// The records of a key, as they are in the folder.
    pub(super) fn of_key(&self, digest: KeyDigest) -> io::Result<Vec<Place>> {
        let Some(entries) = found(fs::read_dir(self.shelf(digest.as_bytes()[0])))? else {
            return Ok(Vec::new());
        };
        let mut places = Vec::new();
        for entry in entries {
            places.extend(Place::named(&entry?.file_name()).filter(|place| place.digest == digest));
        }
        Ok(places)
    }

    /// Makes the folders that are there before any record is.
    pub(super) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(self.unfinished())
    }

    /// Moves all records out of the way, to be removed with what is unfinished.
    pub(super) fn set_aside(&self) -> io::Result<()> {
        self.make()?;
        let aside = |number: u32| self.unfinished().join(format!("gone-{number}"));
        let aside = (0..10_000).map(aside).find(|path| !path.exists());
        let aside = aside.ok_or(ErrorKind::AlreadyExists)?;
        fs::create_dir(&aside)?;
        for first in 0..=u8::MAX {
            found(fs::rename(self.shelf(first), aside.join(format!("{first:02x}"))))?;
        }
        Ok(())
    }
}

/// What there is; nothing if it is not there.
pub(super) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What went wrong, as it is counted.
pub(super) fn fault(error: &io::Error) -> Fault {
    use ErrorKind::{InvalidData, QuotaExceeded, StorageFull, UnexpectedEof};
    let is = |kinds: [ErrorKind; 2]| kinds.contains(&error.kind());
    if is([StorageFull, QuotaExceeded]) {
        Fault::Full
    } else if is([UnexpectedEof, InvalidData]) {
        // A record is as long as its file said when it was opened.
        Fault::Torn
    } else {
        Fault::Io
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_a_file_by_key_and_variant() {
        let digest = KeyDigest::from_bytes([0xa5; 16]);
        let folder = Folder::new("x".into());
        let primary = "x/a5/a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";
        assert_eq!(folder.file(Place::primary(digest)), Path::new(primary));
        let variant = folder.file(Place { digest, variant: Some(17) });
        assert_eq!(variant, Path::new(&format!("{primary}.0000000000000011")));
    }

    #[test]
    fn takes_no_other_file_for_a_record() {
        let name = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";
        for other in ["", "a5", "lock", &name.to_uppercase(), &name.replacen('a', "+", 1)] {
            assert_eq!(Place::named(OsStr::new(other)), None, "{other}");
        }
        for other in ["", "1", "0000000000000011x", "00000000000000AA", "0000000000000011.1"] {
            assert_eq!(Place::named(OsStr::new(&format!("{name}.{other}"))), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn reads_the_names_that_it_gives(digest: [u8; 16], variant: Option<u64>) {
            let place = Place { digest: KeyDigest::from_bytes(digest), variant };
            prop_assert_eq!(Place::named(OsStr::new(&place.name())), Some(place));
        }
    }
}
