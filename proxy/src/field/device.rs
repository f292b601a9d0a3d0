//! Which class of device asks, by `Sec-CH-UA-Mobile` and `User-Agent`.

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The field in which the origin is told.
pub const FOREBAY_DEVICE: HeaderName = HeaderName::from_static("forebay-device");

/// `Sec-CH-UA-Mobile` (User-Agent Client Hints).
pub const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");

/// A class of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A phone.
    Mobile,
    /// A tablet.
    Tablet,
    /// Anything else, programs included.
    Desktop,
}

impl Device {
    /// The class that the request seems to come from.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
        let says = |word: &[u8]| agent.windows(word.len()).any(|window| window == word);
        let hint = headers.get(SEC_CH_UA_MOBILE).map(HeaderValue::as_bytes);
        let phone = hint == Some(b"?1") || says(b"Mobi") || says(b"iPhone");
        if says(b"iPad") || says(b"Tablet") || (says(b"Android") && !phone) {
            Self::Tablet
        } else if phone {
            Self::Mobile
        } else {
            Self::Desktop
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Desktop => "desktop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(agent: &str, hint: &str, expected: Device) {
        let mut headers = testing::lines("user-agent", &[agent]);
        testing::append(&mut headers, "sec-ch-ua-mobile", &[hint]);
        assert_eq!(Device::of(&headers), expected, "{agent} {hint}");
    }

    #[test]
    fn knows_phones_tablets_and_the_rest() {
        let android = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0";
        check(&format!("{android} Mobile Safari/537.36"), "?1", Device::Mobile);
        check(&format!("{android} Safari/537.36"), "?0", Device::Tablet);
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile/15E148";
        check(iphone, "", Device::Mobile);
        check("Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) Mobile/15E148", "", Device::Tablet);
        check("Mozilla/5.0 (Android 15; Tablet; rv:140.0) Firefox/140.0", "", Device::Tablet);
        check("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0", "?0", Device::Desktop);
        check("curl/8.14.1", "", Device::Desktop);
        check("", "", Device::Desktop);
    }
}
