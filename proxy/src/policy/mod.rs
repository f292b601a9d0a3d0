//! The decisions, pure: facts, rules and `now` in; what to do and why out. Nothing here is async,
//! reads a clock, takes a lock or knows a socket.

pub mod admit;
pub mod answer;
pub mod decide;
pub mod dictionary;
pub mod difference;
pub mod encode;
pub mod fail;
pub mod forward;
pub mod freshen;
pub mod group;
pub mod identity;
pub mod invalidate;
pub mod lifetime;
pub mod look_up;
pub mod partial;
pub mod passed_on;
pub mod post;
pub mod precompressed;
pub mod request;
pub mod rest;
pub mod reuse;
pub mod sanitised;
pub mod sound;
pub mod status;
pub mod strategy;

#[cfg(test)]
mod testing {
    //! What the tests of the decisions share.

    use std::path::Path;
    use std::sync::Arc;

    use forebay_config::{Policy, Route};
    use http::{HeaderMap, HeaderName, HeaderValue};

    use crate::stored::Freshness;
    use crate::time::{Seconds, Timestamp};

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    pub(super) const NOW: Timestamp = Timestamp::from_seconds(784_111_777);

    /// Fresh for a minute, and nothing else is said.
    pub(super) const MINUTE: Freshness = Freshness {
        arrived: NOW,
        initial_age: Seconds::ZERO,
        lifetime: Seconds(60),
        always_validate: false,
        never_stale: false,
        while_revalidate: Seconds::ZERO,
        if_error: None,
        withdrawn: false,
    };

    /// The policy with these options, as a settings file has them.
    pub(super) fn rules(options: &str) -> Arc<Policy> {
        Arc::clone(&route(options).policy)
    }

    /// A route with that policy.
    pub(super) fn route(options: &str) -> Arc<Route> {
        let text = format!(
            "version = 1
            listeners.web.address = '127.0.0.1:0'
            origins.one.servers = ['http://origin.example']
            routes = [{{ name = 'all', match = {{ path = '/**' }}, origin = 'one', policy = 'it' }}]
            [policies.it]
            {options}"
        );
        let settings = forebay_config::parse("test.toml", &text, Path::new(""), &|_| None);
        let settings = settings.unwrap_or_else(|faults| panic!("{faults}"));
        Arc::clone(settings.routes.iter().next().unwrap())
    }

    /// The fields of a head, written `Name: value | Name: value`.
    pub(super) fn head(text: &str) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for line in text.split('|').map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        fields
    }

    /// The fields in the way that [`head`] reads them, sorted.
    pub(super) fn print(fields: &HeaderMap) -> String {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut lines: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
        lines.sort();
        lines.join(" | ")
    }
}
