//! The messages of `payments.proto`, and what they mean to the shop.

use shop::{Charge, Charged, Error, Result};

/// A request for money.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ChargeRequest {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(int64, tag = "2")]
    pub(crate) amount_cents: i64,
    #[prost(string, tag = "3")]
    pub(crate) card: String,
}

/// What was decided of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Verdict {
    Later = 0,
    Paid = 1,
    Declined = 2,
    OutOfStock = 3,
    Cancelled = 4,
}

/// The end of a charge.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Settlement {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(int64, tag = "2")]
    pub(crate) amount_cents: i64,
    #[prost(enumeration = "Verdict", tag = "3")]
    pub(crate) verdict: i32,
    #[prost(string, tag = "4")]
    pub(crate) charge_id: String,
}

impl From<Charge> for ChargeRequest {
    fn from(Charge { key, amount_cents, card }: Charge) -> Self {
        Self { key, amount_cents, card }
    }
}

impl From<ChargeRequest> for Charge {
    fn from(ChargeRequest { key, amount_cents, card }: ChargeRequest) -> Self {
        Self { key, amount_cents, card }
    }
}

impl From<Charged> for Settlement {
    fn from(charged: Charged) -> Self {
        let Charged::Now(shop::Settlement { key, amount_cents, verdict }) = charged else {
            return Self { verdict: Verdict::Later.into(), ..Self::default() };
        };
        let (verdict, charge_id) = match verdict {
            shop::Verdict::Paid { charge_id } => (Verdict::Paid, charge_id),
            shop::Verdict::Declined => (Verdict::Declined, String::new()),
            shop::Verdict::OutOfStock => (Verdict::OutOfStock, String::new()),
            shop::Verdict::Cancelled => (Verdict::Cancelled, String::new()),
        };
        Self { key, amount_cents, verdict: verdict.into(), charge_id }
    }
}

impl Settlement {
    /// What it tells. Errors: `Internal` if it is none of ours.
    pub(crate) fn told(self) -> Result<Charged> {
        let Self { key, amount_cents, verdict, charge_id } = self;
        let strange = |_| Error::Internal(format!("payments tells of a verdict {verdict}"));
        let verdict = match Verdict::try_from(verdict).map_err(strange)? {
            Verdict::Later => return Ok(Charged::Later),
            Verdict::Paid => shop::Verdict::Paid { charge_id },
            Verdict::Declined => shop::Verdict::Declined,
            Verdict::OutOfStock => shop::Verdict::OutOfStock,
            Verdict::Cancelled => shop::Verdict::Cancelled,
        };
        Ok(Charged::Now(shop::Settlement { key, amount_cents, verdict }))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn settlement(verdict: shop::Verdict) -> Charged {
        Charged::Now(shop::Settlement { key: "k".to_owned(), amount_cents: 900, verdict })
    }

    #[test]
    fn what_is_told_arrives_as_it_was() {
        let charge_id = "ch-1".to_owned();
        for charged in [
            settlement(shop::Verdict::Paid { charge_id }),
            settlement(shop::Verdict::Declined),
            settlement(shop::Verdict::OutOfStock),
            settlement(shop::Verdict::Cancelled),
            Charged::Later,
        ] {
            let sent = Settlement::from(charged.clone()).encode_to_vec();
            assert_eq!(Settlement::decode(&sent[..]).unwrap().told(), Ok(charged));
        }
        let strange = Settlement { verdict: 5, ..Settlement::default() };
        assert!(matches!(strange.told(), Err(Error::Internal(_))));
    }

    /// Whoever speaks by the file is understood: each field has the number that stands there.
    #[test]
    fn the_file_says_what_the_code_does() {
        let file = include_str!("../payments.proto");
        let request = ChargeRequest { key: "k".to_owned(), amount_cents: 5, card: "c".to_owned() };
        assert_eq!(request.encode_to_vec(), [0x0a, 1, b'k', 0x10, 5, 0x1a, 1, b'c']);
        let paid = settlement(shop::Verdict::Paid { charge_id: "i".to_owned() });
        let paid = Settlement::from(paid).encode_to_vec();
        assert_eq!(paid, [0x0a, 1, b'k', 0x10, 0x84, 7, 0x18, 1, 0x22, 1, b'i']);
        for line in [
            "string key = 1;",
            "int64 amount_cents = 2;",
            "string card = 3;",
            "Verdict verdict = 3;",
            "string charge_id = 4;",
            "VERDICT_LATER = 0;",
            "VERDICT_PAID = 1;",
            "VERDICT_DECLINED = 2;",
            "VERDICT_OUT_OF_STOCK = 3;",
            "VERDICT_CANCELLED = 4;",
            "rpc Charge(ChargeRequest) returns (Settlement);",
            "rpc Cancel(ChargeRequest) returns (Settlement);",
        ] {
            assert!(file.contains(line), "{line}");
        }
    }
}
