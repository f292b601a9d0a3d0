//! Goes through the folder a little at a time: to learn what is there, and to remove what is left
//! over.

use std::fs::{self, ReadDir};
use std::io;
use std::path::PathBuf;

use super::files::{Folder, Place, found};

/// Finds the records that are there.
#[derive(Debug)]
pub(super) struct Walk {
    folder: Folder,
    /// The first bytes of the keys that are still to come.
    shelves: std::ops::RangeInclusive<u8>,
    entries: Option<ReadDir>,
}

impl Walk {
    pub(super) const fn new(folder: Folder) -> Self {
        Self { folder, shelves: 0..=u8::MAX, entries: None }
    }

    /// The next record and its length; nothing at the end.
    pub(super) fn next(&mut self) -> Option<io::Result<(Place, u64)>> {
        loop {
            let Some(entry) = self.entries.as_mut().and_then(Iterator::next) else {
                match found(fs::read_dir(self.folder.shelf(self.shelves.next()?))) {
                    Ok(entries) => self.entries = entries,
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let record = entry.and_then(|entry| {
                let Some(place) = Place::named(&entry.file_name()) else { return Ok(None) };
                // What was removed meanwhile is none.
                let Some(about) = found(entry.metadata())? else { return Ok(None) };
                Ok(about.is_file().then_some((place, about.len())))
            });
            match record {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Removes all that is in a folder.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The folders it is in, each within the one before.
    within: Vec<(PathBuf, ReadDir)>,
}

impl Sweep {
    pub(super) fn new(folder: PathBuf) -> io::Result<Self> {
        let entries = fs::read_dir(&folder)?;
        Ok(Self { within: vec![(folder, entries)] })
    }

    /// Removes one more file; nothing at the end.
    pub(super) fn next(&mut self) -> Option<io::Result<()>> {
        let (_, entries) = self.within.last_mut()?;
        let Some(entry) = entries.next() else {
            let (done, _) = self.within.pop()?;
            // The outermost stays.
            return Some(if self.within.is_empty() { Ok(()) } else { fs::remove_dir(done) });
        };
        Some(entry.and_then(|entry| {
            if !entry.file_type()?.is_dir() {
                return fs::remove_file(entry.path());
            }
            self.within.push((entry.path(), fs::read_dir(entry.path())?));
            Ok(())
        }))
    }
}
