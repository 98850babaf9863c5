//! Payments over gRPC: a server for whoever takes money, a client that is a port. The same contract as `web` has over
//! HTTP and JSON, by messages of `payments.proto`; it translates and decides nothing.

mod client;
mod messages;
mod server;
mod status;
mod timeout;

pub use client::GrpcPayments;
pub use server::serve;

/// Where the methods are.
const CHARGE: &str = "/triptych.Payments/Charge";
const CANCEL: &str = "/triptych.Payments/Cancel";
/// A message is no longer than a body of ours over HTTP.
const MESSAGE_MAX: usize = 16 * 1_024;
