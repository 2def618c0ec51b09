//! Directories: a tree blob is JSON with one node an entry.
//!
//! The encoding is canonical: restic re-encodes a tree before it changes it and refuses when the bytes differ.
//! Writing is in `tree_encode`.

use super::quote::unquote;
use super::{FormatError, Time};
use crate::ids::BlobId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A regular file, or a block device saved as one.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A block device.
    Dev,
    /// A character device.
    CharDev,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Anything else.
    Irregular,
}

impl NodeKind {
    /// The word in the tree.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "dir",
            Self::Symlink => "symlink",
            Self::Dev => "dev",
            Self::CharDev => "chardev",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Irregular => "irregular",
        }
    }
}

/// Kind and permissions in the bits of Go's `os.FileMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mode(pub u32);

impl Mode {
    const DIR: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const NAMED_PIPE: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHAR_DEVICE: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    const IRREGULAR: u32 = 1 << 19;

    /// From `st_mode` of Unix.
    pub fn from_unix(mode: u32) -> Self {
        let kind = match mode & 0o170_000 {
            0o040_000 => Self::DIR,
            0o120_000 => Self::SYMLINK,
            0o060_000 => Self::DEVICE,
            0o020_000 => Self::DEVICE | Self::CHAR_DEVICE,
            0o010_000 => Self::NAMED_PIPE,
            0o140_000 => Self::SOCKET,
            0o100_000 | 0 => 0,
            _ => Self::IRREGULAR,
        };
        let mut bits = kind | mode & 0o777;
        for (unix, go) in Self::SPECIAL {
            if mode & unix != 0 {
                bits |= go;
            }
        }
        Self(bits)
    }

    const SPECIAL: [(u32, u32); 3] = [
        (0o4000, Self::SETUID),
        (0o2000, Self::SETGID),
        (0o1000, Self::STICKY),
    ];

    /// Permissions of Unix with setuid, setgid and sticky, for `chmod`.
    pub fn unix_permissions(self) -> u32 {
        let mut mode = self.0 & 0o777;
        for (unix, go) in Self::SPECIAL {
            if self.0 & go != 0 {
                mode |= unix;
            }
        }
        mode
    }
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedAttribute {
    /// Name with its namespace, as in `user.comment`.
    pub name: String,
    /// Value.
    pub value: Vec<u8>,
}

/// One entry of a directory, with the fields of restic. A number of 0 and an empty text mean "not there".
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name in its directory: any bytes but `/` and 0, not empty, not `.` or `..`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: NodeKind,
    /// Permissions.
    pub mode: Mode,
    /// Last change of the content.
    pub mtime: Time,
    /// Last access; restic writes `mtime` here unless told otherwise, so that unchanged directories stay unchanged.
    pub atime: Time,
    /// Last change of the node.
    pub ctime: Time,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the owner.
    pub user: String,
    /// Name of the group.
    pub group: String,
    /// Inode.
    pub inode: u64,
    /// Device of the inode, only for files with several links.
    pub device_id: u64,
    /// Size of a file.
    pub size: u64,
    /// Number of hard links.
    pub links: u64,
    /// Where a symbolic link points.
    pub link_target: Vec<u8>,
    /// Extended attributes.
    pub extended_attributes: Vec<ExtendedAttribute>,
    /// Attributes of other operating systems, as JSON.
    pub generic_attributes: BTreeMap<String, Value>,
    /// Number of a device.
    pub device: u64,
    /// Blobs of a file, in order; always there for files, absent for everything else.
    pub content: Option<Vec<BlobId>>,
    /// The directory's own tree.
    pub subtree: Option<BlobId>,
    /// What went wrong while reading it.
    pub error: String,
}

