//! What those need who follow settlements.

use std::ops::Range;

use async_trait::async_trait;
use shop::{
    Events, GivenUp, GivenUpStore, Handover, Item, Micros, Number, Order, Owed, Placed, Result,
    Settled, Settlement,
};

use super::{Memory, State};

impl State {
    fn event(&self, key: &str) -> Option<Settled> {
        let order = &self.orders[*self.by_key.get(key)?];
        Settled::of(order, self.callbacks.get(key).cloned())
    }
}

#[async_trait]
impl Events for Memory {
    async fn insert(
        &self,
        order: Order,
        handover: Handover,
        callback_url: Option<String>,
    ) -> Result<Placed> {
        let mut state = self.state();
        let placed = state.insert(order, handover)?;
        if let (Placed::New(order), Some(url)) = (&placed, callback_url) {
            state.callbacks.insert(order.key.clone(), url);
        }
        Ok(placed)
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<(Order, Option<Settled>)> {
        let mut state = self.state();
        let (order, is_new) = state.settle(settlement, at)?;
        if is_new {
            state.numbered += 1;
            let number = state.numbered;
            state.events.insert(number, order.key.clone());
        }
        let is_owed = state.events.values().any(|key| *key == order.key);
        let event = state.event(&order.key).filter(|_| is_owed);
        Ok((order, event))
    }

    async fn owed(&self, numbers: Range<Number>, limit: u32) -> Result<Owed> {
        let state = self.state();
        let owed = state.events.range(numbers).take(limit as usize);
        let events = owed.filter_map(|(number, key)| Some((*number, state.event(key)?))).collect();
        let newest = state.events.last_key_value().map_or(0, |(number, _)| *number);
        Ok(Owed { events, newest })
    }

    async fn items(&self, keys: Vec<String>) -> Result<Vec<Vec<Item>>> {
        let state = self.state();
        let of =
            |key: &String| state.by_key.get(key).map(|index| state.orders[*index].items.clone());
        Ok(keys.iter().map(|key| of(key).unwrap_or_default()).collect())
    }

    async fn told(&self, key: &str) -> Result<()> {
        let mut state = self.state();
        state.events.retain(|_, owed| owed != key);
        state.callbacks.remove(key);
        Ok(())
    }
}

#[async_trait]
impl GivenUpStore for Memory {
    async fn give_up(&self, given_up: GivenUp) -> Result<()> {
        let mut state = self.state();
        if !state.given_up.iter().any(|known| known.key == given_up.key) {
            state.given_up.push(given_up);
        }
        Ok(())
    }

    async fn given_up(&self, after: Number, limit: u32) -> Result<Vec<(Number, GivenUp)>> {
        let state = self.state();
        let numbered = (1..).zip(state.given_up.iter().cloned());
        Ok(numbered.filter(|(number, _)| *number > after).take(limit as usize).collect())
    }
}
