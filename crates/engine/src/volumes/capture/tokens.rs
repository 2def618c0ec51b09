//! What is kept of a volume between snapshots, below the data folder: the driver's token and the digests of its blocks.
//!
//! Both belong to one snapshot and are replaced only after the next one is durable. A crash in between leaves those of the older
//! snapshot, which then is not the parent any more: everything is read, and nothing is wrong.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use snapkeep_drivers::volume::DiskToken;

/// Folder below the data folder.
const FOLDER: &str = "volume-state";

/// Where the state of volumes is kept.
#[derive(Debug, Clone)]
pub(in crate::volumes) struct VolumeState {
    folder: PathBuf,
}

impl VolumeState {
    /// That of a data folder.
    pub(in crate::volumes) fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join(FOLDER),
        }
    }

    /// For records of freezes and sockets of drivers.
    pub(in crate::volumes) fn driver_dir(&self) -> PathBuf {
        self.folder.join("driver")
    }

    /// Makes the folders. Only the owner may look into them.
    pub(in crate::volumes) fn create(&self) -> io::Result<()> {
        for folder in [
            self.driver_dir(),
            self.folder.join("tokens"),
            self.folder.join("digests"),
        ] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        Ok(())
    }

    fn token_file(&self, volume: &str) -> PathBuf {
        self.folder.join("tokens").join(format!("{volume}.json"))
    }

    /// The file of digests of a volume.
    pub(super) fn digest_file(&self, volume: &str) -> PathBuf {
        self.folder.join("digests").join(volume)
    }

    /// The token of a volume, if it starts from this snapshot; otherwise why there is none, for people.
    pub(in crate::volumes) fn token(
        &self,
        volume: &str,
        parent: Option<&str>,
    ) -> Result<DiskToken, String> {
        let parent = parent.ok_or("there is no point to build on")?;
        let bytes = fs::read(self.token_file(volume)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "nothing was noted at the point before".to_owned(),
            _ => format!("what was noted at the point before cannot be read: {error}"),
        })?;
        let token: DiskToken = serde_json::from_slice(&bytes).map_err(|error| {
            format!("what was noted at the point before cannot be understood: {error}")
        })?;
        if token.snapshot == parent {
            Ok(token)
        } else {
            Err("what was noted belongs to another point".to_owned())
        }
    }

    /// Removes all that is kept of a volume.
    pub(in crate::volumes) fn forget(&self, volume: &str) -> io::Result<()> {
        for file in [self.token_file(volume), self.digest_file(volume)] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Replaces the token of a volume. After a crash there is the old one or the new one.
    pub(in crate::volumes) fn keep_token(
        &self,
        volume: &str,
        token: Option<&DiskToken>,
    ) -> io::Result<()> {
        let file = self.token_file(volume);
        let Some(token) = token else {
            return match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        let temporary = file.with_extension("new");
        let mut new = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        new.write_all(&serde_json::to_vec(token)?)?;
        new.sync_all()?;
        fs::rename(&temporary, &file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapkeep_drivers::volume::TokenKind;

    fn token(snapshot: &str) -> DiskToken {
        DiskToken {
            kind: TokenKind::Stat,
            identity: serde_json::json!({"inode": 7}),
            size_bytes: 1,
            snapshot: snapshot.to_owned(),
        }
    }

    #[test]
    fn a_token_counts_for_the_snapshot_it_starts_from_only() {
        let folder = tempfile::tempdir().unwrap();
        let state = VolumeState::new(folder.path());
        state.create().unwrap();
        let reason = |parent| state.token("vol-abc1234", parent).unwrap_err();
        assert!(reason(Some("one")).contains("nothing was noted"));
        state
            .keep_token("vol-abc1234", Some(&token("one")))
            .unwrap();
        assert_eq!(state.token("vol-abc1234", Some("one")), Ok(token("one")));
        assert!(reason(Some("two")).contains("another point"));
        assert!(reason(None).contains("no point"));
        state.keep_token("vol-abc1234", None).unwrap();
        state.keep_token("vol-abc1234", None).unwrap();
        assert!(reason(Some("one")).contains("nothing was noted"));
        state
            .keep_token("vol-abc1234", Some(&token("two")))
            .unwrap();
        state.forget("vol-abc1234").unwrap();
        state.forget("vol-abc1234").unwrap();
        assert!(reason(Some("one")).contains("nothing was noted"));
    }
}
