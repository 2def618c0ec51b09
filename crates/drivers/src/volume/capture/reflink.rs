//! Reflink clones: what is read while writers go on, and what the next capture is compared with.
//!
//! A clone shares the volume's extents. As long as it exists the file system can neither reuse nor overwrite them, so an extent that
//! has the same address in the clone of then (the *anchor*) and the clone of now has the same content. This holds over reboots
//! and power cuts: the state is the anchor itself. Nobody may write to an anchor; it is made immutable where that is allowed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, Mode, OFlags, ioctl_ficlone, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::volume::fiemap::{Content, Extents, FileExtent};
use crate::volume::files::random_hex;
use crate::volume::ranges::MOST_CHANGES;
use crate::volume::{RangeSet, VolumeError};

/// Folder beside the volume in which its clones are.
const FOLDER: &str = ".snapkeep";
const SUFFIX: &str = ".anchor";
/// Length of the random part of a clone's name.
const RANDOM_DIGITS: usize = 16;

/// How a token recognises an anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AnchorIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Changes with every write, and with the removal of the immutable flag.
    changed_ns: i128,
}

/// A clone. Dropping it removes it, unless it was [kept](Self::keep).
#[derive(Debug)]
pub(super) struct Anchor {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

/// Why files in `folder` cannot be cloned; None when they can.
pub(super) fn obstacle(volume_file: &File, folder: &Path) -> Option<String> {
    // Two files without names: nothing is left behind, whatever happens.
    let unnamed = || {
        rustix::fs::open(
            folder,
            OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        )
        .map(File::from)
    };
    let (to, from) = match (unnamed(), unnamed()) {
        (Ok(to), Ok(from)) => (to, from),
        (Err(cause), _) | (_, Err(cause)) => {
            return Some(format!(
                "{} cannot be written to: {cause}",
                folder.display()
            ));
        }
    };
    let device_of = |file: &File| file.metadata().map(|found| found.dev()).ok();
    if device_of(&to) != device_of(volume_file) {
        return Some(format!(
            "the volume is not on the file system of its folder {}",
            folder.display()
        ));
    }
    match ioctl_ficlone(&to, &from) {
        Ok(()) => None,
        // What file systems without clones answer; anything else is worth telling.
        Err(Errno::OPNOTSUPP) => Some(format!(
            "the file system of {} cannot clone files",
            folder.display()
        )),
        Err(cause) => Some(format!(
            "files in {} cannot be cloned: {cause}",
            folder.display()
        )),
    }
}

impl Anchor {
    /// Makes the empty file that `volume_file` can be cloned into: in the folder `.snapkeep` beside it, of the volume's name.
    pub(super) fn prepare(
        volume: &str,
        volume_file: &File,
        volume_path: &Path,
    ) -> Result<Self, VolumeError> {
        let folder = folder_of(volume_path);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
                return Err(VolumeError::io("create the folder", &folder)(cause));
            }
            _ => {}
        }
        let path = folder.join(format!("{volume}-{}{SUFFIX}", random_hex()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(VolumeError::io("create", &path))?;
        let anchor = Self {
            path,
            file,
            is_kept: false,
        };
        // btrfs clones files without copy-on-write only into such files.
        if ioctl_getflags(volume_file).is_ok_and(|flags| flags.contains(IFlags::NOCOW)) {
            ioctl_setflags(&anchor.file, IFlags::NOCOW)
                .map_err(VolumeError::io("turn off copy-on-write of", &anchor.path))?;
        }
        Ok(anchor)
    }

    /// Clones the volume's file: its content of one instant.
    pub(super) fn clone_from(&self, volume_file: &File) -> Result<(), VolumeError> {
        ioctl_ficlone(&self.file, volume_file)
            .map_err(VolumeError::io("clone the volume into", &self.path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for reading.
    pub(super) fn open(&self) -> Result<File, VolumeError> {
        File::open(&self.path).map_err(VolumeError::io("open", &self.path))
    }

    /// Makes it durable and immutable, and returns what a token recognises it by.
    pub(super) fn keep(mut self) -> Result<Value, VolumeError> {
        self.file
            .sync_all()
            .map_err(VolumeError::io("write out", &self.path))?;
        let folder = self.path.parent().unwrap_or(&self.path);
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(VolumeError::io("write out the folder", folder))?;
        protect(&self.file, true);
        let metadata = self
            .file
            .metadata()
            .map_err(VolumeError::io("look at", &self.path))?;
        self.is_kept = true;
        let identity = AnchorIdentity {
            path: self.path.clone(),
            device: metadata.dev(),
            inode: metadata.ino(),
            changed_ns: changed_ns(&metadata),
        };
        Ok(serde_json::to_value(identity).unwrap_or_default())
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(cause) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %cause, "a clone that is not needed stays; it takes up space as its volume changes");
        }
    }
}

/// Opens the anchor of a token, or tells why it cannot be trusted.
pub(super) fn open_anchor(identity: &Value) -> Result<File, String> {
    let identity = AnchorIdentity::deserialize(identity)
        .map_err(|cause| format!("the token of the clone cannot be read: {cause}"))?;
    let path = identity.path.display();
    let file = File::open(&identity.path).map_err(|cause| {
        format!("the clone {path} of the last snapshot cannot be opened: {cause}")
    })?;
    let metadata = file
        .metadata()
        .map_err(|cause| format!("the clone {path} cannot be looked at: {cause}"))?;
    let is_same = metadata.dev() == identity.device
        && metadata.ino() == identity.inode
        && changed_ns(&metadata) == identity.changed_ns;
    if is_same {
        Ok(file)
    } else {
        Err(format!(
            "{path} is not the clone of the last snapshot any more"
        ))
    }
}

/// Removes all clones of `volume` beside `volume_path` but the one that `identity` names.
pub(super) fn remove_other_anchors(volume: &str, volume_path: &Path, identity: Option<&Value>) {
    let kept = identity.and_then(|identity| AnchorIdentity::deserialize(identity).ok());
    let Ok(entries) = fs::read_dir(folder_of(volume_path)) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_kept = kept.as_ref().is_some_and(|kept| kept.path == path);
        if volume_of(&path) == Some(volume) && !is_kept {
            remove(&path);
        }
    }
    if kept.is_none() {
        // Fails, as it should, while clones of other volumes are in it.
        let _ = fs::remove_dir(folder_of(volume_path));
    }
}

/// Removes the clones in the folder of `volumes_folder` that belong to volumes which are gone: nobody asks for those any more, and
/// they would keep the space of the deleted disk.
pub fn forget_gone(volumes_folder: &Path, is_known: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(volumes_folder.join(FOLDER)) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if volume_of(&path).is_some_and(|volume| !is_known(volume)) {
            remove(&path);
        }
    }
}

