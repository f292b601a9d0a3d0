//! An answer as a client got it, and what a test may demand of it.

use std::fmt;

use super::PATIENCE;

pub(crate) struct Reply {
    /// The three digits; `status` demands them.
    pub(crate) code: u16,
    /// Every field line in the order of arrival, names as sent.
    pub(crate) lines: Vec<(String, String)>,
    /// What arrived of the body, transfer coding removed.
    pub(crate) bytes: Vec<u8>,
    /// Trailer lines.
    pub(crate) trailers: Vec<(String, String)>,
    /// 1xx answers that came before, each with its field lines.
    pub(crate) interim: Vec<(u16, Vec<(String, String)>)>,
    /// Whether the body ended as its framing promised.
    pub(crate) whole: bool,
}

impl Reply {
    /// The values of all lines of that name, joined as RFC 9110 section 5.3 allows.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let values = self.values(name);
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let named = |line: &&(String, String)| line.0.eq_ignore_ascii_case(name);
        self.lines.iter().filter(named).map(|line| line.1.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn age(&self) -> Option<u64> {
        self.field("age").map(|age| age.parse().expect("Age is one number"))
    }

    #[track_caller]
    pub(crate) fn status(&self, code: u16) -> &Self {
        assert_eq!(self.code, code, "status of {self}");
        self
    }

    /// Demands the status, a complete answer and exactly this body.
    #[track_caller]
    pub(crate) fn answered(&self, code: u16, body: &str) -> &Self {
        self.status(code);
        assert!(self.whole, "the body was cut off: {self}");
        assert_eq!(self.text(), body, "body of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn has(&self, name: &str, value: &str) -> &Self {
        assert_eq!(self.field(name).as_deref(), Some(value), "{name} of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, name: &str) -> &Self {
        assert_eq!(self.field(name), None, "{name} of {self}");
        self
    }

    /// Demands what `expected` says of how the edge answered, in the words of RFC 9211.
    ///
    /// `hit`, `fwd`, `stored` and `collapsed` must be as given, and absent where
    /// not given. Other parameters count only where they are given.
    #[track_caller]
    pub(crate) fn cache_status(&self, expected: &str) -> &Self {
        let field = self.field("cache-status").unwrap_or_else(|| panic!("no Cache-Status: {self}"));
        let found =
            ours(&field).unwrap_or_else(|| panic!("{field:?} has no member forebay: {self}"));
        let expected = ours(expected).expect("an expected Cache-Status starts with forebay");
        for named in &expected {
            assert!(found.contains(named), "{named:?} expected in {field:?}: {self}");
        }
        for name in ["hit", "fwd", "stored", "collapsed"] {
            let is = |list: &[Parameter]| list.iter().any(|parameter| parameter.0 == name);
            assert_eq!(is(&found), is(&expected), "{name} in {field:?}: {self}");
        }
        self
    }

    /// The value of one parameter of our member of Cache-Status.
    pub(crate) fn cache_status_value(&self, name: &str) -> Option<String> {
        let list = ours(&self.field("cache-status")?)?;
        list.into_iter().find(|parameter| parameter.0 == name).map(|parameter| parameter.1)
    }

    #[track_caller]
    pub(crate) fn hit(&self) -> &Self {
        self.cache_status("forebay; hit")
    }
}

type Parameter = (String, String);

/// The parameters of the list member `forebay`; a bare one is true, written "".
fn ours(field: &str) -> Option<Vec<Parameter>> {
    let member = split(field, ',').into_iter().find(|member| {
        split(member, ';').first().is_some_and(|name| name.trim().eq_ignore_ascii_case("forebay"))
    })?;
    let parameters = split(&member, ';').into_iter().skip(1).map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter.as_str(), ""));
        (name.trim().to_owned(), value.trim().trim_matches('"').to_owned())
    });
    Some(parameters.collect())
}

/// Splits where the separator stands outside of quotes.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut quoted = false;
    let mut parts = vec![String::new()];
    for character in text.chars() {
        quoted ^= character == '"';
        if character == separator && !quoted {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("it starts with one").push(character);
        }
    }
    parts
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "an answer (within {PATIENCE:?})\n  {}", self.code)?;
        for (name, value) in &self.lines {
            writeln!(out, "  {name}: {value}")?;
        }
        let text = self.text();
        let start: String = text.chars().take(200).collect();
        write!(out, "  {} bytes, whole: {}: {start:?}", self.bytes.len(), self.whole)
    }
}
