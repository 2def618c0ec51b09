//! A live capture that has been taken, until its last disk is settled.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use snapkeep_nbd::{Client, Options, Uri};
use tracing::error;

use super::client::Qmp;
use super::disk::LiveDisk;
use super::lines::QmpError;
use super::plan::{Generation, Plan};
use crate::volume::host::record::OpenRecord;
use crate::volume::{ChangeSource, Changes, Consistency, DiskRequest, RangeSet, VolumeError};

/// NBD's name of what is data and what zeroes.
pub const ALLOCATION: &str = "base:allocation";

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
        let parts: Vec<Part> = (0..self.plan.disks.len())
            .map(|position| Part {
                session: self.clone(),
                position,
            })
            .collect();
        let mut disks = Vec::new();
        for ((part, request), reason) in parts.into_iter().zip(requests).zip(reasons) {
            let (client, changes) = part.open(reason)?;
            let token = request.token.clone();
            disks.push(LiveDisk::new(part, client, changes, consistency, token));
        }
        Ok(disks)
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

impl Part {
    /// Takes the disk's part down and hands the bitmaps over.
    pub fn settle(&self, generation: Generation) -> Result<(), VolumeError> {
        self.session.settle(self.position, generation)
    }

    /// The bitmap that starts with this capture.
    pub fn bitmap(&self) -> &str {
        &self.session.plan.disks[self.position].new
    }

    /// The export's address, for messages.
    pub fn uri(&self) -> Uri {
        let disk = &self.session.plan.disks[self.position];
        Uri::unix(&self.session.plan.nbd_socket, disk.id())
    }

    /// As an error of this export.
    pub fn failed(&self, cause: impl std::fmt::Display) -> VolumeError {
        VolumeError::Nbd {
            location: self.uri().to_string(),
            message: cause.to_string(),
        }
    }

    fn open(&self, reason: Option<String>) -> Result<(Client, Changes), VolumeError> {
        let disk = &self.session.plan.disks[self.position];
        let bitmap = disk
            .old
            .as_ref()
            .map(|old| format!("qemu:dirty-bitmap:{old}"));
        let contexts = [Some(ALLOCATION.to_owned()), bitmap.clone()];
        let options = Options::with_contexts(contexts.into_iter().flatten());
        let client = Client::connect(&self.uri(), &options).map_err(|cause| self.failed(cause))?;
        let Some(bitmap) = bitmap else {
            let reason = reason.unwrap_or_else(|| "there is no bitmap".into());
            return Ok((client, Changes::unknown(reason)));
        };
        if !client.has_context(&bitmap) {
            let reason = format!("QEMU does not offer [{bitmap}] with its export");
            return Ok((client, Changes::unknown(reason)));
        }
        let status = client
            .block_status(&bitmap, 0..client.size_bytes())
            .map_err(|cause| self.failed(cause))?;
        let dirty: RangeSet = status
            .into_iter()
            .filter(snapkeep_nbd::StatusRange::is_dirty)
            .map(|status| status.range)
            .collect();
        let changes = Changes {
            source: ChangeSource::Bitmap,
            ranges: Some(dirty),
            reason: None,
        };
        Ok((client, changes))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(cause) = self.settle(Generation::Old) {
            error!(error = %cause, "a live capture was not taken down; it is tried again at the next start");
        }
    }
}
