//! Every traffic there is, so that the engine is compiled for each of them here, and not once more in the crates
//! that start it.

use super::{ShopTraffic, UrlTraffic};

/// A traffic.
pub enum AnyTraffic {
    /// The shop's customers.
    Shop(ShopTraffic),
    /// One request, again and again.
    Url(UrlTraffic),
}

impl From<ShopTraffic> for AnyTraffic {
    fn from(traffic: ShopTraffic) -> Self {
        Self::Shop(traffic)
    }
}

impl From<UrlTraffic> for AnyTraffic {
    fn from(traffic: UrlTraffic) -> Self {
        Self::Url(traffic)
    }
}
