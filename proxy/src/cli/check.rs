//! `forebay check`: tells every fault of a settings file, and what is dangerous in it.

use std::path::PathBuf;

use clap::Args;
use forebay_config::lint::{self, LINTS, Lint};
use forebay_config::{Finding, Settings};

use super::{Refusal, say, settings_file};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The settings file [default: what FOREBAY_CONFIG names, or forebay.toml].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Fails if this lint finds anything, such as L007; `all` stands for every lint.
    #[arg(long, value_name = "LINT", value_delimiter = ',', value_parser = denied)]
    deny: Vec<Denied>,
    /// Prints all lints: what is looked for, and why.
    #[arg(long, conflicts_with_all = ["file", "deny"])]
    lints: bool,
}

/// What must not be found.
#[derive(Debug, Clone, Copy)]
enum Denied {
    /// Anything.
    All,
    /// What this lint finds.
    One(&'static Lint),
}

fn denied(text: &str) -> Result<Denied, String> {
    if text == "all" {
        return Ok(Denied::All);
    }
    lint::named(text).map(Denied::One).map_err(|unread| unread.to_string())
}

impl Denied {
    fn has(self, finding: &Finding) -> bool {
        match self {
            Self::All => true,
            Self::One(lint) => finding.lint.number == lint.number,
        }
    }
}

/// What to do where there is no settings file.
const REMEDY: &str = "name a settings file behind `forebay check`";

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    if arguments.lints {
        say(&lints());
        return Ok(());
    }
    let path = settings_file::path(arguments.file.as_deref());
    let parsed = settings_file::open(&path, REMEDY)?.parse()?;
    for finding in &parsed.findings {
        say(&format!("{finding:#}\n\n"));
    }
    let found = match parsed.findings.len() {
        0 => String::new(),
        1 => ", 1 lint".to_owned(),
        count => format!(", {count} lints"),
    };
    say(&format!("{}: {}: no fault{found}\n", path.display(), summary(&parsed.settings)));
    refuse(&parsed.findings, &arguments.deny)
}

/// Refuses `findings` that are `denied`.
fn refuse(findings: &[Finding], denied: &[Denied]) -> Result<(), Refusal> {
    let is_denied = |finding: &&Finding| denied.iter().any(|denied| denied.has(finding));
    let mut numbers: Vec<_> =
        findings.iter().filter(is_denied).map(|finding| finding.lint.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Ok(());
    }
    Err(format!("found what --deny rules out: {}", numbers.join(", ")).into())
}

/// Every lint, as it is told in the manual.
fn lints() -> String {
    let mut text = String::new();
    for lint in &LINTS {
        let Lint { number, name, title, why, .. } = lint;
        let never = if lint.can_happen() { "" } else { " No option of this version can cause it." };
        text.push_str(&format!("{number} {name}: {title}\n    {why}{never}\n"));
    }
    text
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
