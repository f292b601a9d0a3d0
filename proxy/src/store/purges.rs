//! Which stored responses were purged, whatever their number: a purge notes what it is of, and each
//! stored response is held against the notes when it is next looked up.

#[cfg(test)]
mod promise;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::position::Position;
use crate::key::{Key, KeyDigest};
use crate::stored::{StoredHead, TagHash};

/// How many tags may be noted. Past it, all that has a tag counts as purged.
const MOST_TAGS: usize = 65_536;
/// How many prefixes may be noted. Past it, everything counts as purged.
const MOST_PREFIXES: usize = 1024;
/// How many purged keys are remembered, for what comes late from a lower tier.
const MOST_KEYS: u64 = 65_536;
/// How long: longer than any answer that was asked for before may take to be written there.
const KEYS_FOR: Duration = Duration::from_mins(10);

/// What becomes of what is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purge {
    /// It answers only in place of an origin that fails.
    Soft,
    /// It is gone.
    Hard,
}

/// What many stored responses have in common that are purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// A tag (`Surrogate-Key`, `Cache-Tag`, `Cache-Groups`).
    Tag(TagHash),
    /// How their key begins.
    Prefix(Prefix),
    /// Nothing: everything is purged.
    All,
}

/// The beginning of the URLs of stored responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The scheme and the authority; nothing if any will do.
    pub site: Option<(String, String)>,
    /// How their path begins.
    pub path: String,
}

impl Group {
    /// Whether a stored response with this `head`, under `key`, is of it.
    #[must_use]
    pub fn covers(&self, key: &Key, head: &StoredHead) -> bool {
        match self {
            Self::Tag(tag) => head.tags.contains(tag),
            Self::Prefix(prefix) => prefix.covers(key),
            Self::All => true,
        }
    }
}

impl Prefix {
    /// Whether the URL under `key` begins like this. Where the scheme or the host does not count for
    /// the key, it may: then it does.
    #[must_use]
    pub fn covers(&self, key: &Key) -> bool {
        let place = key.place();
        let is = |said: Option<&[u8]>, own: &str| said.is_none_or(|said| said == own.as_bytes());
        let of_site = self.site.as_ref().is_none_or(|(scheme, authority)| {
            is(place.scheme, scheme) && is(place.authority, authority)
        });
        of_site && place.path.starts_with(self.path.as_bytes())
    }
}

/// Where something was purged last, in either way; the start is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    soft: Position,
    hard: Position,
}

impl Mark {
    fn set(&mut self, purge: Purge, at: Position) {
        match purge {
            Purge::Soft => self.soft = self.soft.max(at),
            Purge::Hard => self.hard = self.hard.max(at),
        }
    }

    fn joined(self, other: Self) -> Self {
        Self { soft: self.soft.max(other.soft), hard: self.hard.max(other.hard) }
    }

    /// What this does to what was asked for at `since`.
    fn of(self, since: Position) -> Option<Purge> {
        if self.hard > since {
            Some(Purge::Hard)
        } else if self.soft > since {
            Some(Purge::Soft)
        } else {
            None
        }
    }
}

/// Where a purge is to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Where the log has it.
    Log(Position),
    /// After all that was noted, for the log does not have it.
    Here,
}

/// The purges so far, each at its position.
#[derive(Debug)]
pub struct Purges {
    notes: RwLock<Notes>,
    keys: Cache<KeyDigest, Mark>,
    /// The last of them all.
    newest: AtomicU64,
    /// The last that the log has.
    logged: AtomicU64,
    /// The last that is of a group.
    newest_group: AtomicU64,
}

#[derive(Debug, Default)]
struct Notes {
    all: Mark,
    tagged: Mark,
    tags: HashMap<TagHash, Mark>,
    prefixes: Vec<(Prefix, Mark)>,
}

