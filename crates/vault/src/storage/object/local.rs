//! What a folder of this machine needs beyond what `object_store` does.
//!
//! `object_store` writes a file under the name `name#1`, syncs it, renames it and syncs the folder. It does not
//! sync removals, does not remove what a crash left half-written, and makes folders one by one.

use super::ObjectStorage;
use crate::storage::{FileKind, StorageError};
use object_store::local::LocalFileSystem;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;

/// Half-written files younger than this may belong to a writer that is still at work: the largest pack takes
/// minutes even on a slow disk.
const STAGING_MIN_AGE: Duration = Duration::from_secs(24 * 3600);

impl ObjectStorage {
    /// Files in the folder `directory` of this machine, which is made if it is not there. Half-written files that a crash left more than a day
    /// ago are removed.
    pub fn local(directory: &Path, runtime: Handle) -> Result<Self, StorageError> {
        let location = directory.display().to_string();
        let failed = |cause: io::Error| {
            let kind = super::io_error_kind(&cause);
            StorageError::new(
                kind,
                "opening",
                (FileKind::Config, ""),
                location.clone(),
                cause,
            )
        };
        make_folder(directory).map_err(failed)?;
        let root = directory.canonicalize().map_err(failed)?;
        sweep_staging(&root, STAGING_MIN_AGE).map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(&root)
            .map_err(|cause| failed(io::Error::other(cause)))?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            runtime,
            root: Some(root),
            location,
        })
    }
}

/// Makes and syncs every folder of a repository. With 256 of them made once, no upload has to sync a chain of new folders.
pub(super) fn make_folders(root: &Path) -> io::Result<()> {
    let data = root.join(FileKind::Data.folder());
    if data.join("ff").is_dir() {
        return Ok(());
    }
    for kind in FileKind::ALL {
        if !matches!(kind, FileKind::Config | FileKind::Side) {
            fs::create_dir_all(root.join(kind.folder()))?;
        }
    }
    // In ascending order: when `ff` is there, all are.
    for number in 0..=255 {
        let folder = data.join(format!("{number:02x}"));
        fs::create_dir_all(&folder)?;
        sync_folder(&folder)?;
    }
    sync_folder(&data)?;
    sync_folder(root)
}

/// Makes the folder and every missing one above it; each is durable when this returns.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| *parent != Path::new(""));
    if let Some(parent) = parent {
        make_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Makes a removal in the folder of the file durable. A folder that is gone has nothing to lose.
pub(super) fn sync_folder_of(root: &Path, path: &str) -> io::Result<()> {
    let file = root.join(path);
    match sync_folder(file.parent().unwrap_or(root)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes files `name#N` that nobody can be writing any more.
fn sweep_staging(root: &Path, min_age: Duration) -> io::Result<()> {
    let Some(newest) = SystemTime::now().checked_sub(min_age) else {
        return Ok(());
    };
    sweep_folder(root, newest)?;
    for kind in FileKind::ALL {
        if kind == FileKind::Config {
            continue;
        }
        sweep_tree(&root.join(kind.folder()), newest)?;
    }
    Ok(())
}

fn sweep_tree(folder: &Path, newest: SystemTime) -> io::Result<()> {
    for subfolder in sweep_folder(folder, newest)? {
        sweep_tree(&subfolder, newest)?;
    }
    Ok(())
}

/// Sweeps one folder and returns the folders in it. What another process removes meanwhile is no error.
fn sweep_folder(folder: &Path, newest: SystemTime) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
            continue;
        }
        let is_staging = entry.file_name().to_str().is_some_and(is_staging_name);
        let is_old = || {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            modified.is_ok_and(|modified| modified <= newest)
        };
        if is_staging && is_old() {
            tracing::info!(path = %entry.path().display(), "removing a half-written file that a crash left");
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(folders)
}

fn is_staging_name(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{PutMode, Storage, StorageErrorKind, battery};
    use bytes::Bytes;

    fn with_storage(test: impl FnOnce(&Path, &ObjectStorage, &Handle)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        let storage = ObjectStorage::local(&root, runtime.handle().clone()).unwrap();
        test(&root, &storage, runtime.handle());
    }

    #[test]
    fn a_folder_keeps_the_contract() {
        with_storage(|_, storage, _| battery::run(storage));
    }

    #[test]
    fn files_survive_and_all_folders_are_made_with_the_config() {
        with_storage(|root, storage, runtime| {
            let data = Bytes::from_static(b"x");
            storage
                .put(FileKind::Config, "", data, PutMode::Create)
                .unwrap();
            assert!(root.join("data/00").is_dir() && root.join("data/ff").is_dir());
            let again = ObjectStorage::local(root, runtime.clone()).unwrap();
            assert_eq!(again.get(FileKind::Config, "").unwrap(), "x");
        });
    }

    #[test]
    fn half_written_files_are_hidden_and_old_ones_are_swept() {
        with_storage(|root, storage, _| {
            let name = "ab".repeat(32);
            storage
                .put(FileKind::Data, &name, Bytes::new(), PutMode::Create)
                .unwrap();
            let staging = root.join(format!("data/ab/{name}#1"));
            fs::write(&staging, "half").unwrap();
            fs::write(root.join("config#7"), "half").unwrap();
            assert_eq!(storage.list(FileKind::Data).unwrap().len(), 1);

            sweep_staging(root, STAGING_MIN_AGE).unwrap();
            assert!(staging.exists(), "a young one may be in use");
            sweep_staging(root, Duration::ZERO).unwrap();
            assert!(!staging.exists() && !root.join("config#7").exists());
            assert_eq!(storage.list(FileKind::Data).unwrap().len(), 1);
        });
    }

    #[test]
    fn a_place_that_cannot_be_a_folder_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = ObjectStorage::local(&file.path().join("x"), runtime.handle().clone());
        let error = error.unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Other);
        let message = error.to_string();
        assert!(
            message.contains(&file.path().display().to_string()),
            "{message}"
        );
    }
}
