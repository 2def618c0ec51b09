//! What the jobs that write disks have in common.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use snapkeep_drivers::volume::VolumeError;
use snapkeep_drivers::volume::write::{DiskContent, WriteProgress};
use snapkeep_vault::CancelFlag;

use super::read::HeldPoint;
use super::registry::refused;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::jobs::{JobSpec, Outcome, RunningJob};
use crate::model::{JobKind, JobProgress, PointsTicket};

/// What a job makes of a point.
pub(super) struct Making {
    pub(super) kind: JobKind,
    /// Of its thread.
    pub(super) name: &'static str,
    /// Id of what is made.
    pub(super) id: String,
    /// What the next process needs to know if this one dies.
    pub(super) input: Value,
}

impl Engine {
    /// Begins a job that makes something of a point. The point stays until `make` has ended.
    pub(super) async fn begin_making(
        &self,
        held: HeldPoint,
        making: Making,
        make: impl FnOnce(&Arc<Inner>, &RunningJob, &HeldPoint) -> Result<Value, EngineError>
        + Send
        + 'static,
    ) -> Result<PointsTicket, EngineError> {
        let inner = &self.inner;
        let resources = [making.id];
        let spec = JobSpec {
            kind: making.kind,
            repository: &held.info.repository,
            vault: &held.vault.id,
            subject: &held.info.id,
            resources: &resources,
            input: making.input,
        };
        let job = inner.begin_job(spec, |_, _| Ok(()), |_| {}).await?;
        let ticket = PointsTicket {
            job_id: job.id(),
            points: vec![held.info.id.clone()],
            resources: resources.to_vec(),
        };
        let of_work = Arc::clone(&job);
        inner.spawn_job(
            making.name,
            move |inner| make(inner, &of_work, &held),
            move |inner, result| {
                let outcome = outcome(&job, result);
                inner.block_on(inner.end_job(&job, outcome, |_| {}));
            },
        );
        Ok(ticket)
    }
}

/// Makes the folder that `id` is to be made in, where it is missing.
pub(super) fn make_folder(id: &str, folder: &Path) -> Result<(), EngineError> {
    std::fs::create_dir_all(folder).map_err(|error| {
        refused(
            id,
            format!("cannot make folder {}: {error}", folder.display()),
        )
    })
}

/// The content of a disk, for a writer that is to stop when a job is cancelled: writers ask the content about every block.
pub(super) struct Cancellable<'a> {
    pub(super) content: &'a dyn DiskContent,
    pub(super) cancel: &'a CancelFlag,
    pub(super) progress: &'a WriteProgress,
}

impl Cancellable<'_> {
    fn pass_on(&self) {
        if self.cancel.is_cancelled() {
            self.progress.cancel();
        }
    }
}

impl DiskContent for Cancellable<'_> {
    fn size_bytes(&self) -> u64 {
        self.content.size_bytes()
    }

    fn block_bytes(&self) -> u64 {
        self.content.block_bytes()
    }

    fn is_hole(&self, block: u64) -> bool {
        self.pass_on();
        self.content.is_hole(block)
    }

    fn matches(&self, block: u64, data: &[u8]) -> bool {
        self.pass_on();
        self.content.matches(block, data)
    }

    fn match_each(&self, first: u64, blocks: &[&[u8]]) -> Vec<bool> {
        self.pass_on();
        self.content.match_each(first, blocks)
    }

    fn read(&self, block: u64, buffer: &mut Vec<u8>) -> Result<(), VolumeError> {
        self.pass_on();
        self.content.read(block, buffer)
    }
}

/// Lets a job tell how far its writer is.
pub(super) fn show_progress(
    job: &RunningJob,
    phase: &'static str,
    total_bytes: u64,
    progress: &Arc<WriteProgress>,
) {
    let progress = Arc::clone(progress);
    job.set_progress(Box::new(move || {
        let counts = progress.counts();
        JobProgress {
            phase: phase.to_owned(),
            bytes_done: counts.done_bytes.min(total_bytes),
            bytes_total: total_bytes,
            ..JobProgress::default()
        }
    }));
}

/// How a job ends whose work gave this.
pub(super) fn outcome(job: &RunningJob, result: Result<Value, EngineError>) -> Outcome {
    match (result, job.cancel_reason()) {
        (Ok(report), _) => Outcome::success(Some(report)),
        (Err(_), Some(reason)) => Outcome::cancelled(reason),
        (Err(error), None) => Outcome::failure(error.to_string()),
    }
}