impl Default for Purges {
    fn default() -> Self {
        // The newest are remembered, whatever it displaces: a new key must never be refused.
        let keys = Cache::builder()
            .max_capacity(MOST_KEYS)
            .time_to_live(KEYS_FOR)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            notes: RwLock::default(),
            keys,
            newest: AtomicU64::default(),
            logged: AtomicU64::default(),
            newest_group: AtomicU64::default(),
        }
    }
}

impl Purges {
    /// The position up to which all purges are noted here.
    #[must_use]
    pub fn newest(&self) -> Position {
        Position::from_number(self.newest.load(Ordering::SeqCst))
    }

    /// The position of the last purge of a group.
    #[must_use]
    pub fn newest_group(&self) -> Position {
        Position::from_number(self.newest_group.load(Ordering::SeqCst))
    }

    /// The position in the log up to which it is noted here: what stored responses keep, since it
    /// means the same on each edge and after a restart.
    #[must_use]
    pub fn logged(&self) -> Position {
        Position::from_number(self.logged.load(Ordering::SeqCst))
    }

    /// Notes that all of `groups` are purged, at one position, and says where. What was asked for
    /// before now is meant in any case.
    pub fn note(&self, groups: &[Group], purge: Purge, at: At) -> Position {
        let mut notes = self.lock();
        let place = self.place(at);
        for group in groups {
            notes.note(group.clone(), purge, place);
        }
        self.newest_group.store(place.number(), Ordering::SeqCst);
        self.reach(place, at);
        place
    }

    /// Notes the same of what is stored under `keys`.
    pub fn note_keys(&self, keys: &[Key], purge: Purge, at: At) {
        let notes = self.lock();
        let place = self.place(at);
        for digest in keys.iter().map(Key::digest) {
            let mut mark = self.keys.get(&digest).unwrap_or_default();
            mark.set(purge, place);
            self.keys.insert(digest, mark);
        }
        self.reach(place, at);
        drop(notes);
    }

    /// Lets all be gone that was asked for before the position `floor` in the log: which purges there
    /// were until then is not known.
    pub fn raise_floor(&self, floor: Position) {
        let mut notes = self.lock();
        notes.all.set(Purge::Hard, floor);
        let at = At::Log(floor);
        let place = self.place(at);
        self.newest_group.store(place.number(), Ordering::SeqCst);
        self.reach(place, at);
    }

    /// What the purges did to the stored response with this `head`, under `key`, from whichever tier
    /// it comes. It compares two numbers where nothing was purged since it was asked for.
    #[must_use]
    pub fn purged(&self, key: &Key, head: &StoredHead) -> Option<Purge> {
        (self.seen(head) < self.newest()).then(|| self.of(key, head)).flatten()
    }

    /// Up to where this edge knows that purges were done when what has `head` was asked for. An edge
    /// that has read further in the log cannot know of what was noted here alone.
    fn seen(&self, head: &StoredHead) -> Position {
        Position::from_number(head.since).min(self.logged())
    }

