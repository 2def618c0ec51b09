//! The driver of the embedded store.

mod collections;
mod global_state;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use serde_json::{Map, Value};
use snapkeep_store::{
    Alias, IndexMeta, IndexState, RestoreSpec, RestoreTarget, RestoredDocument, ShardProof,
    ShardView, Store, StoreError, View,
};

use crate::document::{
    Capture, CapturedResource, ChangeToken, CollectionsRestoration, DocumentDriver, GoneDocument,
    LiveDocument, LoadedDocument, Proof, ResourceInfo, ResourceKind, ResourceRef, Restoration,
    RestoreCollection, RestoreIndex, ShardCapture,
};
use crate::error::DriverError;

/// Captures and restores indices and collections of an embedded store.
#[derive(Clone, Debug)]
pub struct StoreDriver {
    store: Store,
}

impl StoreDriver {
    /// A driver for this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

fn from_store(error: StoreError) -> DriverError {
    match error {
        StoreError::IndexNotFound { name } => DriverError::ResourceMissing(name),
        StoreError::IndexOpen { name } => DriverError::ResourceOpen(name),
        StoreError::InvalidIndexName { name, reason } => DriverError::InvalidName { name, reason },
        StoreError::CollectionNotFound { name } => DriverError::CollectionMissing(name),
        StoreError::CollectionExists { name, .. } => DriverError::CollectionExists(name),
        restoring @ StoreError::CollectionRestoring { .. } => {
            DriverError::Refused(restoring.to_string())
        }
        mismatch @ StoreError::ProofMismatch { .. } => {
            DriverError::ProofMismatch(mismatch.to_string())
        }
        StoreError::IllegalArgument { reason } => DriverError::Refused(reason),
        other => DriverError::Io(other.to_string()),
    }
}

fn shard_number(shard: u32) -> Result<u16, DriverError> {
    u16::try_from(shard).map_err(|_| DriverError::Io(format!("shard number {shard} is too large")))
}

impl DocumentDriver for StoreDriver {
    fn resources(&self) -> Result<Vec<ResourceInfo>, DriverError> {
        let mut resources: Vec<_> = self
            .store
            .indices()
            .iter()
            .map(|meta| ResourceInfo {
                kind: ResourceKind::Index,
                name: meta.name.clone(),
                uuid: meta.uuid.clone(),
                open: meta.state == IndexState::Open,
                hidden: meta.is_hidden(),
                restoring: meta.state == IndexState::Restoring,
                aliases: meta.aliases.keys().cloned().collect(),
                shards: u32::from(meta.shards),
            })
            .collect();
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        resources.extend(collections::resources(&self.store));
        Ok(resources)
    }

    fn capture(&self, wanted: &[ResourceRef]) -> Result<Box<dyn Capture>, DriverError> {
        let view = self.store.view().map_err(from_store)?;
        let mut wanted: Vec<&ResourceRef> = wanted.iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut resources = Vec::with_capacity(wanted.len());
        for ResourceRef { kind, name } in wanted {
            if *kind == ResourceKind::Collection {
                resources.push(collections::describe(&view, name)?);
                continue;
            }
            let meta = view
                .index(name)
                .filter(|meta| meta.state != IndexState::Restoring)
                .ok_or_else(|| DriverError::ResourceMissing(name.clone()))?;
            resources.push(describe(&meta)?);
        }
        Ok(Box::new(StoreCapture {
            store: self.store.clone(),
            view,
            resources,
        }))
    }

    fn begin_restore(&self, index: RestoreIndex) -> Result<Box<dyn Restoration>, DriverError> {
        let aliases: BTreeMap<String, Alias> = match index.aliases {
            Some(aliases) => aliases
                .into_iter()
                .map(|(name, properties)| Ok((name, serde_json::from_value(properties)?)))
                .collect::<Result<_, serde_json::Error>>()
                .map_err(|error| DriverError::BadDescription {
                    resource: index.name.clone(),
                    reason: format!("aliases: {error}"),
                })?,
            None => self
                .store
                .index(&index.name)
                .map(|meta| meta.aliases.clone())
                .unwrap_or_default(),
        };
        let spec = RestoreSpec {
            name: index.name,
            settings: index.settings.into_iter().collect(),
            mappings: index.mappings,
            aliases,
            shards: shard_number(index.shards)?,
            replace_closed: index.replace_closed,
        };
        let target = self.store.begin_restore(spec).map_err(from_store)?;
        Ok(Box::new(StoreRestoration { target }))
    }

    fn begin_collections_restore(
        &self,
        collections: Vec<RestoreCollection>,
        renamed: &BTreeMap<String, String>,
    ) -> Result<Box<dyn CollectionsRestoration>, DriverError> {
        Ok(Box::new(collections::begin_restore(
            &self.store,
            collections,
            renamed,
        )?))
    }