impl Node {
    /// A node with this name and kind and nothing else.
    pub fn new(name: impl Into<Vec<u8>>, kind: NodeKind) -> Self {
        Self {
            name: name.into(),
            kind,
            mode: Mode::default(),
            mtime: Time::EPOCH,
            atime: Time::EPOCH,
            ctime: Time::EPOCH,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            link_target: Vec::new(),
            extended_attributes: Vec::new(),
            generic_attributes: BTreeMap::new(),
            device: 0,
            content: None,
            subtree: None,
            error: String::new(),
        }
    }

    /// A regular file with permissions 0644 and all times at `time`.
    pub fn file(name: impl Into<Vec<u8>>, time: Time, content: Vec<BlobId>, size: u64) -> Self {
        let mut node = Self::new(name, NodeKind::File).at(time);
        node.mode = Mode::from_unix(0o100_644);
        node.content = Some(content);
        node.size = size;
        node.links = 1;
        node
    }

    /// A directory with permissions 0755 and all times at `time`.
    pub fn dir(name: impl Into<Vec<u8>>, time: Time, subtree: BlobId) -> Self {
        let mut node = Self::new(name, NodeKind::Dir).at(time);
        node.mode = Mode::from_unix(0o040_755);
        node.subtree = Some(subtree);
        node
    }

    fn at(mut self, time: Time) -> Self {
        self.mtime = time;
        self.atime = time;
        self.ctime = time;
        self
    }

    /// The name as text; bytes that are not UTF-8 are replaced.
    pub fn name_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == NodeKind::Dir
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == NodeKind::File
    }
}

/// A directory: nodes with different names, ascending by the bytes of the name.
///
/// Restic looks names up by walking forward only, so that an unsorted tree would silently lose entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// A directory of these nodes, in any order. Two of the same name, or a name that no directory can have, are refused.
    pub fn new(mut nodes: Vec<Node>) -> Result<Self, FormatError> {
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        for pair in nodes.windows(2) {
            if pair[0].name == pair[1].name {
                return Err(FormatError::malformed(format!(
                    "the name {:?} is there twice",
                    pair[0].name_text()
                )));
            }
        }
        for node in &nodes {
            check_name(&node.name)?;
        }
        Ok(Self { nodes })
    }

    /// The nodes, ascending by name.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes, ascending by name.
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// The node of this name.
    pub fn find(&self, name: &[u8]) -> Option<&Node> {
        let found = self
            .nodes
            .binary_search_by(|node| node.name.as_slice().cmp(name));
        found.ok().map(|at| &self.nodes[at])
    }

    /// Reads a tree blob. Nodes that an old tool wrote in another order are sorted; unknown fields are passed over.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        let tree: JsonTree<'_> =
            serde_json::from_slice(json).map_err(|error| FormatError::json(&error))?;
        let nodes = tree.nodes.unwrap_or_default();
        let nodes: Result<Vec<Node>, FormatError> = nodes.into_iter().map(Node::try_from).collect();
        Self::new(nodes?)
    }
}

/// Names that would lead out of the directory must not come from a repository, however it was written.
fn check_name(name: &[u8]) -> Result<(), FormatError> {
    let is_possible =
        !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0));
    if is_possible {
        Ok(())
    } else {
        Err(FormatError::malformed(format!(
            "the name {:?} is not possible in a directory",
            String::from_utf8_lossy(name)
        )))
    }
}

#[derive(Deserialize)]
struct JsonTree<'a> {
    #[serde(borrow)]
    nodes: Option<Vec<JsonNode<'a>>>,
}

/// A node as it is in JSON.
#[derive(Deserialize)]
struct JsonNode<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: NodeKind,
    #[serde(default)]
    mode: u32,
    #[serde(default = "epoch")]
    mtime: Time,
    #[serde(default = "epoch")]
    atime: Time,
    #[serde(default = "epoch")]
    ctime: Time,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default)]
    user: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    inode: u64,
    #[serde(default)]
    device_id: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    links: u64,
    #[serde(default)]
    linktarget: String,
    #[serde(default, deserialize_with = "base64_bytes")]
    linktarget_raw: Vec<u8>,
    #[serde(default)]
    extended_attributes: Option<Vec<JsonAttribute>>,
    #[serde(default)]
    generic_attributes: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    device: u64,
    #[serde(default)]
    content: Option<Vec<BlobId>>,
    #[serde(default)]
    subtree: Option<BlobId>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct JsonAttribute {
    name: String,
    #[serde(default, deserialize_with = "base64_bytes")]
    value: Vec<u8>,
}

