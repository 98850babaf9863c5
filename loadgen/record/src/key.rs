//! Idempotency keys: whose order is which. The run writes them, the audit reads them.

/// An order that its customer knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Placed by the preparation.
    Prepared,
    /// Placed by the job with this number.
    Placed(u64),
}

impl Known {
    /// Its idempotency key; `customer` is whose it is.
    #[must_use]
    pub fn key(self, prefix: &str, customer: u32) -> String {
        match self {
            Self::Prepared => format!("{prefix}-p{customer}"),
            Self::Placed(seq) => format!("{prefix}-{seq:08}"),
        }
    }
}

/// The idempotency keys of the preparation.
#[must_use]
pub fn prepared_keys(prefix: &str, customers: u32) -> Vec<String> {
    (0..customers).map(|n| Known::Prepared.key(prefix, n)).collect()
}
