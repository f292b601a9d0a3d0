//! Finds what is right in a settings file and yet dangerous, and says what mends it.

mod allow;
mod key;
mod lifetime;
mod person;
mod reach;
mod route;
mod table;
mod view;

use std::fmt;
use std::sync::Arc;

use crate::decode::{Decoder, Written, shown};
use crate::fault::{Place, nearest};
use crate::kind::Named;
use crate::options::{self, Options};
use crate::routing::Routes;
use crate::text::Unread;
use view::{Admin, Origin, Policy, Route, View};

pub use table::LINTS;

/// One thing that `forebay check` looks for.
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    /// `L001` and so on; it never changes its meaning.
    pub number: &'static str,
    /// What it is called, such as `key-without-host`.
    pub name: &'static str,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// Why that is dangerous, in a sentence or two.
    pub why: &'static str,
    look: Look,
}

impl Lint {
    /// Whether an option of this version can cause it.
    #[must_use]
    pub fn can_happen(&self) -> bool {
        !matches!(self.look, Look::Nowhere)
    }
}

/// Where a lint looks, and how.
#[derive(Debug, Clone, Copy)]
enum Look {
    /// At every policy that a route uses.
    Policy(fn(&Policy<'_>, &View<'_>) -> Vec<Draft>),
    /// At every route.
    Route(fn(&Route<'_>, &View<'_>) -> Vec<Draft>),
    /// At every policy that a route uses, and at every route.
    Both(fn(&Policy<'_>, &View<'_>) -> Vec<Draft>, fn(&Route<'_>, &View<'_>) -> Vec<Draft>),
    /// At every origin that a route uses.
    Origin(fn(&Origin<'_>) -> Vec<Draft>),
    /// At the admin listener.
    Admin(fn(Admin<'_>) -> Vec<Draft>),
    /// At what was allowed, when all else is found.
    Allowed,
    /// At the policies and origins that no route uses.
    Unused,
    /// Nowhere: the options that it is about are not there yet.
    Nowhere,
}

/// Something dangerous that stands in a settings file.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Which lint found it.
    pub lint: &'static Lint,
    /// The name of the file, as it was passed in.
    pub file: Arc<str>,
    /// Where in the file.
    pub place: Place,
    /// The option, such as `policies.news.ttl_mode`.
    pub path: Box<str>,
    /// What is dangerous here.
    pub danger: Box<str>,
    /// What would mend it.
    pub mend: Mend,
}

/// What would mend a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// The table where it belongs, such as `[policies.news]`.
    pub table: Box<str>,
    /// The lines to write there, in TOML; what stands there of the same name goes.
    pub toml: Box<str>,
}

/// Prints one line; in its long form, `{:#}`, also what would mend it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lint, file, place: Place { line, column }, path, danger, mend } = self;
        write!(f, "{file}:{line}:{column}: {} {}: {path}: {danger}", lint.number, lint.name)?;
        if f.alternate() {
            write!(f, "\n    in {}:", mend.table)?;
            for line in mend.toml.lines() {
                write!(f, "\n        {line}")?;
            }
        }
        Ok(())
    }
}

/// The lint whose number is `text`.
///
/// # Errors
///
/// [`Unread`] if there is none, with the numbers that there are.
pub fn named(text: &str) -> Result<&'static Lint, Unread> {
    LINTS.iter().find(|lint| lint.number == text).ok_or_else(|| {
        let numbers = LINTS.iter().map(|lint| lint.number);
        let nearest = nearest(text, numbers).filter(|_| text.len() == 4);
        let first = LINTS.first().map_or("", |lint| lint.number);
        let last = LINTS.last().map_or("", |lint| lint.number);
        let meant = nearest.map_or_else(String::new, |one| format!("; did you mean {one}?"));
        Unread::because(format!("the lints are {first} to {last}{meant}"))
    })
}

/// All that the lints find in `options`, which have no fault, in the order of `files`.
///
/// The routes of `options` became `routes`. `presets` are the policies that are there without being
/// written; nothing is found in them.
pub(crate) fn find(
    options: &Options,
    presets: &Named<options::Policy, 0>,
    routes: &Routes,
    files: &[Arc<str>],
) -> Vec<Finding> {
    let view = View::new(options, presets, routes);
    let mut found: Vec<Found<'_>> = LINTS.iter().flat_map(|lint| look(lint, &view)).collect();
    let unused = allow::unused(&view, &found);
    found.retain(|found| !found.is_allowed());
    let mut findings: Vec<Finding> = found.into_iter().map(Found::into_finding).collect();
    findings.extend(unused);
    let rank = |file: &str| files.iter().position(|known| **known == *file);
    findings.sort_by_key(|finding| (rank(&finding.file), finding.place, finding.lint.number));
    findings
}

/// Reports what is allowed without a reason.
pub(crate) fn check_reasons(decoder: &mut Decoder<'_>, options: &Options) {
    allow::check_reasons(decoder, options);
}

