//! Drivers: how each kind of resource is captured and restored.
