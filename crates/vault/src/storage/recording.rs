//! Remembers every change, for tests: what could be there after a power cut at any moment?

use super::{FileEntry, FileKind, PutMode, Storage, StorageError};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One change of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedChange {
    /// Kind of the file.
    pub kind: FileKind,
    /// Name of the file.
    pub name: String,
    /// Its new content, or `None` if it was removed.
    pub content: Option<Bytes>,
    /// The number of the moment after which the change cannot be lost: it was answered and is of a kind that lasts.
    /// `None` if that never came.
    pub durable_at: Option<usize>,
    /// The number of the moment at which the change began.
    begun_at: usize,
}

/// A moment at which the power is cut, and which of the undecided changes were made.
pub struct PowerLoss<'a> {
    /// The number of moments before the cut, at most [`Recording::moments`].
    pub moment: usize,
    /// Whether the undecided change of this number (counted from 0 over the undecided ones) was made.
    pub is_made: &'a dyn Fn(usize) -> bool,
}

#[derive(Debug, Default)]
struct Log {
    /// Beginnings and ends of changes so far.
    moments: usize,
    changes: Vec<LoggedChange>,
}

/// A storage that remembers its changes in order. The model: a change is made for certain when it was answered and lasts by the
/// contract of [`Storage`]; one that was begun, failed, or is a removal that need not last may be made or not, each
/// on its own.
#[derive(Debug)]
pub struct Recording {
    inner: Arc<dyn Storage>,
    log: Mutex<Log>,
}

impl Recording {
    /// Records changes of `inner`. What it holds already is taken as there for certain.
    pub fn new(inner: Arc<dyn Storage>) -> Result<Self, StorageError> {
        let mut log = Log::default();
        for kind in FileKind::ALL {
            for entry in inner.list(kind)? {
                let content = Some(inner.get(kind, &entry.name)?);
                log.changes.push(LoggedChange {
                    kind,
                    name: entry.name,
                    content,
                    durable_at: Some(0),
                    begun_at: 0,
                });
            }
        }
        Ok(Self {
            inner,
            log: Mutex::new(log),
        })
    }

    /// Beginnings and ends of changes so far. Power can be cut before the first, between any two and after the last.
    pub fn moments(&self) -> usize {
        self.log().moments
    }

    /// Every change in the order in which they began.
    pub fn changes(&self) -> Vec<LoggedChange> {
        self.log().changes.clone()
    }

    /// How many changes are undecided when the power is cut at this moment.
    pub fn undecided(&self, moment: usize) -> usize {
        let log = self.log();
        let begun = log.changes.iter().filter(|change| change.is_begun(moment));
        begun.filter(|change| !change.is_durable(moment)).count()
    }

    /// Fills the empty storage `target` with what is there after the power was cut.
    pub fn replay(&self, loss: &PowerLoss<'_>, target: &dyn Storage) -> Result<(), StorageError> {
        let mut undecided = 0;
        for change in self.changes() {
            if !change.is_begun(loss.moment) {
                continue;
            }
            if !change.is_durable(loss.moment) {
                let number = undecided;
                undecided += 1;
                if !(loss.is_made)(number) {
                    continue;
                }
            }
            match change.content {
                Some(content) => {
                    target.put(change.kind, &change.name, content, PutMode::Overwrite)?;
                }
                None => target.delete(change.kind, &change.name)?,
            }
        }
        Ok(())
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a change begins; the answer is its place in the log.
    fn begin(&self, kind: FileKind, name: &str, content: Option<Bytes>) -> usize {
        let mut log = self.log();
        log.moments += 1;
        let begun_at = log.moments;
        log.changes.push(LoggedChange {
            kind,
            name: name.to_owned(),
            content,
            durable_at: None,
            begun_at,
        });
        log.changes.len() - 1
    }

    /// Notes that a change was answered with success.
    fn end(&self, place: usize) {
        let mut log = self.log();
        log.moments += 1;
        let moment = log.moments;
        let change = &mut log.changes[place];
        if change.content.is_some() || change.kind.removal_lasts() {
            change.durable_at = Some(moment);
        }
    }

    /// Forgets a change that was refused because the file exists: it cannot have been made.
    fn refuse(&self, place: usize) {
        self.log().changes[place].begun_at = usize::MAX;
    }
}

impl LoggedChange {
    fn is_begun(&self, moment: usize) -> bool {
        self.begun_at <= moment
    }

