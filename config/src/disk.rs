//! The kinds of values that `cache.disk` takes.

use std::path::PathBuf;

use crate::decode::{Decoder, Node, Printed, Value};
use crate::kind::whole;
use crate::shape::Shape;

/// The most files that a disk tier may hold: what is known of each takes memory.
const MOST_ENTRIES: u32 = 100_000_000;

/// The path of a folder, seen from that of the settings file.
#[derive(Debug, Clone)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Value for Folder {
    fn expected() -> String {
        "the path of a folder".to_owned()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let path = decoder.string(node, &Self::expected())?;
        if path.is_empty() {
            decoder.refuse(node, Self::expected());
            return None;
        }
        Some(Self(decoder.in_folder(&path)))
    }

    fn shape() -> Shape {
        Shape::Text(None)
    }
}

impl Printed for Folder {
    fn printed(&self) -> String {
        self.0.printed()
    }
}

/// A number of stored responses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entries(pub(crate) u32);

impl Value for Entries {
    fn expected() -> String {
        format!("a number from 1 to {MOST_ENTRIES}")
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let entries = whole(node, 1..=MOST_ENTRIES).map(Self);
        if entries.is_none() {
            decoder.refuse(node, Self::expected());
        }
        entries
    }

    fn shape() -> Shape {
        Shape::Whole(1, MOST_ENTRIES)
    }
}

impl Printed for Entries {
    fn printed(&self) -> String {
        self.0.to_string()
    }
}
