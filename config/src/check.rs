//! Turns options into settings, or reports every fault in them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::Parsed;
use crate::condition::Condition;
use crate::condition::written::Conditions;
use crate::declare::Effect;
use crate::decode::{Decoder, Value, Written};
use crate::fault::Faults;
use crate::include::{self, Surroundings};
use crate::kind::{ByStatus, MediaType, Name, Named, OneOrMany};
use crate::lint;
use crate::name::{self, NamePattern};
use crate::options::{self, Options, PRESETS};
use crate::pattern::{PathPattern, PathPatterns, fit_together};
use crate::person;
use crate::redis::REDIS_VARIABLE;
use crate::routing::{Route, Routes};
use crate::settings::{
    Admin, BypassIf, Cache, Coding, Compress, Disk, KeyRules, Listener, Origin, Policy, QueryRules,
    Redis, RedisUrl, Secret, Server, Settings, Strategy, Timeouts, Tls,
};

/// The variable whose value is the token of the admin listener if the file has none.
pub const TOKEN_VARIABLE: &str = "FOREBAY_ADMIN_TOKEN";

/// Reads the file `text`, and those that it includes, into settings.
///
/// # Errors
///
/// Every fault in them.
pub(crate) fn check(
    file: &str,
    text: &str,
    folder: &Path,
    around: &dyn Surroundings,
) -> Result<Parsed, Faults> {
    let env = |name: &str| around.variable(name);
    let mut decoder = Decoder::new(file, text, folder, &env);
    let mut files = Vec::new();
    let options = decoder.tree().and_then(|tree| {
        let top = decoder.written(&tree, ());
        let mut options = Options::decode(&mut decoder, &tree)?;
        let joined = include::join(&mut decoder, &mut options, around);
        files = joined.paths;
        if joined.has_gaps {
            return None;
        }
        include::check(&mut decoder, &options, &top);
        Some(options)
    });
    let names = include::names(file, &files);
    let presets = presets();
    let checked = options.and_then(|options| {
        lint::check_reasons(&mut decoder, &options);
        let settings = settings(&mut decoder, &options, &presets)?;
        if !decoder.is_clean() {
            return None;
        }
        let findings = lint::find(&options, &presets, &settings.routes, &names);
        Some((settings, findings))
    });
    match checked {
        Some((settings, findings)) => Ok(Parsed { settings, findings, files }),
        None => Err(Faults::of_files(decoder.into_faults(), &names, files)),
    }
}

/// The settings that `options` ask for; nothing means that a fault was reported.
fn settings(
    decoder: &mut Decoder<'_>,
    options: &Options,
    presets: &Named<options::Policy, 0>,
) -> Option<Settings> {
    // Each part is looked at before the first that is missing ends it all.
    let listeners = options.listeners.as_ref().map(|named| listeners(&named.value));
    let admin = options.admin.as_ref().and_then(|written| admin(decoder, &written.value));
    addresses_differ(decoder, options);
    let cache = options.cache.as_ref().and_then(|written| cache(decoder, &written.value));
    let origins = origins(options);
    let policies = policies(decoder, options, presets);
    let routes = routes(decoder, options, &origins, &policies);
    options.version.as_ref()?;
    Some(Settings {
        listeners: listeners?,
        origins: origins.into_iter().filter_map(|(_, origin)| origin).collect(),
        cache: cache?,
        admin: admin?,
        server: options.server.as_ref().and_then(|written| server(&written.value))?,
        routes: routes?,
        at_restart: decoder.at_restart().clone(),
    })
}

fn listeners(named: &Named<options::Listener, 1>) -> Vec<Listener> {
    let listener = |name: &str, written: &Written<options::Listener>| {
        Some(Listener {
            name: name.to_owned(),
            address: value(&written.value.address)?,
            tls: written.value.tls.as_ref().and_then(|tls| {
                Some(Tls { cert: value(&tls.value.cert)?, key: value(&tls.value.key)? })
            }),
        })
    };
    named.0.iter().filter_map(|(name, written)| listener(&name.0, written.as_ref()?)).collect()
}

