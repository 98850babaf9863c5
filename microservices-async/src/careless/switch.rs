//! A flag that turns a rule off.

use clap::ValueEnum;

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}
