//! Walks the tree of a TOML file, keeps the place of every value, and collects every fault.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::declare::{Effect, Field, Need};
use crate::fault::{Fault, Place, nearest};
use crate::host::HostPattern;
use crate::pattern::PathPattern;
use crate::settings::{AtRestart, OriginServer, Secret};
use crate::shape::Shape;
use crate::text::{self, UnfilledReason, Unread};

/// A node of the tree.
pub(crate) type Node<'t> = Spanned<DeValue<'t>>;

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    /// The name of the file.
    pub(crate) file: Arc<str>,
    pub(crate) place: Place,
    /// The path of the option.
    pub(crate) path: String,
}

/// What an option may be set to.
pub(crate) trait Value: Sized {
    /// What a person is told to write, such as `a duration such as "30s"`.
    fn expected() -> String;

    /// Reads `node`; nothing means that a fault was reported.
    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self>;

    /// What may be written.
    fn shape() -> Shape;
}

/// What is written as a TOML string.
pub(crate) trait Text: Sized {
    /// What a person is told to write, such as `a duration such as "30s"`.
    const EXPECTED: &'static str;

    /// A regular expression that every such string matches, and few others.
    const PATTERN: &'static str;

    /// Reads `text`, in which the environment is filled in.
    fn read(text: &str) -> Result<Self, Unread>;
}

/// What can be printed as it would be written. A secret is not, so that no message has it.
pub(crate) trait Printed {
    /// The value in TOML.
    fn printed(&self) -> String;

    /// What of the value is not printed.
    fn hidden(&self) -> Option<Secret> {
        None
    }
}

