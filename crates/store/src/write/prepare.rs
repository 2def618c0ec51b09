//! Before the locks: find the index, check id and source, learn new fields, choose the shard.

use std::collections::HashMap;
use std::sync::Arc;

use super::{VersionType, WriteKind, WriteOp, WriteOptions};
use crate::index::{
    DEFAULT_FIELD_LIMIT, KnownFields, MAX_ID_BYTES, check_source, learn, new_document_id,
};
use crate::store::{Core, Index, check_readable, route};
use crate::{IndexSpec, StoreError};

/// Longest routing in bytes; its length is stored in 16 bits.
const MAX_ROUTING_BYTES: usize = 512;
/// Largest source in bytes.
pub(crate) const MAX_SOURCE_BYTES: usize = 1 << 30;

/// An operation ready for its shard.
pub(super) struct Prepared {
    /// Position in the request.
    pub(super) position: usize,
    /// Number of its [`Target`].
    target: usize,
    pub(super) shard: u16,
    pub(super) id: String,
    /// A made-up id needs no look-up: 120 random bits.
    pub(super) is_id_new: bool,
    pub(super) op: WriteOp,
}

struct Target {
    index: Arc<Index>,
    known: Arc<KnownFields>,
    block: Option<String>,
    /// The name asked for was an alias.
    is_alias: bool,
    /// Routing that the alias gives to what is written through it.
    alias_routing: Option<String>,
}

pub(super) struct Preparation<'a> {
    core: &'a Core,
    options: WriteOptions,
    targets: Vec<Target>,
    by_name: HashMap<String, usize>,
}

impl<'a> Preparation<'a> {
    pub(super) fn new(core: &'a Core, options: WriteOptions) -> Self {
        Preparation {
            core,
            options,
            targets: Vec::new(),
            by_name: HashMap::new(),
        }
    }

    /// The index of a prepared operation.
    pub(super) fn target(&self, op: &Prepared) -> &Index {
        &self.targets[op.target].index
    }

    pub(super) fn prepare(
        &mut self,
        position: usize,
        mut op: WriteOp,
    ) -> Result<Prepared, StoreError> {
        check_versions(&op)?;
        let target = self.find_target(&op)?;
        self.add_alias_routing(target, &mut op)?;
        let (id, is_id_new) = match op.id.take() {
            Some(id) => (id, false),
            None if matches!(op.kind, WriteKind::Index { .. }) => (new_document_id(), true),
            None => return Err(StoreError::illegal("id is missing")),
        };
        check_id(&id, op.routing.as_deref())?;
        match &op.kind {
            WriteKind::Index { source, .. } => self.check_source(target, &id, source)?,
            WriteKind::Update(update) => {
                if update.doc.is_none() && update.upsert.is_none() {
                    return Err(StoreError::illegal("script or doc is missing"));
                }
                for source in update.doc.iter().chain(&update.upsert) {
                    self.check_source(target, &id, source)?;
                }
            }
            WriteKind::Delete => {}
        }
        let shard = route(
            &id,
            op.routing.as_deref(),
            self.targets[target].index.meta.shards,
        );
        Ok(Prepared {
            position,
            target,
            shard,
            id,
            is_id_new,
            op,
        })
    }

    fn find_target(&mut self, op: &WriteOp) -> Result<usize, StoreError> {
        let number = match self.by_name.get(&op.index) {
            Some(number) => *number,
            None => {
                let target = self.open_target(&op.index)?;
                let number = self.targets.len();
                self.targets.push(target);
                self.by_name.insert(op.index.clone(), number);
                number
            }
        };
        let target = &self.targets[number];
        if op.require_alias && !target.is_alias {
            return Err(StoreError::IndexNotFound {
                name: op.index.clone(),
            });
        }
        match &target.block {
            Some(block) => Err(StoreError::Blocked {
                name: target.index.meta.name.clone(),
                block: block.clone(),
            }),
            None => Ok(number),
        }
    }

    fn add_alias_routing(&self, target: usize, op: &mut WriteOp) -> Result<(), StoreError> {
        let Some(routing) = &self.targets[target].alias_routing else {
            return Ok(());
        };
        match &op.routing {
            Some(given) if given != routing => Err(StoreError::illegal(format!(
                "Alias [{}] has index routing associated with it [{routing}], and was provided with routing value [{given}], rejecting operation",
                op.index
            ))),
            _ => {
                op.routing = Some(routing.clone());
                Ok(())
            }
        }
    }

