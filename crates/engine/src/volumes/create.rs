//! New volumes made of points.
//!
//! The file appears in the folder of volumes, under the id as its name, when it is complete and durable; then it is registered with
//! its name. What a crash leaves is a file with another ending, which the next start removes, or a complete one, which it registers.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snapkeep_drivers::volume::write::{
    Checksum, Compression, DiskFormat, WriteProgress, write_disk,
};

use super::ids::IdKind;
use super::read::HeldPoint;
use super::registry::{check_name, refused};
use super::work::{Cancellable, Making, make_folder, show_progress};
use crate::catalogue::JobRow;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::jobs::RunningJob;
use crate::model::{AddVolume, JobKind, PointKind, PointsTicket, VolumeFormat};

/// A volume to be made, as it is kept with its job.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct NewVolume {
    id: String,
    name: String,
    format: VolumeFormat,
    path: PathBuf,
}

impl NewVolume {
    fn disk_format(&self) -> DiskFormat {
        match self.format {
            // Uncompressed: it is going to be written to.
            VolumeFormat::Qcow2 => DiskFormat::Qcow2 {
                compression: Compression::None,
            },
            VolumeFormat::Raw | VolumeFormat::Block | VolumeFormat::Nbd => DiskFormat::Raw,
        }
    }

    fn registration(&self) -> AddVolume {
        AddVolume {
            id: Some(self.id.clone()),
            name: Some(self.name.clone()),
            location: self.path.display().to_string(),
            format: Some(self.format),
            allow_inconsistent: false,
            rollback: None,
        }
    }
}

impl Engine {
    /// Makes a new volume in the folder of volumes that is as the point of another volume shows: a sparse raw file, or qcow2 where the
    /// source was qcow2. `resources` of the ticket is its id, which is a volume when the job has succeeded.
    pub async fn create_volume_from(
        &self,
        point: &str,
        volume_name: &str,
    ) -> Result<PointsTicket, EngineError> {
        check_name("the new volume", volume_name)?;
        let (engine, point, name) = (self.clone(), point.to_owned(), volume_name.to_owned());
        self.detached(async move { engine.accept_volume(&point, name).await })
            .await
    }

    async fn accept_volume(&self, point: &str, name: String) -> Result<PointsTicket, EngineError> {
        let inner = &self.inner;
        let held = self.hold_point(point).await?;
        let info = &held.info;
        held.require(PointKind::Volume)?;
        let was_qcow2 = info
            .disks
            .first()
            .is_some_and(|disk| disk.format == VolumeFormat::Qcow2);
        let (format, ending) = if was_qcow2 {
            (VolumeFormat::Qcow2, "qcow2")
        } else {
            (VolumeFormat::Raw, "raw")
        };
        let id = self.new_volume_id().await?;
        let folder = std::path::absolute(&inner.config.volumes.folder)
            .unwrap_or_else(|_| inner.config.volumes.folder.clone());
        let new = NewVolume {
            path: folder.join(format!("{id}.{ending}")),
            id,
            name,
            format,
        };
        let making = Making {
            kind: JobKind::VolumeCreate,
            name: "create-volume",
            id: new.id.clone(),
            input: json!({ "point": info.id, "volume": new }),
        };
        self.begin_making(held, making, move |inner, job, held| {
            make(inner, job, held, &new)
        })
        .await
    }

    /// An id that no volume has.
    async fn new_volume_id(&self) -> Result<String, EngineError> {
        loop {
            let id = IdKind::Volume.new_id();
            match self.volume(&id).await {
                Err(EngineError::VolumeMissing { .. }) => return Ok(id),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }
}

fn make(
    inner: &Arc<Inner>,
    job: &RunningJob,
    held: &HeldPoint,
    new: &NewVolume,
) -> Result<Value, EngineError> {
    let disk = held.open_disk(None, &job.cancel)?;
    let progress = Arc::new(WriteProgress::new());
    show_progress(job, "writing", disk.shape().size_bytes, &progress);
    let _turn = inner.wait_turn(job, &held.vault.restore_turns)?;
    let folder = &inner.config.volumes.folder;
    make_folder(&new.id, folder)?;
    let content = Cancellable {
        content: &disk,
        cancel: &job.cancel,
        progress: &progress,
    };
    let written = write_disk(
        &new.path,
        new.disk_format(),
        Checksum::Skip,
        &content,
        &progress,
    )
    .map_err(|error| refused(&new.id, error.to_string()))?;
    inner.block_on(inner.register_made(&new.registration()))?;
    Ok(json!({
        "volume": new.id, "location": new.path, "format": new.format,
        "size_bytes": written.virtual_size_bytes, "file_bytes": written.bytes,
    }))
}

/// Ends the making of a volume that a crash cut off: what of it is complete becomes a volume. True when it did.
pub(crate) async fn finish_volume(inner: &Arc<Inner>, row: &JobRow) -> Result<bool, EngineError> {
    let Ok(new) = serde_json::from_value::<NewVolume>(row.input["volume"].clone()) else {
        return Ok(false);
    };
    let path = new.path.clone();
    let is_complete = inner.blocking(move |_| Ok(path.is_file())).await?;
    if !is_complete {
        return Ok(false);
    }
    inner.register_made(&new.registration()).await?;
    Ok(true)
}