    fn restore_global_state(&self, state: &Value) -> Result<(), DriverError> {
        global_state::restore(&self.store, state).map_err(from_store)
    }
}

fn describe(meta: &Arc<IndexMeta>) -> Result<CapturedResource, DriverError> {
    let aliases = meta
        .aliases
        .iter()
        .map(|(name, alias)| Ok((name.clone(), serde_json::to_value(alias)?)))
        .collect::<Result<Map<_, _>, serde_json::Error>>()
        .map_err(|error| DriverError::BadDescription {
            resource: meta.name.clone(),
            reason: error.to_string(),
        })?;
    Ok(CapturedResource {
        name: meta.name.clone(),
        uuid: meta.uuid.clone(),
        open: meta.state == IndexState::Open,
        shards: u32::from(meta.shards),
        settings: meta.settings.clone().into_iter().collect(),
        mappings: meta.mappings.clone(),
        aliases,
        ..CapturedResource::default()
    })
}

struct StoreCapture {
    store: Store,
    view: View,
    resources: Vec<CapturedResource>,
}

impl Capture for StoreCapture {
    fn resources(&self) -> &[CapturedResource] {
        &self.resources
    }

    fn shard(
        &self,
        resource: &CapturedResource,
        shard: u32,
    ) -> Result<Box<dyn ShardCapture>, DriverError> {
        let name = &resource.name;
        let (view, missing) = match resource.kind {
            ResourceKind::Index => (
                self.view.shard(name, shard_number(shard)?),
                DriverError::ResourceMissing(format!("{name}/{shard}")),
            ),
            ResourceKind::Collection => (
                collections::number_at(&self.view, name, shard)
                    .and_then(|number| self.view.collection_shard(name, number)),
                DriverError::CollectionMissing(format!("{name}/{shard}")),
            ),
        };
        let view = view.ok_or(missing)?;
        Ok(Box::new(StoreShard { view }))
    }

    fn global_state(&self) -> Result<Value, DriverError> {
        Ok(global_state::capture(&self.store))
    }
}

struct StoreShard {
    view: ShardView,
}

impl ShardCapture for StoreShard {
    fn token(&self) -> ChangeToken {
        let history = self.view.history();
        ChangeToken {
            index_uuid: history.index_uuid,
            history_uuid: history.history_uuid,
            next_seq_no: self.view.max_seq_no().map_or(0, |highest| highest + 1),
        }
    }

    fn proof(&self) -> Proof {
        Proof {
            live: self.view.live_count(),
            digest: self.view.digest(),
        }
    }

    fn size_bytes(&self) -> u64 {
        self.view.source_bytes()
    }

    fn can_continue(&self, token: &ChangeToken) -> bool {
        let now = self.token();
        now.index_uuid == token.index_uuid
            && now.history_uuid == token.history_uuid
            && token.next_seq_no <= now.next_seq_no
            && token.next_seq_no >= self.view.gone_floor()
    }

    fn parts(&self, from: u64, target_bytes: u64) -> Vec<Range<u64>> {
        self.view
            .split(target_bytes)
            .into_iter()
            .filter(|range| range.end > from)
            .map(|range| range.start.max(from)..range.end)
            .collect()
    }

    fn read(
        &self,
        range: Range<u64>,
        visit: &mut dyn FnMut(LiveDocument<'_>) -> ControlFlow<()>,
    ) -> Result<(), DriverError> {
        self.view
            .scan(range, &mut |document| {
                visit(LiveDocument {
                    id: document.id,
                    routing: document.routing,
                    version: document.version,
                    seq_no: document.seq_no,
                    source: document.source,
                    vectors: document.tail,
                })
            })
            .map_err(from_store)
    }

    fn gone_since(
        &self,
        next_seq_no: u64,
        visit: &mut dyn FnMut(GoneDocument<'_>) -> ControlFlow<()>,
    ) -> Result<(), DriverError> {
        let mut flow = ControlFlow::Continue(());
        self.view
            .gone_since(next_seq_no, &mut |gone| {
                // Copies that were born after the token as well are in no segment.
                if flow.is_continue() && gone.old_seq_no < next_seq_no {
                    flow = visit(GoneDocument {
                        id: gone.id,
                        old_seq_no: gone.old_seq_no,
                        hash: gone.hash,
                    });
                }
            })
            .map_err(from_store)
    }
}

struct StoreRestoration {
    target: RestoreTarget,
}

impl Restoration for StoreRestoration {
    fn load(&self, shard: u32, documents: Vec<LoadedDocument>) -> Result<(), DriverError> {
        self.target
            .load(shard_number(shard)?, restored(documents))
            .map_err(from_store)
    }

    fn finish(self: Box<Self>, proofs: Vec<Proof>) -> Result<(), DriverError> {
        self.target.finish(shard_proofs(proofs)).map_err(from_store)
    }
}

fn restored(documents: Vec<LoadedDocument>) -> Vec<RestoredDocument> {
    documents
        .into_iter()
        .map(|document| RestoredDocument {
            id: document.id,
            routing: document.routing,
            version: document.version,
            seq_no: document.seq_no,
            source: document.source,
            tail: document.vectors,
        })
        .collect()
}

fn shard_proofs(proofs: Vec<Proof>) -> Vec<ShardProof> {
    proofs
        .into_iter()
        .map(|proof| ShardProof {
            live: proof.live,
            digest: proof.digest,
        })
        .collect()
}

#[cfg(test)]
mod tests;
