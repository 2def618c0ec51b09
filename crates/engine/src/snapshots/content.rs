//! Stores what a capture holds: all shards at once, so that all cores work even for a single one.

use std::collections::HashMap;
use std::sync::Arc;

use snapkeep_drivers::{Capture, CapturedResource, Proof, ShardCapture};
use snapkeep_vault::{Backup, BlobId, FileContent, FileSource, Node, Time, VaultError};

use super::base::{BaseContent, BaseIndex, Bases, find_node};
use super::docs_source::DocsSource;
use super::gone_source::{EarlierGone, GoneSource};
use super::plan::{ShardPlan, plan};
use super::running::{RunningSnapshot, ShardFigures};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::layout::{FORMAT, Manifest, SHARD_FILE, Segment, ShardDescription, ShardResult, lines};
use crate::model::{FileStats, ShardStage};

/// Largest gone file of segments that are merged, bytes; a larger one makes the shard be written anew.
const MAX_MERGED_GONE_BYTES: u64 = 64 << 20;

/// What was stored.
pub(super) struct Written {
    pub(super) root: BlobId,
    pub(super) manifest: Manifest,
}

/// Why nothing can be stored.
pub(super) enum ContentError {
    /// The vault or the capture failed, or the work was cancelled.
    Vault(VaultError),
    Engine(EngineError),
    /// Shards failed and the snapshot may not be partial.
    Shards(String),
}

impl From<VaultError> for ContentError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<EngineError> for ContentError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Stores everything but the restic snapshot itself.
pub(super) struct ContentWriter<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) running: &'a RunningSnapshot,
    pub(super) backup: &'a Backup,
    pub(super) capture: &'a dyn Capture,
    pub(super) time: Time,
}

/// A shard on its way.
pub(super) struct Shard {
    pub(super) index: usize,
    pub(super) number: u32,
    capture: Box<dyn ShardCapture>,
    pub(super) figures: Arc<ShardFigures>,
    pub(super) work: Work,
}

/// What is (still) to be done for a shard.
pub(super) enum Work {
    Read(Box<ReadWork>),
    Done(Box<DoneWork>),
    Failed(String),
}

/// A shard that is stored.
pub(super) struct DoneWork {
    /// Its directory.
    pub(super) node: Node,
    pub(super) result: ShardResult,
}

/// A shard to be read.
pub(super) struct ReadWork {
    /// Segments that are kept, with their files.
    base: Option<(BaseContent, usize)>,
    from: u64,
    earlier_gone: Vec<EarlierGone>,
}

impl ReadWork {
    fn full() -> Box<Self> {
        Box::new(Self {
            base: None,
            from: 0,
            earlier_gone: Vec::new(),
        })
    }
}

