//! Hosts by QMP and libvirt, against qemu-storage-daemon, a QEMU without a guest, and libvirtd.

#![allow(clippy::unwrap_used)]

mod daemon;
mod host;
mod libvirt;
mod live;
mod trouble;
