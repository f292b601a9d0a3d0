//! Joins a settings file with the files that it includes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::{Decoder, Value, Written, shown};
use crate::kind::{FilePattern, List, Named};
use crate::options::{Included, MOST_ROUTES, Options};

/// The most files that one file may include.
const MOST_FILES: usize = 1024;

/// The files that a file includes, as it names them.
pub(crate) type Patterns = List<FilePattern, 0, 64>;

/// What is around a settings file: the environment, and the files that it includes.
pub trait Surroundings {
    /// The variable `name` of the environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// The files in `folder` whose names match `pattern`, in which `*`, `?` and `[a-z]` have their
    /// usual meaning; none if there is no such folder.
    ///
    /// # Errors
    ///
    /// Why they cannot be told, in words.
    fn files(&self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String>;

    /// The text of the file at `path`.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, in words.
    fn text(&self, path: &Path) -> Result<String, String>;
}

/// A file without others around it.
pub(crate) struct Alone<'a>(pub(crate) &'a dyn Fn(&str) -> Option<String>);

impl Surroundings for Alone<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    fn files(&self, _: &Path, _: &str) -> Result<Vec<PathBuf>, String> {
        Err("there are no files around this one".to_owned())
    }

    fn text(&self, _: &Path) -> Result<String, String> {
        Err("there are no files around this one".to_owned())
    }
}

/// What was included.
pub(crate) struct Joined {
    /// The paths of the files.
    pub(crate) paths: Vec<PathBuf>,
    /// Whether something in them is not known, so that nobody can tell what is missing.
    pub(crate) has_gaps: bool,
}

/// Reads the files that `options`, the main ones, include, and puts what they have into them.
///
/// The routes of included files go before the others.
pub(crate) fn join(
    decoder: &mut Decoder<'_>,
    options: &mut Options,
    around: &dyn Surroundings,
) -> Joined {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut has_gaps = false;
    let mut routes = Vec::new();
    let patterns: Vec<_> = options.include.iter().flat_map(|list| &list.value.0).collect();
    for (path, pattern) in all_matching(decoder, &patterns, around) {
        let included = read(decoder, &path, pattern, around);
        paths.push(path);
        let Some(included) = included else {
            has_gaps = true;
            continue;
        };
        add(&mut options.listeners, included.listeners);
        add(&mut options.origins, included.origins);
        add(&mut options.policies, included.policies);
        routes.extend(included.routes);
        // They have no more to say than their faults, which are told.
        let Included { version, admin, cache, server, include, .. } = included;
        drop((version, admin, cache, server, include));
    }
    let mut all = routes.into_iter().chain(options.routes.take());
    options.routes = all.next().map(|mut first| {
        first.value.0.extend(all.flat_map(|list| list.value.0));
        first
    });
    has_gaps |= decoder.has_reported_below("include");
    Joined { paths, has_gaps }
}

/// The paths of the files that the file `text` includes, as far as that can be told.
pub(crate) fn included(
    file: &str,
    text: &str,
    folder: &Path,
    around: &dyn Surroundings,
) -> Vec<PathBuf> {
    let env = |name: &str| around.variable(name);
    let mut decoder = Decoder::new(file, text, folder, &env);
    let list = decoder.tree().and_then(|tree| {
        let table = tree.get_ref().as_table()?;
        let (_, node) = table.iter().find(|(key, _)| key.get_ref() == "include")?;
        Patterns::decode(&mut decoder, node)
    });
    let patterns: Vec<_> = list.iter().flat_map(|list| &list.0).collect();
    let found = all_matching(&mut decoder, &patterns, around);
    found.into_iter().map(|(path, _)| path).collect()
}

