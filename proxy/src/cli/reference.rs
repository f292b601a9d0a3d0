//! `forebay reference`: prints the manual of all settings, or their JSON Schema.

use clap::Args;
use forebay_config::reference;

use super::say;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Prints the JSON Schema of a settings file instead.
    #[arg(long)]
    schema: bool,
}

pub(super) fn run(arguments: &Arguments) {
    say(&if arguments.schema { reference::schema() } else { reference::manual() });
}
