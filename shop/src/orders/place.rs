//! What a customer asks for, and the rules it must keep.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Order, OrderId, OrderStatus};
use crate::{Error, Result, UserId, now_us};

const ITEMS_MAX: usize = 100;
const QUANTITY_MAX: u32 = 1_000;
const PRICE_CENTS_MAX: i64 = 100_000_000;
/// As long as Stripe's.
const KEY_BYTES_MAX: usize = 255;
const FIELD_BYTES_MAX: usize = 256;

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The article.
    pub sku: String,
    /// How many; at least 1.
    pub quantity: u32,
    /// The price of one, in cents.
    pub price_cents: i64,
}

/// A request for an order, under the client's idempotency key.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// Repeating the request with the same key has no further effect.
    pub key: String,
    /// What is wanted.
    pub items: Vec<Item>,
    /// The card to charge.
    pub card: String,
    /// Where the client would like to be told of the settlement; kept with the fingerprint.
    pub callback_url: Option<String>,
}

impl PlaceOrder {
    /// The pending order that this request asks for.
    ///
    /// # Errors
    /// `Invalid`, with the rule that is broken.
    pub(crate) fn order(self, customer: UserId) -> Result<Order> {
        self.check()?;
        let total_cents = self.items.iter().map(|i| i64::from(i.quantity) * i.price_cents).sum();
        if total_cents <= 0 {
            return Err(Error::Invalid("an order costs at least one cent".to_owned()));
        }
        let id = OrderId(Uuid::now_v7());
        let fingerprint = self.fingerprint();
        Ok(Order {
            id,
            key: self.key,
            customer,
            fingerprint,
            items: self.items,
            total_cents,
            card: Some(self.card),
            status: OrderStatus::Pending,
            charge_id: None,
            created_at: now_us(),
            settled_at: None,
        })
    }

    fn check(&self) -> Result<()> {
        let printable = |s: &str| s.bytes().all(|b| b.is_ascii_graphic());
        let rules = [
            (
                !self.key.is_empty() && self.key.len() <= KEY_BYTES_MAX && printable(&self.key),
                "an idempotency key has 1 to 255 printable ASCII characters",
            ),
            (
                !self.items.is_empty() && self.items.len() <= ITEMS_MAX,
                "an order has 1 to 100 items",
            ),
            (
                self.items.iter().all(|i| (1..=QUANTITY_MAX).contains(&i.quantity)),
                "a quantity is 1 to 1000",
            ),
            (
                self.items.iter().all(|i| (0..=PRICE_CENTS_MAX).contains(&i.price_cents)),
                "a price is 0 to 100000000 cents",
            ),
            (
                self.items.iter().all(|i| !i.sku.is_empty() && i.sku.len() <= FIELD_BYTES_MAX),
                "a sku has 1 to 256 bytes",
            ),
            (
                !self.card.is_empty() && self.card.len() <= FIELD_BYTES_MAX,
                "a card has 1 to 256 bytes",
            ),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            Some((_, rule)) => Err(Error::Invalid((*rule).to_owned())),
            None => Ok(()),
        }
    }

    /// SHA-256 over the fields, each with its length, so that no two requests run together.
    fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        let mut add = |field: &[u8]| {
            digest.update((field.len() as u64).to_le_bytes());
            digest.update(field);
        };
        for item in &self.items {
            add(item.sku.as_bytes());
            add(&item.quantity.to_le_bytes());
            add(&item.price_cents.to_le_bytes());
        }
        add(self.card.as_bytes());
        add(self.callback_url.as_deref().unwrap_or("").as_bytes());
        digest.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> PlaceOrder {
        let item = Item { sku: "tea".to_owned(), quantity: 2, price_cents: 450 };
        PlaceOrder {
            key: "k-1".to_owned(),
            items: vec![item],
            card: "card".to_owned(),
            callback_url: None,
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut PlaceOrder), expected: std::result::Result<i64, &str>) {
        let mut request = request();
        change(&mut request);
        let result = request.order(UserId(Uuid::nil())).map(|o| o.total_cents);
        match (result, expected) {
            (Ok(total), Ok(wanted)) => assert_eq!(total, wanted),
            (Err(Error::Invalid(text)), Err(part)) => assert!(text.contains(part), "{text}"),
            (result, expected) => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn rules() {
        check(|_| (), Ok(900));
        check(|r| r.items.clear(), Err("1 to 100 items"));
        check(|r| r.items = vec![r.items[0].clone(); 101], Err("1 to 100 items"));
        check(|r| r.items[0].quantity = 0, Err("quantity"));
        check(|r| r.items[0].quantity = 1_001, Err("quantity"));
        check(|r| r.items[0].price_cents = -1, Err("price"));
        check(|r| r.items[0].price_cents = 0, Err("one cent"));
        check(|r| r.items[0].price_cents = i64::MAX, Err("price"));
        check(|r| r.items[0].sku.clear(), Err("sku"));
        check(|r| r.key.clear(), Err("key"));
        check(|r| r.key = "k".repeat(256), Err("key"));
        check(|r| r.key = "a b".to_owned(), Err("key"));
        check(|r| r.card.clear(), Err("card"));
    }

    #[test]
    fn a_fingerprint_tells_requests_apart_and_ignores_the_key() {
        let base = request().fingerprint();
        let mut other = request();
        other.key = "k-2".to_owned();
        assert_eq!(other.fingerprint(), base);
        other.items[0].quantity = 3;
        assert_ne!(other.fingerprint(), base);
        // the same bytes, cut elsewhere
        let (mut a, mut b) = (request(), request());
        (a.card, a.callback_url) = ("xy".to_owned(), Some("z".to_owned()));
        (b.card, b.callback_url) = ("x".to_owned(), Some("yz".to_owned()));
        assert_ne!(a.fingerprint(), b.fingerprint());
    }
}
