//! Decides what to make of a picture: in which format, how large, at which quality.

/// How a picture is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
    /// AVIF.
    Avif,
}

impl Format {
    /// Whether it can say how transparent a pixel is.
    #[must_use]
    pub const fn holds_alpha(self) -> bool {
        match self {
            Self::Jpeg => false,
            Self::Png | Self::Gif | Self::WebP | Self::Avif => true,
        }
    }

    /// The most pixels that a side may have.
    #[must_use]
    pub const fn longest_side(self) -> u32 {
        match self {
            Self::Jpeg | Self::Gif => 65_535,
            Self::Png => 0x7fff_ffff,
            Self::WebP => 16_383,
            Self::Avif => 65_536,
        }
    }
}

/// How the stored pixels are to be turned for display: the orientation of Exif, 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// As stored.
    pub const UPRIGHT: Self = Self(1);

    /// The orientation that Exif numbers so, or nothing if there is no such number.
    #[must_use]
    pub const fn new(exif: u8) -> Option<Self> {
        if matches!(exif, 1..=8) { Some(Self(exif)) } else { None }
    }

    /// Whether width and height change places.
    #[must_use]
    pub const fn swaps_sides(self) -> bool {
        self.0 >= 5
    }
}

/// Pixels of the screen for each pixel of the layout, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dpr(u16);

impl Dpr {
    /// One for one.
    pub const ONE: Self = Self(100);

    /// A ratio from 0.01 to 10, in hundredths; nothing if it is outside.
    #[must_use]
    pub const fn hundredths(hundredths: u16) -> Option<Self> {
        if matches!(hundredths, 1..=1000) { Some(Self(hundredths)) } else { None }
    }
}

/// How much a lossy format keeps, from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality(u8);

impl Quality {
    /// A quality from 1 to 100; nothing if it is outside.
    #[must_use]
    pub const fn new(quality: u8) -> Option<Self> {
        if matches!(quality, 1..=100) { Some(Self(quality)) } else { None }
    }

    /// The number, from 1 to 100.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// What is known of the picture before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// How it is coded.
    pub format: Format,
    /// The width as stored, in pixels.
    pub width: u32,
    /// The height as stored, in pixels.
    pub height: u32,
    /// How many pictures follow each other; more than one is an animation.
    pub frames: u32,
    /// Whether some pixels may be transparent.
    pub has_alpha: bool,
    /// How it is to be turned for display.
    pub orientation: Orientation,
}

/// What the client and the policy want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes<'a> {
    /// The formats to choose from, best first; that of the source is always one more.
    pub formats: &'a [Format],
    /// The width in the layout, in pixels; left out, that of the source.
    pub width: Option<u32>,
    /// The density of the screen; it counts only together with `width`.
    pub dpr: Dpr,
    /// How much to keep.
    pub quality: Quality,
}

/// What is not exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels of a source.
    pub pixels: u64,
    /// The largest width to make, in pixels.
    pub width: u32,
}

/// What to do with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Serve it as it is.
    Keep(Reason),
    /// Make another one of it, turned upright.
    Make {
        /// How to code it.
        format: Format,
        /// The width to make, in pixels; at least one.
        width: u32,
        /// The height to make, in pixels; at least one.
        height: u32,
        /// How much to keep.
        quality: Quality,
    },
}

/// Why a picture is served as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has no pixels.
    Empty,
    /// It moves, and a still would not be the same.
    Animated,
    /// It has more pixels than the limit.
    TooManyPixels,
    /// It has the best format that is wanted and the right size.
    AsWanted,
    /// No format that is wanted can hold it at that size.
    NoFormat,
}

