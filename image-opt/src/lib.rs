//! Plans what to do with a picture: bytes and a plan in, bytes out. No HTTP, no async.
//!
//! So far there is the plan alone: nothing here decodes, resizes or encodes yet.
#![warn(missing_docs)]

pub mod plan;
