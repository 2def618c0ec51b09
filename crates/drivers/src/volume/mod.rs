//! Disks: what they are, who uses them, how they are captured and written.
//!
//! * [`probe`] tells what is at a location, [`users_of`] who may be writing to it.
//! * [`capture`](capture()) takes disks at one moment and tells, where it can, what changed since the snapshot before;
//!   [`forget`] removes what it leaves beside a disk for that.
//! * [`host`] stops, starts, freezes and thaws what runs on them.
//! * [`write`] makes a disk, or the image of one, what a snapshot says.
//!
//! Change detection only ever saves work: whatever is doubtful is read again (`Changes::reason` says why).

mod capture;
mod error;
mod fiemap;
mod files;
pub mod host;
mod model;
mod probe;
mod qcow2;
mod ranges;
mod source;
mod users;
pub mod write;

pub use capture::{Changes, DiskCapture, DiskRequest, GroupCapture, capture, forget, forget_gone};
pub use error::VolumeError;
pub use model::{
    ChangeSource, Consistency, DiskSource, DiskToken, DiskUser, DiskUserKind, Extent, ProbedDisk,
    TokenKind, VolumeFormat,
};
pub use probe::probe;
pub use ranges::RangeSet;
pub use source::recover_captures;
pub use users::users_of;
