//! Walking all directories that snapshots refer to, each once.

use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::Tree;
use crate::ids::BlobId;
use crate::repository::Repository;
use std::collections::HashSet;

/// Trees that are read side by side before they are visited: enough to keep all cores and a remote storage busy, little enough
/// to stay within some MiB.
const BATCH_TREES: usize = 128;

/// Takes what a walk finds.
pub(super) trait TreeVisitor {
    /// A directory, the first time it is met.
    fn tree(&mut self, id: &BlobId, tree: &Tree) -> Result<(), VaultError>;
    /// A directory that is missing or damaged.
    fn unreadable(&mut self, id: &BlobId, error: VaultError) -> Result<(), VaultError>;
}

/// Remembers which directories were visited, over any number of roots.
pub(super) struct TreeWalk<'a> {
    repository: &'a Repository,
    cancel: &'a CancelFlag,
    visited: HashSet<BlobId>,
}

impl<'a> TreeWalk<'a> {
    pub(super) fn new(repository: &'a Repository, cancel: &'a CancelFlag) -> Self {
        Self {
            repository,
            cancel,
            visited: HashSet::new(),
        }
    }

    /// All directories that were visited so far.
    pub(super) fn visited(&self) -> &HashSet<BlobId> {
        &self.visited
    }

    /// Visits everything below `root` that was not visited yet. Damage goes to the visitor, anything else ends the walk.
    pub(super) fn walk(
        &mut self,
        root: BlobId,
        visitor: &mut dyn TreeVisitor,
    ) -> Result<(), VaultError> {
        let mut open = Vec::new();
        if self.visited.insert(root) {
            open.push(root);
        }
        while !open.is_empty() {
            if self.cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            let batch = open.split_off(open.len().saturating_sub(BATCH_TREES));
            for (id, result) in batch.iter().zip(self.read_batch(&batch)) {
                match result {
                    Ok(tree) => {
                        let subtrees = tree.nodes().iter().filter_map(|node| node.subtree);
                        open.extend(subtrees.filter(|subtree| self.visited.insert(*subtree)));
                        visitor.tree(id, &tree)?;
                    }
                    Err(error) if error.is_damage() => visitor.unreadable(id, error)?,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn read_batch(&self, batch: &[BlobId]) -> Vec<Result<Tree, VaultError>> {
        let workers = self.repository.options().worker_count();
        if batch.len() < 2 * workers {
            return batch
                .iter()
                .map(|id| self.repository.read_tree(id))
                .collect();
        }
        let share = batch.len().div_ceil(workers);
        std::thread::scope(|scope| {
            let readers: Vec<_> = batch
                .chunks(share)
                .map(|ids| {
                    scope.spawn(move || -> Vec<_> {
                        ids.iter().map(|id| self.repository.read_tree(id)).collect()
                    })
                })
                .collect();
            readers
                .into_iter()
                .zip(batch.chunks(share))
                .flat_map(|(reader, ids)| {
                    reader.join().unwrap_or_else(|_| {
                        let lost = |_| Err(VaultError::Internal("reading a tree panicked".into()));
                        ids.iter().map(lost).collect()
                    })
                })
                .collect()
        })
    }
}
