//! Declares options: one field is the option, its manual, its default and its example.

use crate::fault::{Fault, Faults};
use crate::shape::Shape;

/// One option as it is declared.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// Its manual, line by line.
    pub manual: &'static [&'static str],
    /// What happens if it is left out.
    pub need: Need,
    /// When a change of it takes effect in an edge that runs.
    pub effect: Effect,
    /// A value in TOML that shows its use; its default if there is no other.
    pub example: &'static str,
    pub(crate) expected: fn() -> String,
    pub(crate) shape: fn() -> Shape,
    pub(crate) accepts: fn(&str) -> Result<(), Vec<Fault>>,
}

/// What happens if an option is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It is a fault.
    Required,
    /// It is a fault if no other file of the same edge has it.
    InAnyFile,
    /// Nothing is set; the manual says what that means.
    Optional,
    /// It has this value, in TOML.
    Default(&'static str),
}

/// When a change of an option takes effect in an edge that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// When the settings are read again.
    Reload,
    /// When the edge is started again.
    Restart,
}

impl Effect {
    /// What the manual says of it, if anything is to be said.
    pub(crate) const fn told(self) -> Option<&'static str> {
        match self {
            Self::Reload => None,
            Self::Restart => Some("Takes effect at a restart."),
        }
    }
}

impl Field {
    /// What a person has to write, such as `a duration such as "30s"`.
    #[must_use]
    pub fn expected(&self) -> String {
        (self.expected)()
    }

    /// The options within this one, if it is a table or a list of tables.
    #[must_use]
    pub fn fields(&self) -> &'static [Self] {
        self.shape().fields()
    }

    /// What may be written.
    pub(crate) fn shape(&self) -> Shape {
        (self.shape)()
    }

    /// Reads `toml` as a value of this option; each `${NAME}` in it counts as set.
    ///
    /// # Errors
    ///
    /// Every fault in it.
    pub fn accepts(&self, toml: &str) -> Result<(), Faults> {
        (self.accepts)(toml).map_err(Faults::new)
    }
}

/// Declares tables of options.
///
/// Each line is `key: type = need;`, with `, example TOML` where the default shows too little, and
/// `, at Restart` where a reload is too little. Such an option has to be
/// [`Printed`](crate::decode::Printed).
macro_rules! options {
    ($(
        $(#[doc = $about:literal])+
        $table:ident {
            $(
                $(#[doc = $manual:literal])+
                $key:ident: $type:ty = $need:ident $(($default:literal))?
                    $(, example $example:literal)? $(, at $effect:ident)?;
            )+
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub(crate) struct $table {
            $(
                $(#[doc = $manual])+
                pub(crate) $key: Option<$crate::decode::Written<$type>>,
            )+
        }

        impl $crate::decode::Value for $table {
            fn expected() -> String {
                "a table".to_owned()
            }

            fn decode(
                decoder: &mut $crate::decode::Decoder<'_>,
                node: &$crate::decode::Node<'_>,
            ) -> Option<Self> {
                let table = decoder.table(node, "a table")?;
                decoder.refuse_unknown(table, Self::FIELDS);
                $(
                    let $key = decoder.field(
                        node,
                        table,
                        (
                            $crate::declare::bare_key(stringify!($key)),
                            $crate::declare::Need::$need $(($default))?,
                        ),
                    );
                    $(decoder.takes_effect($crate::declare::Effect::$effect, $key.as_ref());)?
                )+
                Some(Self { $($key),+ })
            }

            fn shape() -> $crate::shape::Shape {
                $crate::shape::Shape::Table(Self::FIELDS)
            }
        }

        impl $table {
            pub(crate) const FIELDS: &[$crate::declare::Field] = &[$($crate::declare::Field {
                name: $crate::declare::bare_key(stringify!($key)),
                manual: &[$($manual),+],
                need: $crate::declare::Need::$need $(($default))?,
                effect: $crate::declare::first(&[
                    $($crate::declare::Effect::$effect,)? $crate::declare::Effect::Reload,
                ]),
                example: $crate::declare::first(&[$($example,)? $($default)?]),
                expected: <$type as $crate::decode::Value>::expected,
                shape: <$type as $crate::decode::Value>::shape,
                accepts: $crate::declare::accepts::<$type>,
            }),+];
        }
    )+};
}

/// Declares the words that stand for the variants of an enum.
macro_rules! words {
    ($($type:ident { $($word:literal => $variant:ident),+ $(,)? })+) => {$(
        impl $crate::decode::Value for $type {
            fn expected() -> String {
                format!("one of {}", [$(concat!("\"", $word, "\"")),+].join(", "))
            }

            fn decode(
                decoder: &mut $crate::decode::Decoder<'_>,
                node: &$crate::decode::Node<'_>,
            ) -> Option<Self> {
                let word = decoder.string(node, &Self::expected())?;
                let value = match word.as_str() {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                };
                if value.is_none() {
                    // As written, because what the environment holds may be a secret.
                    let raw = node.get_ref().as_str().unwrap_or_default().to_owned();
                    let written = decoder.written(node, raw);
                    decoder.report_name(&written, "one of", [$($word),+].into_iter());
                }
                value
            }

            fn shape() -> $crate::shape::Shape {
                $crate::shape::Shape::Words(&[$($word),+])
            }
        }

        impl $type {
            /// The word that stands for it in a settings file.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )+};
}

pub(crate) use {options, words};

/// The key of a field whose name may be a word of Rust: `match` for `r#match`.
pub(crate) const fn bare_key(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// The first of `several`.
pub(crate) const fn first<T: Copy>(several: &[T]) -> T {
    several[0]
}

/// Reads `toml` as a `T`.
pub(crate) fn accepts<T: crate::decode::Value>(toml: &str) -> Result<(), Vec<Fault>> {
    crate::decode::decode_alone::<T>(toml, &|_| Some("filled-in".to_owned())).map(drop)
}
