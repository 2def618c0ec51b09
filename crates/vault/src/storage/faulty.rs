//! A storage that fails, for tests: by chance from a seed, at a chosen change, or by returning damaged bytes.

use super::{FileEntry, FileKind, PutMode, Storage, StorageError, StorageErrorKind};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};

/// What goes wrong, and how often. Probabilities are from 0 to 1.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    /// Start of the random numbers: the same seed and the same calls give the same failures.
    pub seed: u64,
    /// An operation fails with [`StorageErrorKind::Unavailable`] and has done nothing.
    pub unavailable: f64,
    /// A change is made, but its answer is lost: it fails with [`StorageErrorKind::Unavailable`].
    pub lost_answer: f64,
    /// A read returns its bytes with one bit turned.
    pub damaged_read: f64,
    /// The storage dies after so many changes (files written or removed): everything fails from then on.
    pub dies_after_changes: Option<u64>,
    /// The place is full after so many bytes written: writing fails with [`StorageErrorKind::NoSpace`].
    pub full_after_bytes: Option<u64>,
}

#[derive(Debug)]
struct State {
    plan: FaultPlan,
    random: StdRng,
    changes: u64,
    bytes_written: u64,
}

/// A storage that fails by a [`FaultPlan`].
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    state: Mutex<State>,
}

/// What a change is to do.
enum Fate {
    Done,
    AnswerLost,
}

impl Faulty {
    /// Lets `inner` fail as planned.
    pub fn new(inner: Arc<dyn Storage>, plan: FaultPlan) -> Self {
        Self {
            inner,
            state: Mutex::new(State {
                random: StdRng::seed_from_u64(plan.seed),
                plan,
                changes: 0,
                bytes_written: 0,
            }),
        }
    }

    /// Changes what goes wrong from now on; changes and bytes so far do not count for the new plan.
    pub fn set_plan(&self, plan: FaultPlan) {
        *self.state() = State {
            random: StdRng::seed_from_u64(plan.seed),
            plan,
            changes: 0,
            bytes_written: 0,
        };
    }

    /// Files written and removed, among them those that failed.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(
        &self,
        kind: StorageErrorKind,
        operation: &'static str,
        file: (FileKind, &str),
    ) -> StorageError {
        StorageError::new(kind, operation, file, self.location(), "planned failure")
    }

    fn before_read(
        &self,
        operation: &'static str,
        file: (FileKind, &str),
    ) -> Result<(), StorageError> {
        let mut state = self.state();
        let is_dead = state
            .plan
            .dies_after_changes
            .is_some_and(|last| state.changes > last);
        let unavailable = state.plan.unavailable;
        if is_dead || state.happens(unavailable) {
            return Err(self.failure(StorageErrorKind::Unavailable, operation, file));
        }
        Ok(())
    }

    fn before_change(
        &self,
        operation: &'static str,
        file: (FileKind, &str),
        bytes: u64,
    ) -> Result<Fate, StorageError> {
        let mut state = self.state();
        state.changes += 1;
        let plan = state.plan.clone();
        let is_dead = plan
            .dies_after_changes
            .is_some_and(|last| state.changes > last);
        if is_dead || state.happens(plan.unavailable) {
            return Err(self.failure(StorageErrorKind::Unavailable, operation, file));
        }
        let is_full = plan
            .full_after_bytes
            .is_some_and(|most| state.bytes_written + bytes > most);
        if is_full && bytes > 0 {
            return Err(self.failure(StorageErrorKind::NoSpace, operation, file));
        }
        state.bytes_written += bytes;
        if state.happens(plan.lost_answer) {
            Ok(Fate::AnswerLost)
        } else {
            Ok(Fate::Done)
        }
    }

    fn after_read(&self, bytes: Bytes) -> Bytes {
        let mut state = self.state();
        let damaged_read = state.plan.damaged_read;
        if bytes.is_empty() || !state.happens(damaged_read) {
            return bytes;
        }
        let at = state.random.random_range(0..bytes.len());
        let bit = state.random.random_range(0..8);
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1 << bit;
        damaged.into()
    }
}

impl State {
    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.random_bool(probability.min(1.0))
    }
}

