//! Finds and reads the settings file that a command is about.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use forebay_config::{Finding, Parsed, Surroundings};
use glob::{MatchOptions, Pattern};

use super::fingerprint::fingerprint;
use crate::admin::reload::{Complaint, Written};

/// The file that is read if none is named.
const DEFAULT_FILE: &str = "forebay.toml";

/// The file `named` on the command line, or by `FOREBAY_CONFIG`, or else `forebay.toml`.
pub(super) fn path(named: Option<&Path>) -> PathBuf {
    let by_environment = || variable("FOREBAY_CONFIG").map(PathBuf::from);
    named.map(Path::to_owned).or_else(by_environment).unwrap_or_else(|| DEFAULT_FILE.into())
}

/// How many findings go to the log, each time that the settings are read.
const MOST_LOGGED: usize = 50;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Reads the settings file at `path`, and those that it includes. What they say is looked into later;
/// what is dangerous in it goes to the log.
///
/// # Errors
///
/// Why it cannot be read, and `remedy`.
pub(super) fn read(path: &Path, remedy: &str) -> Result<Written, Complaint> {
    Ok(written(open(path, remedy)?))
}

/// The same for a file that was read before.
///
/// # Errors
///
/// Why it cannot be read.
pub(super) fn read_again(path: &Path) -> Result<Written, Complaint> {
    let text = kept_text(path).map_err(|error| cannot_read(path, &error))?;
    Ok(written(with_included(path, text)))
}

/// Whether the file at `path` can be read again: a pipe cannot.
pub(super) fn is_kept(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

fn written(files: Files) -> Written {
    let hash = files.hash();
    let check = move || {
        let parsed = files.parse()?;
        for line in warnings(&parsed.findings) {
            log::warn!("{line}");
        }
        Ok(parsed.settings)
    };
    Written { hash, check: Box::new(check) }
}

/// What the log says of `findings`: the first of them, and how many more there are.
fn warnings(findings: &[Finding]) -> Vec<String> {
    let mut lines: Vec<_> = findings.iter().take(MOST_LOGGED).map(Finding::to_string).collect();
    let untold = findings.len().saturating_sub(MOST_LOGGED);
    if untold > 0 {
        lines.push(format!("{untold} more, which `forebay check` tells"));
    }
    lines
}

/// A settings file and those that it includes, as they are at one moment.
pub(super) struct Files {
    name: String,
    folder: PathBuf,
    text: String,
    around: Around,
}

/// Reads the settings file at `path`, and those that it includes.
///
/// # Errors
///
/// Why it cannot be read, and `remedy`.
pub(super) fn open(path: &Path, remedy: &str) -> Result<Files, Complaint> {
    let text = text(path).map_err(|error| format!("{}; {remedy}", cannot_read(path, &error)))?;
    Ok(with_included(path, text))
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

/// The file at `path`, which has this `text`, and those that it includes.
fn with_included(path: &Path, text: String) -> Files {
    let name = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut around = Around::default();
    for path in forebay_config::included(&name, &text, &folder, &around) {
        let text = around.text(&path);
        around.texts.insert(path, text);
    }
    Files { name, folder, text, around }
}

/// The text of the file at `path`, which may be a pipe.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if read as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 16 MiB"));
    }
    Ok(text)
}

/// The same for a file that stays where it is: opening a pipe might wait for ever.
fn kept_text(path: &Path) -> io::Result<String> {
    let metadata = path.metadata()?;
    if metadata.is_file() || metadata.is_dir() {
        return text(path);
    }
    Err(io::Error::other("it is no regular file"))
}

impl Files {
    /// Makes settings of them.
    ///
    /// # Errors
    ///
    /// Every fault in them.
    pub(super) fn parse(&self) -> Result<Parsed, Complaint> {
        Ok(forebay_config::parse_with(&self.name, &self.text, &self.folder, &self.around)?)
    }

    /// A hash of all that they are made of.
    fn hash(&self) -> String {
        let mut texts = vec![self.text.clone()];
        for (path, text) in &self.around.texts {
            texts.push(path.display().to_string());
            texts.push(text.clone().unwrap_or_else(|error| error));
        }
        fingerprint(texts.iter().map(String::as_str), &variable)
    }
}

/// What is around a settings file: the environment of this process, and the disk.
#[derive(Default)]
struct Around {
    /// The files that were read already, or why they could not be.
    texts: BTreeMap<PathBuf, Result<String, String>>,
}

/// How names of files are matched: those that begin with a dot are for the tools that wrote them.
const NAMES: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

impl Surroundings for Around {
    fn variable(&self, name: &str) -> Option<String> {
        variable(name)
    }

    fn files(&self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let pattern = Pattern::new(pattern).map_err(|error| error.msg.to_owned())?;
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = match fs::read_dir(here) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            let path = folder.join(&name);
            if pattern.matches_with(&name.to_string_lossy(), NAMES) && !path.is_dir() {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    fn text(&self, path: &Path) -> Result<String, String> {
        let read = || kept_text(path).map_err(|error| error.to_string());
        self.texts.get(path).cloned().unwrap_or_else(read)
    }
}

/// A variable of the environment. One that is not Unicode is as good as unset: no settings can
/// hold it.
#[expect(clippy::disallowed_methods, reason = "the error says only that it is not there")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: io::Result<String>, expected: &str) {
        assert_eq!(read.unwrap_err().to_string(), expected);
    }

    #[test]
    fn reads_no_file_without_end() {
        check(text(Path::new("/dev/zero")), "it is longer than 16 MiB");
    }

    #[test]
    fn waits_for_nobody_to_write_what_is_read_again() {
        check(kept_text(Path::new("/dev/zero")), "it is no regular file");
        assert!(!is_kept(Path::new("/dev/zero")));
        let read = Around::default().text(Path::new("/dev/zero"));
        assert_eq!(read.unwrap_err(), "it is no regular file");
    }

    #[test]
    fn floods_no_log_with_what_is_dangerous() {
        let route = |number| {
            let name = format!("[[routes]]\nname = 'r{number}'\nmatch = {{ path = '**/x' }}\n");
            format!("{name}origin = 'one'\npolicy = 'session'\n")
        };
        let text = |routes: usize| {
            let routes: String = (0..routes).map(route).collect();
            format!(
                "version = 1\nlisteners.web.address = '127.0.0.1:0'\n\
                 origins.one.servers = ['http://127.0.0.1:1']\n{routes}"
            )
        };
        let warnings = |routes| {
            warnings(&with_included(Path::new(""), text(routes)).parse().unwrap().findings)
        };
        // Each is loose, and shadowed but for the first.
        assert_eq!(warnings(2).len(), 3);
        let many = warnings(50);
        assert_eq!(many.len(), 51);
        assert_eq!(many.last().unwrap(), "49 more, which `forebay check` tells");
    }

    #[test]
    fn says_nothing_of_the_command_line_where_a_file_was_read_before() {
        let refused = read_again(Path::new("/nowhere.toml")).err().unwrap().to_string();
        assert_eq!(refused, "cannot read /nowhere.toml: No such file or directory (os error 2)");
    }
}
