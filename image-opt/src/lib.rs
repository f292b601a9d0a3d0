//! Plans what to do with a picture: bytes and a plan in, bytes out. No HTTP, no async.
