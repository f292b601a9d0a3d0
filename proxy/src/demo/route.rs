//! Which part of the sample platform a path leads to, which methods it takes, how slow it is.

use std::time::Duration;

use http::Method;

use super::mark;

/// A part of the platform, with the rest of the path that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Front,
    Asset,
    Picture(&'a str),
    Icon,
    Health,
    Teapot,
    Slow,
    Makers,
    Maker(&'a str),
    Categories,
    Category(&'a str),
    Products,
    Product(&'a str),
    Orders,
    Order(&'a str),
    Machines,
    Session,
    Broken,
}

impl<'a> Route<'a> {
    /// Where `path` leads; `None` if nowhere.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.splitn(3, '/');
        let (first, second, third) = (segments.next()?, segments.next(), segments.next());
        match (first, second, third) {
            ("", None, None) => Some(Self::Front),
            ("assets", Some(_), None) => Some(Self::Asset),
            ("images", Some(name), None) => Some(Self::Picture(name)),
            ("favicon.svg", None, None) => Some(Self::Icon),
            ("healthz", None, None) => Some(Self::Health),
            ("teapot", None, None) => Some(Self::Teapot),
            ("slow", None, None) => Some(Self::Slow),
            ("api", Some(noun), id) => Self::of_api(noun, id),
            _ => None,
        }
    }

    fn of_api(noun: &'a str, id: Option<&'a str>) -> Option<Self> {
        match (noun, id) {
            ("manufacturers", None) => Some(Self::Makers),
            ("manufacturers", Some(id)) => Some(Self::Maker(id)),
            ("categories", None) => Some(Self::Categories),
            ("categories", Some(id)) => Some(Self::Category(id)),
            ("products", None) => Some(Self::Products),
            ("products", Some(id)) => Some(Self::Product(id)),
            ("orders", None) => Some(Self::Orders),
            ("orders", Some(number)) => Some(Self::Order(number)),
            ("machines", None) => Some(Self::Machines),
            ("session", None) => Some(Self::Session),
            ("broken", None) => Some(Self::Broken),
            _ => None,
        }
    }

    /// The methods that are answered there.
    pub(super) const fn methods(self) -> &'static [Method] {
        match self {
            Self::Orders => &[Method::GET, Method::HEAD, Method::POST],
            Self::Session => &[Method::GET, Method::HEAD, Method::POST, Method::DELETE],
            Self::Front
            | Self::Asset
            | Self::Picture(_)
            | Self::Icon
            | Self::Health
            | Self::Teapot
            | Self::Slow
            | Self::Makers
            | Self::Maker(_)
            | Self::Categories
            | Self::Category(_)
            | Self::Products
            | Self::Product(_)
            | Self::Order(_)
            | Self::Machines
            | Self::Broken => &[Method::GET, Method::HEAD],
        }
    }
}

/// How long the platform takes over `path`: a small database 60 to 120 ms, an object store 20 to
/// 40 ms, a report two seconds; what lies in memory takes no time. The same for a path each time.
pub(super) fn delay(path: &str) -> Duration {
    let chance = mark::hash(path.as_bytes());
    let milliseconds = if path == "/slow" {
        2000
    } else if path.starts_with("/api/") {
        mark::between(60, 121, chance)
    } else if path.starts_with("/images/") {
        mark::between(20, 41, chance)
    } else {
        0
    };
    Duration::from_millis(milliseconds)
}
