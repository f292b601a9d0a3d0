//! Asks an edge in place of the hosts that URLs name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use forebay_config::Listener;
use http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use sfv::{BareItem, ListEntry, Parser};
use ureq::config::Config;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use super::super::running::REMEDY;
use super::super::{Refusal, settings_file};
use super::summary::Outcome;
use crate::key::{Target, Url};

/// How long one request may take, its answer included.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a connection may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// How many redirects are followed, on the same site.
const MOST_REDIRECTS: usize = 3;
/// The name of our member of `Cache-Status`.
const OURS: &str = "forebay";
const CACHE_STATUS: &str = "cache-status";

/// Where an edge listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Without TLS.
    plain: Option<SocketAddr>,
    /// With TLS.
    secure: Option<SocketAddr>,
}

impl Place {
    /// That of the URL `edge`, or else where the settings file `config` has the edge listen.
    ///
    /// # Errors
    ///
    /// If that is no place.
    pub(super) fn of(edge: Option<&str>, config: Option<&Path>) -> Result<Self, Refusal> {
        let Some(edge) = edge else {
            let path = settings_file::path(config);
            let remedy = format!("{REMEDY}, or the edge with --edge");
            let settings = settings_file::open(&path, &remedy)?.parse()?.settings;
            return Ok(Self::of_listeners(&settings.listeners));
        };
        let Url { scheme, authority, .. } = Url::split(edge);
        let is_secure = match scheme.as_str() {
            "http" => false,
            "https" => true,
            _ => {
                return Err(
                    format!("--edge: {edge:?} is no URL such as http://127.0.0.1:8080").into()
                );
            }
        };
        let port = if is_secure { 443 } else { 80 };
        let resolve = || match authority.to_socket_addrs() {
            Ok(found) => Ok(found),
            Err(_no_port) => format!("{authority}:{port}").to_socket_addrs(),
        };
        let address =
            resolve().map_err(|error| format!("--edge: cannot find {edge}: {error}"))?.next();
        let address = address.ok_or_else(|| format!("--edge: {edge} has no address"))?;
        Ok(if is_secure {
            Self { plain: None, secure: Some(address) }
        } else {
            Self { plain: Some(address), secure: None }
        })
    }

    fn of_listeners(listeners: &[Listener]) -> Self {
        let first = |has_tls: bool| {
            let listener = listeners.iter().find(|listener| listener.tls.is_some() == has_tls)?;
            Some(reachable(listener.address))
        };
        Self { plain: first(false), secure: first(true) }
    }

    /// By which scheme `target` is asked for: by its own, if there is a listener for that. Where TLS
    /// ends before the edge, there is none.
    fn scheme(&self, target: &Target) -> &'static str {
        let wants_secure = target.scheme().as_str() == "https";
        match (self.plain, self.secure) {
            (Some(_), None) => "http",
            (None, _) => "https",
            (Some(_), Some(_)) => {
                if wants_secure {
                    "https"
                } else {
                    "http"
                }
            }
        }
    }

    fn address(&self, scheme: Option<&str>) -> Option<SocketAddr> {
        if scheme == Some("https") { self.secure } else { self.plain }
    }
}

