//! What lies in the folder, in memory: it keeps the bounds and says what goes. Look-ups do without
//! it.

use std::collections::HashMap;

use super::Limits;
use super::files::Place;
use crate::key::KeyDigest;
use crate::store::tally::Gone;

/// The room on disk is counted in pages of so many bytes.
const PAGE: u64 = 4096;
/// A key has at most so many variants; past that the oldest goes.
const MOST_VARIANTS: usize = 256;
/// So many hits are remembered of a key.
const MOST_HITS: u8 = 3;
/// No slot.
const NONE: u32 = u32::MAX;

/// The files by key, each with its pages.
///
/// Which key goes when there is no room is found with a clock: a hand goes around, and takes the
/// first that was not hit since it was there last. A key goes with all its variants, for they are
/// found through its primary.
#[derive(Debug)]
pub(super) struct Index {
    limits: Limits,
    slots: Vec<Slot>,
    /// The slot of the newest file of each key.
    first: HashMap<KeyDigest, u32>,
    /// The first of the slots that are free.
    free: u32,
    hand: usize,
    pages: u64,
    files: u64,
}

#[derive(Debug)]
struct Slot {
    digest: KeyDigest,
    /// Nothing, if the file is the primary.
    variant: u64,
    pages: u32,
    /// The slot of the next file of the same key, or the next free one.
    next: u32,
    role: Role,
    /// How many hits the hand is to forgive; counted in the first of a key.
    hits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Free,
    Primary,
    Variant,
}

/// A file that is to go, and why.
pub(super) type Victim = (Place, Gone);

