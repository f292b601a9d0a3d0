//! A caching reverse proxy and CDN edge.

pub mod time;
