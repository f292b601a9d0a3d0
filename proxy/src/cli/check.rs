//! `forebay check`: tells every fault of a settings file.

use std::path::PathBuf;

use clap::Args;
use forebay_config::Settings;

use super::{Refusal, say, settings_file};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The settings file [default: what FOREBAY_CONFIG names, or forebay.toml].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What to do where there is no settings file.
const REMEDY: &str = "name a settings file behind `forebay check`";

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let path = settings_file::path(arguments.file.as_deref());
    let settings = settings_file::read(&path, REMEDY)?.load()?.settings;
    say(&format!("{}: {}: no fault\n", path.display(), summary(&settings)));
    Ok(())
}

/// How much there is of what a file has many of.
fn summary(settings: &Settings) -> String {
    let counts = [
        (settings.listeners.len(), "listener"),
        (settings.origins.len(), "origin"),
        (settings.routes.iter().len(), "route"),
    ];
    let counted = counts.map(|(count, noun)| {
        let ending = if count == 1 { "" } else { "s" };
        format!("{count} {noun}{ending}")
    });
    counted.join(", ")
}
