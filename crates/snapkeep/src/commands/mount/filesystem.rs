//! A snapshot as a read-only file system.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr,
    Request,
};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use snapkeep_vault::{BlobCache, BlobId, FileReader, Node, NodeKind, Time, Tree, VaultError};

use super::inodes::{Inodes, position};

/// A snapshot never changes.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Entries of folders that are kept parsed (about 500 bytes each; a blob of a file counts as a tenth).
const TREE_ENTRIES: u64 = 100_000;
const BLOCK_BYTES: u64 = 512;

/// The file system.
pub struct SnapshotFilesystem {
    cache: Arc<BlobCache>,
    trees: Cache<BlobId, Arc<Tree>, ByEntries>,
    inodes: Mutex<Inodes>,
    open: Mutex<HashMap<u64, Arc<FileReader>>>,
    next_handle: AtomicU64,
}

#[derive(Clone)]
struct ByEntries;

impl Weighter<BlobId, Arc<Tree>> for ByEntries {
    fn weight(&self, _: &BlobId, tree: &Arc<Tree>) -> u64 {
        let weight = |node: &Node| 1 + node.content.as_ref().map_or(0, Vec::len) as u64 / 10;
        1 + tree.nodes().iter().map(weight).sum::<u64>()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the kernel is told when the repository cannot give what it should; the log says why.
fn unreadable(error: &VaultError) -> Errno {
    tracing::error!(%error, "cannot read from the repository");
    Errno::EIO
}

impl SnapshotFilesystem {
    /// Shows the tree `root` of a snapshot taken at `time`.
    pub fn new(cache: Arc<BlobCache>, root: BlobId, time: Time) -> Self {
        let folder = Node::dir("", time, root);
        Self {
            cache,
            trees: Cache::with_weighter(1000, TREE_ENTRIES, ByEntries),
            inodes: Mutex::new(Inodes::new(folder)),
            open: Mutex::default(),
            next_handle: AtomicU64::new(1),
        }
    }

    fn node(&self, number: INodeNo) -> Result<Arc<Node>, Errno> {
        let inodes = lock(&self.inodes);
        let inode = inodes.get(number.into()).ok_or(Errno::ENOENT)?;
        Ok(Arc::clone(&inode.node))
    }

    fn tree(&self, folder: &Node) -> Result<Arc<Tree>, Errno> {
        let id = folder.subtree.ok_or(Errno::ENOTDIR)?;
        let read = || self.cache.repository().read_tree(&id).map(Arc::new);
        self.trees
            .get_or_insert_with(&id, read)
            .map_err(|error| unreadable(&error))
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let tree = self.tree(self.node(parent)?.as_ref())?;
        let at = position(&tree, name.as_bytes()).ok_or(Errno::ENOENT)?;
        let node = &tree.nodes()[at];
        let number = lock(&self.inodes).look_up(parent.into(), at, node);
        Ok(attributes(number, node))
    }

    fn open_file(&self, number: INodeNo) -> Result<u64, Errno> {
        let node = self.node(number)?;
        let content = node.content.clone().ok_or(Errno::EISDIR)?;
        let reader = FileReader::new(Arc::clone(&self.cache), content)
            .map_err(|error| unreadable(&error))?;
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(handle, Arc::new(reader));
        Ok(handle)
    }

    fn read_file(&self, handle: FileHandle, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let reader = lock(&self.open).get(&handle.0).cloned();
        let reader = reader.ok_or(Errno::EBADF)?;
        let mut buffer = vec![0; size as usize];
        let read = reader
            .read_at(offset, &mut buffer)
            .map_err(|error| unreadable(&error))?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// Fills `reply` with entries from `offset` on; `.` and `..` come first.
    fn list(&self, number: INodeNo, offset: u64, reply: &mut ReplyDirectory) -> Result<(), Errno> {
        let (parent, node) = {
            let inodes = lock(&self.inodes);
            let inode = inodes.get(number.into()).ok_or(Errno::ENOENT)?;
            (inode.parent, Arc::clone(&inode.node))
        };
        let tree = self.tree(&node)?;
        let dots = [(number, "."), (INodeNo(parent), "..")]
            .map(|(number, name)| (number, FileType::Directory, OsStr::new(name)));
        // Numbers of entries are given when they are looked up.
        let entries = tree.nodes().iter().map(|node| {
            let name = OsStr::from_bytes(&node.name);
            (INodeNo(u64::MAX), file_type(node.kind), name)
        });
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let wanted = (offset + 1..).zip(dots.into_iter().chain(entries).skip(skip));
        for (next, (number, kind, name)) in wanted {
            if reply.add(number, next, kind, name) {
                break;
            }
        }
        Ok(())
    }
}

fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Dir => FileType::Directory,
        NodeKind::Symlink => FileType::Symlink,
        NodeKind::Dev => FileType::BlockDevice,
        NodeKind::CharDev => FileType::CharDevice,
        NodeKind::Fifo => FileType::NamedPipe,
        NodeKind::Socket => FileType::Socket,
        NodeKind::File | NodeKind::Irregular => FileType::RegularFile,
    }
}

fn attributes(number: u64, node: &Node) -> FileAttr {
    let time = |time: Time| time.to_system_time().unwrap_or(UNIX_EPOCH);
    let size = match node.kind {
        NodeKind::Symlink => node.link_target.len() as u64,
        _ => node.size,
    };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(BLOCK_BYTES),
        atime: time(node.atime),
        mtime: time(node.mtime),
        ctime: time(node.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(node.kind),
        perm: (node.mode.unix_permissions() & 0o7777) as u16,
        nlink: u32::try_from(node.links).unwrap_or(u32::MAX).max(1),
        uid: node.uid,
        gid: node.gid,
        rdev: u32::try_from(node.device).unwrap_or(0),
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for SnapshotFilesystem {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.find(parent, name) {
            Ok(attributes) => reply.entry(&FOREVER, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, count: u64) {
        lock(&self.inodes).forget(number.into(), count);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.node(number) {
            Ok(node) => reply.attr(&FOREVER, &attributes(number.into(), &node)),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.node(number) {
            Ok(node) if node.kind == NodeKind::Symlink => reply.data(&node.link_target),
            Ok(_) => reply.error(Errno::EINVAL),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.open_file(number) {
            // What the kernel has of it stays true for as long as the mount lasts.
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_file(handle, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.open).remove(&handle.0);
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.list(number, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.node(number).and_then(|node| {
            let found = node
                .extended_attributes
                .iter()
                .find(|attribute| attribute.name.as_bytes() == name.as_bytes());
            found.map(|found| found.value.clone()).ok_or(Errno::ENODATA)
        });
        answer_attribute(value, size, reply);
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.node(number).map(|node| {
            let mut names = Vec::new();
            for attribute in &node.extended_attributes {
                names.extend_from_slice(attribute.name.as_bytes());
                names.push(0);
            }
            names
        });
        answer_attribute(names, size, reply);
    }
}

/// The kernel asks for the size first, with 0.
fn answer_attribute(value: Result<Vec<u8>, Errno>, size: u32, reply: ReplyXattr) {
    match value {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() <= size as usize => reply.data(&value),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(error) => reply.error(error),
    }
}
