//! Which node of QEMU's block graph a volume is.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::client::Qmp;
use super::lines::QmpError;
use crate::volume::host::QmpNode;
use crate::volume::{DiskSource, VolumeFormat};

/// Nodes that are the file or device itself, below a format.
const PROTOCOLS: [&str; 2] = ["file", "host_device"];
/// Nodes that only look at what passes; they show the file name of what is below.
const FILTERS: [&str; 10] = [
    "backup-top",
    "blkdebug",
    "commit_top",
    "compress",
    "copy-before-write",
    "copy-on-read",
    "mirror_top",
    "preallocate",
    "snapshot-access",
    "throttle",
];

/// A volume's node.
#[derive(Debug, Clone)]
pub struct DiskNode {
    /// Its name.
    pub node: String,
    /// QOM path of the device whose disk it is at the top of; None when something else (an export, a filter) lies between.
    pub device: Option<String>,
    /// Size of the disk, in bytes.
    pub size_bytes: u64,
    /// Whether bitmaps on it outlive the process.
    pub keeps_bitmaps: bool,
    /// Its named bitmaps.
    pub bitmaps: Vec<Bitmap>,
    /// The images under it, whose changes its bitmaps do not record; None when one of them is not a file.
    pub backing: Option<Vec<PathBuf>>,
}

/// A dirty bitmap.
#[derive(Debug, Clone)]
pub struct Bitmap {
    /// Its name.
    pub name: String,
    /// Whether writes are recorded.
    pub is_recording: bool,
    /// Whether it was not stored when the image was closed the last time.
    pub is_inconsistent: bool,
    /// Whether a job or an export uses it.
    pub is_busy: bool,
}

/// QEMU's block graph at one moment.
#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Value>,
    devices: Vec<Value>,
}

impl Graph {
    /// Asks for it.
    pub fn read(qmp: &mut Qmp) -> Result<Self, QmpError> {
        let nodes = qmp.execute("query-named-block-nodes", json!({}))?;
        let devices = qmp.execute("query-block", json!({}))?;
        let list = |value: Value| match value {
            Value::Array(list) => Ok(list),
            other => Err(QmpError::Protocol(format!("expected a list, got {other}"))),
        };
        Ok(Self {
            nodes: list(nodes)?,
            devices: list(devices)?,
        })
    }

    /// Whether there is a node of this name.
    pub fn has(&self, node: &str) -> bool {
        self.node(node).is_some()
    }

    /// The bitmaps of a node; none when there is no such node.
    pub fn bitmaps(&self, node: &str) -> Vec<Bitmap> {
        self.node(node).map(bitmaps).unwrap_or_default()
    }

    /// The node that is the volume: the one that `named` says, or the only one of its format over its file. Else why it is none.
    pub fn find(&self, source: &DiskSource, named: Option<&QmpNode>) -> Result<DiskNode, String> {
        let node = match named {
            Some(named) => self.node(&named.node).ok_or_else(|| {
                format!(
                    "QEMU has no block node [{}] as `nodes` says of volume [{}]",
                    named.node, source.volume
                )
            })?,
            None => self.by_location(source)?,
        };
        let name = word(node, "node-name");
        let device = match named.and_then(|named| named.device.clone()) {
            Some(device) => Some(device),
            None => self.device_of(name),
        };
        let size_bytes = node["image"]["virtual-size"]
            .as_u64()
            .ok_or_else(|| format!("QEMU does not tell the size of its node [{name}]"))?;
        // Version 2 of the format has no room for bitmaps, and nothing can be stored in what is opened read-only.
        let keeps_bitmaps = word(node, "drv") == "qcow2"
            && node["image"]["format-specific"]["data"]["compat"] == "1.1"
            && node["ro"] == false;
        Ok(DiskNode {
            node: name.to_owned(),
            device,
            size_bytes,
            keeps_bitmaps,
            bitmaps: bitmaps(node),
            backing: backing(&node["image"]),
        })
    }

