//! The lints about routes: what they match, and what they match unawares.

use super::view::{Route, View};
use super::{Draft, list};
use crate::condition::{Condition, Wanted};
use crate::decode::{Written, shown};
use crate::options::{self, PRESETS};
use crate::pattern::PathPattern;
use crate::routing::covers;

/// Media types by the ends of names.
const TYPES: [(&str, &str); 26] = [
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("xml", "application/xml"),
    ("pdf", "application/pdf"),
    ("wasm", "application/wasm"),
    ("png", "image/*"),
    ("jpg", "image/*"),
    ("jpeg", "image/*"),
    ("gif", "image/*"),
    ("webp", "image/*"),
    ("avif", "image/*"),
    ("svg", "image/*"),
    ("ico", "image/*"),
    ("woff", "font/*"),
    ("woff2", "font/*"),
    ("ttf", "font/*"),
    ("otf", "font/*"),
    ("mp3", "audio/*"),
    ("ogg", "audio/*"),
    ("mp4", "video/*"),
    ("webm", "video/*"),
];

/// The types of files, where the end of a name tells nothing.
const USUAL_TYPES: [&str; 4] = ["text/css", "text/javascript", "image/*", "font/*"];

/// Finds routes for the ends of names whose policy stores every media type.
pub(super) fn stores_any_type(route: &Route<'_>, _: &View<'_>) -> Vec<Draft> {
    if !route.policy.caches() || route.policy.types.is_some() {
        return Vec::new();
    }
    let ends = paths(route).filter_map(|path| {
        let end = end_of_name(path.value.written())?;
        Some(stored_by_name(route, path, end))
    });
    let has_folder = |path: &Written<PathPattern>| {
        !matches!(path.value.written(), "/**" | "**") && end_of_name(path.value.written()).is_none()
    };
    let in_folders = paths(route).next().is_some() && paths(route).all(has_folder);
    let matched = route.at.value.r#match.iter().flat_map(|matched| &matched.value.extension);
    let extension = matched.filter(|_| !in_folders).map(|extensions| {
        let all: Vec<_> = extensions.value.0.iter().map(|one| one.value.0.as_str()).collect();
        stored_by_name(route, extensions, &all.join(", ."))
    });
    ends.chain(extension).collect()
}

/// Says that `route` is for names that end in `end` at `written`, and for nothing else.
fn stored_by_name<T>(route: &Route<'_>, written: &Written<T>, end: &str) -> Draft {
    let danger = format!(
        "it is for names that end in .{end} wherever they stand, and policies.{} stores every \
         media type: an origin that answers /account/x.css with the page at /account has it \
         stored for all",
        route.policy_name
    );
    Draft::at(written, danger, typed(route, &types_of(end)))
}

/// What lets the policy of `route` store `types` alone.
fn typed(route: &Route<'_>, types: &[&str]) -> (String, String) {
    let types = format!("types = {}", list(types.iter().copied()));
    let table = policy_table(route, "");
    if route.is_built_in {
        (table, preset_lines(route).chain([types]).collect::<Vec<_>>().join("\n"))
    } else {
        (table, types)
    }
}

/// What puts the fields `names` into the key of the policy of `route`: those that have a class of
/// their own as that, the others as they are.
fn keyed(route: &Route<'_>, names: &[&str]) -> (String, String) {
    let is_named = |name: &&str| class_of(name).is_none();
    let mut options: Vec<_> = names.iter().filter_map(|name| class_of(name)).collect();
    let named: Vec<_> = names.iter().copied().filter(is_named).collect();
    let headers = route.policy.keyed_headers().map(|header| header.value.0.as_str());
    let headers = format!("headers = {}", list(headers.chain(named.iter().copied())));
    if !named.is_empty() {
        options.push(&headers);
    }
    if !route.is_built_in {
        return (policy_table(route, ".key"), options.join("\n"));
    }
    let has_cookies = route.policy.keyed_cookies().is_some() && !names.contains(&"cookie");
    let cookies = has_cookies.then_some("cookies = []");
    let options: Vec<_> = cookies.into_iter().chain(options).collect();
    let key = format!("key = {{ {} }}", options.join(", "));
    let others = preset_lines(route).filter(|line| !line.starts_with("key "));
    let lines: Vec<_> = others.chain([key]).collect();
    (policy_table(route, ""), lines.join("\n"))
}

