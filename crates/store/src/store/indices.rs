//! Indices: create, delete, open, close, settings, mappings, aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::catalogue::{Catalogue, Index, IndexRecord, record_key};
use super::core::{Core, now_ms};
use super::data::{Access, IndexData, RowKind};
use super::rows::ShardState;
use super::{IndexStats, Store};
use crate::index::{
    check_alias_name, check_index_name, flatten, is_fixed, merge_mappings, new_uuid,
    normalise_mappings, parse_aliases, replicas, shards,
};
use crate::{Alias, AliasAction, IndexMeta, IndexSpec, IndexState, Settings, StoreError};

impl Store {
    /// Creates an index: templates are applied, then `spec`.
    pub fn create_index(&self, name: &str, spec: IndexSpec) -> Result<Arc<IndexMeta>, StoreError> {
        let _changes = self.core.lock_changes();
        let meta = self.core.create_index(name, &spec)?;
        self.core.sync()?;
        Ok(meta)
    }

    /// Deletes an index and its documents. Views that hold it go on reading it.
    pub fn delete_index(&self, name: &str) -> Result<(), StoreError> {
        let _changes = self.core.lock_changes();
        self.core.delete_indices(&[name])
    }

    /// All indices, sorted by name (including those being restored).
    pub fn indices(&self) -> Vec<Arc<IndexMeta>> {
        let catalogue = self.core.catalogue();
        catalogue
            .indices
            .values()
            .map(|index| Arc::clone(&index.meta))
            .collect()
    }

    /// One index by its name (no alias).
    pub fn index(&self, name: &str) -> Option<Arc<IndexMeta>> {
        let catalogue = self.core.catalogue();
        catalogue
            .indices
            .get(name)
            .map(|index| Arc::clone(&index.meta))
    }

    /// Merges settings (nested or flat, with or without `index.`; null resets) into the index.
    /// `preserve_existing`: keep values that are already set.
    pub fn put_settings(
        &self,
        name: &str,
        settings: &Value,
        preserve_existing: bool,
    ) -> Result<(), StoreError> {
        let changes = flatten(settings, "index.")?;
        self.change_meta(name, |meta| {
            for (key, value) in changes {
                check_changeable(&key, meta)?;
                if value.is_null() {
                    meta.settings.remove(&key);
                } else if !(preserve_existing && meta.settings.contains_key(&key)) {
                    meta.settings.insert(key, value);
                }
            }
            meta.settings
                .entry("index.number_of_replicas".to_owned())
                .or_insert_with(|| Value::from("1"));
            meta.replicas = replicas(&meta.settings)?;
            Ok(())
        })
    }

    /// Merges mappings (`{"properties":{…}}`) into the index.
    pub fn put_mapping(&self, name: &str, mappings: &Value) -> Result<(), StoreError> {
        let added = normalise_mappings(mappings)?;
        self.change_meta(name, |meta| merge_mappings(&mut meta.mappings, &added))?;
        if let Some(index) = self.core.catalogue().indices.get(name) {
            index.data.forget_known_fields();
        }
        Ok(())
    }

    /// Opens a closed index; nothing happens when it is open.
    pub fn open_index(&self, name: &str) -> Result<(), StoreError> {
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let index = catalogue.get(name)?;
        refuse_restoring(&index.meta)?;
        self.core
            .replace_meta(index, with_state(&index.meta, IndexState::Open))?;
        self.core.sync()?;
        index.data.set_access(Access::Open);
        Ok(())
    }

    /// Closes an index; nothing happens when it is closed. Returns when no writer is left in it.
    pub fn close_index(&self, name: &str) -> Result<(), StoreError> {
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let index = catalogue.get(name)?;
        refuse_restoring(&index.meta)?;
        index.data.set_access(Access::Closed);
        self.core
            .replace_meta(index, with_state(&index.meta, IndexState::Closed))?;
        self.core.sync()
    }

    /// Applies all actions, or none.
    pub fn update_aliases(&self, actions: &[AliasAction]) -> Result<(), StoreError> {
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let mut changed: BTreeMap<String, IndexMeta> = BTreeMap::new();
        let mut removed: Vec<&str> = Vec::new();
        for action in actions {
            let index = match action {
                AliasAction::Add { index, .. }
                | AliasAction::Remove { index, .. }
                | AliasAction::RemoveIndex { index } => catalogue.get(index)?,
            };
            refuse_restoring(&index.meta)?;
            let meta = changed
                .entry(index.meta.name.clone())
                .or_insert_with(|| (*index.meta).clone());
            match action {
                AliasAction::Add { alias, spec, .. } => {
                    check_alias_name(alias)?;
                    meta.aliases.insert(alias.clone(), spec.clone());
                }
                AliasAction::Remove {
                    alias, must_exist, ..
                } => {
                    if meta.aliases.remove(alias).is_none() && *must_exist != Some(false) {
                        return Err(StoreError::AliasNotFound {
                            name: alias.clone(),
                        });
                    }
                }
                AliasAction::RemoveIndex { index } => removed.push(index),
            }
        }
        for name in &removed {
            changed.remove(*name);
        }
        self.core.check_aliases(&catalogue, &changed, &removed)?;
        let mut next = (*catalogue).clone();
        let mut batch = self.core.batch();
        for (name, meta) in changed {
            let data = Arc::clone(&catalogue.get(&name)?.data);
            batch.insert(
                self.core.meta(),
                record_key(&data.data_id),
                IndexRecord::encode(&meta)?,
            );
            let meta = Arc::new(meta);
            next.indices.insert(name, Arc::new(Index { meta, data }));
        }
        self.core.publish(batch, next)?;
        self.core.delete_indices(&removed)?;
        self.core.sync()
    }

