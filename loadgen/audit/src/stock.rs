//! Whether an inventory conserves its stock: what it says of an article must be what its reservations say
//! together. It knows no orders.

use std::collections::HashMap;

use record::ledger::{ReservationRow, ShelfRow};

/// Held, sold and released: what the shelf says less what reservations say.
type Left = [i64; 3];

/// All articles of an inventory.
#[derive(Debug, Default)]
pub(super) struct Shelves(HashMap<Box<str>, Left>);

impl Shelves {
    pub(super) fn shelf(&mut self, row: &ShelfRow) {
        let said = [row.held, row.sold, row.released];
        for (left, said) in self.left(&row.sku).iter_mut().zip(said) {
            *left = left.saturating_add(said);
        }
    }

    pub(super) fn reservation(&mut self, row: &ReservationRow) {
        let place = ["held", "sold", "released"].iter().position(|state| *state == row.state);
        if let Some(place) = place {
            let left = &mut self.left(&row.sku)[place];
            *left = left.saturating_sub(row.quantity);
        }
    }

    /// The articles of which the two differ.
    pub(super) fn leaks(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, left)| **left != [0; 3]).map(|(sku, _)| &**sku)
    }

    fn left(&mut self, sku: &str) -> &mut Left {
        self.0.entry(sku.into()).or_default()
    }
}