    fn is_durable(&self, moment: usize) -> bool {
        self.durable_at.is_some_and(|at| at <= moment)
    }
}

impl Storage for Recording {
    fn put(
        &self,
        kind: FileKind,
        name: &str,
        data: Bytes,
        mode: PutMode,
    ) -> Result<(), StorageError> {
        let place = self.begin(kind, name, Some(data.clone()));
        let result = self.inner.put(kind, name, data, mode);
        match &result {
            Ok(()) => self.end(place),
            Err(error) if error.is_already_exists() => self.refuse(place),
            Err(_) => {}
        }
        result
    }

    fn get(&self, kind: FileKind, name: &str) -> Result<Bytes, StorageError> {
        self.inner.get(kind, name)
    }

    fn get_range(
        &self,
        kind: FileKind,
        name: &str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, StorageError> {
        self.inner.get_range(kind, name, offset, len)
    }

    fn list(&self, kind: FileKind) -> Result<Vec<FileEntry>, StorageError> {
        self.inner.list(kind)
    }

    fn size(&self, kind: FileKind, name: &str) -> Result<u64, StorageError> {
        self.inner.size(kind, name)
    }

    fn delete(&self, kind: FileKind, name: &str) -> Result<(), StorageError> {
        let place = self.begin(kind, name, None);
        self.inner.delete(kind, name)?;
        self.end(place);
        Ok(())
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::battery::{self, with_memory};

    const DATA: Bytes = Bytes::from_static(b"x");

    fn names_after(recording: &Recording, moment: usize, is_made: bool) -> Vec<String> {
        let mut names = Vec::new();
        with_memory(|target| {
            let loss = PowerLoss {
                moment,
                is_made: &|_| is_made,
            };
            recording.replay(&loss, &*target).unwrap();
            let files = target.list(FileKind::Side).unwrap();
            names = files.into_iter().map(|entry| entry.name).collect();
        });
        names
    }

    #[test]
    fn recording_keeps_the_contract() {
        with_memory(|memory| battery::run(&Recording::new(memory).unwrap()));
    }

    #[test]
    fn what_was_answered_is_there_and_what_was_begun_may_be() {
        with_memory(|memory| {
            let put = |storage: &dyn Storage, name| {
                storage.put(FileKind::Side, name, DATA, PutMode::Create)
            };
            put(&*memory, "before").unwrap();
            let recording = Recording::new(memory).unwrap();
            put(&recording, "one").unwrap();
            recording.delete(FileKind::Side, "one").unwrap();

            assert_eq!(recording.moments(), 4);
            let undecided: Vec<usize> = (0..=4).map(|moment| recording.undecided(moment)).collect();
            assert_eq!(undecided, [0, 1, 0, 1, 1]);
            assert_eq!(names_after(&recording, 0, true), ["before"]);
            assert_eq!(names_after(&recording, 1, true), ["before", "one"]);
            assert_eq!(names_after(&recording, 1, false), ["before"]);
            assert_eq!(names_after(&recording, 2, false), ["before", "one"]);
            assert_eq!(names_after(&recording, 4, true), ["before"]);
            assert_eq!(names_after(&recording, 4, false), ["before", "one"]);
        });
    }

    #[test]
    fn removed_snapshots_stay_removed_once_answered() {
        with_memory(|memory| {
            let name = "00".repeat(32);
            let recording = Recording::new(memory).unwrap();
            recording
                .put(FileKind::Snapshot, &name, DATA, PutMode::Create)
                .unwrap();
            recording.delete(FileKind::Snapshot, &name).unwrap();
            assert_eq!(recording.undecided(recording.moments()), 0);
        });
    }

    #[test]
    fn a_refused_creation_was_never_made() {
        with_memory(|memory| {
            let recording = Recording::new(memory).unwrap();
            for _ in 0..2 {
                let _ = recording.put(FileKind::Side, "a", DATA, PutMode::Create);
            }
            assert_eq!(recording.undecided(recording.moments()), 0);
        });
    }
}