    fn by_location(&self, source: &DiskSource) -> Result<&Value, String> {
        let name_it = "name its node in the instance's `nodes`";
        let location = Path::new(&source.location);
        let wanted = fs::canonicalize(location).unwrap_or_else(|_| location.to_owned());
        let is_wanted = |name: Option<PathBuf>| {
            name.is_some_and(|name| fs::canonicalize(&name).unwrap_or(name) == wanted)
        };
        let over_it: Vec<&Value> = self
            .nodes
            .iter()
            .filter(|node| is_wanted(file_name(word(node, "file"))))
            .filter(|node| !FILTERS.contains(&word(node, "drv")))
            .collect();
        let mut formats = over_it
            .iter()
            .filter(|node| !PROTOCOLS.contains(&word(node, "drv")))
            .copied()
            .collect::<Vec<_>>();
        if formats.is_empty() {
            formats = over_it;
        }
        let node = match formats[..] {
            [node] => node,
            [] => {
                return Err(format!(
                    "QEMU has no disk on {} (volume [{}]); {name_it}",
                    source.location, source.volume
                ));
            }
            _ => {
                return Err(format!(
                    "QEMU uses {} (volume [{}]) in several nodes; {name_it}",
                    source.location, source.volume
                ));
            }
        };
        let format = word(node, "drv");
        let fits = match source.format {
            VolumeFormat::Qcow2 => format == "qcow2",
            VolumeFormat::Raw | VolumeFormat::Block => {
                format == "raw" || PROTOCOLS.contains(&format)
            }
            VolumeFormat::Nbd => false,
        };
        if !fits {
            return Err(format!(
                "volume [{}] is of format {} but QEMU uses it as {format}; correct the volume's format",
                source.volume, source.format
            ));
        }
        if self
            .nodes
            .iter()
            .any(|other| is_wanted(file_name(word(other, "backing_file"))))
        {
            return Err(format!(
                "in QEMU an overlay lies above {} (volume [{}]), which holds what is newer; commit it, or make the overlay the volume",
                source.location, source.volume
            ));
        }
        Ok(node)
    }

    fn node(&self, name: &str) -> Option<&Value> {
        self.nodes
            .iter()
            .find(|node| word(node, "node-name") == name)
    }

    /// QOM path of the device that has this node.
    pub fn device_of(&self, node: &str) -> Option<String> {
        let device = self
            .devices
            .iter()
            .find(|device| device["inserted"]["node-name"] == node)?;
        let path = device["qdev"].as_str()?;
        // An id of its own, or the QOM path of what has none.
        Some(if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/machine/peripheral/{path}")
        })
    }
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn bitmaps(node: &Value) -> Vec<Bitmap> {
    let is = |bitmap: &Value, key: &str| bitmap[key].as_bool().unwrap_or(false);
    node["dirty-bitmaps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|bitmap| {
            Some(Bitmap {
                name: bitmap["name"].as_str()?.to_owned(),
                is_recording: is(bitmap, "recording"),
                is_inconsistent: is(bitmap, "inconsistent"),
                is_busy: is(bitmap, "busy"),
            })
        })
        .collect()
}

/// The images under an image, from the top down.
fn backing(image: &Value) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut image = image;
    while let Some(under) = image.get("backing-image") {
        files.push(file_name(word(under, "filename"))?);
        image = under;
    }
    Some(files)
}

