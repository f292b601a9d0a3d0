//! Says how a request was answered, as `Cache-Status` (RFC 9211).

use std::fmt::Write as _;

use crate::event::Trail;

/// The name under which this cache speaks of itself.
pub const NAME: &str = "forebay";

/// Prints the member of `Cache-Status` for `trail`.
#[must_use]
pub fn cache_status(trail: &Trail) -> String {
    let mut text = String::with_capacity(64);
    text.push_str(NAME);
    if trail.hit {
        text.push_str("; hit");
    } else if let Some(fwd) = trail.fwd {
        text.push_str("; fwd=");
        text.push_str(fwd.token());
    }
    if let Some(status) = trail.fwd_status {
        number(&mut text, "; fwd-status=", i64::from(status));
    }
    if let Some(ttl) = trail.ttl {
        number(&mut text, "; ttl=", ttl);
    }
    if trail.stored {
        text.push_str("; stored");
    }
    if trail.collapsed {
        text.push_str("; collapsed");
    }
    if let Some(detail) = trail.detail {
        text.push_str("; detail=");
        text.push_str(detail.token());
    }
    text
}

/// Prints `Server-Timing` for `trail`: how it was answered, and how long the origin took.
#[must_use]
pub fn server_timing(trail: &Trail) -> String {
    let answered = match trail.fwd {
        _ if trail.hit => "hit",
        Some(fwd) => fwd.token(),
        None => "none",
    };
    trail.waited.map_or_else(
        || format!("edge;desc={answered}"),
        |waited| format!("edge;desc={answered}, origin;dur={:.1}", waited.as_secs_f64() * 1000.0),
    )
}

fn number(text: &mut String, name: &str, value: i64) {
    text.push_str(name);
    if write!(text, "{value}").is_err() {
        // Writing to a `String` does not fail.
        text.push('0');
    }
}