    fn open_target(&self, name: &str) -> Result<Target, StoreError> {
        let found = self.core.catalogue().write_target(name).cloned();
        let index = match found {
            Err(StoreError::IndexNotFound { .. }) if self.options.auto_create => {
                let _changes = self.core.lock_changes();
                // Another writer may have made it meanwhile.
                if let Ok(index) = self.core.catalogue().write_target(name) {
                    Arc::clone(index)
                } else {
                    self.core.create_index(name, &IndexSpec::default())?;
                    Arc::clone(self.core.catalogue().write_target(name)?)
                }
            }
            found => found?,
        };
        check_readable(&index)?;
        let block = write_block(&index);
        let is_alias = index.meta.name != name;
        let alias = index.meta.aliases.get(name).filter(|_| is_alias);
        let alias_routing = alias.and_then(|alias| alias.index_routing.clone());
        Ok(Target {
            known: index.data.known_fields(),
            index,
            block,
            is_alias,
            alias_routing,
        })
    }

    fn check_source(&mut self, target: usize, id: &str, source: &[u8]) -> Result<(), StoreError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(StoreError::illegal(format!(
                "the document is larger than {MAX_SOURCE_BYTES} bytes"
            )));
        }
        let check = check_source(source, &self.targets[target].known).map_err(|cause| {
            StoreError::MapperParsing {
                reason: "failed to parse".to_owned(),
                cause: Some(cause.to_string()),
            }
        })?;
        if check.unknown.is_empty() {
            return Ok(());
        }
        self.learn(target, id, source, &check.unknown)
    }

    /// The rare way: the document has a field or type not seen before.
    fn learn(
        &mut self,
        target: usize,
        id: &str,
        source: &[u8],
        unknown: &[u64],
    ) -> Result<(), StoreError> {
        let target = &mut self.targets[target];
        let _changes = self.core.lock_changes();
        let catalogue = self.core.catalogue();
        let index = catalogue.get(&target.index.meta.name)?;
        let limit = index
            .meta
            .setting("index.mapping.total_fields.limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(DEFAULT_FIELD_LIMIT);
        let learned = learn(&index.meta.mappings, limit, id, source)?;
        if let Some(mappings) = learned.mappings {
            let mut meta = (*index.meta).clone();
            meta.mappings = mappings;
            // Not synced: it precedes the document in the journal, and the document's sync covers both.
            self.core.replace_meta(index, meta)?;
        }
        if learned.is_settled {
            index.data.add_known_fields(unknown);
        }
        target.known = index.data.known_fields();
        Ok(())
    }
}

fn check_id(id: &str, routing: Option<&str>) -> Result<(), StoreError> {
    if id.is_empty() {
        return Err(StoreError::illegal(
            "if _id is specified it must not be empty",
        ));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(StoreError::illegal(format!(
            "id [{id}] is too long, must be no longer than {MAX_ID_BYTES} bytes but was: {}",
            id.len()
        )));
    }
    if routing.is_some_and(|routing| routing.len() > MAX_ROUTING_BYTES) {
        return Err(StoreError::illegal(format!(
            "routing is too long, must be no longer than {MAX_ROUTING_BYTES} bytes"
        )));
    }
    Ok(())
}

fn check_versions(op: &WriteOp) -> Result<(), StoreError> {
    let is_internal = op.version_type == VersionType::Internal;
    if is_internal && op.version.is_some() {
        return Err(StoreError::illegal(
            "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` instead",
        ));
    }
    if !is_internal && op.version.is_none() {
        return Err(StoreError::illegal(
            "illegal version value [-3] for version type [EXTERNAL]",
        ));
    }
    if !is_internal && matches!(op.kind, WriteKind::Update(_)) {
        return Err(StoreError::illegal(
            "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` instead",
        ));
    }
    if !is_internal && op.if_seq_no.is_some() {
        return Err(StoreError::illegal(
            "compare and write operations can not use versioning",
        ));
    }
    if op.if_seq_no.is_some() != op.if_primary_term.is_some() {
        return Err(StoreError::illegal(if op.if_seq_no.is_some() {
            "ifSeqNo is set, but primary term is [0]"
        } else {
            "ifSeqNo is unassigned, but primary term is [1]"
        }));
    }
    Ok(())
}

/// The block that forbids writing, in Elasticsearch's words.
fn write_block(index: &Index) -> Option<String> {
    let is_set = |key| index.meta.setting(key) == Some("true");
    let block = if is_set("index.blocks.write") {
        "8/index write (api)"
    } else if is_set("index.blocks.read_only") {
        "5/index read-only (api)"
    } else if is_set("index.blocks.read_only_allow_delete") {
        "12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block"
    } else {
        return None;
    };
    Some(block.to_owned())
}
