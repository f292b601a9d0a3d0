//! The kinds of values that options take, beside those of the standard library.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use crate::decode::{Decoder, Node, Printed, Text, Value, Written, shown};
use crate::lint;
use crate::settings::Secret;
use crate::shape::Shape;
use crate::text::{self, Unread};

/// The version of the language, of which there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version;

impl Value for Version {
    fn expected() -> String {
        "the number 1".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        if whole::<u16>(node, 1..=1).is_some() {
            return Some(Self);
        }
        decoder.refuse(node, Self::expected());
        None
    }

    fn shape() -> Shape {
        Shape::Whole(1, 1)
    }
}

/// A number of threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threads(pub(crate) usize);

impl Value for Threads {
    fn expected() -> String {
        "a number from 1 to 1024".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        if let Some(threads) = whole::<u16>(node, 1..=1024) {
            return Some(Self(usize::from(threads)));
        }
        decoder.refuse(node, Self::expected());
        None
    }

    fn shape() -> Shape {
        Shape::Whole(1, 1024)
    }
}

impl Printed for Threads {
    fn printed(&self) -> String {
        self.0.to_string()
    }
}

/// How many variants one key may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variants(pub(crate) usize);

impl Value for Variants {
    fn expected() -> String {
        "a number from 1 to 256".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        if let Some(variants) = whole::<u16>(node, 1..=256) {
            return Some(Self(usize::from(variants)));
        }
        decoder.refuse(node, Self::expected());
        None
    }

    fn shape() -> Shape {
        Shape::Whole(1, 256)
    }
}

/// A number of answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers(pub(crate) u16);

impl Value for Answers {
    fn expected() -> String {
        format!("a number from 0 to {}", u16::MAX)
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let answers = whole(node, 0..=u16::MAX.into()).map(Self);
        if answers.is_none() {
            decoder.refuse(node, Self::expected());
        }
        answers
    }

    fn shape() -> Shape {
        Shape::Whole(0, u16::MAX.into())
    }
}

/// The number of `node`, if it is a whole one within `range`.
pub(crate) fn whole<T: TryFrom<u32>>(node: &Node<'_>, range: RangeInclusive<u32>) -> Option<T> {
    let number = node.get_ref().as_integer()?;
    let Ok(number) = u32::from_str_radix(number.as_str(), number.radix()) else { return None };
    let Ok(fitting) = T::try_from(number) else { return None };
    range.contains(&number).then_some(fitting)
}

/// A size in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes(pub(crate) u64);

impl Text for Bytes {
    const EXPECTED: &'static str = "a size such as \"64MiB\"";
    const PATTERN: &'static str = text::SIZE_PATTERN;

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_size(text).map(Self)
    }
}

impl Printed for Bytes {
    fn printed(&self) -> String {
        format!("\"{}\"", text::write_size(self.0))
    }
}

/// A duration that is not zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait(pub(crate) Duration);

impl Text for Wait {
    const EXPECTED: &'static str = "a duration above zero such as \"30s\"";
    const PATTERN: &'static str = text::DURATION_PATTERN;

    fn read(text: &str) -> Result<Self, Unread> {
        match text::read_duration(text)? {
            Duration::ZERO => Err(Unread::because("it is zero")),
            duration => Ok(Self(duration)),
        }
    }
}

impl Printed for Wait {
    fn printed(&self) -> String {
        self.0.printed()
    }
}

/// The name of something in the file.
#[derive(Debug, Clone)]
pub(crate) struct Name(pub(crate) String);

impl Text for Name {
    const EXPECTED: &'static str = "a name of letters, digits, \"-\", \"_\" and \".\"";
    const PATTERN: &'static str = text::NAME_PATTERN;

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_name(text).map(Self)
    }
}

/// The name of something else in the file.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) name: String,
    /// As written, because what the environment holds may be a secret.
    raw: String,
}

impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        &self.raw
    }
}

impl Value for Reference {
    fn expected() -> String {
        "a name".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let name = decoder.string(node, &Self::expected())?;
        Some(Self { name, raw: node.get_ref().as_str()?.to_owned() })
    }

    fn shape() -> Shape {
        Shape::Text(Some(text::NAME_PATTERN))
    }
}

/// An address, or a block of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network(pub(crate) IpNet);

impl Text for Network {
    const EXPECTED: &'static str = "an IP address or a block such as \"10.0.0.0/8\"";
    const PATTERN: &'static str = "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_network(text).map(Self)
    }
}

/// The name of a header field or of a cookie.
#[derive(Debug, Clone)]
pub(crate) struct Token(pub(crate) String);

impl Text for Token {
    const EXPECTED: &'static str = "a name such as \"sessionid\" or \"Authorization\"";
    const PATTERN: &'static str = text::TOKEN_PATTERN;

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_token(text).map(Self)
    }
}

/// A media type without parameters, in lower case; `*` for the subtype means every one, `*+json`
/// every one that ends so.
#[derive(Debug, Clone)]
pub(crate) struct MediaType(pub(crate) String);

