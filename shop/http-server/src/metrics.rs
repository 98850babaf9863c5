//! What a server counts, in OpenMetrics.

use http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

/// The first bucket ends here; each further one at twice the time, the last at eight seconds.
const BUCKET_MIN_S: f64 = 0.000_5;
const BUCKETS: u16 = 15;
/// The status of a request whose time ran out (its client was told 504) or whose client left.
const CUT: &str = "cut";

/// The server's own metrics, and the registry to which others add theirs.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    response: Family<Route, Histogram>,
    in_flight: Gauge,
    pub(crate) connections: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let response = Family::<Route, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(BUCKET_MIN_S, 2.0, BUCKETS))
        });
        let (in_flight, connections) = (Gauge::default(), Gauge::default());
        registry.register("http_requests", "Answered requests", requests.clone());
        registry.register_with_unit(
            "http_response_time",
            "From the end of the request to its answer",
            Unit::Seconds,
            response.clone(),
        );
        registry.register("http_in_flight", "Requests being handled", in_flight.clone());
        registry.register("http_connections", "Open connections", connections.clone());
        Self { registry, requests, response, in_flight, connections }
    }
}

impl Metrics {
    /// Where other parts of the process register metrics of their own, before it serves.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail; a collector that does leaves the text short.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Counts a request from here until the result is dropped.
    pub(crate) fn asked(&self, method: &Method, route: &'static str) -> Asked<'_> {
        self.in_flight.inc();
        let answered = Answered { method: name(method), route, status: CUT };
        Asked { metrics: self, answered, begun: Instant::now() }
    }
}

/// A request that is being handled; dropped without an answer, it counts as cut.
pub(crate) struct Asked<'a> {
    metrics: &'a Metrics,
    answered: Answered,
    begun: Instant,
}

impl Asked<'_> {
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.answered.status = class(status);
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Answered { method, route, .. } = self.answered;
        let route = Route { method, route };
        let took = self.begun.elapsed().as_secs_f64();
        self.metrics.requests.get_or_create(&self.answered).inc();
        self.metrics.response.get_or_create(&route).observe(took);
        self.metrics.in_flight.dec();
    }
}

fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        0..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
