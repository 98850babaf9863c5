//! A mutex that outlives whoever panicked with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a mutex guards, also if somebody panicked with it: the data are whole after each statement.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
