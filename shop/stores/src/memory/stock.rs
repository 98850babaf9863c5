//! Stock.

use async_trait::async_trait;
use shop::{Error, Number, Quantities, Reservation, Reserved, Result, Shelf, StockStore};

use super::{Memory, State};

impl State {
    fn shelf(&mut self, sku: &str) -> &mut Shelf {
        let new = || Shelf { sku: sku.to_owned(), ..Shelf::default() };
        self.shelves.entry(sku.to_owned()).or_insert_with(new)
    }
}

#[async_trait]
impl StockStore for Memory {
    async fn reserve(
        &self,
        key: &str,
        quantities: Quantities,
        stock: Option<u32>,
    ) -> Result<Reserved> {
        let mut state = self.state();
        if let Some(known) = state.reservations.iter().find(|known| known.key == key) {
            return Ok(known.state);
        }
        let lacks = |(sku, quantity): (&String, &u32)| {
            let gone = state.shelves.get(sku).map_or(0, |shelf| shelf.held + shelf.sold);
            stock.is_some_and(|stock| gone + i64::from(*quantity) > i64::from(stock))
        };
        let is_lacking = quantities.iter().any(lacks);
        let new = if is_lacking { Reserved::Lacking } else { Reserved::Held };
        for (sku, quantity) in quantities.iter().filter(|_| !is_lacking) {
            state.shelf(sku).held += i64::from(*quantity);
        }
        state.reservations.push(Reservation { key: key.to_owned(), quantities, state: new });
        Ok(new)
    }

    async fn close(&self, key: &str, end: Reserved) -> Result<Reserved> {
        let mut state = self.state();
        let found = state.reservations.iter_mut().find(|known| known.key == key);
        let found = found.ok_or(Error::NotFound)?;
        if found.state != Reserved::Held || end == Reserved::Held {
            return Ok(found.state);
        }
        found.state = end;
        for (sku, quantity) in found.quantities.clone() {
            let shelf = state.shelf(&sku);
            shelf.held -= i64::from(quantity);
            let moved = if end == Reserved::Sold { &mut shelf.sold } else { &mut shelf.released };
            *moved += i64::from(quantity);
        }
        Ok(end)
    }

    async fn shelves(&self, after: &str, limit: u32) -> Result<Vec<Shelf>> {
        let state = self.state();
        let further = state.shelves.values().filter(|shelf| shelf.sku.as_str() > after);
        Ok(further.take(limit as usize).cloned().collect())
    }

    async fn reservations(&self, after: Number, limit: u32) -> Result<Vec<(Number, Reservation)>> {
        let state = self.state();
        let numbered = (1..).zip(state.reservations.iter().cloned());
        Ok(numbered.filter(|(number, _)| *number > after).take(limit as usize).collect())
    }
}
