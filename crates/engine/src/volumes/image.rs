//! Images made of points of instances.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use snapkeep_drivers::volume::write::{
    Compression, DiskContent, DiskFormat, ImageDisk as NewDisk, ImageLayout, ImageManifest,
    ImageSpec, WriteProgress, read_images, write_image,
};

use super::ids::IdKind;
use super::read::{HeldPoint, StoredDisk};
use super::registry::{check_name, refused};
use super::work::{Cancellable, Making, make_folder, show_progress};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::jobs::RunningJob;
use crate::model::{ImageDisk, ImageFormat, ImageInfo, JobKind, PointKind, PointsTicket};

/// An image to be made.
struct NewImage {
    id: String,
    name: String,
    format: ImageFormat,
    created_ms: i64,
}

fn layout_of(format: ImageFormat) -> ImageLayout {
    let folder = |disks| ImageLayout::Folder { disks };
    match format {
        ImageFormat::Qcow2 => folder(DiskFormat::Qcow2 {
            compression: Compression::Zstd,
        }),
        ImageFormat::Qcow2Zlib => folder(DiskFormat::Qcow2 {
            compression: Compression::Zlib,
        }),
        ImageFormat::Raw => folder(DiskFormat::Raw),
        ImageFormat::Ova => ImageLayout::Ova,
    }
}

impl Engine {
    /// Makes an image of all disks of an instance as a point shows them, below `images/`. `resources` of the ticket is its id.
    pub async fn capture_image(
        &self,
        point: &str,
        image_name: &str,
        format: ImageFormat,
    ) -> Result<PointsTicket, EngineError> {
        check_name("the image", image_name)?;
        let (engine, point, name) = (self.clone(), point.to_owned(), image_name.to_owned());
        self.detached(async move { engine.accept_image(&point, name, format).await })
            .await
    }

    async fn accept_image(
        &self,
        point: &str,
        name: String,
        format: ImageFormat,
    ) -> Result<PointsTicket, EngineError> {
        let inner = &self.inner;
        let held = self.hold_point(point).await?;
        held.require(PointKind::Instance)?;
        let new = NewImage {
            id: self.new_image_id().await?,
            name,
            format,
            created_ms: inner.config.clock.now_ms(),
        };
        let making = Making {
            kind: JobKind::ImageCapture,
            name: "capture-image",
            id: new.id.clone(),
            input: json!({
                "point": held.info.id, "image": new.id, "name": new.name, "format": format,
            }),
        };
        self.begin_making(held, making, move |inner, job, held| {
            make(inner, job, held, &new)
        })
        .await
    }

    /// The images that are complete, by id.
    pub async fn images(&self) -> Result<Vec<ImageInfo>, EngineError> {
        self.inner
            .blocking(|inner| {
                let folder = &inner.config.volumes.images_folder;
                let images =
                    read_images(folder).map_err(|error| refused("images", error.to_string()))?;
                Ok(images
                    .into_iter()
                    .map(|manifest| image_info(folder, manifest))
                    .collect())
            })
            .await
    }

    /// An id that no image has.
    async fn new_image_id(&self) -> Result<String, EngineError> {
        self.inner
            .blocking(|inner| {
                let folder = &inner.config.volumes.images_folder;
                loop {
                    let id = IdKind::Image.new_id();
                    if !folder.join(&id).exists() {
                        return Ok(id);
                    }
                }
            })
            .await
    }
}

fn make(
    inner: &Arc<Inner>,
    job: &RunningJob,
    held: &HeldPoint,
    new: &NewImage,
) -> Result<Value, EngineError> {
    let point = &held.info;
    let disks = held.open_disks(&job.cancel)?;
    let progress = Arc::new(WriteProgress::new());
    let total_bytes = disks.iter().map(StoredDisk::size_bytes).sum();
    show_progress(job, "writing", total_bytes, &progress);
    let _turn = inner.wait_turn(job, &held.vault.restore_turns)?;
    let folder = &inner.config.volumes.images_folder;
    make_folder(&new.id, folder)?;
    let contents: Vec<Cancellable<'_>> = disks
        .iter()
        .map(|disk| Cancellable {
            content: disk,
            cancel: &job.cancel,
            progress: &progress,
        })
        .collect();
    let new_disks = point.disks.iter().zip(&contents);
    let spec = ImageSpec {
        id: new.id.clone(),
        name: new.name.clone(),
        source_instance: point.resource.id.clone(),
        point: point.id.clone(),
        created: timestamp(new.created_ms),
        disks: new_disks
            .map(|(disk, content)| NewDisk {
                volume: disk.volume.clone(),
                name: disk.name.clone(),
                content,
            })
            .collect(),
    };
    let manifest = write_image(folder, &spec, layout_of(new.format), &progress)
        .map_err(|error| refused(&new.id, error.to_string()))?;
    let info = image_info(folder, manifest);
    serde_json::to_value(info).map_err(|error| EngineError::Internal(error.to_string()))
}

fn timestamp(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// An image as lists show it.
fn image_info(folder: &Path, manifest: ImageManifest) -> ImageInfo {
    let own: PathBuf = folder.join(&manifest.id);
    let first = manifest.disks.first().map(|disk| disk.format.as_str());
    let (format, path) = match (&manifest.archive, first) {
        (Some(archive), _) => (ImageFormat::Ova, own.join(&archive.file)),
        (None, Some("raw")) => (ImageFormat::Raw, own),
        (None, _) => (ImageFormat::Qcow2, own),
    };
    let created: Option<jiff::Timestamp> = manifest.created.parse().ok();
    ImageInfo {
        id: manifest.id,
        name: manifest.name,
        format,
        point: manifest.point,
        instance: manifest.source_instance,
        created_ms: created.map_or(0, jiff::Timestamp::as_millisecond),
        path,
        disks: manifest
            .disks
            .into_iter()
            .map(|disk| ImageDisk {
                volume: disk.volume,
                file: disk.file,
                size_bytes: disk.virtual_size_bytes,
                file_bytes: disk.size_bytes,
                sha256: disk.sha256,
            })
            .collect(),
    }
}
