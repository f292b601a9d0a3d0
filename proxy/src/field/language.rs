//! `Accept-Language`, and which of some languages fits it best (RFC 9110 §12.5.4, RFC 4647).

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::preference;

/// The one of `languages` that the client likes best; the first where it likes none of them, or
/// does not say.
#[must_use]
pub fn best<'a>(headers: &HeaderMap, languages: &'a [String]) -> Option<&'a str> {
    let mut best: Option<(u16, &str)> = None;
    for (range, weight) in preference::weighted(headers, &ACCEPT_LANGUAGE) {
        if weight == 0 || best.is_some_and(|(found, _)| found >= weight) {
            continue;
        }
        if let Some(language) = fitting(range, languages) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language).or_else(|| languages.first().map(String::as_str))
}

/// The language that fits `range`: the same, one more general (`de` for `de-AT`, RFC 4647 §3.4),
/// or the first that is more special (`pt-BR` for `pt`, RFC 4647 §3.3.1).
fn fitting<'a>(range: &[u8], languages: &'a [String]) -> Option<&'a str> {
    if range == b"*" {
        return languages.first().map(String::as_str);
    }
    let named = |range: &[u8]| {
        languages.iter().find(|one| one.as_bytes().eq_ignore_ascii_case(range)).map(String::as_str)
    };
    let mut general = range;
    loop {
        if let Some(language) = named(general) {
            return Some(language);
        }
        let Some(cut) = general.iter().rposition(|&byte| byte == b'-') else { break };
        general = general.split_at(cut).0;
    }
    languages.iter().map(String::as_str).find(|language| {
        let start = language.as_bytes().split_at_checked(range.len());
        start.is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(range) && rest.first() == Some(&b'-')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::testing;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let languages = ["en", "de", "pt-BR", "zh-Hant-TW"].map(str::to_owned);
        let headers = testing::lines("accept-language", &[line]);
        assert_eq!(best(&headers, &languages), Some(expected), "{line}");
    }

    #[test]
    fn finds_the_language_that_fits() {
        check("de", "de");
        check("DE-at, en;q=0.9", "de");
        check("pt", "pt-BR");
        check("pt-br", "pt-BR");
        check("pt-PT, de;q=0.5", "de");
        check("zh-Hant", "zh-Hant-TW");
    }

    #[test]
    fn prefers_what_weighs_more_and_comes_first() {
        check("en;q=0.8, de;q=0.9", "de");
        check("de, en", "de");
        check("fr, *;q=0.5", "en");
        check("fr;q=1, de;q=0.1", "de");
    }

    #[test]
    fn falls_back_on_the_first() {
        for line in ["", "fr", "de;q=0", "d", "-", ";;,", "enx"] {
            check(line, "en");
        }
        assert_eq!(best(&HeaderMap::new(), &[]), None);
    }
}
