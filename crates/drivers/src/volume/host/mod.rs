//! Hosts: the machines that use an instance's disks, and how they are stopped, started and frozen.
//!
//! [`HostSpec`] is the description in the configuration, with an example of each driver in [`spec`]; [`HostSpec::control`] makes a
//! [`HostControl`] of it. [`FreezeGuard`] freezes and is sure to thaw; [`recover_freezes`] thaws at start what a crash left frozen.

mod control;
mod freeze;
mod hooks;
mod libvirt;
mod live_disk;
mod none;
mod process;
mod qmp;
mod record;
pub mod spec;

pub use control::{HostCapture, HostContext, HostControl, HostState};
pub use freeze::{FreezeGuard, RecoveredFreeze, recover_freezes};
pub use process::{Output, run_program};
pub use spec::{Hook, HookSpec, HostSpec, LibvirtSpec, QmpNode, QmpSpec};
