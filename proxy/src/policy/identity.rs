//! Decides what makes two requests the same: what of a request counts, what of it the origin sees,
//! and which of its fields select among variants.
//!
//! What does not count is kept from the origin, so that no stored response can depend on it.

use std::borrow::Cow;

use forebay_config::{KeyRules, NamePattern, OriginServer, Route};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::field::device::{self, Device};
use crate::field::{coding, cookie, hop, language};
use crate::key::query::parameters;
use crate::key::{Key, Scope, Target};
use crate::policy::forward;

/// The key of `target` on `route`.
#[must_use]
pub fn key(target: &Target, route: &Route) -> Key {
    let rules = &route.policy.key;
    // Where more than what is in the key chooses the route, and so the origin, there is an answer
    // by each.
    let is_apart = route.is_conditional() || !rules.host;
    let by_route = is_apart.then(|| ("route", Some(route.name.as_bytes())));
    Key::chosen(&counted(target, rules), scope(rules), by_route.into_iter())
}

/// What the origin of `route` is asked for in place of `target`.
#[must_use]
pub fn asked<'a>(target: &'a Target, route: &Route) -> Cow<'a, Target> {
    let rules = &route.policy.key;
    let asked = if rules.query.forward { Cow::Borrowed(target) } else { counted(target, rules) };
    if rules.host {
        return asked;
    }
    // Which host this client named is not for the origin to know: one would choose the links that
    // all others are given.
    let servers = route.origin.servers.first().map(OriginServer::authority);
    let own = route.origin.host.clone().or(servers);
    own.and_then(|own| asked.with_authority(&own)).map_or(asked, Cow::Owned)
}

/// `target` with only those parameters that count.
fn counted<'a>(target: &'a Target, rules: &KeyRules) -> Cow<'a, Target> {
    let Some(query) = target.query().filter(|_| !rules.query.keeps_all()) else {
        return Cow::Borrowed(target);
    };
    let mut kept: Vec<_> =
        parameters(query).filter(|parameter| rules.query.keeps(&parameter.name)).collect();
    if rules.query.sort {
        // Those of one name keep their order, which may mean something.
        kept.sort_by(|one, other| one.name.cmp(&other.name));
    }
    let written: Vec<_> = kept.iter().map(|parameter| parameter.written).collect();
    Cow::Owned(target.with_query((!written.is_empty()).then(|| written.join("&")).as_deref()))
}

const fn scope(rules: &KeyRules) -> Scope {
    Scope { scheme: rules.scheme, host: rules.host }
}

/// Whether all that a request says in its target and its cookies counts, so that whoever saw the
/// whole of it gave an answer for its key.
#[must_use]
pub fn is_whole(target: &Target, asked: &HeaderMap, rules: &KeyRules) -> bool {
    let counts = |pair: cookie::Pair<'_>, names: &[NamePattern]| {
        names.iter().any(|name| name.matches(pair.name))
    };
    let cookies = rules.cookies.as_ref();
    rules.scheme
        && rules.host
        && *counted(target, rules) == *target
        && cookies.is_none_or(|names| cookie::pairs(asked).all(|pair| counts(pair, names)))
}

/// A field of a request, and what it says instead; nothing if it is left out.
pub type Edit = (HeaderName, Option<HeaderValue>);

/// What has to change in the fields of a request that is looked up, so that those that mean the
/// same say the same.
#[must_use]
pub fn edits(asked: &HeaderMap, rules: &KeyRules) -> Vec<Edit> {
    let mut edits: Vec<_> = unheard(asked).map(|name| (name, None)).collect();
    let accepted = coding::accepted(asked).map(HeaderValue::from_static);
    edits.extend(edit(asked, header::ACCEPT_ENCODING, accepted));
    edits.extend(class(asked, rules));
    if let Some(language) = language::best(asked, &rules.languages) {
        let language = HeaderValue::from_str(language);
        let language = language.expect("a language tag is a field value");
        edits.extend(edit(asked, header::ACCEPT_LANGUAGE, Some(language)));
    }
    if let Some(names) = &rules.cookies {
        edits.extend(edit(asked, header::COOKIE, chosen_cookies(asked, names)));
    }
    edits
}

/// What has to change in the fields of every request, also of one that is passed on: the class of
/// the device is the edge's word and no client's.
#[must_use]
pub fn class(asked: &HeaderMap, rules: &KeyRules) -> Option<Edit> {
    let class = rules.device.then(|| HeaderValue::from_static(Device::of(asked).as_str()));
    edit(asked, device::FOREBAY_DEVICE, class)
}

