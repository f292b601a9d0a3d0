//! A caching reverse proxy and CDN edge.

pub mod demo;
pub mod time;
