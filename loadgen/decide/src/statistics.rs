//! Statistics of few blocks and of many arrivals. No law of the noise is assumed: places in the order, signs and
//! counts alone. No t, no bootstrap: of 7 to 12 blocks they promise more than they hold (docs/methodology/decide.md).

mod beta;
mod family;
mod median;
mod share;
mod sign;

pub use beta::{beta_law, beta_place};
pub use family::{benjamini_hochberg, holm};
pub use median::{Interval, median, median_interval};
pub use share::{binomial_test, exact_bounds, wilson};
pub use sign::{Signs, at_least_heads, sign_test};
