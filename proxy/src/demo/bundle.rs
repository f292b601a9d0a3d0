//! The script and style files of the page, under names that carry their hash.

use bytes::Bytes;

use super::mark;

/// How large the vendor bundle is to be at least, in bytes.
const VENDOR_SIZE: usize = 240 * 1024;

/// A file whose name changes with its content.
pub(super) struct Bundle {
    /// The path, such as `/assets/app.0123abcd.js`.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    pub(super) etag: String,
}

/// The files that the front page names.
pub(super) struct Bundles {
    pub(super) app: Bundle,
    pub(super) vendor: Bundle,
    pub(super) site: Bundle,
}

impl Bundles {
    pub(super) fn new() -> Self {
        const SCRIPT: &str = "text/javascript; charset=utf-8";
        let app = Bytes::from_static(include_bytes!("pages/app.js"));
        let site = Bytes::from_static(include_bytes!("pages/site.css"));
        Self {
            app: bundle("app", "js", SCRIPT, app),
            vendor: bundle("vendor", "js", SCRIPT, vendor().into()),
            site: bundle("site", "css", "text/css; charset=utf-8", site),
        }
    }

    /// The bundle that is served under `path`.
    pub(super) fn find(&self, path: &str) -> Option<&Bundle> {
        [&self.app, &self.vendor, &self.site].into_iter().find(|bundle| bundle.path == path)
    }
}

fn bundle(name: &str, ending: &str, content_type: &'static str, body: Bytes) -> Bundle {
    let path = format!("/assets/{name}.{}.{ending}", mark::name_hash(&body));
    let etag = mark::etag(&body);
    Bundle { path, content_type, body, etag }
}

/// Writes a script as a bundler would: a table of small modules, none of which is run on load.
///
/// It sets `globalThis.vendor` and does nothing else.
fn vendor() -> String {
    let mut script = String::with_capacity(VENDOR_SIZE + 1024);
    script.push_str("/*! vendor bundle of the sample platform */\n!function(r){\"use strict\";var c={};function q(t){if(c[t])return c[t].exports;var e=c[t]={exports:{}};return r[t](e,e.exports,q),e.exports}");
    script.push_str("globalThis.vendor={size:Object.keys(r).length,load:q}}({");
    let mut number = 0;
    while script.len() < VENDOR_SIZE {
        script.push_str(&module(number));
        number += 1;
    }
    script.push_str("0:function(t){t.exports=null}});\n");
    script
}

/// A module of a few functions under a number of its own.
fn module(number: u64) -> String {
    let functions: Vec<String> = (0..mark::between(2, 7, number))
        .map(|part| function(mark::mix(number * 16 + part), part))
        .collect();
    let exports: Vec<String> = (0..functions.len())
        .map(|part| format!("{}:f{part}", word(number + part as u64)))
        .collect();
    let needed = if number == 0 { String::new() } else { import(number) };
    format!(
        "{}:function(t,e,n){{{needed}{}t.exports={{{}}}}},",
        1000 + number,
        functions.concat(),
        exports.join(",")
    )
}

/// Names an earlier module: modules that need only earlier ones form no ring.
fn import(number: u64) -> String {
    format!("var u=n({});", 1000 + mark::mix(number) % number)
}

/// One function in the manner of a minifier.
fn function(seed: u64, part: u64) -> String {
    let (first, second, third) = (word(seed), word(seed ^ 11), word(seed ^ 23));
    let small = mark::between(2, 65_536, seed ^ 5);
    let body = match seed % 8 {
        0 => format!("return null==a?b:a.{first}&&a.{first}.{second}||{small}"),
        1 => format!("for(var i=0,s=0;i<a.length;i++)s+=a[i].{first}*{small}|0;return s"),
        2 => format!("return Object.assign({{{first}:!0,{second}:{small},{third}:\"\"}},a,b)"),
        3 => format!("if(!a)throw new TypeError(\"{first}: {second} expected\");return a.{third}"),
        4 => format!(
            "switch(a){{case\"{first}\":return b+{small};case\"{second}\":return b-{small};default:return b}}"
        ),
        5 => format!(
            "return a.filter(function(o){{return o.{first}>{small}}}).map(function(o){{return o.{second}}})"
        ),
        6 => format!(
            "var d=a&&a.{first}?a.{first}():[];return d.length>{small}?d.slice(0,{small}):d.concat(b||[])"
        ),
        _ => format!(
            "return\"function\"==typeof a?a(b,{{{first}:{small}}}):String(a).replace(/{second}/g,\"{third}\")"
        ),
    };
    format!("function f{part}(a,b){{{body}}}")
}

/// A name of the kind that survives a minifier.
fn word(seed: u64) -> String {
    const START: [&str; 16] = [
        "get", "set", "on", "is", "has", "to", "with", "create", "update", "render", "parse",
        "format", "resolve", "compare", "merge", "clone",
    ];
    const END: [&str; 24] = [
        "Value", "State", "Node", "Props", "Range", "Index", "Locale", "Event", "Layout", "Date",
        "Number", "Unit", "Order", "Price", "Query", "Route", "Store", "Effect", "Token", "Column",
        "Filter", "Scale", "Axis", "Label",
    ];
    let (start, end) = (mark::pick(&START, seed), mark::pick(&END, seed ^ 0xff));
    match seed % 3 {
        0 => format!("{start}{end}"),
        1 => format!("{start}{}{end}", mark::pick(&END, seed ^ 0xf0f)),
        _ => format!("_{}", short(seed)),
    }
}

/// A name of the kind that a minifier gives.
fn short(seed: u64) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyzABCDEF";
    (0..4).map(|place| char::from(*mark::pick(LETTERS, seed ^ (place << 50)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_same_vendor_bundle_each_time() {
        assert_eq!(Bundles::new().vendor.path, Bundles::new().vendor.path);
        assert!((200 * 1024..300 * 1024).contains(&vendor().len()));
    }

    #[test]
    fn carries_the_hash_of_the_content_in_the_name() {
        let bundles = Bundles::new();
        for bundle in [&bundles.app, &bundles.vendor, &bundles.site] {
            let parts: Vec<&str> = bundle.path.split('.').collect();
            assert_eq!(parts.get(1), Some(&mark::name_hash(&bundle.body).as_str()));
            assert_eq!(parts.len(), 3);
        }
    }

    #[test]
    fn closes_every_bracket_that_it_opens() {
        let bundles = Bundles::new();
        for bundle in [&bundles.vendor, &bundles.app, &bundles.site] {
            for (open, close) in [(b'(', b')'), (b'[', b']'), (b'{', b'}')] {
                let count = |wanted| bundle.body.iter().filter(|&&byte| byte == wanted).count();
                assert_eq!(count(open), count(close), "{}", bundle.path);
            }
        }
    }

    #[test]
    fn names_each_module_once() {
        let script = vendor();
        assert_eq!(script.matches("1007:function(t,e,n)").count(), 1);
        assert_eq!(script.matches("0:function(t){").count(), 1);
    }
}
