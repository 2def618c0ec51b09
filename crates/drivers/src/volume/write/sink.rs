//! Writing a file from its beginning to its end, with its checksum.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::VolumeError;
use super::staged::failed;
use super::{Checksum, WriteProgress};

/// What is read at once to hash a file that is written already.
const HASHED_BYTES: usize = 1 << 20;

/// A file at a position, that counts what goes into it and hashes it when that is wanted.
pub(super) struct Sink<'a> {
    file: &'a File,
    path: PathBuf,
    position: u64,
    written: u64,
    hash: Option<Sha256>,
}

impl<'a> Sink<'a> {
    /// Writes from `position` on.
    pub(super) fn new(file: &'a File, path: &Path, position: u64, checksum: Checksum) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            position,
            written: 0,
            hash: (checksum == Checksum::Sha256).then(Sha256::new),
        }
    }

    /// How much has gone into it, in bytes.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Adds `data`.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), VolumeError> {
        let at = self.position + self.written;
        self.file
            .write_all_at(data, at)
            .map_err(failed(format!("write at {at} of"), &self.path))?;
        self.count(data);
        Ok(())
    }

    /// Adds zeros that are left out of the file: its length has to be set to cover them.
    pub(super) fn skip_zeros(
        &mut self,
        bytes: u64,
        progress: &WriteProgress,
    ) -> Result<(), VolumeError> {
        if self.hash.is_none() {
            self.written += bytes;
            return Ok(());
        }
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut left = bytes;
        let mut rounds: u32 = 0;
        while left > 0 {
            if rounds.is_multiple_of(1024) {
                progress.check()?;
            }
            rounds = rounds.wrapping_add(1);
            let piece = ZEROS.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.count(&ZEROS[..piece]);
            left -= piece as u64;
        }
        Ok(())
    }

    fn count(&mut self, data: &[u8]) {
        self.written += data.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(data);
        }
    }

    /// The checksum in hexadecimal.
    pub(super) fn finish(self) -> Option<String> {
        self.hash.map(|hash| hex::encode(hash.finalize()))
    }
}

/// SHA-256 of a whole file that is written already, in hexadecimal.
pub(super) fn hash_file(
    file: &File,
    path: &Path,
    progress: &WriteProgress,
) -> Result<String, VolumeError> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; HASHED_BYTES];
    let mut position = 0;
    loop {
        progress.check()?;
        match file.read_at(&mut buffer, position) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(read) => {
                hash.update(&buffer[..read]);
                position += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(VolumeError::io("read back", path)(error)),
        }
    }
}

/// Writes a small new file and makes it durable.
pub(super) fn write_small_file(path: &Path, data: &[u8]) -> Result<(), VolumeError> {
    let mut file = File::create_new(path).map_err(failed("create", path))?;
    file.write_all(data).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("make durable", path))
}
