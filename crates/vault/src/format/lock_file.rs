//! Lock files: who is working on the repository.

use super::{Compressor, FormatError, MasterKey, Time, unpacked};
use serde::{Deserialize, Serialize};

/// One file below `locks/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    /// When the lock was taken or last refreshed.
    pub time: Time,
    /// Whether nobody else may work on the repository.
    pub exclusive: bool,
    /// Host of the holder.
    #[serde(default)]
    pub hostname: String,
    /// User of the holder.
    #[serde(default)]
    pub username: String,
    /// Process of the holder.
    #[serde(default)]
    pub pid: u32,
    /// User number of the holder, 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// Group number of the holder, 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl LockFile {
    /// The file as stored.
    pub fn seal(
        &self,
        key: &MasterKey,
        compressor: &mut Compressor,
    ) -> Result<Vec<u8>, FormatError> {
        let json = serde_json::to_vec(self).map_err(|error| FormatError::json(&error))?;
        unpacked::encode(key, compressor, &json)
    }

    /// Opens the file.
    pub fn open(key: &MasterKey, file: &[u8]) -> Result<Self, FormatError> {
        Self::parse(&unpacked::decode(key, file)?)
    }

    /// Reads the plain JSON.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        serde_json::from_slice(json).map_err(|error| FormatError::json(&error))
    }

    /// The holder in words.
    pub fn holder(&self) -> String {
        format!("{}@{} (process {})", self.username, self.hostname, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_comes_back() {
        let key = MasterKey::generate();
        let lock = LockFile {
            time: Time::now(),
            exclusive: false,
            hostname: "host".into(),
            username: "root".into(),
            pid: 42,
            uid: 0,
            gid: 7,
        };
        let file = lock.seal(&key, &mut Compressor::new(3).unwrap()).unwrap();
        assert_eq!(LockFile::open(&key, &file).unwrap(), lock);
        assert_eq!(lock.holder(), "root@host (process 42)");
    }

    #[test]
    fn locks_of_restic_are_read() {
        let json = br#"{"time":"2024-05-01T10:00:00.123456789+02:00","exclusive":true,"hostname":"h","username":"root","pid":1234}"#;
        let lock = LockFile::parse(json).unwrap();
        assert!(lock.exclusive);
        assert_eq!((lock.pid, lock.uid), (1234, 0));
    }
}
