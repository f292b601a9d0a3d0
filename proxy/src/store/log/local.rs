//! The log of an edge on its own: a file beside what it keeps on disk.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use log::warn;

use super::file::{self, Event, Line};
use crate::store::position::Position;
use crate::time::Timestamp;

/// More lines than this are made fewer: more than there can be notes of.
const MOST_LINES: usize = 128 << 10;
/// And more bytes.
const MOST_BYTES: u64 = 64 << 20;

/// The events of the log, each at its position.
pub(super) type Events = Vec<(Position, Event)>;

/// The file, and what this process knows of it.
///
/// Another process may have it open too: the one that takes over from this one. So the file is
/// locked for each change, and what the other has written meanwhile is read first.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
    known: Option<Known>,
    /// The position of the last event that was read or written.
    last: Position,
    /// Whether that says that the purges are in another log.
    is_handed_over: bool,
    /// What was read and written, and is not done yet.
    news: VecDeque<(Position, Event)>,
}

/// Up to where the file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    inode: u64,
    length: u64,
    lines: usize,
}

impl Local {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            known: None,
            last: Position::START,
            is_handed_over: false,
            news: VecDeque::new(),
        }
    }

    /// The first of the events that were read or written and are not done yet.
    pub(super) fn first_news(&self) -> Option<&(Position, Event)> {
        self.news.front()
    }

    /// Notes that the first is done.
    pub(super) fn drop_first_news(&mut self) {
        self.news.pop_front();
    }

    /// Reads what is in the file and not known yet. A file that is not there, or not as it was
    /// written, begins anew at `now`: with a floor, since nobody knows what was purged until then.
    ///
    /// # Errors
    ///
    /// The file can neither be read nor written.
    pub(super) fn look(&mut self, now: Timestamp) -> io::Result<()> {
        self.open_or_begin(now).map(drop)
    }

    /// Writes an event down. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// It could not be written, or nobody knows whether it was.
    pub(super) fn append(&mut self, event: Event, now: Timestamp) -> io::Result<()> {
        let mut file = self.open_or_begin(now)?;
        if self.known.is_some_and(|known| known.lines >= MOST_LINES || known.length >= MOST_BYTES) {
            file = self.compact(file)?;
        }
        self.write(&mut file, event, now).map(drop)
    }

    /// Says that from now on the purges are in a log that other edges share. What is returned is
    /// where that begins; nothing if there is no file, in which no purge can be.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read and written.
    pub(super) fn hand_over(&mut self, now: Timestamp) -> io::Result<Option<Position>> {
        match self.open() {
            Ok(_) if self.is_handed_over => Ok(Some(self.last)),
            Ok(mut file) => self.write(&mut file, Event::Shared, now).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.replace(vec![(self.last.next(now), Event::Shared)])?;
                Ok(Some(self.last))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the file; it has at least a line then, and this edge has the say in it.
    fn open_or_begin(&mut self, now: Timestamp) -> io::Result<File> {
        let cause = match self.open() {
            Ok(mut file) => {
                if self.is_handed_over {
                    // The purges since then are in a log that this edge does not read any more.
                    self.write(&mut file, Event::Floor, now)?;
                }
                return Ok(file);
            }
            Err(cause) => cause,
        };
        if cause.kind() == io::ErrorKind::InvalidData {
            warn!("{}: begun anew, and what is stored is dropped: {cause}", self.path.display());
        } else if cause.kind() != io::ErrorKind::NotFound {
            return Err(cause);
        }
        self.replace(vec![(self.last.next(now), Event::Floor)])?;
        self.open()
    }

    /// Opens and locks the file, and reads what is not known of it. A torn line is cut off.
    fn open(&mut self) -> io::Result<File> {
        let mut file = locked(&self.path)?;
        let facts = file.metadata()?;
        let known =
            self.known.filter(|known| known.inode == facts.ino() && known.length <= facts.len());
        let Known { length: start, lines, .. } =
            known.unwrap_or(Known { inode: facts.ino(), length: 0, lines: 0 });
        if known.is_some() && start == facts.len() {
            return Ok(file);
        }
        let text = read(&mut file, start)?;
        let after = if known.is_some() { self.last } else { Position::START };
        let (events, length) = file::parse(&text, after).map_err(invalid)?;
        let length = start + length as u64;
        if length < facts.len() {
            file.set_len(length)?;
            file.sync_all()?;
        }
        let lines = lines + events.len();
        if lines == 0 {
            return Err(invalid("it is empty"));
        }
        self.known = Some(Known { inode: facts.ino(), length, lines });
        self.learn(events);
        Ok(file)
    }

    /// Takes up those of `events` that are news.
    fn learn(&mut self, events: Events) {
        for (at, event) in events.into_iter().filter(|(at, _)| *at > self.last).collect::<Events>()
        {
            self.last = at;
            self.is_handed_over = event == Event::Shared;
            self.news.push_back((at, event));
        }
    }

    /// Writes an event at the end of a file of which all is known.
    fn write(&mut self, file: &mut File, event: Event, now: Timestamp) -> io::Result<Position> {
        let at = self.last.next(now);
        let line = Line::new(at, event.clone()).printed()?;
        // Unless all goes well nothing is known any more, and the whole is read again.
        let Some(known) = self.known.take() else {
            return Err(io::Error::other("it is not known how long the file is"));
        };
        file.seek(SeekFrom::Start(known.length))?;
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Who asked is told that it was not logged; what of it is there is taken back.
            file.set_len(known.length)?;
            return Err(error);
        }
        let length = known.length + line.len() as u64;
        self.known = Some(Known { length, lines: known.lines + 1, ..known });
        self.learn(vec![(at, event)]);
        Ok(at)
    }

    /// Puts a shorter file in the place of `file`, which stays locked until then.
    fn compact(&mut self, mut file: File) -> io::Result<File> {
        let text = read(&mut file, 0)?;
        let (events, _) = file::parse(&text, Position::START).map_err(invalid)?;
        let mut most = MOST_LINES / 2;
        let mut short = file::compacted(events, most);
        while length(&short)? > MOST_BYTES / 2 {
            most /= 2;
            short = file::compacted(short, most);
        }
        self.replace(short)?;
        self.open()
    }

    /// Puts a file with these events in the place of the one that is there, if there is one.
    fn replace(&mut self, events: Events) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut text = String::new();
        for (at, event) in &events {
            text.push_str(&Line::new(*at, event.clone()).printed()?);
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(folder)?.sync_all()?;
        let inode = file.metadata()?.ino();
        self.known = Some(Known { inode, length: text.len() as u64, lines: events.len() });
        self.learn(events);
        Ok(())
    }
}

