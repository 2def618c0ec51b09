//! The files and directories above the shards, and the description of the snapshot.

use std::collections::HashMap;

use snapkeep_drivers::{CapturedResource, ResourceKind};
use snapkeep_vault::{BackupProgress, BlobId, Node, Tree};

use super::base::{BaseResource, find_node, folder_of};
use super::content::{ContentError, ContentWriter, DoneWork, Shard, Work, Written};
use crate::error::EngineError;
use crate::layout::{
    CLASS_FILE, CLUSTER_FILE, CollectionDescription, FORMAT, GlobalState, INDEX_FILE,
    IndexDescription, MANIFEST_FILE, Manifest, ResourceManifest, ShardManifest, ShardResult,
};
use crate::model::{FileStats, SnapshotState};

impl ContentWriter<'_> {
    /// Stores a small JSON file.
    pub(super) fn store_json(
        &self,
        name: &str,
        value: &impl serde::Serialize,
    ) -> Result<Node, ContentError> {
        let mut json = serde_json::to_vec_pretty(value)
            .map_err(|error| EngineError::Internal(format!("writing {name}: {error}")))?;
        json.push(b'\n');
        let stored = self.backup.store_bytes(&json)?;
        Ok(Node::file(
            name,
            self.time,
            stored.content,
            stored.size_bytes,
        ))
    }

    /// Stores a directory.
    pub(super) fn save_tree(&self, nodes: Vec<Node>) -> Result<BlobId, ContentError> {
        let tree = Tree::new(nodes).map_err(|error| EngineError::Internal(error.to_string()))?;
        Ok(self.backup.save_tree(&tree)?)
    }

    /// Stores descriptions and directories above the shards.
    pub(super) fn write_trees(
        &self,
        resources: &[CapturedResource],
        shards: Vec<Shard>,
        bases: &HashMap<usize, BaseResource>,
    ) -> Result<Written, ContentError> {
        let mut described: Vec<ResourceManifest> = resources
            .iter()
            .map(|resource| ResourceManifest {
                name: resource.name.clone(),
                uuid: resource.uuid.clone(),
                multi_tenant: resource
                    .collection
                    .as_ref()
                    .is_some_and(|collection| collection.multi_tenant),
                shards: Vec::new(),
            })
            .collect();
        let mut shard_nodes: Vec<Vec<Node>> = resources.iter().map(|_| Vec::new()).collect();
        let mut failures = Vec::new();
        for shard in shards {
            let now_ms = self.now_ms();
            let result = match shard.work {
                Work::Done(done) => {
                    let DoneWork { node, result } = *done;
                    shard_nodes[shard.resource].push(node);
                    if let ShardResult::Captured {
                        incremental, total, ..
                    } = &result
                    {
                        shard.figures.finish(*incremental, *total, now_ms);
                    }
                    result
                }
                Work::Failed(reason) => {
                    let shard_name = shard.name.as_deref().unwrap_or(&shard.directory);
                    failures.push(format!(
                        "[{}][{shard_name}] {reason}",
                        resources[shard.resource].name
                    ));
                    shard.figures.fail(&reason, now_ms);
                    ShardResult::Failed { reason }
                }
                Work::LeftOut(status, reason) => {
                    let nothing = FileStats::default();
                    shard.figures.finish(nothing, nothing, now_ms);
                    ShardResult::LeftOut { status, reason }
                }
                Work::Read(_) => {
                    return Err(EngineError::Internal("a shard was not read".to_owned()).into());
                }
            };
            let (start_ms, time_ms) = shard.figures.times();
            described[shard.resource].shards.push(ShardManifest {
                shard: shard.number,
                name: shard.name,
                start_ms,
                time_ms,
                result,
            });
        }
        if !failures.is_empty() && !self.running.accepted.partial {
            return Err(ContentError::Shards(failures.join("; ")));
        }
        let (mut indices, mut collections) = (Vec::new(), Vec::new());
        let (mut index_nodes, mut collection_nodes) = (Vec::new(), Vec::new());
        let all = resources.iter().zip(described).zip(shard_nodes);
        for (at, ((resource, manifest), nodes)) in all.enumerate() {
            let node = self.write_resource(resource, nodes, bases.get(&at))?;
            let (manifests, nodes) = match resource.kind {
                ResourceKind::Index => (&mut indices, &mut index_nodes),
                ResourceKind::Collection => (&mut collections, &mut collection_nodes),
            };
            manifests.push(manifest);
            nodes.push(node);
        }
        let accepted = &self.running.accepted;
        let mut manifest = Manifest {
            format: FORMAT,
            written_by: accepted.written_by.clone(),
            name: accepted.name.clone(),
            uuid: accepted.uuid.clone(),
            state: if failures.is_empty() {
                SnapshotState::Success
            } else {
                SnapshotState::Partial
            },
            start_ms: accepted.start_ms,
            end_ms: self.now_ms(),
            include_global_state: accepted.include_global_state,
            partial: accepted.partial,
            metadata: accepted.metadata.clone(),
            throttled_ns: self.running.throttled_ns(),
            stored_bytes: BackupProgress::value(&self.running.progress.bytes_stored),
            policy: accepted.policy.clone(),
            indices,
            collections,
            point: None,
            volumes: Vec::new(),
        };
        manifest.format = manifest.needed_format();
        let mut root = vec![self.store_json(MANIFEST_FILE, &manifest)?];
        for (kind, nodes) in [
            (ResourceKind::Index, index_nodes),
            (ResourceKind::Collection, collection_nodes),
        ] {
            // What reads format 1 expects the folder of indices, empty or not.
            if kind == ResourceKind::Index || !nodes.is_empty() {
                root.push(Node::dir(
                    folder_of(kind),
                    self.time,
                    self.save_tree(nodes)?,
                ));
            }
        }
        if accepted.include_global_state {
            let state = self
                .capture
                .global_state()
                .map_err(|error| EngineError::Internal(error.to_string()))?;
            root.push(self.store_json(
                CLUSTER_FILE,
                &GlobalState {
                    format: FORMAT,
                    state,
                },
            )?);
        }
        Ok(Written {
            root: self.save_tree(root)?,
            manifest,
        })
    }

    /// The directory of an index or collection; that of the base when nothing in it changed.
    fn write_resource(
        &self,
        resource: &CapturedResource,
        mut nodes: Vec<Node>,
        base: Option<&BaseResource>,
    ) -> Result<Node, ContentError> {
        let (name, mut file) = match &resource.collection {
            Some(collection) => {
                let description = CollectionDescription::of(resource, collection);
                (CLASS_FILE, self.store_json(CLASS_FILE, &description)?)
            }
            None => {
                let description = IndexDescription {
                    format: FORMAT,
                    resource: resource.clone(),
                };
                (INDEX_FILE, self.store_json(INDEX_FILE, &description)?)
            }
        };
        if let Some(same) = base
            .and_then(|base| find_node(&base.tree, name))
            .filter(|node| node.content == file.content)
        {
            file = same;
        }
        nodes.push(file);
        let tree = self.save_tree(nodes)?;
        let unchanged = base.filter(|base| {
            base.node.subtree == Some(tree) && base.node.name == resource.name.as_bytes()
        });
        Ok(match unchanged {
            Some(base) => base.node.clone(),
            None => Node::dir(resource.name.as_str(), self.time, tree),
        })
    }
}
