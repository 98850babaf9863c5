//! What a link has seen, counted by its connections.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::link_fault::Way;

/// A number that only grows, or a gauge.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a link's connections count.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) accepted: Count,
    pub(super) ended: Count,
    pub(super) over_limit: Count,
    pub(super) refused: Count,
    pub(super) reset: Count,
    pub(super) replies_lost: Count,
    pub(super) half_opened: Count,
    pub(super) held: Count,
    pub(super) swallowed_bytes: Count,
    to_upstream_bytes: Count,
    to_client_bytes: Count,
}

impl Tally {
    /// Connections that are open now.
    pub(super) fn live(&self) -> u64 {
        self.accepted.get() - self.ended.get()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            live: self.live(),
            accepted: self.accepted.get(),
            over_limit: self.over_limit.get(),
            refused: self.refused.get(),
            reset: self.reset.get(),
            replies_lost: self.replies_lost.get(),
            half_opened: self.half_opened.get(),
            held: self.held.get(),
            swallowed_bytes: self.swallowed_bytes.get(),
            to_upstream_bytes: self.to_upstream_bytes.get(),
            to_client_bytes: self.to_client_bytes.get(),
        }
    }

    pub(super) fn of(&self, way: Way) -> &Count {
        match way {
            Way::ToUpstream => &self.to_upstream_bytes,
            Way::ToClient => &self.to_client_bytes,
        }
    }
}

/// What a link has seen since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections that are open now.
    pub live: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were reset because too many were open.
    pub over_limit: u64,
    /// Connections whose upstream could not be reached.
    pub refused: u64,
    /// Clients that were reset: by a fault, or because the upstream did.
    pub reset: u64,
    /// Replies that were lost.
    pub replies_lost: u64,
    /// Connections whose upstream's side alone was closed.
    pub half_opened: u64,
    /// Arrivals of bytes, or of an end, that had to wait.
    pub held: u64,
    /// Bytes that were swallowed.
    pub swallowed_bytes: u64,
    /// Bytes that were passed to the upstream.
    pub to_upstream_bytes: u64,
    /// Bytes that were passed to clients.
    pub to_client_bytes: u64,
}
