//! Keeps stored responses: what is kept under a key, and in which tier.

pub mod dictionaries;
pub mod memory;
pub mod position;
pub mod purges;
pub mod shelf;
pub mod tally;
