//! A host that nobody controls.

use super::{HostContext, HostControl, HostSpec, HostState};
use crate::volume::VolumeError;

/// Does nothing and says so; whether a disk is in use is then judged by who has it open.
#[derive(Debug)]
pub struct NoHost {
    context: HostContext,
}

impl NoHost {
    /// The control of disks whose machine, if any, is not known.
    pub fn new(context: HostContext) -> Self {
        Self { context }
    }
}

impl HostControl for NoHost {
    fn spec(&self) -> HostSpec {
        HostSpec::None
    }

    fn context(&self) -> &HostContext {
        &self.context
    }

    fn state(&self) -> Result<HostState, VolumeError> {
        Ok(HostState::Unknown)
    }

    fn can_stop(&self) -> bool {
        false
    }

    fn stop(&self) -> Result<(), VolumeError> {
        Ok(())
    }

    fn start(&self) -> Result<(), VolumeError> {
        Ok(())
    }

    fn can_freeze(&self) -> bool {
        false
    }

    fn freeze(&self) -> Result<(), VolumeError> {
        Ok(())
    }

    fn thaw(&self) -> Result<(), VolumeError> {
        Ok(())
    }
}
