//! Turns the text of a configuration file into checked settings, or into every fault in it.
//!
//! Nothing here reads a file, the environment or a clock: [`parse`] is given the text of the file
//! and a way to look up variables, [`parse_with`] also a way to the files that it includes.
#![warn(missing_docs)]

mod check;
mod condition;
mod declare;
mod decode;
mod disk;
mod fault;
mod host;
mod include;
mod kind;
pub mod lint;
mod name;
mod options;
mod pattern;
mod person;
mod redis;
pub mod reference;
mod routing;
mod settings;
mod shape;
pub mod text;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use check::TOKEN_VARIABLE;
pub use condition::{Condition, Fields, ValuePattern, Wanted};
pub use declare::{Effect, Field, Need};
pub use fault::{Fault, Faults, Place};
pub use host::HostPattern;
pub use include::Surroundings;
pub use lint::Finding;
pub use name::NamePattern;
pub use pattern::{PathPattern, PathPatterns};
pub use redis::REDIS_VARIABLE;
pub use routing::{Mismatch, Route, RouteRequest, Routes, covers};
pub use settings::{
    Admin, BypassIf, Cache, Change, Coding, Compress, KeyRules, Listener, Origin, OriginServer,
    Policy, QueryRules, Redis, RedisServers, RedisUrl, Secret, Server, SetCookie, Settings,
    Strategy, Timeouts, Tls, TtlMode,
};

/// What a settings file, and those that it includes, turn into.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The settings.
    pub settings: Settings,
    /// What is dangerous in them, in the order of the files.
    pub findings: Vec<Finding>,
    /// The files that were included.
    pub files: Vec<PathBuf>,
}

/// Reads the text of a settings file, and the files that it includes, into checked settings.
///
/// `file_name` is what faults call the file, `folder` is where its relative paths begin.
///
/// # Errors
///
/// Every fault in the files.
pub fn parse_with(
    file_name: &str,
    text: &str,
    folder: &Path,
    around: &dyn Surroundings,
) -> Result<Parsed, Faults> {
    check::check(file_name, text, folder, around)
}

/// The paths of the files that a settings file includes, whatever faults it has or they have.
///
/// Whoever wants to know whether settings have changed has to look at these as well.
#[must_use]
pub fn included(
    file_name: &str,
    text: &str,
    folder: &Path,
    around: &dyn Surroundings,
) -> Vec<PathBuf> {
    include::included(file_name, text, folder, around)
}

/// Reads the text of a settings file that includes no other into checked settings.
///
/// `file_name` is what faults call the file, `folder` is where its relative paths begin, and
/// `env` looks up a variable of the environment.
///
/// # Errors
///
/// Every fault in the file, or, if it is not TOML, every fault of its syntax.
pub fn parse(
    file_name: &str,
    text: &str,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, Faults> {
    parse_with(file_name, text, folder, &include::Alone(env)).map(|parsed| parsed.settings)
}

/// The options of a file as they are declared, those within others at [`Field::fields`].
#[must_use]
pub fn declared() -> &'static [Field] {
    options::Options::FIELDS
}

/// The policies that are there without being written, in TOML.
pub const PRESETS: &str = options::PRESETS;

/// What `forebay serve --origin URL` runs.
const FOR_ORIGIN: &str = r#"
version = 1
listeners.web.address = "${LISTEN}"
origins.origin.servers = ["${ORIGIN}"]
policies.respect = {}
routes = [{ name = "all", match = { path = "/**" }, origin = "origin", policy = "${POLICY}" }]
"#;

impl Settings {
    /// The settings for one origin at `url`, whose answers are cached under the built-in `policy`,
    /// or as it says.
    ///
    /// Clients connect to `listen`, or to 127.0.0.1:8080. The admin listener demands `token`, if
    /// there is one.
    ///
    /// # Errors
    ///
    /// A fault if `url` is not the URL of an origin server, `listen` is taken by the admin
    /// listener, there is no such policy, or `token` is none.
    pub fn for_origin(
        url: &str,
        listen: Option<SocketAddr>,
        policy: Option<&str>,
        token: Option<&str>,
    ) -> Result<Self, Fault> {
        if let Err(unread) = text::read_server(url) {
            return Err(Fault {
                file: "--origin".into(),
                place: None,
                path: "".into(),
                expected: <OriginServer as decode::Text>::EXPECTED.into(),
                found: format!("{} ({unread})", decode::shown(&decode::without_user(url))).into(),
                nearest: None,
            });
        }
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let env = |name: &str| match name {
            "ORIGIN" => Some(url.to_owned()),
            "LISTEN" => Some(listen.to_string()),
            "POLICY" => Some(policy.unwrap_or("respect").to_owned()),
            TOKEN_VARIABLE => token.map(str::to_owned),
            _ => None,
        };
        parse("--listen", FOR_ORIGIN, Path::new(""), &env).map_err(|faults| {
            let first = faults.into_first().expect("where settings are missing there is a fault");
            if first.path.ends_with("policy") {
                let name = policy.unwrap_or_default();
                let (file, found) = ("--policy".into(), decode::shown(name).into());
                let nearest = fault::nearest(name, options::preset_names());
                return Fault { file, place: None, path: "".into(), found, nearest, ..first };
            }
            if &*first.path == "admin.token" {
                let file = TOKEN_VARIABLE.into();
                return Fault { file, place: None, path: "".into(), ..first };
            }
            Fault { place: None, path: "".into(), ..first }
        })
    }
}
