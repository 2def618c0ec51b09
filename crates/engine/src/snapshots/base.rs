//! What earlier snapshots of the same shards can be built upon.

use std::collections::HashMap;
use std::sync::Arc;

use snapkeep_drivers::{ChangeToken, ResourceKind};
use snapkeep_vault::{BlobId, Node, Repository, Tree};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::layout::{Manifest, SHARD_FILE, ShardDescription, ShardResult};

/// Earlier snapshots that are looked at: an index that was left out of the last few is read anew.
const CANDIDATES: u32 = 8;
/// Largest description of a shard that is read, bytes: some million parts.
pub(crate) const MAX_DESCRIPTION_BYTES: u64 = 128 << 20;

/// An earlier snapshot.
struct Base {
    manifest: Manifest,
    /// Its `/indices` and `/collections`, where it has them.
    folders: HashMap<ResourceKind, Tree>,
}

/// The folder of a kind of resource in the root of a snapshot.
pub(crate) fn folder_of(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Index => "indices",
        ResourceKind::Collection => "collections",
    }
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

/// An index or collection in an earlier snapshot.
pub(super) struct BaseResource {
    /// Its directory.
    pub(super) node: Node,
    /// What is in it.
    pub(super) tree: Tree,
    /// What became of its shards, by directory.
    shards: HashMap<String, ShardResult>,
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

    /// The resource of this uuid in the youngest snapshot that has it. What cannot be read is no base.
    pub(super) fn resource(&mut self, kind: ResourceKind, uuid: &str) -> Option<BaseResource> {
        for at in 0..self.candidates.len() {
            if self.loaded.len() <= at {
                let base = self.load(at);
                self.loaded.push(base);
            }
            let Some(base) = &self.loaded[at] else {
                continue;
            };
            let mut resources = base.manifest.resources(kind).iter();
            let Some(manifest) = resources.find(|resource| resource.uuid == uuid) else {
                continue;
            };
            let node = find_node(base.folders.get(&kind)?, &manifest.name)?;
            let tree = self.repository.read_tree(&node.subtree?).ok()?;
            let shards = manifest.shards.iter();
            return Some(BaseResource {
                node,
                tree,
                shards: shards
                    .map(|shard| (shard.directory(), shard.result.clone()))
                    .collect(),
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
        let mut folders = HashMap::new();
        for kind in [ResourceKind::Index, ResourceKind::Collection] {
            if let Some(folder) = find_node(&root, folder_of(kind)) {
                folders.insert(kind, self.repository.read_tree(&folder.subtree?).ok()?);
            }
        }
        Some(Base { manifest, folders })
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

impl BaseResource {
    /// A shard of it by its directory, if it was captured and `can_continue` accepts its token.
    pub(super) fn shard(
        &self,
        directory: &str,
        can_continue: impl Fn(&ChangeToken) -> bool,
    ) -> Option<BaseShard> {
        let result = self.shards.get(directory)?;
        match result {
            ShardResult::Captured { token, .. } if can_continue(token) => {}
            _ => return None,
        }
        let node = find_node(&self.tree, directory)?;
        Some(BaseShard {
            node,
            result: result.clone(),
        })
    }
}

/// A node of a tree by name.
pub(crate) fn find_node(tree: &Tree, name: &str) -> Option<Node> {
    tree.find(name.as_bytes()).cloned()
}
