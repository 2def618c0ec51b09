//! Hosts of libvirt, by its command `virsh`.
//!
//! * [`domain`] calls `virsh`.
//! * [`host`] stops, starts and freezes.
//! * [`backup`] captures the disks of a running domain by a backup job of libvirt, and [`session`] is the capture while it is read.

mod backup;
mod domain;
mod host;
mod session;
#[cfg(test)]
mod tests;

pub use host::LibvirtHost;
