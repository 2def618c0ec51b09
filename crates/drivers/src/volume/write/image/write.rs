//! Writing the folder of an image, and finding those that are there.

use std::fs;
use std::io;
use std::path::Path;

use super::super::super::VolumeError;
use super::super::disk::write_counted;
use super::super::sink::write_small_file;
use super::super::staged::StagedFolder;
use super::super::{Checksum, DiskFormat, WriteProgress};
use super::manifest::{ImageDiskRecord, ImageLayout, ImageManifest, ImageSpec, VERSION};
use super::ova;

/// The record of an image in its folder.
const MANIFEST: &str = "image.json";

/// A record is small: a larger file is none.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// Writes the image below `folder` (`images/`, made when missing) as `ID/` and returns when it is durable. It is written as
/// `.ID.snapkeep-new` and renamed at the end: an image that is there is complete. What a crash left is removed at the next call
/// for the same id.
///
/// # Errors
/// [`VolumeError::Unsupported`] when an image of that id exists or the id is no plain name, [`VolumeError::NoSpace`],
/// [`VolumeError::Cancelled`], or what reading the contents and writing the files met.
pub fn write_image(
    folder: &Path,
    spec: &ImageSpec<'_>,
    layout: ImageLayout,
    progress: &WriteProgress,
) -> Result<ImageManifest, VolumeError> {
    check_id(&spec.id)?;
    fs::create_dir_all(folder).map_err(VolumeError::io("create", folder))?;
    let path = folder.join(&spec.id);
    if path.exists() {
        return Err(VolumeError::Unsupported {
            what: format!("writing image [{}], which exists", spec.id),
            hint: "choose another id, or remove that image".into(),
        });
    }
    progress.add_total(
        spec.disks
            .iter()
            .map(|disk| disk.content.size_bytes())
            .sum(),
    );
    let staged = StagedFolder::begin(&path)?;
    let (disks, archive) = match layout {
        ImageLayout::Folder { disks } => (
            write_disks(staged.temporary(), spec, disks, progress)?,
            None,
        ),
        ImageLayout::Ova => {
            let (disks, archive) = ova::write(staged.temporary(), spec, progress)?;
            (disks, Some(archive))
        }
    };
    let manifest = ImageManifest {
        version: VERSION,
        id: spec.id.clone(),
        name: spec.name.clone(),
        source_instance: spec.source_instance.clone(),
        point: spec.point.clone(),
        created: spec.created.clone(),
        layout: match layout {
            ImageLayout::Folder { .. } => "folder".into(),
            ImageLayout::Ova => "ova".into(),
        },
        archive,
        disks,
    };
    let record = staged.temporary().join(MANIFEST);
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|error| {
        VolumeError::io("describe the image in", &record)(io::Error::from(error))
    })?;
    text.push(b'\n');
    write_small_file(&record, &text)?;
    staged.commit()?;
    Ok(manifest)
}

/// The manifests of all complete images below `folder`, by id. A folder that is missing has none, and what is no image is
/// passed over.
///
/// # Errors
/// [`VolumeError::Io`] when a folder or a record cannot be read.
pub fn read_images(folder: &Path) -> Result<Vec<ImageManifest>, VolumeError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(VolumeError::io("list", folder)(error)),
    };
    let mut images = Vec::new();
    for entry in entries {
        let entry = entry.map_err(VolumeError::io("list", folder))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && let Some(manifest) = read_manifest(&entry.path().join(MANIFEST))? {
            images.push(manifest);
        }
    }
    images.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(images)
}

fn read_manifest(path: &Path) -> Result<Option<ImageManifest>, VolumeError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= MAX_MANIFEST_BYTES => {}
        Ok(_) => return Ok(None),
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(VolumeError::io("look at", path)(error)),
    }
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(VolumeError::io("read", path)(error)),
    };
    match serde_json::from_slice(&text) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "an image's record cannot be read");
            Ok(None)
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn write_disks(
    folder: &Path,
    spec: &ImageSpec<'_>,
    format: DiskFormat,
    progress: &WriteProgress,
) -> Result<Vec<ImageDiskRecord>, VolumeError> {
    let mut records = Vec::new();
    for (number, disk) in spec.disks.iter().enumerate() {
        let file = format!("disk-{number}.{}", format.extension());
        let written = write_counted(
            &folder.join(&file),
            format,
            Checksum::Sha256,
            disk.content,
            progress,
        )?;
        records.push(ImageDiskRecord {
            volume: disk.volume.clone(),
            name: disk.name.clone(),
            file,
            format: format.extension().into(),
            size_bytes: written.bytes,
            virtual_size_bytes: written.virtual_size_bytes,
            sha256: written.sha256.unwrap_or_default(),
        });
    }
    Ok(records)
}

/// An id becomes the name of a folder and of files.
fn check_id(id: &str) -> Result<(), VolumeError> {
    /// The names of files in an OVA have up to 99 bytes, ending included.
    const MAX_ID_BYTES: usize = 60;
    let plain = !id.is_empty()
        && id.len() <= MAX_ID_BYTES
        && !id.starts_with('.')
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plain {
        return Ok(());
    }
    Err(VolumeError::Unsupported {
        what: format!("[{id}] as the id of an image"),
        hint: "use letters, digits, dashes and underscores".into(),
    })
}
