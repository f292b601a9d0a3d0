//! Finds the route of a request: the first whose conditions all hold.

mod index;

use std::fmt;
use std::sync::Arc;

use crate::condition::{Condition, Fields};
use crate::host::{HostPattern, bare_host};
use crate::pattern::PathPattern;
use crate::settings::{Origin, Policy};
use index::Index;

/// Where some requests go, and under which policy.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name; no other route has it.
    pub name: Arc<str>,
    /// Its place among the routes, from zero.
    pub index: usize,
    /// The line of the settings file where it begins.
    pub line: usize,
    /// The name of that file.
    pub file: Arc<str>,
    /// The path patterns; one match is enough, and none at all means every path.
    pub paths: Vec<PathPattern>,
    /// The host patterns; one match is enough, and none at all means every host.
    pub hosts: Vec<HostPattern>,
    /// The methods; none at all means every method.
    pub methods: Vec<String>,
    /// What may follow the last dot of a path, in lower case; none at all means anything.
    pub extensions: Vec<String>,
    /// What is wanted of header fields; all of it must hold.
    pub headers: Vec<Condition>,
    /// What is wanted of the parameters of the query; all of it must hold.
    pub query: Vec<Condition>,
    /// What is wanted of cookies; all of it must hold.
    pub cookies: Vec<Condition>,
    /// Who answers.
    pub origin: Arc<Origin>,
    /// How the answers are cached.
    pub policy: Arc<Policy>,
}

/// What the routes have to know of a request.
#[derive(Clone, Copy)]
pub struct RouteRequest<'a> {
    /// The host; a port is ignored.
    pub host: &'a str,
    /// The normalised path.
    pub path: &'a str,
    /// The method.
    pub method: &'a str,
    /// The query without its `?`.
    pub query: Option<&'a str>,
    /// The header fields, cookies among them. Nothing is read from them unless a route whose other
    /// conditions hold asks for it.
    pub fields: &'a dyn Fields,
}

/// The first condition of a route that does not hold for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch<'a> {
    /// No path pattern matches.
    Path,
    /// No host pattern matches.
    Host,
    /// The method is another.
    Method,
    /// The path has another extension, or none.
    Extension,
    /// The header fields of this name are not as wanted.
    Header(&'a str),
    /// The query parameters of this name are not as wanted.
    Query(&'a str),
    /// The cookies of this name are not as wanted.
    Cookie(&'a str),
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path"),
            Self::Host => f.write_str("host"),
            Self::Method => f.write_str("method"),
            Self::Extension => f.write_str("extension"),
            Self::Header(name) => write!(f, "header {name:?}"),
            Self::Query(name) => write!(f, "query {name:?}"),
            Self::Cookie(name) => write!(f, "cookie {name:?}"),
        }
    }
}

impl Route {
    /// Whether more than host, path and extension decides, so that two requests for one URI may
    /// take different routes.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        !(self.methods.is_empty()
            && self.headers.is_empty()
            && self.query.is_empty()
            && self.cookies.is_empty())
    }

    /// Where it begins: the file and the line.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// What keeps `request` from this route; nothing if it matches.
    #[must_use]
    pub fn mismatch(&self, request: &RouteRequest<'_>) -> Option<Mismatch<'_>> {
        if !(self.paths.is_empty() || self.paths.iter().any(|path| path.matches(request.path))) {
            return Some(Mismatch::Path);
        }
        if !self.has_host(bare_host(request.host)) {
            return Some(Mismatch::Host);
        }
        self.other_mismatch(request)
    }

    /// The same for a request whose path and host match.
    fn other_mismatch(&self, request: &RouteRequest<'_>) -> Option<Mismatch<'_>> {
        if !(self.methods.is_empty() || self.methods.iter().any(|m| m == request.method)) {
            return Some(Mismatch::Method);
        }
        if !self.has_extension_of(request.path) {
            return Some(Mismatch::Extension);
        }
        // What costs most comes last.
        let query = self.query.iter().find(|wanted| !wanted.holds_for_query(request.query));
        let header = || self.headers.iter().find(|wanted| !wanted.holds_for_fields(request.fields));
        let cookie =
            || self.cookies.iter().find(|wanted| !wanted.holds_for_cookies(request.fields));
        query
            .map(|wanted| Mismatch::Query(&wanted.name))
            .or_else(|| header().map(|wanted| Mismatch::Header(&wanted.name)))
            .or_else(|| cookie().map(|wanted| Mismatch::Cookie(&wanted.name)))
    }

    /// Whether one of its host patterns matches `host`, which has no port.
    fn has_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    fn has_extension_of(&self, path: &str) -> bool {
        self.extensions.is_empty()
            || extension(path).is_some_and(|found| {
                self.extensions.iter().any(|wanted| wanted.eq_ignore_ascii_case(found))
            })
    }
}

/// What follows the last dot of the last segment of a path.
fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    Some(name.rsplit_once('.')?.1)
}

