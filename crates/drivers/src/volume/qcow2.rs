//! The header of qcow2 images.
//!
//! Format: `docs/interop/qcow2.rst` of QEMU.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::VolumeError;

/// The first bytes of every qcow2 image.
pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";
/// Bytes of a header that are looked at: all of version 2, and of version 3 up to the header's length.
const HEADER_BYTES: usize = 104;
const FIRST_V3_FIELD: usize = 72;

const INCOMPATIBLE_DIRTY: u64 = 1;
const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;
const KNOWN_INCOMPATIBLE: u64 = INCOMPATIBLE_DIRTY
    | INCOMPATIBLE_CORRUPT
    | INCOMPATIBLE_DATA_FILE
    | INCOMPATIBLE_COMPRESSION
    | INCOMPATIBLE_EXTENDED_L2;

/// What is asked of an image before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Qcow2Header {
    /// Size of the disk for its host, in bytes.
    pub(super) virtual_size: u64,
    /// 2 (compat 0.10, no bitmaps) or 3.
    pub(super) version: u32,
    /// Whether it lies over another image.
    pub(super) has_backing: bool,
    /// Whether the guest's data is in another file.
    pub(super) has_data_file: bool,
}

impl Qcow2Header {
    /// Reads the header of the image in `file` and refuses images that must not be read: corrupt, encrypted, or of a kind that
    /// is not known. None: not a qcow2 image.
    pub(super) fn read(file: &File, path: &Path) -> Result<Option<Self>, VolumeError> {
        let mut header = [0; HEADER_BYTES];
        let length =
            read_up_to(file, &mut header).map_err(VolumeError::io("read the header of", path))?;
        if length < FIRST_V3_FIELD || header[..4] != MAGIC {
            return Ok(None);
        }
        Self::parse(&header, path).map(Some)
    }

    fn parse(header: &[u8; HEADER_BYTES], path: &Path) -> Result<Self, VolumeError> {
        let refuse = |what: String, hint: &str| VolumeError::Unsupported {
            what: format!("{}: {what}", path.display()),
            hint: hint.to_owned(),
        };
        let version = be32(header, 4);
        if !(2..=3).contains(&version) {
            return Err(refuse(
                format!("qcow2 version {version} is not known"),
                "convert the image with qemu-img convert -O qcow2",
            ));
        }
        if be32(header, 32) != 0 {
            return Err(refuse(
                "the qcow2 image is encrypted, and its key is not known here".to_owned(),
                "encrypt inside the guest, or keep the image unencrypted on an encrypted file system",
            ));
        }
        // A version 2 header ends before the feature bits.
        let incompatible = if version == 3 { be64(header, 72) } else { 0 };
        if incompatible & INCOMPATIBLE_CORRUPT != 0 {
            return Err(refuse(
                "the qcow2 image is marked corrupt".to_owned(),
                "repair it with qemu-img check -r all while it is not in use",
            ));
        }
        let unknown = incompatible & !KNOWN_INCOMPATIBLE;
        if unknown != 0 {
            return Err(refuse(
                format!(
                    "the qcow2 image has incompatible features {unknown:#x} that are not known"
                ),
                "convert the image with qemu-img convert -O qcow2",
            ));
        }
        Ok(Self {
            virtual_size: be64(header, 24),
            version,
            has_backing: be64(header, 8) != 0,
            has_data_file: incompatible & INCOMPATIBLE_DATA_FILE != 0,
        })
    }

    /// Whether the image is all in one file, so that a clone of the file is a clone of the image.
    pub(super) fn is_self_contained(&self) -> bool {
        !self.has_backing && !self.has_data_file
    }
}

fn read_up_to(file: &File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(field)
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32, incompatible: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&version.to_be_bytes());
        bytes[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
        bytes[72..80].copy_from_slice(&incompatible.to_be_bytes());
        bytes
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Qcow2Header, String> {
        Qcow2Header::parse(bytes, Path::new("/d.qcow2")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_size_for_the_host_is_read() {
        let parsed = parse(&header(3, 0)).unwrap();
        assert_eq!(parsed.virtual_size, 1 << 30);
        assert!(parsed.is_self_contained());
    }

    #[test]
    fn version_2_has_no_feature_bits() {
        assert_eq!(parse(&header(2, u64::MAX)).unwrap().version, 2);
    }

    #[test]
    fn corrupt_encrypted_and_unknown_images_are_refused_with_what_to_do() {
        assert!(
            parse(&header(3, 2))
                .unwrap_err()
                .contains("qemu-img check -r all")
        );
        assert!(parse(&header(3, 1 << 9)).unwrap_err().contains("0x200"));
        assert!(parse(&header(4, 0)).unwrap_err().contains("version 4"));
        let mut encrypted = header(3, 0);
        encrypted[35] = 2;
        assert!(parse(&encrypted).unwrap_err().contains("encrypted"));
    }

    #[test]
    fn images_of_several_files_are_told_apart() {
        assert!(parse(&header(3, 4)).unwrap().has_data_file);
        let mut overlay = header(3, 0);
        overlay[15] = 200;
        assert!(!parse(&overlay).unwrap().is_self_contained());
    }

    #[test]
    fn other_files_are_not_taken_for_images() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Qcow2Header::read(&file, Path::new("/d")).unwrap(), None);
        file.write_all_at(&[0; 4096], 0).unwrap();
        assert_eq!(Qcow2Header::read(&file, Path::new("/d")).unwrap(), None);
    }
}
