//! `forebay serve`: runs the edge from a settings file, or in front of one origin.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use forebay_config::{Settings, TOKEN_VARIABLE};

use super::fingerprint::fingerprint;
use super::{Refusal, say, settings_file};
use crate::admin::reload::Reader;
use crate::edge::Loaded;
use crate::server::{self, Plan};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The settings file [default: what FOREBAY_CONFIG names, or forebay.toml].
    #[arg(long, value_name = "FILE", conflicts_with = "origin")]
    config: Option<PathBuf>,
    /// Serves this one origin as its answers say, without a settings file.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// The built-in policy for its answers: api, reference, static or session [default: they are
    /// cached as they say].
    #[arg(long, value_name = "NAME", requires = "origin")]
    policy: Option<String>,
    /// Where clients connect to, with --origin [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS", requires = "origin")]
    listen: Option<SocketAddr>,
    /// Where ops connect to, with --origin [default: 127.0.0.1:9900].
    #[arg(long, value_name = "ADDRESS", requires = "origin")]
    admin_listen: Option<SocketAddr>,
    /// Takes the listening sockets over from the edge that runs with the same settings.
    #[arg(long)]
    upgrade: bool,
}

/// What to do where there is no settings file.
const REMEDY: &str = "name a settings file with --config, or an origin with \
                      --origin http://localhost:8000";

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let (loaded, reader) = match &arguments.origin {
        Some(url) => (for_origin(arguments, url)?, None),
        None => {
            let path = settings_file::path(arguments.config.as_deref());
            let loaded = settings_file::read(&path, REMEDY)?.load()?;
            let reader: Option<Reader> = settings_file::is_kept(&path)
                .then(|| Box::new(move || settings_file::read_again(&path)) as Reader);
            (loaded, reader)
        }
    };
    if arguments.upgrade && loaded.settings.server.upgrade_socket.is_none() {
        return Err("--upgrade takes the sockets over through server.upgrade_socket, \
                    which the settings do not name"
            .into());
    }
    let plan = Plan { loaded, reader, demo: None, upgrade: arguments.upgrade };
    server::run(plan, &|addresses| say(&addresses.to_string()))?;
    Ok(())
}

fn for_origin(arguments: &Arguments, url: &str) -> Result<Loaded, Refusal> {
    let token = settings_file::variable(TOKEN_VARIABLE).filter(|token| !token.is_empty());
    let policy = arguments.policy.as_deref();
    let mut settings = Settings::for_origin(url, arguments.listen, policy, token.as_deref())?;
    if let Some(address) = arguments.admin_listen {
        if !address.ip().is_loopback() {
            return Err("--admin-listen must be a loopback address: others need a token, \
                        which takes a settings file"
                .into());
        }
        settings.admin.address = address;
    }
    let addresses = [arguments.listen, arguments.admin_listen]
        .map(|address| address.map_or_else(String::new, |address| address.to_string()));
    let texts = [url, policy.unwrap_or("")].into_iter();
    let texts = texts.chain(addresses.iter().map(String::as_str));
    let hash = fingerprint(texts, &settings_file::variable);
    Ok(Loaded { settings, hash })
}
