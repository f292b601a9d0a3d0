//! The variants that are stored under one key (RFC 9111 §4.1).

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::position::Position;
use super::purges::Purge;
use crate::field::coding::Coding;
use crate::stored::{Body, Coded, Stored, StoredHead};

/// All that is stored under one key, newest first. Never empty.
#[derive(Clone, Debug)]
pub struct Shelf {
    variants: Arc<[Stored]>,
    /// All purges up to this position have been held against each.
    checked: Position,
}

impl Shelf {
    /// A shelf with one stored response.
    #[must_use]
    pub fn new(stored: Stored) -> Self {
        Self { checked: since(&stored), variants: Arc::new([stored]) }
    }

    /// This shelf with `stored` put first, in place of the one that the same requests select. A
    /// part does not take the place of a whole. Past `most` variants the oldest goes.
    #[must_use]
    pub fn with(&self, stored: Stored, most: usize) -> Self {
        let head = Arc::clone(&stored.head);
        let checked = self.checked.min(since(&stored));
        let same = |other: &&Stored| other.head.selecting == head.selecting;
        let is_part = head.part.is_some();
        if is_part && self.variants.iter().any(|other| same(&other) && other.head.part.is_none()) {
            return self.clone();
        }
        let others = self.variants.iter().filter(|other| !same(other));
        let variants = std::iter::once(stored).chain(others.cloned()).take(most).collect();
        Self { variants, checked }
    }

    /// The same with `stored` in place of `old`, which it updates: what `old` was selected by holds
    /// no more.
    #[must_use]
    pub fn with_update(&self, old: &Stored, mut stored: Stored, most: usize) -> Self {
        // More may have been made of the body since.
        if let Some(here) = self.variants.iter().find(|other| other.body.is_same(&stored.body)) {
            stored.body = here.body.clone();
        }
        let is_other = |other: &&Stored| !Arc::ptr_eq(&other.head, &old.head);
        let variants = self.variants.iter().filter(is_other).cloned().collect();
        Self { variants, checked: self.checked }.with(stored, most)
    }

    /// The same with `stored`, from a lower tier, unless what the same requests select came later.
    #[must_use]
    pub fn with_restored(&self, stored: Stored, most: usize) -> Self {
        let is_newer = |other: &Stored| {
            other.head.selecting == stored.head.selecting
                && other.head.freshness.arrived >= stored.head.freshness.arrived
        };
        if self.iter().any(is_newer) { self.clone() } else { self.with(stored, most) }
    }

    /// The same with what became of `body` in `coding`, or plain; nothing if `body` is not here any more.
    #[must_use]
    pub fn with_coded(&self, body: &Body, coding: Option<Coding>, coded: &Coded) -> Option<Self> {
        self.with_body(body, |body| body.with_coded(coding, coded))
    }

    /// The same with what `change` makes of `body`; nothing if `body` is not here any more.
    #[must_use]
    pub fn with_body(&self, body: &Body, change: impl Fn(&Body) -> Body) -> Option<Self> {
        self.variants.iter().any(|stored| stored.body.is_same(body)).then_some(())?;
        let with = |stored: &Stored| {
            let mut stored = stored.clone();
            if stored.body.is_same(body) {
                stored.body = change(&stored.body);
            }
            stored
        };
        Some(Self { variants: self.variants.iter().map(with).collect(), checked: self.checked })
    }

    /// Up to which position all purges have been held against it.
    #[must_use]
    pub const fn checked(&self) -> Position {
        self.checked
    }

    /// The same, of which it is known that all purges up to `checked` do nothing to it.
    #[must_use]
    pub fn checked_up_to(self, checked: Position) -> Self {
        Self { checked: self.checked.max(checked), ..self }
    }

    /// Whether all purges up to the position `newest` have been held against it.
    #[must_use]
    pub fn is_checked(&self, newest: Position) -> bool {
        self.checked >= newest
    }

    /// The same after the purges up to the position `newest`, of which `of` says what they do to a
    /// response; nothing if that leaves nothing.
    #[must_use]
    pub fn purged(&self, newest: Position, of: impl Fn(&Stored) -> Option<Purge>) -> Option<Self> {
        let left = |stored: &Stored| match of(stored) {
            None => Some(stored.clone()),
            Some(Purge::Soft) => Some(withdrawn(stored)),
            Some(Purge::Hard) => None,
        };
        let variants: Arc<[Stored]> = self.variants.iter().filter_map(left).collect();
        (!variants.is_empty()).then_some(Self { variants, checked: self.checked.max(newest) })
    }

    /// The newest variant that `request` selects, of those that were selected by `names` at least.
    #[must_use]
    pub fn select(&self, request: &HeaderMap, names: &[HeaderName]) -> Option<&Stored> {
        self.variants.iter().find(|stored| {
            let selecting = &stored.head.selecting;
            names.iter().all(|name| selecting.names().contains(name)) && selecting.matches(request)
        })
    }

    /// The newest variant: it tells which request fields select.
    #[must_use]
    pub fn newest(&self) -> Option<&Stored> {
        self.variants.first()
    }

    /// The variants, newest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Stored> {
        self.variants.iter()
    }

    /// Bytes that the shelf takes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.variants.iter().map(Stored::size).sum()
    }
}

/// Up to which position no purge means `stored`.
fn since(stored: &Stored) -> Position {
    Position::from_number(stored.head.since)
}

