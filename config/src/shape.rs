//! Says what a value looks like from outside, for the manual and the schema.

use crate::declare::Field;

/// What may be written as a value.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Truth,
    /// A whole number within these bounds.
    Whole(u32, u32),
    /// A string that is not empty and matches the pattern, if there is one.
    Text(Option<&'static str>),
    /// One of these strings.
    Words(&'static [&'static str]),
    /// So many values of a shape.
    List { element: Box<Self>, min: usize, max: usize },
    /// A value, or a list of as many.
    OneOrMany { element: Box<Self>, max: usize },
    /// A table with these options and no others.
    Table(&'static [Field]),
    /// Tables of a shape by their names, at least so many.
    Named { table: Box<Self>, min: usize },
    /// A value for each of some keys, which match the pattern.
    Map { key: &'static str, value: Box<Self>, max: Option<usize> },
    /// A value of one of these shapes.
    Either(Vec<Self>),
}

impl Shape {
    /// The options of the table that it is, or holds many of.
    pub(crate) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Table(fields) => fields,
            Self::Named { table: inner, .. }
            | Self::List { element: inner, .. }
            | Self::OneOrMany { element: inner, .. }
            | Self::Map { value: inner, .. } => inner.fields(),
            Self::Truth | Self::Whole(..) | Self::Text(_) | Self::Words(_) | Self::Either(_) => &[],
        }
    }
}
