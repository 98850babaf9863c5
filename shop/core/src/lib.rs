//! The business, written once: who may buy, what was ordered, whether it was paid.
//!
//! Every architecture wires the same three services; they differ only in who answers the ports
//! ([`Auth`], [`Verify`], [`Orders`], [`Payments`]). This crate does no I/O and names no technology: storage
//! and the card network are ports too.

pub mod auth;
mod charge;
mod error;
mod following;
mod inventory;
pub mod notifications;
pub mod orders;
pub mod payments;
mod steps;
mod tasks;
mod time;

pub use auth::{Auth, AuthService, Credentials, Session, User, UserId, UserStore, Verify};
pub use charge::{Charge, Settlement, Verdict};
pub use error::{Error, Result};
pub use following::{Events, Follower, Following, Owed, Settled, keep_telling};
pub use inventory::{
    Availability, InventoryService, Quantities, Reservation, Reserved, Shelf, Stock, StockStore,
    Wanted,
};
pub use notifications::{Callbacks, GivenUp, GivenUpStore, NotificationService};
pub use orders::{
    Backlog, Courier, Ending, Handover, Item, Listed, Most, Move, Number, Order, OrderId,
    OrderService, OrderStatus, OrderStore, Orders, Outbox, Page, Pending, PlaceOrder, Placed,
    Reader, Reason, Spread, Spreading, Wider, keep_reconciling, keep_recovering,
};
pub use payments::{Begun, CardNetwork, Charged, PaymentService, PaymentStore, Payments};
pub use steps::{Executor, Journaled, StepStore, Steps, Workflows, order_workflow};
pub use tasks::{Tasks, Work};
pub use time::{Micros, now_us};
