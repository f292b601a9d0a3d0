//! `POST /purge`: takes back what is stored.

use forebay_config::Routes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::edge::Shared;
use crate::key::{Key, Target, TargetError, Url};
use crate::observe::Observer;
use crate::policy::decide;
use crate::store::purges::{At, Group, Prefix, Purge};
use crate::stored::TagHash;
use crate::time;

/// A wish, as it is written: one of the first four, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// A URL, with its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How URLs begin, or their paths on every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A tag of the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Whether it is gone, or still answers in place of an origin that fails.
    #[serde(default)]
    pub mode: Mode,
}

/// What becomes of what is purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It answers only in place of an origin that fails.
    #[default]
    Soft,
    /// It is gone.
    Hard,
}

/// What was purged.
#[derive(Debug, Serialize)]
struct Receipt {
    /// A number of its own, of this edge since it began.
    id: u64,
    #[serde(flatten)]
    purged: Written,
    /// How many stored responses it was, where that is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
}

/// Why a wish cannot be understood.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("the body is no wish in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("say one of \"url\", \"prefix\", \"tag\" and \"all\": true")]
    NotOne,
    #[error("{0:?} is no URL: say the whole of it, such as https://shop.example/a.css")]
    NoUrl(String),
    #[error("{0:?} is no prefix: https://shop.example/assets/ is one, and /assets/ on every host")]
    NoPrefix(String),
    #[error("{url:?} cannot be asked for")]
    Target { url: String, source: TargetError },
}

/// What is to be purged.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Url(Target),
    Group(Group),
}

/// Purges what this `body` wishes.
pub(super) async fn answer(shared: &Shared, observer: &Observer, body: &[u8]) -> Answer {
    let read = || -> Result<(Written, Wish), Unclear> {
        let written: Written = serde_json::from_slice(body)?;
        let wish = wish(&written)?;
        Ok((written, wish))
    };
    let (purged, wish) = match read() {
        Ok(read) => read,
        Err(unclear) => {
            return Answer::text(StatusCode::BAD_REQUEST, &super::with_causes(&unclear));
        }
    };
    let mode = match purged.mode {
        Mode::Soft => Purge::Soft,
        Mode::Hard => Purge::Hard,
    };
    let at = At::Log(shared.store.purges().newest().next(time::now()));
    let count = match wish {
        Wish::Url(target) => {
            let snapshot = shared.snapshot();
            let keys = keys(&snapshot.settings.routes, &target);
            let (count, rest) = shared.store.purge(&keys, mode, at);
            rest.await;
            Some(count)
        }
        Wish::Group(group) => {
            shared.store.purge_group(group, mode, at);
            None
        }
    };
    log::info!("purged: {}", serde_json::json!(purged));
    Answer::json(&Receipt { id: observer.purged(), purged, count })
}

/// The keys under which something may be stored for `target`, each once.
fn keys(routes: &Routes, target: &Target) -> Vec<Key> {
    let mut keys: Vec<_> = decide::keys(routes, target).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn wish(written: &Written) -> Result<Wish, Unclear> {
    let Written { url, prefix, tag, all, mode: _ } = written;
    match (url, prefix, tag, all) {
        (Some(url), None, None, false) => {
            let is_whole = url.contains("://");
            is_whole.then_some(()).ok_or_else(|| Unclear::NoUrl(url.clone()))?;
            target(url).map(Wish::Url)
        }
        (None, Some(text), None, false) => {
            prefix_of(text).map(|prefix| Wish::Group(Group::Prefix(prefix)))
        }
        (None, None, Some(tag), false) => Ok(Wish::Group(Group::Tag(TagHash::of(tag)))),
        (None, None, None, true) => Ok(Wish::Group(Group::All)),
        _ => Err(Unclear::NotOne),
    }
}

fn target(url: &str) -> Result<Target, Unclear> {
    let Url { scheme, authority, path } = Url::split(url);
    Target::parse(&scheme, &authority, &path)
        .map_err(|source| Unclear::Target { url: url.to_owned(), source })
}

fn prefix_of(text: &str) -> Result<Prefix, Unclear> {
    let has_site = text.contains("://");
    if (!has_site && !text.starts_with('/')) || text.contains(['?', '#', '*']) {
        return Err(Unclear::NoPrefix(text.to_owned()));
    }
    let target = target(text)?;
    let site = || (target.scheme().as_str().to_owned(), target.authority().to_owned());
    Ok(Prefix { site: has_site.then(site), path: target.path().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is purged on this wish, or why nothing is.
    fn wished(body: &str) -> Result<Wish, String> {
        let written = serde_json::from_str(body).map_err(|error| error.to_string())?;
        wish(&written).map_err(|unclear| super::super::with_causes(&unclear))
    }

    fn prefix(site: Option<(&str, &str)>, path: &str) -> Wish {
        let site = site.map(|(scheme, authority)| (scheme.to_owned(), authority.to_owned()));
        Wish::Group(Group::Prefix(Prefix { site, path: path.to_owned() }))
    }

    #[test]
    fn reads_what_is_to_be_purged() {
        let url = wished(r#"{"url": "https://Shop.example:443/a/../b?c=d#e"}"#);
        let expected = Target::parse("https", "shop.example", "/b?c=d").unwrap();
        assert_eq!(url, Ok(Wish::Url(expected)));
        let site = Some(("https", "shop.example"));
        assert_eq!(wished(r#"{"prefix": "https://shop.example"}"#), Ok(prefix(site, "/")));
        assert_eq!(wished(r#"{"prefix": "https://shop.example/a."}"#), Ok(prefix(site, "/a.")));
        assert_eq!(wished(r#"{"prefix": "/assets/"}"#), Ok(prefix(None, "/assets/")));
        let tag = Wish::Group(Group::Tag(TagHash::of("one two")));
        assert_eq!(wished(r#"{"tag": "one two", "mode": "hard"}"#), Ok(tag));
        assert_eq!(wished(r#"{"all": true}"#), Ok(Wish::Group(Group::All)));
    }

    #[test]
    fn refuses_in_a_sentence_what_it_cannot_purge() {
        for (body, expected) in [
            ("{}", "say one of \"url\""),
            (r#"{"all": false}"#, "say one of"),
            (r#"{"all": true, "tag": "a"}"#, "say one of"),
            (r#"{"url": "/a"}"#, "\"/a\" is no URL: say the whole of it"),
            (r#"{"url": "ftp://a/"}"#, "cannot be asked for"),
            (r#"{"prefix": "assets/"}"#, "is no prefix"),
            (r#"{"prefix": "/a?b"}"#, "is no prefix"),
            (r#"{"prefix": "/assets/*"}"#, "is no prefix"),
            (r#"{"tga": "a"}"#, "unknown field `tga`"),
            (r#"{"tag": "a", "mode": "harsh"}"#, "expected `soft` or `hard`"),
        ] {
            let said = wished(body).unwrap_err();
            assert!(said.contains(expected), "{body}: {said}");
        }
    }
}