/// What a key has in place of the field `name`, which differs for nearly every client.
fn class_of(name: &str) -> Option<&'static str> {
    match name {
        "user-agent" => Some("device = true"),
        "accept-language" => Some("languages = [\"en\"]"),
        "cookie" => Some("cookies = []"),
        _ => None,
    }
}

/// The table `within` the policy of `route`, or its own.
fn policy_table(route: &Route<'_>, within: &str) -> String {
    let name = route.policy_name;
    // A dot in a name is not one between names.
    if name.contains('.') {
        format!("[policies.\"{name}\"{within}]")
    } else {
        format!("[policies.{name}{within}]")
    }
}

/// The options of the built-in policy of `route`, line by line: what a file leaves out of a policy
/// of that name does not come from the built-in one.
fn preset_lines(route: &Route<'_>) -> impl Iterator<Item = String> {
    let header = format!("[{}]", route.policy_name);
    let lines = PRESETS.lines().skip_while(move |line| *line != header).skip(1);
    lines.take_while(|line| !line.is_empty()).map(str::to_owned)
}

/// What stands behind `*.` if `pattern` says nothing else, as `**/*.css` does.
fn end_of_name(pattern: &str) -> Option<&str> {
    let name = pattern.strip_prefix('/').unwrap_or(pattern).strip_prefix("**/")?;
    name.strip_prefix("*.").filter(|end| !end.contains('/'))
}

/// The media types of names that end in `end`, which may be a pattern such as `{css,js}`.
fn types_of(end: &str) -> Vec<&'static str> {
    let mut types: Vec<&str> = Vec::new();
    for word in end.split(|c: char| !c.is_ascii_alphanumeric()) {
        let found = TYPES.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
        types.extend(found.filter(|kind| !types.contains(kind)));
    }
    if types.is_empty() { USUAL_TYPES.to_vec() } else { types }
}

/// The most routes that may shadow others: each later one is held against each of them.
const MOST_COMPARED: usize = 1_000;

/// Finds routes that no request reaches.
pub(super) fn is_shadowed(route: &Route<'_>, view: &View<'_>) -> Vec<Draft> {
    let earlier = view.routes.iter().take(MOST_COMPARED);
    let earlier = earlier.take_while(|other| other.matching.index < route.matching.index);
    let mut covering = earlier.filter(|other| covers(other.matching, route.matching));
    let draft = |other: &Route<'_>| {
        let Written { file, place, .. } = other.at;
        let danger = format!(
            "no request reaches it: the route {} at {file}:{} matches all that it could match",
            shown(other.name),
            place.line
        );
        let toml = format!("# move it above the route {}", shown(other.name));
        Draft::at(route.at, danger, (route.table(), toml))
    };
    covering.next().map(draft).into_iter().collect()
}

/// Finds routes that tell a field apart which the key of their policy does not.
pub(super) fn forgets_header(route: &Route<'_>, _: &View<'_>) -> Vec<Draft> {
    let matched = route.at.value.r#match.iter().flat_map(|matched| &matched.value.header);
    let headers = matched.flat_map(|headers| &headers.value.list);
    let forgotten = headers.filter(|header| {
        let name = header.value.name.as_str();
        route.policy.caches()
            && has_many_values(&header.value.wanted)
            && !is_minded(route.policy, name)
    });
    let forgotten: Vec<_> = forgotten.collect();
    let names: Vec<_> = forgotten.iter().map(|header| header.value.name.as_str()).collect();
    let draft = |header: &&Written<Condition>| {
        let danger = format!(
            "requests with different values of {} are one to the key of policies.{}: unless the \
             origin names it in Vary, who asks first chooses the answer for all",
            header.value.name, route.policy_name
        );
        Draft::at(*header, danger, keyed(route, &names))
    };
    forgotten.iter().map(draft).collect()
}

