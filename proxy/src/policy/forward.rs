//! Decides what goes to the origin in a request that the cache makes (RFC 9110 §7.6, RFC 9111
//! §4.3.1).

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::field::hop;
use crate::field::range::{ByteRange, RangeSpec};

/// Fields in which a client could speak for a proxy. None is believed: what is not in the key and
/// may change the answer would let one client poison it for all.
const FORGED: [HeaderName; 20] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-scheme"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-http-method"),
];

/// The fields in which the origin is told who asks.
pub const VOUCHED: [HeaderName; 4] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    header::VIA,
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
    /// `http` or `https`.
    pub scheme: &'static str,
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
pub fn vouch(fields: &mut HeaderMap, client: &Client) {
    for name in &FORGED {
        fields.remove(name);
    }
    // An origin behind CGI reads `_` as `-`: one field could be taken for another.
    let doubtful: Vec<_> =
        fields.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
    for name in doubtful {
        fields.remove(name);
    }
    let mut say = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            fields.append(name, value);
        }
    };
    if let Some(address) = client.address {
        say(HeaderName::from_static("x-forwarded-for"), &address.to_string());
    }
    say(HeaderName::from_static("x-forwarded-proto"), client.scheme);
    say(HeaderName::from_static("x-forwarded-host"), &client.host);
    say(header::VIA, &format!("{} forebay", client.version));
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
    if client.address.is_none() {
        // Asked in nobody's name: what one client may see must not be stored for all.
        fields.remove(header::COOKIE);
        fields.remove(header::AUTHORIZATION);
    }
    vouch(&mut fields, client);
    match purpose {
        Purpose::Whole => drop(fields.remove(header::RANGE)),
        Purpose::Part => {}
        Purpose::Validate(stored) => {
            fields.remove(header::RANGE);
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
