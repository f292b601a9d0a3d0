//! `forebay warm`: asks a running edge for URLs, so that they are stored before people come.

mod access_log;
mod asking;
mod input;
mod sitemap;
mod summary;
mod work;

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use http::{HeaderName, HeaderValue};

use super::{Refusal, say};
use crate::key::{Target, Url};
use asking::{Asking, Place};
use work::Pace;

/// How many URLs there may be.
const MOST_URLS: usize = 1_000_000;

/// What stands below the options in the help.
const EXAMPLES: &str = "\
Examples:
  forebay warm --sitemap https://shop.example/sitemap.xml
  forebay warm --list urls.txt --rate 50
  forebay warm --log access.log --top 500 --site https://shop.example
  cat paths | forebay warm --list - --site https://shop.example -H 'Accept-Language: de'

Each URL is asked for once, with all codings that browsers take: the edge keeps one response and \
makes the codings of it. A redirect is followed on its own site. The edge is asked in place of the \
host of a URL, also for the sitemap, and no name is looked up for it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// With --log, how many of the paths that were asked for most.
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "log")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MOST_URLS as i64))]
    top: u32,
    /// The site of what is a path alone, as in https://shop.example.
    #[arg(long, value_name = "URL")]
    site: Option<String>,
    /// Where the edge is asked [default: the first listener of the settings, and the first with TLS
    /// for https].
    #[arg(long, value_name = "URL")]
    edge: Option<String>,
    /// Believes any certificate that the edge shows.
    #[arg(long)]
    insecure: bool,
    /// How many URLs to ask for in a second.
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// How many at a time.
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// What Accept-Encoding says; given several times, each URL is asked for once with each.
    #[arg(long, value_name = "CODINGS", default_value = "gzip, deflate, br, zstd")]
    accept_encoding: Vec<String>,
    /// A field of each request, as in 'Accept-Language: de'; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    fields: Vec<String>,
    /// The settings file [default: what FOREBAY_CONFIG names, or forebay.toml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// A sitemap, or an index of them; also one that is compressed with gzip.
    #[arg(long, value_name = "URL|FILE")]
    sitemap: Option<String>,
    /// A file with a URL or a path in each line; - is standard input.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// An access log in the combined format, or with JSON in each line; - is standard input.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let place = Place::of(arguments.edge.as_deref(), arguments.config.as_deref())?;
    let fields = fields(&arguments.fields)?;
    let asking = Asking::new(place, arguments.insecure, arguments.parallel, fields)?;
    let written = written(arguments, &asking)?;
    let targets = targets(&written, arguments.site.as_deref())?;
    let codings: Result<Vec<HeaderValue>, _> =
        arguments.accept_encoding.iter().map(|codings| HeaderValue::from_str(codings)).collect();
    let codings = codings.map_err(|_invalid| "--accept-encoding has what no field may have")?;
    asking.is_there()?;
    let summary = work::ask_all(
        &asking,
        &targets,
        &codings,
        &Pace::new(arguments.rate),
        usize::from(arguments.parallel),
    );
    say(&summary.to_string());
    match summary.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} requests failed", summary.asked()).into()),
    }
}

/// The URLs and paths, as they are written.
fn written(arguments: &Arguments, asking: &Asking) -> Result<Vec<String>, Refusal> {
    match &arguments.source {
        Source { sitemap: Some(place), .. } => sitemap::urls(place, asking),
        Source { list: Some(path), .. } => {
            let mut urls = Vec::new();
            input::lines(input::open(path)?, |line| {
                let line = line.trim();
                if !line.is_empty() && !line.starts_with('#') && urls.len() <= MOST_URLS {
                    urls.push(line.to_owned());
                }
            })?;
            Ok(urls)
        }
        Source { log: Some(path), .. } => {
            access_log::most_asked(input::open(path)?, usize::try_from(arguments.top)?)
        }
        Source { sitemap: None, list: None, log: None } => Ok(Vec::new()),
    }
}

/// What is asked for, each once, in its order.
fn targets(written: &[String], site: Option<&str>) -> Result<Vec<Target>, Refusal> {
    if written.is_empty() {
        return Err("there is nothing to ask for".into());
    }
    if written.len() > MOST_URLS {
        return Err(format!("there are more than {MOST_URLS} URLs: ask for them in parts").into());
    }
    let site = site.map(|site| target(site).map_err(|why| format!("--site: {why}"))).transpose()?;
    let mut seen = HashSet::new();
    let mut targets = Vec::new();
    for url in written {
        let target = match &site {
            _ if url.contains("://") && !url.starts_with('/') => target(url)?,
            Some(site) => {
                let path = if url.starts_with('/') { url.clone() } else { format!("/{url}") };
                let found = Target::parse(site.scheme().as_str(), site.authority(), &path);
                found.map_err(|error| format!("{url:?} cannot be asked for: {error}"))?
            }
            None => {
                return Err(
                    format!("{url:?} has no host: say of which site it is with --site").into()
                );
            }
        };
        if seen.insert(target.to_string()) {
            targets.push(target);
        }
    }
    Ok(targets)
}

fn target(url: &str) -> Result<Target, String> {
    let Url { scheme, authority, path } = Url::split(url);
    Target::parse(&scheme, &authority, &path)
        .map_err(|error| format!("{url:?} cannot be asked for: {error}"))
}

fn fields(written: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, Refusal> {
    let read = |field: &String| {
        let unread = || format!("-H takes 'Name: value', and {field:?} is none");
        let (name, value) = field.split_once(':').ok_or_else(unread)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_invalid| unread())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_invalid| unread())?;
        Ok::<_, String>((name, value))
    };
    Ok(written.iter().map(read).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &[&str], site: Option<&str>) -> Result<Vec<String>, String> {
        let written: Vec<String> = written.iter().map(|url| (*url).to_owned()).collect();
        let targets = targets(&written, site).map_err(|error| error.to_string())?;
        Ok(targets.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn asks_for_each_once_on_its_own_site() {
        let written = ["https://A.example/a/../b", "https://a.example/b", "/c?d=http://e", "f"];
        let expected =
            ["https://a.example/b", "http://s.example/c?d=http://e", "http://s.example/f"];
        assert_eq!(read(&written, Some("http://s.example/x")).unwrap(), expected);
    }

    #[test]
    fn says_what_cannot_be_asked_for() {
        assert!(read(&[], None).unwrap_err().contains("nothing"));
        assert!(read(&["/a"], None).unwrap_err().contains("--site"));
        assert!(read(&["ftp://a.example/"], None).unwrap_err().contains("cannot be asked for"));
        assert!(read(&["/a"], Some("ftp://a")).unwrap_err().contains("--site"));
    }

    #[test]
    fn reads_fields() {
        let read = |field: &str| fields(&[field.to_owned()]);
        assert_eq!(read("Accept-Language: de").unwrap()[0].1, "de");
        for field in ["Accept-Language", ": x", "a b: c", "a: b\nc"] {
            assert!(read(field).is_err(), "{field:?}");
        }
    }
}
