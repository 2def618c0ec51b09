//! Storing one captured disk.

use std::ops::Range;
use std::sync::atomic::AtomicU64;

use snapkeep_drivers::volume::{ChangeSource, DiskCapture, VolumeError};
use snapkeep_vault::{Backup, BlobId, FileContent, FileSource, Node, Time, Tree, VaultError};

use super::audit::{AuditFailure, audit};
use super::digests::{Belongs, Digests};
use super::piece::{DiskReader, PieceSource};
use super::tokens::VolumeState;
use crate::layout::{
    DISK_FILE, PIECE_BLOCKS, VOLUME_FILE, VOLUMES_FORMAT, VolumeDescription, block_bytes,
    piece_directory,
};
use crate::model::{PointDisk, VolumeInfo};
use crate::volumes::read::{Piece, ReadError, StoredDisk};

/// Pieces that are read together: their lists of blobs are in memory at the same time, half a MiB each.
const PIECES_AT_ONCE: usize = 8;

/// Why a disk could not be stored.
#[derive(Debug, thiserror::Error)]
pub(in crate::volumes) enum DiskFailure {
    /// The repository, or a source that failed while it was read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The source.
    #[error(transparent)]
    Source(#[from] VolumeError),
    /// What was stored is not what was to be stored.
    #[error("what was stored is not what was read: {0}")]
    Proof(ReadError),
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

/// A captured disk and what is known of it.
pub(in crate::volumes) struct CapturedDisk {
    pub(in crate::volumes) volume: VolumeInfo,
    pub(in crate::volumes) capture: Box<dyn DiskCapture>,
    /// Uuid of the parent's snapshot, and the disk in it where it can be read.
    pub(in crate::volumes) parent: Option<(String, Option<StoredDisk>)>,
    /// Why no token was handed to the driver, for people.
    pub(in crate::volumes) no_token: Option<String>,
}

/// A disk that is stored.
#[derive(Debug)]
pub(in crate::volumes) struct WrittenDisk {
    /// Its directory.
    pub(in crate::volumes) node: Node,
    pub(in crate::volumes) disk: PointDisk,
    digests: Option<Digests>,
}

impl WrittenDisk {
    /// Keeps what makes the next snapshot cheap; to be called when this one is durable.
    pub(in crate::volumes) fn keep_digests(self) {
        if let Some(digests) = self.digests
            && let Err(error) = digests.keep()
        {
            tracing::warn!(volume = self.disk.volume, %error, "digests of a volume cannot be kept; the next snapshot hashes more");
        }
    }

    /// Forgets it.
    pub(in crate::volumes) fn discard(self) {
        if let Some(digests) = self.digests {
            digests.discard();
        }
    }
}

/// Which snapshot a disk is stored for.
#[derive(Debug, Clone, Copy)]
pub(in crate::volumes) struct Purpose<'a> {
    /// Id of the restic repository.
    pub(in crate::volumes) repository: &'a str,
    /// Uuid of the snapshot.
    pub(in crate::volumes) snapshot: &'a str,
    pub(in crate::volumes) time: Time,
}

/// Stores a disk.
pub(in crate::volumes) fn store_disk(
    backup: &Backup,
    captured: &CapturedDisk,
    state: &VolumeState,
    purpose: Purpose<'_>,
) -> Result<WrittenDisk, DiskFailure> {
    let size_bytes = captured.capture.size_bytes();
    let block_bytes = block_bytes(size_bytes);
    let volume = captured.volume.id.as_str();
    let belongs =
        |snapshot: &str| Belongs::new(purpose.repository, snapshot, size_bytes, block_bytes);
    let parent = captured.parent.as_ref();
    let before = parent.map(|(snapshot, _)| belongs(snapshot));
    let begun = Digests::begin(
        &state.digest_file(volume),
        before.as_ref(),
        belongs(purpose.snapshot),
    );
    let digests = begun
        .map_err(|error| {
            tracing::warn!(volume, %error, "digests of a volume cannot be noted; the next snapshot hashes more");
        })
        .ok();
    let mut source = captured.capture.changes().source;
    let mut reason = match &captured.no_token {
        Some(reason) => Some(reason.clone()),
        None => captured.capture.changes().reason.clone(),
    };
    let base = parent.and_then(|(_, base)| base.as_ref());
    let is_cut_alike = |base: &&StoredDisk| {
        let shape = base.shape();
        (shape.size_bytes, shape.block_bytes, shape.piece_bytes)
            == (size_bytes, block_bytes, block_bytes * PIECE_BLOCKS)
    };
    let usable = base.filter(is_cut_alike);
    if let (Some(base), None) = (base, usable) {
        let before = base.shape().size_bytes;
        reason = Some(format!(
            "its size changed from {before} to {size_bytes} bytes"
        ));
    }
    let changed = captured.capture.changes().ranges.as_ref();
    let mut reader = DiskReader {
        capture: captured.capture.as_ref(),
        base: usable,
        changed: changed
            .filter(|_| usable.is_some())
            .map(|ranges| ranges.aligned_to(block_bytes)),
        digests: digests.as_ref(),
        size_bytes,
        block_bytes,
        read_bytes: AtomicU64::new(0),
    };
    if reader.changed.is_none() && source != ChangeSource::Scan {
        source = ChangeSource::Scan;
        reason = reason.or_else(|| Some("the point before cannot be read".to_owned()));
    }
    if reader.changed.is_some() {
        let doubt = match audit(&reader) {
            Ok(None) => None,
            Ok(Some(block)) => Some(format!(
                "{} said that block {block} is unchanged, and it differs",
                source.as_str()
            )),
            Err(AuditFailure::Source(error)) => return Err(error.into()),
            Err(AuditFailure::Base(error)) => {
                reader.base = None;
                Some(format!("the point before cannot be read: {error}"))
            }
        };
        if let Some(doubt) = doubt {
            tracing::warn!(
                volume,
                doubt,
                "changes of a volume are not trusted; everything is read"
            );
            metrics::counter!("snapkeep_volume_changes_distrusted_total").increment(1);
            reader.changed = None;
            source = ChangeSource::Scan;
            reason = Some(doubt);
        }
    }
    let mut pieces = Pieces {
        backup,
        reader: &reader,
        time: purpose.time,
        trees: Vec::new(),
        waiting: Vec::new(),
        changed_bytes: 0,
        stored_bytes: 0,
    };
    pieces.store()?;
    let Pieces {
        trees,
        changed_bytes,
        stored_bytes,
        ..
    } = pieces;
    let description = VolumeDescription {
        layout: VOLUMES_FORMAT,
        id: volume.to_owned(),
        name: captured.volume.name.clone(),
        format: captured.volume.format,
        size_bytes,
        block_bytes,
        piece_bytes: block_bytes * PIECE_BLOCKS,
        change_source: source,
        reason: reason.clone(),
        consistency: captured.capture.consistency(),
    };
    let mut nodes = vec![store_json(backup, VOLUME_FILE, &description, purpose.time)?];
    for (number, tree) in (0..).zip(&trees) {
        let tree = tree.ok_or_else(|| {
            DiskFailure::Internal(format!("piece {number} of {volume} was not stored"))
        })?;
        nodes.push(Node::dir(piece_directory(number), purpose.time, tree));
    }
    let tree = save_tree(backup, nodes)?;
    let read_bytes = reader.read_bytes.into_inner();
    Ok(WrittenDisk {
        node: Node::dir(volume, purpose.time, tree),
        disk: PointDisk {
            volume: volume.to_owned(),
            name: captured.volume.name.clone(),
            format: captured.volume.format,
            size_bytes,
            change_source: source,
            reason,
            consistency: captured.capture.consistency(),
            read_bytes,
            changed_bytes,
            stored_bytes,
        },
        digests,
    })
}

/// Stores a small JSON file.
pub(in crate::volumes) fn store_json(
    backup: &Backup,
    name: &str,
    value: &impl serde::Serialize,
    time: Time,
) -> Result<Node, DiskFailure> {
    let mut json = serde_json::to_vec_pretty(value)
        .map_err(|error| DiskFailure::Internal(format!("writing {name}: {error}")))?;
    json.push(b'\n');
    let stored = backup.store_bytes(&json)?;
    Ok(Node::file(name, time, stored.content, stored.size_bytes))
}

/// Stores a directory.
pub(in crate::volumes) fn save_tree(
    backup: &Backup,
    nodes: Vec<Node>,
) -> Result<BlobId, DiskFailure> {
    let tree = Tree::new(nodes).map_err(|error| DiskFailure::Internal(error.to_string()))?;
    Ok(backup.save_tree(&tree)?)
}

/// The pieces of a disk on their way.
struct Pieces<'a> {
    backup: &'a Backup,
    reader: &'a DiskReader<'a>,
    time: Time,
    /// The directory of each piece, once it is stored.
    trees: Vec<Option<BlobId>>,
    /// Pieces to be read.
    waiting: Vec<(usize, Range<u64>)>,
    changed_bytes: u64,
    stored_bytes: u64,
}

