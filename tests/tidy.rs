//! Holds the shape of the project: which part may name which, how files open, what no file says.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the project.
struct File {
    /// Its path from the root of the project, with `/` between its parts.
    path: String,
    text: String,
}

/// A part of the library and what it may name.
struct Layer {
    name: &'static str,
    modules: &'static [&'static str],
    /// The modules that it may name beside its own.
    names: &'static [&'static str],
    /// Whether its modules may name each other.
    joined: bool,
}

const LAYERS: [Layer; 6] = [
    Layer { name: "words", modules: WORDS, names: &[], joined: true },
    Layer { name: "policy", modules: &["policy"], names: WORDS, joined: true },
    Layer { name: "machinery", modules: MACHINERY, names: WORDS, joined: false },
    Layer { name: "demo", modules: &["demo"], names: WORDS, joined: true },
    Layer { name: "edge", modules: &["edge"], names: BELOW_EDGE, joined: true },
    Layer { name: "explain", modules: &["explain"], names: BELOW_EXPLAIN, joined: true },
];

const WORDS: &[&str] = &["time", "field", "key", "stored", "event", "tally"];
const MACHINERY: &[&str] = &["store", "collapse", "origin", "observe", "transform"];
const BELOW_EDGE: &[&str] = &[
    "time",
    "field",
    "key",
    "stored",
    "event",
    "policy",
    "store",
    "collapse",
    "origin",
    "observe",
    "transform",
];
const BELOW_EXPLAIN: &[&str] =
    &["time", "field", "key", "stored", "event", "policy", "store", "edge"];
/// The modules that no layer above binds: they may name all, and nothing below may name them.
const WIRING: &[&str] = &["admin", "cli", "server"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files of the project that are text.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project can be read") {
            let path = entry.expect("an entry of a folder can be read").path();
            let relative = path.strip_prefix(root()).expect("it lies below the root");
            let relative = relative.to_string_lossy().replace('\\', "/");
            if is_foreign(&relative) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push(File { path: relative, text });
            }
        }
    }
    assert!(files.len() > 50, "the files of the project are not where they were");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// Whether a path is none of the project's, though it lies within: what tools put there.
fn is_foreign(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folders = [".git", "target", "node_modules", ".venv", "artifacts", "corpus", "coverage"];
    folders.contains(&name) || name.ends_with(".profraw") || name.ends_with(".whl")
}

fn rust_files() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| file.path.ends_with(".rs"))
}

impl File {
    /// The module of the library that it belongs to; `None` for `lib.rs`, `main.rs` and what lies
    /// elsewhere.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("proxy/src/")?;
        let name = inside.split('/').next()?.trim_end_matches(".rs");
        (name != "lib" && name != "main").then_some(name)
    }

    /// Its lines without comments, numbered from one; its unit tests are left out.
    fn code(&self) -> Vec<(usize, &str)> {
        self.text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .map(|line| line.split("//").next().unwrap_or(line))
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .collect()
    }

    /// The modules of the library that its code names, with the lines where it does.
    fn named(&self) -> Vec<(usize, String)> {
        self.code()
            .iter()
            .flat_map(|(number, line)| {
                let paths = line.split("crate::").skip(1);
                paths.flat_map(roots).map(|name| (*number, name)).collect::<Vec<_>>()
            })
            .collect()
    }
}

/// The first names of what stands behind `crate::`: one, or those of a group in braces.
fn roots(path: &str) -> Vec<String> {
    let first = |text: &str| {
        let text = text.trim();
        let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        text.split_at(end.unwrap_or(text.len())).0.to_owned()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![first(path)] };
    let mut depth = 0_i32;
    let outer: String = group
        .chars()
        .filter(|letter| {
            depth += i32::from(*letter == '{') - i32::from(*letter == '}');
            depth == 0
        })
        .collect();
    outer.split(',').map(first).filter(|name| !name.is_empty()).collect()
}

/// Whether `word` stands in `line` as a word of its own.
fn says(line: &str, word: &str) -> bool {
    let is_inner = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line.split_at(at).0, line.split_at(at + word.len()).1);
        !before.ends_with(is_inner) && !after.starts_with(is_inner)
    })
}