fn admin(decoder: &mut Decoder<'_>, admin: &options::Admin) -> Option<Admin> {
    let address = admin.address.as_ref()?;
    let written = value(&admin.token);
    let token = written.or_else(|| {
        let token = decoder.variable(TOKEN_VARIABLE)?;
        if !Secret::can_be(&token) {
            // A line end behind it would keep everybody out, and nobody would see why.
            let expected = format!("{} in {TOKEN_VARIABLE}", Secret::expected());
            let Written { file, place, .. } = address.clone();
            let at = Written { value: (), file, place, path: "admin.token".to_owned() };
            decoder.report(at, expected, "other characters");
        }
        Some(Secret::new(token))
    });
    let open = token.is_none() && !address.value.ip().is_loopback();
    if open && !decoder.has_reported("admin.token") {
        let expected = "a loopback address, or admin.token beside it";
        decoder.report(address, expected, format!("\"{}\" and no token", address.value));
    }
    Some(Admin { address: address.value, token })
}

/// Reports listeners that want the same address and port.
fn addresses_differ(decoder: &mut Decoder<'_>, options: &Options) {
    let listeners = options.listeners.iter().flat_map(|named| &named.value.0);
    let listeners = listeners.filter_map(|(_, written)| written.as_ref()?.value.address.as_ref());
    let admin = options.admin.iter().filter_map(|written| written.value.address.as_ref());
    let mut taken: BTreeMap<SocketAddr, &str> = BTreeMap::new();
    for address in admin.chain(listeners).filter(|address| address.value.port() > 0) {
        if let Some(other) = taken.insert(address.value, &address.path) {
            let found = format!("\"{}\", which is {other} too", address.value);
            decoder.report(address, "an address of its own", found);
        }
    }
}

fn cache(decoder: &mut Decoder<'_>, cache: &options::Cache) -> Option<Cache> {
    Some(Cache {
        disk: cache.disk.as_ref().and_then(|written| disk(&written.value)),
        redis: cache.redis.as_ref().and_then(|written| redis(decoder, written)),
        memory: cache.memory.as_ref()?.value.0,
        max_object: cache.max_object.as_ref()?.value.0,
    })
}

/// Nothing means that a fault was reported.
fn disk(disk: &options::Disk) -> Option<Disk> {
    Some(Disk {
        path: disk.path.as_ref()?.value.0.clone(),
        size: disk.size.as_ref()?.value.0,
        entries: disk.entries.as_ref()?.value.0.into(),
    })
}

/// Nothing means that a fault was reported.
fn redis(decoder: &mut Decoder<'_>, table: &Written<options::Redis>) -> Option<Redis> {
    let options = &table.value;
    let mut url = value(&options.url).or_else(|| redis_of_environment(decoder, table))?;
    url.ca = value(&options.ca);
    if let Some(ca) = options.ca.as_ref().filter(|_| !url.tls) {
        decoder.report(ca, "a URL with TLS, such as \"rediss://...\", beside it", "one without");
    }
    Some(Redis {
        url,
        prefix: options.prefix.as_ref()?.value.0.clone(),
        max_object: options.max_object.as_ref()?.value.0,
        timeout: options.timeout.as_ref()?.value.0,
    })
}

/// The URL of the environment, for a table that was written without one.
fn redis_of_environment(
    decoder: &mut Decoder<'_>,
    table: &Written<options::Redis>,
) -> Option<RedisUrl> {
    let path = format!("{}.url", table.path);
    if decoder.has_reported(&path) {
        return None;
    }
    let at = Written { value: (), file: Arc::clone(&table.file), place: table.place, path };
    let Some(text) = decoder.variable(REDIS_VARIABLE) else {
        let expected = format!("{} here or in {REDIS_VARIABLE}", RedisUrl::expected());
        decoder.report(at, expected, "nothing");
        return None;
    };
    match RedisUrl::read(&text) {
        Ok(url) => {
            let Written { file, place, path, .. } = at;
            let written = Written { value: url, file, place, path };
            decoder.takes_effect(Effect::Restart, Some(&written));
            Some(written.value)
        }
        Err(unread) => {
            let expected = format!("{} in {REDIS_VARIABLE}", RedisUrl::expected());
            decoder.report(at, expected, format!("something else ({unread})"));
            None
        }
    }
}

