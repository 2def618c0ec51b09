//! Records of what has to be undone at a host, kept from before it is done until it is undone.
//!
//! A record is a file below `<state_dir>/hosts/`, locked while its writer lives: one that is there and not locked was left by a
//! crash. Version 1 is JSON: `{"version":1,"kind":"freeze"|"capture","spec":{…},"instance":…,"name":…,"disks":[…],"left":…}`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::debug;

use super::{HostContext, HostControl, HostSpec};
use crate::volume::files::random_hex;
use crate::volume::{DiskSource, VolumeError};

/// The folder of the records, below the state folder.
const FOLDER: &str = "hosts";
const VERSION: u32 = 1;
/// Extension of a record that is being written, and age after which nobody can still be writing it.
const UNFINISHED: &str = "new";
const UNFINISHED_AGE: Duration = Duration::from_secs(60);
/// Longest record that is read: 1 MiB; the writer's are a few hundred bytes.
const LONGEST_BYTES: u64 = 1024 * 1024;

/// What has to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A frozen host, to be thawed.
    Freeze,
    /// Nodes, jobs and exports of a live capture, to be taken down.
    Capture,
}

/// The content of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostRecord {
    version: u32,
    /// What has to be undone.
    pub kind: RecordKind,
    spec: HostSpec,
    /// The instance's id.
    pub instance: String,
    name: String,
    disks: Vec<DiskSource>,
    /// What the host needs to know to undo it.
    #[serde(default)]
    pub left: serde_json::Value,
}

impl HostRecord {
    /// A control of the host of the record.
    pub fn control(&self) -> Box<dyn HostControl> {
        self.spec.control(HostContext {
            instance: self.instance.clone(),
            name: self.name.clone(),
            disks: self.disks.clone(),
        })
    }
}

/// A record that exists, locked.
#[derive(Debug)]
pub struct OpenRecord {
    path: PathBuf,
    /// Holds the lock; never read.
    _file: File,
}

impl OpenRecord {
    /// Writes a record. On return it is on disk, and a crash from now on leaves it to [`left_over`].
    pub fn create(
        state_dir: &Path,
        kind: RecordKind,
        host: &dyn HostControl,
        left: serde_json::Value,
    ) -> Result<Self, VolumeError> {
        let context = host.context();
        let record = HostRecord {
            version: VERSION,
            kind,
            spec: host.spec(),
            instance: context.instance.clone(),
            name: context.name.clone(),
            disks: context.disks.clone(),
            left,
        };
        let folder = state_dir.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|cause| io("create the folder", &folder, cause))?;
        // Never the name of another: that of an earlier process of the same number may still have to be undone.
        let path = folder.join(format!(
            "{}-{}.json",
            plain_name(&context.instance),
            random_hex()
        ));
        let text = serde_json::to_vec(&record)
            .map_err(|cause| io("write the record", &path, cause.into()))?;
        let unfinished = path.with_extension(UNFINISHED);
        // Under its name only when it is whole; the lock is the file's and goes with it.
        let write = || -> std::io::Result<File> {
            let mut file = OpenOptions::new()
                .create_new(true)
                .write(true)
                .open(&unfinished)?;
            file.lock()?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&folder)?.sync_all()?;
            Ok(file)
        };
        let file = write().map_err(|cause| io("write the record", &path, cause))?;
        Ok(Self { path, _file: file })
    }

    /// Removes the record: there is nothing to undo any more.
    pub fn remove(self) -> Result<(), VolumeError> {
        remove(&self.path)
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A record that nobody has locked: found after a crash, or left because undoing failed.
pub struct LeftOver {
    /// Its content, or why it cannot be read.
    pub record: Result<HostRecord, VolumeError>,
    open: OpenRecord,
}

impl LeftOver {
    /// Removes it after what it tells of was undone.
    pub fn remove(self) -> Result<(), VolumeError> {
        self.open.remove()
    }

    /// Sets a record aside that cannot be read, for the operator to look at, and says why it cannot.
    pub fn set_aside(self) -> VolumeError {
        let aside = self.open.path.with_extension("unreadable");
        if let Err(cause) = fs::rename(&self.open.path, &aside) {
            return io("set aside the record", &self.open.path, cause);
        }
        match self.record {
            Err(cause) => cause,
            Ok(_) => io(
                "set aside the record",
                &aside,
                std::io::Error::other("it could be read"),
            ),
        }
    }
}

/// All records that nobody has locked; they stay locked by the caller until dropped.
pub fn left_over(state_dir: &Path) -> Result<Vec<LeftOver>, VolumeError> {
    let folder = state_dir.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(io("list the folder", &folder, cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|cause| io("list the folder", &folder, cause))?
            .path();
        if path
            .extension()
            .is_some_and(|extension| extension == UNFINISHED)
        {
            remove_abandoned(&path);
        }
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(io("open the record", &path, cause)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(cause)) => return Err(io("lock the record", &path, cause)),
        }
        let record = read(&file, &path);
        found.push(LeftOver {
            record,
            open: OpenRecord { path, _file: file },
        });
    }
    Ok(found)
}

/// Removes a record that a crash left unfinished: of what was not begun.
fn remove_abandoned(path: &Path) {
    let age = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|modified| modified.elapsed().ok());
    if age.is_some_and(|age| age > UNFINISHED_AGE)
        && let Err(cause) = remove(path)
    {
        debug!(%cause, "an unfinished record stays for now");
    }
}

fn read(mut file: &File, path: &Path) -> Result<HostRecord, VolumeError> {
    let mut text = Vec::new();
    (&mut file)
        .take(LONGEST_BYTES)
        .read_to_end(&mut text)
        .map_err(|cause| io("read the record", path, cause))?;
    let record: HostRecord = serde_json::from_slice(&text)
        .map_err(|cause| io("understand the record", path, cause.into()))?;
    if record.version != VERSION {
        return Err(io(
            "understand the record",
            path,
            std::io::Error::other(format!("it is of version {}", record.version)),
        ));
    }
    Ok(record)
}

fn remove(path: &Path) -> Result<(), VolumeError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(io("remove the record", path, cause))
        }
        _ => Ok(()),
    }
}

fn io(operation: &'static str, path: &Path, cause: std::io::Error) -> VolumeError {
    VolumeError::io(operation, path)(cause)
}

/// An id as part of a file name.
fn plain_name(id: &str) -> String {
    id.chars()
        .take(64)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}
