//! Writes the manual of all options, in Markdown.

use std::fmt::Write as _;

use super::EXAMPLES;
use crate::declare::{Field, Need};
use crate::lint::{self, Lint};
use crate::options::PRESETS;
use crate::shape::Shape;

/// What is to be known before the first option.
const PREFACE: &str = include_str!("preface.md");

/// The heading of the options that stand in no table.
const TOP: &str = "The top of the file";

/// The heading of the presets.
const BUILT_IN: &str = "Built-in policies";

/// The heading of the examples.
const WHOLE: &str = "Whole files";

/// The heading of the lints.
const LINTS: &str = "Lints";

/// What is to be known before the first lint.
const ABOUT_LINTS: &str = include_str!("lints.md");

/// The manual of all options, in Markdown.
#[must_use]
pub fn manual() -> String {
    let sections = sections();
    let mut parts = vec!["# Settings of Forebay".to_owned(), PREFACE.trim_end().to_owned()];
    parts.push(contents(&sections));
    parts.extend(sections.iter().flat_map(Section::parts));
    parts.push(format!("## {BUILT_IN}"));
    parts.push(
        "A route may name these policies without their being written. A policy of the same name in \
         the\nfile replaces the built-in one as a whole: what it leaves out has its default, not \
         what stands here."
            .to_owned(),
    );
    parts.push(block(&presets()));
    parts.extend(lints());
    parts.push(format!("## {WHOLE}"));
    for (name, text) in EXAMPLES {
        parts.push(format!("### {name}"));
        parts.push(block(text));
    }
    parts.join("\n\n") + "\n"
}

/// The manual of one option, without what can be told from its declaration.
pub(super) fn prose(field: &Field) -> String {
    let lines: Vec<_> =
        field.manual.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.join("\n").trim().to_owned()
}

/// One table with its options.
struct Section {
    /// How it is written in a file, such as `[listeners.NAME]`; empty for the top of the file.
    header: String,
    /// The path of its options, such as `listeners.NAME.`.
    prefix: String,
    /// How many tables it lies within.
    depth: usize,
    prose: String,
    fields: &'static [Field],
}

/// The top of the file, and each table before the tables within it.
fn sections() -> Vec<Section> {
    let top = Section {
        header: String::new(),
        prefix: String::new(),
        depth: 0,
        prose: "These stand before the first table, or are tables themselves.".to_owned(),
        fields: crate::declared(),
    };
    let mut sections = vec![top];
    add_within(&mut sections, "", 0, crate::declared());
    sections
}

fn add_within(sections: &mut Vec<Section>, prefix: &str, depth: usize, fields: &'static [Field]) {
    for field in fields.iter().filter(|field| !field.fields().is_empty()) {
        let mut path = format!("{prefix}{}", field.name);
        let header = match field.shape() {
            Shape::List { .. } => format!("[[{path}]]"),
            Shape::Named { .. } => {
                path.push_str(".NAME");
                format!("[{path}]")
            }
            Shape::Table(_)
            | Shape::OneOrMany { .. }
            | Shape::Map { .. }
            | Shape::Either(_)
            | Shape::Truth
            | Shape::Whole(..)
            | Shape::Text(_)
            | Shape::Words(_) => format!("[{path}]"),
        };
        let prefix = format!("{path}.");
        let (prose, fields) = (prose(field), field.fields());
        sections.push(Section { header, prefix: prefix.clone(), depth, prose, fields });
        add_within(sections, &prefix, depth + 1, fields);
    }
}

impl Section {
    fn heading(&self) -> String {
        if self.header.is_empty() { TOP.to_owned() } else { format!("`{}`", self.header) }
    }

    fn parts(&self) -> Vec<String> {
        let mut parts = vec![format!("## {}", self.heading()), self.prose.clone()];
        parts.push(self.at_a_glance());
        // An option that is a table has a section of its own.
        for field in self.fields.iter().filter(|field| field.fields().is_empty()) {
            parts.push(format!("### `{}{}`", self.prefix, field.name));
            parts.push(prose(field));
            parts.push(takes(field));
        }
        parts
    }

    /// Name, default and example of each option.
    fn at_a_glance(&self) -> String {
        let code = |text: &str| format!("`{}`", text.replace('|', "\\|"));
        let row = |field: &Field| {
            let default = match field.need {
                Need::Required | Need::InAnyFile => "required".to_owned(),
                Need::Optional => "none".to_owned(),
                Need::Default(default) => code(default),
            };
            [code(field.name), default, code(field.example)]
        };
        let mut rows = vec![["Option", "Default", "Example"].map(str::to_owned)];
        rows.extend(self.fields.iter().map(row));
        grid(&rows)
    }
}