fn server(server: &options::Server) -> Option<Server> {
    Some(Server {
        threads: server.threads.as_ref().map(|threads| threads.value.0),
        grace: value(&server.grace)?,
        upgrade_socket: value(&server.upgrade_socket),
        watch: value(&server.watch)?,
        debug_secret: value(&server.debug_secret),
        purge_from: server.purge_from.as_ref()?.value.0.iter().map(|it| it.value.0).collect(),
    })
}

/// The origins by name; one with a fault has only its name.
fn origins(options: &Options) -> Vec<(&str, Option<Arc<Origin>>)> {
    let named = options.origins.iter().flat_map(|named| &named.value.0);
    let read = |name: &str, written: &Written<options::Origin>| {
        let options = &written.value;
        let timeouts = &options.timeouts.as_ref()?.value;
        Some(Arc::new(Origin {
            name: name.to_owned(),
            servers: values(&options.servers.as_ref()?.value.0),
            host: options.host.as_ref().map(|host| host.value.0.clone()),
            timeouts: Timeouts {
                connect: timeouts.connect.as_ref()?.value.0,
                first_byte: timeouts.first_byte.as_ref()?.value.0,
                read: timeouts.read.as_ref()?.value.0,
            },
            idle: value(&options.idle)?,
            ca: value(&options.ca),
        }))
    };
    named
        .map(|(name, written)| {
            (name.0.as_str(), written.as_ref().and_then(|written| read(&name.0, written)))
        })
        .collect()
}

/// The policies by name, with the presets; one with a fault has only its name.
fn policies(
    decoder: &mut Decoder<'_>,
    options: &Options,
    presets: &Named<options::Policy, 0>,
) -> BTreeMap<String, Option<Arc<Policy>>> {
    let mut policies = BTreeMap::new();
    let written = options.policies.iter().flat_map(|named| &named.value.0);
    for (name, written) in presets.0.iter().chain(written) {
        let policy = written.as_ref().and_then(|written| policy(decoder, &name.0, written));
        policies.insert(name.0.clone(), policy.map(Arc::new));
    }
    policies
}

/// The policies that are there without being written.
fn presets() -> Named<options::Policy, 0> {
    let mut decoder = Decoder::new("presets.toml", PRESETS, Path::new(""), &|_| None);
    let tree = decoder.tree().expect("the presets are tested");
    Named::decode(&mut decoder, &tree).expect("the presets are tested")
}

fn policy(
    decoder: &mut Decoder<'_>,
    name: &str,
    written: &Written<options::Policy>,
) -> Option<Policy> {
    let options = &written.value;
    let immutable = options.immutable.as_ref()?;
    let bypass_if = &options.bypass_if.as_ref()?.value;
    let cookies = bypass_if.cookies.as_ref()?.value.0.iter();
    let headers = bypass_if.headers.as_ref()?.value.0.iter();
    let strategy = value(&options.strategy)?;
    if let Some(deadline) = &options.deadline
        && strategy != Strategy::NetworkFirst
    {
        let expected = "strategy = \"network-first\" beside it";
        decoder.report(deadline, expected, format!("\"{}\"", strategy.word()));
    }
    Some(Policy {
        name: name.to_owned(),
        strategy,
        deadline: options.deadline.as_ref().map(|deadline| deadline.value.0),
        ttl: value(&options.ttl),
        ttl_mode: value(&options.ttl_mode)?,
        ttl_by_status: ttl_by_status(options.ttl_by_status.as_ref()?),
        browser_ttl: value(&options.browser_ttl),
        stale_while_revalidate: value(&options.stale_while_revalidate),
        stale_if_error: value(&options.stale_if_error),
        heuristic: value(&options.heuristic)?,
        set_cookie: value(&options.set_cookie)?,
        immutable: compile(decoder, immutable, &values(&immutable.value.0))?,
        types: options.types.as_ref().map(|types| media_types(&types.value.0)),
        key: key_rules(&options.key.as_ref()?.value)?,
        bypass_if: BypassIf {
            cookies: cookies.map(|cookie| cookie.value.clone()).collect(),
            headers: headers.map(|header| header.value.0.to_ascii_lowercase()).collect(),
        },
        compress: compress(decoder, options)?,
    })
}

