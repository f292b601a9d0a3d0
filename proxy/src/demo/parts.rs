//! What the sample platform sells: makers, categories and kinds of parts, as plain tables.

use super::language::Text;

/// A firm that makes parts; all are invented.
pub(super) struct Maker {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) city: &'static str,
    pub(super) country: &'static str,
    pub(super) founded: u16,
    pub(super) certificates: &'static [&'static str],
}

/// A shelf of the catalogue.
pub(super) struct Category {
    pub(super) id: &'static str,
    pub(super) name: Text<'static>,
    pub(super) about: Text<'static>,
}

/// A part that is made in several sizes and materials.
pub(super) struct Kind {
    pub(super) code: &'static str,
    pub(super) category: &'static str,
    pub(super) maker: &'static str,
    pub(super) name: Text<'static>,
    pub(super) about: Text<'static>,
    pub(super) standard: &'static str,
    pub(super) picture: &'static str,
    pub(super) sizes: &'static [&'static str],
    pub(super) materials: &'static [Text<'static>],
    /// What the smallest size costs, in cents.
    pub(super) cents: u32,
    /// What the smallest size weighs, in grams.
    pub(super) grams: u32,
}

pub(super) static MAKERS: [Maker; 12] = [
    maker("quillstone", "Quillstone Bearings", "Gothenburg", "SE", 1921),
    maker("tarnfell", "Tarnfell Gears", "Sheffield", "GB", 1908),
    maker("kupferthal", "Kupferthal Guss", "Siegen", "DE", 1884),
    maker("hexley", "Hexley Fasteners", "Eindhoven", "NL", 1956),
    maker("lumenfjord", "Lumenfjord Optics", "Trondheim", "NO", 1979),
    maker("estvale", "Estvale Ceramics", "Limoges", "FR", 1932),
    maker("pellwood", "Pellwood Lacquer", "Porto", "PT", 1967),
    maker("valdorra", "Valdorra Forge", "Bilbao", "ES", 1899),
    maker("brunnacker", "Brunnacker Antriebe", "Winterthur", "CH", 1946),
    maker("orrinflow", "Orrin Flow", "Turin", "IT", 1971),
    maker("steinhalde", "Steinhalde Präzision", "Graz", "AT", 1988),
    maker("moravel", "Moravel Works", "Brno", "CZ", 1913),
];

const fn maker(
    id: &'static str,
    name: &'static str,
    city: &'static str,
    country: &'static str,
    founded: u16,
) -> Maker {
    Maker { id, name, city, country, founded, certificates: &["ISO 9001:2015", "ISO 14001:2015"] }
}

pub(super) static CATEGORIES: [Category; 6] = [
    Category {
        id: "fasteners",
        name: Text { en: "Fasteners", de: "Verbindungselemente" },
        about: Text {
            en: "Bolts and studs for steel work and machines, with certificates of the melt.",
            de: "Schrauben und Bolzen für Stahl- und Maschinenbau, mit Schmelzenzeugnis.",
        },
    },
    Category {
        id: "gears",
        name: Text { en: "Gears", de: "Zahnräder" },
        about: Text {
            en: "Hobbed and ground gears, quality 7 and better.",
            de: "Gefräste und geschliffene Zahnräder, Qualität 7 und besser.",
        },
    },
    Category {
        id: "flanges",
        name: Text { en: "Flanges", de: "Flansche" },
        about: Text {
            en: "Forged flanges for pipes from DN 25 to DN 200.",
            de: "Geschmiedete Flansche für Rohre von DN 25 bis DN 200.",
        },
    },
    Category {
        id: "bearings",
        name: Text { en: "Bearings", de: "Wälzlager" },
        about: Text {
            en: "Open and sealed ball bearings for motors and conveyors.",
            de: "Offene und gedichtete Kugellager für Motoren und Fördertechnik.",
        },
    },
    Category {
        id: "optics",
        name: Text { en: "Optics", de: "Optik" },
        about: Text {
            en: "Objectives and cameras, each shipped with its own test picture.",
            de: "Objektive und Kameras, jede mit eigenem Prüfbild geliefert.",
        },
    },
    Category {
        id: "tableware",
        name: Text { en: "Tableware", de: "Geschirr" },
        about: Text {
            en: "Stoneware and lacquer, made in series for hotels and canteens.",
            de: "Steinzeug und Lackwaren, in Serie für Hotels und Kantinen gefertigt.",
        },
    },
];

