//! End-to-end tests: the real binary between scripted origins and clients that
//! hide nothing. One file per subject.
#![cfg(test)]

mod support;

mod admin;
mod browser;
mod cdn;
mod cli;
mod codings;
mod collapse;
mod compression;
mod conformance;
mod curl;
mod dictionaries;
mod disk;
mod explain;
mod failing;
mod fleet;
mod forwarding;
mod framing;
mod freshness;
mod http2;
mod invalidation;
mod key_rules;
mod keys;
mod passed_on;
mod policies;
mod precompressed;
mod predictions;
mod privacy;
mod purge;
mod purge_fleet;
mod purge_log;
mod purge_method;
mod ranges;
mod redis;
mod redis_lease;
mod reload;
mod routing;
mod stale;
mod stop;
mod storing;
mod strategies;
mod upgrade;
mod validation;
mod vary;
mod warm;
