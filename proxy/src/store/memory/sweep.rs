//! Goes through all that is stored after purges of groups: makes room of what they removed, and
//! counts what they meant.

use std::thread;

use super::Memory;
use crate::key::Key;
use crate::store::position::Position;
use crate::store::purges::Group;
use crate::store::shelf::Shelf;
use crate::stored::Stored;

/// How many keys are looked at before others may have the processor.
const CHUNK: usize = 256;

/// A purge of groups, and how many stored responses it was found to mean.
#[derive(Clone, Debug)]
pub struct Swept {
    /// The groups, each with where it was noted.
    pub groups: Vec<(Group, Position)>,
    /// How many stored responses it meant.
    pub count: usize,
}

impl Swept {
    /// Whether it means `stored`, which is on `shelf` under `key`: what was asked for after it is as
    /// good as new.
    fn means(&self, key: &Key, shelf: &Shelf, stored: &Stored) -> bool {
        let since = Position::from_number(stored.head.since);
        self.groups.iter().any(|(group, at)| {
            let is_older = since < *at;
            let is_open = !shelf.is_checked(*at) || stored.head.freshness.withdrawn;
            is_older && is_open && group.covers(key, &stored.head)
        })
    }
}

impl Memory {
    /// Holds all that is stored against the notes of `purges`, and counts what each of them means.
    ///
    /// What somebody looked up before, and was gone by that, is not counted. It takes as long as
    /// there are keys: not for a thread that serves.
    pub fn sweep(&self, purges: &mut [Swept]) {
        for (index, (key, shelf)) in self.shelves.iter().enumerate() {
            let mut is_meant = false;
            for purge in &mut *purges {
                let count = shelf.iter().filter(|one| purge.means(&key, &shelf, one)).count();
                purge.count += count;
                is_meant |= count > 0;
            }
            if is_meant {
                self.hold(&key, self.purges.newest_group());
            }
            if index % CHUNK == CHUNK - 1 {
                thread::yield_now();
            }
        }
        self.shelves.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::key::Target;
    use crate::store::purges::{At, Prefix, Purge};
    use crate::stored::TagHash;
    use crate::stored::testing::stored;

    fn key(path: &str) -> Key {
        Key::of(&Target::parse("http", "a.example", path).unwrap())
    }

    fn keep(memory: &Memory, path: &str, tag: &str) {
        let mut response = stored("x", &[], &HeaderMap::new());
        Arc::make_mut(&mut response.head).tags = [TagHash::of(tag)].into();
        memory.store(&key(path), &response, 8, memory.epoch()).unwrap();
    }

    fn purge(memory: &Memory, group: Group, purge: Purge) -> Swept {
        let at = At::Log(memory.purges().newest().following());
        let at = memory.purge_groups(std::slice::from_ref(&group), purge, at);
        Swept { groups: vec![(group, at)], count: 0 }
    }

    fn tag(tag: &str) -> Group {
        Group::Tag(TagHash::of(tag))
    }

    #[test]
    fn counts_what_each_purge_meant_and_removes_what_is_gone() {
        let memory = Memory::new(1 << 20);
        for number in 0..1000 {
            keep(&memory, &format!("/{number}"), if number % 2 == 0 { "even" } else { "odd" });
        }
        let path = Prefix { site: None, path: "/99".to_owned() };
        let mut purges = [
            purge(&memory, tag("even"), Purge::Hard),
            purge(&memory, Group::Prefix(path), Purge::Soft),
            purge(&memory, tag("none"), Purge::Hard),
        ];
        keep(&memory, "/0", "even");
        memory.sweep(&mut purges);
        assert_eq!(purges.map(|purge| purge.count), [499, 11, 0]);
        assert_eq!(memory.holds().entries, 501);
        assert!(memory.look_up(&key("/991")).unwrap().newest().unwrap().head.freshness.withdrawn);
        assert!(!memory.look_up(&key("/0")).unwrap().newest().unwrap().head.freshness.withdrawn);
    }

    #[test]
    fn counts_what_was_looked_up_before_and_still_stands_by() {
        let memory = Memory::new(1 << 20);
        keep(&memory, "/a", "one");
        let swept = purge(&memory, tag("one"), Purge::Soft);
        assert!(memory.look_up(&key("/a")).is_some());
        let mut purges = [swept];
        memory.sweep(&mut purges);
        assert_eq!(purges.map(|purge| purge.count), [1]);
    }

    proptest! {
        #[test]
        fn leaves_what_a_look_up_would_leave(
            kept in prop::collection::vec((0..20_u8, 0..3_u8), 0..40),
            purged in prop::collection::vec((0..3_u8, any::<bool>()), 0..4),
        ) {
            let (swept, lazy) = (Memory::new(1 << 20), Memory::new(1 << 20));
            for memory in [&swept, &lazy] {
                for (path, tag) in &kept {
                    keep(memory, &format!("/{path}"), &tag.to_string());
                }
                let mut purges: Vec<_> = purged.iter().map(|(number, is_hard)| {
                    let mode = if *is_hard { Purge::Hard } else { Purge::Soft };
                    purge(memory, tag(&number.to_string()), mode)
                }).collect();
                if std::ptr::eq(memory, &raw const swept) {
                    memory.sweep(&mut purges);
                }
            }
            for path in 0..20 {
                let left = |memory: &Memory| {
                    let shelf = memory.look_up(&key(&format!("/{path}")))?;
                    Some(shelf.newest()?.head.freshness.withdrawn)
                };
                prop_assert_eq!(left(&swept), left(&lazy));
            }
        }
    }
}
