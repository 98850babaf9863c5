//! Connections to a PostgreSQL server: made when they are needed, bounded in number and in time, and refused
//! unless the server keeps what it answers. It knows neither orders nor messages.
//!
//! Whatever is asked is one statement, and so one transaction: no transaction waits for its client. After an
//! error that is not the server's own word, it may have had an effect.

mod connection;
mod ear;
mod error;
mod pool;
mod target;

pub use connection::Schema;
pub use ear::Ear;
pub use error::{Error, Result};
pub use pool::Pool;
pub use target::{PASSWORD, Synchronous, Target};
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, ToSql};

use std::time::Duration;

/// How long a server may take to let us in.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long anything that is asked may take, with the wait for a connection.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);
