//! One request, repeated: open-loop load on any HTTP service.

use super::request::Request;
use super::{Judged, Response, Traffic};
use crate::workload::Job;
use record::Outcome;

/// The same bytes for every arrival.
#[derive(Clone, Debug)]
pub struct UrlTraffic(Request);

impl UrlTraffic {
    /// This request, again and again.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self(request)
    }
}

impl Traffic for UrlTraffic {
    fn render(&mut self, _: &Job, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(&self.0.bytes);
        0
    }

    fn closes(&self) -> bool {
        self.0.closes
    }

    fn asks_for_heads(&self) -> bool {
        self.0.asks_for_heads
    }

    fn judge(&mut self, _: &Job, response: &Response<'_>) -> Judged {
        if response.status < 400 { Judged::plain(Outcome::Ok) } else { Judged::refusal(response) }
    }
}
