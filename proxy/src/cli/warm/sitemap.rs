//! The URLs of a sitemap, and of those that it is an index of (sitemaps.org).

use std::collections::{HashSet, VecDeque};
use std::io::Cursor;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};

use super::asking::Asking;
use super::{MOST_URLS, Refusal, input, target};

/// How long a sitemap may be without compression, in bytes; the protocol has 50 MB.
const LONGEST: u64 = 64 << 20;
/// How many sitemaps are read.
const MOST_SITEMAPS: usize = 1000;
/// How deep an index may lie in another.
const DEEPEST: usize = 3;
/// How deep elements may lie in each other.
const DEEPEST_ELEMENT: usize = 16;
/// The longest URL, in bytes; the protocol has 2,048.
const LONGEST_URL: usize = 8 << 10;

/// What a sitemap has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sitemap {
    /// The URLs of pages.
    urls: Vec<String>,
    /// The URLs of further sitemaps.
    sitemaps: Vec<String>,
}

/// The URLs of the sitemap at `place`, a URL or the path of a file. Those at a URL are asked for by
/// `asking`.
pub(super) fn urls(place: &str, asking: &Asking) -> Result<Vec<String>, Refusal> {
    let mut waiting = VecDeque::from([(place.to_owned(), 0)]);
    let mut seen = HashSet::from([place.to_owned()]);
    let mut urls = Vec::new();
    while let Some((place, depth)) = waiting.pop_front() {
        let told = |why: &dyn std::fmt::Display| format!("cannot read the sitemap {place}: {why}");
        let bytes = if place.contains("://") {
            asking.whole(&target(&place)?, LONGEST).map_err(|why| told(&why))?
        } else if depth == 0 {
            input::whole(input::open(Path::new(&place))?, LONGEST).map_err(|why| told(&why))?
        } else {
            return Err(told(&"its index names it by no URL").into());
        };
        let input = input::unpacked(Box::new(Cursor::new(bytes))).map_err(|why| told(&why))?;
        let bytes = input::whole(input, LONGEST).map_err(|why| told(&why))?;
        let sitemap = read(&bytes).map_err(|why| told(&why))?;
        urls.extend(sitemap.urls);
        for next in sitemap.sitemaps {
            if depth + 1 >= DEEPEST {
                return Err(told(&format!("indexes lie in each other {DEEPEST} deep")).into());
            }
            if seen.insert(next.clone()) {
                waiting.push_back((next, depth + 1));
            }
        }
        if seen.len() > MOST_SITEMAPS {
            return Err(format!("there are more than {MOST_SITEMAPS} sitemaps").into());
        }
        if urls.len() > MOST_URLS {
            break;
        }
    }
    Ok(urls)
}

/// What a sitemap has with these bytes.
fn read(bytes: &[u8]) -> Result<Sitemap, String> {
    let text = std::str::from_utf8(bytes).map_err(|_other| "it is not in UTF-8")?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut reading = Reading::default();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => reading.begin(start.local_name().as_ref())?,
            Event::End(_) => reading.end(),
            Event::Text(part) => reading.take(&part),
            Event::CData(part) => reading.take(&part),
            Event::GeneralRef(reference) => reading.take(&resolved(&reference)?),
            Event::Eof => return reading.finish(),
            Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

/// A sitemap while it is read.
#[derive(Default)]
struct Reading {
    sitemap: Sitemap,
    /// The elements around, by their names without a prefix.
    around: Vec<String>,
    /// The text in the innermost.
    text: String,
}

impl Reading {
    fn begin(&mut self, name: &str) -> Result<(), String> {
        if self.around.len() >= DEEPEST_ELEMENT {
            return Err("its elements lie too deep in each other".to_owned());
        }
        self.around.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    fn take(&mut self, part: &str) {
        // What is longer is no URL.
        if self.text.len() + part.len() <= LONGEST_URL {
            self.text.push_str(part);
        }
    }

    fn end(&mut self) {
        let text = self.text.trim();
        let list = match self.around.as_slice() {
            [.., outer, inner] if inner == "loc" && outer == "url" => Some(&mut self.sitemap.urls),
            [.., outer, inner] if inner == "loc" && outer == "sitemap" => {
                Some(&mut self.sitemap.sitemaps)
            }
            _ => None,
        };
        if let Some(list) = list.filter(|list| !text.is_empty() && list.len() <= MOST_URLS) {
            list.push(text.to_owned());
        }
        self.around.pop();
        self.text.clear();
    }

    fn finish(self) -> Result<Sitemap, String> {
        if !self.around.is_empty() {
            return Err("it breaks off".to_owned());
        }
        if self.sitemap == Sitemap::default() {
            return Err("it has no <url> or <sitemap> with a <loc>".to_owned());
        }
        Ok(self.sitemap)
    }
}

/// The text that stands for `reference`; a document may define none of its own.
fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(letter) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(letter.to_string());
    }
    let name: &str = reference;
    let text = resolve_xml_entity(name);
    text.map(str::to_owned).ok_or_else(|| format!("it has the unknown reference &{name};"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, urls: &[&str], sitemaps: &[&str]) {
        let read = read(text.as_bytes()).unwrap();
        assert_eq!((read.urls, read.sitemaps), (owned(urls), owned(sitemaps)), "{text}");
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn reads_pages_and_further_sitemaps() {
        check(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <!-- pages -->
            <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://i">
              <url><loc> https://a.example/?b=1&amp;c=2 </loc><lastmod>2025-01-01</lastmod>
                <image:image><image:loc>https://a.example/i.png</image:loc></image:image></url>
              <url><loc><![CDATA[https://a.example/&]]></loc><priority/></url>
              <url><loc/></url><url><loc></loc></url>
              <url><loc>https://a.example/&#228;&#x62;</loc></url>
            </urlset>"#,
            &["https://a.example/?b=1&c=2", "https://a.example/&", "https://a.example/äb"],
            &[],
        );
        check(
            "<s:sitemapindex xmlns:s='x'><s:sitemap><s:loc>https://a.example/1.xml.gz</s:loc>
             </s:sitemap></s:sitemapindex>",
            &[],
            &["https://a.example/1.xml.gz"],
        );
    }

    #[test]
    fn refuses_what_is_no_sitemap() {
        let deep = "<a>".repeat(1000);
        for text in [
            "",
            "<html><body>no</body></html>",
            "<urlset><url><loc>http://a</loc></url>",
            "<urlset><url><loc>http://a</wrong></url></urlset>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><urlset><url><loc>&b;</loc></url></urlset>",
            &deep,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn takes_any_bytes_without_harm(text in "(<|>|/|url|loc|&|;|a|!|\\[|\\]|-|CDATA|\\?|'| ){0,40}") {
            drop(read(text.as_bytes()));
        }
    }
}
