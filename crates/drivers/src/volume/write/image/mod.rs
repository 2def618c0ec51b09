//! The image of a host: a folder with its disks, or an OVA.

mod manifest;
mod ova;
mod ovf;
mod tar;
#[cfg(test)]
mod tests;
mod write;

pub use manifest::{ImageDisk, ImageDiskRecord, ImageFile, ImageLayout, ImageManifest, ImageSpec};
pub use write::{read_images, write_image};
