//! Loads the objects of a collection: lines and vectors are paired part by part.
//!
//! Parts are read in windows: all blobs of a window in whatever order is fastest, and whoever reads the last blob of a part loads
//! it. So memory is bounded by the window, and every thread works.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use snapkeep_vault::{BlobId, ReadOptions, Repository, VaultError};

use super::load::{Loading, ShardLoad, content};
use crate::layout::{Segment, SegmentPart, lines};

/// Plain bytes that are read together, unless one part has more.
const WINDOW_BYTES: u64 = 64 << 20;
/// Largest part that is read, bytes: parts are larger than usual only where one object is.
const MAX_PART_BYTES: u64 = 1 << 30;

/// A part with its blobs.
struct Part {
    /// Position in the loads.
    load: usize,
    lines: Vec<BlobId>,
    vectors: Vec<BlobId>,
    expected: SegmentPart,
}

impl Part {
    fn bytes(&self) -> u64 {
        self.expected.bytes + self.expected.vector_bytes
    }
}

/// A part being read.
struct Pending<'a> {
    part: &'a Part,
    /// Where its blobs are in the window.
    positions: Range<usize>,
    missing: AtomicUsize,
    blobs: Mutex<Vec<Vec<u8>>>,
}

/// Loads all objects of all shards.
pub(super) fn load_parts(loading: &Loading<'_>, loads: &[ShardLoad]) -> Result<(), VaultError> {
    let mut window = Vec::new();
    let mut bytes = 0;
    for (at, load) in loads.iter().enumerate() {
        let segments = load.description.segments.iter();
        for segment in segments.filter(|segment| segment.documents > 0) {
            for part in parts_of(loading, at, load, segment)? {
                if bytes > 0 && bytes + part.bytes() > WINDOW_BYTES {
                    load_window(loading, loads, &std::mem::take(&mut window))?;
                    bytes = 0;
                }
                bytes += part.bytes();
                window.push(part);
            }
        }
    }
    load_window(loading, loads, &window)
}

/// The parts of a segment with their blobs, which must end where the parts do.
fn parts_of(
    loading: &Loading<'_>,
    at: usize,
    load: &ShardLoad,
    segment: &Segment,
) -> Result<Vec<Part>, VaultError> {
    let damaged = |what: &str| {
        VaultError::Internal(format!(
            "the parts of segment {} in shard.json do not fit its {what}",
            segment.first_seq_no
        ))
    };
    let sum = |of: fn(&SegmentPart) -> u64| {
        let mut parts = segment.parts.iter().map(of);
        parts.try_fold(0, u64::checked_add)
    };
    let agrees = sum(|part| part.documents) == Some(segment.documents)
        && sum(|part| part.bytes) == Some(segment.bytes)
        && sum(|part| part.vector_bytes) == Some(segment.vector_bytes);
    if !agrees {
        return Err(damaged("counts"));
    }
    let objects = content(&load.tree, &segment.docs_file(loading.kind))?.unwrap_or_default();
    let vectors = if segment.vector_bytes > 0 {
        content(&load.tree, &segment.vectors_file())?.unwrap_or_default()
    } else {
        Vec::new()
    };
    let (mut objects, mut vectors) = (objects.into_iter(), vectors.into_iter());
    let mut parts = Vec::with_capacity(segment.parts.len());
    for expected in &segment.parts {
        let repository = loading.repository;
        parts.push(Part {
            load: at,
            lines: take(repository, &mut objects, expected.bytes)?
                .ok_or_else(|| damaged("objects"))?,
            vectors: take(repository, &mut vectors, expected.vector_bytes)?
                .ok_or_else(|| damaged("vectors"))?,
            expected: *expected,
        });
    }
    if objects.next().is_some() || vectors.next().is_some() {
        return Err(damaged("files"));
    }
    Ok(parts)
}

/// Takes blobs of exactly so many plain bytes from the front; none when they do not end there.
fn take(
    repository: &Repository,
    blobs: &mut impl Iterator<Item = BlobId>,
    bytes: u64,
) -> Result<Option<Vec<BlobId>>, VaultError> {
    if bytes > MAX_PART_BYTES {
        return Ok(None);
    }
    let mut taken = Vec::new();
    let mut rest = bytes;
    while rest > 0 {
        let Some(id) = blobs.next() else {
            return Ok(None);
        };
        let size = match repository.blob_size(&id) {
            Some(size) => u64::from(size),
            // Unknown to the index: reading it says why, or refreshes the index.
            None => repository.read_blob(&id)?.len() as u64,
        };
        if size > rest {
            return Ok(None);
        }
        rest -= size;
        taken.push(id);
    }
    Ok(Some(taken))
}

fn load_window(
    loading: &Loading<'_>,
    loads: &[ShardLoad],
    window: &[Part],
) -> Result<(), VaultError> {
    let mut ids = Vec::new();
    let mut part_of = Vec::new();
    let mut pending = Vec::with_capacity(window.len());
    for part in window {
        let start = ids.len();
        ids.extend(part.lines.iter().chain(&part.vectors).copied());
        part_of.resize(ids.len(), pending.len());
        let count = ids.len() - start;
        pending.push(Pending {
            part,
            positions: start..ids.len(),
            missing: AtomicUsize::new(count),
            blobs: Mutex::new(vec![Vec::new(); count]),
        });
    }
    let options = ReadOptions {
        cancel: loading.cancel.clone(),
        ..ReadOptions::default()
    };
    loading
        .repository
        .read_blobs(&ids, &options, &|position, plain| {
            let pending = &pending[part_of[position]];
            let of_part = position - pending.positions.start;
            pending.blobs.lock().unwrap_or_else(PoisonError::into_inner)[of_part] = plain.to_vec();
            if pending.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
                let load = &loads[pending.part.load];
                load_part(loading, load, pending)?;
            }
            Ok(())
        })?;
    Ok(())
}

fn load_part(
    loading: &Loading<'_>,
    load: &ShardLoad,
    pending: &Pending<'_>,
) -> Result<(), VaultError> {
    let failed = |error: &dyn std::fmt::Display| VaultError::Internal(error.to_string());
    let blobs = std::mem::take(&mut *pending.blobs.lock().unwrap_or_else(PoisonError::into_inner));
    let (lines, vectors) = blobs.split_at(pending.part.lines.len());
    let (text, vectors) = (lines.concat(), vectors.concat());
    drop(blobs);
    let mut objects = Vec::new();
    lines::read_documents(
        &text,
        &vectors,
        |seq_no| load.dead.contains(seq_no),
        &mut objects,
    )
    .map_err(|error| failed(&error))?;
    let bytes = (text.len() + vectors.len()) as u64;
    drop((text, vectors));
    (loading.load)(load.number, objects).map_err(|error| failed(&error))?;
    loading.figures[load.number as usize].add_bytes(bytes);
    Ok(())
}
