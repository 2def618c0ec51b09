//! Naming what damage costs: which file of which snapshot is affected.

use crate::error::VaultError;
use crate::ids::{BlobId, SnapshotId};
use crate::repository::Repository;
use std::collections::{HashMap, HashSet};

/// Losses that are named one by one; where there are more, the report says so.
pub(super) const MAX_NAMED_LOSSES: usize = 10_000;

/// Deepest folder that is followed, so that no crafted repository exhausts the stack.
const MAX_DEPTH: usize = 2_000;

/// A file or folder of a snapshot that cannot be restored whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Path inside the snapshot, beginning with `/`.
    pub path: String,
    /// A blob that is missing or damaged.
    pub blob: BlobId,
}

/// Finds every path that needs one of the lost blobs, up to [`MAX_NAMED_LOSSES`].
pub(super) fn name_losses(
    repository: &Repository,
    snapshots: &[(SnapshotId, BlobId)],
    lost: &HashSet<BlobId>,
) -> Result<Vec<Loss>, VaultError> {
    let mut finder = LossFinder {
        repository,
        lost,
        known_whole: HashMap::new(),
        losses: Vec::new(),
    };
    for (snapshot, root) in snapshots {
        finder.visit(*snapshot, *root, "", 0)?;
    }
    Ok(finder.losses)
}

struct LossFinder<'a> {
    repository: &'a Repository,
    lost: &'a HashSet<BlobId>,
    /// Trees already seen, and whether nothing below them is lost: those are not read again.
    known_whole: HashMap<BlobId, bool>,
    losses: Vec<Loss>,
}

impl LossFinder<'_> {
    /// Returns whether everything below the tree is there.
    fn visit(
        &mut self,
        snapshot: SnapshotId,
        id: BlobId,
        path: &str,
        depth: usize,
    ) -> Result<bool, VaultError> {
        if self.known_whole.get(&id) == Some(&true) {
            return Ok(true);
        }
        if self.losses.len() >= MAX_NAMED_LOSSES || depth > MAX_DEPTH {
            return Ok(false);
        }
        let tree = match self.repository.read_tree(&id) {
            Ok(tree) if !self.lost.contains(&id) => tree,
            Ok(_) => return Ok(self.lose(snapshot, format!("{path}/"), id)),
            Err(error) if error.is_damage() => {
                return Ok(self.lose(snapshot, format!("{path}/"), id));
            }
            Err(error) => return Err(error),
        };
        let mut whole = true;
        for node in tree.nodes() {
            let node_path = format!("{path}/{}", node.name_text());
            let missing = node
                .content
                .iter()
                .flatten()
                .find(|blob| self.lost.contains(*blob));
            if let Some(blob) = missing {
                whole = self.lose(snapshot, node_path.clone(), *blob);
            }
            if let Some(subtree) = node.subtree {
                whole &= self.visit(snapshot, subtree, &node_path, depth + 1)?;
            }
        }
        self.known_whole.insert(id, whole);
        Ok(whole)
    }

    fn lose(&mut self, snapshot: SnapshotId, path: String, blob: BlobId) -> bool {
        if self.losses.len() < MAX_NAMED_LOSSES {
            self.losses.push(Loss {
                snapshot,
                path,
                blob,
            });
        }
        false
    }
}