/// The file at `path`, locked: no other has it, and it has not been replaced meanwhile.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        file.lock()?;
        if fs::metadata(path)?.ino() == file.metadata()?.ino() {
            return Ok(file);
        }
    }
}

/// What is in `file` from `start` on, as far as it can have been written.
fn read(file: &mut File, start: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    Read::by_ref(file).take(2 * MOST_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

fn invalid(cause: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

/// How many bytes events take.
fn length(events: &[(Position, Event)]) -> io::Result<u64> {
    let mut length = 0;
    for (at, event) in events {
        length += Line::new(*at, event.clone()).printed()?.len() as u64;
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::wish::{Mode, What, Wish};
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn local(folder: &TempDir) -> Local {
        Local::new(folder.path().join("purges.log"))
    }

    impl Local {
        fn take_news(&mut self) -> Events {
            self.news.drain(..).collect()
        }
    }

    fn purge(tag: &str) -> Event {
        Event::Purge(Wish { what: vec![What::Tag(tag.to_owned())], mode: Mode::Soft })
    }

    /// What an edge that starts reads in the file.
    fn read_anew(folder: &TempDir) -> Vec<Event> {
        let mut local = local(folder);
        local.look(NOW).unwrap();
        local.take_news().into_iter().map(|(_, event)| event).collect()
    }

    #[test]
    fn knows_after_a_restart_what_was_purged() {
        let folder = folder();
        let mut first = local(&folder);
        first.look(NOW).unwrap();
        for tag in ["a", "b"] {
            first.append(purge(tag), NOW).unwrap();
        }
        let positions: Vec<_> = first.take_news().iter().map(|(at, _)| *at).collect();
        assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
        assert_eq!(read_anew(&folder), [Event::Floor, purge("a"), purge("b")]);
    }

    #[test]
    fn goes_on_where_it_was_whatever_the_clock_says() {
        let folder = folder();
        local(&folder).append(purge("a"), NOW).unwrap();
        let mut later = local(&folder);
        later.append(purge("b"), Timestamp::from_millis(5)).unwrap();
        let positions: Vec<_> = later.take_news().iter().map(|(at, _)| *at).collect();
        assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
    }

    #[test]
    fn cuts_a_torn_line_off_and_goes_on_behind_it() {
        let folder = folder();
        let mut first = local(&folder);
        first.append(purge("a"), NOW).unwrap();
        first.append(purge("b"), NOW).unwrap();
        let text = fs::read(&first.path).unwrap();
        fs::write(&first.path, &text[..text.len() - 3]).unwrap();
        assert_eq!(read_anew(&folder), [Event::Floor, purge("a")]);
        local(&folder).append(purge("c"), NOW).unwrap();
        assert_eq!(read_anew(&folder), [Event::Floor, purge("a"), purge("c")]);
    }

    #[test]
    fn begins_with_a_floor_where_the_file_is_lost() {
        let lose: [fn(&Path); 3] = [
            |path| fs::remove_file(path).unwrap(),
            |path| fs::write(path, "").unwrap(),
            |path| {
                let text = fs::read_to_string(path).unwrap();
                fs::write(path, text.replace("\"a\"", "\"x\"")).unwrap();
            },
        ];
        for (number, lose) in lose.into_iter().enumerate() {
            let folder = folder();
            local(&folder).append(purge("a"), NOW).unwrap();
            lose(&folder.path().join("purges.log"));
            let mut later = local(&folder);
            later.look(NOW).unwrap();
            let news = later.take_news();
            assert_eq!(news, [(Position::at(NOW), Event::Floor)], "{number}");
        }
    }

    #[test]
    fn learns_what_another_process_writes() {
        let folder = folder();
        let (mut old, mut new) = (local(&folder), local(&folder));
        old.append(purge("a"), NOW).unwrap();
        new.append(purge("b"), NOW).unwrap();
        old.append(purge("c"), NOW).unwrap();
        let news: Vec<_> = old.take_news().into_iter().map(|(_, event)| event).collect();
        assert_eq!(news, [Event::Floor, purge("a"), purge("b"), purge("c")]);
        assert_eq!(read_anew(&folder), news);
    }

    #[test]
    fn does_not_believe_what_it_knew_before_a_fleet_had_the_log() {
        let folder = folder();
        let mut alone = local(&folder);
        assert_eq!(alone.hand_over(NOW).unwrap(), None);
        alone.append(purge("a"), NOW).unwrap();
        let floor = local(&folder).hand_over(NOW).unwrap();
        assert_eq!(local(&folder).hand_over(NOW).unwrap(), floor);
        let events = read_anew(&folder);
        assert_eq!(events, [Event::Floor, purge("a"), Event::Shared, Event::Floor]);
        // Once alone again, it is.
        assert_eq!(read_anew(&folder), events);
    }

    #[test]
    fn says_so_where_it_cannot_write() {
        let folder = folder();
        let mut local = Local::new(folder.path().join("purges.log"));
        fs::create_dir(&local.path).unwrap();
        assert!(local.append(purge("a"), NOW).is_err());
        fs::remove_dir(&local.path).unwrap();
        local.append(purge("a"), NOW).unwrap();
        assert_eq!(read_anew(&folder), [Event::Floor, purge("a")]);
    }

    #[test]
    fn grows_no_longer_than_it_may() {
        let folder = folder();
        let mut local = local(&folder);
        local.look(NOW).unwrap();
        let mut events = local.take_news();
        let more = (1..MOST_LINES as u64).map(|number| {
            let at = Position::from_number(Position::at(NOW).number() + number);
            (at, purge(&number.to_string()))
        });
        events.extend(more);
        local.replace(events).unwrap();
        local.append(purge("last"), NOW).unwrap();
        let read = read_anew(&folder);
        assert!(read.len() <= MOST_LINES / 2 + 1, "{}", read.len());
        assert_eq!((read.first(), read.last()), (Some(&Event::Floor), Some(&purge("last"))));
    }
}