/// The path of each file that is included, and the pattern that names it first.
fn all_matching<'p>(
    decoder: &mut Decoder<'_>,
    patterns: &[&'p Written<FilePattern>],
    around: &dyn Surroundings,
) -> Vec<(PathBuf, &'p Written<FilePattern>)> {
    let mut found: Vec<(PathBuf, &Written<FilePattern>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for &pattern in patterns {
        for path in matching(decoder, pattern, around) {
            // A pattern may match the main file, which is not below itself.
            if !decoder.is_about(&path) && seen.insert(path.clone()) {
                found.push((path, pattern));
            }
        }
        if found.len() > MOST_FILES {
            decoder.report(pattern, format!("at most {MOST_FILES} files"), found.len().to_string());
            return Vec::new();
        }
    }
    found
}

/// The paths of the files that `pattern` names, in alphabetical order.
fn matching(
    decoder: &mut Decoder<'_>,
    pattern: &Written<FilePattern>,
    around: &dyn Surroundings,
) -> Vec<PathBuf> {
    let FilePattern { folder, name } = &pattern.value;
    let folder = decoder.in_folder(folder);
    if !pattern.value.names_many() {
        return vec![folder.join(name)];
    }
    match around.files(&folder, name) {
        Ok(mut paths) => {
            paths.sort();
            paths
        }
        Err(why) => {
            let found = format!("{} ({why})", shown(&pattern.value.to_string()));
            decoder.report(pattern, "a pattern of files that can be listed", found);
            Vec::new()
        }
    }
}

/// Reads the file at `path`; nothing means that a fault was reported.
fn read(
    decoder: &mut Decoder<'_>,
    path: &Path,
    pattern: &Written<FilePattern>,
    around: &dyn Surroundings,
) -> Option<Included> {
    let text = match around.text(path) {
        Ok(text) => text,
        Err(why) => {
            let found = format!("{} ({why})", shown(&path.display().to_string()));
            decoder.report(pattern, "a file that can be read", found);
            return None;
        }
    };
    decoder.within_file(&path.display().to_string(), &text, |inner| {
        let tree = inner.tree()?;
        Included::decode(inner, &tree)
    })
}

/// Puts the tables of `more` behind those of `named`.
fn add<T, const MIN: usize>(
    named: &mut Option<Written<Named<T, MIN>>>,
    more: Option<Written<Named<T, MIN>>>,
) {
    match (named.as_mut(), more) {
        (Some(named), Some(more)) => named.value.0.extend(more.value.0),
        (None, more) => *named = more,
        (Some(_), None) => {}
    }
}

/// Reports what no file has and one must, and what two files have.
pub(crate) fn check(decoder: &mut Decoder<'_>, options: &Options, top: &Written<()>) {
    let required = [
        ("listeners", options.listeners.is_some()),
        ("origins", options.origins.is_some()),
        ("routes", options.routes.is_some()),
    ];
    for (name, is_there) in required {
        if !is_there && !decoder.has_reported(name) {
            let field = Options::FIELDS.iter().find(|field| field.name == name);
            let expected = field.map_or_else(String::new, |field| field.expected());
            let missing = Written { path: name.to_owned(), ..top.clone() };
            decoder.report(missing, expected, "nothing");
        }
    }
    names_differ(decoder, options.listeners.as_ref());
    names_differ(decoder, options.origins.as_ref());
    names_differ(decoder, options.policies.as_ref());
    let routes = options.routes.as_ref();
    if let Some(routes) = routes.filter(|routes| routes.value.0.len() > MOST_ROUTES) {
        let found = routes.value.0.len().to_string();
        decoder.report(routes, format!("at most {MOST_ROUTES} in all files"), found);
    }
}

/// Reports tables whose name another file has given.
fn names_differ<T, const MIN: usize>(
    decoder: &mut Decoder<'_>,
    named: Option<&Written<Named<T, MIN>>>,
) {
    let mut taken: BTreeMap<&str, String> = BTreeMap::new();
    for (name, table) in named.into_iter().flat_map(|named| &named.value.0) {
        let Some(table) = table else { continue };
        if let Some(other) = taken.get(name.0.as_str()) {
            decoder.report(table, "a name that no other file gives", format!("that of {other}"));
        } else {
            taken.insert(&name.0, at(table));
        }
    }
}

/// Where something is written, such as `forebay.toml:3:1`.
fn at<T>(written: &Written<T>) -> String {
    let Written { file, place, .. } = written;
    format!("{file}:{}:{}", place.line, place.column)
}

/// The names of files, the main one first, in the order in which their faults are told.
pub(crate) fn names(main: &str, paths: &[PathBuf]) -> Vec<Arc<str>> {
    let included = paths.iter().map(|path| path.display().to_string().into());
    [main.into()].into_iter().chain(included).collect()
}
