//! Keeps stored responses: what is kept under a key, and in which tier.

pub mod breaker;
pub mod dictionaries;
pub mod disk;
pub mod log;
pub mod lower;
pub mod memory;
pub mod position;
pub mod purges;
pub mod record;
pub mod redis;
pub mod shelf;
pub mod tiers;
pub use crate::tally;
