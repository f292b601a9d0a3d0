//! How the conditions of a route are written.

use std::marker::PhantomData;

use toml::de::DeValue;

use super::{Condition, ValuePattern, Wanted};
use crate::decode::{Decoder, Node, Text, Value, Written, shown};
use crate::kind::Token;
use crate::shape::Shape;
use crate::text::{self, Unread};

/// The method of a request.
#[derive(Debug, Clone)]
pub(crate) struct Method(pub(crate) String);

impl Text for Method {
    const EXPECTED: &'static str = "a method such as \"GET\"";
    const PATTERN: &'static str = "^[!#$%&'*+.^_`|~0-9A-Z-]+$";

    fn read(text: &str) -> Result<Self, Unread> {
        let method = text::read_token(text)?;
        if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            let upper = method.to_ascii_uppercase();
            let reason = format!("methods are in upper case: write \"{upper}\"");
            return Err(Unread::because(reason));
        }
        Ok(Self(method))
    }
}

/// What follows the last dot of a path, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Extension(pub(crate) String);

impl Text for Extension {
    const EXPECTED: &'static str = "an extension without its dot such as \"css\"";
    const PATTERN: &'static str = "^[0-9A-Za-z_~-]+$";

    fn read(text: &str) -> Result<Self, Unread> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '~');
        match text.chars().find(|c| !fits(*c)) {
            None if text.is_empty() => Err(Unread::because("it is empty")),
            None => Ok(Self(text.to_ascii_lowercase())),
            Some('.') if text.starts_with('.') => Err(Unread::because("it begins with a dot")),
            Some('.') => Err(Unread::because("only what follows the last dot counts")),
            Some(odd) => Err(Unread::because(format!("it has {odd:?}"))),
        }
    }
}

/// What conditions of a route are about.
pub(crate) trait Subject: Text {
    fn into_name(self) -> String;
}

/// The name of a cookie.
impl Subject for Token {
    fn into_name(self) -> String {
        self.0
    }
}

/// The name of a header field, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct FieldName(String);

impl Text for FieldName {
    const EXPECTED: &'static str = "the name of a header field such as \"X-Beta\"";
    const PATTERN: &'static str = text::TOKEN_PATTERN;

    fn read(text: &str) -> Result<Self, Unread> {
        let name = text::read_token(text)?.to_ascii_lowercase();
        if name == "host" {
            return Err(Unread::because("the host has an option of its own, routes.match.host"));
        }
        Ok(Self(name))
    }
}

impl Subject for FieldName {
    fn into_name(self) -> String {
        self.0
    }
}

/// The name of a parameter of a query.
#[derive(Debug, Clone)]
pub(crate) struct ParameterName(String);

impl Text for ParameterName {
    const EXPECTED: &'static str = "the name of a query parameter such as \"preview\"";
    const PATTERN: &'static str = "^.{1,256}$";

    fn read(text: &str) -> Result<Self, Unread> {
        match text.chars().count() {
            0 => Err(Unread::because("it is empty")),
            1..=256 => Ok(Self(text.to_owned())),
            _ => Err(Unread::because("it is longer than 256 characters")),
        }
    }
}

impl Subject for ParameterName {
    fn into_name(self) -> String {
        self.0
    }
}

impl Text for ValuePattern {
    const EXPECTED: &'static str = "true, false or a pattern of the value such as \"beta-*\"";
    const PATTERN: &'static str = "^.{1,1024}$";

    fn read(text: &str) -> Result<Self, Unread> {
        Self::read(text)
    }
}

/// What is wanted under a name: `true`, `false`, or a pattern of the value.
impl Value for Wanted {
    fn expected() -> String {
        ValuePattern::EXPECTED.to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Boolean(true) => Some(Self::Present),
            DeValue::Boolean(false) => Some(Self::Absent),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => decoder.text(node).map(Self::Like),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![Shape::Truth, Shape::Text(None)])
    }
}

/// The most conditions of one kind that a route may have.
const MOST_CONDITIONS: usize = 16;

/// What is wanted under each of some names.
#[derive(Debug, Clone)]
pub(crate) struct Conditions<S> {
    pub(crate) list: Vec<Written<Condition>>,
    subject: PhantomData<S>,
}

impl<S: Subject> Value for Conditions<S> {
    fn expected() -> String {
        "a table such as { beta = true, group = \"b-*\" }".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let table = decoder.table(node, &Self::expected())?;
        if table.len() > MOST_CONDITIONS {
            let expected = format!("at most {MOST_CONDITIONS} names");
            decoder.report(decoder.written(node, ()), expected, table.len().to_string());
            return None;
        }
        let mut list = Vec::new();
        for (key, value) in table {
            let name = key.get_ref();
            decoder.within(name, |decoder| {
                let subject = S::read(name);
                if let Err(unread) = &subject {
                    let found = format!("{} ({unread})", shown(name));
                    decoder.report(decoder.written(key, ()), S::EXPECTED, found);
                }
                let wanted = Wanted::decode(decoder, value);
                if let (Ok(subject), Some(wanted)) = (subject, wanted) {
                    let condition = Condition { name: subject.into_name(), wanted };
                    list.push(decoder.written(key, condition));
                }
            });
        }
        Some(Self { list, subject: PhantomData })
    }

    fn shape() -> Shape {
        let value = Box::new(Wanted::shape());
        Shape::Map { key: S::PATTERN, value, max: Some(MOST_CONDITIONS) }
    }
}
