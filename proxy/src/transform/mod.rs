//! Changes the bodies of responses: content codings, and the threads on which the slow ones are
//! made.

pub mod decode;
pub mod dictionary;
pub mod encode;
pub mod lane;
pub mod recode;
pub mod tasks;