/// The state of reading one file.
pub(crate) struct Decoder<'a> {
    file: Arc<str>,
    text: &'a str,
    /// Where each line of the text begins.
    lines: Vec<usize>,
    folder: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    path: Vec<String>,
    /// The place of everything that is read, while that is a default.
    place_of_default: Option<Place>,
    /// Path and value of each option that takes effect at a restart.
    at_restart: BTreeMap<String, AtRestart>,
    faults: Vec<Fault>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(
        file: &str,
        text: &'a str,
        folder: &'a Path,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self {
            file: file.into(),
            text,
            lines: [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
            folder,
            env,
            path: Vec::new(),
            place_of_default: None,
            at_restart: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// Reads the TOML of the file; nothing means that faults were reported.
    pub(crate) fn tree(&mut self) -> Option<Node<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let place = self.place(error.span().map_or(0, |span| span.start));
            let file = Arc::clone(&self.file);
            self.report(Written { value: (), file, place, path: String::new() }, "TOML", {
                format!("a syntax error ({})", error.message())
            });
        }
        let span = table.span();
        errors.is_empty().then(|| Spanned::new(span, DeValue::Table(table.into_inner())))
    }

    /// Does `step` in the file `name`, which has that `text` and the same surroundings.
    pub(crate) fn within_file<T>(
        &mut self,
        name: &str,
        text: &str,
        step: impl FnOnce(&mut Decoder<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut decoder = Decoder::new(name, text, self.folder, self.env);
        let result = step(&mut decoder);
        self.faults.extend(decoder.faults);
        self.at_restart.extend(decoder.at_restart);
        result
    }

    /// Whether it reads the file at `path`.
    pub(crate) fn is_about(&self, path: &Path) -> bool {
        Path::new(&*self.file) == path
    }

    /// The faults so far.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// Notes `value` if it is of those that a reload cannot change.
    pub(crate) fn takes_effect<T: Printed>(&mut self, at: Effect, value: Option<&Written<T>>) {
        match (at, value) {
            (Effect::Restart, Some(written)) => {
                let Written { value, path, .. } = written;
                let value = AtRestart { shown: value.printed(), hidden: value.hidden() };
                self.at_restart.insert(path.clone(), value);
            }
            (Effect::Restart, None) | (Effect::Reload, _) => {}
        }
    }

    /// The path and the value of each option that takes effect at a restart.
    pub(crate) fn at_restart(&self) -> &BTreeMap<String, AtRestart> {
        &self.at_restart
    }

    /// Whether there are faults so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether a fault of the option at `path` was reported.
    pub(crate) fn has_reported(&self, path: &str) -> bool {
        self.faults.iter().any(|fault| &*fault.path == path)
    }

    /// Whether a fault of the option at `path`, or of what is in it, was reported.
    pub(crate) fn has_reported_below(&self, path: &str) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        self.faults.iter().any(|fault| fault.path.strip_prefix(path).is_some_and(is_below))
    }

    /// The variable `name` of the environment; an empty one counts as left out.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// Reports a fault of the value `written`.
    pub(crate) fn report<T>(
        &mut self,
        written: impl std::borrow::Borrow<Written<T>>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let Written { file, place, path, .. } = written.borrow();
        self.faults.push(Fault {
            file: Arc::clone(file),
            place: Some(*place),
            path: path.as_str().into(),
            expected: expected.into().into(),
            found: found.into().into(),
            nearest: None,
        });
    }

    /// Reports a name that is none of `known`.
    pub(crate) fn report_name<'n>(
        &mut self,
        written: &Written<impl AsRef<str>>,
        kind: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) {
        let list = listed(known.clone());
        self.report(written, format!("{kind} {list}"), shown(written.value.as_ref()));
        if let Some(fault) = self.faults.last_mut() {
            fault.nearest = nearest(written.value.as_ref(), known);
        }
    }

    /// `value` with the place of `node` and the present path.
    pub(crate) fn written<T, N>(&self, node: &Spanned<N>, value: T) -> Written<T> {
        let place = self.place(node.span().start);
        Written { value, file: Arc::clone(&self.file), place, path: self.path.concat() }
    }

    /// Reports that `node` is not what was expected.
    pub(crate) fn refuse(&mut self, node: &Node<'_>, expected: impl Into<String>) {
        let found = described(node.get_ref());
        self.report(self.written(node, ()), expected, found);
    }

    /// Does `step` one key deeper.
    pub(crate) fn within<T>(&mut self, key: &str, step: impl FnOnce(&mut Self) -> T) -> T {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let key = if !key.is_empty() && key.chars().all(bare) { key.into() } else { shown(key) };
        self.deeper(if self.path.is_empty() { key } else { format!(".{key}") }, step)
    }

    /// Does `step` in the element `index` of a list.
    pub(crate) fn within_element<T>(
        &mut self,
        index: usize,
        step: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.deeper(format!("[{index}]"), step)
    }

    fn deeper<T>(&mut self, step_name: String, step: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step_name);
        let result = step(self);
        self.path.pop();
        result
    }

    /// The table that `node` has to be.
    pub(crate) fn table<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        expected: &str,
    ) -> Option<&'n DeTable<'t>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.refuse(node, expected);
        }
        table
    }

    /// Reports every key of `table` that no option has.
    pub(crate) fn refuse_unknown(&mut self, table: &DeTable<'_>, fields: &'static [Field]) {
        let known = fields.iter().map(|field| field.name);
        for key in table.keys().filter(|key| !fields.iter().any(|f| f.name == key.get_ref())) {
            let name = key.get_ref().to_string();
            let written = self.within(&name, |decoder| decoder.written(key, name.clone()));
            self.report_name(&written, "one of the options", known.clone());
        }
    }

    /// The option `name` of `table`, which is `node`; nothing if it is absent or has a fault.
    pub(crate) fn field<T: Value>(
        &mut self,
        node: &Node<'_>,
        table: &DeTable<'_>,
        (name, need): (&str, Need),
    ) -> Option<Written<T>> {
        self.within(name, |decoder| {
            if let Some((_, found)) = table.iter().find(|(key, _)| key.get_ref() == name) {
                let value = T::decode(decoder, found)?;
                return Some(decoder.written(found, value));
            }
            match need {
                Need::Optional | Need::InAnyFile => None,
                Need::Required => {
                    decoder.report(decoder.written(node, ()), T::expected(), "nothing");
                    None
                }
                Need::Default(text) => decoder.default(node, text),
            }
        })
    }

    /// The default `text` of an option that the table `node` lacks.
    fn default<T: Value>(&mut self, node: &Node<'_>, text: &str) -> Option<Written<T>> {
        let default = DeValue::parse(text).expect("each default is tested");
        let outer = self.place_of_default;
        self.place_of_default = Some(self.place(node.span().start));
        let value = T::decode(self, &default).map(|value| self.written(node, value));
        self.place_of_default = outer;
        value
    }

    /// The string that `node` has to be, with the environment filled in.
    pub(crate) fn string(&mut self, node: &Node<'_>, expected: &str) -> Option<String> {
        let Some(text) = node.get_ref().as_str() else {
            self.refuse(node, expected);
            return None;
        };
        let (expected, found) = match text::fill_in(text, self.env) {
            Ok(filled) => return Some(filled),
            Err(UnfilledReason::Open) => ("\"}\" behind \"${\"".into(), "none".into()),
            Err(UnfilledReason::Name(name)) => {
                ("the name of a variable in \"${}\"".into(), shown(&name))
            }
            Err(UnfilledReason::Unset(name)) => {
                (format!("the variable {name} in the environment"), "it unset".into())
            }
        };
        self.report(self.written(node, ()), expected, found);
        None
    }

    /// Reads the string that `node` has to be.
    pub(crate) fn text<T: Text>(&mut self, node: &Node<'_>) -> Option<T> {
        let filled = self.string(node, T::EXPECTED)?;
        match T::read(&filled) {
            Ok(value) => Some(value),
            Err(unread) => {
                let raw = node.get_ref().as_str().unwrap_or_default();
                // What the environment holds may be a secret: it is not repeated.
                let found = if raw == filled {
                    format!("{} ({unread})", shown(&without_user(raw)))
                } else {
                    format!("{}, which is not one when it is filled in", shown(raw))
                };
                self.report(self.written(node, ()), T::EXPECTED, found);
                None
            }
        }
    }

    /// `path` seen from the folder of the file.
    pub(crate) fn in_folder(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn place(&self, offset: usize) -> Place {
        if let Some(place) = self.place_of_default {
            return place;
        }
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        Place { line, column: before.chars().count() + 1 }
    }
}

