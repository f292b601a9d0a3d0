//! Decides what goes to the origin in a request that the cache makes (RFC 9110 §7.6, RFC 9111
//! §4.3.1).

use std::net::IpAddr;

use forebay_config::KeyRules;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::event::Fwd;
use crate::field::hop;
use crate::field::range::{ByteRange, RangeSpec};
use crate::policy::partial;
use crate::policy::request::Ask;
use crate::stored::Stored;

/// Fields in which a client could speak for a proxy, beside all that begin with `x-forwarded-`.
/// None is believed: what is not in the key and may change the answer would let one client poison
/// it for all.
const FORGED: [&str; 15] = [
    "client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

/// Conditions that the cache evaluates itself, so that an answer is worth storing.
const CONDITIONS: [HeaderName; 5] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// Who asks, as the origin is told.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address; `None` when the cache asks for itself.
    pub address: Option<IpAddr>,
    /// `http` or `https`; `None` where an answer must not depend on it.
    pub scheme: Option<&'static str>,
    /// The host that was asked for.
    pub host: String,
    /// The version that it spoke, as `Via` tells it (RFC 9110 §7.6.3).
    pub version: &'static str,
}

/// What a request to the origin is for.
#[derive(Clone, Debug)]
pub enum Purpose<'a> {
    /// To get the whole.
    Whole,
    /// To get the part that the client asked for.
    Part,
    /// To learn whether what is stored with these fields still stands.
    Validate(&'a HeaderMap),
    /// To get the part that is missing in what is stored with these fields.
    Complete(&'a HeaderMap, ByteRange),
}

/// Says what a request that goes forward because of `why` asks the origin for, where `held` is what
/// is stored for it and the fields of that.
#[must_use]
pub fn purpose<'a>(
    ask: &Ask,
    fields: &HeaderMap,
    why: Fwd,
    held: Option<(&Stored, &'a HeaderMap)>,
) -> Purpose<'a> {
    let ranged = passes_range(&ask.method, fields);
    let part = held.and_then(|(stored, _)| stored.head.part.as_ref());
    match (held, part) {
        (Some((_, kept)), None) if can_validate(kept) => Purpose::Validate(kept),
        (Some((_, kept)), Some(part))
            if why == Fwd::Partial && ask.method == Method::GET && !ranged =>
        {
            partial::missing(kept, part)
                .map_or(Purpose::Whole, |missing| Purpose::Complete(kept, missing))
        }
        _ if ranged => Purpose::Part,
        _ => Purpose::Whole,
    }
}

/// Whether what is stored with the fields `kept` can be validated.
fn can_validate(kept: &HeaderMap) -> bool {
    kept.contains_key(header::ETAG) || kept.contains_key(header::LAST_MODIFIED)
}

/// Whether the `Range` of a request is passed on, so that its answer may be that part.
///
/// With `If-Range`, what the client wants depends on what the origin has: the whole is asked for,
/// and cut for the client.
#[must_use]
pub fn passes_range(method: &Method, fields: &HeaderMap) -> bool {
    *method == Method::GET
        && !fields.contains_key(header::IF_RANGE)
        && RangeSpec::parse(fields).is_some()
}

/// Removes what a client must not say to an origin, and says who asks.
///
/// Fields that are for one hop are left to the caller, who knows whether protocols are switched.
fn vouch(fields: &mut HeaderMap, client: &Client) {
    for name in forged(fields) {
        fields.remove(name);
    }
    for (name, value) in vouched(client) {
        fields.append(name, value);
    }
}

/// The names of the fields that a client must not say to an origin.
#[must_use]
pub fn forged(fields: &HeaderMap) -> Vec<HeaderName> {
    fields.keys().filter(|name| is_forged(name)).cloned().collect()
}

/// The fields in which the origin is told who asks, to be added to those that are there.
pub fn vouched(client: &Client) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let address = client.address.map(|address| address.to_string());
    [
        (HeaderName::from_static("x-forwarded-for"), address),
        (HeaderName::from_static("x-forwarded-proto"), client.scheme.map(str::to_owned)),
        (HeaderName::from_static("x-forwarded-host"), Some(client.host.clone())),
        (header::VIA, Some(format!("{} forebay", client.version))),
    ]
    .into_iter()
    .filter_map(|(name, value)| HeaderValue::try_from(value?).map_or(None, |it| Some((name, it))))
}