impl Pieces<'_> {
    fn store(&mut self) -> Result<(), DiskFailure> {
        let size_bytes = self.reader.size_bytes;
        let piece_bytes = self.reader.block_bytes * PIECE_BLOCKS;
        let count = size_bytes.div_ceil(piece_bytes) as usize;
        self.trees = vec![None; count];
        for number in 0..count {
            let start = number as u64 * piece_bytes;
            let range = start..size_bytes.min(start + piece_bytes);
            if self.reader.is_unchanged(range.clone()) && self.adopt(number, &range)? {
                continue;
            }
            self.waiting.push((number, range));
            if self.waiting.len() == PIECES_AT_ONCE {
                self.read_waiting()?;
            }
        }
        self.read_waiting()
    }

    /// Takes a whole piece over from the base; false when it is not there any more.
    fn adopt(&mut self, number: usize, range: &Range<u64>) -> Result<bool, DiskFailure> {
        let base = self.reader.base.and_then(|it| it.piece_tree(number as u64));
        let Some(tree) = base else {
            return Ok(false);
        };
        match self.backup.adopt_tree(&tree) {
            Ok(bytes) if bytes == range.end - range.start => {}
            Ok(_) | Err(VaultError::MissingBlob { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if let Some(digests) = self.reader.digests {
            let first = range.start / self.reader.block_bytes;
            let count = (range.end - range.start).div_ceil(self.reader.block_bytes);
            digests.carry_over(first, count);
        }
        self.trees[number] = Some(tree);
        Ok(true)
    }

    fn read_waiting(&mut self) -> Result<(), DiskFailure> {
        let waiting = std::mem::take(&mut self.waiting);
        let sources: Vec<PieceSource<'_>> = waiting
            .iter()
            .map(|(_, range)| PieceSource {
                reader: self.reader,
                range: range.clone(),
            })
            .collect();
        let files: Vec<&dyn FileSource> = sources.iter().map(|it| it as &dyn FileSource).collect();
        let contents = self.backup.store_files(&files)?;
        for ((number, range), content) in waiting.into_iter().zip(contents) {
            self.trees[number] = Some(self.finish(number, &range, content)?);
        }
        Ok(())
    }

    /// Proves that a piece is whole, counts what changed in it, and stores its directory.
    fn finish(
        &mut self,
        number: usize,
        range: &Range<u64>,
        content: FileContent,
    ) -> Result<BlobId, DiskFailure> {
        self.stored_bytes += content.stored_bytes;
        let expected = range.end - range.start;
        if content.size_bytes != expected {
            return Err(DiskFailure::Internal(format!(
                "{} bytes of piece {number} were stored where {expected} should be",
                content.size_bytes
            )));
        }
        let file = Node::file(DISK_FILE, self.time, content.content, expected);
        let block_bytes = self.reader.block_bytes;
        let table = Piece::new(&file, block_bytes, &piece_directory(number as u64), |_| {
            None
        })
        .map_err(DiskFailure::Proof)?;
        let first = range.start / block_bytes;
        let mut changed = 0;
        for at in 0..table.blocks() {
            let before = match self.reader.base {
                Some(base) => base.blob(first + at as u64).map_err(DiskFailure::Proof)?,
                None => None,
            };
            if table.blob(at) != before.as_ref() {
                let block = self.reader.block_range(first + at as u64);
                changed += block.end - block.start;
            }
        }
        self.changed_bytes += changed;
        let same = self
            .reader
            .base
            .filter(|_| changed == 0)
            .and_then(|base| base.piece_tree(number as u64));
        if let Some(tree) = same {
            // Written again as it was, and so not stored again.
            let unchanged = self.backup.repository().read_tree(&tree)?;
            return Ok(self.backup.save_tree(&unchanged)?);
        }
        save_tree(self.backup, vec![file])
    }
}