/// Where one connects to who listens on `address`.
const fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// Finds every host where the edge is.
impl Resolver for Place {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        found.push(self.address(uri.scheme_str()).ok_or(ureq::Error::HostNotFound)?);
        Ok(found)
    }
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Asking {
    agent: Agent,
    place: Place,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Asking {
    /// Asks the edge at `place` over so many connections, with `fields` beside its own.
    ///
    /// # Errors
    ///
    /// If the edge listens nowhere.
    pub(super) fn new(
        place: Place,
        insecure: bool,
        connections: u16,
        fields: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self, Refusal> {
        if place == (Place { plain: None, secure: None }) {
            return Err("the settings have no listener".into());
        }
        let config = Config::builder()
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(CONNECTS_WITHIN))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The edge itself is asked, whatever stands between other programs and the net.
            .proxy(None)
            .max_idle_connections(usize::from(connections))
            .max_idle_connections_per_host(usize::from(connections))
            .tls_config(TlsConfig::builder().disable_verification(insecure).build())
            .user_agent(concat!("forebay-warm/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::new(), place);
        Ok(Self { agent, place, fields })
    }

    /// Finds out whether the edge is there at all.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub(super) fn is_there(&self) -> Result<(), Refusal> {
        for address in [self.place.plain, self.place.secure].into_iter().flatten() {
            TcpStream::connect_timeout(&address, CONNECTS_WITHIN).map_err(|error| {
                format!("cannot reach {address}: {error}; is the edge running?")
            })?;
        }
        Ok(())
    }

    /// Asks for `target` with this `Accept-Encoding`, and reads all of the answer.
    pub(super) fn ask(&self, target: &Target, codings: &HeaderValue) -> Outcome {
        let mut target = target.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = match self.send(&target, codings) {
                Ok(answer) => answer,
                Err(error) => return Outcome::Failed(error.to_string()),
            };
            let next = redirect(&target, &answer);
            let (parts, body) = answer.into_parts();
            if let Err(error) = io::copy(&mut body.into_reader(), &mut io::sink()) {
                return Outcome::Failed(format!("the answer broke off: {error}"));
            }
            match next {
                Some(next) => target = next,
                None => return outcome(&Response::from_parts(parts, ())),
            }
        }
        Outcome::Failed(format!("more than {MOST_REDIRECTS} redirects"))
    }

    /// The body of `target`, which may have `most` bytes.
    ///
    /// # Errors
    ///
    /// Why it cannot be had.
    pub(super) fn whole(&self, target: &Target, most: u64) -> Result<Vec<u8>, String> {
        let identity = HeaderValue::from_static("identity");
        let mut target = target.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut answer = self.send(&target, &identity).map_err(|error| error.to_string())?;
            if let Some(next) = redirect(&target, &answer) {
                target = next;
                continue;
            }
            if answer.status() != StatusCode::OK {
                return Err(format!("the edge answered {}", answer.status()));
            }
            let body = answer.body_mut().with_config().limit(most).read_to_vec();
            return body.map_err(|error| error.to_string());
        }
        Err(format!("more than {MOST_REDIRECTS} redirects"))
    }

    fn send(&self, target: &Target, codings: &HeaderValue) -> Result<Response<Body>, ureq::Error> {
        let scheme = self.place.scheme(target);
        let url = format!("{scheme}://{}{}", target.authority(), target.path_and_query());
        let mut request = self.agent.get(url).header(header::ACCEPT_ENCODING, codings);
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        request.call()
    }
}

/// Where `answer` sends who asked for `target`, if that is on the same site.
fn redirect<B>(target: &Target, answer: &Response<B>) -> Option<Target> {
    let status = answer.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let place = answer.headers().get(header::LOCATION)?.to_str();
    let next = place.map_or(None, |place| target.join(place))?;
    (next.authority() == target.authority() && next != *target).then_some(next)
}

/// What came of a request, as the answer tells.
fn outcome(answer: &Response<()>) -> Outcome {
    let status = answer.status();
    let Some(said) = said(answer) else {
        return Outcome::Failed(format!("answered {status}, by no edge of this kind"));
    };
    let Said { is_hit, is_stored, detail } = said;
    if status.is_client_error() || status.is_server_error() {
        let why = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
        return Outcome::Failed(format!("answered {}{why}", status.as_u16()));
    }
    match (is_hit, is_stored) {
        (true, _) => Outcome::Hit,
        (false, true) => Outcome::Stored,
        (false, false) => Outcome::NotStored(detail.unwrap_or_else(|| "no reason told".to_owned())),
    }
}

/// What our member of `Cache-Status` says (RFC 9211 §2).
struct Said {
    is_hit: bool,
    is_stored: bool,
    detail: Option<String>,
}