/// The change that makes `asked` say `value` in `name`; nothing if it says just that.
fn edit(asked: &HeaderMap, name: HeaderName, value: Option<HeaderValue>) -> Option<Edit> {
    let mut lines = asked.get_all(&name).iter();
    let is_said = lines.next() == value.as_ref() && lines.next().is_none();
    (!is_said).then_some((name, value))
}

/// The fields of `asked` that no origin gets to see. If one of them selected, a client could have
/// what the origin says without it stored as what it says to it.
fn unheard(asked: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    // `Connection` itself says what becomes of the connection to the client.
    let for_one_hop = hop::hop_by_hop(asked).into_iter().filter(|name| *name != header::CONNECTION);
    for_one_hop.chain(forward::forged(asked))
}

/// The cookies that count, sorted by name.
fn chosen_cookies(asked: &HeaderMap, names: &[NamePattern]) -> Option<HeaderValue> {
    let mut pairs: Vec<_> = cookie::pairs(asked)
        .filter(|pair| names.iter().any(|name| name.matches(pair.name)))
        .collect();
    pairs.sort_by_key(|pair| pair.name);
    let written: Vec<_> = pairs.iter().map(|pair| pair.written).collect();
    let value = HeaderValue::from_bytes(&written.join(&b"; "[..]));
    let value = value.expect("pieces of field values make a field value");
    (!written.is_empty()).then_some(value)
}

/// Makes the changes of [`edits`] in `fields`.
pub fn apply(edits: &[Edit], fields: &mut HeaderMap) {
    for (name, value) in edits {
        match value {
            Some(value) => drop(fields.insert(name.clone(), value.clone())),
            None => drop(fields.remove(name)),
        }
    }
}

/// The fields that select among variants on a route with `rules`, whatever `Vary` says.
pub fn selecting(rules: &KeyRules) -> impl Iterator<Item = HeaderName> {
    let chosen = rules.cookies.as_ref().is_some_and(|cookies| !cookies.is_empty());
    let named = rules.headers.iter().map(|name| {
        HeaderName::from_bytes(name.as_bytes()).expect("the settings hold only names of fields")
    });
    named
        .chain(rules.device.then_some(device::FOREBAY_DEVICE))
        .chain((!rules.languages.is_empty()).then_some(header::ACCEPT_LANGUAGE))
        .chain(chosen.then_some(header::COOKIE))
}

/// The fields that select among variants of a response whose `Vary` names `said`; sorted, each
/// once.
#[must_use]
pub fn vary(said: Vec<HeaderName>, rules: &KeyRules) -> Vec<HeaderName> {
    let of_device = |name: &HeaderName| {
        rules.device && (*name == header::USER_AGENT || *name == device::SEC_CH_UA_MOBILE)
    };
    let mut names: Vec<_> =
        said.into_iter().filter(|name| !of_device(name)).chain(selecting(rules)).collect();
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    names
}

