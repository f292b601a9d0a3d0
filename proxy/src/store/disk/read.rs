//! Finds a stored response in the folder.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName};

use super::files::{Folder, Place, fault};
use crate::key::Key;
use crate::store::record::Outline;
use crate::store::tally::Fault;
use crate::stored::{Selecting, Stored, StoredHead};

/// So much of a file is read at first: most records are no longer.
const FIRST: usize = 32 * 1024;

/// Whether what has `head` is for `request`, and was selected by `names` at least.
pub(super) fn selects(head: &StoredHead, request: &HeaderMap, names: &[HeaderName]) -> bool {
    let selecting = &head.selecting;
    names.iter().all(|name| selecting.names().contains(name)) && selecting.matches(request)
}

/// What is wrong with which record.
pub(super) type Unread = (Place, Fault);

/// Reads the stored response under `key` that `request` selects, of those that were selected by
/// `names` at least. Says how many bytes were read, too.
pub(super) fn find(
    folder: &Folder,
    key: &Key,
    request: &HeaderMap,
    names: &[HeaderName],
) -> Result<Option<(Stored, u64)>, Unread> {
    let primary = Place::primary(key.digest());
    let Some(opened) = Opened::at(folder, primary, key)? else { return Ok(None) };
    if selects(opened.head(), request, names) {
        return opened.stored().map(Some);
    }
    // It tells by which fields the others are selected.
    let selecting = &opened.head().selecting;
    if selecting.names().is_empty() {
        return Ok(None);
    }
    let variant = Selecting::new(selecting.names(), request).variant();
    let place = Place { variant: Some(variant), ..primary };
    match Opened::at(folder, place, key)? {
        Some(opened) if selects(opened.head(), request, names) => opened.stored().map(Some),
        Some(_) | None => Ok(None),
    }
}

/// A record of which the head has been read.
pub(super) struct Opened {
    place: Place,
    file: File,
    outline: Outline,
    /// How the file begins.
    first: Vec<u8>,
}

impl Opened {
    /// Opens the record of `key` at `place`; nothing if there is none.
    pub(super) fn at(folder: &Folder, place: Place, key: &Key) -> Result<Option<Self>, Unread> {
        let opened = match folder.open(place) {
            Ok(None) => return Ok(None),
            Ok(Some(file)) => Self::new(place, file, key),
            Err(error) => Err(fault(&error)),
        };
        opened.map(Some).map_err(|fault| (place, fault))
    }

    fn new(place: Place, file: File, key: &Key) -> Result<Self, Fault> {
        let io = |error| fault(&error);
        let total = file.metadata().map_err(io)?.len();
        let mut first = vec![0; usize::try_from(total).unwrap_or(FIRST).min(FIRST)];
        file.read_exact_at(&mut first, 0).map_err(io)?;
        let end = Outline::end(&first)?;
        if end as u64 > total {
            return Err(Fault::Torn);
        }
        let here = first.len();
        if end > here {
            first.resize(end, 0);
            let rest = first.get_mut(here..).unwrap_or_default();
            file.read_exact_at(rest, here as u64).map_err(io)?;
        }
        let head = first.get(..end).unwrap_or_default();
        let outline = Outline::read(key, head, total)?;
        Ok(Self { place, file, outline, first })
    }

    /// The head.
    pub(super) const fn head(&self) -> &StoredHead {
        self.outline.head()
    }

    /// The stored response, and how many bytes were read for it.
    fn stored(self) -> Result<(Stored, u64), Unread> {
        let Self { place, file, outline, first } = self;
        let mut bytes = first.len() as u64;
        let stored = if outline.stays() {
            outline.into_stored_in(file)
        } else {
            outline.into_stored(|start, length| {
                let begin = usize::try_from(start).unwrap_or(usize::MAX);
                let here = first.get(begin..).unwrap_or_default();
                let (here, _) = here.split_at(here.len().min(length));
                let mut body = BytesMut::zeroed(length);
                let (known, rest) = body.split_at_mut(here.len());
                known.copy_from_slice(here);
                bytes += rest.len() as u64;
                let at = start + here.len() as u64;
                file.read_exact_at(rest, at).map_err(|error| fault(&error))?;
                Ok(Bytes::from(body))
            })
        };
        stored.map(|stored| (stored, bytes)).map_err(|fault| (place, fault))
    }
}
