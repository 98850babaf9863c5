//! One address before several replicas of an HTTP/1.1 server.
//!
//! It passes bytes on and looks at heads alone. A request is repeated elsewhere only if nothing of it was sent: whether a
//! replica that fell silent has done the work, nobody here can know. It knows no shop.

mod backend;
mod check;
mod door;
mod ejection;
mod message;
mod policy;
mod relay;

pub use backend::{Backend, Backends, Limits};
pub use check::{Check, watch};
pub use door::Door;
pub use ejection::Ejection;
pub use policy::Policy;
pub use relay::{Patience, serve};
