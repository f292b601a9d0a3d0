//! Chooses between English and German as `Accept-Language` asks (RFC 9110 §12.5.4).

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language that the catalogue is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
}

impl Language {
    /// The language that the client weighs highest; English if it has no wish or a tie.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut weights = Weights::default();
        for value in headers.get_all(ACCEPT_LANGUAGE) {
            if let Ok(text) = value.to_str() {
                weights.read(text);
            }
        }
        if weights.german() > weights.english() { Self::German } else { Self::English }
    }

    /// The language tag, for `Content-Language`.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The text of the two that is in this language.
    pub(super) const fn choose<'a>(self, text: &Text<'a>) -> &'a str {
        match self {
            Self::English => text.en,
            Self::German => text.de,
        }
    }
}

/// The same text in both languages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) en: &'a str,
    pub(super) de: &'a str,
}

/// Quality values in thousandths; `None` where the client named no such range.
#[derive(Default)]
struct Weights {
    english: Option<u16>,
    german: Option<u16>,
    any: Option<u16>,
}

impl Weights {
    fn read(&mut self, list: &str) {
        for range in list.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let slot = match primary.as_str() {
                "en" => &mut self.english,
                "de" => &mut self.german,
                "*" => &mut self.any,
                _ => continue,
            };
            *slot = Some(slot.unwrap_or(0).max(quality(parameters)));
        }
    }

    fn english(&self) -> u16 {
        self.english.or(self.any).unwrap_or(0)
    }

    fn german(&self) -> u16 {
        self.german.or(self.any).unwrap_or(0)
    }
}

/// The weight in thousandths; a weight that cannot be read counts for nothing.
fn quality(parameters: &str) -> u16 {
    let Some((name, value)) = parameters.split_once('=') else { return 1000 };
    if !name.trim().eq_ignore_ascii_case("q") {
        return 1000;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    match whole {
        "1" => 1000,
        "0" => digits.fold(0, |sum, digit| {
            sum * 10 + if digit.is_ascii_digit() { u16::from(digit - b'0') } else { 0 }
        }),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(accept: &'static str, expected: Language) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        assert_eq!(Language::of(&headers), expected, "{accept}");
    }

    #[test]
    fn speaks_english_when_nothing_is_asked() {
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn follows_the_highest_weight() {
        check("de", Language::German);
        check("de-AT", Language::German);
        check("DE, en;q=0.9", Language::German);
        check("en;q=0.8, de;q=0.9", Language::German);
        check("en-GB, de;q=0.9", Language::English);
        check("fr, *;q=0.5", Language::English);
        check("en;q=0, *;q=0.5", Language::German);
        check("de;q=0.001, en;q=0", Language::German);
        check("de;q=much", Language::English);
        check("", Language::English);
    }
}
