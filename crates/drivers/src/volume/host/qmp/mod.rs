//! Placeholder body; replaced in the next commit.

use super::{HostContext, HostControl, HostSpec, HostState, QmpSpec};
use crate::volume::VolumeError;

/// A host of driver `qmp`.
#[derive(Debug)]
pub struct QmpHost {
    spec: QmpSpec,
    context: HostContext,
}

impl QmpHost {
    /// The control of the host that `spec` describes.
    pub fn new(spec: QmpSpec, context: HostContext) -> Self {
        Self { spec, context }
    }
}

impl HostControl for QmpHost {
    fn spec(&self) -> HostSpec {
        HostSpec::Qmp(self.spec.clone())
    }
    fn context(&self) -> &HostContext {
        &self.context
    }
    fn state(&self) -> Result<HostState, VolumeError> {
        todo!()
    }
    fn can_stop(&self) -> bool {
        true
    }
    fn stop(&self) -> Result<(), VolumeError> {
        todo!()
    }
    fn start(&self) -> Result<(), VolumeError> {
        todo!()
    }
    fn can_freeze(&self) -> bool {
        true
    }
    fn freeze(&self) -> Result<(), VolumeError> {
        todo!()
    }
    fn thaw(&self) -> Result<(), VolumeError> {
        todo!()
    }
}
