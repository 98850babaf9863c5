//! What a customer asks for, and the rules it must keep.

use std::marker::PhantomData;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Order, OrderId, OrderStatus};
use crate::{Error, UserId, now_us};

const ITEMS_MAX: usize = 100;
const QUANTITY_MAX: u32 = 1_000;
const PRICE_CENTS_MAX: i64 = 100_000_000;
/// As long as Stripe's.
const KEY_BYTES_MAX: usize = 255;
/// Characters, as JSON Schema counts them (code points).
const FIELD_CHARS_MAX: usize = 256;

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The article.
    pub sku: String,
    /// How many; at least 1.
    #[serde(deserialize_with = "whole")]
    pub quantity: u32,
    /// The price of one, in cents.
    #[serde(deserialize_with = "whole")]
    pub price_cents: i64,
}

/// A whole number, also one that is written with a fraction of zero: JSON knows no other.
fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Whole(PhantomData))
}

struct Whole<T>(PhantomData<T>);

/// 2^53: below it every whole number is a double of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl<T: TryFrom<i64>> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number in range")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        T::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        let signed = i64::try_from(value);
        signed.map_or(Err(E::invalid_value(Unexpected::Unsigned(value), &self)), |v| {
            self.visit_i64(v)
        })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        if value.fract() != 0.0 || value.abs() >= EXACT_MAX {
            return Err(E::invalid_value(Unexpected::Float(value), &self));
        }
        self.visit_i64(value as i64)
    }
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
    /// Where the client would like to be told of the settlement; without followers it is kept in the
    /// fingerprint alone.
    pub callback_url: Option<String>,
}

impl PlaceOrder {
    /// The pending order that this request asks for.
    ///
    /// # Errors
    /// `Invalid`, with the rule that is broken.
    pub(crate) fn order(self, customer: UserId) -> crate::Result<Order> {
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
            reason: None,
            created_at: now_us(),
            settled_at: None,
        })
    }

    fn check(&self) -> crate::Result<()> {
        let filled = |s: &str| !s.is_empty() && s.chars().count() <= FIELD_CHARS_MAX;
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
            (self.items.iter().all(|i| filled(&i.sku)), "a sku has 1 to 256 characters"),
            (filled(&self.card), "a card has 1 to 256 characters"),
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
    fn check(change: impl FnOnce(&mut PlaceOrder), expected: Result<i64, &str>) {
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
        check(|r| r.card = "é".repeat(256), Ok(900));
        check(|r| r.card = "c".repeat(257), Err("card"));
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
        let item = |quantity: &str| {
            let text = format!(r#"{{"sku":"tea","quantity":{quantity},"price_cents":-450.0}}"#);
            serde_json::from_str::<Item>(&text).map(|item| (item.quantity, item.price_cents))
        };
        for two in ["2", "2.0", "2e0", "0.2e1"] {
            assert_eq!(item(two).unwrap(), (2, -450), "{two}");
        }
        for wrong in ["2.5", "-1", "4294967296", "1e30", "18446744073709551615", "\"2\"", "null"] {
            let error = item(wrong).unwrap_err().to_string();
            assert!(error.starts_with("invalid"), "{wrong}: {error}");
        }
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
