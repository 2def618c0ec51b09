//! The index under restore.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::load::Loader;
use super::{RestoreSpec, RestoredDocument, ShardProof};
use crate::index::{check_index_name, new_uuid, replicas, shards};
use crate::store::rows::ShardState;
use crate::store::{
    Access, Core, Index, IndexData, IndexRecord, RowKind, created_ms, new_state, record_key,
    refuse_restoring,
};
use crate::{IndexMeta, IndexState, Store, StoreError};

impl Store {
    /// Starts loading an index; invisible (but listed as [`IndexState::Restoring`]) until finished.
    pub fn begin_restore(&self, spec: RestoreSpec) -> Result<RestoreTarget, StoreError> {
        RestoreTarget::begin(Arc::clone(&self.core), spec)
    }
}

/// An index being loaded. Dropping it aborts: nothing stays behind, and a closed index that was to be
/// replaced is there again. After a crash the same holds at the next open.
pub struct RestoreTarget {
    core: Arc<Core>,
    meta: IndexMeta,
    data: Arc<IndexData>,
    loader: Loader,
    /// The closed index to replace.
    replaced: Option<Arc<Index>>,
    is_finished: bool,
}

impl fmt::Debug for RestoreTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreTarget")
            .field("name", &self.meta.name)
            .field("uuid", &self.meta.uuid)
            .finish_non_exhaustive()
    }
}

impl RestoreTarget {
    fn begin(core: Arc<Core>, spec: RestoreSpec) -> Result<Self, StoreError> {
        let _changes = core.lock_changes();
        check_index_name(&spec.name)?;
        let catalogue = core.catalogue();
        let replaced = match catalogue.indices.get(&spec.name) {
            Some(index) => {
                refuse_restoring(&index.meta)?;
                if index.meta.is_open() {
                    return Err(StoreError::IndexOpen { name: spec.name });
                }
                if spec.replace_closed {
                    Some(Arc::clone(index))
                } else {
                    core.check_name_is_free(&catalogue, &spec.name)?;
                    None
                }
            }
            None => {
                core.check_name_is_free(&catalogue, &spec.name)?;
                None
            }
        };
        let uuid = replaced
            .as_ref()
            .map_or_else(new_uuid, |index| index.meta.uuid.clone());
        let mut settings = spec.settings;
        settings.insert(
            "index.number_of_shards".to_owned(),
            Value::from(spec.shards.to_string()),
        );
        core.complete_settings(&mut settings, &spec.name, &uuid);
        let meta = IndexMeta {
            name: spec.name,
            uuid,
            created_ms: created_ms(&settings),
            state: IndexState::Restoring,
            shards: shards(&settings)?,
            replicas: replicas(&settings)?,
            settings,
            mappings: spec.mappings,
            aliases: spec.aliases,
        };
        let changed = BTreeMap::from([(meta.name.clone(), meta.clone())]);
        core.check_aliases(&catalogue, &changed, &[])?;

        let states = vec![new_state(); usize::from(meta.shards)];
        let data = Arc::new(IndexData::open(
            &core.db,
            &core.doomed,
            RowKind::Documents,
            rand::random(),
            states,
        )?);
        data.set_access(Access::Closed);
        let mut next = (*catalogue).clone();
        next.indices.insert(
            meta.name.clone(),
            Arc::new(Index {
                meta: Arc::new(meta.clone()),
                data: Arc::clone(&data),
            }),
        );
        core.show(next);
        drop(_changes);
        Ok(RestoreTarget {
            loader: Loader::new(meta.shards),
            core,
            meta,
            data,
            replaced,
            is_finished: false,
        })
    }

    /// UUID the index will have.
    pub fn uuid(&self) -> &str {
        &self.meta.uuid
    }

    /// Loads documents of one shard, in any order, from many threads; each id and sequence number once. Not
    /// durable before [`Self::finish`].
    pub fn load(&self, shard: u16, documents: Vec<RestoredDocument>) -> Result<(), StoreError> {
        self.loader
            .load(&self.core.db, &self.data, &self.meta.name, shard, documents)
    }

    /// Verifies every shard against `expected` (in shard order), syncs, and makes the index visible and
    /// open in one durable step; on an error nothing is visible and the data is dropped.
    pub fn finish(mut self, expected: Vec<ShardProof>) -> Result<(), StoreError> {
        let states = self
            .loader
            .finish(&self.core.db, &self.data, &self.meta.name, &expected)?;
        self.publish(states)
    }

    /// The tables are on disk already (each is synced when it is finished); this adds the index's record,
    /// which makes them reachable, and takes the replaced index away in the same batch. A crash before it
    /// leaves documents without a record, removed at the next open.
    fn publish(&mut self, mut states: Vec<ShardState>) -> Result<(), StoreError> {
        let core = Arc::clone(&self.core);
        let _changes = core.lock_changes();
        let meta = IndexMeta {
            state: IndexState::Open,
            ..self.meta.clone()
        };
        let mut batch = core.batch();
        batch.insert(
            core.meta(),
            record_key(&self.data.data_id),
            IndexRecord::encode(&meta)?,
        );
        for (shard, state) in states.iter_mut().enumerate() {
            let shard = shard as u16;
            state.history = self.data.lock(shard).state.history;
            batch.insert(core.meta(), self.data.state_key(shard), state.encode());
            self.data.lock(shard).state = *state;
        }
        if let Some(replaced) = &self.replaced {
            core.remove_rows(&mut batch, &replaced.data);
        }
        let mut next = (*core.catalogue()).clone();
        next.indices.insert(
            meta.name.clone(),
            Arc::new(Index {
                meta: Arc::new(meta),
                data: Arc::clone(&self.data),
            }),
        );
        core.publish(batch, next)?;
        self.is_finished = true;
        core.sync()?;
        self.data.set_access(Access::Open);
        for (shard, state) in states.iter().enumerate() {
            core.guard
                .acknowledge((self.data.data_id, shard as u16), state.next_seq_no)?;
        }
        if let Some(replaced) = self.replaced.take() {
            replaced.data.set_access(Access::Deleted);
            replaced.data.doom();
            core.guard
                .retain(|(data_id, _)| *data_id != replaced.data.data_id)?;
        }
        Ok(())
    }
}

impl Drop for RestoreTarget {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let _changes = self.core.lock_changes();
        let mut next = (*self.core.catalogue()).clone();
        match self.replaced.take() {
            Some(replaced) => next.indices.insert(self.meta.name.clone(), replaced),
            None => next.indices.remove(&self.meta.name),
        };
        self.core.show(next);
        self.data.doom();
    }
}
