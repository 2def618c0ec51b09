//! Small things about files that several parts need.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::VolumeError;

/// The longest path of a UNIX socket, in bytes (`sun_path` with its end).
const LONGEST_SOCKET_PATH: usize = 107;

/// What the names of private folders begin with.
const PREFIX: &str = "snapkeep-";
/// A file in each of them that is locked as long as its owner lives.
const OWNER: &str = "owner";

/// A folder that only this user may look into, removed with all in it when dropped.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    path: PathBuf,
    /// Locked; the system unlocks it when this process ends, however that happens.
    _owner: File,
}

impl PrivateFolder {
    /// Makes one in which a socket of the name `socket` has a path of usable length: below `preferred`, or else with the
    /// system's temporary files.
    pub(super) fn for_socket(preferred: &Path, socket: &str) -> Result<Self, VolumeError> {
        let name = format!("{PREFIX}{}", random_hex());
        let fits = |parent: &Path| {
            parent.join(&name).join(socket).as_os_str().len() <= LONGEST_SOCKET_PATH
        };
        let parent = if preferred.is_absolute() && fits(preferred) {
            fs::create_dir_all(preferred)
                .map_err(VolumeError::io("create the folder", preferred))?;
            preferred.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(VolumeError::io("create the folder", &path))?;
        let owner = path.join(OWNER);
        let file = File::create(&owner).map_err(VolumeError::io("create", &owner))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(VolumeError::io("lock", &owner))?;
        Ok(Self { path, _owner: file })
    }

    /// The folders below `parent` whose process is gone; each is removed when its value is dropped.
    pub(super) fn left_over(parent: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(parent) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter(|entry| {
                let name = entry.file_name();
                name.to_str().is_some_and(|name| name.starts_with(PREFIX))
            })
            .filter_map(|entry| {
                let path = entry.path();
                let owner = File::open(path.join(OWNER)).ok()?;
                flock(&owner, FlockOperation::NonBlockingLockExclusive).ok()?;
                Some(Self {
                    path,
                    _owner: owner,
                })
            })
            .collect()
    }

    /// A path in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What cannot be removed is an empty socket or a few lines of text; nobody is waiting for it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// 16 hexadecimal digits that are not used yet.
pub(super) fn random_hex() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Where an external program is, by `PATH`.
pub(super) fn find_tool(tool: &str, package: &str) -> Result<PathBuf, VolumeError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(tool))
        .find(|program| program.is_file())
        .ok_or_else(|| VolumeError::ToolMissing {
            tool: tool.to_owned(),
            package: package.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_folder_is_private_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::for_socket(&parent.path().join("state"), "s").unwrap();
        let path = folder.join("");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        fs::write(folder.join("s"), "").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_crash_left_is_found_and_what_is_in_use_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let used = PrivateFolder::for_socket(parent.path(), "s").unwrap();
        let crashed = parent.path().join("snapkeep-0123456789abcdef");
        fs::create_dir(&crashed).unwrap();
        fs::write(crashed.join(OWNER), "").unwrap();
        fs::write(crashed.join("stderr"), "words").unwrap();
        fs::create_dir(parent.path().join("hosts")).unwrap();
        let left = PrivateFolder::left_over(parent.path());
        assert_eq!(left.len(), 1);
        drop(left);
        assert!(!crashed.exists());
        assert!(used.join("").exists());
        assert!(parent.path().join("hosts").exists());
    }

    #[test]
    fn sockets_never_get_too_long_a_path() {
        let long = std::env::temp_dir().join("x".repeat(100));
        let folder = PrivateFolder::for_socket(&long, "socket").unwrap();
        assert!(folder.join("socket").as_os_str().len() <= LONGEST_SOCKET_PATH);
        assert!(!long.exists());
    }

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let text = find_tool("no-such-program", "qemu-utils")
            .unwrap_err()
            .to_string();
        assert!(text.contains("install the package qemu-utils"), "{text}");
    }
}