/// Whether every request that `later` matches surely matches `earlier`, so that `later` is never
/// reached behind it; `false` tells nothing.
#[must_use]
pub fn covers(earlier: &Route, later: &Route) -> bool {
    covers_paths(earlier, later)
        && covers_all(&earlier.hosts, &later.hosts, HostPattern::covers)
        && covers_all(&earlier.methods, &later.methods, PartialEq::eq)
        && covers_all(&earlier.extensions, &later.extensions, PartialEq::eq)
        && follow(&earlier.headers, &later.headers)
        && follow(&earlier.query, &later.query)
        && follow(&earlier.cookies, &later.cookies)
}

fn covers_paths(earlier: &Route, later: &Route) -> bool {
    earlier.paths.iter().any(PathPattern::is_every)
        || covers_all(&earlier.paths, &later.paths, PathPattern::covers)
}

/// Whether each of `later` is covered by one of `earlier`; none at all stands for everything.
fn covers_all<T>(earlier: &[T], later: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    earlier.is_empty()
        || (!later.is_empty()
            && later.iter().all(|later| earlier.iter().any(|earlier| covers(earlier, later))))
}

/// Whether all of `earlier` holds where all of `later` does.
fn follow(earlier: &[Condition], later: &[Condition]) -> bool {
    earlier.iter().all(|condition| later.iter().any(|other| condition.follows_from(other)))
}

/// The routes; the first that matches a request is its route.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: Vec<Arc<Route>>,
    index: Index,
}

impl Routes {
    pub(crate) fn new(routes: Vec<Arc<Route>>) -> Self {
        let index = Index::new(&routes);
        Self { routes, index }
    }

    /// The first route that matches `request`.
    #[must_use]
    pub fn find(&self, request: &RouteRequest<'_>) -> Option<&Arc<Route>> {
        let host = bare_host(request.host);
        let first = self.index.first(host, request.path, |entry| {
            self.routes.get(entry.route()).is_some_and(|route| {
                entry.matches(route, host, request.path) && route.other_mismatch(request).is_none()
            })
        });
        self.routes.get(first?)
    }

    /// The routes that stand before the one of `request`, each with the first of its conditions
    /// that does not hold; all routes if none matches.
    #[must_use]
    pub fn trace(&self, request: &RouteRequest<'_>) -> Vec<(&Arc<Route>, Mismatch<'_>)> {
        self.routes.iter().map_while(|route| Some((route, route.mismatch(request)?))).collect()
    }

    /// The routes that requests for `host` and the normalised `path` may take, whatever else they
    /// carry, in their order. The last may be one that is not conditional: none behind it is ever
    /// reached.
    pub fn for_target(&self, host: &str, path: &str) -> impl Iterator<Item = &Arc<Route>> {
        let host = bare_host(host);
        let mut found = self.index.all(host, path, |entry| {
            self.routes.get(entry.route()).is_some_and(|route| {
                entry.matches(route, host, path) && route.has_extension_of(path)
            })
        });
        found.sort_unstable();
        found.dedup();
        let mut is_open = true;
        let routes = found.into_iter().filter_map(|index| self.routes.get(index));
        routes.take_while(move |route| std::mem::replace(&mut is_open, route.is_conditional()))
    }

    /// The routes that requests for `host` may take, whatever else they ask for, in their order.
    pub fn for_host(&self, host: &str) -> impl Iterator<Item = &Arc<Route>> {
        let host = bare_host(host);
        self.routes.iter().filter(move |route| route.has_host(host))
    }

    /// The routes, in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Route>> {
        self.routes.iter()
    }
}

impl<'a> IntoIterator for &'a Routes {
    type Item = &'a Arc<Route>;
    type IntoIter = std::slice::Iter<'a, Arc<Route>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Routes that match these, each the value of `match` in TOML.
    fn routes(matches: &[String]) -> Routes {
        let routes: String = matches
            .iter()
            .enumerate()
            .map(|(index, matched)| {
                format!(
                    "[[routes]]\nname = 'r{index}'\nmatch = {matched}\norigin = 'a'\n\
                     policy = 'api'\n"
                )
            })
            .collect();
        let text = format!(
            "version = 1\nlisteners.a.address = '127.0.0.1:0'\n\
             origins.a.servers = ['http://127.0.0.1:1']\n{routes}"
        );
        crate::parse("f", &text, std::path::Path::new(""), &|_| None)
            .unwrap_or_else(|faults| panic!("{faults}"))
            .routes
    }

