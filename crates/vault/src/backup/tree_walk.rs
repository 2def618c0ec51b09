//! Walking over a folder, beside the backup that stores what is found.

use crate::error::VaultError;
use crate::format::{ExtendedAttribute, Mode, Node, NodeKind, Time};
use crate::ids::BlobId;
use crate::read::TreeReader;
use crate::repository::Repository;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

/// Events that are handed over together.
const EVENTS: usize = 256;
/// Longest value of an extended attribute; Linux allows 64 KiB.
const ATTRIBUTE_MAX_BYTES: usize = 64 << 10;

/// What the walk finds, directories nested: `Enter … Leave`.
#[derive(Debug)]
pub(super) enum Event {
    /// A directory begins. Its node has no subtree yet.
    Enter {
        node: Node,
        /// The directory of this name in the parent snapshot.
        previous: Option<BlobId>,
    },
    /// The directory that began last ends.
    Leave,
    /// A regular file.
    File {
        node: Node,
        path: PathBuf,
        previous: PreviousFile,
    },
    /// Anything that has no content.
    Other(Node),
    /// Something that vanished or cannot be read, with the reason.
    Skipped(String),
    /// The parent snapshot cannot be read; everything below is read anew.
    Failed(VaultError),
}

/// What the parent snapshot knows about a file.
#[derive(Debug)]
pub(super) enum PreviousFile {
    None,
    Changed,
    /// The same inode, size and times: this content.
    Same(Vec<BlobId>),
}

/// Where the events go.
pub(super) type Events = SyncSender<Vec<Event>>;

/// The other side does not listen any more.
struct Closed;

/// Walks over everything below `root`.
pub(super) fn walk(repository: &Repository, root: &Path, parent: Option<BlobId>, events: &Events) {
    let mut walker = Walker {
        trees: TreeReader::new(repository),
        events,
        batch: Vec::with_capacity(EVENTS),
    };
    // Closed: the backup has ended and knows why.
    let _ = walker.walk(root, parent);
    let _ = events.send(walker.batch);
}

struct Walker<'a> {
    trees: TreeReader<'a>,
    events: &'a Events,
    batch: Vec<Event>,
}

/// A directory on the way from the root to where the walk is.
struct Level {
    path: PathBuf,
    /// Names still to come, the next one last.
    names: Vec<(OsString, Metadata)>,
    /// Nodes of the parent snapshot, ascending by name, taken out as they are used.
    previous: Vec<Option<Node>>,
}

impl Walker<'_> {
    fn walk(&mut self, root: &Path, parent: Option<BlobId>) -> Result<(), Closed> {
        let metadata = match fs::metadata(root) {
            Ok(metadata) => metadata,
            Err(source) => {
                return self.emit(Event::Failed(VaultError::Source {
                    what: root.display().to_string(),
                    cause: source.to_string(),
                }));
            }
        };
        let node = make_node(root, OsStr::new(""), &metadata);
        let mut levels = vec![self.enter(root.to_owned(), node, parent)?];
        while let Some(level) = levels.last_mut() {
            let Some((name, metadata)) = level.names.pop() else {
                levels.pop();
                self.emit(Event::Leave)?;
                continue;
            };
            let path = level.path.join(&name);
            let previous = take_previous(&mut level.previous, name.as_bytes());
            let node = make_node(&path, &name, &metadata);
            match node.kind {
                NodeKind::Dir => {
                    let subtree = previous.and_then(|previous| previous.subtree);
                    levels.push(self.enter(path, node, subtree)?);
                }
                NodeKind::File => {
                    let previous = compare(&node, previous);
                    self.emit(Event::File {
                        node,
                        path,
                        previous,
                    })?;
                }
                _ => self.emit(Event::Other(node))?,
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        path: PathBuf,
        node: Node,
        previous: Option<BlobId>,
    ) -> Result<Level, Closed> {
        self.emit(Event::Enter { node, previous })?;
        let names = match list(&path) {
            Ok((names, problems)) => {
                for problem in problems {
                    self.emit(Event::Skipped(problem))?;
                }
                names
            }
            Err(error) => {
                self.emit(Event::Skipped(format!("{}: {error}", path.display())))?;
                Vec::new()
            }
        };
        let previous = match previous.map(|id| self.trees.read(&id)) {
            None => Vec::new(),
            Some(Ok(tree)) => tree.into_nodes().into_iter().map(Some).collect(),
            Some(Err(error)) => {
                tracing::warn!(path = %path.display(), %error, "the parent snapshot cannot be read here; files are read anew");
                Vec::new()
            }
        };
        Ok(Level {
            path,
            names,
            previous,
        })
    }

    fn emit(&mut self, event: Event) -> Result<(), Closed> {
        self.batch.push(event);
        if self.batch.len() < EVENTS {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.batch, Vec::with_capacity(EVENTS));
        self.events.send(full).map_err(|_| Closed)
    }
}

/// Names and metadata in a directory, descending by name, and what is wrong with others.
#[allow(
    clippy::type_complexity,
    reason = "two lists that are taken apart at once"
)]
fn list(path: &Path) -> io::Result<(Vec<(OsString, Metadata)>, Vec<String>)> {
    let mut names = Vec::new();
    let mut problems = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => names.push((entry.file_name(), metadata)),
            Err(error) => problems.push(format!("{}: {error}", entry.path().display())),
        }
    }
    names.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
    Ok((names, problems))
}

