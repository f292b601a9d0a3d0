//! Makes the manual of all options and their JSON Schema out of the one declaration.

mod json;
mod manual;
mod schema;

pub use manual::manual;
pub use schema::schema;

/// The examples of settings files: their names and what they hold.
pub const EXAMPLES: [(&str, &str); 5] = [
    ("minimal.toml", include_str!("../examples/minimal.toml")),
    ("site.toml", include_str!("../examples/site.toml")),
    ("platform.toml", include_str!("../examples/platform.toml")),
    ("tls.toml", include_str!("../examples/tls.toml")),
    ("demo.toml", include_str!("../examples/demo.toml")),
];