impl ContentWriter<'_> {
    pub(super) fn now_ms(&self) -> i64 {
        self.inner.config.clock.now_ms()
    }

    /// Stores all and gives the root.
    pub(super) fn write(&self) -> Result<Written, ContentError> {
        let resources = self.capture.resources();
        let repository = self.backup.repository();
        let mut bases = Bases::new(self.inner, &self.running.vault.id, repository)?;
        let mut base_indices = HashMap::new();
        let mut shards = Vec::new();
        for (index, resource) in resources.iter().enumerate() {
            let base = bases.index(&resource.uuid);
            for number in 0..resource.shards {
                let figures = Arc::clone(&self.running.shards[index][number as usize]);
                figures.start(self.now_ms());
                shards.push(self.prepare(
                    index,
                    number,
                    resource,
                    base.as_ref(),
                    &bases,
                    figures,
                )?);
            }
            if let Some(base) = base {
                base_indices.insert(index, base);
            }
        }
        // What cannot go on from its base is read anew in a second round.
        for _ in 0..2 {
            self.read_shards(&mut shards)?;
        }
        self.write_trees(resources, shards, &base_indices)
    }

    fn prepare(
        &self,
        index: usize,
        number: u32,
        resource: &CapturedResource,
        base: Option<&BaseIndex>,
        bases: &Bases<'_>,
        figures: Arc<ShardFigures>,
    ) -> Result<Shard, ContentError> {
        let capture = self
            .capture
            .shard(resource, number)
            .map_err(|error| ContentError::Engine(EngineError::Internal(error.to_string())))?;
        let work = self.plan_shard(number, capture.as_ref(), base, bases);
        if let Work::Read(read) = &work {
            let whole = capture.size_bytes();
            let kept = read.base.as_ref().map_or(0, |(base, keep)| {
                base.description.segments[..*keep]
                    .iter()
                    .map(|segment| segment.stats().bytes)
                    .sum()
            });
            let token = capture.token();
            let to_read = if token.next_seq_no == 0 {
                0
            } else {
                let share = (token.next_seq_no - read.from.min(token.next_seq_no)) as f64
                    / token.next_seq_no as f64;
                (whole as f64 * share) as u64
            };
            let files = 2 + u64::from(read.base.is_some());
            figures.expect(
                FileStats {
                    files,
                    bytes: to_read,
                },
                FileStats {
                    files: files + read.base.as_ref().map_or(0, |(_, keep)| *keep as u64),
                    bytes: kept + to_read,
                },
            );
        }
        Ok(Shard {
            index,
            number,
            capture,
            figures,
            work,
        })
    }

    fn plan_shard(
        &self,
        number: u32,
        capture: &dyn ShardCapture,
        base: Option<&BaseIndex>,
        bases: &Bases<'_>,
    ) -> Work {
        let found = base.and_then(|base| base.shard(number, |token| capture.can_continue(token)));
        let Some(found) = found else {
            return Work::Read(ReadWork::full());
        };
        let proof = capture.proof();
        if let ShardResult::Captured {
            documents,
            digest,
            token,
            segments,
            total,
            ..
        } = &found.result
            && *token == capture.token()
            && (Proof {
                live: *documents,
                digest: *digest,
            }) == proof
            && found
                .node
                .subtree
                .is_some_and(|tree| self.backup.adopt_tree(&tree).is_ok())
        {
            let result = ShardResult::Captured {
                documents: *documents,
                digest: *digest,
                token: token.clone(),
                segments: *segments,
                incremental: FileStats::default(),
                total: *total,
            };
            return Work::Done(Box::new(DoneWork {
                node: found.node,
                result,
            }));
        }
        let Some(content) = bases.content(&found) else {
            return Work::Read(ReadWork::full());
        };
        let ShardPlan::Increment { keep, from } = plan(&content.description, proof.live) else {
            return Work::Read(ReadWork::full());
        };
        let Some(earlier_gone) = self.adopt(&content, keep, from) else {
            return Work::Read(ReadWork::full());
        };
        Work::Read(Box::new(ReadWork {
            base: Some((content, keep)),
            from,
            earlier_gone,
        }))
    }

    /// Takes over the first `keep` segments by reference and reads which older copies the others say are dead; none when
    /// something of that is not there.
    fn adopt(&self, content: &BaseContent, keep: usize, from: u64) -> Option<Vec<EarlierGone>> {
        for segment in &content.description.segments[..keep] {
            for (name, size) in segment.files() {
                let node = find_node(&content.tree, &name)?;
                let adopted = self.backup.adopt(node.content.as_deref()?).ok()?;
                if node.size != size || adopted != size {
                    return None;
                }
            }
        }
        let mut earlier = Vec::new();
        for segment in content.description.segments[keep..]
            .iter()
            .filter(|segment| segment.gone > 0)
        {
            let node = find_node(&content.tree, &segment.gone_file())?;
            let text = self
                .backup
                .repository()
                .read_file(node.content.as_deref()?, MAX_MERGED_GONE_BYTES)
                .ok()?;
            lines::read_gone(&text, &mut |gone| {
                if gone.seq_no < from {
                    earlier.push(EarlierGone {
                        id: gone.id.into_owned(),
                        seq_no: gone.seq_no,
                    });
                }
            })
            .ok()?;
        }
        Some(earlier)
    }

    /// Reads and stores all shards that are to be read, together.
    fn read_shards(&self, shards: &mut [Shard]) -> Result<(), ContentError> {
        let mut sources: Vec<(usize, DocsSource<'_>, Option<GoneSource<'_>>)> = Vec::new();
        for (at, shard) in shards.iter().enumerate() {
            let Work::Read(read) = &shard.work else {
                continue;
            };
            let capture = shard.capture.as_ref();
            let next = read
                .base
                .as_ref()
                .map_or(0, |(base, _)| base.description.token.next_seq_no);
            let docs = DocsSource::new(capture, read.from, next, Arc::clone(&shard.figures));
            let gone = read.base.is_some().then(|| {
                GoneSource::new(
                    capture,
                    next,
                    read.from,
                    read.earlier_gone.clone(),
                    Arc::clone(&shard.figures),
                )
            });
            sources.push((at, docs, gone));
        }
        if sources.is_empty() {
            return Ok(());
        }
        let mut files: Vec<&dyn FileSource> = Vec::new();
        for (_, docs, gone) in &sources {
            files.push(docs);
            files.extend(gone.iter().map(|gone| gone as &dyn FileSource));
        }
        let mut contents = self.backup.store_files(&files)?.into_iter();
        drop(files);
        let mut outcomes = Vec::new();
        for (at, docs, gone) in &sources {
            let docs_content = contents.next().unwrap_or_default();
            let gone_content = gone
                .as_ref()
                .and_then(|_| contents.next())
                .unwrap_or_default();
            let shard = &shards[*at];
            let Work::Read(read) = &shard.work else {
                continue;
            };
            shard.figures.set_stage(ShardStage::Finalize);
            let outcome = describe(shard, read, docs, gone.as_ref());
            outcomes.push((*at, outcome, docs_content, gone_content));
        }
        drop(sources);
        for (at, outcome, docs, gone) in outcomes {
            let shard = &mut shards[at];
            shard.work = match outcome {
                Ok(description) => self.finish_shard(shard, description, docs, gone)?,
                Err(reason) => match &shard.work {
                    Work::Read(read) if read.base.is_some() => {
                        tracing::warn!(
                            shard = shard.number,
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
        docs: FileContent,
        gone: FileContent,
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
                        .files()
                        .into_iter()
                        .filter_map(|(name, _)| find_node(&base.tree, &name)),
                );
            }
        }
        let mut incremental = FileStats::default();
        for segment in &description.segments[kept..] {
            incremental += segment.stats();
            for (name, content) in [(segment.docs_file(), &docs), (segment.gone_file(), &gone)]
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
            node: Node::dir(shard.number.to_string(), self.time, tree),
            result,
        })))
    }
}

/// Puts together what was read, and proves it against what the driver itself counts.
fn describe(
    shard: &Shard,
    read: &ReadWork,
    docs: &DocsSource<'_>,
    gone: Option<&GoneSource<'_>>,
) -> Result<ShardDescription, String> {
    let docs = docs.totals()?;
    let gone = gone
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
        });
    }
    Ok(ShardDescription {
        format: FORMAT,
        documents: proof.live,
        digest: proof.digest,
        token,
        segments,
    })
}