/// The volume that a clone is of, by its name; None: it is no clone.
fn volume_of(path: &Path) -> Option<&str> {
    let (volume, random) = path
        .file_name()?
        .to_str()?
        .strip_suffix(SUFFIX)?
        .rsplit_once('-')?;
    (random.len() == RANDOM_DIGITS).then_some(volume)
}

fn remove(path: &Path) {
    if let Ok(file) = File::open(path) {
        protect(&file, false);
    }
    if let Err(cause) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %cause, "an old clone stays; it takes up space until it is removed");
    }
}

fn folder_of(volume_path: &Path) -> PathBuf {
    volume_path.parent().unwrap_or(Path::new("/")).join(FOLDER)
}

/// Sets or clears the immutable flag. Needs a privilege; without it the anchor is protected by its folder alone.
fn protect(file: &File, immutable: bool) {
    if let Ok(flags) = ioctl_getflags(file) {
        let wanted = if immutable {
            flags | IFlags::IMMUTABLE
        } else {
            flags - IFlags::IMMUTABLE
        };
        // Refused without the privilege, which is no loss: see above.
        let _ = ioctl_setflags(file, wanted);
    }
}

fn changed_ns(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())
}

/// What differs between two clones of the same size.
///
/// The anchor's extents are read a second time after the other's and have to be what they were: a defragmentation that moves
/// extents between the two lists could otherwise put other data where the anchor's was.
pub(super) fn differences(
    anchor: &File,
    current: &File,
    size_bytes: u64,
) -> io::Result<Result<RangeSet, String>> {
    let mut before = DefaultHasher::new();
    let changed = compare(
        Extents::of(anchor).inspect(|extent| {
            if let Ok(extent) = extent {
                extent.hash(&mut before);
            }
        }),
        Extents::of(current),
        size_bytes,
    )?;
    let mut after = DefaultHasher::new();
    for extent in Extents::of(anchor) {
        extent?.hash(&mut after);
    }
    if before.finish() == after.finish() {
        Ok(Ok(changed))
    } else {
        Ok(Err(
            "extents of the clones are being moved, by a defragmentation or the like".to_owned(),
        ))
    }
}

type Listed = io::Result<FileExtent>;