/// `stored`, which answers only in place of an origin that fails from now on.
#[must_use]
pub fn withdrawn(stored: &Stored) -> Stored {
    let mut head = StoredHead::clone(&stored.head);
    head.freshness.withdrawn = true;
    Stored { head: Arc::new(head), body: stored.body.clone() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST_VARIANTS: usize = 32;
    use crate::field::range::{ByteRange, ContentRange};
    use crate::stored::testing::{body, request, stored};
    use crate::stored::{Kept, Maker, StoredHead};

    /// A shelf with a response for each of `languages`, put there in that order.
    fn shelf(languages: &[&str]) -> Shelf {
        let mut variants = languages
            .iter()
            .map(|tongue| stored(tongue, &["x-tongue"], &request("x-tongue", tongue)));
        let first = Shelf::new(variants.next().unwrap());
        variants.fold(first, |shelf, variant| shelf.with(variant, MOST_VARIANTS))
    }

    fn selected(shelf: &Shelf, tongue: &str) -> Option<String> {
        shelf.select(&request("x-tongue", tongue), &[]).map(body)
    }

    #[test]
    fn selects_the_variant_for_a_request() {
        let shelf = shelf(&["en", "de"]);
        assert_eq!(selected(&shelf, "en").as_deref(), Some("en"));
        assert_eq!(selected(&shelf, "de").as_deref(), Some("de"));
        assert_eq!(selected(&shelf, "fr"), None);
        assert!(shelf.select(&HeaderMap::new(), &[]).is_none());
    }

    #[test]
    fn replaces_the_variant_that_the_same_requests_select() {
        let shelf = shelf(&["en", "de"]);
        let newer =
            shelf.with(stored("newer", &["x-tongue"], &request("x-tongue", "en")), MOST_VARIANTS);
        assert_eq!(selected(&newer, "en").as_deref(), Some("newer"));
        assert_eq!(selected(&newer, "de").as_deref(), Some("de"));
        assert_eq!(newer.variants.len(), 2);
        assert_eq!(newer.newest().map(body).as_deref(), Some("newer"));
    }

    #[test]
    fn replaces_what_is_updated_whatever_selects_now() {
        let before = shelf(&["en", "de"]);
        let old = before.select(&request("x-tongue", "en"), &[]).unwrap();
        let newer = stored("newer", &["x-a", "x-tongue"], &request("x-tongue", "en"));
        let after = before.with_update(old, newer, MOST_VARIANTS);
        assert_eq!(after.variants.len(), 2);
        assert_eq!(selected(&after, "en").as_deref(), Some("newer"));
        assert_eq!(selected(&after, "de").as_deref(), Some("de"));
    }

    #[test]
    fn keeps_what_was_made_while_an_update_was_on_its_way() {
        let before = shelf(&["en"]);
        let old = before.newest().unwrap().clone();
        let made = Coded::Kept(Kept::new(Body::new(vec!["made".into()]), Maker::Best));
        let since = before.with_coded(&old.body, None, &made).unwrap();
        let after = since.with_update(&old, old.clone(), MOST_VARIANTS);
        assert!(matches!(after.newest().unwrap().body.coded(None), Some(Coded::Kept(_))));
    }

    #[test]
    fn selects_only_what_was_selected_by_all_that_counts() {
        let shelf = shelf(&["en"]);
        let found = |names: &[&'static str]| {
            let names: Vec<_> = names.iter().map(|name| HeaderName::from_static(name)).collect();
            shelf.select(&request("x-tongue", "en"), &names).map(body)
        };
        assert_eq!(found(&["x-tongue"]).as_deref(), Some("en"));
        assert_eq!(found(&["x-tenant"]), None);
    }

    #[test]
    fn prefers_the_newest_of_several_that_match() {
        let everybody = shelf(&["en"]).with(stored("all", &[], &HeaderMap::new()), MOST_VARIANTS);
        assert_eq!(selected(&everybody, "en").as_deref(), Some("all"));
        let english =
            everybody.with(stored("en", &["x-tongue"], &request("x-tongue", "en")), MOST_VARIANTS);
        assert_eq!(selected(&english, "en").as_deref(), Some("en"));
        assert_eq!(selected(&english, "de").as_deref(), Some("all"));
    }

    #[test]
    fn puts_no_part_in_the_place_of_a_whole() {
        let part = |text: &str| {
            let whole = stored(text, &[], &HeaderMap::new());
            let range = Some(ByteRange { first: 0, last: 3 });
            let part = Some(ContentRange { range, complete: Some(9) });
            Stored { head: Arc::new(StoredHead { part, ..(*whole.head).clone() }), ..whole }
        };
        let whole = Shelf::new(stored("whole", &[], &HeaderMap::new()));
        assert_eq!(
            whole.with(part("part"), MOST_VARIANTS).newest().map(body).as_deref(),
            Some("whole")
        );
        let newer = Shelf::new(part("part")).with(part("next"), MOST_VARIANTS);
        assert_eq!(newer.variants.len(), 1);
        assert_eq!(newer.newest().map(body).as_deref(), Some("next"));
        let whole = newer.with(stored("whole", &[], &HeaderMap::new()), MOST_VARIANTS);
        assert_eq!(whole.newest().map(body).as_deref(), Some("whole"));
        assert_eq!(whole.variants.len(), 1);
    }

    proptest! {
        #[test]
        fn holds_the_newest_variants_up_to_its_limit(
            tongues in prop::collection::vec(0..50_usize, 1..120),
        ) {
            let names: Vec<String> = tongues.iter().map(ToString::to_string).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let shelf = shelf(&names);
            let mut newest: Vec<&str> = Vec::new();
            for name in names.iter().rev() {
                if !newest.contains(name) {
                    newest.push(name);
                }
            }
            newest.truncate(MOST_VARIANTS);
            let held: Vec<String> = shelf.variants.iter().map(body).collect();
            prop_assert_eq!(held, newest);
            let sizes: Vec<u64> = shelf.variants.iter().map(Stored::size).collect();
            prop_assert_eq!(shelf.size(), sizes.iter().sum::<u64>());
        }
    }
}