/// Decides what to do with `source`; it is never made larger.
#[must_use]
pub fn plan(source: &Source, wishes: &Wishes<'_>, limits: &Limits) -> Plan {
    if source.width == 0 || source.height == 0 {
        return Plan::Keep(Reason::Empty);
    }
    if source.frames > 1 {
        return Plan::Keep(Reason::Animated);
    }
    if u64::from(source.width) * u64::from(source.height) > limits.pixels {
        return Plan::Keep(Reason::TooManyPixels);
    }
    let upright = upright(source);
    let (width, height) = scaled(upright, wanted_width(wishes, upright.0).min(limits.width));
    let own = [source.format];
    let Some(format) = wishes.formats.iter().chain(&own).copied().find(|format| {
        let fits = width.max(height) <= format.longest_side();
        fits && (format.holds_alpha() || !source.has_alpha)
    }) else {
        return Plan::Keep(Reason::NoFormat);
    };
    let same_size = (width, height) == (source.width, source.height);
    if format == source.format && same_size && source.orientation == Orientation::UPRIGHT {
        return Plan::Keep(Reason::AsWanted);
    }
    Plan::Make { format, width, height, quality: wishes.quality }
}

/// Width and height as displayed.
fn upright(source: &Source) -> (u32, u32) {
    if source.orientation.swaps_sides() {
        (source.height, source.width)
    } else {
        (source.width, source.height)
    }
}

/// The width that is wanted in pixels of the screen, at most `present`.
fn wanted_width(wishes: &Wishes<'_>, present: u32) -> u32 {
    let Some(width) = wishes.width else { return present };
    let hundredths = u64::from(width) * u64::from(wishes.dpr.0);
    u32::try_from((hundredths + 50) / 100).map_or(present, |wanted| wanted.min(present))
}

