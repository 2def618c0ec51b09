//! Stores what a capture holds: all shards at once, so that all cores work even for a single one.

use std::collections::HashMap;
use std::sync::Arc;

use snapkeep_drivers::{
    Capture, CapturedResource, Proof, ResourceKind, ShardCapture, TenantStatus,
};
use snapkeep_vault::{Backup, BlobId, Node, Time, VaultError};

use super::base::{BaseContent, BaseResource, Bases, find_node};
use super::gone_source::EarlierGone;
use super::plan::{ShardPlan, plan};
use super::running::{RunningSnapshot, ShardFigures};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::layout::{Manifest, ShardResult, lines, shard_directory};
use crate::model::FileStats;

/// Largest gone file of segments that are merged, bytes; a larger one makes the shard be written anew.
const MAX_MERGED_GONE_BYTES: u64 = 64 << 20;

/// What is told of a frozen tenant.
const FROZEN: &str =
    "the tenant is frozen: its objects are kept elsewhere and only its status is in the snapshot";

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
    pub(super) kind: ResourceKind,
    /// Position of its resource in the capture.
    pub(super) resource: usize,
    /// Number in an index, position in a collection.
    pub(super) number: u32,
    /// Name of the shard of a collection.
    pub(super) name: Option<String>,
    pub(super) directory: String,
    pub(super) capture: Box<dyn ShardCapture>,
    pub(super) figures: Arc<ShardFigures>,
    pub(super) work: Work,
}

/// What is (still) to be done for a shard.
pub(super) enum Work {
    Read(Box<ReadWork>),
    Done(Box<DoneWork>),
    Failed(String),
    /// Known by name and status only.
    LeftOut(TenantStatus, String),
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
    pub(super) base: Option<(BaseContent, usize)>,
    pub(super) from: u64,
    pub(super) earlier_gone: Vec<EarlierGone>,
}

impl ReadWork {
    pub(super) fn full() -> Box<Self> {
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
        let mut base_resources = HashMap::new();
        let mut shards = Vec::new();
        for (at, resource) in resources.iter().enumerate() {
            let base = bases.resource(resource.kind, &resource.uuid);
            for number in 0..resource.shards {
                if self.running.job.cancel.is_cancelled() {
                    return Err(VaultError::Cancelled.into());
                }
                let figures = Arc::clone(&self.running.shards[at][number as usize]);
                figures.start(self.now_ms());
                shards.push(self.prepare(at, number, resource, base.as_ref(), &bases, figures)?);
            }
            if let Some(base) = base {
                base_resources.insert(at, base);
            }
        }
        // What cannot go on from its base is read anew in a second round.
        for _ in 0..2 {
            self.read_shards(&mut shards)?;
        }
        self.write_trees(resources, shards, &base_resources)
    }

    fn prepare(
        &self,
        at: usize,
        number: u32,
        resource: &CapturedResource,
        base: Option<&BaseResource>,
        bases: &Bases<'_>,
        figures: Arc<ShardFigures>,
    ) -> Result<Shard, ContentError> {
        let named = resource.named_shards().get(number as usize);
        let directory = match named {
            Some(shard) => shard_directory(&shard.name),
            None => number.to_string(),
        };
        let capture = self
            .capture
            .shard(resource, number)
            .map_err(|error| ContentError::Engine(EngineError::Internal(error.to_string())))?;
        let work = match named {
            Some(shard) if shard.status == TenantStatus::Frozen => {
                Work::LeftOut(shard.status, FROZEN.to_owned())
            }
            _ => self.plan_shard(resource.kind, &directory, capture.as_ref(), base, bases),
        };
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
            let columns = match resource.kind {
                ResourceKind::Index => 1,
                ResourceKind::Collection => 2,
            };
            let files = 1 + columns + u64::from(read.base.is_some());
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
            kind: resource.kind,
            resource: at,
            number,
            name: named.map(|shard| shard.name.clone()),
            directory,
            capture,
            figures,
            work,
        })
    }

    fn plan_shard(
        &self,
        kind: ResourceKind,
        directory: &str,
        capture: &dyn ShardCapture,
        base: Option<&BaseResource>,
        bases: &Bases<'_>,
    ) -> Work {
        let found =
            base.and_then(|base| base.shard(directory, |token| capture.can_continue(token)));
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
        let Some(earlier_gone) = self.adopt(kind, &content, keep, from) else {
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
    fn adopt(
        &self,
        kind: ResourceKind,
        content: &BaseContent,
        keep: usize,
        from: u64,
    ) -> Option<Vec<EarlierGone>> {
        for segment in &content.description.segments[..keep] {
            for (name, size) in segment.files(kind) {
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
}
