//! The password of this server's repositories.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use snapkeep_vault::Password;

use crate::error::EngineError;

/// Name of the file in the data folder.
const FILE: &str = "repository.key";

/// Reads the password, or makes one at the first start.
pub(crate) fn load_or_create(data_dir: &Path) -> Result<Password, EngineError> {
    let path = data_dir.join(FILE);
    let problem = |operation: &str, cause: &dyn std::fmt::Display| {
        EngineError::Configuration(format!(
            "cannot {operation} the repository password {}: {cause}; check the permissions of the data folder",
            path.display()
        ))
    };
    match std::fs::read(&path) {
        Ok(text) => {
            let password = text.trim_ascii_end();
            if password.is_empty() {
                return Err(problem(
                    "use",
                    &"the file is empty; put the password back from your copy",
                ));
            }
            return Ok(Password::new(password));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(problem("read", &error)),
    }
    let password = Password::generate();
    write_durably(data_dir, &path, &password).map_err(|error| problem("write", &error))?;
    tracing::warn!(
        path = %path.display(),
        "a repository password was generated; copy this file to a safe place: without it no snapshot can ever be read again"
    );
    Ok(password)
}

/// Under another name first, so that a crash leaves either no password or a whole one.
fn write_durably(data_dir: &Path, path: &Path, password: &Password) -> std::io::Result<()> {
    let temporary = data_dir.join("repository.key.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(password.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_password_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = load_or_create(folder.path()).unwrap();
        let second = load_or_create(folder.path()).unwrap();
        assert_eq!(first.as_bytes(), second.as_bytes());
        let mode = std::fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
