//! A caching reverse proxy and CDN edge.
//!
//! From the bottom up: words (`time`, `field`, `key`, `stored`, `event`), decisions (`policy`),
//! machinery (`store`, `collapse`, `origin`, `observe`, `transform`), the rim (`edge`, `admin`), and
//! the wiring (`server`). `demo` is a sample origin to try it on.

pub mod admin;
pub mod cli;
pub mod collapse;
pub mod demo;
pub mod edge;
pub mod event;
pub mod explain;
pub mod field;
pub mod key;
pub mod observe;
pub mod origin;
pub mod policy;
pub mod server;
pub mod store;
pub mod stored;
pub mod tally;
pub mod time;
pub mod transform;
