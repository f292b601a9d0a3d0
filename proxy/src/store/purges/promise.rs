//! The promise that purges make over all tiers: whatever edges of a fleet do, each in its own time,
//! none answers with what was purged as far as it has read the log.

use std::collections::{HashMap, VecDeque};

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::key::Target;
use crate::store::memory::{Epoch, Memory};
use crate::store::shelf::withdrawn;
use crate::stored::Stored;
use crate::stored::testing::{body, stored};

const PATHS: [(&str, &str); 2] = [("/a/b", "one"), ("/c", "two")];
/// What purges name: the URLs, the tags, two prefixes, everything.
const WHATS: usize = 7;
/// How far two purges in the log are from each other.
const APART: u64 = 2;

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(usize),
    Arrive { is_late: bool },
    WriteLate,
    Purge(usize, Purge),
    PurgeHere(usize, Purge),
    Read(usize),
    LookUp(usize),
    Evict(usize),
    Restart,
    Trim(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let purge = || prop_oneof![Just(Purge::Soft), Just(Purge::Hard)];
    let path = || 0..PATHS.len();
    prop_oneof![
        4 => path().prop_map(Step::Ask),
        4 => any::<bool>().prop_map(|is_late| Step::Arrive { is_late }),
        2 => Just(Step::WriteLate),
        3 => (0..WHATS, purge()).prop_map(|(what, purge)| Step::Purge(what, purge)),
        1 => (0..WHATS, purge()).prop_map(|(what, purge)| Step::PurgeHere(what, purge)),
        2 => (1..4_usize).prop_map(Step::Read),
        4 => path().prop_map(Step::LookUp),
        2 => path().prop_map(Step::Evict),
        1 => Just(Step::Restart),
        1 => (1..4_usize).prop_map(Step::Trim),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Logged {
    at: At,
    what: usize,
    purge: Purge,
    /// When it was asked for, in steps.
    step: usize,
}

impl Logged {
    fn position(self) -> Position {
        match self.at {
            At::Log(position) => position,
            At::Here => panic!("it is not in the log"),
        }
    }

    fn means(self, path: usize) -> bool {
        match self.what {
            0 | 2 | 4 => path == 0,
            1 | 3 => path == 1,
            _ => true,
        }
    }

    fn apply(self, memory: &Memory) {
        let Self { at, what, purge, .. } = self;
        let prefix = |path: &str| Group::Prefix(Prefix { site: None, path: path.to_owned() });
        match what {
            0 | 1 => drop(memory.purge(&[key(what)], purge, at)),
            _ => {
                let group = match what {
                    2 | 3 => Group::Tag(TagHash::of(PATHS[what - 2].1)),
                    4 => prefix("/a"),
                    5 => prefix("/"),
                    _ => Group::All,
                };
                memory.purge_groups(&[group], purge, at);
            }
        }
    }
}

struct Asked {
    since: Epoch,
    path: usize,
    step: usize,
}

/// A lower tier.
type Tier = HashMap<usize, Stored>;

struct Edge {
    memory: Memory,
    disk: Tier,
    /// Up to where it has read the log.
    read: Position,
    asked: VecDeque<Asked>,
    late: VecDeque<(usize, Stored)>,
    /// What the log was not told, and nobody remembers after a restart.
    here: Vec<Logged>,
}

impl Edge {
    fn new() -> Self {
        Self {
            memory: Memory::new(1 << 20),
            disk: Tier::new(),
            read: Position::START,
            asked: VecDeque::new(),
            late: VecDeque::new(),
            here: Vec::new(),
        }
    }

    fn restarted(self) -> Self {
        Self { disk: self.disk, ..Self::new() }
    }
}

struct Fleet {
    log: Vec<Logged>,
    /// How many of the log are not there any more.
    trimmed: usize,
    shared: Tier,
    edges: [Edge; 2],
}

fn key(path: usize) -> Key {
    Key::of(&Target::parse("http", "a.example", PATHS[path].0).unwrap())
}

impl Fleet {
    fn take(&mut self, edge: usize, now: usize, step: Step) {
        match step {
            Step::Ask(path) => {
                let edge = &mut self.edges[edge];
                edge.asked.push_back(Asked { since: edge.memory.epoch(), path, step: now });
            }
            Step::Arrive { is_late } => self.arrive(edge, is_late),
            Step::WriteLate => {
                let late = self.edges[edge].late.pop_front();
                self.shared.extend(late);
            }
            Step::Purge(what, purge) => {
                let last = self.log.last().map_or(Position::START, |last| last.position());
                let at = Position::from_number(last.number() + APART);
                self.log.push(Logged { at: At::Log(at), what, purge, step: now });
                self.read(edge, usize::MAX);
            }
            Step::PurgeHere(what, purge) => {
                let edge = &mut self.edges[edge];
                let logged = Logged { at: At::Here, what, purge, step: now };
                logged.apply(&edge.memory);
                edge.here.push(logged);
            }
            Step::Read(most) => self.read(edge, most),
            Step::LookUp(path) => self.look_up(edge, path),
            Step::Evict(path) => self.edges[edge].memory.evict(&key(path)),
            Step::Restart => {
                let former = std::mem::replace(&mut self.edges[edge], Edge::new());
                self.edges[edge] = former.restarted();
                self.read(edge, usize::MAX);
            }
            Step::Trim(count) => {
                self.trimmed = (self.trimmed + count).min(self.log.len().saturating_sub(1));
            }
        }
    }

    fn arrive(&mut self, number: usize, is_late: bool) {
        let edge = &mut self.edges[number];
        let Some(Asked { since, path, step }) = edge.asked.pop_front() else { return };
        let mut response = stored(&format!("{number} {step}"), &[], &HeaderMap::new());
        std::sync::Arc::make_mut(&mut response.head).tags = [TagHash::of(PATHS[path].1)].into();
        let _kept = edge.memory.store(&key(path), &response, 8, since);
        // The tiers below are written in their own time, whatever became of it meanwhile.
        let noted = since.noted_in(&response);
        edge.disk.insert(path, noted.clone());
        if is_late {
            edge.late.push_back((path, noted));
        } else {
            self.shared.insert(path, noted);
        }
    }

    /// Has an edge read up to `most` more of the log.
    fn read(&mut self, edge: usize, most: usize) {
        let edge = &mut self.edges[edge];
        let left = &self.log[self.trimmed..];
        if let Some(first) = left.first()
            && edge.read < first.position()
            && (edge.read == Position::START || self.trimmed > 0)
        {
            edge.memory.purges().raise_floor(first.position());
        }
        let news: Vec<Logged> =
            left.iter().copied().filter(|entry| entry.position() > edge.read).collect();
        for entry in news.into_iter().take(most) {
            entry.apply(&edge.memory);
            edge.read = entry.position();
        }
    }

    /// Looks a path up as an edge does, in one tier after the other, and holds what it would answer
    /// with against what was purged.
    fn look_up(&self, number: usize, path: usize) {
        let edge = &self.edges[number];
        let key = key(path);
        if let Some(shelf) = edge.memory.look_up(&key) {
            shelf.iter().for_each(|stored| self.check(number, path, stored));
            return;
        }
        let since = edge.memory.epoch();
        for tier in [&edge.disk, &self.shared] {
            let Some(found) = tier.get(&path) else { continue };
            let found = match edge.memory.purges().purged(&key, &found.head) {
                None => found.clone(),
                Some(Purge::Soft) => withdrawn(found),
                Some(Purge::Hard) => continue,
            };
            self.check(number, path, &found);
            let _kept = edge.memory.restore(&key, &found, 8, since);
            return;
        }
    }

    fn check(&self, number: usize, path: usize, stored: &Stored) {
        let edge = &self.edges[number];
        let text = body(stored);
        let (by, asked) = text.split_once(' ').unwrap();
        let asked: usize = asked.parse().unwrap();
        let read = self.log.iter().filter(|purge| purge.position() <= edge.read);
        let here = edge.here.iter().filter(|_| by == number.to_string());
        for purge in read.chain(here).filter(|purge| purge.means(path) && purge.step > asked) {
            let withdrawn = stored.head.freshness.withdrawn;
            assert!(withdrawn && purge.purge == Purge::Soft, "{text} after {purge:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_edge_answers_with_what_was_purged_as_far_as_it_has_read(
        steps in prop::collection::vec((0..2_usize, step()), 0..80),
    ) {
        let edges = [Edge::new(), Edge::new()];
        let mut fleet = Fleet { log: Vec::new(), trimmed: 0, shared: Tier::new(), edges };
        for (now, (edge, step)) in steps.into_iter().enumerate() {
            fleet.take(edge, now, step);
            for path in 0..PATHS.len() {
                if let Some(shelf) = fleet.edges[edge].memory.look_up(&key(path)) {
                    shelf.iter().for_each(|stored| fleet.check(edge, path, stored));
                }
            }
        }
    }
}