impl Index {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            first: HashMap::new(),
            free: NONE,
            hand: 0,
            pages: 0,
            files: 0,
        }
    }

    /// The bytes that all files take, in whole pages.
    pub(super) const fn bytes(&self) -> u64 {
        self.pages * PAGE
    }

    /// How many files there are.
    pub(super) const fn files(&self) -> u64 {
        self.files
    }

    /// Whether a file of `length` bytes could be here at all.
    pub(super) fn takes(&self, length: u64) -> bool {
        self.limits.entries > 0 && pages(length) <= self.most_pages()
    }

    /// Whether it has the file at `place`.
    pub(super) fn has(&self, place: Place) -> bool {
        self.chain(place.digest).any(|at| self.place(at) == Some(place))
    }

    /// Notes that the key was asked for.
    pub(super) fn hit(&mut self, digest: KeyDigest) {
        if let Some(slot) = self.first.get(&digest).and_then(|at| self.slots.get_mut(index(*at))) {
            slot.hits = MOST_HITS.min(slot.hits + 1);
        }
    }

    /// Makes room for one more file of `length` bytes; says what has to go.
    pub(super) fn make_room(&mut self, length: u64) -> Vec<Victim> {
        let needed = pages(length);
        let mut gone = Vec::new();
        while self.files > 0 {
            let why = if self.pages.saturating_add(needed) > self.most_pages() {
                Gone::Bytes
            } else if self.files >= self.limits.entries {
                Gone::Entries
            } else {
                break;
            };
            let digest = self.least_used();
            gone.extend(self.remove(digest).into_iter().map(|place| (place, why)));
        }
        gone
    }

    /// Notes a file of `length` bytes at `place`, in place of the one there; says what has to go,
    /// which is that file itself if it is too large.
    pub(super) fn put(&mut self, place: Place, length: u64) -> Vec<Victim> {
        // What was hit stays so.
        let hits = self.first_slot(place.digest).map_or(0, |slot| slot.hits);
        self.forget(place);
        if !self.takes(length) {
            return vec![(place, Gone::Bytes)];
        }
        let mut gone = self.make_room(length);
        if let Some(oldest) = self.oldest_variant(place.digest) {
            self.forget(oldest);
            gone.push((oldest, Gone::Entries));
        }
        let next = self.first.get(&place.digest).copied().unwrap_or(NONE);
        let pages = u32::try_from(pages(length)).unwrap_or(u32::MAX);
        let role = if place.variant.is_some() { Role::Variant } else { Role::Primary };
        let variant = place.variant.unwrap_or(0);
        let at = self.take(Slot { digest: place.digest, variant, pages, next, role, hits });
        self.first.insert(place.digest, at);
        self.pages += u64::from(pages);
        self.files += 1;
        gone
    }

    /// Forgets all files of the key, and says which they are.
    pub(super) fn remove(&mut self, digest: KeyDigest) -> Vec<Place> {
        let chain: Vec<u32> = self.chain(digest).collect();
        self.first.remove(&digest);
        let places = chain.iter().filter_map(|at| self.place(*at)).collect();
        chain.into_iter().for_each(|at| self.release(at));
        places
    }

    /// Forgets the file at `place`.
    pub(super) fn forget(&mut self, place: Place) {
        let Some(at) = self.chain(place.digest).find(|at| self.place(*at) == Some(place)) else {
            return;
        };
        let before = self.chain(place.digest).find(|before| self.next(*before) == at);
        let next = self.next(at);
        let hits = self.slots.get(index(at)).map_or(0, |slot| slot.hits);
        match before.and_then(|before| self.slots.get_mut(index(before))) {
            Some(before) => before.next = next,
            None if next == NONE => drop(self.first.remove(&place.digest)),
            None => {
                self.first.insert(place.digest, next);
                if let Some(slot) = self.slots.get_mut(index(next)) {
                    slot.hits = hits;
                }
            }
        }
        self.release(at);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    fn most_pages(&self) -> u64 {
        // A slot has no room for more.
        self.limits.bytes / PAGE
    }

    /// The key that goes next. There is one.
    fn least_used(&mut self) -> KeyDigest {
        loop {
            let at = self.hand;
            self.hand = if at + 1 < self.slots.len() { at + 1 } else { 0 };
            let number = u32::try_from(at).unwrap_or(NONE);
            let Some(slot) = self.slots.get_mut(at) else { continue };
            if slot.role == Role::Free || self.first.get(&slot.digest) != Some(&number) {
                continue;
            }
            if slot.hits == 0 {
                return slot.digest;
            }
            slot.hits -= 1;
        }
    }

    /// The variant that goes if the key gets one more; nothing if it may have one more.
    fn oldest_variant(&self, digest: KeyDigest) -> Option<Place> {
        if self.chain(digest).count() < MOST_VARIANTS {
            return None;
        }
        let places = self.chain(digest).filter_map(|at| self.place(at));
        places.filter(|place| place.variant.is_some()).last()
    }

    /// The slots of the files of a key, the newest first.
    fn chain(&self, digest: KeyDigest) -> impl Iterator<Item = u32> + '_ {
        let first = self.first.get(&digest).copied();
        std::iter::successors(first, |at| Some(self.next(*at)).filter(|next| *next != NONE))
    }

    fn first_slot(&self, digest: KeyDigest) -> Option<&Slot> {
        self.slots.get(index(*self.first.get(&digest)?))
    }

    fn next(&self, at: u32) -> u32 {
        self.slots.get(index(at)).map_or(NONE, |slot| slot.next)
    }

    fn place(&self, at: u32) -> Option<Place> {
        let slot = self.slots.get(index(at))?;
        let variant = match slot.role {
            Role::Free => return None,
            Role::Primary => None,
            Role::Variant => Some(slot.variant),
        };
        Some(Place { digest: slot.digest, variant })
    }

    /// Puts `slot` where there is room, and says where that is.
    fn take(&mut self, slot: Slot) -> u32 {
        let at = self.free;
        if let Some(free) = self.slots.get_mut(index(at)) {
            self.free = free.next;
            *free = slot;
            return at;
        }
        self.slots.push(slot);
        u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
    }

    /// Frees the slot of a file that is in no chain any more.
    fn release(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(index(at)) else { return };
        self.pages -= u64::from(slot.pages);
        self.files -= 1;
        slot.role = Role::Free;
        slot.next = self.free;
        self.free = at;
    }
}

/// The pages that a file of `length` bytes takes.
fn pages(length: u64) -> u64 {
    length.div_ceil(PAGE).max(1)
}

fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(key: u8, variant: Option<u64>) -> Place {
        Place { digest: KeyDigest::from_bytes([key; 16]), variant }
    }

    fn index_of(bytes: u64, entries: u64) -> Index {
        Index::new(Limits { bytes, entries })
    }

    fn keys(gone: &[Victim]) -> Vec<u8> {
        gone.iter().map(|(place, _)| place.digest.as_bytes()[0]).collect()
    }

    #[test]
    fn lets_those_go_first_that_nobody_asked_for() {
        let mut index = index_of(3 * PAGE, 100);
        for key in 0..3 {
            assert_eq!(index.put(at(key, None), 1), []);
        }
        index.hit(at(0, None).digest);
        index.hit(at(2, None).digest);
        assert_eq!(index.put(at(3, None), 1), [(at(1, None), Gone::Bytes)]);
        assert!(index.has(at(0, None)) && index.has(at(2, None)));
    }

    #[test]
    fn lets_a_key_go_with_all_its_variants() {
        let mut index = index_of(1 << 30, 3);
        index.put(at(0, None), 1);
        index.put(at(0, Some(1)), 1);
        index.put(at(1, None), 1);
        let gone = index.put(at(2, None), 1);
        assert_eq!(keys(&gone), [0, 0]);
        assert!(gone.iter().all(|(_, why)| *why == Gone::Entries));
        assert_eq!(index.files(), 2);
    }

    #[test]
    fn counts_whole_pages_and_what_is_there_once() {
        let mut index = index_of(1 << 30, 100);
        index.put(at(0, None), 0);
        assert_eq!((index.bytes(), index.files()), (PAGE, 1));
        index.put(at(0, None), PAGE + 1);
        assert_eq!((index.bytes(), index.files()), (2 * PAGE, 1));
        index.put(at(0, Some(0)), PAGE);
        assert_eq!((index.bytes(), index.files()), (3 * PAGE, 2));
        assert_eq!(index.remove(at(0, None).digest).len(), 2);
        assert_eq!((index.bytes(), index.files()), (0, 0));
    }

    #[test]
    fn keeps_nothing_that_is_larger_than_all_its_room() {
        let mut index = index_of(2 * PAGE, 100);
        index.put(at(0, None), 1);
        assert_eq!(index.put(at(0, None), 2 * PAGE + 1), [(at(0, None), Gone::Bytes)]);
        assert_eq!(index.files(), 0);
        assert!(!index_of(1 << 30, 0).takes(1));
    }

    #[test]
    fn keeps_so_many_variants_of_a_key() {
        let mut index = index_of(1 << 40, 10_000);
        index.put(at(0, None), 1);
        for variant in 0..300 {
            index.put(at(0, Some(variant)), 1);
        }
        assert_eq!(index.files(), MOST_VARIANTS as u64);
        assert!(index.has(at(0, None)) && index.has(at(0, Some(299))));
        assert!(!index.has(at(0, Some(0))));
    }

    #[test]
    fn is_small() {
        assert!(size_of::<Slot>() <= 40);
    }

    proptest! {
        #[test]
        fn holds_its_bounds_and_what_it_says_at_every_step(
            bytes in 0..20_u64, entries in 0..12_u64,
            steps in prop::collection::vec(
                (0..5_u8, 0..8_u8, prop::option::of(0..3_u64), 0..8_u64), 0..80,
            ),
        ) {
            let mut index = index_of(bytes * PAGE, entries);
            let mut known = BTreeMap::new();
            for (step, key, variant, length) in steps {
                let place = at(key, variant);
                let gone: Vec<Place> = match step {
                    0 => index.remove(place.digest),
                    1 => { index.forget(place); vec![place] }
                    2 => { index.hit(place.digest); Vec::new() }
                    3 => index.make_room(length * PAGE).into_iter().map(|(gone, _)| gone).collect(),
                    _ => {
                        known.insert((key, variant), length.max(1));
                        index.put(place, length * PAGE).into_iter().map(|(gone, _)| gone).collect()
                    }
                };
                for gone in gone {
                    known.remove(&(gone.digest.as_bytes()[0], gone.variant));
                }
                prop_assert!(index.bytes() <= bytes * PAGE && index.files() <= entries);
                prop_assert_eq!(index.bytes(), known.values().sum::<u64>() * PAGE);
                prop_assert_eq!(index.files(), known.len() as u64);
                for key in 0..8 {
                    for variant in [None, Some(0), Some(1), Some(2)] {
                        let place = at(key, variant);
                        prop_assert_eq!(index.has(place), known.contains_key(&(key, variant)));
                    }
                }
                if step == 3 && length <= bytes && entries > 0 {
                    prop_assert!(index.bytes() + length.max(1) * PAGE <= bytes * PAGE || bytes == 0);
                    prop_assert!(index.files() < entries);
                }
            }
        }
    }
}
