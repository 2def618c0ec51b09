//! Reading one pack from its first byte to its last and comparing everything that can be compared.

use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::pack::{TRAILER_BYTES, open_blob, open_header, sealed_header_len};
use crate::format::{BlobKind, Decompressor, IndexPack, PackEntry};
use crate::ids::{BlobId, PackId};
use crate::repository::{Repository, retry};
use crate::storage::FileKind;
use sha2::{Digest, Sha256};

/// Most bytes that are read at once; a larger blob is read alone.
const WINDOW_BYTES: u64 = 16 << 20;

/// What one look at a pack found.
#[derive(Debug, Default)]
pub(super) struct PackFindings {
    /// Bytes that were read.
    pub(super) bytes_read: u64,
    /// What is wrong, in words.
    pub(super) problems: Vec<String>,
    /// Blobs that cannot be used.
    pub(super) bad_blobs: Vec<(BlobKind, BlobId)>,
}

/// Buffers that one thread reuses from pack to pack.
pub(super) struct PackChecker<'a> {
    repository: &'a Repository,
    decompressor: Decompressor,
    window: Vec<u8>,
    scratch: Vec<u8>,
}

impl<'a> PackChecker<'a> {
    pub(super) fn new(repository: &'a Repository) -> Result<Self, VaultError> {
        let decompressor =
            Decompressor::new().map_err(|error| VaultError::Internal(error.to_string()))?;
        Ok(Self {
            repository,
            decompressor,
            window: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Verifies name, header and every blob of a pack that is `size_bytes` long and described by `pack` in the index.
    pub(super) fn check(
        &mut self,
        pack: &IndexPack,
        size_bytes: u64,
    ) -> Result<PackFindings, VaultError> {
        let mut findings = PackFindings::default();
        let mut hash = Sha256::new();
        let mut blobs = pack.blobs.clone();
        blobs.sort_by_key(|entry| entry.offset);
        let blobs_end = blobs.last().map_or(0, PackEntry::end);
        if blobs_end + TRAILER_BYTES as u64 > size_bytes {
            let problem =
                format!("is {size_bytes} bytes long, the index names blobs up to {blobs_end}");
            findings.problems.push(problem);
            findings.bad_blobs = blobs.iter().map(|entry| (entry.kind, entry.id)).collect();
            return Ok(findings);
        }
        let mut position = 0;
        for window in windows(&blobs) {
            let start = u64::from(window[0].offset);
            if start != position {
                findings
                    .problems
                    .push(format!("its blobs are not contiguous at byte {position}"));
            }
            let end = window.last().map_or(start, PackEntry::end);
            let bytes = self.read(&pack.id, start, end - start)?;
            findings.bytes_read += bytes.len() as u64;
            hash.update(&bytes);
            for entry in window {
                self.check_blob(entry, start, &bytes, &mut findings);
            }
            position = end;
        }
        let tail = self.read(&pack.id, position, size_bytes - position)?;
        findings.bytes_read += tail.len() as u64;
        hash.update(&tail);
        if PackId::from_bytes(hash.finalize().into()) != pack.id {
            findings
                .problems
                .push("its content does not match its name".to_owned());
        }
        self.check_header(&tail, size_bytes, &blobs, &mut findings);
        Ok(findings)
    }

    fn check_blob(
        &mut self,
        entry: &PackEntry,
        window_start: u64,
        bytes: &[u8],
        findings: &mut PackFindings,
    ) {
        let from = (u64::from(entry.offset) - window_start) as usize;
        self.window.clear();
        self.window
            .extend_from_slice(&bytes[from..from + entry.length as usize]);
        let opened = open_blob(
            self.repository.master_key(),
            entry,
            &mut self.window,
            &mut self.decompressor,
            &mut self.scratch,
        );
        if let Err(error) = opened {
            findings
                .problems
                .push(format!("{} blob {}: {error}", entry.kind, entry.id));
            findings.bad_blobs.push((entry.kind, entry.id));
        }
    }

    fn check_header(
        &self,
        tail: &[u8],
        size_bytes: u64,
        expected: &[PackEntry],
        findings: &mut PackFindings,
    ) {
        let problem = match parse_tail(self.repository, tail, size_bytes) {
            Ok(entries) if entries == expected => return,
            Ok(_) => "its header names other blobs than the index".to_owned(),
            Err(error) => format!("its header cannot be read: {error}"),
        };
        findings.problems.push(problem);
    }

    fn read(&self, pack: &PackId, offset: u64, len: u64) -> Result<bytes::Bytes, VaultError> {
        let storage = self.repository.storage();
        retry(&CancelFlag::new(), || {
            storage.get_range(FileKind::Data, &pack.to_string(), offset, len)
        })
    }
}

fn parse_tail(
    repository: &Repository,
    tail: &[u8],
    size_bytes: u64,
) -> Result<Vec<PackEntry>, String> {
    let (header, trailer) = tail
        .split_last_chunk::<TRAILER_BYTES>()
        .ok_or_else(|| "it is too short".to_owned())?;
    let announced = sealed_header_len(*trailer, size_bytes).map_err(|error| error.to_string())?;
    if announced as usize != header.len() {
        return Err("it does not begin where the blobs end".to_owned());
    }
    open_header(repository.master_key(), header, size_bytes).map_err(|error| error.to_string())
}

/// Neighbouring blobs in groups of at most [`WINDOW_BYTES`], or one larger blob alone.
pub(super) fn windows(blobs: &[PackEntry]) -> impl Iterator<Item = &[PackEntry]> {
    let mut rest = blobs;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let limit = u64::from(first.offset) + WINDOW_BYTES;
        let fitting = rest
            .iter()
            .take_while(|entry| entry.end() <= limit)
            .count()
            .max(1);
        let (window, after) = rest.split_at(fitting);
        rest = after;
        Some(window)
    })
}