/// What a lint found, before it is known whether somebody allows it.
struct Draft {
    file: Arc<str>,
    place: Place,
    path: String,
    danger: String,
    mend: Mend,
}

impl Draft {
    /// A finding at `written`; `toml` in `table` would mend it.
    fn at<T>(
        written: &Written<T>,
        danger: impl Into<String>,
        (table, toml): (String, String),
    ) -> Self {
        Self {
            file: Arc::clone(&written.file),
            place: written.place,
            path: written.path.clone(),
            danger: danger.into(),
            mend: Mend { table: table.into(), toml: toml.into() },
        }
    }
}

/// What a lint found, and who could allow it.
struct Found<'a> {
    lint: &'static Lint,
    draft: Draft,
    /// The table that it is about.
    owner: view::Allowance<'a>,
    /// The routes that it concerns, if it is about a policy.
    routes: Vec<Route<'a>>,
}

impl Found<'_> {
    /// Whether its table allows it, or every route does that it concerns.
    fn is_allowed(&self) -> bool {
        let by = |allowance: view::Allowance<'_>| allowance.has(self.lint.number);
        by(self.owner)
            || (!self.routes.is_empty() && self.routes.iter().all(|route| by(route.allowance())))
    }

    fn into_finding(self) -> Finding {
        let Draft { file, place, path, danger, mend } = self.draft;
        let (path, danger) = (path.into(), danger.into());
        Finding { lint: self.lint, file, place, path, danger, mend }
    }
}

/// All that `lint` finds.
fn look<'a>(lint: &'static Lint, view: &View<'a>) -> Vec<Found<'a>> {
    let alone = |owner, drafts: Vec<Draft>| {
        drafts.into_iter().map(move |draft| Found { lint, draft, owner, routes: Vec::new() })
    };
    match lint.look {
        Look::Policy(find) => at_policies(lint, find, view).collect(),
        Look::Route(find) => at_routes(lint, find, view).collect(),
        Look::Both(find, find_at_route) => {
            at_policies(lint, find, view).chain(at_routes(lint, find_at_route, view)).collect()
        }
        Look::Origin(find) => {
            let used = view.origins.iter().filter(|origin| origin.is_used);
            used.flat_map(|origin| alone(origin.allowance(), find(origin))).collect()
        }
        Look::Admin(find) => {
            view.admin.into_iter().flat_map(|a| alone(view::admin_allowance(a), find(a))).collect()
        }
        Look::Unused => {
            let policies = view.policies.iter().filter(|policy| policy.routes.is_empty());
            let policies = policies.map(|policy| (policy.allowance(), nobody_uses(policy.at)));
            let origins = view.origins.iter().filter(|origin| !origin.is_used);
            let origins = origins.map(|origin| (origin.allowance(), nobody_uses(origin.at)));
            policies.chain(origins).flat_map(|(by, draft)| alone(by, vec![draft])).collect()
        }
        Look::Allowed | Look::Nowhere => Vec::new(),
    }
}

fn at_policies<'a>(
    lint: &'static Lint,
    find: fn(&Policy<'_>, &View<'_>) -> Vec<Draft>,
    view: &View<'a>,
) -> impl Iterator<Item = Found<'a>> {
    let used = view.policies.iter().filter(|policy| !policy.routes.is_empty());
    used.flat_map(move |policy| {
        let (owner, routes) = (policy.allowance(), policy.routes.clone());
        let drafts = find(policy, view).into_iter();
        drafts.map(move |draft| Found { lint, draft, owner, routes: routes.clone() })
    })
}

fn at_routes<'a>(
    lint: &'static Lint,
    find: fn(&Route<'_>, &View<'_>) -> Vec<Draft>,
    view: &View<'a>,
) -> impl Iterator<Item = Found<'a>> {
    view.routes.iter().flat_map(move |route| {
        let (owner, drafts) = (route.allowance(), find(route, view).into_iter());
        drafts.map(move |draft| Found { lint, draft, owner, routes: Vec::new() })
    })
}

/// Says that no route names the table at `written`.
fn nobody_uses<T>(written: &Written<T>) -> Draft {
    let danger = "no route uses it, so nothing that it says holds anywhere";
    let toml = "# name it in a route, or take it out".to_owned();
    Draft::at(written, danger, (format!("[{}]", written.path), toml))
}

/// `texts` as a list in TOML.
fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let list: Vec<_> = texts.into_iter().map(quoted).collect();
    format!("[{}]", list.join(", "))
}

/// The most names that a sentence lists.
const MOST_NAMES: usize = 3;

/// `names` in quotes, the first few of them.
fn some<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.into_iter().map(shown).collect();
    match names.get(..MOST_NAMES) {
        Some(first) if names.len() > MOST_NAMES => {
            format!("{} and {} more", first.join(", "), names.len() - MOST_NAMES)
        }
        Some(_) | None => names.join(", "),
    }
}