    /// Sizes of one index.
    pub fn stats(&self, name: &str) -> Result<IndexStats, StoreError> {
        let catalogue = self.core.catalogue();
        let data = &catalogue.get(name)?.data;
        let mut stats = IndexStats::default();
        let mut source_bytes = 0;
        for shard in 0..data.shards.len() {
            let writer = data.lock(shard);
            stats.docs += writer.state.live;
            stats.deleted += writer.state.gone;
            source_bytes += writer.state.source_bytes;
        }
        // What was written a moment ago is in memory and in the journal only.
        stats.store_bytes = data.disk_bytes().max(source_bytes);
        Ok(stats)
    }

    fn change_meta(
        &self,
        name: &str,
        change: impl FnOnce(&mut IndexMeta) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let index = catalogue.get(name)?;
        refuse_restoring(&index.meta)?;
        let mut meta = (*index.meta).clone();
        change(&mut meta)?;
        if meta != *index.meta {
            self.core.replace_meta(index, meta)?;
            self.core.sync()?;
        }
        Ok(())
    }
}

impl Core {
    /// Creates an index, not durable yet. The caller holds `changes`.
    pub(crate) fn create_index(
        &self,
        name: &str,
        spec: &IndexSpec,
    ) -> Result<Arc<IndexMeta>, StoreError> {
        check_index_name(name)?;
        let catalogue = self.catalogue();
        self.check_name_is_free(&catalogue, name)?;
        let resolved = self.templates().resolve(name, spec)?;
        let aliases = parse_aliases(&resolved.aliases)?;
        let mut settings = resolved.settings;
        settings.retain(|key, _| {
            !is_fixed(key)
                || key.ends_with("number_of_shards")
                || key.ends_with("routing_partition_size")
        });
        let uuid = new_uuid();
        self.complete_settings(&mut settings, name, &uuid);
        let meta = Arc::new(IndexMeta {
            name: name.to_owned(),
            created_ms: created_ms(&settings),
            uuid,
            state: IndexState::Open,
            shards: shards(&settings)?,
            replicas: replicas(&settings)?,
            settings,
            mappings: resolved.mappings,
            aliases,
        });
        let changed = BTreeMap::from([(name.to_owned(), (*meta).clone())]);
        self.check_aliases(&catalogue, &changed, &[])?;

        let states = vec![new_state(); usize::from(meta.shards)];
        let data = IndexData::open(
            &self.db,
            &self.doomed,
            RowKind::Documents,
            rand::random(),
            states.clone(),
        )?;
        let mut batch = self.batch();
        batch.insert(
            &self.meta,
            record_key(&data.data_id),
            IndexRecord::encode(&meta)?,
        );
        for (shard, state) in states.iter().enumerate() {
            batch.insert(&self.meta, data.state_key(shard as u16), state.encode());
        }
        let mut next = (*catalogue).clone();
        next.indices.insert(
            name.to_owned(),
            Arc::new(Index {
                meta: Arc::clone(&meta),
                data: Arc::new(data),
            }),
        );
        self.publish(batch, next)?;
        Ok(meta)
    }

    /// Deletes indices durably. The caller holds `changes`.
    fn delete_indices(&self, names: &[&str]) -> Result<(), StoreError> {
        let catalogue = self.catalogue();
        let mut next = (*catalogue).clone();
        let mut batch = self.batch();
        let mut deleted = Vec::new();
        for name in names {
            let index = catalogue.get(name)?;
            refuse_restoring(&index.meta)?;
            next.indices.remove(*name);
            self.remove_rows(&mut batch, &index.data);
            deleted.push(index);
        }
        for index in &deleted {
            index.data.set_access(Access::Deleted);
        }
        if let Err(error) = self.publish(batch, next).and_then(|()| self.sync()) {
            for index in &deleted {
                let access = if index.meta.is_open() {
                    Access::Open
                } else {
                    Access::Closed
                };
                index.data.set_access(access);
            }
            return Err(error);
        }
        for index in &deleted {
            index.data.doom();
            self.guard
                .retain(|(data_id, _)| *data_id != index.data.data_id)?;
        }
        Ok(())
    }

