//! What was purged lately, and how many stored responses that was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Written;
use crate::field::date;
use crate::store::position::Position;
use crate::time::Timestamp;

/// How many receipts are kept.
const MOST: usize = 10_000;
/// How many bytes those may have that say what was purged.
const MOST_BYTES: usize = 8 << 20;

/// What was purged.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Where the purge stands in the log.
    pub id: Position,
    /// What was asked for.
    pub purged: Written,
    /// When.
    pub when: Timestamp,
    /// How many stored responses it was, once that is counted.
    pub(super) count: watch::Receiver<Option<usize>>,
}

impl Receipt {
    /// Waits until it is counted how many stored responses it was, but no longer than `limit`.
    pub async fn counted(&self, limit: Duration) {
        let mut count = self.count.clone();
        let counted = count.wait_for(Option::is_some);
        // Too late, or nobody counts: the receipt says so itself.
        drop(timeout(limit, counted).await);
    }

    /// Whether somebody still counts.
    fn is_counting(&self) -> bool {
        self.count.borrow().is_none() && self.count.has_changed().is_ok()
    }
}

impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            id: String,
            #[serde(flatten)]
            purged: &'a Written,
            when: String,
            count: Option<usize>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            counting: bool,
        }
        // Looked at first: what is counted in between is told, and not that it is being counted.
        let counting = self.is_counting();
        let count = *self.count.borrow();
        Told {
            id: self.id.to_string(),
            purged: &self.purged,
            when: String::from_utf8_lossy(date::value(self.when).as_bytes()).into_owned(),
            count,
            counting: counting && count.is_none(),
        }
        .serialize(serializer)
    }
}

/// The receipts of the last purges on this edge.
#[derive(Debug, Default)]
pub struct Receipts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_id: BTreeMap<Position, Arc<Receipt>>,
    bytes: usize,
}

impl Receipts {
    /// Keeps `receipt`, unless one with its id is there, in place of the oldest if there are many.
    pub(super) fn keep(&self, receipt: Receipt) {
        let mut kept = self.lock();
        if kept.by_id.contains_key(&receipt.id) {
            // The log has it done again.
            return;
        }
        kept.bytes += receipt.purged.length();
        kept.by_id.insert(receipt.id, Arc::new(receipt));
        while kept.by_id.len() > MOST || kept.bytes > MOST_BYTES {
            let Some((_, oldest)) = kept.by_id.pop_first() else { break };
            kept.bytes -= oldest.purged.length();
        }
    }

    /// The one with this id, if it is still kept.
    #[must_use]
    pub fn of(&self, id: Position) -> Option<Arc<Receipt>> {
        self.lock().by_id.get(&id).map(Arc::clone)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn receipt(number: u64, tag: &str) -> (watch::Sender<Option<usize>>, Receipt) {
        let (sender, count) = watch::channel(None);
        let purged = Written { tag: Some(tag.to_owned()), ..Written::default() };
        let when = Timestamp::from_seconds(784_111_777);
        (sender, Receipt { id: Position::from_number(number), purged, when, count })
    }

    #[test]
    fn keeps_the_first_of_an_id() {
        let receipts = Receipts::default();
        receipts.keep(receipt(7, "a").1);
        receipts.keep(receipt(7, "b").1);
        let kept = receipts.of(Position::from_number(7)).unwrap();
        assert_eq!(kept.purged.tag.as_deref(), Some("a"));
        assert!(receipts.of(Position::from_number(6)).is_none());
    }

    #[test]
    fn keeps_no_more_than_it_may() {
        let receipts = Receipts::default();
        for number in 0..MOST as u64 + 10 {
            receipts.keep(receipt(number, "a").1);
        }
        assert_eq!(receipts.lock().by_id.len(), MOST);
        assert!(receipts.of(Position::from_number(9)).is_none());
        assert!(receipts.of(Position::from_number(10)).is_some());
        for number in 20_000..20_200 {
            receipts.keep(receipt(number, &"x".repeat(64 << 10)).1);
        }
        let kept = receipts.lock();
        let bytes: usize = kept.by_id.values().map(|receipt| receipt.purged.length()).sum();
        assert!(bytes <= MOST_BYTES && bytes == kept.bytes, "{bytes} {}", kept.bytes);
    }

    #[test]
    fn says_whether_it_is_counted() {
        let (sender, receipt) = receipt(1 << 20, "a");
        let told = || serde_json::to_value(&receipt).unwrap();
        let mut expected = json!({
            "id": "1-0", "tag": "a", "mode": "soft", "when": "Sun, 06 Nov 1994 08:49:37 GMT",
            "count": null, "counting": true,
        });
        assert_eq!(told(), expected);
        sender.send_replace(Some(3));
        expected["count"] = 3.into();
        expected.as_object_mut().unwrap().remove("counting");
        assert_eq!(told(), expected);
        drop(sender);
        assert_eq!(told(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_count_no_longer_than_it_may() {
        let (sender, one) = receipt(1, "a");
        one.counted(Duration::from_millis(50)).await;
        assert!(one.is_counting());
        drop(sender);
        one.counted(Duration::from_hours(1)).await;
        assert!(!one.is_counting());
        let (sender, other) = receipt(2, "a");
        sender.send_replace(Some(0));
        other.counted(Duration::from_hours(1)).await;
        assert_eq!(serde_json::to_value(&other).unwrap()["count"], 0);
    }
}
