//! Narrows the routes for a request down to a few, by its host and by the segments of its path.
//!
//! What is found here is only a candidate: each is held against the request again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::Route;
use crate::host::HostPattern;
use crate::pattern::PathPattern;

/// How many segments of a path are looked at.
const DEPTH: usize = 16;

/// A route with more pairs of a host and a path than this is a candidate for every host, so that
/// the index does not grow with their product.
const MOST_PAIRS: usize = 1024;

/// The routes by host, and below that by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Those for one host, by its name in lower case.
    exactly: HashMap<String, Folder>,
    /// Those for all hosts that end so, by the end with its leading dot.
    under: HashMap<String, Folder>,
    /// Those for every host.
    every: Folder,
}

/// A folder of paths, and what may match there.
#[derive(Debug, Clone, Default)]
struct Folder {
    /// What may match the folder or something below it, in the order of the routes.
    through: Vec<Entry>,
    /// What may match the folder alone, in the order of the routes.
    here: Vec<Entry>,
    /// The folders below, by one more segment.
    below: HashMap<String, Folder>,
}

/// A route, and the one of its path patterns that brought it here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    route: u32,
    pattern: u32,
    /// How every path ends that may match.
    ending: Ending,
    /// Whether nobody gets here with a host that does not match.
    host_matches: bool,
}

/// The last bytes of a path or of a pattern, to tell most patterns of one folder apart at once.
#[derive(Debug, Clone, Copy)]
struct Ending {
    bytes: u64,
    /// Which of them count.
    mask: u64,
}

impl Ending {
    fn of(text: &str) -> Self {
        let last = text.bytes().rev().take(8).enumerate();
        last.fold(Self { bytes: 0, mask: 0 }, |ending, (index, byte)| Self {
            bytes: ending.bytes | u64::from(byte) << (8 * index),
            mask: ending.mask | 0xff << (8 * index),
        })
    }

    /// Whether a path that ends like `path` may end like this.
    const fn fits(self, path: Self) -> bool {
        path.bytes & self.mask == self.bytes
    }
}

impl Entry {
    /// The place of the route.
    pub(super) fn route(&self) -> usize {
        place(self.route)
    }

    /// Whether the path and the host match `route`, which is that of this entry.
    pub(super) fn matches(&self, route: &Route, host: &str, path: &str) -> bool {
        // A route without patterns matches every path.
        route.paths.get(place(self.pattern)).is_none_or(|pattern| pattern.matches(path))
            && (self.host_matches || route.has_host(host))
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("the lists of a settings file are short")
}

impl Index {
    pub(super) fn new(routes: &[Arc<Route>]) -> Self {
        let mut index = Self::default();
        for (place, route) in routes.iter().enumerate() {
            index.add(number(place), route);
        }
        index
    }

    fn add(&mut self, number: u32, route: &Route) {
        let pairs = route.hosts.len().saturating_mul(route.paths.len().max(1));
        if route.hosts.is_empty() || pairs > MOST_PAIRS {
            self.every.add_route(number, route, route.hosts.is_empty());
            return;
        }
        for host in &route.hosts {
            let folder = match host {
                HostPattern::Exact(name) => self.exactly.entry(name.clone()).or_default(),
                HostPattern::Under(end) => self.under.entry(end.clone()).or_default(),
            };
            folder.add_route(number, route, true);
        }
    }

    /// The place of the first route that `accepts` one of its entries for `host`, as `bare_host`
    /// gives it, and `path`.
    pub(super) fn first(
        &self,
        host: &str,
        path: &str,
        accepts: impl Fn(&Entry) -> bool,
    ) -> Option<usize> {
        let ending = Ending::of(path);
        let mut first: Option<u32> = None;
        self.visit(host, path, &mut |entries| {
            for entry in entries {
                if first.is_some_and(|first| first <= entry.route) {
                    break;
                }
                if entry.ending.fits(ending) && accepts(entry) {
                    first = Some(entry.route);
                    break;
                }
            }
        });
        first.map(place)
    }

    /// The places of all such routes, in no order; one may be there several times.
    pub(super) fn all(
        &self,
        host: &str,
        path: &str,
        accepts: impl Fn(&Entry) -> bool,
    ) -> Vec<usize> {
        let mut all = Vec::new();
        self.visit(host, path, &mut |entries| {
            all.extend(entries.iter().filter(|entry| accepts(entry)).map(Entry::route));
        });
        all
    }

    /// Hands out every list of candidates, the ones with the most in common with the request first.
    fn visit(&self, host: &str, path: &str, visitor: &mut impl FnMut(&[Entry])) {
        if !(self.exactly.is_empty() && self.under.is_empty()) {
            let host = lower_case(host);
            if let Some(folder) = self.exactly.get(&*host) {
                folder.visit(path, visitor);
            }
            if !self.under.is_empty() {
                let dots = host.match_indices('.').filter(|(at, _)| *at > 0);
                for (at, _) in dots {
                    if let Some(folder) = self.under.get(host.split_at(at).1) {
                        folder.visit(path, visitor);
                    }
                }
            }
        }
        self.every.visit(path, visitor);
    }
}

fn lower_case(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

impl Folder {
    fn add_route(&mut self, route: u32, settings: &Route, host_matches: bool) {
        if settings.paths.is_empty() {
            self.through.push(Entry { route, pattern: 0, ending: Ending::of(""), host_matches });
        }
        for (place, pattern) in settings.paths.iter().enumerate() {
            let ending = Ending::of(pattern.end());
            self.add(Entry { route, pattern: number(place), ending, host_matches }, pattern);
        }
    }

    /// Adds an entry at the deepest folder in which everything that `pattern` matches lies.
    fn add(&mut self, entry: Entry, pattern: &PathPattern) {
        let start = pattern.start();
        // Where the text is not the whole of its last segment, that may be longer in a path.
        let whole = if pattern.is_exact() || pattern.has_all_below() {
            Some(start)
        } else {
            start.rsplit_once('/').map(|(whole, _)| whole)
        };
        let mut folder = self;
        let mut segments = whole.into_iter().flat_map(segments);
        for segment in segments.by_ref().take(DEPTH) {
            folder = folder.below.entry(segment.to_owned()).or_default();
        }
        let list = if pattern.is_exact() && segments.next().is_none() {
            &mut folder.here
        } else {
            &mut folder.through
        };
        list.push(entry);
    }

    fn visit(&self, path: &str, visitor: &mut impl FnMut(&[Entry])) {
        self.visit_within(path.strip_prefix('/'), visitor);
    }

    /// Visits this folder, and before it what lies on the way along `rest` of a path.
    fn visit_within(&self, rest: Option<&str>, visitor: &mut impl FnMut(&[Entry])) {
        match rest {
            None => visitor(&self.here),
            Some(_) if self.below.is_empty() => {}
            Some(rest) => {
                let (segment, rest) = match rest.split_once('/') {
                    Some((segment, rest)) => (segment, Some(rest)),
                    None => (rest, None),
                };
                if let Some(folder) = self.below.get(segment) {
                    folder.visit_within(rest, visitor);
                }
            }
        }
        visitor(&self.through);
    }
}

/// The segments of a path that begins with a slash; none of any other.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').into_iter().flat_map(|rest| rest.split('/'))
}