    /// Removes the record and counters of an index in a batch.
    pub(crate) fn remove_rows(&self, batch: &mut fjall::OwnedWriteBatch, data: &IndexData) {
        batch.remove(&self.meta, record_key(&data.data_id));
        for shard in 0..data.shards.len() {
            batch.remove(&self.meta, data.state_key(shard));
        }
    }

    pub(crate) fn check_name_is_free(
        &self,
        catalogue: &Catalogue,
        name: &str,
    ) -> Result<(), StoreError> {
        if let Some(index) = catalogue.indices.get(name) {
            return Err(StoreError::IndexExists {
                name: name.to_owned(),
                uuid: index.meta.uuid.clone(),
            });
        }
        if catalogue.with_alias(name).next().is_some() {
            return Err(StoreError::InvalidIndexName {
                name: name.to_owned(),
                reason: "already exists as alias".to_owned(),
            });
        }
        Ok(())
    }

    /// Checks aliases as they will be: no index of that name, one write index each.
    pub(crate) fn check_aliases(
        &self,
        catalogue: &Catalogue,
        changed: &BTreeMap<String, IndexMeta>,
        removed: &[&str],
    ) -> Result<(), StoreError> {
        for (owner, meta) in changed {
            for (alias, spec) in &meta.aliases {
                let is_index = catalogue.indices.contains_key(alias) || changed.contains_key(alias);
                if is_index && !removed.contains(&alias.as_str()) {
                    return Err(StoreError::InvalidAliasName {
                        name: alias.clone(),
                        reason: "an index or data stream exists with the same name as the alias"
                            .to_owned(),
                    });
                }
                if spec.is_write_index == Some(true) {
                    let other = self.other_write_index(catalogue, changed, removed, owner, alias);
                    if let Some(other) = other {
                        return Err(StoreError::illegal(format!(
                            "alias [{alias}] has more than one write index [{other},{owner}]"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    fn other_write_index(
        &self,
        catalogue: &Catalogue,
        changed: &BTreeMap<String, IndexMeta>,
        removed: &[&str],
        owner: &str,
        alias: &str,
    ) -> Option<String> {
        let is_writer = |meta: &IndexMeta| {
            meta.aliases
                .get(alias)
                .and_then(|spec: &Alias| spec.is_write_index)
                == Some(true)
        };
        catalogue
            .indices
            .values()
            .map(|index| changed.get(&index.meta.name).unwrap_or(&index.meta))
            .find(|meta| {
                meta.name != owner && !removed.contains(&meta.name.as_str()) && is_writer(meta)
            })
            .map(|meta| meta.name.clone())
    }

    /// Adds what every index has.
    pub(crate) fn complete_settings(&self, settings: &mut Settings, name: &str, uuid: &str) {
        let mut default = |key: &str, value: String| {
            settings
                .entry(key.to_owned())
                .or_insert(Value::String(value));
        };
        default("index.number_of_shards", "1".to_owned());
        default("index.number_of_replicas", "1".to_owned());
        default("index.creation_date", now_ms().to_string());
        default("index.provided_name", name.to_owned());
        default(
            "index.version.created",
            self.options.version_created.clone(),
        );
        settings.insert("index.uuid".to_owned(), Value::from(uuid));
    }
}

/// Counters of an empty shard with a history of its own.
pub(crate) fn new_state() -> ShardState {
    ShardState {
        history: rand::random(),
        ..ShardState::default()
    }
}

/// Creation time in the settings.
pub(crate) fn created_ms(settings: &Settings) -> i64 {
    settings
        .get("index.creation_date")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

pub(crate) fn refuse_restoring(meta: &IndexMeta) -> Result<(), StoreError> {
    if meta.state == IndexState::Restoring {
        return Err(StoreError::IndexRestoring {
            name: meta.name.clone(),
            uuid: meta.uuid.clone(),
        });
    }
    Ok(())
}

fn with_state(meta: &IndexMeta, state: IndexState) -> IndexMeta {
    IndexMeta {
        state,
        ..meta.clone()
    }
}

fn check_changeable(key: &str, meta: &IndexMeta) -> Result<(), StoreError> {
    if !is_fixed(key) {
        return Ok(());
    }
    let reason = match key {
        "index.number_of_shards" | "index.routing_partition_size" if meta.is_open() => format!(
            "Can't update non dynamic settings [[{key}]] for open indices [[{}/{}]]",
            meta.name, meta.uuid
        ),
        "index.number_of_shards" | "index.routing_partition_size" => {
            format!("final {} setting [{key}], not updateable", meta.name)
        }
        _ => format!("private index setting [{key}] can not be set explicitly"),
    };
    Err(StoreError::illegal(reason))
}
