//! What the tiers below memory have in common, and how each of them does it.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use super::disk::Disk;
use super::record::{self, Record};
use super::redis::Redis;
use crate::event::Tier;
use crate::key::Key;
use crate::stored::{Freshness, Selecting, Stored};
use crate::tally::{Fault, Holds, Tally};
use crate::time::{self, Seconds, Timestamp};

/// A tier below memory. It never fails: what goes wrong is a miss, or is not stored, and is counted.
#[async_trait]
pub trait Lower: fmt::Debug + Send + Sync {
    /// Which one it is.
    fn tier(&self) -> Tier;

    /// The stored response under `key` that a request with `fields` selects, of those that were
    /// selected by `names` at least.
    async fn load(&self, key: &Key, fields: &HeaderMap, names: &[HeaderName]) -> Option<Stored>;

    /// Keeps `stored` under `key`, a little later, in place of what the same requests select.
    fn save(&self, key: &Key, stored: &Stored);

    /// Removes what is kept under `key`, with all variants. It is under way once this has returned; at
    /// the end of what it returns nothing is found of what was there before, after a crash neither.
    fn remove(&self, key: &Key) -> Removal;

    /// What it counts of itself.
    fn tally(&self) -> &Tally;

    /// What it holds, if it knows.
    fn holds(&self) -> Option<Holds>;

    /// Whether it can be used just now.
    fn is_up(&self) -> bool;

    /// Waits until all that was to be kept is.
    async fn settle(&self);
}

/// The rest of a removal, which takes its time.
pub type Removal = Pin<Box<dyn Future<Output = ()> + Send>>;

#[async_trait]
impl Lower for Disk {
    fn tier(&self) -> Tier {
        Tier::Disk
    }

    async fn load(&self, key: &Key, fields: &HeaderMap, names: &[HeaderName]) -> Option<Stored> {
        Self::load(self, key, fields, names).await
    }

    fn save(&self, key: &Key, stored: &Stored) {
        Self::save(self, key, stored);
    }

    fn remove(&self, key: &Key) -> Removal {
        Box::pin(Self::remove(self, key))
    }

    fn tally(&self) -> &Tally {
        Self::tally(self)
    }

    fn holds(&self) -> Option<Holds> {
        let (facts, limits) = (self.facts(), self.limits());
        Some(Holds { bytes: facts.bytes, most_bytes: limits.bytes, entries: facts.entries })
    }

    fn is_up(&self) -> bool {
        self.facts().is_here
    }

    async fn settle(&self) {
        self.settled().await;
    }
}

/// How a record begins that is no response: it names the fields that select among the variants of
/// its key, a line for each.
const NAMES: &[u8] = b"forebay-names\x01";

#[async_trait]
impl Lower for Redis {
    fn tier(&self) -> Tier {
        Tier::Redis
    }

    async fn load(&self, key: &Key, fields: &HeaderMap, names: &[HeaderName]) -> Option<Stored> {
        let digest = key.digest();
        let mut record = self.get(digest, None).await?;
        if let Some(selecting) = record.strip_prefix(NAMES) {
            let Some(selecting) = read_names(selecting) else {
                self.tally().faults(Fault::Torn).one();
                return None;
            };
            let variant = Selecting::new(&selecting, fields).variant();
            record = self.get(digest, Some(variant)).await?;
        }
        let stored =
            record::decode(key, &record).inspect_err(|fault| self.tally().faults(*fault).one());
        let Ok(stored) = stored else { return None };
        let selecting = &stored.head.selecting;
        let is_wanted =
            selecting.matches(fields) && names.iter().all(|name| selecting.names().contains(name));
        is_wanted.then_some(stored)
    }

    fn save(&self, key: &Key, stored: &Stored) {
        let ttl = useful(&stored.head.freshness, time::now());
        if stored.head.part.is_some() || ttl == Seconds::ZERO {
            return;
        }
        let record = Record::new(key, stored).and_then(|record| record.pieces());
        let Some(record) = record else { return };
        let (digest, ttl) = (key.digest(), ttl.into());
        let selecting = &stored.head.selecting;
        if selecting.names().is_empty() {
            return self.set(digest, None, record, ttl);
        }
        self.set(digest, Some(selecting.variant()), record, ttl);
        self.set(digest, None, vec![written_names(selecting.names())], ttl);
    }

    fn remove(&self, key: &Key) -> Removal {
        let removal = Self::remove(self, key.digest());
        Box::pin(async move {
            if !removal.await {
                log::warn!("Redis was not told in time that a stored response is to go");
            }
        })
    }

    fn tally(&self) -> &Tally {
        Self::tally(self)
    }

    fn holds(&self) -> Option<Holds> {
        None
    }

    fn is_up(&self) -> bool {
        Self::is_up(self)
    }

    async fn settle(&self) {
        self.settled().await;
    }
}

/// How long from `now` something stored may still answer, be it stale.
fn useful(freshness: &Freshness, now: Timestamp) -> Seconds {
    if freshness.withdrawn {
        return Seconds::ZERO;
    }
    let stale = freshness.while_revalidate.max(freshness.if_error.unwrap_or(Seconds::ZERO));
    freshness.lifetime.plus(stale).minus(freshness.age(now))
}

fn written_names(names: &[HeaderName]) -> Bytes {
    let mut record = NAMES.to_vec();
    for name in names {
        record.extend_from_slice(name.as_str().as_bytes());
        record.push(b'\n');
    }
    record.into()
}

fn read_names(lines: &[u8]) -> Option<Vec<HeaderName>> {
    let lines = lines.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
    let names: Result<Vec<_>, _> = lines.map(HeaderName::from_bytes).collect();
    let Ok(names) = names else { return None };
    Some(names)
}

#[cfg(test)]
mod tests {
    use http::header;
    use proptest::prelude::*;

    use super::*;
    use crate::stored::testing::stored;

    #[test]
    fn names_are_read_as_they_were_written() {
        let names = [header::ACCEPT, header::COOKIE];
        let written = written_names(&names);
        assert_eq!(read_names(written.strip_prefix(NAMES).unwrap()).as_deref(), Some(&names[..]));
        for wrong in [&b""[..], b"a", b"a b\n", b"\n", b"a\n\n"] {
            assert_eq!(read_names(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_may_answer_stale_is_kept_for_as_long() {
        let head = stored("a", &[], &HeaderMap::new()).head;
        let freshness = Freshness {
            lifetime: Seconds(60),
            while_revalidate: Seconds(10),
            if_error: Some(Seconds(100)),
            ..head.freshness
        };
        let arrived = freshness.arrived;
        assert_eq!(useful(&freshness, arrived), Seconds(160));
        let gone = Freshness { withdrawn: true, ..freshness };
        assert_eq!(useful(&gone, arrived), Seconds::ZERO);
        let none = Freshness { lifetime: Seconds::ZERO, if_error: None, ..freshness };
        assert_eq!(useful(&none, arrived), Seconds(10));
    }

    proptest! {
        #[test]
        fn takes_any_names_without_harm(bytes: Vec<u8>) {
            if let Some(names) = read_names(&bytes) {
                prop_assert!(!names.is_empty());
            }
        }
    }
}