fn compress(decoder: &mut Decoder<'_>, policy: &options::Policy) -> Option<Compress> {
    let options = &policy.compress.as_ref()?.value;
    let usual = || Compress::USUAL_TYPES.map(str::to_owned).to_vec();
    let mut types = options.types.as_ref().map_or_else(usual, |types| media_types(&types.value.0));
    types.extend(media_types(&options.also_types.as_ref()?.value.0));
    Some(Compress {
        codings: codings(decoder, &options.codings.as_ref()?.value.0),
        types,
        min_size: options.min_size.as_ref()?.value.0,
        personal: if value(&options.personal)? { Vec::new() } else { personal(policy) },
        upgrade_after: options.upgrade_after.as_ref()?.value.0.into(),
        dictionaries: value(&options.dictionaries)?,
        precompressed: value(&options.precompressed)?,
    })
}

/// The names of the request fields that tell persons apart under `policy`.
fn personal(policy: &options::Policy) -> Vec<String> {
    let headers = policy.keyed_headers().map(|header| header.value.0.to_ascii_lowercase());
    let headers = headers.filter(|name| name == "cookie" || person::is_credential(name));
    let of_session = |names: &[Written<NamePattern>]| {
        names.iter().any(|name| person::is_of_session(&name.value.to_string()))
    };
    let cookie = policy.keyed_cookies().is_none_or(of_session).then(|| "cookie".to_owned());
    let all = ["authorization".to_owned()].into_iter().chain(cookie).chain(headers);
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The codings of a list, in its order; one that is there twice is reported.
fn codings(decoder: &mut Decoder<'_>, written: &[Written<Coding>]) -> Vec<Coding> {
    let mut codings = Vec::new();
    for coding in written {
        if codings.contains(&coding.value) {
            let found = format!("\"{}\" again", coding.value.word());
            decoder.report(coding, "a coding that is not in the list yet", found);
        } else {
            codings.push(coding.value);
        }
    }
    codings
}

fn media_types(written: &[Written<MediaType>]) -> Vec<String> {
    written.iter().map(|one| one.value.0.clone()).collect()
}

fn ttl_by_status(written: &Written<ByStatus>) -> BTreeMap<u16, Duration> {
    written.value.0.iter().map(|(status, ttl)| (*status, ttl.value)).collect()
}

fn key_rules(options: &options::Key) -> Option<KeyRules> {
    let headers = options.headers.as_ref()?.value.0.iter();
    let languages = options.languages.iter().flat_map(|languages| &languages.value.0);
    Some(KeyRules {
        query: query_rules(&options.query.as_ref()?.value)?,
        headers: headers.map(|header| header.value.0.to_ascii_lowercase()).collect(),
        cookies: options.cookies.as_ref().map(|cookies| values(&cookies.value.0)),
        device: value(&options.device)?,
        languages: languages.map(|language| language.value.0.clone()).collect(),
        scheme: value(&options.scheme)?,
        host: value(&options.host)?,
        max_variants: options.max_variants.as_ref()?.value.0,
    })
}

fn query_rules(options: &options::Query) -> Option<QueryRules> {
    let mut deny = values(&options.deny.as_ref()?.value.0);
    if value(&options.drop_tracking)? {
        deny.extend(name::tracking());
    }
    Some(QueryRules {
        allow: options.allow.as_ref().map(|allow| values(&allow.value.0)),
        deny,
        sort: value(&options.sort)?,
        forward: value(&options.forward)?,
    })
}

fn routes(
    decoder: &mut Decoder<'_>,
    options: &Options,
    origins: &[(&str, Option<Arc<Origin>>)],
    policies: &BTreeMap<String, Option<Arc<Policy>>>,
) -> Option<Routes> {
    let written = options.routes.as_ref()?;
    names_differ(decoder, &written.value.0);
    let mut routes = Vec::new();
    for (index, route) in written.value.0.iter().enumerate() {
        let options = &route.value;
        let origin = options.origin.as_ref().and_then(|name| {
            let found = origins.iter().find(|(known, _)| *known == name.value.name);
            if found.is_none() {
                let known = origins.iter().map(|(known, _)| *known);
                decoder.report_name(name, "one of the origins", known);
            }
            found?.1.clone()
        });
        let policy = options.policy.as_ref().and_then(|name| {
            let found = policies.get(&name.value.name);
            if found.is_none() {
                let known = policies.keys().map(String::as_str);
                decoder.report_name(name, "one of the policies", known);
            }
            found?.clone()
        });
        let Some((origin, policy)) = origin.zip(policy) else { continue };
        let Some(route) = read_route(index, route, origin, policy) else { continue };
        routes.push(Arc::new(route));
    }
    let patterns = routes.iter().flat_map(|route| &route.paths);
    if let Err(unread) = fit_together(patterns) {
        decoder.report(written, "fewer or simpler patterns", unread.to_string());
        return None;
    }
    Some(Routes::new(routes))
}

fn read_route(
    index: usize,
    written: &Written<options::Route>,
    origin: Arc<Origin>,
    policy: Arc<Policy>,
) -> Option<Route> {
    let options = &written.value;
    let r#match = &options.r#match.as_ref()?.value;
    // An option with a fault was reported, and nobody looks at the routes.
    Some(Route {
        name: options.name.as_ref()?.value.0.as_str().into(),
        index,
        file: Arc::clone(&written.file),
        line: written.place.line,
        paths: one_or_many(&r#match.path, Clone::clone),
        hosts: one_or_many(&r#match.host, Clone::clone),
        methods: one_or_many(&r#match.method, |method| method.0.clone()),
        extensions: one_or_many(&r#match.extension, |extension| extension.0.clone()),
        headers: conditions(&r#match.header),
        query: conditions(&r#match.query),
        cookies: conditions(&r#match.cookie),
        origin,
        policy,
    })
}

/// What an option with one value or many holds; nothing if it is left out.
fn one_or_many<T, U>(written: &Option<Written<OneOrMany<T>>>, read: impl Fn(&T) -> U) -> Vec<U> {
    let values = written.iter().flat_map(|many| &many.value.0);
    values.map(|one| read(&one.value)).collect()
}

fn conditions<S>(written: &Option<Written<Conditions<S>>>) -> Vec<Condition> {
    let list = written.iter().flat_map(|conditions| &conditions.value.list);
    list.map(|condition| condition.value.clone()).collect()
}

/// Reports routes that have the name of an earlier one.
fn names_differ(decoder: &mut Decoder<'_>, routes: &[Written<options::Route>]) {
    let mut taken: BTreeMap<&str, &Written<Name>> = BTreeMap::new();
    for name in routes.iter().filter_map(|route| route.value.name.as_ref()) {
        if let Some(other) = taken.get(name.value.0.as_str()) {
            let Written { file, place, .. } = other;
            let found = if *file == name.file {
                format!("that of the route in line {}", place.line)
            } else {
                format!("that of the route at {file}:{}:{}", place.line, place.column)
            };
            decoder.report(name, "a name that no other route has", found);
        } else {
            taken.insert(&name.value.0, name);
        }
    }
}

/// Compiles the patterns of the option `written`.
fn compile<T>(
    decoder: &mut Decoder<'_>,
    written: &Written<T>,
    patterns: &[PathPattern],
) -> Option<PathPatterns> {
    match PathPatterns::compile(patterns) {
        Ok(patterns) => Some(patterns),
        Err(unread) => {
            decoder.report(written, "fewer or simpler patterns", unread.to_string());
            None
        }
    }
}

fn value<T: Clone>(written: &Option<Written<T>>) -> Option<T> {
    written.as_ref().map(|written| written.value.clone())
}

fn values<T: Clone>(written: &[Written<T>]) -> Vec<T> {
    written.iter().map(|written| written.value.clone()).collect()
}
