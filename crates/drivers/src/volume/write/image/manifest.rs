//! What an image is made of, and `image.json`.

use serde::{Deserialize, Serialize};

use super::super::{DiskContent, DiskFormat};

/// The version of [`ImageManifest`] that is written.
pub(super) const VERSION: u32 = 1;

/// How the disks of an image are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "layout")]
pub enum ImageLayout {
    /// Each disk as a file in this format.
    Folder {
        /// The format of all disks.
        disks: DiskFormat,
    },
    /// One OVA file with all disks as VMDK.
    Ova,
}

/// A disk that goes into an image.
pub struct ImageDisk<'a> {
    /// The volume it was, `vol-…`.
    pub volume: String,
    /// Its name for people; may be empty.
    pub name: String,
    /// Its bytes.
    pub content: &'a dyn DiskContent,
}

/// An image that shall be written.
pub struct ImageSpec<'a> {
    /// `img-…`: the name of its folder.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The instance it was taken from, `i-…`.
    pub source_instance: String,
    /// The point, `ss-…`.
    pub point: String,
    /// When it was asked for, RFC 3339.
    pub created: String,
    /// The disks in the order of the host; the first is the one it boots from.
    pub disks: Vec<ImageDisk<'a>>,
}

/// `image.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageManifest {
    /// Version of this record: 1. Unknown fields of later versions are passed over.
    pub version: u32,
    /// `img-…`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The instance it was taken from.
    pub source_instance: String,
    /// The point it shows.
    pub point: String,
    /// When it was asked for, RFC 3339.
    pub created: String,
    /// `folder` or `ova`.
    pub layout: String,
    /// The OVA file, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ImageFile>,
    /// The disks in order.
    pub disks: Vec<ImageDiskRecord>,
}

/// A file of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFile {
    /// Its name in the folder.
    pub file: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// A disk of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDiskRecord {
    /// The volume it was.
    pub volume: String,
    /// Its name for people.
    pub name: String,
    /// The file in the folder, or in the OVA.
    pub file: String,
    /// `raw`, `qcow2` or `vmdk`.
    pub format: String,
    /// Length of the file in bytes.
    pub size_bytes: u64,
    /// Size of the disk in bytes.
    pub virtual_size_bytes: u64,
    /// SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_version_one_is_read() {
        let manifest: ImageManifest = serde_json::from_str(include_str!("sample-v1.json")).unwrap();
        assert_eq!(manifest.version, 1);
        assert_eq!(manifest.disks[0].format, "qcow2");
        assert_eq!(manifest.disks[0].virtual_size_bytes, 1_073_741_824);
        let again = serde_json::to_string(&manifest).unwrap();
        assert_eq!(
            serde_json::from_str::<ImageManifest>(&again).unwrap(),
            manifest
        );
    }
}
