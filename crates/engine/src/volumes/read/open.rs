//! Finding the disks in the tree of a snapshot.

use std::sync::Arc;

use snapkeep_vault::{BlobCache, BlobId, Node, Repository, Tree};

use super::disk::{DiskShape, StoredDisk};
use super::error::ReadError;
use crate::layout::{VOLUME_FILE, VOLUMES_DIRECTORY, VolumeDescription, piece_directory};

/// Largest description of a volume that is read, bytes.
const DESCRIPTION_MAX_BYTES: u64 = 1 << 20;

/// The disks of the snapshot with this tree, by volume. A snapshot of something else has none.
pub fn stored_disks(repository: &Repository, tree: BlobId) -> Result<Vec<DiskShape>, ReadError> {
    let mut disks = Vec::new();
    for node in volume_nodes(repository, tree)? {
        disks.push(read_volume(repository, &node)?.0);
    }
    Ok(disks)
}

impl StoredDisk {
    /// Opens a disk of the snapshot with this tree; without a `volume` the only one.
    pub fn open(
        cache: Arc<BlobCache>,
        tree: BlobId,
        volume: Option<&str>,
    ) -> Result<Self, ReadError> {
        let repository = cache.repository();
        let nodes = volume_nodes(repository, tree)?;
        let has = || -> Vec<String> {
            let name = |node: &Node| node.name_text().into_owned();
            nodes.iter().map(name).collect()
        };
        let node = match (volume, nodes.as_slice()) {
            (Some(volume), nodes) => nodes.iter().find(|node| node.name == volume.as_bytes()),
            (None, [only]) => Some(only),
            (None, []) => None,
            (None, _) => return Err(ReadError::SeveralVolumes { has: has() }),
        };
        let node = node.ok_or_else(|| ReadError::NoVolume {
            volume: volume.unwrap_or("any").to_owned(),
            has: has(),
        })?;
        let (shape, pieces) = read_volume(repository, node)?;
        Self::new(cache, shape, pieces)
    }
}

fn volume_nodes(repository: &Repository, tree: BlobId) -> Result<Vec<Node>, ReadError> {
    let failed = ReadError::vault(VOLUMES_DIRECTORY);
    let Some(volumes) = repository.find(tree, VOLUMES_DIRECTORY).map_err(&failed)? else {
        return Ok(Vec::new());
    };
    let Some(directory) = volumes.subtree else {
        return Ok(Vec::new());
    };
    let nodes = repository
        .read_tree(&directory)
        .map_err(&failed)?
        .into_nodes();
    Ok(nodes.into_iter().filter(Node::is_dir).collect())
}

/// What a disk is like and the directories of its pieces.
fn read_volume(
    repository: &Repository,
    node: &Node,
) -> Result<(DiskShape, Vec<BlobId>), ReadError> {
    let name = node.name_text().into_owned();
    let failed = ReadError::vault(&name);
    let layout = |problem: String| ReadError::Layout {
        disk: name.clone(),
        problem,
    };
    let directory = node
        .subtree
        .ok_or_else(|| layout("its directory is missing".to_owned()))?;
    let tree: Tree = repository.read_tree(&directory).map_err(&failed)?;
    let content = tree
        .find(VOLUME_FILE.as_bytes())
        .and_then(|node| node.content.as_deref())
        .ok_or_else(|| layout(format!("{VOLUME_FILE} is missing")))?;
    let json = repository
        .read_file(content, DESCRIPTION_MAX_BYTES)
        .map_err(&failed)?;
    let description: VolumeDescription =
        serde_json::from_slice(&json).map_err(|error| layout(format!("{VOLUME_FILE}: {error}")))?;
    let mut pieces = Vec::new();
    while let Some(node) = tree.find(piece_directory(pieces.len() as u64).as_bytes()) {
        let piece = node
            .subtree
            .ok_or_else(|| layout(format!("{} is no directory", node.name_text())))?;
        pieces.push(piece);
    }
    let shape = DiskShape {
        volume: description.id,
        size_bytes: description.size_bytes,
        block_bytes: description.block_bytes,
        piece_bytes: description.piece_bytes,
    };
    Ok((shape, pieces))
}
