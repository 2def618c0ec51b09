//! What is at a location.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::qcow2::Qcow2Header;
use super::source::{DiskReader, NbdSource};
use super::{ProbedDisk, VolumeError, VolumeFormat};

/// What NBD URIs begin with.
const NBD_SCHEMES: [&str; 4] = ["nbd:", "nbds:", "nbd+unix:", "nbds+unix:"];

/// Finds out what is at `location`, an absolute path or an NBD URI, and how large the disk is for its host.
///
/// A file whose name ends with `.raw` is raw whatever is in it: a guest that writes an image's header to its own disk must not
/// make the server read other files as its backing file. Keep the format that was found once, for the same reason.
///
/// # Errors
/// [`VolumeError::Missing`], [`VolumeError::Unsupported`] for what is neither file nor device and for qcow2 images that must
/// not be read as they are.
pub fn probe(location: &str) -> Result<ProbedDisk, VolumeError> {
    if NBD_SCHEMES
        .iter()
        .any(|scheme| location.starts_with(scheme))
    {
        let size_bytes = NbdSource::connect(location)?.size_bytes();
        return Ok(ProbedDisk {
            format: VolumeFormat::Nbd,
            size_bytes,
        });
    }
    let path = Path::new(location);
    if !path.is_absolute() {
        return Err(unsupported(
            location,
            "is neither an absolute path nor an NBD URI",
        ));
    }
    let kind = fs::metadata(path)
        .map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => VolumeError::Missing {
                location: location.to_owned(),
            },
            _ => VolumeError::io("look at", path)(cause),
        })?
        .file_type();
    // Before opening: to open a pipe would wait for its other end.
    if !kind.is_file() && !kind.is_block_device() {
        return Err(unsupported(
            location,
            "is neither a regular file nor a block device",
        ));
    }
    let file = File::open(path).map_err(VolumeError::io("open", path))?;
    if kind.is_block_device() {
        return Ok(ProbedDisk {
            format: VolumeFormat::Block,
            size_bytes: device_size(&file, path)?,
        });
    }
    let is_named_raw = path.extension().is_some_and(|extension| extension == "raw");
    let image = if is_named_raw {
        None
    } else {
        Qcow2Header::read(&file, path)?
    };
    Ok(match image {
        Some(header) => ProbedDisk {
            format: VolumeFormat::Qcow2,
            size_bytes: header.virtual_size,
        },
        None => ProbedDisk {
            format: VolumeFormat::Raw,
            size_bytes: file
                .metadata()
                .map_err(VolumeError::io("look at", path))?
                .len(),
        },
    })
}

/// Size of an open block device, bytes.
pub(super) fn device_size(mut device: &File, path: &Path) -> Result<u64, VolumeError> {
    device
        .seek(SeekFrom::End(0))
        .map_err(VolumeError::io("find out the size of", path))
}

fn unsupported(location: &str, what: &str) -> VolumeError {
    VolumeError::Unsupported {
        what: format!("{location} {what}"),
        hint: "give the absolute path of a raw or qcow2 file or of a block device, or an NBD URI"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 104];
        bytes[..4].copy_from_slice(b"QFI\xfb");
        bytes[7] = 3;
        bytes[24..32].copy_from_slice(&(7_u64 << 20).to_be_bytes());
        bytes
    }

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let file = File::create(&path).unwrap();
        file.set_len(3 << 20).unwrap();
        let location = path.to_str().unwrap();
        let found = probe(location).unwrap();
        assert_eq!(
            (found.format, found.size_bytes),
            (VolumeFormat::Raw, 3 << 20)
        );
        file.write_all_at(&header(), 0).unwrap();
        let found = probe(location).unwrap();
        assert_eq!(
            (found.format, found.size_bytes),
            (VolumeFormat::Qcow2, 7 << 20)
        );
    }

    #[test]
    fn a_guest_cannot_turn_its_raw_disk_into_an_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        fs::write(&path, header()).unwrap();
        let found = probe(path.to_str().unwrap()).unwrap();
        assert_eq!((found.format, found.size_bytes), (VolumeFormat::Raw, 104));
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = |location: &str| probe(location).unwrap_err().to_string();
        assert!(text(folder.path().to_str().unwrap()).contains("neither a regular file"));
        assert!(text("disk.raw").contains("absolute path"));
        assert!(text("/nowhere/disk.raw").contains("does not exist"));
        assert!(text("/dev/null").contains("neither a regular file"));
        assert!(text("nbd+unix:///x?socket=/nowhere/s").contains("/nowhere/s"));
    }
}
