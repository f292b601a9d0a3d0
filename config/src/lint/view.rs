//! What the lints look at: the options of all files, and who uses which.

use std::time::Duration;

use crate::decode::Written;
use crate::kind::{LintNumber, List, Named};
use crate::name::NamePattern;
use crate::options::{self, Options};
use crate::routing::{self, Routes};
use crate::settings::{Strategy, TtlMode};

/// The admin listener.
pub(super) type Admin<'a> = &'a Written<options::Admin>;

/// What stands in all files of one edge, and has no fault.
pub(super) struct View<'a> {
    /// The policies of the files; the built-in ones are not among them.
    pub(super) policies: Vec<Policy<'a>>,
    pub(super) origins: Vec<Origin<'a>>,
    pub(super) routes: Vec<Route<'a>>,
    pub(super) admin: Option<Admin<'a>>,
}

/// A policy of a file.
pub(super) struct Policy<'a> {
    pub(super) name: &'a str,
    pub(super) at: &'a Written<options::Policy>,
    /// Those that use it.
    pub(super) routes: Vec<Route<'a>>,
}

/// An origin.
pub(super) struct Origin<'a> {
    pub(super) at: &'a Written<options::Origin>,
    /// Whether a route uses it.
    pub(super) is_used: bool,
}

/// A route.
#[derive(Clone, Copy)]
pub(super) struct Route<'a> {
    pub(super) at: &'a Written<options::Route>,
    /// What it turned into.
    pub(super) matching: &'a routing::Route,
    pub(super) name: &'a str,
    /// The name of its origin.
    pub(super) origin: &'a str,
    /// The name of its policy.
    pub(super) policy_name: &'a str,
    pub(super) policy: &'a options::Policy,
    /// Whether the policy is a built-in one.
    pub(super) is_built_in: bool,
}

/// The lints that a table allows.
#[derive(Clone, Copy)]
pub(super) struct Allowance<'a>(Option<&'a Written<List<LintNumber, 0, 64>>>);

impl<'a> Allowance<'a> {
    pub(super) fn of(allow: &'a Option<Written<List<LintNumber, 0, 64>>>) -> Self {
        Self(allow.as_ref())
    }

    /// Whether it has the lint `number`.
    pub(super) fn has(self, number: &str) -> bool {
        self.numbers().any(|one| one.value.0 == number)
    }

    /// Whether both are of the same table.
    pub(super) fn is(self, other: Self) -> bool {
        self.0.zip(other.0).is_some_and(|(one, other)| std::ptr::eq(one, other))
    }

    /// Its numbers, as they are written.
    pub(super) fn numbers(self) -> impl Iterator<Item = &'a Written<LintNumber>> {
        self.0.into_iter().flat_map(|list| &list.value.0)
    }
}

pub(super) fn admin_allowance(admin: Admin<'_>) -> Allowance<'_> {
    Allowance::of(&admin.value.lint_allow)
}

impl<'a> View<'a> {
    pub(super) fn new(
        options: &'a Options,
        presets: &'a Named<options::Policy, 0>,
        turned: &'a Routes,
    ) -> Self {
        let written = || options.policies.iter().flat_map(|named| &named.value.0);
        let policy_named = |name: &str| {
            let built_in = presets.0.iter().map(|policy| (policy, true));
            let all = written().map(|policy| (policy, false)).chain(built_in);
            let mut same = all.filter(|((known, _), _)| known.0 == name);
            same.find_map(|((_, policy), built_in)| Some((&policy.as_ref()?.value, built_in)))
        };
        let routes = options.routes.iter().flat_map(|routes| &routes.value.0);
        let routes: Vec<Route<'a>> = routes
            .zip(turned)
            .filter_map(|(at, matching)| {
                let policy_name = &at.value.policy.as_ref()?.value.name;
                let (policy, is_built_in) = policy_named(policy_name)?;
                let name = &at.value.name.as_ref()?.value.0;
                let origin = &at.value.origin.as_ref()?.value.name;
                Some(Route { at, matching, name, origin, policy_name, policy, is_built_in })
            })
            .collect();
        let policies = written().filter_map(|(name, at)| {
            let name = name.0.as_str();
            let uses = |route: &&Route<'a>| route.policy_name == name;
            let routes = routes.iter().filter(uses).copied().collect();
            Some(Policy { name, at: at.as_ref()?, routes })
        });
        let origins = options.origins.iter().flat_map(|named| &named.value.0);
        let origins = origins.filter_map(|(name, at)| {
            let is_used = routes.iter().any(|route| route.origin == name.0);
            Some(Origin { at: at.as_ref()?, is_used })
        });
        Self {
            policies: policies.collect(),
            origins: origins.collect(),
            admin: options.admin.as_ref(),
            routes,
        }
    }
}

impl<'a> Policy<'a> {
    pub(super) fn allowance(&self) -> Allowance<'a> {
        Allowance::of(&self.at.value.lint_allow)
    }

    /// The routes that use it, in words.
    pub(super) fn on_routes(&self) -> String {
        on_routes(&self.routes)
    }

    /// Its own table.
    pub(super) fn table(&self) -> String {
        format!("[{}]", self.at.path)
    }

    /// A table within its own.
    pub(super) fn table_within(&self, name: &str) -> String {
        format!("[{}.{name}]", self.at.path)
    }
}

