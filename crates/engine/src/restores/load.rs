//! Loads the documents of one index or collection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringTreemap;
use snapkeep_drivers::{DriverError, LoadedDocument, Proof, ResourceKind};
use snapkeep_vault::backup::MAX_BLOB_BYTES;
use snapkeep_vault::{BlobId, CancelFlag, Node, ReadOptions, Repository, Tree, VaultError};

use super::accept::read_json;
use super::parts::load_parts;
use super::running::RecoveryFigures;
use crate::layout::{COLLECTIONS_FORMAT, SHARD_FILE, Segment, ShardDescription, lines};
use crate::model::RecoveryStage;
use crate::snapshots::base::find_node;

/// Longest line that is put together from several blobs, bytes.
const MAX_LINE_BYTES: usize = 1 << 30;

/// Takes documents into a shard.
pub(super) type Load<'a> = dyn Fn(u32, Vec<LoadedDocument>) -> Result<(), DriverError> + Sync + 'a;

/// What loading needs.
pub(super) struct Loading<'a> {
    pub(super) repository: &'a Repository,
    pub(super) kind: ResourceKind,
    /// By shard.
    pub(super) figures: &'a [Arc<RecoveryFigures>],
    pub(super) cancel: &'a CancelFlag,
    pub(super) load: &'a Load<'a>,
}

/// A shard with what is to be loaded.
pub(super) struct ShardLoad {
    pub(super) number: u32,
    pub(super) description: ShardDescription,
    pub(super) tree: Tree,
    /// Numbers of the copies that do not count.
    pub(super) dead: RoaringTreemap,
}

/// Where the blobs of an index belong: ids in the order of reading, and of each the shard.
#[derive(Default)]
struct Blobs {
    ids: Vec<BlobId>,
    shards: Vec<usize>,
}

impl Blobs {
    fn extend(&mut self, shard: usize, content: Option<Vec<BlobId>>) {
        let content = content.unwrap_or_default();
        self.shards.resize(self.shards.len() + content.len(), shard);
        self.ids.extend(content);
    }
}

impl Loading<'_> {
    /// Loads all shards, given as their directories, and gives the proofs that they have to pass. A shard without directory is
    /// missing in a partial snapshot, or was left out of it, and becomes empty.
    pub(super) fn run(&self, shards: &[Option<Node>]) -> Result<Vec<Proof>, VaultError> {
        let mut proofs = vec![Proof::default(); shards.len()];
        let mut loads = Vec::new();
        for ((number, node), figures) in (0..).zip(shards).zip(self.figures) {
            if self.cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            figures.set_stage(RecoveryStage::Index);
            let Some(tree) = node.as_ref().and_then(|node| node.subtree) else {
                continue;
            };
            let load = self.open_shard(number, &tree)?;
            let segments = &load.description.segments;
            let bytes = segments.iter().map(|it| it.bytes + it.vector_bytes).sum();
            let files = segments.iter().map(|segment| {
                u64::from(segment.documents > 0) + u64::from(segment.vector_bytes > 0)
            });
            figures.expect(files.sum(), bytes);
            proofs[number as usize] = Proof {
                live: load.description.documents,
                digest: load.description.digest,
            };
            loads.push(load);
        }
        read_dead(self.repository, &mut loads, self.cancel)?;
        match self.kind {
            ResourceKind::Index => {
                load_documents(self, &loads)?;
                for load in &loads {
                    load_long_lines(self, load)?;
                }
            }
            ResourceKind::Collection => load_parts(self, &loads)?,
        }
        for figures in self.figures {
            figures.all_loaded();
            figures.set_stage(RecoveryStage::VerifyIndex);
        }
        Ok(proofs)
    }

    fn open_shard(&self, number: u32, tree: &BlobId) -> Result<ShardLoad, VaultError> {
        let tree = self.repository.read_tree(tree)?;
        let description: ShardDescription =
            read_json(self.repository, &tree, SHARD_FILE).map_err(VaultError::Internal)?;
        if description.format > COLLECTIONS_FORMAT {
            return Err(VaultError::Internal(format!(
                "shard.json has format {}",
                description.format
            )));
        }
        Ok(ShardLoad {
            number,
            description,
            tree,
            dead: RoaringTreemap::new(),
        })
    }
}

/// Whether some lines are longer than a blob, so that its blobs cannot be read one by one.
fn has_long_lines(segment: &Segment) -> bool {
    segment.longest_line_bytes > MAX_BLOB_BYTES as u64
}