fn said(answer: &Response<()>) -> Option<Said> {
    let lines: Vec<&[u8]> =
        answer.headers().get_all(CACHE_STATUS).iter().map(HeaderValue::as_bytes).collect();
    let Ok(list) = Parser::parse_list(&lines.join(&b", "[..])) else { return None };
    let text = |item: &BareItem| item.as_token().or_else(|| item.as_str()).map(str::to_owned);
    // The last is the nearest to us.
    list.iter().rev().find_map(|member| {
        let ListEntry::Item(item) = member else { return None };
        let is = |name: &str| item.params.get(name) == Some(&BareItem::Boolean(true));
        let detail = item.params.get("detail").and_then(text);
        let is_ours = text(&item.bare_item).as_deref() == Some(OURS);
        is_ours.then(|| Said { is_hit: is("hit"), is_stored: is("stored"), detail })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, cache_status: &str, expected: &Outcome) {
        let answer = Response::builder().status(status).header(CACHE_STATUS, cache_status);
        assert_eq!(outcome(&answer.body(()).unwrap()), *expected, "{status} {cache_status}");
    }

    #[test]
    fn tells_what_came_of_a_request() {
        let not_stored = |why: &str| Outcome::NotStored(why.to_owned());
        let failed = |why: &str| Outcome::Failed(why.to_owned());
        check(200, "forebay; hit; ttl=5", &Outcome::Hit);
        check(200, "forebay; fwd=uri-miss; fwd-status=200; stored", &Outcome::Stored);
        check(200, "other; hit, forebay; fwd=uri-miss; stored", &Outcome::Stored);
        check(200, "forebay; fwd=uri-miss; detail=no-store", &not_stored("no-store"));
        check(200, "forebay; fwd=uri-miss; collapsed", &not_stored("no reason told"));
        check(404, "forebay; fwd=uri-miss; stored", &failed("answered 404"));
        check(502, "forebay; detail=origin-timeout", &failed("answered 502 (origin-timeout)"));
        check(200, "other; hit", &failed("answered 200 OK, by no edge of this kind"));
        check(200, "forebay; ;", &failed("answered 200 OK, by no edge of this kind"));
    }

    #[test]
    fn follows_a_redirect_on_its_own_site_alone() {
        let target = Target::parse("https", "a.example", "/b").unwrap();
        let to = |status: u16, place: &str| {
            let answer = Response::builder().status(status).header(header::LOCATION, place);
            redirect(&target, &answer.body(()).unwrap()).map(|next| next.to_string())
        };
        assert_eq!(to(301, "/b/").as_deref(), Some("https://a.example/b/"));
        assert_eq!(to(307, "http://a.example/c").as_deref(), Some("http://a.example/c"));
        for (status, place) in [
            (301, "https://b.example/"),
            (301, "https://a.example:81/"),
            (301, "/b"),
            (301, "http://["),
            (304, "/c"),
            (200, "/c"),
        ] {
            assert_eq!(to(status, place), None, "{status} {place}");
        }
    }

    #[test]
    fn finds_the_listeners_of_the_settings() {
        let listener = |address: &str, has_tls: bool| Listener {
            name: "a".to_owned(),
            address: address.parse().unwrap(),
            tls: has_tls.then(|| forebay_config::Tls { cert: "c".into(), key: "k".into() }),
        };
        let place = Place::of_listeners(&[
            listener("0.0.0.0:443", true),
            listener("[::]:80", false),
            listener("127.0.0.1:81", false),
        ]);
        let expected = |address: &str| Some(address.parse().unwrap());
        assert_eq!((place.plain, place.secure), (expected("[::1]:80"), expected("127.0.0.1:443")));
        let target = |scheme: &str| Target::parse(scheme, "a.example", "/").unwrap();
        assert_eq!(
            (place.scheme(&target("http")), place.scheme(&target("https"))),
            ("http", "https")
        );
        let plain = Place { secure: None, ..place };
        assert_eq!(plain.scheme(&target("https")), "http");
        let secure = Place { plain: None, ..place };
        assert_eq!(secure.scheme(&target("http")), "https");
    }
}
