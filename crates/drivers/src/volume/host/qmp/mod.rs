//! Hosts that are reached by QMP: QEMU, and qemu-storage-daemon.
//!
//! * [`client`] and [`agent`] speak QMP and the guest agent's dialect over [`lines`].
//! * [`host`] stops, starts and freezes.
//! * [`live`] captures running disks: [`graph`] finds them, [`plan`] knows what was added and takes it away, [`session`] is the capture while
//!   it is read.

mod agent;
mod client;
mod graph;
mod host;
mod lines;
mod live;
mod plan;
mod session;
#[cfg(test)]
mod tests;

pub use host::QmpHost;