const fn same(text: &'static str) -> Text<'static> {
    Text { en: text, de: text }
}

const BOLT_STEELS: &[Text<'static>] = &[same("8.8 zn"), same("10.9"), same("A2-70"), same("A4-80")];
const FLANGE_STEELS: &[Text<'static>] = &[same("P250GH"), same("1.4404"), same("1.4571")];
const BEARING_STEELS: &[Text<'static>] = &[same("100Cr6"), same("X65Cr13"), same("Si3N4 hybrid")];
const GEAR_STEELS: &[Text<'static>] = &[same("16MnCr5"), same("C45"), same("POM")];
const THREADS: &[&str] = &["M20 × 80", "M6 × 30", "M8 × 40", "M10 × 50", "M12 × 60", "M16 × 70"];
const BORES: &[&str] = &["DN 100", "DN 25", "DN 40", "DN 50", "DN 80", "DN 150", "DN 200"];
const BEARING_SIZES: &[&str] = &["6305", "6004", "6005", "6204", "6206", "6208", "6308", "6310"];

/// The first size and material of each of the first nine is what the front page shows.
pub(super) static KINDS: [Kind; 13] = [
    Kind {
        code: "FL",
        category: "flanges",
        maker: "kupferthal",
        name: Text { en: "Weld-neck flange", de: "Vorschweißflansch" },
        about: Text {
            en: "Forged in one piece, turned sealing face, marked with melt and batch.",
            de: "In einem Stück geschmiedet, Dichtleiste gedreht, mit Schmelze und Los gezeichnet.",
        },
        standard: "EN 1092-1 type 11",
        picture: "drawing-flange.png",
        sizes: BORES,
        materials: FLANGE_STEELS,
        cents: 4890,
        grams: 5400,
    },
    Kind {
        code: "LB",
        category: "tableware",
        maker: "pellwood",
        name: Text { en: "Lacquered bowl", de: "Lackschale" },
        about: Text {
            en: "Turned from ash, seven coats of lacquer, polished by hand.",
            de: "Aus Esche gedreht, sieben Lackschichten, von Hand poliert.",
        },
        standard: "EN 12875-4",
        picture: "bowl.jpg",
        sizes: &["240 mm", "140 mm", "180 mm", "320 mm"],
        materials: &[
            Text { en: "vermilion", de: "zinnoberrot" },
            Text { en: "black", de: "schwarz" },
            Text { en: "walnut", de: "nussbraun" },
        ],
        cents: 3850,
        grams: 310,
    },
    Kind {
        code: "GR",
        category: "gears",
        maker: "tarnfell",
        name: Text { en: "Spur gear", de: "Stirnrad" },
        about: Text {
            en: "Hobbed and case-hardened, bore H7, keyway as DIN 6885.",
            de: "Wälzgefräst und einsatzgehärtet, Bohrung H7, Passfedernut nach DIN 6885.",
        },
        standard: "DIN 3961 quality 7",
        picture: "drawing-spur-gear.png",
        sizes: &[
            "m 3, z 28",
            "m 1, z 20",
            "m 1, z 40",
            "m 2, z 24",
            "m 2, z 36",
            "m 3, z 42",
            "m 4, z 30",
            "m 5, z 22",
        ],
        materials: GEAR_STEELS,
        cents: 2760,
        grams: 690,
    },
    Kind {
        code: "EC",
        category: "tableware",
        maker: "estvale",
        name: Text { en: "Espresso cup with saucer", de: "Espressotasse mit Untertasse" },
        about: Text {
            en: "Stoneware, fired at 1240 °C, stackable, fit for dishwashers.",
            de: "Steinzeug, bei 1240 °C gebrannt, stapelbar, spülmaschinenfest.",
        },
        standard: "EN 1217",
        picture: "cup.png",
        sizes: &["90 ml", "60 ml", "120 ml", "180 ml", "240 ml"],
        materials: &[
            Text { en: "chestnut", de: "kastanienbraun" },
            Text { en: "white", de: "weiß" },
            Text { en: "sage", de: "salbeigrün" },
            Text { en: "slate", de: "schiefergrau" },
        ],
        cents: 890,
        grams: 240,
    },
    Kind {
        code: "HB",
        category: "fasteners",
        maker: "hexley",
        name: Text { en: "Hexagon head bolt", de: "Sechskantschraube" },
        about: Text {
            en: "Shank and part thread, cold-forged, thread rolled after hardening.",
            de: "Mit Schaft und Teilgewinde, kaltgestaucht, Gewinde nach dem Härten gerollt.",
        },
        standard: "ISO 4014",
        picture: "drawing-hex-bolt.png",
        sizes: THREADS,
        materials: BOLT_STEELS,
        cents: 118,
        grams: 250,
    },
    Kind {
        code: "TO",
        category: "optics",
        maker: "lumenfjord",
        name: Text { en: "Telescope objective", de: "Teleskopobjektiv" },
        about: Text {
            en: "Air-spaced doublet in its cell; the picture is a test exposure.",
            de: "Zweilinser mit Luftspalt in Fassung; das Bild ist eine Probeaufnahme.",
        },
        standard: "ISO 10110",
        picture: "moon.png",
        sizes: &["80 mm f/7", "60 mm f/6", "102 mm f/7", "127 mm f/8"],
        materials: &[
            Text { en: "crown and flint", de: "Kron- und Flintglas" },
            Text { en: "ED glass", de: "ED-Glas" },
        ],
        cents: 38_900,
        grams: 840,
    },
    Kind {
        code: "BB",
        category: "bearings",
        maker: "quillstone",
        name: Text { en: "Deep-groove bearing", de: "Rillenkugellager" },
        about: Text {
            en: "Open, steel cage, clearance C3 for warm motors.",
            de: "Offen, Stahlkäfig, Lagerluft C3 für warme Motoren.",
        },
        standard: "DIN 625-1",
        picture: "drawing-bearing.png",
        sizes: BEARING_SIZES,
        materials: BEARING_STEELS,
        cents: 640,
        grams: 230,
    },
    Kind {
        code: "WC",
        category: "optics",
        maker: "lumenfjord",
        name: Text { en: "Wide-field camera", de: "Weitfeldkamera" },
        about: Text {
            en: "Cooled sensor, 16 bit; the picture shows what such a camera is for.",
            de: "Gekühlter Sensor, 16 Bit; das Bild zeigt, wozu eine solche Kamera dient.",
        },
        standard: "EMVA 1288",
        picture: "deep-field.jpg",
        sizes: &["26 MP", "9 MP", "61 MP"],
        materials: &[
            Text { en: "monochrome", de: "monochrom" },
            Text { en: "colour", de: "Farbe" },
        ],
        cents: 189_000,
        grams: 720,
    },
    Kind {
        code: "FC",
        category: "optics",
        maker: "steinhalde",
        name: Text { en: "Fundus camera lens", de: "Funduskamera-Optik" },
        about: Text {
            en: "Aspheric front lens for eye clinics; the picture is a sample.",
            de: "Asphärische Frontlinse für Augenkliniken; das Bild ist ein Muster.",
        },
        standard: "ISO 10940",
        picture: "fundus.jpg",
        sizes: &["45°", "30°", "60°"],
        materials: &[
            Text { en: "coated", de: "vergütet" },
            Text { en: "coated, infrared", de: "vergütet, infrarot" },
        ],
        cents: 124_500,
        grams: 460,
    },
    Kind {
        code: "ST",
        category: "fasteners",
        maker: "valdorra",
        name: Text { en: "Flange bolt", de: "Flanschschraube" },
        about: Text {
            en: "Full thread, made for pressure pipes, with certificate 3.1.",
            de: "Vollgewinde, für Druckleitungen gefertigt, mit Zeugnis 3.1.",
        },
        standard: "ISO 4017",
        picture: "drawing-hex-bolt.png",
        sizes: THREADS,
        materials: BOLT_STEELS,
        cents: 142,
        grams: 265,
    },
    Kind {
        code: "BF",
        category: "flanges",
        maker: "orrinflow",
        name: Text { en: "Blind flange", de: "Blindflansch" },
        about: Text {
            en: "Closes a pipe for good or until the next section is built.",
            de: "Verschließt ein Rohr auf Dauer oder bis zum nächsten Bauabschnitt.",
        },
        standard: "EN 1092-1 type 05",
        picture: "drawing-flange.png",
        sizes: BORES,
        materials: FLANGE_STEELS,
        cents: 3640,
        grams: 4800,
    },
    Kind {
        code: "BS",
        category: "bearings",
        maker: "moravel",
        name: Text { en: "Sealed bearing", de: "Gedichtetes Kugellager" },
        about: Text {
            en: "Greased for life, contact seals on both sides.",
            de: "Auf Lebensdauer gefettet, beidseitig schleifend gedichtet.",
        },
        standard: "DIN 625-1 2RS",
        picture: "drawing-bearing.png",
        sizes: BEARING_SIZES,
        materials: BEARING_STEELS,
        cents: 780,
        grams: 240,
    },
    Kind {
        code: "GM",
        category: "gears",
        maker: "brunnacker",
        name: Text { en: "Ground pinion", de: "Geschliffenes Ritzel" },
        about: Text {
            en: "Flanks ground after hardening, for servo drives.",
            de: "Flanken nach dem Härten geschliffen, für Servoantriebe.",
        },
        standard: "DIN 3961 quality 5",
        picture: "drawing-spur-gear.png",
        sizes: &["m 2, z 18", "m 1, z 16", "m 1.5, z 20", "m 3, z 17"],
        materials: GEAR_STEELS,
        cents: 5420,
        grams: 380,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::pictures;

    #[test]
    fn refers_only_to_what_there_is() {
        for kind in &KINDS {
            assert!(
                CATEGORIES.iter().any(|category| category.id == kind.category),
                "{}",
                kind.code
            );
            assert!(MAKERS.iter().any(|maker| maker.id == kind.maker), "{}", kind.code);
            assert_eq!(pictures::named(kind.picture).name, kind.picture);
        }
    }
}