/// Reads one value that stands in no file.
///
/// # Errors
///
/// Every fault in it.
pub(crate) fn decode_alone<T: Value>(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<T, Vec<Fault>> {
    let line = format!("value = {text}");
    let mut decoder = Decoder::new("", &line, Path::new(""), env);
    let value = decoder.tree().and_then(|tree| {
        let (_, node) = tree.get_ref().as_table()?.iter().next()?;
        T::decode(&mut decoder, node)
    });
    match value {
        Some(value) if decoder.is_clean() => Ok(value),
        Some(_) | None => Err(decoder.into_faults()),
    }
}

/// `text` in quotes, escaped, and cut if it is long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{:?}...", text.split_at(cut).0),
        None => format!("{text:?}"),
    }
}

/// `text` without what a URL says before its host, which may be a password.
pub(crate) fn without_user(text: &str) -> Cow<'_, str> {
    let split = text.split_once("://").and_then(|(scheme, rest)| {
        let (_, host) = rest.rsplit_once('@')?;
        Some(format!("{scheme}://...@{host}"))
    });
    split.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// `names` in quotes with commas between; `(there is none)` without any.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let list: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    if list.is_empty() { "(there is none)".to_owned() } else { list.join(", ") }
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shown(text),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

impl<T: Text> Value for T {
    fn expected() -> String {
        T::EXPECTED.to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        decoder.text(node)
    }

    fn shape() -> Shape {
        Shape::Text(Some(T::PATTERN))
    }
}

impl Text for Duration {
    const EXPECTED: &'static str = "a duration such as \"30s\"";
    const PATTERN: &'static str = text::DURATION_PATTERN;

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_duration(text)
    }
}

impl Text for SocketAddr {
    const EXPECTED: &'static str = "an IP address and a port such as \"127.0.0.1:8080\"";
    const PATTERN: &'static str = r"^\S+:[0-9]{1,5}$";

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_address(text)
    }
}

impl Printed for Duration {
    fn printed(&self) -> String {
        format!("\"{}\"", text::write_duration(*self))
    }
}

impl Printed for SocketAddr {
    fn printed(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Printed for PathBuf {
    fn printed(&self) -> String {
        shown(&self.to_string_lossy())
    }
}

impl Text for OriginServer {
    const EXPECTED: &'static str = "a URL without path such as \"http://127.0.0.1:8000\"";
    const PATTERN: &'static str = r"^https?://[^/?#@\s]+/?$";

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_server(text)
    }
}

impl Text for PathPattern {
    const EXPECTED: &'static str = "a path pattern such as \"/images/**\"";
    const PATTERN: &'static str = r"^(\*\*)?/";

    fn read(text: &str) -> Result<Self, Unread> {
        Self::read(text)
    }
}

impl Text for HostPattern {
    const EXPECTED: &'static str = "a host such as \"a.example\" or \"*.example\"";
    const PATTERN: &'static str = r"^(\*\.)?[^*/?#@\s]+$";

    fn read(text: &str) -> Result<Self, Unread> {
        Self::read(text)
    }
}

impl Value for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let value = node.get_ref().as_bool();
        if value.is_none() {
            decoder.refuse(node, Self::expected());
        }
        value
    }

    fn shape() -> Shape {
        Shape::Truth
    }
}

impl Value for String {
    fn expected() -> String {
        "a string".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        decoder.string(node, "a string")
    }

    fn shape() -> Shape {
        Shape::Text(None)
    }
}

impl Value for PathBuf {
    fn expected() -> String {
        "the path of a file".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let path = decoder.string(node, &Self::expected())?;
        if path.is_empty() {
            decoder.refuse(node, Self::expected());
            return None;
        }
        Some(decoder.in_folder(&path))
    }

    fn shape() -> Shape {
        Shape::Text(None)
    }
}
