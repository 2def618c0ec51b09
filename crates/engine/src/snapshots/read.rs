//! Reads and stores the shards that are to be read, and proves each against what the driver itself counts.

use std::sync::Arc;

use snapkeep_drivers::{Proof, ResourceKind};
use snapkeep_vault::{FileContent, FileSource, Node};

use super::base::find_node;
use super::content::{ContentError, ContentWriter, DoneWork, ReadWork, Shard, Work};
use super::gone_source::GoneSource;
use super::rows_source::{Column, RowTotals, RowsSource, pair_parts};
use crate::layout::{
    COLLECTIONS_FORMAT, FORMAT, SHARD_FILE, Segment, SegmentPart, ShardDescription, ShardResult,
};
use crate::model::{FileStats, ShardStage};

/// The files of a shard on their way.
struct Sources<'a> {
    /// Which shard.
    at: usize,
    docs: RowsSource<'a>,
    vectors: Option<RowsSource<'a>>,
    gone: Option<GoneSource<'a>>,
}

/// What the vault made of them.
#[derive(Default)]
struct Stored {
    docs: FileContent,
    vectors: FileContent,
    gone: FileContent,
}

impl<'a> Sources<'a> {
    fn new(at: usize, shard: &'a Shard, read: &ReadWork) -> Self {
        let capture = shard.capture.as_ref();
        let next = read
            .base
            .as_ref()
            .map_or(0, |(base, _)| base.description.token.next_seq_no);
        let rows =
            |column| RowsSource::new(capture, column, read.from, next, Arc::clone(&shard.figures));
        let (docs, vectors) = match shard.kind {
            ResourceKind::Index => (rows(Column::Documents), None),
            ResourceKind::Collection => (rows(Column::Objects), Some(rows(Column::Vectors))),
        };
        let gone = read.base.is_some().then(|| {
            GoneSource::new(
                capture,
                next,
                read.from,
                read.earlier_gone.clone(),
                Arc::clone(&shard.figures),
            )
        });
        Self {
            at,
            docs,
            vectors,
            gone,
        }
    }

    fn files(&self) -> impl Iterator<Item = &dyn FileSource> {
        let vectors = self.vectors.iter().map(|file| file as &dyn FileSource);
        let gone = self.gone.iter().map(|file| file as &dyn FileSource);
        std::iter::once(&self.docs as &dyn FileSource)
            .chain(vectors)
            .chain(gone)
    }

    /// Takes what was stored of [`Self::files`] from the front of `contents`.
    fn take(&self, contents: &mut impl Iterator<Item = FileContent>) -> Stored {
        let mut next = || contents.next().unwrap_or_default();
        Stored {
            docs: next(),
            vectors: self.vectors.as_ref().map(|_| next()).unwrap_or_default(),
            gone: self.gone.as_ref().map(|_| next()).unwrap_or_default(),
        }
    }

    /// What was read of documents: totals, bytes of vectors, and parts.
    fn rows(&self) -> Result<(RowTotals, u64, Vec<SegmentPart>), String> {
        let docs = self.docs.totals()?;
        match &self.vectors {
            None => Ok((docs, 0, Vec::new())),
            Some(vectors) => {
                let vectors = vectors.totals()?;
                let parts = pair_parts(&docs, &vectors)?;
                Ok((docs, vectors.bytes, parts))
            }
        }
    }
}

