//! Marks: packs that have left the index and wait for the end of those who may still count on them.
//!
//! A mark is two files of our own in `snapkeep/prune/`. The first, written before the index changes, names the packs with all they
//! hold, so that they can be put back. The second, written after the index has changed, names the writers that were at work then:
//! the mark is *sealed*. A crash in between leaves an unsealed mark; it is sealed later, which only makes the wait longer.

use crate::cancel::CancelFlag;
use crate::error::VaultError;
use crate::format::{Compressor, DEFAULT_LEVEL, IndexPack, Time, unpacked};
use crate::repository::{Repository, retry};
use crate::storage::{FileKind, PutMode};
use bytes::Bytes;
use rand::Rng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::OnceLock;

const FOLDER: &str = "prune/";
const SEAL_SUFFIX: &str = ".sealed";
const FORMAT: u32 = 1;

/// Packs that are no longer in the index.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Version of this structure.
    format: u32,
    /// When it was written.
    time: Time,
    /// What the index said of the packs.
    pub(super) packs: Vec<IndexPack>,
}

/// Who worked in the repository when the packs had left the index.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seal {
    format: u32,
    time: Time,
    /// Other processes.
    writers: Vec<Writer>,
    /// The process that sealed, which knows its own writers exactly.
    own: Writer,
    own_token: String,
    own_generation: u64,
    own_had_writers: bool,
}

/// A process that holds a lock. Lock files change their names when they are refreshed; the process does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Writer {
    hostname: String,
    pid: u32,
}

/// A mark as found in the repository.
pub(super) struct StoredMark {
    pub(super) name: String,
    pub(super) mark: Mark,
    pub(super) seal: Option<Seal>,
}

/// Writes the first half of a mark and returns its name.
pub(super) fn write_mark(
    repository: &Repository,
    packs: Vec<IndexPack>,
) -> Result<StoredMark, VaultError> {
    let name = format!("{FOLDER}{:032x}", rand::rng().random::<u128>());
    let mark = Mark {
        format: FORMAT,
        time: Time::now(),
        packs,
    };
    put(repository, &name, &mark)?;
    Ok(StoredMark {
        name,
        mark,
        seal: None,
    })
}

/// Writes the second half of a mark: the index no longer names its packs.
pub(super) fn seal(repository: &Repository, stored: &mut StoredMark) -> Result<(), VaultError> {
    let own = repository.writers();
    let seal = Seal {
        format: FORMAT,
        time: Time::now(),
        own: this_process(repository),
        own_token: process_token().to_owned(),
        own_generation: own.next_generation(),
        own_had_writers: !own.running().is_empty(),
        writers: other_writers(repository)?,
    };
    put(repository, &format!("{}{SEAL_SUFFIX}", stored.name), &seal)?;
    stored.seal = Some(seal);
    Ok(())
}

/// All marks of the repository. One that cannot be read is reported and left alone: its packs are in no index, and the next prune
/// finds them again as such.
pub(super) fn read_marks(repository: &Repository) -> Result<Vec<StoredMark>, VaultError> {
    let names: Vec<String> = repository
        .storage()
        .list(FileKind::Side)?
        .into_iter()
        .map(|entry| entry.name)
        .filter(|name| name.starts_with(FOLDER))
        .collect();
    let mut marks = Vec::new();
    for name in names.iter().filter(|name| is_mark(name)) {
        let seal_name = format!("{name}{SEAL_SUFFIX}");
        let seal = if names.contains(&seal_name) {
            get::<Seal>(repository, &seal_name)?
        } else {
            None
        };
        match get::<Mark>(repository, name)? {
            Some(mark) => marks.push(StoredMark {
                name: name.clone(),
                mark,
                seal,
            }),
            None => remove(repository, name)?,
        }
    }
    Ok(marks)
}

/// Removes a mark that is done with. The seal goes last: without its mark it means nothing.
pub(super) fn remove(repository: &Repository, name: &str) -> Result<(), VaultError> {
    for name in [name.to_owned(), format!("{name}{SEAL_SUFFIX}")] {
        retry(&CancelFlag::new(), || {
            repository.storage().delete(FileKind::Side, &name)
        })?;
    }
    Ok(())
}

/// Whether someone who was at work when the mark was sealed still is.
pub(super) fn is_waiting(repository: &Repository, seal: &Seal) -> Result<bool, VaultError> {
    let others = other_writers(repository)?;
    if seal.writers.iter().any(|writer| others.contains(writer)) {
        return Ok(true);
    }
    if seal.own_token == process_token() {
        let running = repository.writers().running();
        return Ok(running
            .iter()
            .any(|writer| writer.generation < seal.own_generation));
    }
    Ok(seal.own_had_writers && others.contains(&seal.own))
}

/// Holders of fresh locks, this process left out: its own writers are known exactly.
fn other_writers(repository: &Repository) -> Result<Vec<Writer>, VaultError> {
    let locks = repository.locks()?;
    Ok(locks
        .into_iter()
        .filter(|info| !info.is_stale && !info.is_own)
        .map(|info| Writer {
            hostname: info.lock.hostname,
            pid: info.lock.pid,
        })
        .collect())
}

fn this_process(repository: &Repository) -> Writer {
    Writer {
        hostname: repository.options().hostname.clone(),
        pid: std::process::id(),
    }
}

/// Tells this run of the program from others that had or will have the same process number.
pub(super) fn process_token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| format!("{:032x}", rand::rng().random::<u128>()))
}

fn is_mark(name: &str) -> bool {
    name.strip_prefix(FOLDER)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn put<T: Serialize>(repository: &Repository, name: &str, value: &T) -> Result<(), VaultError> {
    let internal =
        |error: String| VaultError::Internal(format!("{name} cannot be encoded: {error}"));
    let json = serde_json::to_vec(value).map_err(|error| internal(error.to_string()))?;
    let sealed = Compressor::new(DEFAULT_LEVEL)
        .and_then(|mut compressor| {
            unpacked::encode(repository.master_key(), &mut compressor, &json)
        })
        .map_err(|error| internal(error.to_string()))?;
    let bytes = Bytes::from(sealed);
    retry(&CancelFlag::new(), || {
        repository
            .storage()
            .put(FileKind::Side, name, bytes.clone(), PutMode::Overwrite)
    })
}

/// `None` if the file is damaged: marks are an optimisation, and damage to one must not keep the repository from being pruned.
fn get<T: DeserializeOwned>(repository: &Repository, name: &str) -> Result<Option<T>, VaultError> {
    let bytes = retry(&CancelFlag::new(), || {
        repository.storage().get(FileKind::Side, name)
    })?;
    let parsed = unpacked::decode(repository.master_key(), &bytes)
        .map_err(|error| error.to_string())
        .and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()));
    match parsed {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            tracing::warn!(name, error, "a damaged prune mark is dropped");
            Ok(None)
        }
    }
}
