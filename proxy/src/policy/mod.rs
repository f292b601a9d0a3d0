//! The decisions, pure: facts, rules and `now` in; what to do and why out. Nothing here is async,
//! reads a clock, takes a lock or knows a socket.

pub mod admit;
pub mod answer;
pub mod fail;
pub mod forward;
pub mod freshen;
pub mod invalidate;
pub mod partial;
pub mod request;
pub mod reuse;
pub mod sound;
pub mod status;
