//! `forebay serve`: runs the edge from a settings file, or in front of one origin.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use forebay_config::Settings;

use super::{Refusal, say};
use crate::server::{self, Plan};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The settings file [default: what FOREBAY_CONFIG names, or forebay.toml].
    #[arg(long, value_name = "FILE", conflicts_with = "origin")]
    config: Option<PathBuf>,
    /// Serves this one origin as its answers say, without a settings file.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
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

/// The file that is read if none is named.
const DEFAULT_FILE: &str = "forebay.toml";

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let settings = match &arguments.origin {
        Some(url) => for_origin(arguments, url)?,
        None => {
            let named = || variable("FOREBAY_CONFIG").map(PathBuf::from);
            let file = arguments.config.clone().or_else(named);
            read(file.as_deref().unwrap_or(Path::new(DEFAULT_FILE)))?
        }
    };
    if arguments.upgrade && settings.server.upgrade_socket.is_none() {
        return Err("--upgrade takes the sockets over through server.upgrade_socket, \
                    which the settings do not name"
            .into());
    }
    let plan = Plan { settings, demo: None, upgrade: arguments.upgrade };
    server::run(plan, &|addresses| say(&addresses.to_string()))?;
    Ok(())
}

fn for_origin(arguments: &Arguments, url: &str) -> Result<Settings, Refusal> {
    let mut settings = Settings::for_origin(url, arguments.listen)?;
    if let Some(address) = arguments.admin_listen {
        if !address.ip().is_loopback() {
            return Err("--admin-listen must be a loopback address: others need a token, \
                        which takes a settings file"
                .into());
        }
        settings.admin.address = address;
    }
    Ok(settings)
}

/// Reads a settings file.
fn read(file: &Path) -> Result<Settings, Refusal> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        format!(
            "cannot read {}: {error}. Name a settings file with --config, or an origin with \
             --origin http://localhost:8000",
            file.display()
        )
    })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    Ok(forebay_config::parse(&file.display().to_string(), &text, folder, &variable)?)
}

/// A variable of the environment. One that is not Unicode is as good as unset: no settings can
/// hold it.
#[expect(clippy::disallowed_methods, reason = "the error says only that it is not there")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
