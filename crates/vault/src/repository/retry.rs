//! Trying again when a storage did not answer.

use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::storage::StorageError;
use std::time::{Duration, Instant};

/// Most attempts of one operation.
const ATTEMPTS: u32 = 5;
/// Wait after the first failure; each further one doubles it: 0.1, 0.2, 0.4, 0.8 s.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How often a wait looks at the flag.
const POLL: Duration = Duration::from_millis(20);

/// Runs `operation` until it succeeds, fails for good, has been tried [`ATTEMPTS`] times, or `cancel` is raised.
pub(crate) fn retry<T>(
    cancel: &CancelFlag,
    operation: impl FnMut() -> Result<T, StorageError>,
) -> Result<T, VaultError> {
    retry_unless(&|| cancel.is_cancelled(), operation)
}

/// [`retry`] that ends when `is_cancelled` says so.
pub(crate) fn retry_unless<T>(
    is_cancelled: &dyn Fn() -> bool,
    mut operation: impl FnMut() -> Result<T, StorageError>,
) -> Result<T, VaultError> {
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        if is_cancelled() {
            return Err(VaultError::Cancelled);
        }
        match operation() {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "trying again");
                pause(wait, is_cancelled);
                wait *= 2;
            }
            result => return result.map_err(VaultError::from),
        }
    }
    Err(VaultError::Cancelled)
}

/// Sleeps, but not beyond the moment it is cancelled.
fn pause(time: Duration, is_cancelled: &dyn Fn() -> bool) {
    let end = Instant::now() + time;
    while !is_cancelled() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(POLL));
    }
}