/// Reads which copies are dead, of all shards at once.
fn read_dead(
    repository: &Repository,
    loads: &mut [ShardLoad],
    cancel: &CancelFlag,
) -> Result<(), VaultError> {
    let mut blobs = Blobs::default();
    for (at, load) in loads.iter().enumerate() {
        for segment in load
            .description
            .segments
            .iter()
            .filter(|segment| segment.gone > 0)
        {
            blobs.extend(at, content(&load.tree, &segment.gone_file())?);
        }
    }
    let dead: Vec<Mutex<RoaringTreemap>> = loads.iter().map(|_| Mutex::default()).collect();
    let options = ReadOptions {
        cancel: cancel.clone(),
        ..ReadOptions::default()
    };
    repository.read_blobs(&blobs.ids, &options, &|position, plain| {
        let mut numbers = Vec::new();
        lines::read_gone(plain, &mut |gone| numbers.push(gone.seq_no))?;
        dead[blobs.shards[position]]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(numbers);
        Ok(())
    })?;
    for (load, dead) in loads.iter_mut().zip(dead) {
        load.dead = dead.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
    Ok(())
}

pub(super) fn content(tree: &Tree, name: &str) -> Result<Option<Vec<BlobId>>, VaultError> {
    let node = find_node(tree, name)
        .ok_or_else(|| VaultError::Internal(format!("{name} is missing in the snapshot")))?;
    Ok(node.content)
}

/// Loads all ordinary segments, blob by blob in the order that is fastest to read.
fn load_documents(loading: &Loading<'_>, loads: &[ShardLoad]) -> Result<(), VaultError> {
    let mut blobs = Blobs::default();
    for (at, load) in loads.iter().enumerate() {
        let ordinary = load
            .description
            .segments
            .iter()
            .filter(|segment| segment.documents > 0 && !has_long_lines(segment));
        for segment in ordinary {
            blobs.extend(at, content(&load.tree, &segment.docs_file(loading.kind))?);
        }
    }
    let options = ReadOptions {
        cancel: loading.cancel.clone(),
        ..ReadOptions::default()
    };
    let loaded = AtomicU64::new(0);
    let repository = loading.repository;
    repository.read_blobs(&blobs.ids, &options, &|position, plain| {
        let load = &loads[blobs.shards[position]];
        let mut documents = Vec::with_capacity(1024);
        let is_dead = |seq_no| load.dead.contains(seq_no);
        lines::read_documents(plain, &[], is_dead, &mut documents)?;
        loaded.fetch_add(documents.len() as u64, Ordering::Relaxed);
        (loading.load)(load.number, documents)?;
        loading.figures[load.number as usize].add_bytes(plain.len() as u64);
        Ok(())
    })?;
    tracing::debug!(
        documents = loaded.into_inner(),
        blobs = blobs.ids.len(),
        "loaded"
    );
    Ok(())
}

/// Loads segments in which a line may go over several blobs: one blob after another, lines put together.
fn load_long_lines(loading: &Loading<'_>, load: &ShardLoad) -> Result<(), VaultError> {
    let figures = &loading.figures[load.number as usize];
    for segment in load
        .description
        .segments
        .iter()
        .filter(|segment| segment.documents > 0 && has_long_lines(segment))
    {
        let mut pending: Vec<u8> = Vec::new();
        for id in content(&load.tree, &segment.docs_file(loading.kind))?.unwrap_or_default() {
            if loading.cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            let plain = loading.repository.read_blob(&id)?;
            figures.add_bytes(plain.len() as u64);
            pending.extend_from_slice(&plain);
            if pending.len() > MAX_LINE_BYTES {
                return Err(VaultError::Internal(
                    "a line in the snapshot is too long".to_owned(),
                ));
            }
            let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let mut documents = Vec::new();
            let failed = |error: &dyn std::fmt::Display| VaultError::Internal(error.to_string());
            lines::read_documents(
                &pending[..=end],
                &[],
                |seq_no| load.dead.contains(seq_no),
                &mut documents,
            )
            .map_err(|error| failed(&error))?;
            (loading.load)(load.number, documents).map_err(|error| failed(&error))?;
            pending.drain(..=end);
        }
        if !pending.is_empty() {
            return Err(VaultError::Internal(
                "the last line of a docs file is cut off".to_owned(),
            ));
        }
    }
    Ok(())
}
