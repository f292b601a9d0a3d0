//! Finds and reads the settings file that a command is about.

use std::path::{Path, PathBuf};

use super::fingerprint::fingerprint;
use crate::admin::reload::{Complaint, Written};

/// The file that is read if none is named.
const DEFAULT_FILE: &str = "forebay.toml";

/// The file `named` on the command line, or by `FOREBAY_CONFIG`, or else `forebay.toml`.
pub(super) fn path(named: Option<&Path>) -> PathBuf {
    let by_environment = || variable("FOREBAY_CONFIG").map(PathBuf::from);
    named.map(Path::to_owned).or_else(by_environment).unwrap_or_else(|| DEFAULT_FILE.into())
}

/// Reads the settings file at `path`. What it says is looked into later.
///
/// # Errors
///
/// Why it cannot be read, and `remedy`.
pub(super) fn read(path: &Path, remedy: &str) -> Result<Written, Complaint> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}; {remedy}", path.display()))?;
    let path = path.to_owned();
    Ok(Written {
        hash: fingerprint([text.as_str()], &variable),
        check: Box::new(move || {
            let folder = path.parent().unwrap_or(Path::new(""));
            Ok(forebay_config::parse(&path.display().to_string(), &text, folder, &variable)?)
        }),
    })
}

/// A variable of the environment. One that is not Unicode is as good as unset: no settings can
/// hold it.
#[expect(clippy::disallowed_methods, reason = "the error says only that it is not there")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