impl Storage for Faulty {
    fn put(
        &self,
        kind: FileKind,
        name: &str,
        data: Bytes,
        mode: PutMode,
    ) -> Result<(), StorageError> {
        let fate = self.before_change("writing", (kind, name), data.len() as u64)?;
        self.inner.put(kind, name, data, mode)?;
        match fate {
            Fate::Done => Ok(()),
            Fate::AnswerLost => {
                Err(self.failure(StorageErrorKind::Unavailable, "writing", (kind, name)))
            }
        }
    }

    fn get(&self, kind: FileKind, name: &str) -> Result<Bytes, StorageError> {
        self.before_read("reading", (kind, name))?;
        Ok(self.after_read(self.inner.get(kind, name)?))
    }

    fn get_range(
        &self,
        kind: FileKind,
        name: &str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, StorageError> {
        self.before_read("reading", (kind, name))?;
        Ok(self.after_read(self.inner.get_range(kind, name, offset, len)?))
    }

    fn list(&self, kind: FileKind) -> Result<Vec<FileEntry>, StorageError> {
        self.before_read("listing", (kind, ""))?;
        self.inner.list(kind)
    }

    fn size(&self, kind: FileKind, name: &str) -> Result<u64, StorageError> {
        self.before_read("reading", (kind, name))?;
        self.inner.size(kind, name)
    }

    fn delete(&self, kind: FileKind, name: &str) -> Result<(), StorageError> {
        let fate = self.before_change("removing", (kind, name), 0)?;
        self.inner.delete(kind, name)?;
        match fate {
            Fate::Done => Ok(()),
            Fate::AnswerLost => {
                Err(self.failure(StorageErrorKind::Unavailable, "removing", (kind, name)))
            }
        }
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::battery::{self, with_memory};

    fn put(storage: &dyn Storage, name: &str) -> Result<(), StorageError> {
        let data = Bytes::from_static(b"12345");
        storage.put(FileKind::Side, name, data, PutMode::Overwrite)
    }

    #[test]
    fn without_faults_it_keeps_the_contract() {
        with_memory(|memory| battery::run(&Faulty::new(memory, FaultPlan::default())));
    }

    #[test]
    fn the_same_seed_gives_the_same_failures() {
        let outcomes = |seed| {
            let mut outcomes = Vec::new();
            with_memory(|memory| {
                let plan = FaultPlan {
                    seed,
                    unavailable: 0.5,
                    ..FaultPlan::default()
                };
                let faulty = Faulty::new(memory, plan);
                outcomes = (0..64).map(|_| put(&faulty, "x").is_ok()).collect();
            });
            outcomes
        };
        assert_eq!(outcomes(1), outcomes(1));
        assert_ne!(outcomes(1), outcomes(2));
    }

    #[test]
    fn it_dies_after_so_many_changes() {
        with_memory(|memory| {
            let plan = FaultPlan {
                dies_after_changes: Some(1),
                ..FaultPlan::default()
            };
            let faulty = Faulty::new(memory.clone(), plan);
            put(&faulty, "first").unwrap();
            assert!(faulty.get(FileKind::Side, "first").is_ok());
            assert!(put(&faulty, "second").unwrap_err().is_transient());
            assert!(faulty.get(FileKind::Side, "first").is_err());
            assert_eq!(memory.list(FileKind::Side).unwrap().len(), 1);
        });
    }

    #[test]
    fn a_lost_answer_has_done_its_work() {
        with_memory(|memory| {
            let plan = FaultPlan {
                lost_answer: 1.0,
                ..FaultPlan::default()
            };
            assert!(put(&Faulty::new(memory.clone(), plan), "x").is_err());
            assert!(memory.exists(FileKind::Side, "x").unwrap());
        });
    }

    #[test]
    fn a_full_place_and_damaged_bytes_show() {
        with_memory(|memory| {
            let plan = FaultPlan {
                damaged_read: 1.0,
                full_after_bytes: Some(7),
                ..FaultPlan::default()
            };
            let faulty = Faulty::new(memory, plan);
            put(&faulty, "x").unwrap();
            assert_ne!(faulty.get(FileKind::Side, "x").unwrap(), "12345");
            let error = put(&faulty, "y").unwrap_err();
            assert_eq!(error.kind, StorageErrorKind::NoSpace);
        });
    }
}