/// Fails with all `faults` and what to do about them.
#[track_caller]
fn none(faults: &[String], remedy: &str) {
    assert!(faults.is_empty(), "{remedy}:\n  {}", faults.join("\n  "));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let faults: Vec<String> = rust_files()
        .filter(|file| {
            let first = file.text.lines().next().unwrap_or("");
            !first.starts_with("//! ") || first.len() < 12
        })
        .map(|file| file.path)
        .collect();
    none(&faults, "begin the first line with `//!` and say in a sentence what the file is for");
}

#[test]
fn every_module_belongs_to_a_layer() {
    let known: BTreeSet<&str> =
        LAYERS.iter().flat_map(|layer| layer.modules).chain(WIRING).copied().collect();
    let faults: BTreeSet<String> = rust_files()
        .filter_map(|file| file.module().map(str::to_owned))
        .filter(|module| !known.contains(module.as_str()))
        .collect();
    let faults: Vec<String> = faults.into_iter().collect();
    none(&faults, "put these modules into a layer at the top of tests/tidy.rs");
}

#[test]
fn a_layer_names_only_those_below() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let Some(module) = file.module() else { continue };
        let Some(layer) = LAYERS.iter().find(|layer| layer.modules.contains(&module)) else {
            continue;
        };
        for (line, name) in file.named() {
            let own = name == module || (layer.joined && layer.modules.contains(&name.as_str()));
            if !own && !layer.names.contains(&name.as_str()) {
                let (path, kind) = (&file.path, layer.name);
                faults.push(format!("{path}:{line}: {module} ({kind}) names {name}"));
            }
        }
    }
    none(&faults, "pass a plain value in, or move what is named into a layer below");
}

#[test]
fn only_the_rim_names_pingora() {
    let at_the_rim = ["edge", "origin", "server"];
    let faults: Vec<String> = rust_files()
        .filter(|file| file.path.starts_with("proxy/src/"))
        .filter(|file| !file.module().is_some_and(|module| at_the_rim.contains(&module)))
        .flat_map(|file| naming(&file, &["pingora"]))
        .collect();
    none(&faults, "name pingora only in edge, origin and server, and hand on plain types");
}

#[test]
fn only_the_proxy_names_pingora_tokio_or_http() {
    let foreign = ["pingora", "tokio", "hyper", "reqwest"];
    let faults: Vec<String> = rust_files()
        .filter(|file| ["config/src/", "image-opt/src/"].iter().any(|at| file.path.starts_with(at)))
        .flat_map(|file| naming(&file, &foreign))
        .collect();
    none(&faults, "keep config and image-opt free of the network");
}

#[test]
fn decisions_are_pure() {
    let impure = [
        "async",
        "await",
        "tokio",
        "Instant",
        "SystemTime",
        "now()",
        "Mutex",
        "RwLock",
        "RefCell",
        "OnceLock",
        "atomic",
        "thread",
        "log",
        "println",
        "eprintln",
        "moka",
        "pingora",
        "Session",
        "std::fs",
        "std::env",
        "TcpStream",
        "LazyLock",
        "thread_local",
    ];
    let faults: Vec<String> = rust_files()
        .filter(|file| file.module() == Some("policy"))
        .flat_map(|file| naming(&file, &impure))
        .collect();
    none(&faults, "pass facts and `now` into the decision; wait, lock, log and measure at the rim");
}

#[test]
fn decisions_use_no_other_crates_than_words_and_settings() {
    let allowed = ["bytes", "crate", "forebay_config", "http", "std", "super"];
    let faults: Vec<String> = rust_files()
        .filter(|file| file.module() == Some("policy"))
        .flat_map(|file| {
            let used = |line: &str| {
                let path = line.trim().trim_start_matches("pub ").strip_prefix("use ")?;
                let name = roots(path).pop()?;
                (!allowed.contains(&name.as_str())).then_some(name)
            };
            let lines = file.code().into_iter();
            let found = lines.filter_map(|(line, text)| Some((line, used(text)?)));
            found.map(|(line, name)| format!("{}:{line}: {name}", file.path)).collect::<Vec<_>>()
        })
        .collect();
    none(&faults, "decide with plain types out of field, key, stored, event and forebay_config");
}

