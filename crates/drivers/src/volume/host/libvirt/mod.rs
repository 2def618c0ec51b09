//! Placeholder body; replaced in the next commit.

use super::{HostContext, HostControl, HostSpec, HostState, LibvirtSpec};
use crate::volume::VolumeError;

/// A host of driver `libvirt`.
#[derive(Debug)]
pub struct LibvirtHost {
    spec: LibvirtSpec,
    context: HostContext,
}

impl LibvirtHost {
    /// The control of the host that `spec` describes.
    pub fn new(spec: LibvirtSpec, context: HostContext) -> Self {
        Self { spec, context }
    }
}

impl HostControl for LibvirtHost {
    fn spec(&self) -> HostSpec {
        HostSpec::Libvirt(self.spec.clone())
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