/// Whether a condition holds for more than one value.
fn has_many_values(wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Present => true,
        Wanted::Like(pattern) => pattern.to_string().contains('*'),
        Wanted::Absent => false,
    }
}

/// Whether the field `name` is in the key of `policy`, in a form of its own or as it is, or keeps
/// requests from the cache.
fn is_minded(policy: &options::Policy, name: &str) -> bool {
    let has = |other: &str| other.eq_ignore_ascii_case(name);
    let key = policy.key.as_ref().map(|key| &key.value);
    let as_class = match name {
        "user-agent" => key.is_some_and(|key| key.device.as_ref().is_some_and(|on| on.value)),
        "accept-language" => key.is_some_and(|key| key.languages.is_some()),
        "cookie" => key.is_some_and(|key| key.cookies.is_some()),
        _ => false,
    };
    as_class
        || policy.keyed_headers().any(|header| has(&header.value.0))
        || policy.bypassing_headers().any(has)
}

/// Finds patterns that match more than they seem to, or cost more.
pub(super) fn is_loose(route: &Route<'_>, _: &View<'_>) -> Vec<Draft> {
    paths(route).filter_map(|path| loose(route, path)).collect()
}

fn loose(route: &Route<'_>, path: &Written<PathPattern>) -> Option<Draft> {
    let written = path.value.written();
    if let Some(rest) = below_any(written) {
        let danger = format!(
            "{} begins below any folder: /account/{rest} goes this way as well",
            shown(written)
        );
        return Some(Draft::at(path, danger, in_folder(route)));
    }
    path.value.is_large().then(|| {
        let danger = format!(
            "{} is large when it is compiled: long repeats make every request dear",
            shown(written)
        );
        let toml = "# write `{8,}` or `*` in place of a long repeat".to_owned();
        Draft::at(path, danger, (route.table(), toml))
    })
}

/// What stands behind `**/` if `pattern` begins with it and says more.
fn below_any(pattern: &str) -> Option<&str> {
    let rest = pattern.strip_prefix('/').unwrap_or(pattern).strip_prefix("**/")?;
    Some(rest).filter(|rest| *rest != "**" && !rest.is_empty())
}

/// The paths of `route`, those below any folder in one.
fn in_folder(route: &Route<'_>) -> (String, String) {
    let narrowed = |pattern: &str| {
        below_any(pattern).map_or(pattern.to_owned(), |rest| format!("/files/**/{rest}"))
    };
    let paths: Vec<_> = paths(route).map(|path| narrowed(path.value.written())).collect();
    let paths = list(paths.iter().map(String::as_str));
    (route.table_of_match(), format!("path = {paths} # the folder where they are"))
}

fn paths<'a>(route: &Route<'a>) -> impl Iterator<Item = &'a Written<PathPattern>> {
    let matched = route.at.value.r#match.iter().flat_map(|matched| &matched.value.path);
    matched.flat_map(|paths| &paths.value.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_patterns_that_say_no_more_than_the_end_of_a_name() {
        for (pattern, end) in [
            ("**/*.css", Some("css")),
            ("/**/*.css", Some("css")),
            ("**/*.{css,js}", Some("{css,js}")),
            ("/assets/**/*.css", None),
            ("**/*.css/x", None),
            ("**/a.css", None),
            ("/*.css", None),
        ] {
            assert_eq!(end_of_name(pattern), end, "{pattern}");
        }
    }

    #[test]
    fn knows_the_media_types_of_usual_files() {
        assert_eq!(types_of("{css,js,mjs}"), ["text/css", "text/javascript"]);
        assert_eq!(types_of("png"), ["image/*"]);
        assert_eq!(types_of("*"), USUAL_TYPES);
    }
}
