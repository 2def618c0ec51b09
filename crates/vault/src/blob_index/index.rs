//! The index that all jobs of an open repository share.

use super::builder::{RunBuilder, next_run_number};
use super::entry::BlobLocation;
use super::merge::{MergeError, merge, runs_to_merge};
use super::run::{Run, RunDamage};
use super::view::IndexView;
use crate::format::{BlobKind, PackEntry};
use crate::ids::{BlobId, IndexId, PackId, RepositoryId};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Which blob lies where. Lookups may come from any thread while the index changes.
#[derive(Debug)]
pub struct BlobIndex {
    repository: RepositoryId,
    /// Where runs are kept; `None`: in memory.
    dir: Option<PathBuf>,
    runs: RwLock<Arc<Vec<Arc<Run>>>>,
    /// Held by whoever changes the set of runs; lookups never wait for it.
    changing: Mutex<()>,
}

impl BlobIndex {
    /// The index as far as it is cached in `dir`. Whatever is damaged, cut off or of another repository is removed from the cache.
    pub fn open(repository: RepositoryId, dir: Option<&Path>) -> Self {
        let dir = dir.and_then(|dir| match fs::create_dir_all(dir) {
            Ok(()) => Some(dir.to_owned()),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "the index of blobs is kept in memory, its cache folder cannot be made");
                None
            }
        });
        let runs = dir
            .as_deref()
            .map_or_else(Vec::new, |dir| load_runs(dir, repository));
        Self {
            repository,
            dir,
            runs: RwLock::new(Arc::new(runs)),
            changing: Mutex::new(()),
        }
    }

    /// The index as it is now.
    pub fn view(&self) -> IndexView {
        let runs = Arc::clone(&self.runs.read().unwrap_or_else(PoisonError::into_inner));
        IndexView { runs }
    }

    /// See [`IndexView::get`].
    pub fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Option<BlobLocation>, RunDamage> {
        self.view().get(kind, id)
    }

    /// Index files that are covered.
    pub fn covered(&self) -> HashSet<IndexId> {
        self.view().files().collect()
    }

    /// Adds the index files collected in `builder`, except when one of them is covered already.
    pub(crate) fn add(&self, builder: RunBuilder) {
        if builder.is_empty() {
            return;
        }
        let _changing = self.lock();
        let Some(run) = self.build(builder) else {
            return;
        };
        let covered = self.covered();
        if run.meta.files.iter().any(|file| covered.contains(file)) {
            discard(&run);
            return;
        }
        let mut runs = self.view().runs.as_ref().clone();
        runs.push(Arc::new(run));
        self.replace(runs);
        self.merge_if_worthwhile();
    }

    /// Index files that cannot be read and whose packs are known from their own headers.
    pub(crate) fn recovered_files(&self) -> Vec<IndexId> {
        let view = self.view();
        let recovered = view.runs.iter().filter(|run| run.is_recovered);
        recovered
            .flat_map(|run| run.meta.files.iter().copied())
            .collect()
    }

    /// Replaces the packs that are known from their own headers. `files` are the index files that could not be read; they count as
    /// covered until the process ends.
    pub(crate) fn set_recovered(&self, files: &[IndexId], packs: &[(PackId, Vec<PackEntry>)]) {
        let mut builder = RunBuilder::default();
        for file in files {
            builder.begin_file(*file);
        }
        for (pack, entries) in packs {
            builder.add_pack(*pack, entries);
        }
        let _changing = self.lock();
        let mut runs = self.view().runs.as_ref().clone();
        runs.retain(|run| !run.is_recovered);
        if !builder.is_empty()
            && let Ok(mut run) = builder.build(self.repository, None)
        {
            run.is_recovered = true;
            runs.push(Arc::new(run));
        }
        self.replace(runs);
    }

    /// Forgets index files that are no longer in the repository. Their packs' entries go with them; nothing is read again.
    pub(crate) fn forget(&self, gone: &HashSet<IndexId>) {
        let _changing = self.lock();
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        for run in self.view().runs.iter() {
            let is_affected = run.meta.files.iter().any(|file| gone.contains(file));
            if !is_affected {
                kept.push(Arc::clone(run));
                continue;
            }
            dropped.push(Arc::clone(run));
            let is_left_empty = run.meta.files.iter().all(|file| gone.contains(file));
            if is_left_empty || run.is_recovered {
                continue;
            }
            match self.merge_runs(std::slice::from_ref(run), gone) {
                Ok(rest) => kept.push(Arc::new(rest)),
                // Its remaining index files count as not covered and are read anew.
                Err(error) => log_merge_error(&error),
            }
        }
        self.replace(kept);
        dropped.iter().for_each(|run| discard(run));
        self.merge_if_worthwhile();
    }

    /// Removes a damaged run; its index files count as not covered any more.
    pub(crate) fn drop_damaged(&self, damage: &RunDamage) {
        let _changing = self.lock();
        let mut runs = self.view().runs.as_ref().clone();
        let dropped: Vec<Arc<Run>> = runs
            .extract_if(.., |run| run.number == damage.run)
            .collect();
        if !dropped.is_empty() {
            tracing::warn!("{damage}; it is built anew from the repository");
            self.replace(runs);
            dropped.iter().for_each(|run| discard(run));
        }
    }

    /// Makes one run of the smaller ones. The caller holds `changing`.
    fn merge_if_worthwhile(&self) {
        let runs = self.view().runs;
        let chosen = runs_to_merge(&runs);
        if chosen.is_empty() {
            return;
        }
        let (old, mut kept): (Vec<Arc<Run>>, Vec<Arc<Run>>) = runs
            .iter()
            .cloned()
            .partition(|run| chosen.contains(&run.number));
        match self.merge_runs(&old, &HashSet::new()) {
            Ok(run) => {
                // Largest first: most lookups end there.
                kept.push(Arc::new(run));
                kept.sort_by_key(|run| std::cmp::Reverse(run.meta.count));
                self.replace(kept);
                // A crash before this leaves old and new file: the next open keeps the one that covers more.
                old.iter().for_each(|run| discard(run));
            }
            Err(error) => log_merge_error(&error),
        }
    }

    fn merge_runs(&self, runs: &[Arc<Run>], gone: &HashSet<IndexId>) -> Result<Run, MergeError> {
        match merge(runs, gone, self.repository, self.dir.as_deref()) {
            Err(MergeError::Io(error)) if self.dir.is_some() => {
                log_write_error(&error);
                merge(runs, gone, self.repository, None)
            }
            result => result,
        }
    }

    fn build(&self, mut builder: RunBuilder) -> Option<Run> {
        let result = match builder.build(self.repository, self.dir.as_deref()) {
            Err(error) if self.dir.is_some() => {
                log_write_error(&error);
                builder.build(self.repository, None)
            }
            result => result,
        };
        result.inspect_err(log_write_error).ok()
    }

    fn replace(&self, runs: Vec<Arc<Run>>) {
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(runs);
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the runs in a cache folder. Of two that cover the same index file the smaller one goes: a merge was cut off between
/// writing the new run and removing the old ones.
fn load_runs(dir: &Path, repository: RepositoryId) -> Vec<Arc<Run>> {
    let mut runs = Vec::new();
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "run") {
            remove(&path);
            continue;
        }
        match Run::open(&path, repository, next_run_number()) {
            Ok(run) => runs.push(Arc::new(run)),
            Err(reason) => {
                tracing::warn!(path = %path.display(), "cached index dropped and built anew: {reason}");
                remove(&path);
            }
        }
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.meta.files.len()));
    let mut covered = HashSet::new();
    runs.retain(|run| {
        let is_new = !run.meta.files.iter().any(|file| covered.contains(file));
        if is_new {
            covered.extend(run.meta.files.iter().copied());
        } else {
            discard(run);
        }
        is_new
    });
    runs.sort_by_key(|run| std::cmp::Reverse(run.meta.count));
    runs
}

/// Removes the file of a run that is not needed any more. Readers that still hold it go on with the open file.
fn discard(run: &Run) {
    if let Some(path) = run.path() {
        remove(path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a file of the index cache cannot be removed");
    }
}

fn log_write_error(error: &io::Error) {
    tracing::warn!(%error, "the index cache cannot be written; this part of the index stays in memory");
}

fn log_merge_error(error: &MergeError) {
    match error {
        MergeError::Io(error) => log_write_error(error),
        MergeError::Damage(damage) => tracing::warn!("{damage}"),
    }
}
