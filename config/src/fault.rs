//! Says what is wrong with a settings file, and where.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A place in a settings file, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One thing that is wrong, with what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name of the file, as it was passed in.
    pub file: Arc<str>,
    /// Where in the file, unless the value came from the command line.
    pub place: Option<Place>,
    /// The option, such as `origins.api.timeouts.connect`; empty if the file as a whole is meant.
    pub path: Box<str>,
    /// What had to be there.
    pub expected: Box<str>,
    /// What is there instead.
    pub found: Box<str>,
    /// The right name that is nearest to a wrong one.
    pub nearest: Option<Box<str>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean \"{nearest}\"?")?;
        }
        Ok(())
    }
}

impl Error for Fault {}

/// The most faults that are told. Where there are more, it is another kind of file.
const MOST_TOLD: usize = 1_000;

/// Every fault of a file and of those that it includes, file by file, in the order of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    faults: Vec<Fault>,
    /// How many more there are than are told.
    untold: usize,
    files: Vec<PathBuf>,
}

impl Faults {
    /// Orders `faults` by their place.
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self::of_files(faults, &[], Vec::new())
    }

    /// Orders `faults` by their file, as in `names`, and by their place; `files` were included.
    pub(crate) fn of_files(
        mut faults: Vec<Fault>,
        names: &[Arc<str>],
        files: Vec<PathBuf>,
    ) -> Self {
        let rank = |file: &str| names.iter().position(|name| **name == *file);
        faults.sort_by_cached_key(|fault| (rank(&fault.file), fault.place));
        let untold = faults.len().saturating_sub(MOST_TOLD);
        faults.truncate(MOST_TOLD);
        Self { faults, untold, files }
    }

    /// The files that were included: a change of one of them may mend it.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The faults, from the first line to the last.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }

    /// The fault that stands first in the file.
    pub(crate) fn into_first(self) -> Option<Fault> {
        self.faults.into_iter().next()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Prints one paragraph for each fault.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{fault}")?;
        }
        match self.untold {
            0 => Ok(()),
            1 => write!(f, "\n\n1 more fault"),
            more => write!(f, "\n\n{more} more faults"),
        }
    }
}

impl Error for Faults {}

/// The name of `known` that a person most probably meant by `name`.
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<Box<str>> {
    // A third of the letters may be wrong; more would be a guess.
    let limit = (name.chars().count() / 3).max(1);
    // Names that differ in case alone are as near as can be.
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&name, &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.into())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[track_caller]
    fn check(name: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(name, known.iter().copied()).as_deref(), expected);
    }

    #[test]
    fn finds_the_name_that_was_meant() {
        check("tll", &["strategy", "ttl", "ttl_mode"], Some("ttl"));
        check("timeout", &["servers", "timeouts"], Some("timeouts"));
        check("API", &["apt", "api"], Some("api"));
        check("TLL", &["strategy", "ttl"], Some("ttl"));
    }

    #[test]
    fn does_not_guess_among_names_that_are_not_alike() {
        check("pool", &["servers", "host", "idle"], None);
        check("x", &[], None);
    }
}
