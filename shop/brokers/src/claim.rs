//! What our own brokers write into a receipt: which message, which delivery of it, and of which file.

use bytes::{BufMut, BytesMut};

use crate::{Delivery, Receipt};

/// One delivery of one message; every change of a lease is fenced by both numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Claim {
    /// The message.
    pub(crate) id: i64,
    /// How often it has been claimed, with this time.
    pub(crate) number: u32,
}

/// A claimed message, and what its window must know.
pub(crate) struct Handed {
    pub(crate) claim: Claim,
    pub(crate) delivery: Delivery,
    /// How often a redelivered one has failed.
    pub(crate) redelivered: Option<u32>,
}

impl Claim {
    /// As it is given to consumers. `epoch` tells one broker's file from all others: message numbers
    /// begin anew in a new one.
    pub(crate) fn receipt(self, epoch: u64) -> Receipt {
        let mut bytes = BytesMut::with_capacity(size_of::<u64>() * 2 + size_of::<u32>());
        bytes.put_u64_le(epoch);
        bytes.put_i64_le(self.id);
        bytes.put_u32_le(self.number);
        Receipt(bytes.freeze())
    }

    /// What a receipt names; none if it is not of this file.
    pub(crate) fn of(receipt: &Receipt, epoch: u64) -> Option<Self> {
        let Receipt(bytes) = receipt;
        let (made, rest) = bytes.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let number = <[u8; 4]>::try_from(rest).ok()?;
        let ours = u64::from_le_bytes(*made) == epoch;
        ours.then(|| Self { id: i64::from_le_bytes(*id), number: u32::from_le_bytes(number) })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_receipt_is_read_back_by_its_own_broker_alone() {
        let claim = Claim { id: i64::MAX - 1, number: 7 };
        let receipt = claim.receipt(42);
        assert_eq!(Claim::of(&receipt, 42), Some(claim));
        assert_eq!(Claim::of(&receipt, 43), None);
        for length in [0, 8, 19, 21] {
            let strange = Receipt(Bytes::from(vec![42; length]));
            assert_eq!(Claim::of(&strange, u64::from_le_bytes([42; 8])), None, "{length}");
        }
    }
}
