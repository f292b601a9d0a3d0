//! The variants that are stored under one key (RFC 9111 §4.1).

use std::sync::Arc;

use http::HeaderMap;

use crate::stored::Stored;

/// As many variants as one key may have; past it the oldest goes.
pub const MOST_VARIANTS: usize = 32;

/// All that is stored under one key, newest first. Never empty.
#[derive(Clone, Debug)]
pub struct Shelf {
    variants: Arc<[Stored]>,
}

impl Shelf {
    /// A shelf with one stored response.
    #[must_use]
    pub fn new(stored: Stored) -> Self {
        Self { variants: Arc::new([stored]) }
    }

    /// This shelf with `stored` put first, in place of the one that the same requests select. A
    /// part does not take the place of a whole.
    #[must_use]
    pub fn with(&self, stored: Stored) -> Self {
        let head = Arc::clone(&stored.head);
        let same = |other: &&Stored| other.head.selecting == head.selecting;
        let is_part = head.part.is_some();
        if is_part && self.variants.iter().any(|other| same(&other) && other.head.part.is_none()) {
            return self.clone();
        }
        let others = self.variants.iter().filter(|other| !same(other));
        let variants = std::iter::once(stored).chain(others.cloned()).take(MOST_VARIANTS).collect();
        Self { variants }
    }

    /// The newest variant that `request` selects.
    #[must_use]
    pub fn select(&self, request: &HeaderMap) -> Option<&Stored> {
        self.variants.iter().find(|stored| stored.head.selecting.matches(request))
    }

    /// The newest variant: it tells which request fields select.
    #[must_use]
    pub fn newest(&self) -> Option<&Stored> {
        self.variants.first()
    }

    /// Bytes that the shelf takes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.variants.iter().map(Stored::size).sum()
    }
}
