//! Loads the documents of one index.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringTreemap;
use snapkeep_drivers::{Proof, Restoration};
use snapkeep_vault::backup::MAX_BLOB_BYTES;
use snapkeep_vault::{BlobId, CancelFlag, ReadOptions, Repository, Tree, VaultError};

use super::accept::read_json;
use super::job::IndexWork;
use super::running::RecoveryFigures;
use crate::layout::{FORMAT, SHARD_FILE, Segment, ShardDescription, lines};
use crate::model::RecoveryStage;
use crate::snapshots::base::find_node;

/// Longest line that is put together from several blobs, bytes.
const MAX_LINE_BYTES: usize = 1 << 30;

/// A shard with what is to be loaded.
struct ShardLoad {
    number: u32,
    description: ShardDescription,
    tree: Tree,
    /// Numbers of the copies that do not count.
    dead: RoaringTreemap,
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

/// Loads all shards of an index into `restoration` and gives the proofs that it has to pass.
pub(super) fn load_index(
    repository: &Repository,
    work: &IndexWork,
    restoration: &dyn Restoration,
    figures: &[Arc<RecoveryFigures>],
    cancel: &CancelFlag,
) -> Result<Vec<Proof>, VaultError> {
    let mut proofs = vec![Proof::default(); work.shards.len()];
    let mut loads = Vec::new();
    for (number, node) in (0..).zip(&work.shards) {
        figures[number as usize].set_stage(RecoveryStage::Index);
        // A shard that is missing in a partial snapshot becomes empty.
        let Some(tree) = node.as_ref().and_then(|node| node.subtree) else {
            continue;
        };
        let tree = repository.read_tree(&tree)?;
        let description: ShardDescription =
            read_json(repository, &tree, SHARD_FILE).map_err(VaultError::Internal)?;
        if description.format > FORMAT {
            return Err(VaultError::Internal(format!(
                "shard.json has format {}",
                description.format
            )));
        }
        let bytes = description
            .segments
            .iter()
            .map(|segment| segment.bytes)
            .sum();
        let files = description
            .segments
            .iter()
            .filter(|segment| segment.documents > 0)
            .count();
        figures[number as usize].expect(files as u64, bytes);
        proofs[number as usize] = Proof {
            live: description.documents,
            digest: description.digest,
        };
        loads.push(ShardLoad {
            number,
            description,
            tree,
            dead: RoaringTreemap::new(),
        });
    }
    read_dead(repository, &mut loads, cancel)?;
    load_documents(repository, &loads, restoration, figures, cancel)?;
    for load in &loads {
        load_long_lines(
            repository,
            load,
            restoration,
            &figures[load.number as usize],
            cancel,
        )?;
    }
    for figures in figures {
        figures.all_loaded();
        figures.set_stage(RecoveryStage::VerifyIndex);
    }
    Ok(proofs)
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

fn content(tree: &Tree, name: &str) -> Result<Option<Vec<BlobId>>, VaultError> {
    let node = find_node(tree, name)
        .ok_or_else(|| VaultError::Internal(format!("{name} is missing in the snapshot")))?;
    Ok(node.content)
}

/// Loads all ordinary segments, blob by blob in the order that is fastest to read.
fn load_documents(
    repository: &Repository,
    loads: &[ShardLoad],
    restoration: &dyn Restoration,
    figures: &[Arc<RecoveryFigures>],
    cancel: &CancelFlag,
) -> Result<(), VaultError> {
    let mut blobs = Blobs::default();
    for (at, load) in loads.iter().enumerate() {
        let ordinary = load
            .description
            .segments
            .iter()
            .filter(|segment| segment.documents > 0 && !has_long_lines(segment));
        for segment in ordinary {
            blobs.extend(at, content(&load.tree, &segment.docs_file())?);
        }
    }
    let options = ReadOptions {
        cancel: cancel.clone(),
        ..ReadOptions::default()
    };
    let loaded = AtomicU64::new(0);
    repository.read_blobs(&blobs.ids, &options, &|position, plain| {
        let load = &loads[blobs.shards[position]];
        let mut documents = Vec::with_capacity(1024);
        lines::read_documents(plain, |seq_no| load.dead.contains(seq_no), &mut documents)?;
        loaded.fetch_add(documents.len() as u64, Ordering::Relaxed);
        restoration.load(load.number, documents)?;
        figures[load.number as usize].add_bytes(plain.len() as u64);
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
fn load_long_lines(
    repository: &Repository,
    load: &ShardLoad,
    restoration: &dyn Restoration,
    figures: &RecoveryFigures,
    cancel: &CancelFlag,
) -> Result<(), VaultError> {
    for segment in load
        .description
        .segments
        .iter()
        .filter(|segment| segment.documents > 0 && has_long_lines(segment))
    {
        let mut pending: Vec<u8> = Vec::new();
        for id in content(&load.tree, &segment.docs_file())?.unwrap_or_default() {
            if cancel.is_cancelled() {
                return Err(VaultError::Cancelled);
            }
            let plain = repository.read_blob(&id)?;
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
                |seq_no| load.dead.contains(seq_no),
                &mut documents,
            )
            .map_err(|error| failed(&error))?;
            restoration
                .load(load.number, documents)
                .map_err(|error| failed(&error))?;
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
