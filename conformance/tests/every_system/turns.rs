//! How much runs at once. A test mostly waits, so that many more run than there are cores; but servers of others need the
//! cores to start, and clusters of them that start together need longer than anyone waits for them.

use scenario::system::SystemSpec;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::programs;

/// A process of our own weighs 1; a server that others wrote weighs this, with its recipe.
const SERVER: usize = 5;
/// What runs at once. Whatever weighs more runs alone; nobody is overtaken.
const RUNNING: usize = 24;
/// What starts at once, of that.
const STARTING: usize = 12;

static TO_RUN: Semaphore = Semaphore::const_new(RUNNING);
static TO_START: Semaphore = Semaphore::const_new(STARTING);

/// Room for a system while it runs, until it is dropped.
pub(crate) async fn to_run(spec: &SystemSpec) -> anyhow::Result<SemaphorePermit<'static>> {
    room(&TO_RUN, RUNNING, spec).await
}

/// Room for a system while it starts, until it is dropped.
pub(crate) async fn to_start(spec: &SystemSpec) -> anyhow::Result<SemaphorePermit<'static>> {
    room(&TO_START, STARTING, spec).await
}

async fn room(
    room: &'static Semaphore,
    most: usize,
    spec: &SystemSpec,
) -> anyhow::Result<SemaphorePermit<'static>> {
    let weight = spec.processes.len() + (SERVER - 1) * programs::servers(spec);
    Ok(room.acquire_many(u32::try_from(weight.min(most))?).await?)
}
