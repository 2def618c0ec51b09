//! The durable note of a rollback.
//!
//! It is made before the host is stopped and is there until all volumes of the host are done and it runs again. A crash in between
//! leaves the note, and the next start of the engine does the rollback again from its beginning: the point never changes, so that
//! doing it twice gives what doing it once gives.

use serde::{Deserialize, Serialize};
use snapkeep_drivers::volume::DiskSource;
use snapkeep_drivers::volume::host::{HostContext, HostControl};
use snapkeep_drivers::volume::write::RollbackMode;

use crate::model::HostSpec;

/// Version of [`RollbackRecord`].
pub(super) const VERSION: u32 = 1;

/// A volume that is being rolled back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RollbackRecord {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// The job that began it.
    pub(crate) job: String,
    /// The volume.
    pub(crate) source: DiskSource,
    /// How it is written.
    pub(crate) mode: RollbackMode,
    /// The point that it is rolled back to.
    pub(crate) point: String,
    /// What uses it.
    pub(crate) host: RollbackHost,
    /// Whether the host ran, and is to run again when all its volumes are done.
    pub(crate) restart: bool,
    /// How far it is.
    pub(crate) stage: RollbackStage,
    /// When it was begun, milliseconds since 1970.
    pub(crate) begun_ms: i64,
}

/// What uses volumes: an instance, or nothing known for a volume that belongs to none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RollbackHost {
    /// Id of the instance, or of the volume that belongs to none.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// How it is stopped and started.
    pub(crate) spec: HostSpec,
    /// All its disks, in order.
    pub(crate) disks: Vec<DiskSource>,
}

impl RollbackHost {
    /// What stops and starts it.
    pub(super) fn control(&self) -> Box<dyn HostControl> {
        self.spec.control(HostContext {
            instance: self.id.clone(),
            name: self.name.clone(),
            disks: self.disks.clone(),
        })
    }
}

/// How far the rollback of a volume is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub(crate) enum RollbackStage {
    /// Its host may be stopped while a point of how things are now is made. Nothing is written yet, and it is not suspended.
    Waiting,
    /// The volume may be a mixture of old and new.
    Writing,
    /// It is as the point shows; other volumes of the host may not be.
    Written,
    /// It was given up in the middle and is a mixture until a point is applied to it.
    GivenUp {
        /// Why.
        reason: String,
    },
}

impl RollbackRecord {
    /// What is told to whoever wants to use the volume. `is_running`: a job works on it.
    pub(crate) fn suspension(&self, is_running: bool) -> String {
        match &self.stage {
            RollbackStage::Waiting | RollbackStage::Writing | RollbackStage::Written
                if is_running =>
            {
                format!("it is being rolled back to point {}", self.point)
            }
            RollbackStage::Waiting | RollbackStage::Writing | RollbackStage::Written => format!(
                "its rollback to point {} was cut off; the next start of the server finishes it, or apply a point to it",
                self.point
            ),
            RollbackStage::GivenUp { reason } => format!(
                "its rollback to point {} was given up in the middle ({reason}) and its content is a mixture; apply a point to it",
                self.point
            ),
        }
    }

    /// Whether the next start of the engine finishes it.
    pub(super) fn is_resumed(&self) -> bool {
        !matches!(self.stage, RollbackStage::GivenUp { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first release writes it: it must stay readable, because an upgrade may come between a crash and the next start.
    const SAMPLE: &str = r#"{
        "version": 1, "job": "job",
        "source": { "volume": "vol-ABC1234", "format": "block", "location": "/dev/vg/web" },
        "mode": "in_place", "point": "ss-ABC1234",
        "host": { "id": "i-ABC1234", "name": "web", "spec": { "driver": "none" }, "disks": [] },
        "restart": true, "stage": { "stage": "given_up", "reason": "cancelled on request" }, "begun_ms": 17
    }"#;

    #[test]
    fn the_first_version_stays_readable() {
        let record: RollbackRecord = serde_json::from_str(SAMPLE).unwrap();
        assert!(!record.is_resumed());
        assert_eq!(
            record.suspension(false),
            "its rollback to point ss-ABC1234 was given up in the middle (cancelled on request) and its content is a mixture; \
             apply a point to it"
        );
        let again = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<RollbackRecord>(&again).unwrap(),
            record
        );
    }
}
