//! Orders that are spread over several databases, for whoever runs the shop.

use http_server::Guard;
use stores::Stores;
use web::Routes;

use crate::environment;

/// Routes that tell how the orders of this store are spread, and have them spread further, to who shows the operator's
/// token; none if they are in one database, or nobody has that token.
#[must_use]
pub fn routes(stores: &Stores) -> Routes {
    let operator = Some(environment::operator_token()).filter(|token| !token.is_empty());
    match (stores.spread(), operator) {
        (Some(spread), Some(token)) => Routes::new().spread(spread, Guard::new(Some(token))),
        _ => Routes::new(),
    }
}
