//! What earlier snapshots of the same shards can be built upon.

use std::sync::Arc;

use snapkeep_drivers::ChangeToken;
use snapkeep_vault::{BlobId, Node, Repository, Tree};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::layout::{IndexManifest, Manifest, SHARD_FILE, ShardDescription, ShardResult};

/// Earlier snapshots that are looked at: an index that was left out of the last few is read anew.
const CANDIDATES: u32 = 8;
/// Largest description of a shard that is read, bytes.
pub(crate) const MAX_DESCRIPTION_BYTES: u64 = 16 << 20;

/// An earlier snapshot.
struct Base {
    manifest: Manifest,
    /// Its `/indices`.
    indices: Tree,
}

/// Earlier snapshots, youngest first, read when needed.
pub(super) struct Bases<'a> {
    inner: &'a Arc<Inner>,
    vault: &'a str,
    /// That of the job: reading stops when the job is cancelled.
    repository: &'a Repository,
    candidates: Vec<(String, String)>,
    loaded: Vec<Option<Base>>,
}

/// An index in an earlier snapshot.
pub(super) struct BaseIndex {
    /// Its directory.
    pub(super) node: Node,
    /// What is in it.
    pub(super) tree: Tree,
    manifest: IndexManifest,
}

/// A shard in an earlier snapshot.
pub(super) struct BaseShard {
    /// Its directory.
    pub(super) node: Node,
    /// What became of it.
    pub(super) result: ShardResult,
}

/// A shard in an earlier snapshot with all that is in it.
pub(super) struct BaseContent {
    pub(super) description: ShardDescription,
    pub(super) tree: Tree,
}

impl<'a> Bases<'a> {
    /// Looks which there are. Blocks.
    pub(super) fn new(
        inner: &'a Arc<Inner>,
        vault: &'a str,
        repository: &'a Repository,
    ) -> Result<Self, EngineError> {
        let candidates = inner.block_on(inner.catalogue.base_candidates(vault, CANDIDATES))?;
        Ok(Self {
            inner,
            vault,
            repository,
            candidates,
            loaded: Vec::new(),
        })
    }

    /// The index of this uuid in the youngest snapshot that has it. What cannot be read is no base.
    pub(super) fn index(&mut self, uuid: &str) -> Option<BaseIndex> {
        for at in 0..self.candidates.len() {
            if self.loaded.len() <= at {
                let base = self.load(at);
                self.loaded.push(base);
            }
            let Some(base) = &self.loaded[at] else {
                continue;
            };
            let Some(manifest) = base
                .manifest
                .indices
                .iter()
                .find(|index| index.uuid == uuid)
            else {
                continue;
            };
            let node = find_node(&base.indices, &manifest.name)?;
            let tree = self.repository.read_tree(&node.subtree?).ok()?;
            return Some(BaseIndex {
                node,
                tree,
                manifest: manifest.clone(),
            });
        }
        None
    }

    fn load(&self, at: usize) -> Option<Base> {
        let (tree, uuid) = &self.candidates[at];
        let root: BlobId = tree.parse().ok()?;
        let manifest = self
            .inner
            .block_on(self.inner.catalogue.manifest(self.vault, uuid))
            .ok()??;
        let root = self.repository.read_tree(&root).ok()?;
        let indices = self
            .repository
            .read_tree(&find_node(&root, "indices")?.subtree?)
            .ok()?;
        Some(Base { manifest, indices })
    }

    /// Reads what is in a shard of an earlier snapshot.
    pub(super) fn content(&self, shard: &BaseShard) -> Option<BaseContent> {
        let tree = self.repository.read_tree(&shard.node.subtree?).ok()?;
        let file = find_node(&tree, SHARD_FILE)?;
        let json = self
            .repository
            .read_file(&file.content?, MAX_DESCRIPTION_BYTES)
            .ok()?;
        let description = serde_json::from_slice(&json).ok()?;
        Some(BaseContent { description, tree })
    }
}

impl BaseIndex {
    /// A shard of it, if it was captured and `can_continue` accepts its token.
    pub(super) fn shard(
        &self,
        number: u32,
        can_continue: impl Fn(&ChangeToken) -> bool,
    ) -> Option<BaseShard> {
        let manifest = self
            .manifest
            .shards
            .iter()
            .find(|shard| shard.shard == number)?;
        match &manifest.result {
            ShardResult::Captured { token, .. } if can_continue(token) => {}
            _ => return None,
        }
        let node = find_node(&self.tree, &number.to_string())?;
        Some(BaseShard {
            node,
            result: manifest.result.clone(),
        })
    }
}

/// A node of a tree by name.
pub(crate) fn find_node(tree: &Tree, name: &str) -> Option<Node> {
    tree.find(name.as_bytes()).cloned()
}