/// The lines of the code of `file` that say one of `words`.
fn naming(file: &File, words: &[&str]) -> Vec<String> {
    let lines = file.code().into_iter();
    lines
        .filter_map(|(line, text)| {
            let word = words.iter().find(|word| says(text, word))?;
            Some(format!("{}:{line}: {word}", file.path))
        })
        .collect()
}

#[test]
fn no_file_tells_where_it_was_made() {
    // Written apart, so that this file says none of them either.
    let places: Vec<String> = ["tmp", "work", "root", "home", "Users", "workspace", "mnt"]
        .iter()
        .map(|folder| format!("/{folder}/"))
        .collect();
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| !file.path.starts_with("tests/")) {
        let in_tests = file.text.find("#[cfg(test)]").unwrap_or(file.text.len());
        let code = file.text.split_at(in_tests).0;
        for (index, line) in code.lines().enumerate() {
            // A path of a URL, of a route or of a container is none of this machine.
            let begins = |place: &String| {
                line.match_indices(place.as_str()).any(|(at, _)| {
                    let before = line.split_at(at).0;
                    !before.ends_with(|letter: char| {
                        letter.is_alphanumeric() || "./*})".contains(letter)
                    })
                })
            };
            if let Some(place) = places.iter().find(|place| begins(place)) {
                faults.push(format!("{}:{}: {place}", file.path, index + 1));
            }
        }
    }
    none(&faults, "write a path that every machine has, or one from the folder of the file");
}

#[test]
fn crates_come_from_the_public_registry() {
    let public = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    let mut faults = Vec::new();
    for file in files() {
        let lines = file.text.lines().enumerate();
        if file.path.ends_with("Cargo.lock") {
            let sources =
                lines.filter_map(|(at, line)| Some((at, line.strip_prefix("source = ")?)));
            let other = sources.filter(|(_, source)| *source != public);
            faults.extend(other.map(|(at, source)| format!("{}:{}: {source}", file.path, at + 1)));
        } else if file.path.contains(".cargo/") || file.path.ends_with("package-lock.json") {
            let mirrors = lines.filter(|(_, line)| {
                line.contains("replace-with")
                    || (line.contains("\"resolved\"") && !line.contains("registry.npmjs.org"))
            });
            faults.extend(mirrors.map(|(at, line)| format!("{}:{}: {line}", file.path, at + 1)));
        }
    }
    none(&faults, "make the lock file again with the public registry, and commit no mirror");
}

#[test]
fn the_name_of_a_test_is_a_sentence() {
    // Written apart, so that this file has no such function either.
    let prefix = ["fn ", "test_"].concat();
    let mut faults = Vec::new();
    for file in rust_files() {
        for (index, line) in file.text.lines().enumerate() {
            if line.contains(&prefix) {
                faults.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    none(
        &faults,
        "name the test by what it shows, without `test_`: fn counts_the_age_it_came_with",
    );
}

#[test]
fn reads_what_a_line_names() {
    let file =
        |text: &str| File { path: "proxy/src/policy/x.rs".to_owned(), text: text.to_owned() };
    let named = |text: &str| -> Vec<String> {
        file(text).named().into_iter().map(|(_, name)| name).collect()
    };
    assert_eq!(named("use crate::store::memory::Epoch;"), ["store"]);
    assert_eq!(named("use crate::{time, field::{age, date}, key};"), ["time", "field", "key"]);
    assert_eq!(named("let x = crate::time::now(crate::key::Key);"), ["time", "key"]);
    assert_eq!(named("// crate::store"), [""; 0]);
    assert_eq!(named("#[cfg(test)]\nuse crate::store;"), [""; 0]);
    assert!(says("std::time::Instant;", "Instant") && !says("Instantly", "Instant"));
    assert!(says("log::debug!", "log") && !says("catalogue", "log") && !says("log_it", "log"));
    assert_eq!(naming(&file("a\nlet m = Mutex::new();"), &["Mutex"]).len(), 1);
    assert_eq!(file("").module(), Some("policy"));
}
