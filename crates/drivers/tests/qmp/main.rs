//! Hosts by QMP, against qemu-storage-daemon and a QEMU without a guest.

#![allow(clippy::unwrap_used)]

mod daemon;
mod host;
mod live;
