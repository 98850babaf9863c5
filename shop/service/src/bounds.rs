//! The bounds of every system, in one place: a contestant that takes more at once looks better.

/// Orders that are being inserted, charged and settled at once, and charges that are being made; one more
/// is refused. As many as a server has connections: who waits for an answer is never refused by it, only
/// who hung up and comes again.
pub const IN_WORK: u32 = 4_096;
/// Of these, charges of orders that failed before or were left: half, so that what is new never waits for
/// them.
pub const AGAIN: u32 = IN_WORK / 2;
