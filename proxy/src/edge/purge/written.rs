//! A purge as people and programs write it in JSON.

use serde::{Deserialize, Serialize};

use crate::store::log::{Mode, What, Wish};

/// A wish, as it is written: one of the first six, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// A URL, with its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Several of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// How URLs begin, or their paths on every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A tag of the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Several of them; one is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Whether it is gone, or still answers in place of an origin that fails.
    #[serde(default)]
    pub mode: Mode,
}

/// A wish is of nothing, or of things of several kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("say one of \"url\", \"urls\", \"prefix\", \"tag\", \"tags\" and \"all\": true")]
pub struct NotOne;

impl Written {
    /// About how many bytes it takes.
    pub(super) fn length(&self) -> usize {
        let Self { url, urls, prefix, tag, tags, all: _, mode: _ } = self;
        let texts = [url, prefix, tag].into_iter().flatten().chain(urls).chain(tags);
        texts.map(|text| text.len() + size_of::<String>()).sum()
    }
}

impl TryFrom<Written> for Wish {
    type Error = NotOne;

    fn try_from(written: Written) -> Result<Self, NotOne> {
        let Written { url, urls, prefix, tag, tags, all, mode } = written;
        let kinds = [
            Vec::from_iter(url.map(What::Url)),
            urls.into_iter().map(What::Url).collect(),
            Vec::from_iter(prefix.map(What::Prefix)),
            Vec::from_iter(tag.map(What::Tag)),
            tags.into_iter().map(What::Tag).collect(),
            Vec::from_iter(all.then_some(What::All)),
        ];
        let mut said = kinds.into_iter().filter(|what| !what.is_empty());
        match (said.next(), said.next()) {
            (Some(what), None) => Ok(Self { what, mode }),
            (None | Some(_), _) => Err(NotOne),
        }
    }
}

impl From<&Wish> for Written {
    fn from(wish: &Wish) -> Self {
        let mut written = Self { mode: wish.mode, ..Self::default() };
        for what in &wish.what {
            match what {
                What::Url(url) => written.urls.push(url.clone()),
                What::Prefix(prefix) => written.prefix = Some(prefix.clone()),
                What::Tag(tag) => written.tags.push(tag.clone()),
                What::All => written.all = true,
            }
        }
        for (many, one) in
            [(&mut written.urls, &mut written.url), (&mut written.tags, &mut written.tag)]
        {
            if many.len() == 1 {
                *one = many.pop();
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(body: &str) -> Result<Wish, String> {
        let written: Written = serde_json::from_str(body).map_err(|error| error.to_string())?;
        Wish::try_from(written).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_is_to_be_purged_and_writes_it_again() {
        for body in [
            r#"{"url":"https://shop.example/a","mode":"soft"}"#,
            r#"{"urls":["https://shop.example/a","https://shop.example/b"],"mode":"soft"}"#,
            r#"{"prefix":"/a","mode":"hard"}"#,
            r#"{"tag":"one two","mode":"hard"}"#,
            r#"{"tags":["one","two"],"mode":"soft"}"#,
            r#"{"all":true,"mode":"soft"}"#,
        ] {
            let wish = wished(body).unwrap();
            assert_eq!(serde_json::to_string(&Written::from(&wish)).unwrap(), body);
        }
    }

    #[test]
    fn wants_one_kind_of_thing() {
        for body in [
            "{}",
            r#"{"all": false}"#,
            r#"{"all": true, "tag": "a"}"#,
            r#"{"tag": "a", "tags": ["b"]}"#,
            r#"{"tags": []}"#,
        ] {
            assert_eq!(wished(body), Err(NotOne.to_string()), "{body}");
        }
        for (body, expected) in [
            (r#"{"tga": "a"}"#, "unknown field `tga`"),
            (r#"{"tag": "a", "mode": "harsh"}"#, "expected `soft` or `hard`"),
        ] {
            let said = wished(body).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
