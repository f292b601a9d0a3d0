//! A caching reverse proxy and CDN edge.

pub mod field;
pub mod key;
pub mod time;
