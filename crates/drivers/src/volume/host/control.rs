//! What is asked of a host, whatever runs it.

use std::fmt;
use std::path::Path;

use super::HostSpec;
use crate::volume::{DiskCapture, DiskRequest, DiskSource, VolumeError};

/// Whether the machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// It runs, or is paused: its disks are open.
    Running,
    /// It does not run: its disks are closed.
    Stopped,
    /// Nobody can tell: there is no control, or no hook for it.
    Unknown,
}

/// Whom a control acts for; hooks are told of it.
#[derive(Debug, Clone, Default)]
pub struct HostContext {
    /// The instance's id, or the volume's when it belongs to none.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// Its disks, in order.
    pub disks: Vec<DiskSource>,
}

/// What came of the wish that the host captures its disks itself.
pub enum HostCapture {
    /// All requested disks at one moment, in the order of the requests.
    Taken(Vec<Box<dyn DiskCapture>>),
    /// It cannot, for this reason; nothing of the attempt is left, and the disks may be captured from outside.
    Unavailable {
        /// Why; it ends with what would make it work where something would.
        reason: String,
    },
}

impl fmt::Debug for HostCapture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(disks) => write!(formatter, "Taken({} disks)", disks.len()),
            Self::Unavailable { reason } => write!(formatter, "Unavailable({reason})"),
        }
    }
}

/// Control of a host. All calls block; each is bounded by a timeout of its own. Actions that are fulfilled already (stop of a stopped
/// host, thaw of one that is not frozen) succeed.
pub trait HostControl: Send + Sync + fmt::Debug {
    /// Its description, enough to make the same control again after a restart.
    fn spec(&self) -> HostSpec;

    /// Whom it acts for.
    fn context(&self) -> &HostContext;

    /// Whether the machine runs.
    fn state(&self) -> Result<HostState, VolumeError>;

    /// Whether [`stop`](Self::stop) and [`start`](Self::start) do anything. Without it, the machine is the operator's to stop.
    fn can_stop(&self) -> bool;

    /// Stops the machine: asks it to shut down, and ends it when it does not in time. Returns when its disks are closed.
    fn stop(&self) -> Result<(), VolumeError>;

    /// Starts the machine; returns when it runs.
    fn start(&self) -> Result<(), VolumeError>;

    /// Whether [`freeze`](Self::freeze) makes anything consistent. Use [`FreezeGuard`](super::FreezeGuard), which sees to the thaw.
    fn can_freeze(&self) -> bool;

    /// Brings file systems (or what the hook cares for) to rest and holds writes.
    fn freeze(&self) -> Result<(), VolumeError>;

    /// Lets writes go on.
    fn thaw(&self) -> Result<(), VolumeError>;

    /// Captures running disks at one moment by means of the host itself. Implementations freeze and thaw on their own and keep
    /// records below `state_dir`, so that a crash leaves nothing behind. An error says that a capture which should have worked did not.
    fn capture_disks(
        &self,
        disks: &[DiskRequest],
        state_dir: &Path,
    ) -> Result<HostCapture, VolumeError> {
        let _ = (disks, state_dir);
        Ok(HostCapture::Unavailable {
            reason: format!(
                "hosts of driver `{}` do not capture disks themselves",
                self.spec().driver()
            ),
        })
    }

    /// Ends a capture that a crash cut off, of which a record of [`capture_disks`](Self::capture_disks) was found. `left` is what the
    /// record says.
    fn end_capture(&self, left: &serde_json::Value) -> Result<(), VolumeError> {
        let _ = left;
        Ok(())
    }
}