/// A table in Markdown, the first of `rows` being its head; all columns but the last line up.
fn grid(rows: &[[String; 3]]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    let mut text = String::new();
    for (index, [name, default, example]) in rows.iter().enumerate() {
        let line = format!("| {name:first$} | {default:second$} | {example} |");
        text.push_str(&line);
        text.push('\n');
        if index == 0 {
            writeln!(text, "|{:-<1$}|{2:-<3$}|---------|", "", first + 2, "", second + 2)
                .expect("a string takes every write");
        }
    }
    text.trim_end().to_owned()
}

/// What an option takes, and what holds if it is left out.
fn takes(field: &Field) -> String {
    let need = match field.need {
        Need::Required => "Required.".to_owned(),
        Need::InAnyFile => "Required, in this file or one that it includes.".to_owned(),
        Need::Optional => "Optional.".to_owned(),
        Need::Default(default) => format!("Default: `{default}`."),
    };
    let most = match field.shape() {
        Shape::List { max, .. } => format!(". At most {max} elements"),
        Shape::OneOrMany { max, .. } => format!(" of at most {max}"),
        Shape::Map { max: Some(max), .. } => format!(". At most {max} names"),
        Shape::Named { .. }
        | Shape::Table(_)
        | Shape::Map { max: None, .. }
        | Shape::Either(_)
        | Shape::Truth
        | Shape::Whole(..)
        | Shape::Text(_)
        | Shape::Words(_) => String::new(),
    };
    let told = field.effect.told().map_or_else(String::new, |told| format!(" {told}"));
    format!("*Takes* {}{most}. {need}{told}", with_code(&field.expected()))
}

/// `text` with what is in quotes or braces set as code.
fn with_code(text: &str) -> String {
    let mut marked = String::new();
    let mut closer = None;
    for c in text.chars() {
        match (closer, c) {
            (None, '"' | '{') => {
                marked.push('`');
                marked.push(c);
                closer = Some(if c == '{' { '}' } else { '"' });
            }
            (Some(end), c) if c == end => {
                marked.push(c);
                marked.push('`');
                closer = None;
            }
            (None | Some(_), c) => marked.push(c),
        }
    }
    marked
}

/// A line for each heading of the second degree.
fn contents(sections: &[Section]) -> String {
    let mut lines = vec!["## Contents\n".to_owned()];
    for section in sections {
        let (heading, indent) = (section.heading(), 2 * section.depth);
        lines.push(format!("{:indent$}- [{heading}](#{})", "", anchor(&heading)));
    }
    for heading in [BUILT_IN, LINTS, WHOLE] {
        lines.push(format!("- [{heading}](#{})", anchor(heading)));
    }
    lines.join("\n")
}

/// The name by which links reach a heading.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
        })
        .collect()
}

/// The presets as they would stand in a file.
fn presets() -> String {
    let in_file = |line: &str| match line.strip_prefix('[') {
        Some(rest) => format!("[policies.{rest}\n"),
        None => format!("{line}\n"),
    };
    PRESETS.lines().map(in_file).collect()
}

/// What `forebay check` looks for beside faults.
fn lints() -> Vec<String> {
    let mut parts = vec![format!("## {LINTS}"), ABOUT_LINTS.trim_end().to_owned()];
    for lint in &lint::LINTS {
        let Lint { number, name, title, why, .. } = lint;
        parts.push(format!("### {number}: {name}"));
        let never = if lint.can_happen() { "" } else { " No option of this version can cause it." };
        parts.push(format!("Finds: {title}.\n\n{why}{never}"));
    }
    parts
}

/// A block of TOML.
fn block(toml: &str) -> String {
    format!("```toml\n{}\n```", toml.trim_end())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_link_leads_to_one_heading() {
        let manual = manual();
        let headings: Vec<String> = manual
            .lines()
            .filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")))
            .map(anchor)
            .collect();
        let distinct: BTreeSet<_> = headings.iter().collect();
        assert_eq!(distinct.len(), headings.len(), "two headings have the same anchor");
        for link in manual.split("](#").skip(1) {
            let (link, _) = link.split_once(')').expect("each link is closed");
            assert!(headings.iter().any(|heading| heading == link), "{link}");
        }
    }

    #[test]
    fn the_presets_are_shown_as_a_file_has_them() {
        let (_, minimal) = EXAMPLES.first().expect("there is one");
        let shown = format!("{minimal}\n{}", presets());
        let parsed = crate::parse("f", &shown, std::path::Path::new(""), &|_| None);
        assert!(parsed.is_ok(), "{parsed:?}");
        assert!(shown.contains("\n[policies.session]\n"), "{shown}");
    }

    #[test]
    fn what_is_in_quotes_or_braces_is_code() {
        assert_eq!(with_code(r#"a size such as "64MiB""#), r#"a size such as `"64MiB"`"#);
        assert_eq!(with_code(r#"{ 404 = "10s" }, or"#), r#"`{ 404 = "10s" }`, or"#);
    }
}
