//! The pictures of the sample origin, with who made them.

use bytes::Bytes;

use super::mark;

/// A picture as it is stored in the program.
pub(super) struct Picture {
    pub(super) name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    /// What one sees, for `alt`.
    pub(super) shows: &'static str,
    /// Author and licence where they are to be named.
    pub(super) credit: Option<&'static str>,
    pub(super) bytes: &'static [u8],
}

/// A picture with its entity tag, ready to be sent.
pub(super) struct Ready {
    pub(super) picture: &'static Picture,
    pub(super) body: Bytes,
    pub(super) etag: String,
}

/// Every picture with its entity tag.
pub(super) fn ready() -> Vec<Ready> {
    PICTURES
        .iter()
        .map(|picture| Ready {
            picture,
            body: Bytes::from_static(picture.bytes),
            etag: mark::etag(picture.bytes),
        })
        .collect()
}

/// The picture called `name`.
///
/// # Panics
///
/// If there is none: names are written in the program and a test asks for each.
pub(super) fn named(name: &str) -> &'static Picture {
    PICTURES.iter().find(|picture| picture.name == name).expect("a picture in the table")
}

const JPEG: &str = "image/jpeg";
const PNG: &str = "image/png";

pub(super) static PICTURES: [Picture; 10] = [
    Picture {
        name: "valley.jpg",
        content_type: JPEG,
        width: 3088,
        height: 2056,
        shows: "A green pasture below autumn woods and grey mountains",
        credit: Some("Aitzol Berasategi (CC-BY-4.0)"),
        bytes: include_bytes!("images/valley.jpg"),
    },
    Picture {
        name: "bowl.jpg",
        content_type: JPEG,
        width: 2572,
        height: 1740,
        shows: "A red lacquered bowl with half a fig in it",
        credit: Some("Trevor \u{201c}Freespace\u{201d} (CC-BY-4.0)"),
        bytes: include_bytes!("images/bowl.jpg"),
    },
    Picture {
        name: "cup.png",
        content_type: PNG,
        width: 600,
        height: 400,
        shows: "A brown espresso cup on its saucer",
        credit: Some("Rachel Michetti (CC0)"),
        bytes: include_bytes!("images/cup.png"),
    },
    Picture {
        name: "deep-field.jpg",
        content_type: JPEG,
        width: 1000,
        height: 872,
        shows: "Hundreds of galaxies on a black sky",
        credit: Some("NASA (public domain)"),
        bytes: include_bytes!("images/deep-field.jpg"),
    },
    Picture {
        name: "fundus.jpg",
        content_type: JPEG,
        width: 1411,
        height: 1411,
        shows: "A retina, taken with a fundus camera",
        credit: Some("scikit-image (CC0)"),
        bytes: include_bytes!("images/fundus.jpg"),
    },
    Picture {
        name: "moon.png",
        content_type: PNG,
        width: 512,
        height: 512,
        shows: "Craters on the surface of the moon",
        credit: Some("scikit-image (no known restrictions)"),
        bytes: include_bytes!("images/moon.png"),
    },
    drawing(
        "drawing-flange.png",
        "Drawing of a flange",
        include_bytes!("images/drawing-flange.png"),
    ),
    drawing(
        "drawing-spur-gear.png",
        "Drawing of a spur gear",
        include_bytes!("images/drawing-spur-gear.png"),
    ),
    drawing(
        "drawing-hex-bolt.png",
        "Drawing of a hexagon head bolt",
        include_bytes!("images/drawing-hex-bolt.png"),
    ),
    drawing(
        "drawing-bearing.png",
        "Drawing of a ball bearing",
        include_bytes!("images/drawing-bearing.png"),
    ),
];

const fn drawing(name: &'static str, shows: &'static str, bytes: &'static [u8]) -> Picture {
    Picture { name, content_type: PNG, width: 900, height: 675, shows, credit: None, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_program_small() {
        let total: usize = PICTURES.iter().map(|picture| picture.bytes.len()).sum();
        assert!(total < 3_500_000, "{total}");
    }

    #[test]
    fn holds_what_each_name_says() {
        for picture in &PICTURES {
            let start: &[u8] =
                if picture.name.ends_with(".png") { b"\x89PNG\r\n" } else { b"\xff\xd8\xff" };
            assert!(picture.bytes.starts_with(start), "{}", picture.name);
        }
    }

    #[test]
    fn states_the_size_that_each_png_has() {
        for picture in PICTURES.iter().filter(|picture| picture.content_type == PNG) {
            let sizes = [picture.width.to_be_bytes(), picture.height.to_be_bytes()].concat();
            assert_eq!(picture.bytes.get(16..24), Some(sizes.as_slice()), "{}", picture.name);
        }
    }
}
