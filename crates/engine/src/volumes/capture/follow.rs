//! Following what changes of a volume from a point on that it was rolled back to.

use snapkeep_drivers::volume::host::{HostContext, HostSpec};
use snapkeep_drivers::volume::{
    Consistency, DiskRequest, DiskSource, DiskToken, GroupCapture, VolumeError, capture,
};

use super::tokens::VolumeState;

impl VolumeState {
    /// Notes that a volume now is as a snapshot shows it, so that the next one costs what changes from here on. Called while nothing
    /// uses the volume. Where the drivers cannot follow it the next snapshot reads everything.
    pub(in crate::volumes) fn follow(&self, source: &DiskSource, snapshot: &str) {
        let token = self.create().map_err(|error| error.to_string());
        let token = token.and_then(|()| {
            self.capture_as(source, snapshot)
                .map_err(|error| error.to_string())
        });
        let token = token.unwrap_or_else(|error| {
            tracing::info!(
                volume = source.volume,
                error,
                "changes of a volume are not followed from the rollback on"
            );
            None
        });
        if let Err(error) = self.keep_token(&source.volume, token.as_ref()) {
            tracing::warn!(volume = source.volume, %error, "changes of a volume cannot be noted; the next snapshot reads everything");
        }
    }

    fn capture_as(
        &self,
        source: &DiskSource,
        snapshot: &str,
    ) -> Result<Option<DiskToken>, VolumeError> {
        let host = HostSpec::None.control(HostContext {
            instance: source.volume.clone(),
            name: source.volume.clone(),
            disks: vec![source.clone()],
        });
        let request = DiskRequest {
            source: source.clone(),
            token: None,
        };
        let mut captured = capture(GroupCapture {
            disks: &[request],
            host: host.as_ref(),
            allow_inconsistent: false,
            state_dir: &self.driver_dir(),
        })?;
        match captured.pop() {
            Some(disk) => {
                // Whoever has it open may have written to it since: then it is not what the snapshot holds.
                let is_as_written =
                    disk.consistency() == Consistency::Offline && disk.verify().is_ok();
                disk.settle(is_as_written.then_some(snapshot))
            }
            None => Ok(None),
        }
    }
}