/// Scales `width` and `height` to the width `wanted`, at least one pixel each way.
fn scaled((width, height): (u32, u32), wanted: u32) -> (u32, u32) {
    let wanted = wanted.max(1);
    let doubled = 2 * u128::from(height) * u128::from(wanted) + u128::from(width);
    let scaled = u32::try_from(doubled / (2 * u128::from(width)));
    (wanted, scaled.expect("a picture is never made larger").max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHOTOGRAPH: Source = Source {
        format: Format::Jpeg,
        width: 2725,
        height: 2225,
        frames: 1,
        has_alpha: false,
        orientation: Orientation::UPRIGHT,
    };
    const LOGO: Source =
        Source { format: Format::Png, width: 100, height: 50, has_alpha: true, ..PHOTOGRAPH };
    const LIMITS: Limits = Limits { pixels: 50_000_000, width: 2560 };
    const MODERN: &[Format] = &[Format::Avif, Format::WebP];

    fn quality(number: u8) -> Quality {
        Quality::new(number).unwrap()
    }

    fn wishes(formats: &[Format], width: impl Into<Option<u32>>, dpr: u16) -> Wishes<'_> {
        let dpr = Dpr::hundredths(dpr).unwrap();
        Wishes { formats, width: width.into(), dpr, quality: quality(80) }
    }

    #[track_caller]
    fn check(source: Source, wishes: &Wishes<'_>, expected: Plan) {
        assert_eq!(plan(&source, wishes, &LIMITS), expected);
    }

    fn make(format: Format, width: u32, height: u32) -> Plan {
        Plan::Make { format, width, height, quality: quality(80) }
    }

    #[test]
    fn takes_the_best_format_that_is_wanted() {
        check(PHOTOGRAPH, &wishes(MODERN, 720, 100), make(Format::Avif, 720, 588));
        check(PHOTOGRAPH, &wishes(&[Format::WebP], 720, 100), make(Format::WebP, 720, 588));
        check(PHOTOGRAPH, &wishes(&[], 720, 100), make(Format::Jpeg, 720, 588));
    }

    #[test]
    fn counts_the_density_of_the_screen() {
        check(PHOTOGRAPH, &wishes(MODERN, 360, 200), make(Format::Avif, 720, 588));
        check(PHOTOGRAPH, &wishes(MODERN, 333, 150), make(Format::Avif, 500, 408));
        check(LOGO, &wishes(MODERN, None, 300), make(Format::Avif, 100, 50));
    }

    #[test]
    fn never_makes_it_larger() {
        check(LOGO, &wishes(MODERN, 400, 200), make(Format::Avif, 100, 50));
        check(LOGO, &wishes(MODERN, u32::MAX, 1000), make(Format::Avif, 100, 50));
        check(PHOTOGRAPH, &wishes(MODERN, None, 100), make(Format::Avif, 2560, 2090));
    }

    #[test]
    fn counts_without_overflow() {
        let largest = Source { width: u32::MAX, height: u32::MAX, ..PHOTOGRAPH };
        let limits = Limits { pixels: u64::MAX, width: u32::MAX };
        let plan = plan(&largest, &wishes(MODERN, None, 1000), &limits);
        assert_eq!(plan, Plan::Keep(Reason::NoFormat));
    }

    #[test]
    fn leaves_at_least_one_pixel() {
        let line = Source { width: 2000, height: 1, ..PHOTOGRAPH };
        check(line, &wishes(MODERN, 10, 100), make(Format::Avif, 10, 1));
        check(PHOTOGRAPH, &wishes(MODERN, 0, 100), make(Format::Avif, 1, 1));
    }

    #[test]
    fn keeps_what_is_transparent() {
        check(LOGO, &wishes(&[Format::Jpeg, Format::WebP], 50, 100), make(Format::WebP, 50, 25));
        check(LOGO, &wishes(&[Format::Jpeg], 50, 100), make(Format::Png, 50, 25));
    }

    #[test]
    fn passes_over_a_format_with_shorter_sides() {
        let tall = Source { width: 100, height: 20_000, ..PHOTOGRAPH };
        check(
            tall,
            &wishes(&[Format::WebP, Format::Avif], None, 100),
            make(Format::Avif, 100, 20_000),
        );
        check(tall, &wishes(&[Format::WebP], None, 100), Plan::Keep(Reason::AsWanted));
    }

    #[test]
    fn turns_it_upright() {
        let turned = Source { orientation: Orientation::new(6).unwrap(), ..PHOTOGRAPH };
        check(turned, &wishes(MODERN, 445, 100), make(Format::Avif, 445, 545));
        let upside_down = Source { orientation: Orientation::new(3).unwrap(), ..LOGO };
        check(upside_down, &wishes(&[], None, 100), make(Format::Png, 100, 50));
    }

    #[test]
    fn keeps_what_is_right_already() {
        check(LOGO, &wishes(&[], None, 100), Plan::Keep(Reason::AsWanted));
        check(LOGO, &wishes(&[Format::Png], 100, 100), Plan::Keep(Reason::AsWanted));
    }

    #[test]
    fn keeps_what_it_cannot_improve_safely() {
        let any = wishes(MODERN, 10, 100);
        check(Source { frames: 2, ..LOGO }, &any, Plan::Keep(Reason::Animated));
        check(Source { height: 0, ..LOGO }, &any, Plan::Keep(Reason::Empty));
        let bomb = Source { width: 65_535, height: 65_535, ..PHOTOGRAPH };
        check(bomb, &any, Plan::Keep(Reason::TooManyPixels));
        let odd = Source { format: Format::Jpeg, ..LOGO };
        check(odd, &wishes(&[], 10, 100), Plan::Keep(Reason::NoFormat));
    }

    #[test]
    fn numbers_outside_of_their_range_are_refused() {
        assert_eq!((Orientation::new(0), Orientation::new(9)), (None, None));
        assert_eq!((Dpr::hundredths(0), Dpr::hundredths(1001)), (None, None));
        assert_eq!((Quality::new(0), Quality::new(101)), (None, None));
        assert_eq!(quality(100).number(), 100);
    }

    proptest! {
        #[test]
        fn what_it_makes_fits_within_the_source_and_the_limits(
            width: u32, height: u32, exif in 1..=8u8, wanted: Option<u32>, dpr in 1..=1000u16,
            limit in 1..=u32::MAX,
        ) {
            let orientation = Orientation::new(exif).unwrap();
            let source = Source { width, height, orientation, ..PHOTOGRAPH };
            let limits = Limits { pixels: u64::MAX, width: limit };
            if let Plan::Make { format, width, height, .. } =
                plan(&source, &wishes(MODERN, wanted, dpr), &limits)
            {
                let (most_width, most_height) = upright(&source);
                prop_assert!((1..=most_width.min(limit)).contains(&width));
                prop_assert!((1..=most_height).contains(&height));
                prop_assert!(width.max(height) <= format.longest_side());
            }
        }
    }
}
