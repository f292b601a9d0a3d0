//! Finds what is allowed though nothing of the kind was found.

use super::view::{Allowance, View, admin_allowance};
use super::{Draft, Finding, Found, LINTS, Lint, Look};
use crate::decode::{Decoder, Written};
use crate::kind::{LintNumber, List};
use crate::options::Options;

/// The lint about this.
fn lint() -> Option<&'static Lint> {
    LINTS.iter().find(|lint| matches!(lint.look, Look::Allowed))
}

/// A finding for each number that `view` allows where `found` has none to allow.
pub(super) fn unused(view: &View<'_>, found: &[Found<'_>]) -> Vec<Finding> {
    let policies = view.policies.iter().map(|policy| (policy.table(), policy.allowance()));
    let routes = view.routes.iter().map(|route| (route.table(), route.allowance()));
    let origins =
        view.origins.iter().map(|origin| (format!("[{}]", origin.at.path), origin.allowance()));
    let admin = view.admin.map(|admin| (format!("[{}]", admin.path), admin_allowance(admin)));
    let all = policies.chain(routes).chain(origins).chain(admin);
    all.flat_map(|(table, allowance)| of_table(&table, allowance, found)).collect()
}

fn of_table(table: &str, allowance: Allowance<'_>, found: &[Found<'_>]) -> Vec<Finding> {
    let Some(lint) = lint().filter(|lint| !allowance.has(lint.number)) else {
        return Vec::new();
    };
    let in_vain = allowance.numbers().filter(|number| !is_needed(number, allowance, found));
    let finding = |number: &Written<LintNumber>| {
        let others =
            allowance.numbers().map(|one| one.value.0).filter(|one| *one != number.value.0);
        let toml = format!("lint_allow = {}", super::list(others));
        let danger = format!("it allows {}, of which nothing is found", number.value.0);
        let draft = Draft::at(number, danger, (table.to_owned(), toml));
        Found { lint, draft, owner: allowance, routes: Vec::new() }.into_finding()
    };
    in_vain.map(finding).collect()
}

/// Whether anything is found that `number` in `allowance` is about.
fn is_needed(number: &Written<LintNumber>, allowance: Allowance<'_>, found: &[Found<'_>]) -> bool {
    let of_number = found.iter().filter(|found| found.lint.number == number.value.0);
    let mut owners = of_number.flat_map(|found| {
        let routes = found.routes.iter().map(|route| route.allowance());
        routes.chain([found.owner])
    });
    owners.any(|owner| owner.is(allowance))
}

type Numbers = Option<Written<List<LintNumber, 0, 64>>>;

/// Reports what is allowed without a reason.
pub(super) fn check_reasons(decoder: &mut Decoder<'_>, options: &Options) {
    let origins = options.origins.iter().flat_map(|named| &named.value.0);
    for origin in origins.filter_map(|(_, origin)| origin.as_ref()) {
        check_reason(decoder, &origin.value.lint_allow, origin.value.lint_reason.is_some());
    }
    let policies = options.policies.iter().flat_map(|named| &named.value.0);
    for policy in policies.filter_map(|(_, policy)| policy.as_ref()) {
        check_reason(decoder, &policy.value.lint_allow, policy.value.lint_reason.is_some());
    }
    for route in options.routes.iter().flat_map(|routes| &routes.value.0) {
        check_reason(decoder, &route.value.lint_allow, route.value.lint_reason.is_some());
    }
    if let Some(admin) = &options.admin {
        check_reason(decoder, &admin.value.lint_allow, admin.value.lint_reason.is_some());
    }
}

fn check_reason(decoder: &mut Decoder<'_>, allow: &Numbers, has_reason: bool) {
    let Some(allow) = allow.as_ref().filter(|allow| !allow.value.0.is_empty()) else { return };
    let table = allow.path.strip_suffix("lint_allow").unwrap_or(&allow.path);
    if !has_reason && !decoder.has_reported(&format!("{table}lint_reason")) {
        decoder.report(allow, "lint_reason = \"...\" beside it", "none");
    }
}