fn is_forged(name: &HeaderName) -> bool {
    let name = name.as_str();
    // An origin behind CGI reads `_` as `-`: one field could be taken for another.
    name.contains('_') || name.starts_with("x-forwarded-") || FORGED.contains(&name)
}

/// The fields that say in whose name is asked, on a route with `rules`. Cookies of which the rules
/// choose some that count do not.
pub fn personal(rules: &KeyRules) -> impl Iterator<Item = HeaderName> {
    let cookie = rules.cookies.is_none().then_some(header::COOKIE);
    [header::AUTHORIZATION].into_iter().chain(cookie)
}

/// Removes what says in whose name is asked: what one client may see must not be stored for all.
pub fn anonymise(fields: &mut HeaderMap, rules: &KeyRules) {
    for name in personal(rules) {
        fields.remove(name);
    }
}

/// The fields of a request to the origin, made of those of the client.
#[must_use]
pub fn fields(asked: &HeaderMap, client: &Client, purpose: &Purpose<'_>) -> HeaderMap {
    let mut fields = asked.clone();
    hop::strip_hop_by_hop(&mut fields);
    for name in &CONDITIONS {
        fields.remove(name);
    }
    // The answer is for the cache; none of these speak of a body, there is none.
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::EXPECT] {
        fields.remove(name);
    }
    vouch(&mut fields, client);
    if !matches!(purpose, Purpose::Part) {
        fields.remove(header::RANGE);
    }
    match purpose {
        Purpose::Whole | Purpose::Part => {}
        Purpose::Validate(stored) => {
            for (validator, condition) in [
                (header::ETAG, header::IF_NONE_MATCH),
                (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE),
            ] {
                if let Some(value) = stored.get(validator) {
                    fields.insert(condition, value.clone());
                }
            }
        }
        Purpose::Complete(stored, missing) => {
            let range = format!("bytes={}-{}", missing.first, missing.last);
            if let (Ok(range), Some(etag)) =
                (HeaderValue::from_str(&range), stored.get(header::ETAG))
            {
                fields.insert(header::RANGE, range);
                fields.insert(header::IF_RANGE, etag.clone());
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{head, print, rules};

    const TOLD: &str = "via: 1.1 forebay | x-forwarded-for: 192.0.2.1 \
                        | x-forwarded-host: a.example | x-forwarded-proto: https";
    const TOLD_FOR_NOBODY: &str =
        "via: 1.1 forebay | x-forwarded-host: a.example | x-forwarded-proto: https";

    fn client(address: Option<&str>) -> Client {
        Client {
            address: address.map(|address| address.parse().unwrap()),
            scheme: Some("https"),
            host: "a.example".to_owned(),
            version: "1.1",
        }
    }

    fn sorted(text: &str) -> String {
        print(&head(text))
    }

    /// What the origin is sent when a client with the fields `asked` is served, but for who asks.
    #[track_caller]
    fn check(asked: &str, purpose: &Purpose<'_>, expected: &str) {
        let sent = fields(&head(asked), &client(Some("192.0.2.1")), purpose);
        assert_eq!(print(&sent), sorted(&format!("{expected} | {TOLD}")), "{asked}");
    }

    #[test]
    fn passes_on_what_the_client_asks_for() {
        check("", &Purpose::Whole, "");
        let asked = "Accept: a/b | Accept: c/d | Cache-Control: no-cache | Cookie: a=b \
                     | Authorization: Basic eA== | User-Agent: x | X-Own: y";
        check(asked, &Purpose::Whole, asked);
    }

    #[test]
    fn leaves_out_what_is_for_one_hop() {
        let asked = "Connection: x-own, close | X-Own: y | Keep-Alive: timeout=5 | TE: trailers \
                     | Transfer-Encoding: chunked | Upgrade: h2c | Proxy-Authorization: x \
                     | Accept: a/b";
        check(asked, &Purpose::Whole, "Accept: a/b");
    }

    #[test]
    fn leaves_out_the_conditions_of_the_client() {
        let asked = "If-None-Match: \"x\" | If-Modified-Since: x | If-Match: \"x\" \
                     | If-Unmodified-Since: x | If-Range: \"x\" | Range: bytes=0-1";
        check(asked, &Purpose::Whole, "");
        check(asked, &Purpose::Part, "Range: bytes=0-1");
        check(asked, &Purpose::Validate(&head("ETag: \"a\"")), "If-None-Match: \"a\"");
    }

    #[test]
    fn announces_no_body() {
        check("Content-Length: 5 | Content-Type: a/b | Expect: 100-continue", &Purpose::Whole, "");
    }

    #[test]
    fn validates_with_every_validator_that_is_stored() {
        let stored = head("ETag: W/\"a\" | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT | Age: 1");
        let sent = "If-None-Match: W/\"a\" | If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT";
        check("Range: bytes=0-1", &Purpose::Validate(&stored), sent);
        let stored = head("Last-Modified: x");
        check("", &Purpose::Validate(&stored), "If-Modified-Since: x");
    }

    #[test]
    fn asks_for_what_is_missing_only_of_the_same_version() {
        let missing = ByteRange { first: 5, last: 9 };
        let stored = head("ETag: \"a\"");
        let sent = "Range: bytes=5-9 | If-Range: \"a\"";
        check("", &Purpose::Complete(&stored, missing), sent);
        check("Range: bytes=0-1", &Purpose::Complete(&stored, missing), sent);
        check("Range: bytes=0-1", &Purpose::Complete(&head(""), missing), "");
    }

    #[test]
    fn asks_in_nobodys_name_without_saying_who() {
        let mut asked = head("Cookie: a=b | Cookie: c=d | Authorization: Basic eA== | Accept: a/b");
        anonymise(&mut asked, &rules("").key);
        let sent = fields(&asked, &client(None), &Purpose::Whole);
        assert_eq!(print(&sent), sorted(&format!("Accept: a/b | {TOLD_FOR_NOBODY}")));
    }

    #[test]
    fn asks_in_nobodys_name_with_the_cookies_that_count() {
        let mut asked = head("Cookie: theme=dark | Authorization: Basic eA==");
        anonymise(&mut asked, &rules("key = { cookies = ['theme'] }").key);
        assert_eq!(print(&asked), sorted("Cookie: theme=dark"));
    }

    #[test]
    fn believes_no_field_in_which_a_client_speaks_for_a_proxy() {
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Client-Cert",
            "X_Forwarded_Proto",
            "X-Forwarded_Port",
            "X-Real-IP",
            "x_real_ip",
            "True-Client-IP",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method-Override",
            "X-Host",
        ] {
            check(&format!("{name}: evil | Accept: a/b"), &Purpose::Whole, "Accept: a/b");
        }
    }

    #[test]
    fn adds_itself_behind_the_proxies_that_came_before() {
        let mut fields = head("Via: 2 other | X-Forwarded-For: 198.51.100.7");
        vouch(&mut fields, &client(Some("2001:db8::1")));
        let via: Vec<_> = fields.get_all(header::VIA).iter().collect();
        assert_eq!(via, ["2 other", "1.1 forebay"]);
        let from: Vec<_> = fields.get_all("x-forwarded-for").iter().collect();
        assert_eq!(from, ["2001:db8::1"]);
    }

    proptest! {
        #[test]
        fn never_lets_a_forged_field_through(
            names in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(&FORGED[..]).prop_map(str::to_owned),
                    "[xX][-_][fF]orwarded[-_][a-z]{1,9}",
                    "[a-z]{1,5}",
                ],
                0..8,
            ),
            underscores: bool,
            part: bool,
        ) {
            let mut asked = HeaderMap::new();
            for name in names {
                let name = if underscores { name.replace('-', "_") } else { name };
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                asked.append(name, HeaderValue::from_static("evil"));
            }
            let purpose = if part { Purpose::Part } else { Purpose::Whole };
            let sent = fields(&asked, &client(None), &purpose);
            for (name, value) in &sent {
                let forged = name == "forwarded" || name.as_str().contains(['-', '_']);
                prop_assert!(value != "evil" || !forged, "{name}");
            }
        }
    }
}