impl ContentWriter<'_> {
    /// Reads and stores all shards that are to be read, together.
    pub(super) fn read_shards(&self, shards: &mut [Shard]) -> Result<(), ContentError> {
        let mut sources = Vec::new();
        for (at, shard) in shards.iter().enumerate() {
            if let Work::Read(read) = &shard.work {
                sources.push(Sources::new(at, shard, read));
            }
        }
        if sources.is_empty() {
            return Ok(());
        }
        let files: Vec<&dyn FileSource> = sources.iter().flat_map(Sources::files).collect();
        let mut contents = self.backup.store_files(&files)?.into_iter();
        drop(files);
        let mut outcomes = Vec::new();
        for files in &sources {
            let stored = files.take(&mut contents);
            let shard = &shards[files.at];
            let Work::Read(read) = &shard.work else {
                continue;
            };
            shard.figures.set_stage(ShardStage::Finalize);
            outcomes.push((files.at, describe(shard, read, files), stored));
        }
        drop(sources);
        for (at, outcome, stored) in outcomes {
            let shard = &mut shards[at];
            shard.work = match outcome {
                Ok(description) => self.finish_shard(shard, description, &stored)?,
                Err(reason) => match &shard.work {
                    Work::Read(read) if read.base.is_some() => {
                        tracing::warn!(
                            shard = shard.directory,
                            reason,
                            "an increment does not add up; reading everything"
                        );
                        Work::Read(ReadWork::full())
                    }
                    _ => Work::Failed(reason),
                },
            };
        }
        Ok(())
    }

    /// Stores the description of a shard and its directory.
    fn finish_shard(
        &self,
        shard: &Shard,
        description: ShardDescription,
        stored: &Stored,
    ) -> Result<Work, ContentError> {
        let mut nodes = Vec::new();
        let mut kept = 0;
        if let Work::Read(read) = &shard.work
            && let Some((base, keep)) = &read.base
        {
            kept = *keep;
            for segment in &base.description.segments[..kept] {
                nodes.extend(
                    segment
                        .files(shard.kind)
                        .into_iter()
                        .filter_map(|(name, _)| find_node(&base.tree, &name)),
                );
            }
        }
        let mut incremental = FileStats::default();
        for segment in &description.segments[kept..] {
            incremental += segment.stats();
            let files = [
                (segment.docs_file(shard.kind), &stored.docs),
                (segment.vectors_file(), &stored.vectors),
                (segment.gone_file(), &stored.gone),
            ];
            for (name, content) in files
                .into_iter()
                .filter(|(_, content)| content.size_bytes > 0)
            {
                nodes.push(Node::file(
                    name,
                    self.time,
                    content.content.clone(),
                    content.size_bytes,
                ));
            }
        }
        let description_file = self.store_json(SHARD_FILE, &description)?;
        let own = FileStats {
            files: 1,
            bytes: description_file.size,
        };
        nodes.push(description_file);
        let tree = self.save_tree(nodes)?;
        incremental += own;
        let mut total = own;
        for segment in &description.segments {
            total += segment.stats();
        }
        let result = ShardResult::Captured {
            documents: description.documents,
            digest: description.digest,
            token: description.token,
            segments: description.segments.len() as u64,
            incremental,
            total,
        };
        Ok(Work::Done(Box::new(DoneWork {
            node: Node::dir(shard.directory.as_str(), self.time, tree),
            result,
        })))
    }
}

/// Puts together what was read, and proves it against what the driver itself counts.
fn describe(
    shard: &Shard,
    read: &ReadWork,
    files: &Sources<'_>,
) -> Result<ShardDescription, String> {
    let (docs, vector_bytes, parts) = files.rows()?;
    let gone = files
        .gone
        .as_ref()
        .map(GoneSource::totals)
        .transpose()?
        .unwrap_or_default();
    let token = shard.capture.token();
    let (mut segments, before) = match &read.base {
        Some((base, keep)) => (
            base.description.segments[..*keep].to_vec(),
            Proof {
                live: base.description.documents,
                digest: base.description.digest,
            },
        ),
        None => (Vec::new(), Proof::default()),
    };
    let read_proof = Proof {
        live: (before.live + docs.counted.live).saturating_sub(gone.died.live),
        digest: before
            .digest
            .wrapping_sub(gone.died.digest)
            .wrapping_add(docs.counted.digest),
    };
    let proof = shard.capture.proof();
    if read_proof != proof {
        return Err(format!(
            "{} documents with digest {:032x} were read where {} with digest {:032x} should be",
            read_proof.live, read_proof.digest, proof.live, proof.digest
        ));
    }
    if docs.documents > 0 || gone.entries > 0 {
        segments.push(Segment {
            first_seq_no: read.from,
            next_seq_no: token.next_seq_no,
            documents: docs.documents,
            bytes: docs.bytes,
            longest_line_bytes: docs.longest_line_bytes,
            gone: gone.entries,
            gone_bytes: gone.bytes,
            vector_bytes,
            parts,
        });
    }
    Ok(ShardDescription {
        format: match shard.kind {
            ResourceKind::Index => FORMAT,
            ResourceKind::Collection => COLLECTIONS_FORMAT,
        },
        documents: proof.live,
        digest: proof.digest,
        token,
        segments,
    })
}