/// What a response that selects by `rules` should add to the `Vary` that it has, for the caches
/// behind this one.
#[must_use]
pub fn untold(said: &[HeaderName], rules: &KeyRules) -> Vec<HeaderName> {
    let told = |name: HeaderName| {
        if name == device::FOREBAY_DEVICE { header::USER_AGENT } else { name }
    };
    selecting(rules).map(told).filter(|name| !said.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{head, print, route, rules};

    fn target(path: &str) -> Target {
        Target::parse("http", "a.example", path).unwrap()
    }

    #[track_caller]
    fn check_query(options: &str, path: &str, expected: &str) {
        let route = &route(&format!("key = {{ query = {{ {options} }} }}"));
        let target = target(path);
        let counted = counted(&target, &route.policy.key);
        assert_eq!(counted.path_and_query(), expected, "{options} {path}");
        assert_eq!(asked(&target, route).path_and_query(), expected, "{options} {path}");
    }

    #[test]
    fn leaves_a_query_alone_without_rules() {
        for path in ["/", "/?", "/?b=2&a=1&&utm_source=x"] {
            check_query("", path, path);
        }
    }

    #[test]
    fn keeps_only_the_parameters_that_count() {
        let allow = "allow = ['page', 'q']";
        check_query(allow, "/?q=1&x=2&page=3", "/?q=1&page=3");
        check_query(allow, "/?x=2", "/");
        check_query(allow, "/?", "/");
        check_query(allow, "/?q=1&q=2&Q=3", "/?q=1&q=2");
        check_query(allow, "/?%71=1", "/?%71=1");
        check_query("allow = []", "/?q=1", "/");
        check_query("deny = ['ts', '_*']", "/?ts=1&a=2&_x=3&ats=4", "/?a=2&ats=4");
        check_query("drop_tracking = true", "/?a=1&utm_source=2&gclid=3&%75tm_x=4", "/?a=1");
        check_query("allow = ['*'], drop_tracking = true", "/?fbclid=1&a=1", "/?a=1");
    }

    #[test]
    fn hides_nothing_behind_what_other_readers_take_for_a_border() {
        // Whatever an origin makes of these, the key says the same as the query it gets.
        check_query("deny = ['utm_*']", "/?a=1;utm_x=2", "/?a=1;utm_x=2");
        check_query("deny = ['utm_*']", "/?utm_x=2;a=1", "/");
        check_query("deny = ['utm_*']", "/?a=1%26utm_x=2", "/?a=1%26utm_x=2");
    }

    #[test]
    fn sorts_by_name_and_keeps_the_order_of_one_name() {
        check_query("sort = true", "/?b=2&a=3&b=1&a=1", "/?a=3&a=1&b=2&b=1");
        check_query("sort = true", "/?%62=1&a=2", "/?a=2&%62=1");
    }

    #[test]
    fn sends_the_query_as_it_came_where_that_is_wanted() {
        let route = &route("key = { query = { deny = ['ts'], forward = true } }");
        assert_eq!(asked(&target("/?ts=1&a=2"), route).path_and_query(), "/?ts=1&a=2");
        assert_eq!(counted(&target("/?ts=1&a=2"), &route.policy.key).path_and_query(), "/?a=2");
    }

    #[test]
    fn names_the_host_of_the_origin_where_hosts_do_not_count() {
        let check = |options: &str, expected: &str| {
            let route = route(options);
            let target = target("/x?y");
            let asked = asked(&target, &route);
            assert_eq!(asked.to_string(), format!("http://{expected}/x?y"), "{options}");
            let other = Target::parse("http", "b.example", "/x?y").unwrap();
            let is_one = key(&target, &route) == key(&other, &route);
            assert_eq!(is_one, expected != "a.example", "{options}");
        };
        check("", "a.example");
        check("key = { host = false }", "origin.example");
    }

    /// What a request with the fields `asked` says after the edits.
    #[track_caller]
    fn check_fields(options: &str, asked: &str, expected: &str) {
        let mut fields = head(asked);
        apply(&edits(&fields, &rules(&format!("key = {{ {options} }}")).key), &mut fields);
        assert_eq!(print(&fields), print(&head(expected)), "{options} {asked}");
    }

    #[test]
    fn says_in_one_form_which_codings_are_taken() {
        check_fields("", "Accept-Encoding: gzip, deflate, br", "Accept-Encoding: br, gzip");
        check_fields("", "Accept-Encoding: br | Accept-Encoding: br", "Accept-Encoding: br");
        check_fields("", "Accept: a/b", "Accept: a/b");
    }

    #[test]
    fn lets_through_only_the_cookies_that_count() {
        check_fields("", "Cookie: b=1; a=2", "Cookie: b=1; a=2");
        let theme = "cookies = ['theme', 'x_*']";
        check_fields(
            theme,
            "Cookie: sid=1; x_b=2; theme=dark; x_a=3",
            "Cookie: theme=dark; x_a=3; x_b=2",
        );
        check_fields(theme, "Cookie: sid=1", "");
        check_fields("cookies = []", "Cookie: sid=1; theme=dark | Accept: a/b", "Accept: a/b");
    }

    #[test]
    fn tells_the_class_of_the_device_and_believes_no_other_word() {
        check_fields("", "Forebay-Device: evil", "");
        let said = "User-Agent: x (iPhone) | Forebay-Device: evil";
        check_fields("device = true", said, "User-Agent: x (iPhone) | Forebay-Device: mobile");
        check_fields("device = true", "", "Forebay-Device: desktop");
    }

    #[test]
    fn leaves_out_what_no_origin_gets_to_see() {
        check_fields(
            "headers = ['X-Tenant']",
            "Connection: X-Tenant, close | X-Tenant: a | Accept: a/b",
            "Connection: X-Tenant, close | Accept: a/b",
        );
        let forged = "X-Forwarded-Host: evil | X_Tenant: a | TE: trailers | Accept: a/b";
        check_fields("", forged, "Accept: a/b");
        // Nobody takes these away.
        let said = "Connection: Forebay-Device, Accept-Language, Cookie";
        check_fields(
            "device = true, languages = ['en'], cookies = ['a']",
            &format!("{said} | Cookie: a=1"),
            &format!("{said} | Cookie: a=1 | Forebay-Device: desktop | Accept-Language: en"),
        );
    }

    #[test]
    fn tells_the_class_where_a_request_is_passed_on_too() {
        let check = |options: &str, asked: &str, expected: Option<Option<&str>>| {
            let edit = class(&head(asked), &rules(options).key);
            let said = edit.map(|(_, value)| value.map(|it| it.to_str().unwrap().to_owned()));
            assert_eq!(said, expected.map(|said| said.map(str::to_owned)), "{options} {asked}");
        };
        check("", "Accept-Encoding: deflate", None);
        check("", "Forebay-Device: mobile", Some(None));
        check("key = { device = true }", "Forebay-Device: mobile", Some(Some("desktop")));
    }

    #[test]
    fn tells_one_language() {
        let languages = "languages = ['en', 'de']";
        check_fields(languages, "Accept-Language: fr, de-AT;q=0.5", "Accept-Language: de");
        check_fields(languages, "Accept-Language: de | Accept-Language: en", "Accept-Language: de");
        check_fields(languages, "", "Accept-Language: en");
    }

    fn names(names: &[HeaderName]) -> String {
        names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check_vary(options: &str, said: &[&'static str], expected: &str, told: &str) {
        let rules = &rules(&format!("key = {{ {options} }}")).key;
        let said: Vec<_> = said.iter().map(|name| HeaderName::from_static(name)).collect();
        assert_eq!(names(&untold(&said, rules)), told, "{options}");
        assert_eq!(names(&vary(said, rules)), expected, "{options}");
    }

    #[test]
    fn selects_by_what_vary_names_and_by_what_the_route_does() {
        check_vary("", &["accept"], "accept", "");
        check_vary("headers = ['X-B', 'Accept']", &["accept"], "accept x-b", "x-b");
        check_vary("languages = ['en']", &[], "accept-language", "accept-language");
        check_vary("cookies = []", &["cookie"], "cookie", "");
        check_vary("cookies = ['a']", &[], "cookie", "cookie");
    }

    #[test]
    fn selects_by_the_class_in_place_of_the_browser() {
        check_vary("device = true", &["user-agent"], "forebay-device", "");
        check_vary("device = true", &["accept"], "accept forebay-device", "user-agent");
    }

    #[test]
    fn knows_whether_all_that_was_said_counts() {
        let check = |options: &str, path: &str, fields: &str, expected: bool| {
            let rules = &rules(&format!("key = {{ {options} }}")).key;
            assert_eq!(is_whole(&target(path), &head(fields), rules), expected, "{path} {fields}");
        };
        check("", "/?a=1", "Cookie: sid=1", true);
        check("query = { allow = ['a'] }", "/?a=1", "", true);
        check("query = { allow = ['a'] }", "/?a=1&b=2", "", false);
        check("cookies = ['theme']", "/", "Cookie: theme=1", true);
        check("cookies = ['theme']", "/", "Cookie: theme=1; sid=2", false);
        check("host = false", "/", "", false);
        check("scheme = false", "/", "", false);
    }

    proptest! {
        #[test]
        fn asks_the_origin_nothing_that_is_not_in_the_key(
            query in "[a-dA-D=&;%26]{0,30}", options in prop::sample::select(&[
                "", "allow = ['a', 'b*']", "deny = ['a']", "sort = true",
                "deny = ['b'], sort = true", "allow = [], sort = true",
            ][..]),
        ) {
            let route = &route(&format!("key = {{ query = {{ {options} }} }}"));
            let rules = &route.policy.key;
            if let Ok(target) = Target::parse("http", "a.example", &format!("/x?{query}")) {
                let asked = asked(&target, route);
                prop_assert_eq!(&asked, &counted(&target, rules));
                // Twice is the same as once.
                prop_assert_eq!(&asked, &counted(&asked, rules));
            }
        }

        #[test]
        fn has_no_more_to_edit_after_the_edits(
            coding in "[a-z*;=, 0-9.]{0,20}", cookies in "[a-c=; ]{0,20}",
            language in "[a-z*;=,.0-9-]{0,20}",
        ) {
            let rules = &rules(
                "key = { device = true, languages = ['de', 'a'], cookies = ['a', 'b*'] }"
            ).key;
            let mut fields = HeaderMap::new();
            for (name, value) in [
                (header::ACCEPT_ENCODING, coding),
                (header::COOKIE, cookies),
                (header::ACCEPT_LANGUAGE, language),
            ] {
                fields.insert(name, HeaderValue::try_from(value).unwrap());
            }
            apply(&edits(&fields, rules), &mut fields);
            prop_assert!(edits(&fields, rules).is_empty(), "{:?}", fields);
        }
    }
}