fn epoch() -> Time {
    Time::EPOCH
}

fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    BASE64.decode(text).map_err(serde::de::Error::custom)
}

impl TryFrom<JsonNode<'_>> for Node {
    type Error = FormatError;

    fn try_from(json: JsonNode<'_>) -> Result<Self, FormatError> {
        let name = unquote(&json.name).ok_or_else(|| {
            FormatError::malformed(format!("the name {:?} is not quoted rightly", json.name))
        })?;
        let link_target = if json.linktarget_raw.is_empty() {
            json.linktarget.into_bytes()
        } else {
            json.linktarget_raw
        };
        let attributes = json.extended_attributes.unwrap_or_default();
        Ok(Self {
            name,
            kind: json.kind,
            mode: Mode(json.mode),
            mtime: json.mtime,
            atime: json.atime,
            ctime: json.ctime,
            uid: json.uid,
            gid: json.gid,
            user: json.user,
            group: json.group,
            inode: json.inode,
            device_id: json.device_id,
            size: json.size,
            links: json.links,
            link_target,
            extended_attributes: attributes
                .into_iter()
                .map(|attribute| ExtendedAttribute {
                    name: attribute.name,
                    value: attribute.value,
                })
                .collect(),
            generic_attributes: json.generic_attributes.unwrap_or_default(),
            device: json.device,
            content: json.content,
            subtree: json.subtree,
            error: json.error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_keeps_all_bits_that_chmod_knows() {
        for unix in [0o100_644, 0o104_755, 0o042_770, 0o041_777, 0o120_777] {
            assert_eq!(Mode::from_unix(unix).unix_permissions(), unix & 0o7777);
        }
        assert_eq!(Mode::from_unix(0o040_755).0, 0x8000_01ed);
        assert_eq!(Mode::from_unix(0o120_777).0, 0x0800_01ff);
        assert_eq!(Mode::from_unix(0o020_600).0, 0x0420_0180);
    }

    #[test]
    fn nodes_are_sorted_by_bytes_and_found() {
        let names = [&b"b"[..], b"a", b"\xff", b"B", b"a.b"];
        let nodes = names.map(|name| Node::new(name, NodeKind::Fifo)).to_vec();
        let tree = Tree::new(nodes).unwrap();
        let sorted: Vec<&[u8]> = tree.nodes().iter().map(|node| &node.name[..]).collect();
        assert_eq!(sorted, [&b"B"[..], b"a", b"a.b", b"b", b"\xff"]);
        assert!(tree.find(b"a.b").is_some());
        assert!(tree.find(b"c").is_none());
    }

    #[test]
    fn two_nodes_of_one_name_are_refused() {
        let node = Node::new(*b"a", NodeKind::Fifo);
        assert!(Tree::new(vec![node.clone(), node]).is_err());
    }

    #[test]
    fn names_that_lead_out_of_the_directory_are_refused() {
        for name in ["", ".", "..", "a/b", "/", "\\x00"] {
            let json = format!(r#"{{"nodes":[{{"name":{name:?},"type":"dir"}}]}}"#);
            assert!(Tree::parse(json.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn unknown_fields_and_missing_lists_are_read() {
        let json = br#"{"nodes":[{"name":"a","type":"file","new_field":{"x":1},"content":null}],"more":2}"#;
        assert_eq!(Tree::parse(json).unwrap().nodes().len(), 1);
        assert_eq!(Tree::parse(br#"{"nodes":null}"#).unwrap(), Tree::default());
    }
}