/// The absolute path in a name that QEMU gives a file: as it is, or inside `json:{…}` when there are options beside it.
fn file_name(shown: &str) -> Option<PathBuf> {
    let Some(options) = shown.strip_prefix("json:") else {
        let path = shown.strip_prefix("file:").unwrap_or(shown);
        return path.starts_with('/').then(|| PathBuf::from(path));
    };
    let mut options: Value = serde_json::from_str(options).ok()?;
    loop {
        if let Some(name) = options["filename"].as_str() {
            return Some(PathBuf::from(name));
        }
        options = options.get_mut("file")?.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, driver: &str, file: &str) -> Value {
        json!({"node-name": name, "drv": driver, "file": file, "ro": false,
               "image": {"virtual-size": 4096, "format-specific": {"data": {"compat": "1.1"}}}})
    }

    fn source(format: VolumeFormat) -> DiskSource {
        DiskSource {
            volume: "vol-abc1234".into(),
            format,
            location: "/disks/a.img".into(),
        }
    }

    fn found(nodes: Vec<Value>, format: VolumeFormat) -> Result<String, String> {
        let graph = Graph {
            nodes,
            devices: vec![],
        };
        graph.find(&source(format), None).map(|disk| disk.node)
    }

    #[test]
    fn a_volume_is_the_format_node_over_its_file() {
        let nodes = vec![
            node("p", "file", "/disks/a.img"),
            node("d", "qcow2", "/disks/a.img"),
            node("t", "throttle", "/disks/a.img"),
            node("other", "qcow2", "/disks/b.img"),
        ];
        assert_eq!(found(nodes.clone(), VolumeFormat::Qcow2).unwrap(), "d");
        let text = found(nodes, VolumeFormat::Raw).unwrap_err();
        assert!(text.contains("QEMU uses it as qcow2"), "{text}");
    }

    #[test]
    fn a_raw_disk_is_found_with_and_without_a_node_of_its_format() {
        let file = node(
            "p",
            "file",
            "json:{\"driver\":\"file\",\"filename\":\"/disks/a.img\"}",
        );
        assert_eq!(found(vec![file.clone()], VolumeFormat::Raw).unwrap(), "p");
        let raw = node(
            "d",
            "raw",
            "json:{\"driver\":\"raw\",\"file\":{\"filename\":\"/disks/a.img\"}}",
        );
        assert_eq!(found(vec![file, raw], VolumeFormat::Raw).unwrap(), "d");
    }

    #[test]
    fn the_images_under_a_disk_are_told_when_all_are_files() {
        let under = |first: &str| {
            backing(
                &json!({"backing-image": {"filename": first, "backing-image": {"filename": "/b"}}}),
            )
        };
        assert_eq!(under("/a"), Some(vec!["/a".into(), "/b".into()]));
        assert_eq!(under("nbd://host/a"), None);
    }

    #[test]
    fn what_is_doubtful_is_not_guessed() {
        let twice = vec![
            node("d1", "raw", "/disks/a.img"),
            node("d2", "raw", "/disks/a.img"),
        ];
        assert!(
            found(twice, VolumeFormat::Raw)
                .unwrap_err()
                .contains("several")
        );
        assert!(
            found(vec![], VolumeFormat::Raw)
                .unwrap_err()
                .contains("no disk")
        );
        let mut overlay = node("top", "qcow2", "/disks/top.qcow2");
        overlay["backing_file"] = json!("/disks/a.img");
        let under = vec![node("d", "qcow2", "/disks/a.img"), overlay];
        let text = found(under, VolumeFormat::Qcow2).unwrap_err();
        assert!(text.contains("overlay"), "{text}");
    }

    #[test]
    fn a_named_node_wins_and_the_device_is_found_by_it() {
        let graph = Graph {
            nodes: vec![node("d", "qcow2", "elsewhere")],
            devices: vec![json!({"qdev": "vd0", "inserted": {"node-name": "d"}})],
        };
        let named = QmpNode {
            node: "d".into(),
            device: None,
        };
        let disk = graph
            .find(&source(VolumeFormat::Qcow2), Some(&named))
            .unwrap();
        assert_eq!(disk.device.as_deref(), Some("/machine/peripheral/vd0"));
        assert!(disk.keeps_bitmaps);
        assert_eq!(disk.backing, Some(vec![]));
        let named = QmpNode {
            node: "none".into(),
            device: None,
        };
        assert!(
            graph
                .find(&source(VolumeFormat::Qcow2), Some(&named))
                .is_err()
        );
    }
}
