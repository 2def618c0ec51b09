//! A live capture that has been taken, until its last disk is settled.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use snapkeep_nbd::Uri;
use tracing::error;

use super::client::Qmp;
use super::lines::QmpError;
use super::plan::{Generation, Plan};
use crate::volume::host::live_disk::{LiveDisk, LivePart};
use crate::volume::host::record::OpenRecord;
use crate::volume::{Consistency, DiskRequest, VolumeError};

/// What the disks of one capture share.
#[derive(Debug)]
pub struct Session {
    socket: PathBuf,
    plan: Plan,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Which disks are still to be taken down.
    open: Vec<bool>,
    /// Whether one of them could not be.
    has_failed: bool,
    /// Taken when all are.
    record: Option<OpenRecord>,
}

impl Session {
    /// A capture that stands as `plan` says; `record` is removed when it is taken down.
    pub fn new(socket: PathBuf, plan: Plan, record: OpenRecord) -> Self {
        let state = State {
            open: vec![true; plan.disks.len()],
            has_failed: false,
            record: Some(record),
        };
        Self {
            socket,
            plan,
            state: Mutex::new(state),
        }
    }

    /// Connects to the exports. Disks that were opened before a failure go, and all is taken down with the last of them.
    pub fn open(
        self: &Arc<Self>,
        requests: &[DiskRequest],
        reasons: Vec<Option<String>>,
        consistency: Consistency,
    ) -> Result<Vec<LiveDisk>, VolumeError> {
        // Made first, so that dropping them ends the session whatever fails.
        let parts = (0..self.plan.disks.len()).map(|position| -> Box<dyn LivePart> {
            Box::new(Part {
                session: self.clone(),
                position,
            })
        });
        let old = self.plan.disks.iter().map(|disk| disk.old.as_deref());
        let bitmaps = old.zip(reasons).map(|(old, reason)| {
            old.ok_or_else(|| reason.unwrap_or_else(|| "there is no bitmap".into()))
        });
        LiveDisk::open_each(parts.collect(), bitmaps.collect(), consistency, requests)
    }

    fn settle(&self, position: usize, generation: Generation) -> Result<(), VolumeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut state.open[position], false) {
            return Ok(());
        }
        let is_last = !state.open.contains(&true);
        let undo = || -> Result<(), QmpError> {
            let mut qmp = Qmp::connect(&self.socket)?;
            let disk = self
                .plan
                .undo_disk(&mut qmp, &self.plan.disks[position], generation);
            if is_last {
                return disk.and(self.plan.stop_server(&mut qmp));
            }
            disk
        };
        let outcome = undo();
        state.has_failed |= outcome.is_err();
        if is_last {
            let is_gone = matches!(&outcome, Err(cause) if cause.is_gone());
            if is_gone {
                self.plan.remove_files();
            }
            // With something left behind the record stays, and what it tells of is undone at the next start.
            let record = state.record.take();
            if let Some(record) = record
                && (is_gone || !state.has_failed)
            {
                record.remove()?;
            }
        }
        outcome.map_err(|cause| cause.on("take down the capture of", &self.socket))
    }
}

/// One disk's part of a session: taken down when it is settled, else as a failure when it is dropped.
#[derive(Debug)]
pub struct Part {
    session: Arc<Session>,
    position: usize,
}

impl LivePart for Part {
    fn uri(&self) -> Uri {
        let disk = &self.session.plan.disks[self.position];
        Uri::unix(&self.session.plan.nbd_socket, disk.id())
    }

    fn settle(&self, is_kept: bool) -> Result<(), VolumeError> {
        let generation = if is_kept {
            Generation::New
        } else {
            Generation::Old
        };
        self.session.settle(self.position, generation)
    }

    fn identity(&self) -> Option<Value> {
        self.session.plan.disks[self.position].identity.clone()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(cause) = self.settle(false) {
            error!(error = %cause, "a live capture was not taken down; it is tried again at the next start");
        }
    }
}
