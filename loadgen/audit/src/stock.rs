//! Whether an inventory conserves its stock: what it says of an article must be what its reservations say
//! together, and no more may be gone than was there. It knows no orders.

use std::collections::{HashMap, HashSet};

use record::ledger::{ReservationRow, ShelfRow};

/// Held, sold and released: what the shelf says less what reservations say.
type Left = [i64; 3];

/// All articles of an inventory.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    left: HashMap<Box<str>, Left>,
    /// Articles of which more is held and sold than there was.
    oversold: HashSet<Box<str>>,
}

impl Shelves {
    pub(super) fn shelf(&mut self, row: &ShelfRow) {
        let gone = row.held.saturating_add(row.sold);
        if row.stock.is_some_and(|stock| gone > stock) {
            self.oversold.insert(row.sku.as_str().into());
        }
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

    /// The articles of which the two differ, or more is gone than there was.
    pub(super) fn leaks(&self) -> impl Iterator<Item = &str> {
        let articles = self.left.iter().map(|(sku, left)| (&**sku, *left));
        let leaks = articles.filter(|(sku, left)| *left != [0; 3] || self.oversold.contains(*sku));
        leaks.map(|(sku, _)| sku)
    }

    fn left(&mut self, sku: &str) -> &mut Left {
        self.left.entry(sku.into()).or_default()
    }
}
