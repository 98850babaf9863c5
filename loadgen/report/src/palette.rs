//! Colours, the same in every chart. Systems: Okabe and Ito's set, safe for colour-blind readers.

use plotters::style::RGBColor;

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

const SYSTEMS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x33, 0x33, 0x33),
];

/// The colour of the system at `order` in the run's list; after seven they come again.
pub(super) fn system(order: u32) -> RGBColor {
    SYSTEMS[order as usize % SYSTEMS.len()]
}

/// `colour` mixed into white: 0 is white, 1 the colour.
pub(super) fn tint(colour: RGBColor, share: f64) -> RGBColor {
    let mix = |part: u8| (255.0 - (255.0 - f64::from(part)) * share).round() as u8;
    RGBColor(mix(colour.0), mix(colour.1), mix(colour.2))
}

/// What became of a request: from light (ok) to dark, so that lightness alone tells them apart.
pub(super) const OUTCOMES: [(&str, RGBColor); 5] = [
    ("ok", RGBColor(0xcf, 0xe3, 0xef)),
    ("failed", RGBColor(0xf0, 0xb3, 0x4d)),
    ("unknown", RGBColor(0xc0, 0x4f, 0x78)),
    ("dropped", RGBColor(0x5b, 0x2a, 0x86)),
    ("unfinished", RGBColor(0x22, 0x22, 0x22)),
];

/// The same as points, which are small: the light ones stronger.
pub(super) const POINTS: [(&str, RGBColor); 5] = [
    ("ok", RGBColor(0x6f, 0xa8, 0xcc)),
    ("failed", RGBColor(0xe0, 0x92, 0x14)),
    OUTCOMES[2],
    OUTCOMES[3],
    OUTCOMES[4],
];

/// Money accepted, captured, settled.
pub(super) const MONEY: [RGBColor; 3] = [SYSTEMS[0], SYSTEMS[1], SYSTEMS[6]];
