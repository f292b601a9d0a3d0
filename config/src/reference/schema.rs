//! Writes the JSON Schema of a settings file.

use toml::de::DeValue;

use super::json::Json;
use super::manual::prose;
use crate::declare::{Field, Need};
use crate::shape::Shape;
use crate::text::NAME_PATTERN;

/// What stands in a string whose value only the environment knows.
const VARIABLE_PATTERN: &str = r"\$\{[0-9A-Za-z_]+\}";

/// The JSON Schema of a settings file, as of draft 2020-12.
///
/// An editor can check a file against it while it is written. What it accepts may still have faults
/// that only [`crate::parse`] sees, such as a name that nothing has.
#[must_use]
pub fn schema() -> String {
    let mut members = vec![
        member("$schema", Json::text("https://json-schema.org/draft/2020-12/schema")),
        member("title", Json::text("Settings of Forebay")),
    ];
    members.extend(table(crate::declared()));
    format!("{}\n", Json::Object(members))
}

type Members = Vec<(String, Json)>;

fn member(key: &str, value: Json) -> (String, Json) {
    (key.to_owned(), value)
}

/// What holds for a table of `fields`.
fn table(fields: &[Field]) -> Members {
    let required: Vec<Json> = fields
        .iter()
        .filter(|field| field.need == Need::Required)
        .map(|field| Json::text(field.name))
        .collect();
    let in_any_file: Vec<Json> = fields
        .iter()
        .filter(|field| field.need == Need::InAnyFile)
        .map(|field| Json::text(field.name))
        .collect();
    let properties = fields.iter().map(|field| member(field.name, option(field))).collect();
    let mut members = vec![member("type", Json::text("object"))];
    if !required.is_empty() {
        members.push(member("required", Json::List(required)));
    }
    if !in_any_file.is_empty() {
        let here = Json::object([("required", Json::List(in_any_file))]);
        let elsewhere = Json::object([("required", Json::List(vec![Json::text("include")]))]);
        members.push(member("anyOf", Json::List(vec![here, elsewhere])));
    }
    members.push(member("properties", Json::Object(properties)));
    members.push(member("additionalProperties", Json::Truth(false)));
    members
}

/// What holds for one option.
fn option(field: &Field) -> Json {
    let takes = format!("Takes {}.", field.expected());
    let told = field.effect.told().map_or_else(String::new, |told| format!("\n\n{told}"));
    let description = format!("{}\n\n{takes}{told}", prose(field));
    let mut members = vec![member("description", Json::Text(description))];
    match field.need {
        Need::Default(default) => members.push(member("default", value(default))),
        Need::Required | Need::InAnyFile | Need::Optional => {}
    }
    members.push(member("examples", Json::List(vec![value(field.example)])));
    members.extend(shaped(&field.shape()));
    Json::Object(members)
}

/// The JSON of a value that is declared in TOML.
fn value(toml: &str) -> Json {
    let value = DeValue::parse(toml).expect("each default and each example is tested");
    Json::from_toml(value.get_ref())
}

/// What holds for a value of `shape`.
fn shaped(shape: &Shape) -> Members {
    match shape {
        Shape::Truth => vec![member("type", Json::text("boolean"))],
        Shape::Whole(least, most) => vec![
            member("type", Json::text("integer")),
            member("minimum", Json::Number((*least).into())),
            member("maximum", Json::Number((*most).into())),
        ],
        Shape::Text(pattern) => {
            let mut members = vec![member("type", Json::text("string"))];
            members.push(member("minLength", Json::Number(1)));
            let filled_in = |pattern: &str| Json::Text(format!("{pattern}|{VARIABLE_PATTERN}"));
            members.extend(pattern.map(|pattern| member("pattern", filled_in(pattern))));
            members
        }
        Shape::Words(words) => {
            let words = words.iter().map(|word| Json::text(*word)).collect();
            let word = Json::object([("enum", Json::List(words))]);
            let variable = Json::object([("pattern", Json::text(VARIABLE_PATTERN))]);
            vec![
                member("type", Json::text("string")),
                member("anyOf", Json::List(vec![word, variable])),
            ]
        }
        Shape::List { element, min, max } => list(element, *min, *max),
        Shape::OneOrMany { element, max } => {
            let one = Json::Object(shaped(element));
            let many = Json::Object(list(element, 1, *max));
            vec![member("anyOf", Json::List(vec![one, many]))]
        }
        Shape::Table(fields) => table(fields),
        Shape::Named { table, min } => {
            let mut members = vec![member("type", Json::text("object"))];
            if *min > 0 {
                members.push(member("minProperties", count(*min)));
            }
            let names = Json::object([("pattern", Json::text(NAME_PATTERN))]);
            members.push(member("propertyNames", names));
            members.push(member("additionalProperties", Json::Object(shaped(table))));
            members
        }
        Shape::Map { key, value, max } => {
            let mut members = vec![
                member("type", Json::text("object")),
                member("patternProperties", Json::object([(*key, Json::Object(shaped(value)))])),
                member("additionalProperties", Json::Truth(false)),
            ];
            members.extend(max.map(|max| member("maxProperties", count(max))));
            members
        }
        Shape::Either(shapes) => {
            let shapes = shapes.iter().map(|shape| Json::Object(shaped(shape))).collect();
            vec![member("anyOf", Json::List(shapes))]
        }
    }
}

/// What holds for a list of `min` to `max` values of the shape `element`.
fn list(element: &Shape, min: usize, max: usize) -> Members {
    let mut members = vec![member("type", Json::text("array"))];
    if min > 0 {
        members.push(member("minItems", count(min)));
    }
    members.push(member("maxItems", count(max)));
    members.push(member("items", Json::Object(shaped(element))));
    members
}

fn count(count: usize) -> Json {
    Json::Number(i64::try_from(count).expect("the bounds of lists are small"))
}
