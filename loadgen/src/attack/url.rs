//! One request, repeated: open-loop load on any HTTP service.

use super::{Judged, Response, Traffic};
use crate::sample::Outcome;
use crate::workload::Job;

/// The same bytes for every arrival.
#[derive(Clone, Debug)]
pub struct UrlTraffic {
    request: Vec<u8>,
}

impl UrlTraffic {
    /// A request of this method, path, headers and body.
    #[must_use]
    pub fn new(method: &str, host: &str, path: &str, headers: &[String], body: &[u8]) -> Self {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !body.is_empty() || !matches!(method, "GET" | "HEAD") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        Self { request }
    }
}

impl Traffic for UrlTraffic {
    fn render(&mut self, _: &Job, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(&self.request);
        0
    }

    fn judge(&mut self, _: &Job, response: &Response<'_>) -> Judged {
        if response.status < 400 { Judged::plain(Outcome::Ok) } else { Judged::refusal(response) }
    }
}
