//! Colours, the same in every chart. Systems: Okabe and Ito's set, safe for colour-blind readers.

use plotters::style::RGBColor;

use record::Outcome;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0x1c, 0x1e, 0x21);
/// Text of less weight.
pub(super) const SOFT: RGBColor = RGBColor(0x5f, 0x65, 0x6d);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xe9);
/// What was asked of a system, behind what it did.
pub(super) const OFFERED: RGBColor = RGBColor(0xc4, 0xcb, 0xd3);
/// A fault or the phase named `during`.
pub(super) const BAND: RGBColor = RGBColor(0xf3, 0xc9, 0xa5);
/// The instant at which a fault's effect was seen.
pub(super) const ONSET: RGBColor = RGBColor(0xc4, 0x6a, 0x1c);
/// Warm-up: outside all statistics.
pub(super) const WARM_UP: RGBColor = RGBColor(0xf1, 0xf2, 0xf4);
/// The mark of a trial that may not be believed.
pub(super) const INVALID: RGBColor = RGBColor(0xa8, 0x00, 0x1c);
/// The sheet.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

const SYSTEMS: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x33, 0x33, 0x33),
    RGBColor(0x8a, 0x5a, 0x2b),
];

/// The place in the palette of the system at `order` in the run's list; after eight they come again.
pub(super) fn place(order: u32) -> usize {
    order as usize % SYSTEMS.len()
}

/// The colour of the system at `order` in the run's list.
pub(super) fn system(order: u32) -> RGBColor {
    SYSTEMS[place(order)]
}

/// `colour` mixed into white: 0 is white, 1 the colour.
pub(super) fn tint(colour: RGBColor, share: f64) -> RGBColor {
    let mix = |part: u8| (255.0 - (255.0 - f64::from(part)) * share).round() as u8;
    RGBColor(mix(colour.0), mix(colour.1), mix(colour.2))
}

/// What became of a request: from light (ok) to dark, so that lightness alone tells them apart.
pub(super) const OUTCOMES: [(Outcome, RGBColor); 5] = [
    (Outcome::Ok, RGBColor(0xcf, 0xe3, 0xef)),
    (Outcome::Failed, RGBColor(0xf0, 0xb3, 0x4d)),
    (Outcome::Unknown, RGBColor(0xc0, 0x4f, 0x78)),
    (Outcome::Dropped, RGBColor(0x5b, 0x2a, 0x86)),
    (Outcome::Unfinished, RGBColor(0x22, 0x22, 0x22)),
];

/// The same as points, which are small: the light ones stronger.
pub(super) const POINTS: [(Outcome, RGBColor); 5] = [
    (Outcome::Ok, RGBColor(0x6f, 0xa8, 0xcc)),
    (Outcome::Failed, RGBColor(0xe0, 0x92, 0x14)),
    OUTCOMES[2],
    OUTCOMES[3],
    OUTCOMES[4],
];

/// Money accepted, captured, settled: no system's colours, since one page shows both.
pub(super) const MONEY: [RGBColor; 3] =
    [RGBColor(0x6a, 0x51, 0xa3), RGBColor(0x9a, 0x6a, 0x00), RGBColor(0x11, 0x6b, 0x3a)];