fn compare(
    mut old: impl Iterator<Item = Listed>,
    mut new: impl Iterator<Item = Listed>,
    size_bytes: u64,
) -> io::Result<RangeSet> {
    let mut changed = RangeSet::new();
    let (mut old_extent, mut new_extent) = (old.next().transpose()?, new.next().transpose()?);
    let mut at = 0;
    while at < size_bytes {
        while old_extent
            .as_ref()
            .is_some_and(|extent| extent.range.end <= at)
        {
            old_extent = old.next().transpose()?;
        }
        while new_extent
            .as_ref()
            .is_some_and(|extent| extent.range.end <= at)
        {
            new_extent = new.next().transpose()?;
        }
        let (old_here, old_until) = content_at(old_extent.as_ref(), at);
        let (new_here, new_until) = content_at(new_extent.as_ref(), at);
        let until = old_until.min(new_until).min(size_bytes);
        if !is_same(old_here, new_here) {
            changed.insert(at..until);
            // With room for as many again, so that not every insertion coarsens.
            if changed.len() > 2 * MOST_CHANGES {
                changed = changed.coarsened(MOST_CHANGES);
            }
        }
        at = until;
    }
    // Both lists to their ends, so that all of the anchor's was seen.
    for extent in old {
        extent?;
    }
    Ok(changed.coarsened(MOST_CHANGES).within(0..size_bytes))
}

/// What is at `at`, given the first extent that ends behind it, and up to where that goes on. None: a hole.
fn content_at(extent: Option<&FileExtent>, at: u64) -> (Option<Content>, u64) {
    match extent {
        None => (None, u64::MAX),
        Some(extent) if extent.range.start > at => (None, extent.range.start),
        Some(extent) => {
            let here = match extent.content {
                Content::At(address) => {
                    Content::At(address.saturating_add(at - extent.range.start))
                }
                other => other,
            };
            (Some(here), extent.range.end)
        }
    }
}

fn is_same(old: Option<Content>, new: Option<Content>) -> bool {
    let is_zero = |content| matches!(content, None | Some(Content::Unwritten));
    match (old, new) {
        (Some(Content::At(then)), Some(Content::At(now))) => then == now,
        (old, new) => is_zero(old) && is_zero(new),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SIZE: u64 = 64;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Block {
        Hole,
        Unwritten,
        Odd,
        Data(u64),
    }

    fn block() -> impl Strategy<Value = Block> {
        prop_oneof![
            Just(Block::Hole),
            Just(Block::Unwritten),
            Just(Block::Odd),
            // Few addresses, so that equal ones and runs occur.
            (1..20_u64).prop_map(Block::Data),
        ]
    }

    /// Extents as a file system would list them: one a block, in runs where addresses go on and `joined` allows it.
    fn listed(blocks: &[Block], joined: bool) -> Vec<Listed> {
        let mut extents: Vec<FileExtent> = Vec::new();
        for (at, block) in blocks.iter().enumerate() {
            let at = at as u64;
            let content = match block {
                Block::Hole => continue,
                Block::Unwritten => Content::Unwritten,
                Block::Odd => Content::Odd,
                Block::Data(address) => Content::At(*address),
            };
            if joined
                && let Some(last) = extents.last_mut()
                && last.range.end == at
                && let (Content::At(start), Content::At(address)) = (last.content, content)
                && start + (at - last.range.start) == address
            {
                last.range.end = at + 1;
                continue;
            }
            extents.push(FileExtent {
                range: at..at + 1,
                content,
            });
        }
        extents.into_iter().map(Ok).collect()
    }

    proptest! {
        #[test]
        fn what_differs_is_what_the_blocks_say(
            old in vec(block(), SIZE as usize),
            new in vec(block(), SIZE as usize),
            kept in vec(any::<bool>(), SIZE as usize),
            joined in any::<(bool, bool)>(),
        ) {
            // Half of the blocks stay as they were.
            let new: Vec<_> = new.iter().zip(&old).zip(&kept)
                .map(|((new, old), kept)| if *kept { *old } else { *new }).collect();
            let changed = compare(
                listed(&old, joined.0).into_iter(), listed(&new, joined.1).into_iter(), SIZE).unwrap();
            let expected: BTreeMap<u64, bool> = (0..SIZE).map(|at| {
                let same = match (old[at as usize], new[at as usize]) {
                    (Block::Odd, _) | (_, Block::Odd) => false,
                    (Block::Data(then), Block::Data(now)) => then == now,
                    (Block::Data(_), _) | (_, Block::Data(_)) => false,
                    _ => true,
                };
                (at, !same)
            }).collect();
            for (at, differs) in expected {
                prop_assert_eq!(changed.contains(at..at + 1), differs, "block {}", at);
            }
        }
    }

    #[test]
    fn extents_beyond_the_end_of_the_disk_do_not_count() {
        let extent = |range, address| {
            Ok(FileExtent {
                range,
                content: Content::At(address),
            })
        };
        let changed = compare(
            vec![extent(0..4096, 1)].into_iter(),
            vec![extent(0..4096, 9)].into_iter(),
            1000,
        );
        assert_eq!(changed.unwrap(), RangeSet::from(vec![(0, 1000)]));
    }
}
