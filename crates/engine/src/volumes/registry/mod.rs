//! Which volumes and instances there are.

mod api;

/// All known volumes and instances.
#[derive(Debug, Default)]
pub(crate) struct Registry {}