    fn of(&self, key: &Key, head: &StoredHead) -> Option<Purge> {
        let since = self.seen(head);
        let notes = self.notes.read().unwrap_or_else(PoisonError::into_inner);
        let by_tag = head.tags.iter().filter_map(|tag| notes.tags.get(tag)?.of(since));
        let by_prefix = notes
            .prefixes
            .iter()
            .filter_map(|(prefix, mark)| mark.of(since).filter(|_| prefix.covers(key)));
        let tagged = if head.tags.is_empty() { None } else { notes.tagged.of(since) };
        let by_key = self.keys.get(&key.digest()).and_then(|mark| mark.of(since));
        by_tag.chain(by_prefix).chain(notes.all.of(since)).chain(tagged).chain(by_key).max()
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Notes> {
        self.notes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position of the next note: where the log has it, or right behind the last note where that
    /// is later.
    fn place(&self, at: At) -> Position {
        let next = self.newest().following();
        match at {
            At::Log(position) => position.max(next),
            At::Here => next,
        }
    }

    /// Lets it be seen that there are notes up to `place`; under the lock, so that who sees it finds
    /// each of them.
    fn reach(&self, place: Position, at: At) {
        if let At::Log(position) = at {
            self.logged.fetch_max(position.number(), Ordering::SeqCst);
        }
        self.newest.store(place.number(), Ordering::SeqCst);
    }
}

impl Notes {
    fn note(&mut self, group: Group, purge: Purge, at: Position) {
        match group {
            Group::All => {
                self.all.set(purge, at);
                if purge == Purge::Hard {
                    // Whatever was noted before is part of it.
                    self.tags.clear();
                    self.prefixes.clear();
                }
            }
            Group::Tag(tag) => {
                self.tags.entry(tag).or_default().set(purge, at);
                if self.tags.len() > MOST_TAGS {
                    let marks = self.tags.drain().map(|(_, mark)| mark);
                    self.tagged = marks.fold(self.tagged, Mark::joined);
                }
            }
            Group::Prefix(prefix) => {
                match self.prefixes.iter_mut().find(|(other, _)| *other == prefix) {
                    Some((_, mark)) => mark.set(purge, at),
                    None => {
                        let mut mark = Mark::default();
                        mark.set(purge, at);
                        self.prefixes.push((prefix, mark));
                    }
                }
                if self.prefixes.len() > MOST_PREFIXES {
                    let marks = self.prefixes.drain(..).map(|(_, mark)| mark);
                    self.all = marks.fold(self.all, Mark::joined);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::key::Target;
    use crate::store::memory::Memory;
    use crate::stored::Stored;
    use crate::stored::testing::stored;

    fn key(path: &str) -> Key {
        Key::of(&Target::parse("http", "a.example", path).unwrap())
    }

    fn tagged(body: &str, tags: &[&str]) -> Stored {
        let mut stored = stored(body, &[], &HeaderMap::new());
        std::sync::Arc::make_mut(&mut stored.head).tags =
            tags.iter().map(|tag| TagHash::of(tag)).collect();
        stored
    }

    fn tag(tag: &str) -> Group {
        Group::Tag(TagHash::of(tag))
    }

    fn prefix(site: Option<(&str, &str)>, path: &str) -> Group {
        let site = site.map(|(scheme, authority)| (scheme.to_owned(), authority.to_owned()));
        Group::Prefix(Prefix { site, path: path.to_owned() })
    }

    fn purge_group(memory: &Memory, group: Group, purge: Purge) {
        let at = At::Log(memory.purges().newest().following());
        memory.purge_groups(&[group], purge, at);
    }

    /// What is left of a response under `/a/b` with the tags `one` and `two`; whether it is
    /// withdrawn.
    fn left(memory: &Memory) -> Option<bool> {
        let shelf = memory.look_up(&key("/a/b"))?;
        Some(shelf.newest()?.head.freshness.withdrawn)
    }

    fn keep(memory: &Memory) {
        let response = tagged("x", &["one", "two"]);
        memory.store(&key("/a/b"), &response, 8, memory.epoch()).unwrap();
    }

    #[expect(clippy::needless_pass_by_value, reason = "a case reads better without ampersands")]
    #[track_caller]
    fn check(group: Group, is_meant: bool) {
        for (purge, expected) in [(Purge::Soft, Some(true)), (Purge::Hard, None)] {
            let memory = Memory::new(1 << 20);
            keep(&memory);
            purge_group(&memory, group.clone(), purge);
            let expected = if is_meant { expected } else { Some(false) };
            assert_eq!(left(&memory), expected, "{group:?} {purge:?}");
            // What is stored after it is as good as new.
            keep(&memory);
            assert_eq!(left(&memory), Some(false), "{group:?} {purge:?}");
        }
    }

    #[test]
    fn purges_what_is_of_the_group() {
        for meant in [
            Group::All,
            tag("one"),
            tag("two"),
            prefix(None, "/"),
            prefix(None, "/a/b"),
            prefix(Some(("http", "a.example")), "/a"),
        ] {
            check(meant, true);
        }
        for other in [
            tag("three"),
            tag("on"),
            prefix(None, "/a/b/"),
            prefix(None, "/b"),
            prefix(Some(("https", "a.example")), "/a"),
            prefix(Some(("http", "b.example")), "/a"),
        ] {
            check(other, false);
        }
    }

    #[test]
    fn purges_hard_what_was_purged_softly_and_not_the_other_way() {
        let memory = Memory::new(1 << 20);
        keep(&memory);
        purge_group(&memory, tag("one"), Purge::Soft);
        assert_eq!(left(&memory), Some(true));
        purge_group(&memory, tag("two"), Purge::Hard);
        assert_eq!(left(&memory), None);
        keep(&memory);
        purge_group(&memory, Group::All, Purge::Hard);
        purge_group(&memory, Group::All, Purge::Soft);
        assert_eq!(left(&memory), None);
    }

    #[test]
    fn forgets_no_purge_however_many_there_are() {
        for first in [tag("one"), prefix(None, "/a")] {
            let memory = Memory::new(1 << 20);
            keep(&memory);
            purge_group(&memory, first.clone(), Purge::Hard);
            for number in 0..=MOST_TAGS {
                purge_group(&memory, tag(&number.to_string()), Purge::Soft);
                purge_group(&memory, prefix(None, &format!("/{}", number % 2000)), Purge::Soft);
            }
            assert_eq!(left(&memory), None, "{first:?}");
            let notes = memory.purges().notes.read().unwrap();
            assert!(notes.tags.len() <= MOST_TAGS && notes.prefixes.len() <= MOST_PREFIXES);
        }
    }

    #[test]
    fn what_is_asked_for_after_a_purge_is_as_good_as_new_in_every_tier() {
        let groups = [tag("one"), tag("two"), prefix(None, "/a"), Group::All];
        for purge in [Purge::Soft, Purge::Hard] {
            let memory = Memory::new(1 << 20);
            let response = tagged("x", &["one", "two"]);
            let before = memory.epoch().noted_in(&response);
            let at = Position::from_number(1 << 30);
            memory.purge_groups(&groups, purge, At::Log(at));
            let after = memory.epoch().noted_in(&response);
            assert_eq!(after.head.since, at.number());
            let purged = |stored: &Stored| memory.purges().purged(&key("/a/b"), &stored.head);
            assert_eq!((purged(&before), purged(&after)), (Some(purge), None));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_was_asked_for_before_a_purge_answers_after_it(
            steps in prop::collection::vec((0..5_u8, any::<bool>(), 0..3_usize), 0..50),
        ) {
            let memory = Memory::new(1 << 20);
            let (mut asked, mut purged) = (VecDeque::new(), 0);
            for (number, (step, is_hard, which)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => asked.push_back((memory.epoch(), number)),
                    2 => {
                        let purge = if is_hard { Purge::Hard } else { Purge::Soft };
                        match which {
                            0 => purge_group(&memory, tag("one"), purge),
                            1 => purge_group(&memory, prefix(None, "/a"), purge),
                            _ => drop(memory.purge(&[key("/a/b")], purge, At::Here)),
                        }
                        purged = number;
                    }
                    _ => if let Some((since, at)) = asked.pop_front() {
                        let response = tagged(&at.to_string(), &["one"]);
                        let _kept = memory.store(&key("/a/b"), &response, 8, since);
                    },
                }
                let shelf = memory.look_up(&key("/a/b"));
                for stored in shelf.iter().flat_map(|shelf| shelf.iter()) {
                    let at: usize = crate::stored::testing::body(stored).parse().unwrap();
                    prop_assert!(stored.head.freshness.withdrawn || at >= purged);
                }
            }
        }
    }
}
