//! `POST /purge`: takes back what is stored; `GET /purge/{id}`: what came of it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::Answer;
use crate::edge::Shared;
use crate::edge::purge::{Wish, Written};
use crate::field::tags::MAX_TAGS;
use crate::key::{Target, TargetError, Url};
use crate::store::position::Position;
use crate::store::purges::{Group, Prefix};
use crate::stored::TagHash;

/// How long an answer waits until it is counted what was purged.
const COUNTED_WITHIN: Duration = Duration::from_millis(50);

/// Why a wish cannot be understood.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("the body is no wish in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("say one of \"url\", \"prefix\", \"tag\", \"tags\" and \"all\": true")]
    NotOne,
    #[error("\"tags\" has {0}, and may have {MAX_TAGS}")]
    TooMany(usize),
    #[error("{0:?} is no URL: say the whole of it, such as https://shop.example/a.css")]
    NoUrl(String),
    #[error("{0:?} is no prefix: https://shop.example/assets/ is one, and /assets/ on every host")]
    NoPrefix(String),
    #[error("{url:?} cannot be asked for")]
    Target { url: String, source: TargetError },
}

/// Purges what this `body` wishes.
pub(super) async fn answer(shared: &Arc<Shared>, body: &[u8]) -> Answer {
    let read = || -> Result<(Written, Wish), Unclear> {
        let written: Written = serde_json::from_slice(body)?;
        let wish = wish(&written)?;
        Ok((written, wish))
    };
    match read() {
        Ok((written, wish)) => {
            let receipt = shared.purge(written, wish).await;
            receipt.counted(COUNTED_WITHIN).await;
            Answer::json(&*receipt)
        }
        Err(unclear) => Answer::text(StatusCode::BAD_REQUEST, &super::with_causes(&unclear)),
    }
}

/// The receipt with this id.
pub(super) fn receipt(shared: &Shared, id: &str) -> Answer {
    let receipt = match id.parse::<Position>() {
        Ok(id) => shared.receipts.of(id),
        Err(error) => return Answer::text(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match receipt {
        Some(receipt) => Answer::json(&*receipt),
        None => {
            let text =
                format!("no purge {id} is known here: it is too long ago, or of another edge");
            Answer::text(StatusCode::NOT_FOUND, &text)
        }
    }
}

fn wish(written: &Written) -> Result<Wish, Unclear> {
    let Written { url, prefix, tag, tags, all, mode: _ } = written;
    let groups = |tags: &[String]| {
        let groups = tags.iter().map(|tag| Group::Tag(TagHash::of(tag)));
        Wish::Groups(groups.collect())
    };
    match (url, prefix, tag, tags.as_slice(), all) {
        (Some(url), None, None, [], false) => {
            let is_whole = url.contains("://");
            is_whole.then_some(()).ok_or_else(|| Unclear::NoUrl(url.clone()))?;
            target(url).map(|target| Wish::Urls(vec![target]))
        }
        (None, Some(text), None, [], false) => {
            prefix_of(text).map(|prefix| Wish::Groups(vec![Group::Prefix(prefix)]))
        }
        (None, None, Some(tag), [], false) => Ok(groups(std::slice::from_ref(tag))),
        (None, None, None, [_, ..], false) if tags.len() > MAX_TAGS => {
            Err(Unclear::TooMany(tags.len()))
        }
        (None, None, None, tags @ [_, ..], false) => Ok(groups(tags)),
        (None, None, None, [], true) => Ok(Wish::Groups(vec![Group::All])),
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
        Wish::Groups(vec![Group::Prefix(Prefix { site, path: path.to_owned() })])
    }

    #[test]
    fn reads_what_is_to_be_purged() {
        let url = wished(r#"{"url": "https://Shop.example:443/a/../b?c=d#e"}"#);
        let expected = Target::parse("https", "shop.example", "/b?c=d").unwrap();
        assert_eq!(url, Ok(Wish::Urls(vec![expected])));
        let site = Some(("https", "shop.example"));
        assert_eq!(wished(r#"{"prefix": "https://shop.example"}"#), Ok(prefix(site, "/")));
        assert_eq!(wished(r#"{"prefix": "https://shop.example/a."}"#), Ok(prefix(site, "/a.")));
        assert_eq!(wished(r#"{"prefix": "/assets/"}"#), Ok(prefix(None, "/assets/")));
        let tags = |tags: &[&str]| {
            Ok(Wish::Groups(tags.iter().map(|tag| Group::Tag(TagHash::of(tag))).collect()))
        };
        assert_eq!(wished(r#"{"tag": "one two", "mode": "hard"}"#), tags(&["one two"]));
        assert_eq!(wished(r#"{"tags": ["one", "two"]}"#), tags(&["one", "two"]));
        assert_eq!(wished(r#"{"all": true}"#), Ok(Wish::Groups(vec![Group::All])));
    }

    #[test]
    fn refuses_in_a_sentence_what_it_cannot_purge() {
        for (body, expected) in [
            ("{}", "say one of \"url\""),
            (r#"{"all": false}"#, "say one of"),
            (r#"{"all": true, "tag": "a"}"#, "say one of"),
            (r#"{"tag": "a", "tags": ["b"]}"#, "say one of"),
            (r#"{"tags": []}"#, "say one of"),
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