/// `routes` in words.
pub(super) fn on_routes(routes: &[Route<'_>]) -> String {
    let noun = if routes.len() == 1 { "route" } else { "routes" };
    format!("{noun} {}", super::some(routes.iter().map(|route| route.name)))
}

impl<'a> Origin<'a> {
    pub(super) fn allowance(&self) -> Allowance<'a> {
        Allowance::of(&self.at.value.lint_allow)
    }
}

impl<'a> Route<'a> {
    pub(super) fn allowance(&self) -> Allowance<'a> {
        Allowance::of(&self.at.value.lint_allow)
    }

    /// Its table, in words: tables of a list have no name of their own.
    pub(super) fn table(&self) -> String {
        format!("[[routes]] {}", crate::decode::shown(self.name))
    }

    /// The table of what it matches, in words.
    pub(super) fn table_of_match(&self) -> String {
        format!("[routes.match] of {}", crate::decode::shown(self.name))
    }
}

/// What more than one lint asks of a policy.
impl options::Policy {
    /// Whether anything is stored.
    pub(super) fn caches(&self) -> bool {
        self.strategy.as_ref().is_none_or(|strategy| strategy.value != Strategy::Bypass)
    }

    pub(super) fn mode(&self) -> TtlMode {
        self.ttl_mode.as_ref().map_or(TtlMode::Respect, |mode| mode.value)
    }

    /// Its `ttl`, or that of a success, for which responses are kept though their origin says
    /// nothing that lets them be.
    pub(super) fn own_ttl(&self) -> Option<&Written<Duration>> {
        let by_status = self.ttl_by_status.iter().flat_map(|map| &map.value.0);
        let by_status = by_status.filter(|(status, _)| **status < 300).map(|(_, ttl)| ttl);
        let mut all = self.ttl.iter().chain(by_status);
        all.find(|ttl| self.caches() && !ttl.value.is_zero())
    }

    /// The names of cookies that keep a request from the cache.
    pub(super) fn bypassing_cookies(&self) -> impl Iterator<Item = &NamePattern> {
        let bypass_if = self.bypass_if.iter().flat_map(|bypass_if| &bypass_if.value.cookies);
        bypass_if.flat_map(|cookies| &cookies.value.0).map(|cookie| &cookie.value)
    }

    /// The names of fields that keep a request from the cache.
    pub(super) fn bypassing_headers(&self) -> impl Iterator<Item = &str> {
        let bypass_if = self.bypass_if.iter().flat_map(|bypass_if| &bypass_if.value.headers);
        bypass_if.flat_map(|headers| &headers.value.0).map(|header| header.value.0.as_str())
    }

    /// The names of fields in the key.
    pub(crate) fn keyed_headers(&self) -> impl Iterator<Item = &Written<crate::kind::Token>> {
        let key = self.key.iter().flat_map(|key| &key.value.headers);
        key.flat_map(|headers| &headers.value.0)
    }

    /// The names of cookies in the key; nothing if the key is silent about cookies.
    pub(crate) fn keyed_cookies(&self) -> Option<&[Written<NamePattern>]> {
        Some(&self.key.as_ref()?.value.cookies.as_ref()?.value.0)
    }

    /// `bypass_if` with one more cookie or one more header field.
    pub(super) fn bypass_if_also(&self, cookie: Option<&str>, header: Option<&str>) -> String {
        let cookies: Vec<String> = self.bypassing_cookies().map(ToString::to_string).collect();
        let cookies = cookies.iter().map(String::as_str).chain(cookie);
        let cookies = Some(super::list(cookies)).filter(|list| list != "[]");
        let headers = super::list(self.bypassing_headers().chain(header));
        let headers = Some(headers).filter(|list| list != "[]");
        let cookies = cookies.map(|list| format!("cookies = {list}"));
        let headers = headers.map(|list| format!("headers = {list}"));
        let parts: Vec<_> = cookies.into_iter().chain(headers).collect();
        format!("bypass_if = {{ {} }}", parts.join(", "))
    }
}