impl Text for MediaType {
    const EXPECTED: &'static str = "a media type such as \"text/css\" or \"image/*\"";
    const PATTERN: &'static str = concat!(
        r"^[!#$%&'+.^_`|~0-9A-Za-z-]+/",
        r"([!#$%&'+.^_`|~0-9A-Za-z-]+|\*(\+[!#$%&'+.^_`|~0-9A-Za-z-]+)?)$"
    );

    fn read(text: &str) -> Result<Self, Unread> {
        let (kind, subtype) =
            text.split_once('/').ok_or_else(|| Unread::because("it has no \"/\""))?;
        text::read_token(kind)?;
        text::read_token(subtype)?;
        let suffix = subtype.strip_prefix("*+").filter(|suffix| !suffix.is_empty());
        let named = suffix.unwrap_or(subtype);
        if kind.contains('*') || (named.contains('*') && named != "*") || suffix == Some("*") {
            let reason =
                "\"*\" may only stand for the whole subtype, or for what is before its \"+\"";
            return Err(Unread::because(reason));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A language tag (RFC 5646), as written.
#[derive(Debug, Clone)]
pub(crate) struct Language(pub(crate) String);

impl Text for Language {
    const EXPECTED: &'static str = "a language such as \"de\" or \"pt-BR\"";
    const PATTERN: &'static str = "^[A-Za-z]{1,8}(-[0-9A-Za-z]{1,8})*$";

    fn read(text: &str) -> Result<Self, Unread> {
        let mut subtags = text.split('-');
        let first = subtags.next().unwrap_or(text);
        let sized = |subtag: &str| (1..=8).contains(&subtag.len());
        let first_fits = sized(first) && first.bytes().all(|b| b.is_ascii_alphabetic());
        let rest_fits = |tag: &str| sized(tag) && tag.bytes().all(|b| b.is_ascii_alphanumeric());
        if first_fits && subtags.all(rest_fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Unread::because("it is not made of letters, digits and \"-\""))
        }
    }
}

/// The path of a file, or of all files whose names match its last part.
#[derive(Debug, Clone)]
pub(crate) struct FilePattern {
    /// Its folder; empty, or with the slash behind it.
    pub(crate) folder: String,
    /// The name, or the pattern of names.
    pub(crate) name: String,
}

/// What stands for more than itself in a pattern of files.
const FILE_WILDCARDS: [char; 3] = ['*', '?', '['];

impl FilePattern {
    /// Whether it may stand for many files, or none.
    pub(crate) fn names_many(&self) -> bool {
        self.name.contains(FILE_WILDCARDS)
    }
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.folder, self.name)
    }
}

impl Text for FilePattern {
    const EXPECTED: &'static str = "a path of files such as \"conf.d/*.toml\"";
    const PATTERN: &'static str = r"^([^*?\[]*/)?[^/]+$";

    fn read(text: &str) -> Result<Self, Unread> {
        let split = text.rfind('/').map_or(0, |slash| slash + 1);
        let (folder, name) = text.split_at(split);
        if name.is_empty() {
            return Err(Unread::because("it names no file"));
        }
        if folder.contains(FILE_WILDCARDS) {
            return Err(Unread::because("only its last part may have \"*\", \"?\" or \"[\""));
        }
        if name.contains("**") {
            return Err(Unread::because("it has \"**\""));
        }
        Ok(Self { folder: folder.to_owned(), name: name.to_owned() })
    }
}

/// What an included file may not have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InMainFile;

impl Value for InMainFile {
    fn expected() -> String {
        "it in the main file alone".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let found = "it in a file that is included";
        decoder.report(decoder.written(node, ()), Self::expected(), found);
        None
    }

    fn shape() -> Shape {
        Shape::Truth
    }
}

