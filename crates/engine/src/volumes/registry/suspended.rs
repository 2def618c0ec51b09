//! Volumes that nothing may be begun with until something is finished.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use super::Registry;

impl Registry {
    fn suspensions(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing may be begun with a volume. `reason` says what has to be finished, and how.
    pub(crate) fn suspend(&self, volume: &str, reason: &str) {
        self.suspensions()
            .insert(volume.to_owned(), reason.to_owned());
    }

    /// Ends [`Self::suspend`].
    pub(crate) fn resume(&self, volume: &str) {
        self.suspensions().remove(volume);
    }

    /// Why a volume is suspended, if it is.
    pub(crate) fn suspension(&self, volume: &str) -> Option<String> {
        self.suspensions().get(volume).cloned()
    }
}
