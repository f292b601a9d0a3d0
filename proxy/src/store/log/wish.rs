//! What a purge is of, as it is written in a wish and in the log, and what that means.

use serde::{Deserialize, Serialize};

use crate::key::{Target, TargetError, Url};
use crate::store::purges::{Group, Prefix, Purge};
use crate::stored::TagHash;

/// How many things one wish may be of.
const MOST: usize = 256;
/// How many bytes those may have together.
const LONGEST: usize = 64 << 10;

/// A purge that is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wish {
    /// Of what; mostly of one thing.
    pub what: Vec<What>,
    /// What becomes of it.
    pub mode: Mode,
}

/// What is to be purged, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A URL, with its query.
    Url(String),
    /// How URLs begin, or their paths on every host.
    Prefix(String),
    /// A tag of the origin.
    Tag(String),
    /// Everything.
    All,
}

/// What becomes of what is purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It answers only in place of an origin that fails.
    #[default]
    Soft,
    /// It is gone.
    Hard,
}

impl From<Mode> for Purge {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Soft => Self::Soft,
            Mode::Hard => Self::Hard,
        }
    }
}

/// What is meant by what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What is stored for this target, under whichever keys.
    Target(Target),
    /// What is stored in this group.
    Group(Group),
}

/// Why it cannot be understood what is to be purged.
#[derive(Debug, thiserror::Error)]
pub enum Unclear {
    /// A URL is not whole.
    #[error("{0:?} is no URL: say the whole of it, such as https://shop.example/a.css")]
    NoUrl(String),
    /// A prefix is none.
    #[error("{0:?} is no prefix: https://shop.example/assets/ is one, and /assets/ on every host")]
    NoPrefix(String),
    /// A URL is none that could have been asked for.
    #[error("{url:?} cannot be asked for")]
    Target {
        /// The URL.
        url: String,
        /// Why.
        source: TargetError,
    },
    /// It is too long.
    #[error("what is to be purged has {0} bytes, and may have {LONGEST}")]
    TooLong(usize),
    /// It is nothing, or too much.
    #[error("what is to be purged are {0} things, and may be from 1 to {MOST}")]
    Number(usize),
}

impl Wish {
    /// A purge of everything.
    #[must_use]
    pub fn all(mode: Mode) -> Self {
        Self { what: vec![What::All], mode }
    }

    /// Whether it is of nothing but URLs: then it is done once each tier has let go of them.
    pub(super) fn is_of_urls(&self) -> bool {
        self.what.iter().all(|what| matches!(what, What::Url(_)))
    }

    /// What is meant.
    ///
    /// # Errors
    ///
    /// [`Unclear`] if one of it means nothing.
    pub fn meanings(&self) -> Result<Vec<Meaning>, Unclear> {
        if self.what.is_empty() || self.what.len() > MOST {
            return Err(Unclear::Number(self.what.len()));
        }
        let length: usize = self.what.iter().map(|what| what.parts().1.len()).sum();
        if length > LONGEST {
            return Err(Unclear::TooLong(length));
        }
        self.what.iter().map(What::meaning).collect()
    }
}

impl What {
    /// What is meant.
    ///
    /// # Errors
    ///
    /// [`Unclear`] if nothing can be.
    pub fn meaning(&self) -> Result<Meaning, Unclear> {
        match self {
            Self::Url(url) if url.contains("://") => target(url).map(Meaning::Target),
            Self::Url(url) => Err(Unclear::NoUrl(url.clone())),
            Self::Prefix(text) => prefix(text).map(Group::Prefix).map(Meaning::Group),
            Self::Tag(tag) => Ok(Meaning::Group(Group::Tag(TagHash::of(tag)))),
            Self::All => Ok(Meaning::Group(Group::All)),
        }
    }

    /// Its name and its text, as [`of_parts`](Self::of_parts) takes them.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Url(text) => ("url", text),
            Self::Prefix(text) => ("prefix", text),
            Self::Tag(text) => ("tag", text),
            Self::All => ("all", ""),
        }
    }

    /// What has this name and this text; nothing if that is no name.
    #[must_use]
    pub fn of_parts(name: &str, text: &str) -> Option<Self> {
        match name {
            "url" => Some(Self::Url(text.to_owned())),
            "prefix" => Some(Self::Prefix(text.to_owned())),
            "tag" => Some(Self::Tag(text.to_owned())),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

fn target(url: &str) -> Result<Target, Unclear> {
    let Url { scheme, authority, path } = Url::split(url);
    Target::parse(&scheme, &authority, &path)
        .map_err(|source| Unclear::Target { url: url.to_owned(), source })
}

fn prefix(text: &str) -> Result<Prefix, Unclear> {
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

    #[test]
    fn is_read_from_its_parts() {
        for what in [
            What::Url("http://a.example/".to_owned()),
            What::Prefix("/a".to_owned()),
            What::Tag("one two\n".to_owned()),
            What::All,
        ] {
            let (name, text) = what.parts();
            assert_eq!(What::of_parts(name, text), Some(what));
        }
        assert_eq!(What::of_parts("edge", "a"), None);
    }

    #[test]
    fn is_no_longer_than_it_may_be() {
        let wish = |tag: &str, count: usize| {
            let what = vec![What::Tag(tag.to_owned()); count];
            Wish { what, mode: Mode::Soft }.meanings().map(|meanings| meanings.len())
        };
        assert!(matches!(wish("a", MOST), Ok(MOST)));
        assert!(matches!(wish(&"a".repeat(LONGEST), 1), Ok(1)));
        assert!(matches!(wish("a", 0), Err(Unclear::Number(0))));
        assert!(matches!(wish("a", MOST + 1), Err(Unclear::Number(_))));
        assert!(matches!(wish(&"a".repeat(LONGEST), 2), Err(Unclear::TooLong(_))));
    }
}
