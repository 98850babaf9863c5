//! A source of requests and a traffic become samples.
//!
//! One thread owns the clock, the sockets and the schedule, so that nothing stands between the
//! intended instant and the write: no queue, no lock, no other task's turn. In the open loop it
//! never waits for an answer before it sends the next request.

mod again;
mod answer;
mod any;
mod connection;
mod event_loop;
mod request;
mod response;
mod shop;
mod source;
mod stamp;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod wake;

pub use again::Policy;
pub use any::AnyTraffic;
pub use event_loop::{Engine, Flaw, Gauges, Pacing, Summary};
pub use request::{Header, Method, Request};
pub use response::Response;
pub use shop::order_body;
pub use shop::{Customer, ShopTraffic};
pub use source::{Schedule, Sessions, Source, Think, Users};
pub use target::Target;
pub use tls::{Tls, Trust};
pub use url::UrlTraffic;

use crate::workload::Job;
use record::{Known, Outcome, Receipt, Told, Trouble};

/// What to send and how to read the answer.
pub trait Traffic: Send {
    /// Writes the request's bytes into `out` and says which target it goes to.
    fn render(&mut self, job: &Job, out: &mut Vec<u8>) -> usize;
    /// The order that this job looks up, chosen before it is rendered.
    fn about(&self, _job: &Job) -> Option<Known> {
        None
    }
    /// Whether its requests ask for the end of their connection.
    fn closes(&self) -> bool {
        false
    }
    /// Whether its answers have no bodies, whatever they announce: it asks by HEAD.
    fn asks_for_heads(&self) -> bool {
        false
    }
    /// Judges an answer.
    fn judge(&mut self, job: &Job, response: &Response<'_>) -> Judged;
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What became of the request.
    pub outcome: Outcome,
    /// What it said of the order's state.
    pub receipt: Receipt,
    /// What else it said of an order.
    pub told: Option<Told>,
    /// Why it was not understood, if it was not.
    pub trouble: Trouble,
}

impl Judged {
    /// An answer without a receipt.
    #[must_use]
    pub fn plain(outcome: Outcome) -> Self {
        Self { outcome, receipt: Receipt::None, told: None, trouble: Trouble::None }
    }

    /// What was asked for may have happened, but the answer does not say so.
    #[must_use]
    pub fn not_understood(trouble: Trouble) -> Self {
        Self { trouble, ..Self::plain(Outcome::Unknown) }
    }

    /// What a status that is not the wanted one means: 4xx, and refusals marked as without effect,
    /// are certain; the rest may have had an effect.
    #[must_use]
    pub fn refusal(response: &Response<'_>) -> Self {
        let certain = (400..500).contains(&response.status) || response.effect_none;
        Self::plain(if certain { Outcome::Failed } else { Outcome::Unknown })
    }
}