fn take_previous(previous: &mut [Option<Node>], name: &[u8]) -> Option<Node> {
    // Taken ones lie before the wanted name, as names come in order.
    let at = previous
        .partition_point(|node| node.as_ref().is_none_or(|node| node.name.as_slice() < name));
    previous.get_mut(at)?.take_if(|node| node.name == name)
}

/// Unchanged means: kind, inode, size, and the times of the last change of content and of inode. The time of the inode cannot be
/// set back, so that a file that was replaced by one of the same size and time is noticed.
fn compare(node: &Node, previous: Option<Node>) -> PreviousFile {
    let Some(previous) = previous.filter(Node::is_file) else {
        return PreviousFile::None;
    };
    let is_same = previous.inode == node.inode
        && previous.size == node.size
        && previous.mtime == node.mtime
        && previous.ctime == node.ctime;
    match previous.content {
        Some(content) if is_same => PreviousFile::Same(content),
        _ => PreviousFile::Changed,
    }
}

fn make_node(path: &Path, name: &OsStr, metadata: &Metadata) -> Node {
    let mode = Mode::from_unix(metadata.mode());
    let file_type = metadata.file_type();
    let kind = if file_type.is_file() {
        NodeKind::File
    } else if file_type.is_dir() {
        NodeKind::Dir
    } else if file_type.is_symlink() {
        NodeKind::Symlink
    } else {
        special_kind(metadata.mode())
    };
    let mut node = Node::new(name.as_bytes(), kind);
    node.mode = mode;
    node.mtime = time(metadata.mtime(), metadata.mtime_nsec());
    node.atime = node.mtime;
    node.ctime = time(metadata.ctime(), metadata.ctime_nsec());
    node.uid = metadata.uid();
    node.gid = metadata.gid();
    node.inode = metadata.ino();
    node.links = metadata.nlink();
    if kind == NodeKind::File {
        node.size = metadata.size();
        if metadata.nlink() > 1 {
            node.device_id = metadata.dev();
        }
    }
    if matches!(kind, NodeKind::Dev | NodeKind::CharDev) {
        node.device = metadata.rdev();
    }
    if kind == NodeKind::Symlink
        && let Ok(target) = fs::read_link(path)
    {
        node.link_target = target.as_os_str().as_bytes().to_vec();
    }
    if matches!(kind, NodeKind::File | NodeKind::Dir) {
        node.extended_attributes = extended_attributes(path).unwrap_or_default();
    }
    node
}

fn special_kind(mode: u32) -> NodeKind {
    match mode & 0o170_000 {
        0o060_000 => NodeKind::Dev,
        0o020_000 => NodeKind::CharDev,
        0o010_000 => NodeKind::Fifo,
        0o140_000 => NodeKind::Socket,
        _ => NodeKind::Irregular,
    }
}

/// File systems without extended attributes answer with an error: there are none then.
fn extended_attributes(path: &Path) -> Option<Vec<ExtendedAttribute>> {
    let mut names = [0_u8; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).ok()?;
    let mut attributes = Vec::new();
    for name in names
        .get(..length)?
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; ATTRIBUTE_MAX_BYTES];
        let Ok(length) = rustix::fs::lgetxattr(path, name, &mut value[..]) else {
            continue;
        };
        value.truncate(length);
        attributes.push(ExtendedAttribute {
            name: String::from_utf8_lossy(name).into_owned(),
            value,
        });
    }
    attributes.sort_by(|one, other| one.name.cmp(&other.name));
    Some(attributes)
}

fn time(seconds: i64, nanoseconds: i64) -> Time {
    Time::from_unix(seconds, u32::try_from(nanoseconds).unwrap_or(0))
}
