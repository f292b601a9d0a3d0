//! Finds out whether a client may know more than others of how it was answered.

use std::sync::Arc;

use forebay_config::Secret;
use http::HeaderName;
use pingora::http::RequestHeader;
use subtle::ConstantTimeEq as _;

use super::decide::Asked;
use crate::event::Disclosed;

/// The field in which a client shows the secret.
pub const FOREBAY_DEBUG: HeaderName = HeaderName::from_static("forebay-debug");

/// Whether the head shows `secret`. Nobody after this sees the field.
pub(super) fn shows(head: &mut RequestHeader, secret: Option<&Secret>) -> bool {
    let Some(shown) = head.remove_header(&FOREBAY_DEBUG) else { return false };
    secret.is_some_and(|secret| shown.as_bytes().ct_eq(secret.reveal().as_bytes()).into())
}

/// What there is to know about a request.
pub(super) fn of(asked: &Asked) -> Disclosed {
    let route = &asked.route;
    Disclosed { key: asked.key.to_string(), route: Arc::clone(&route.name), place: route.place() }
}
