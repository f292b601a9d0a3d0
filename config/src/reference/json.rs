//! Writes JSON with its keys in the order in which they were given.

use std::fmt::{self, Write as _};

use toml::de::DeValue;

/// A value of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Truth(bool),
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// An object with these members.
    pub(super) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// The value that `toml` has in JSON.
    pub(super) fn from_toml(toml: &DeValue<'_>) -> Self {
        match toml {
            DeValue::Boolean(truth) => Self::Truth(*truth),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Self::Text(number.to_string()), Self::Number),
            DeValue::String(text) => Self::text(text.as_ref()),
            // No option takes one of these; JSON has no words for all of them.
            DeValue::Float(number) => Self::Text(number.to_string()),
            DeValue::Datetime(time) => Self::Text(time.to_string()),
            DeValue::Array(elements) => {
                Self::List(elements.iter().map(|each| Self::from_toml(each.get_ref())).collect())
            }
            DeValue::Table(table) => {
                let member = |(key, value): (&toml::Spanned<_>, &toml::Spanned<_>)| {
                    (
                        String::from(AsRef::<str>::as_ref(key.get_ref())),
                        Self::from_toml(value.get_ref()),
                    )
                };
                Self::Object(table.iter().map(member).collect())
            }
        }
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Writes it with lines that begin `depth` steps to the right.
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write_text(f, text),
            Self::List(elements) => write_lines(f, depth, ('[', ']'), elements, |f, element| {
                element.write(f, depth + 1)
            }),
            Self::Object(members) => {
                write_lines(f, depth, ('{', '}'), members, |f, (key, value)| {
                    write_text(f, key)?;
                    f.write_str(": ")?;
                    value.write(f, depth + 1)
                })
            }
        }
    }
}

/// Writes each of `items` on a line of its own.
fn write_lines<T>(
    f: &mut fmt::Formatter<'_>,
    depth: usize,
    (open, close): (char, char),
    items: &[T],
    write_item: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index > 0 { ",\n" } else { "\n" })?;
        write!(f, "{:1$}", "", 2 * (depth + 1))?;
        write_item(f, item)?;
    }
    if !items.is_empty() {
        write!(f, "\n{:1$}", "", 2 * depth)?;
    }
    f.write_char(close)
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// Prints it with one member or element on each line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::Truth),
            any::<i64>().prop_map(Json::Number),
            any::<String>().prop_map(Json::Text),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    fn expected(json: &Json) -> serde_json::Value {
        match json {
            Json::Truth(truth) => (*truth).into(),
            Json::Number(number) => (*number).into(),
            Json::Text(text) => text.as_str().into(),
            Json::List(elements) => elements.iter().map(expected).collect(),
            Json::Object(members) => {
                members.iter().map(|(key, value)| (key.as_str(), expected(value))).collect()
            }
        }
    }

    #[test]
    fn puts_each_member_on_a_line() {
        let json = Json::object([
            ("b", Json::List(vec![Json::Number(1), Json::Truth(true)])),
            ("a", Json::List(Vec::new())),
        ]);
        assert_eq!(json.to_string(), "{\n  \"b\": [\n    1,\n    true\n  ],\n  \"a\": []\n}");
    }

    proptest! {
        #[test]
        fn is_read_as_what_was_written(json in any_json()) {
            let read: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
            prop_assert_eq!(read, expected(&json));
        }
    }
}