    fn with_request<T>(host: &str, path: &str, ask: impl FnOnce(&RouteRequest<'_>) -> T) -> T {
        let fields = &Vec::<(String, String)>::new();
        ask(&RouteRequest { host, path, method: "GET", query: None, fields })
    }

    /// Checks that the index finds what a look at each route in turn does.
    fn check(routes: &Routes, host: &str, path: &str) {
        with_request(host, path, |request| {
            let naive = routes.iter().find(|route| route.mismatch(request).is_none());
            let naive = naive.map(|route| route.index);
            let found = routes.find(request).map(|route| route.index);
            assert_eq!(found, naive, "{host} {path} {routes:#?}");
            let tried = routes.trace(request);
            assert_eq!(tried.len(), naive.unwrap_or(routes.iter().len()));
            assert!(tried.iter().enumerate().all(|(index, (route, _))| route.index == index));
        });
        let mut naive = Vec::new();
        for route in routes {
            let path_matches =
                route.paths.is_empty() || route.paths.iter().any(|pattern| pattern.matches(path));
            if path_matches && route.has_host(bare_host(host)) && route.has_extension_of(path) {
                naive.push(route.index);
                if !route.is_conditional() {
                    break;
                }
            }
        }
        let found: Vec<_> = routes.for_target(host, path).map(|route| route.index).collect();
        assert_eq!(found, naive, "{host} {path} {routes:#?}");
    }

    fn any_match() -> impl Strategy<Value = String> {
        let host = select(vec![
            "a.test",
            "b.test",
            "b.a.test",
            "*.a.test",
            "*.test",
            "*.b.a.test",
            "[::1]",
        ]);
        let pattern = "(/(\\*\\*|[ab]|[ab]\\*|\\*b|\\[ab\\]|ab|\\*|)){1,4}|\\*\\*(/[ab*]){0,2}|(/a){15,18}(/\\*\\*)?";
        let option = |name: &str, values: Vec<String>| {
            (!values.is_empty()).then(|| format!("{name} = ['{}']", values.join("', '")))
        };
        let one = (vec(host, 0..3), vec(pattern, 0..3), 0..4_u8);
        one.prop_map(move |(hosts, paths, other)| {
            let hosts = option("host", hosts.into_iter().map(str::to_owned).collect());
            let paths = option("path", paths);
            let other = match other {
                0 => Some("extension = 'b'".to_owned()),
                1 => Some("method = 'POST'".to_owned()),
                _ => None,
            };
            let all: Vec<_> = [hosts, paths, other].into_iter().flatten().collect();
            format!("{{ {} }}", all.join(", "))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn the_index_finds_what_a_look_at_each_route_in_turn_does(
            matches in vec(any_match(), 1..12),
            hosts in vec("(b\\.)?(A|a|b)\\.test(:80|\\.)?|\\[::1\\]|\\.test|test|", 4),
            paths in vec("(/(a|b|ab|b\\.b|)){0,5}|(/a){15,19}|\\*", 12),
        ) {
            let routes = routes(&matches);
            for host in &hosts {
                for path in &paths {
                    check(&routes, host, path);
                }
            }
        }
    }

    #[test]
    fn many_hosts_and_many_paths_of_one_route_are_found() {
        let hosts: Vec<_> = (0..64).map(|index| format!("'h{index}.test'")).collect();
        let paths: Vec<_> = (0..64).map(|index| format!("'/p{index}/*'")).collect();
        let (hosts, paths) = (hosts.join(", "), paths.join(", "));
        let routes = routes(&[
            "{ host = 'h1.test', path = '/p1/*', method = 'POST' }".to_owned(),
            format!("{{ host = [{hosts}], path = [{paths}] }}"),
            "{ path = '/**' }".to_owned(),
        ]);
        for host in ["h0.test", "h1.test", "h63.test", "h64.test", "x"] {
            for path in ["/p0/a", "/p1/a", "/p63/b", "/p64/a", "/p1", "/"] {
                check(&routes, host, path);
            }
        }
        let index = |path| with_request("h63.test", path, |r| routes.find(r).map(|r| r.index));
        assert_eq!((index("/p63/x"), index("/p64/x")), (Some(1), Some(2)));
    }
}