/// The number of a lint.
#[derive(Debug, Clone)]
pub(crate) struct LintNumber(pub(crate) &'static str);

impl Text for LintNumber {
    const EXPECTED: &'static str = "the number of a lint such as \"L003\"";
    const PATTERN: &'static str = "^L[0-9]{3}$";

    fn read(text: &str) -> Result<Self, Unread> {
        lint::named(text).map(|lint| Self(lint.number))
    }
}

/// Why something that a lint found may stay as it is.
#[derive(Debug, Clone)]
pub(crate) struct Reason;

impl Text for Reason {
    const EXPECTED: &'static str = "a reason in words";
    const PATTERN: &'static str = r"\S";

    fn read(text: &str) -> Result<Self, Unread> {
        if text.trim().is_empty() { Err(Unread::because("it is empty")) } else { Ok(Self) }
    }
}

/// What `Host` is to say to an origin, as written.
#[derive(Debug, Clone)]
pub(crate) struct HostOverride(pub(crate) String);

impl Text for HostOverride {
    const EXPECTED: &'static str = "a host such as \"api.example\" or \"api.example:8000\"";
    const PATTERN: &'static str = r"^[^/?#@\s]+$";

    fn read(text: &str) -> Result<Self, Unread> {
        text::read_authority(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl Value for Secret {
    fn expected() -> String {
        "a token of visible ASCII characters".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let found = if node.get_ref().is_str() {
            let secret = decoder.string(node, &Self::expected())?;
            if Self::can_be(&secret) {
                return Some(Self::new(secret));
            }
            if secret.is_empty() { "an empty string" } else { "other characters" }
        } else {
            "something that is not a string"
        };
        decoder.report(decoder.written(node, ()), Self::expected(), found);
        None
    }

    fn shape() -> Shape {
        Shape::Text(Some("^[!-~]+$"))
    }
}

/// A list of `MIN` to `MAX` values.
#[derive(Debug, Clone)]
pub(crate) struct List<T, const MIN: usize, const MAX: usize>(pub(crate) Vec<Written<T>>);

impl<T: Value, const MIN: usize, const MAX: usize> Value for List<T, MIN, MAX> {
    fn expected() -> String {
        let count = if MIN > 0 { "one or more elements" } else { "elements" };
        format!("a list of {count}, each {}", T::expected())
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let Some(elements) = node.get_ref().as_array() else {
            decoder.refuse(node, Self::expected());
            return None;
        };
        if elements.len() < MIN || elements.len() > MAX {
            let expected = format!("{MIN} to {MAX} elements");
            let found = elements.len().to_string();
            decoder.report(decoder.written(node, ()), expected, found);
            return None;
        }
        let decoded: Vec<_> = elements
            .iter()
            .enumerate()
            .map(|(index, element)| {
                decoder.within_element(index, |decoder| {
                    let value = T::decode(decoder, element)?;
                    Some(decoder.written(element, value))
                })
            })
            .collect();
        // What could be read is kept, so that what refers to it is checked as well.
        Some(Self(decoded.into_iter().flatten().collect()))
    }

    fn shape() -> Shape {
        Shape::List { element: Box::new(T::shape()), min: MIN, max: MAX }
    }
}

/// The most values that may stand in place of one.
const MOST: usize = 256;

/// One value, or a list of at least one.
#[derive(Debug, Clone)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<Written<T>>);

impl<T: Value> Value for OneOrMany<T> {
    fn expected() -> String {
        format!("{}, or a list", T::expected())
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        if node.get_ref().is_array() {
            return List::<T, 1, MOST>::decode(decoder, node).map(|list| Self(list.0));
        }
        if !node.get_ref().is_str() {
            decoder.refuse(node, Self::expected());
            return None;
        }
        let value = T::decode(decoder, node)?;
        Some(Self(vec![decoder.written(node, value)]))
    }

    fn shape() -> Shape {
        Shape::OneOrMany { element: Box::new(T::shape()), max: MOST }
    }
}

/// Tables by their names, in the order of the file; at least `MIN`.
#[derive(Debug, Clone)]
pub(crate) struct Named<T, const MIN: usize>(pub(crate) Vec<(Name, Option<Written<T>>)>);

impl<T: Value, const MIN: usize> Value for Named<T, MIN> {
    fn expected() -> String {
        if MIN > 0 { "one or more named tables" } else { "named tables" }.to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let table = decoder.table(node, &Self::expected())?;
        if table.len() < MIN {
            decoder.report(decoder.written(node, ()), Self::expected(), "none");
        }
        let mut tables: Vec<_> = table.iter().collect();
        tables.sort_by_key(|(key, _)| key.span().start);
        let mut named = Vec::new();
        for (key, value) in tables {
            let name = key.get_ref();
            decoder.within(name, |decoder| {
                if let Err(unread) = Name::read(name) {
                    let found = format!("{} ({unread})", shown(name));
                    decoder.report(decoder.written(key, ()), Name::EXPECTED, found);
                }
                let decoded = T::decode(decoder, value);
                let written = decoded.map(|decoded| decoder.written(key, decoded));
                // A table with a fault keeps its name, so that references to it are right.
                named.push((Name(name.to_string()), written));
            });
        }
        Some(Self(named))
    }

    fn shape() -> Shape {
        Shape::Named { table: Box::new(T::shape()), min: MIN }
    }
}

/// A duration for each of some status codes.
#[derive(Debug, Clone)]
pub(crate) struct ByStatus(pub(crate) BTreeMap<u16, Written<Duration>>);

impl Value for ByStatus {
    fn expected() -> String {
        "a table such as { 404 = \"10s\" }".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            decoder.refuse(node, Self::expected());
            return None;
        };
        let mut durations = BTreeMap::new();
        for (key, value) in table {
            decoder.within(key.get_ref(), |decoder| {
                let status = match key.get_ref().parse() {
                    Ok(status @ 200..=599) if key.get_ref().len() == 3 => Some(status),
                    Ok(_) | Err(_) => {
                        let found = shown(key.get_ref());
                        let written = decoder.written(key, ());
                        decoder.report(written, "a status code from 200 to 599", found);
                        None
                    }
                };
                let duration = Duration::decode(decoder, value);
                let written = duration.map(|duration| decoder.written(value, duration));
                durations.extend(status.zip(written));
            });
        }
        Some(Self(durations))
    }

    fn shape() -> Shape {
        Shape::Map { key: "^[2-5][0-9]{2}$", value: Box::new(Duration::shape()), max: None }
    }
}
