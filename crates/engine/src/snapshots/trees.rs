//! The files and directories above the shards, and the description of the snapshot.

use std::collections::HashMap;

use snapkeep_drivers::CapturedResource;
use snapkeep_vault::{BackupProgress, BlobId, Node, Tree};

use super::base::{BaseIndex, find_node};
use super::content::{ContentError, ContentWriter, DoneWork, Shard, Work, Written};
use crate::error::EngineError;
use crate::layout::{
    CLUSTER_FILE, FORMAT, GlobalState, INDEX_FILE, IndexDescription, IndexManifest, MANIFEST_FILE,
    Manifest, ShardManifest, ShardResult,
};
use crate::model::SnapshotState;

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
        bases: &HashMap<usize, BaseIndex>,
    ) -> Result<Written, ContentError> {
        let mut indices: Vec<IndexManifest> = resources
            .iter()
            .map(|resource| IndexManifest {
                name: resource.name.clone(),
                uuid: resource.uuid.clone(),
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
                    shard_nodes[shard.index].push(node);
                    if let ShardResult::Captured {
                        incremental, total, ..
                    } = &result
                    {
                        shard.figures.finish(*incremental, *total, now_ms);
                    }
                    result
                }
                Work::Failed(reason) => {
                    failures.push(format!(
                        "[{}][{}] {reason}",
                        resources[shard.index].name, shard.number
                    ));
                    shard.figures.fail(&reason, now_ms);
                    ShardResult::Failed { reason }
                }
                Work::Read(_) => {
                    return Err(EngineError::Internal("a shard was not read".to_owned()).into());
                }
            };
            let (start_ms, time_ms) = shard.figures.times();
            indices[shard.index].shards.push(ShardManifest {
                shard: shard.number,
                start_ms,
                time_ms,
                result,
            });
        }
        if !failures.is_empty() && !self.running.accepted.partial {
            return Err(ContentError::Shards(failures.join("; ")));
        }
        let mut index_nodes = Vec::new();
        for (at, (resource, nodes)) in resources.iter().zip(shard_nodes).enumerate() {
            index_nodes.push(self.write_index(resource, nodes, bases.get(&at))?);
        }
        let accepted = &self.running.accepted;
        let manifest = Manifest {
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
            indices,
        };
        let mut root = vec![
            Node::dir("indices", self.time, self.save_tree(index_nodes)?),
            self.store_json(MANIFEST_FILE, &manifest)?,
        ];
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

    /// The directory of an index; that of the base when nothing in it changed.
    fn write_index(
        &self,
        resource: &CapturedResource,
        mut nodes: Vec<Node>,
        base: Option<&BaseIndex>,
    ) -> Result<Node, ContentError> {
        let mut file = self.store_json(
            INDEX_FILE,
            &IndexDescription {
                format: FORMAT,
                resource: resource.clone(),
            },
        )?;
        if let Some(same) = base
            .and_then(|base| find_node(&base.tree, INDEX_FILE))
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
