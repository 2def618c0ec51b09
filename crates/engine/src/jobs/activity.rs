//! What is going on now. Questions such as "may this be deleted" are answered here under one lock, together with the note of
//! what begins, so that no two operations that exclude each other pass the test at the same time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::RunningJob;
use crate::error::{EngineError, InUse};
use crate::model::JobKind;
use crate::restores::RunningRestore;
use crate::snapshots::RunningSnapshot;
use crate::volumes::RunningPoint;

/// Everything that runs.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// By id.
    pub(crate) jobs: HashMap<String, Arc<RunningJob>>,
    /// Snapshots being taken, by vault and name.
    pub(crate) snapshots: BTreeMap<(String, String), Arc<RunningSnapshot>>,
    /// Names that a clone is about to fill, by vault.
    pub(crate) clone_targets: BTreeSet<(String, String)>,
    /// Snapshots that clones or restores read (vault, uuid), with how often and by what.
    pub(crate) readers: Vec<(String, String, InUse)>,
    /// Snapshots that are being deleted, by vault and uuid.
    pub(crate) deleting: BTreeSet<(String, String)>,
    /// Points being made, by id.
    pub(crate) points: BTreeMap<String, Arc<RunningPoint>>,
    /// Volumes and instances that a job works on, with the job.
    pub(crate) busy: BTreeMap<String, String>,
    /// Restores, by uuid.
    pub(crate) restores: BTreeMap<String, Arc<RunningRestore>>,
    /// True when no new work is taken.
    pub(crate) closed: bool,
}

impl Activity {
    /// Snapshots, clones and deletions under way.
    pub(crate) fn operations(&self) -> usize {
        let counted = |kind| {
            matches!(
                kind,
                JobKind::Snapshot
                    | JobKind::Clone
                    | JobKind::Delete
                    | JobKind::VolumeSnapshot
                    | JobKind::VolumeDelete
            )
        };
        self.jobs
            .values()
            .filter(|job| counted(job.work().0))
            .count()
    }

    /// What uses a repository (by its registered name or what is behind it).
    pub(crate) fn use_of(&self, repository: &str, vault: Option<&str>) -> Option<InUse> {
        self.jobs.values().find_map(|job| {
            let (kind, works_on) = job.work();
            let same = works_on == repository || vault.is_some_and(|vault| vault == job.vault);
            same.then_some(match kind {
                JobKind::Snapshot | JobKind::VolumeSnapshot => InUse::Snapshot,
                JobKind::Restore
                | JobKind::VolumeApply
                | JobKind::VolumeCreate
                | JobKind::ImageCapture => InUse::Restore,
                JobKind::Clone => InUse::Clone,
                JobKind::Delete | JobKind::VolumeDelete => InUse::Delete,
                JobKind::Check | JobKind::Prune => InUse::Maintenance,
            })
        })
    }

    /// What reads a snapshot.
    pub(crate) fn reader_of(&self, vault: &str, uuid: &str) -> Option<InUse> {
        self.readers
            .iter()
            .find(|(of, reads, _)| of == vault && reads == uuid)
            .map(|(_, _, by)| *by)
    }

    /// Ends one note of a reader.
    pub(crate) fn remove_reader(&mut self, vault: &str, uuid: &str, by: InUse) {
        if let Some(at) = self
            .readers
            .iter()
            .position(|(of, reads, who)| of == vault && reads == uuid && *who == by)
        {
            self.readers.swap_remove(at);
        }
    }

    /// Takes volumes and instances for a job: all, or none when another job works on one of them.
    pub(crate) fn claim_resources(
        &mut self,
        resources: &[String],
        job: &str,
    ) -> Result<(), EngineError> {
        for resource in resources {
            if let Some(other) = self.busy.get(resource) {
                return Err(EngineError::ResourceBusy {
                    resource: resource.clone(),
                    job: other.clone(),
                });
            }
        }
        let claims = resources.iter().map(|it| (it.clone(), job.to_owned()));
        self.busy.extend(claims);
        Ok(())
    }

    /// Lets go what [`Self::claim_resources`] took for a job.
    pub(crate) fn release_resources(&mut self, job: &str) {
        self.busy.retain(|_, holder| holder != job);
    }

    /// Whether a name is taken by something that runs.
    pub(crate) fn is_name_running(&self, vault: &str, name: &str) -> bool {
        let key = (vault.to_owned(), name.to_owned());
        self.snapshots.contains_key(&key) || self.clone_targets.contains(&key)
    }
}
