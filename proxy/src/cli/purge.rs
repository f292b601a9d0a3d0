//! `forebay purge`: takes back what a running edge has stored.

use std::path::PathBuf;

use clap::Args;

use super::running::Running;
use super::{Refusal, say};
use crate::edge::purge::Written;
use crate::store::log::Mode;

/// What stands below the options in the help.
const EXAMPLES: &str = "\
Examples:
  forebay purge --tag product-42
  forebay purge --url 'https://shop.example/shoes?size=42' --hard
  forebay purge --prefix https://shop.example/assets/
  forebay purge --all --admin http://10.0.0.7:9900

What is purged softly is asked for again by the next who wants it, and answers only where the origin \
fails. What is purged with --hard is gone.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    wish: Wish,
    /// Removes it, so that it does not even answer in place of an origin that fails.
    #[arg(long)]
    hard: bool,
    /// The settings file [default: what FOREBAY_CONFIG names, or forebay.toml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the running edge is asked [default: the admin listener of the settings].
    ///
    /// Its token is that of the settings or, with --admin, of the variable FOREBAY_ADMIN_TOKEN.
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Wish {
    /// What is stored for this URL, in all its variants.
    #[arg(long)]
    url: Option<String>,
    /// What is stored for URLs that begin like this; with a path alone, on every host.
    #[arg(long)]
    prefix: Option<String>,
    /// What the origin has given this tag, in Surrogate-Key, Cache-Tag or Cache-Groups.
    #[arg(long)]
    tag: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Refusal> {
    let Arguments { wish: Wish { url, prefix, tag, all }, hard, config, admin } = arguments;
    let edge = Running::of(admin.as_deref(), config.as_deref())?;
    let mode = if hard { Mode::Hard } else { Mode::Soft };
    let wish = Written { url, prefix, tag, all, mode, ..Written::default() };
    say(&edge.post("/purge", "application/json", &wish)?);
    Ok(())
}
