//! Decides how parts of one body may be put together (RFC 9111 §3.3, §3.4).

use http::HeaderMap;

use crate::field::etag;
use crate::field::range::{ByteRange, ContentRange};
use crate::stored::Body;

/// Where a part belongs beside one that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Right before it.
    Before,
    /// Right after it.
    After,
}

impl Side {
    /// The stored part and the new one, put together.
    #[must_use]
    pub fn join(self, held: &Body, new: &Body) -> Body {
        let (first, second) = match self {
            Self::Before => (new, held),
            Self::After => (held, new),
        };
        Body::new(first.as_slice().iter().chain(second.as_slice()).cloned().collect())
    }
}

/// Two parts that fit, and what they make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Where the new part belongs.
    pub side: Side,
    /// What both make; `None` if that is the whole.
    pub part: Option<ContentRange>,
}

/// Whether the part `new` continues the stored part `held`.
///
/// Only parts with the same strong validator may be combined (RFC 9111 §3.4).
#[must_use]
pub fn fit(held: (&HeaderMap, &ContentRange), new: (&HeaderMap, &ContentRange)) -> Option<Fit> {
    let ((held_fields, held), (new_fields, new)) = (held, new);
    let (ours, theirs) = (etag::etag(held_fields)?, etag::etag(new_fields)?);
    if !ours.strong_eq(&theirs) || held.complete != new.complete {
        return None;
    }
    let (complete, held, new) = (held.complete?, held.range?, new.range?);
    let (side, both) = if new.last.checked_add(1) == Some(held.first) {
        (Side::Before, ByteRange { first: new.first, last: held.last })
    } else if held.last.checked_add(1) == Some(new.first) {
        (Side::After, ByteRange { first: held.first, last: new.last })
    } else {
        return None;
    };
    let whole = both.first == 0 && both.last.checked_add(1) == Some(complete);
    let part = ContentRange { range: Some(both), complete: Some(complete) };
    Some(Fit { side, part: (!whole).then_some(part) })
}

/// The one range that is missing to make the stored part whole.
///
/// `None` if there is more than one, if the length of the whole is not known, or if there is no
/// strong validator to tell that the rest belongs to it (RFC 9110 §13.1.5).
#[must_use]
pub fn missing(fields: &HeaderMap, held: &ContentRange) -> Option<ByteRange> {
    let strong = etag::etag(fields).is_some_and(|tag| !tag.weak);
    let (range, complete) = (held.range?, held.complete?);
    let last = complete.checked_sub(1)?;
    if !strong {
        None
    } else if range.first == 0 && range.last < last {
        Some(ByteRange { first: range.last + 1, last })
    } else if range.first > 0 && range.last == last {
        Some(ByteRange { first: 0, last: range.first - 1 })
    } else {
        None
    }
}
