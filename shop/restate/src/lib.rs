//! Durable execution by Restate's server. An order's workflow is an invocation of a service of ours, which the server calls,
//! and calls again until it has ended; results of steps are in the server's journal. What is sold and who takes money it
//! does not know.
//!
//! The server is told no card: the workflow's key, and what its steps came to. A card stays where it is forgotten in time: in the outbox, whose row ends
//! with its workflow. So a workflow goes on while its order is held by the process that has the outbox.

mod executor;
mod held;
mod ingress;
mod worker;

pub use executor::Restate;
pub use ingress::{Admin, Ingress};
pub use worker::serve;

/// Names of our service and its method, as the server knows them.
const SERVICE: &str = "Orders";
const METHOD: &str = "finish";
