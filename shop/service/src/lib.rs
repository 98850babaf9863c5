//! A process of the shop, whichever wiring it belongs to: what it is told by flags and environment, how
//! long it waits, how much it takes at once, how it serves and stops. It does not know who calls whom.

mod arguments;
pub mod auth;
pub mod bounds;
mod calls;
pub mod environment;
pub mod fanout;
mod gauges;
mod memory;
pub mod metrics;
mod modules;
pub mod needs;
pub mod poison;
mod queued;
mod run;
pub mod settings;
pub mod spread;
pub mod timing;
mod work;

pub use arguments::{ServiceArgs, Serving};
pub use calls::{CallArgs, Rung};
pub use gauges::Gauges;
pub use memory::{Memory, Switch};
pub use modules::ModuleArgs;
pub use queued::Queued;
pub use run::{ServeError, exit_code, finish, not_recovered, run, run_within, tasks};
pub use work::Work;
