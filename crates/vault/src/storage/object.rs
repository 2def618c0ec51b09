//! A storage on top of `object_store`: a folder of this machine, or memory.

mod local;

use super::{FileEntry, FileKind, PutMode, Storage, StorageError, StorageErrorKind};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    Error as StoreError, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore,
    ObjectStoreExt, PutOptions, PutPayload,
};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Files in an object store. Blocking calls wait on the runtime of the handle, so that they must come from plain
/// threads (or from `spawn_blocking`), and the runtime must outlive the storage.
#[derive(Debug, Clone)]
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    /// The folder, if it is one of this machine.
    root: Option<PathBuf>,
    location: String,
}

impl ObjectStorage {
    /// An empty storage in memory.
    pub fn memory(runtime: Handle) -> Self {
        Self {
            store: Arc::new(InMemory::new()),
            runtime,
            root: None,
            location: "memory".to_owned(),
        }
    }

    fn error(
        &self,
        operation: &'static str,
        file: (FileKind, &str),
        cause: StoreError,
    ) -> StorageError {
        let kind = error_kind(&cause);
        StorageError::new(kind, operation, file, self.location.as_str(), cause)
    }

    fn other(
        &self,
        operation: &'static str,
        file: (FileKind, &str),
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StorageError {
        let kind = StorageErrorKind::Other;
        StorageError::new(kind, operation, file, self.location.as_str(), cause)
    }

    fn io_error(
        &self,
        operation: &'static str,
        file: (FileKind, &str),
        cause: io::Error,
    ) -> StorageError {
        let kind = io_error_kind(&cause);
        StorageError::new(kind, operation, file, self.location.as_str(), cause)
    }

    fn object_path(
        &self,
        operation: &'static str,
        file: (FileKind, &str),
    ) -> Result<ObjectPath, StorageError> {
        let (kind, name) = file;
        let path = kind
            .path(name)
            .ok_or_else(|| self.other(operation, file, "the name is not allowed"))?;
        Ok(ObjectPath::from(path))
    }

    /// Reads what was answered. Files of this machine are read by the calling thread in one go: as a stream they come in
    /// pieces of 8 KiB, ten times slower.
    fn read_answer(
        &self,
        answer: GetResult,
        file: (FileKind, &str),
    ) -> Result<Bytes, StorageError> {
        let expected = answer.range.end - answer.range.start;
        let bytes = match answer.payload {
            GetResultPayload::File(ref source, _) => {
                read_file_range(source, answer.range.start, expected)
                    .map(Bytes::from)
                    .map_err(|cause| self.io_error("reading", file, cause))?
            }
            GetResultPayload::Stream(_) => self
                .runtime
                .block_on(answer.bytes())
                .map_err(|cause| self.error("reading", file, cause))?,
        };
        if bytes.len() as u64 == expected {
            Ok(bytes)
        } else {
            let cause = format!("{} bytes came instead of {expected}", bytes.len());
            Err(self.other("reading", file, cause))
        }
    }
}

fn read_file_range(mut file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let capacity = usize::try_from(len).map_err(io::Error::other)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(capacity);
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Storage for ObjectStorage {
    fn put(
        &self,
        kind: FileKind,
        name: &str,
        data: Bytes,
        mode: PutMode,
    ) -> Result<(), StorageError> {
        let file = (kind, name);
        let path = self.object_path("writing", file)?;
        if let (FileKind::Config, Some(root)) = (kind, &self.root) {
            local::make_folders(root).map_err(|cause| self.io_error("writing", file, cause))?;
        }
        let mode = match mode {
            PutMode::Overwrite => object_store::PutMode::Overwrite,
            PutMode::Create => object_store::PutMode::Create,
        };
        let put = self
            .store
            .put_opts(&path, PutPayload::from(data), PutOptions::from(mode));
        self.runtime
            .block_on(put)
            .map(drop)
            .map_err(|cause| self.error("writing", file, cause))
    }

    fn get(&self, kind: FileKind, name: &str) -> Result<Bytes, StorageError> {
        let file = (kind, name);
        let path = self.object_path("reading", file)?;
        let answer = self
            .runtime
            .block_on(self.store.get_opts(&path, GetOptions::default()))
            .map_err(|cause| self.error("reading", file, cause))?;
        self.read_answer(answer, file)
    }

    fn get_range(
        &self,
        kind: FileKind,
        name: &str,
        offset: u64,
        len: u64,
    ) -> Result<Bytes, StorageError> {
        let file = (kind, name);
        let path = self.object_path("reading", file)?;
        let beyond = |size: u64| {
            let cause =
                format!("{len} bytes at {offset} were asked for, the file has only {size} bytes");
            self.other("reading", file, cause)
        };
        let end = offset.checked_add(len).ok_or_else(|| beyond(0))?;
        if len == 0 {
            let size = self.size(kind, name)?;
            return if offset <= size {
                Ok(Bytes::new())
            } else {
                Err(beyond(size))
            };
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(offset..end)),
            ..GetOptions::default()
        };
        let answer = self
            .runtime
            .block_on(self.store.get_opts(&path, options))
            .map_err(|cause| self.error("reading", file, cause))?;
        if answer.range != (offset..end) {
            return Err(beyond(answer.meta.size));
        }
        self.read_answer(answer, file)
    }

    fn list(&self, kind: FileKind) -> Result<Vec<FileEntry>, StorageError> {
        if kind == FileKind::Config {
            return match self.size(kind, "") {
                Ok(size_bytes) => Ok(vec![FileEntry {
                    name: "config".to_owned(),
                    size_bytes,
                }]),
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let prefix = ObjectPath::from(kind.folder());
        let entries = self.store.list(Some(&prefix)).try_filter_map(|object| {
            let entry = kind
                .name_of(object.location.as_ref())
                .map(|name| FileEntry {
                    name: name.to_owned(),
                    size_bytes: object.size,
                });
            std::future::ready(Ok(entry))
        });
        let mut entries: Vec<FileEntry> = self
            .runtime
            .block_on(entries.try_collect())
            .map_err(|cause| self.error("listing", (kind, ""), cause))?;
        // Folders of this machine come in no order.
        entries.sort_unstable();
        Ok(entries)
    }

    fn size(&self, kind: FileKind, name: &str) -> Result<u64, StorageError> {
        let file = (kind, name);
        let path = self.object_path("reading", file)?;
        self.runtime
            .block_on(self.store.head(&path))
            .map(|meta| meta.size)
            .map_err(|cause| self.error("reading", file, cause))
    }

    fn delete(&self, kind: FileKind, name: &str) -> Result<(), StorageError> {
        let file = (kind, name);
        let path = self.object_path("removing", file)?;
        match self.runtime.block_on(self.store.delete(&path)) {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(cause) => return Err(self.error("removing", file, cause)),
        }
        match (&self.root, kind.removal_lasts()) {
            (Some(root), true) => local::sync_folder_of(root, path.as_ref())
                .map_err(|cause| self.io_error("removing", file, cause)),
            _ => Ok(()),
        }
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

fn error_kind(error: &StoreError) -> StorageErrorKind {
    match error {
        StoreError::NotFound { .. } => return StorageErrorKind::NotFound,
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => {
            return StorageErrorKind::AlreadyExists;
        }
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            return StorageErrorKind::PermissionDenied;
        }
        _ => {}
    }
    // A full disk is a generic error whose cause, some levels down, is the one of the operating system.
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return io_error_kind(error);
        }
        cause = error.source();
    }
    StorageErrorKind::Other
}

fn io_error_kind(error: &io::Error) -> StorageErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => StorageErrorKind::NotFound,
        Io::AlreadyExists => StorageErrorKind::AlreadyExists,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => StorageErrorKind::PermissionDenied,
        Io::StorageFull | Io::QuotaExceeded => StorageErrorKind::NoSpace,
        Io::TimedOut
        | Io::Interrupted
        | Io::ConnectionRefused
        | Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::NotConnected
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::NetworkDown
        | Io::StaleNetworkFileHandle
        | Io::ResourceBusy => StorageErrorKind::Unavailable,
        _ => StorageErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::battery;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap()
    }

    #[test]
    fn memory_keeps_the_contract() {
        let runtime = runtime();
        battery::run(&ObjectStorage::memory(runtime.handle().clone()));
    }

    #[test]
    fn causes_of_the_operating_system_are_found_below_generic_errors() {
        let full = StoreError::Generic {
            store: "test",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        };
        assert_eq!(error_kind(&full), StorageErrorKind::NoSpace);
    }
}
