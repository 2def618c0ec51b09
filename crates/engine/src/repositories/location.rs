//! Where a repository may lie.
//!
//! A location must be inside one of the allowed roots, also after symbolic links are followed. `..` is refused altogether: no
//! registration needs it.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::CreationFailure;

/// Resolves `location` (relative: against the first root) and checks it against the roots.
pub(crate) fn resolve(location: &str, roots: &[PathBuf]) -> Result<PathBuf, CreationFailure> {
    let outside = || CreationFailure::LocationOutsideRoots {
        location: location.to_owned(),
        roots_empty: roots.is_empty(),
    };
    let first_root = roots.first().ok_or_else(outside)?;
    let given = Path::new(location);
    if location.contains('\0') || given.components().any(|part| part == Component::ParentDir) {
        return Err(outside());
    }
    let path = if given.is_absolute() {
        given.to_owned()
    } else {
        first_root.join(given)
    };
    let root = roots
        .iter()
        .find(|root| path.starts_with(root))
        .ok_or_else(outside)?;
    // What exists is followed through its links; what does not exist yet cannot be a link.
    let real_root = follow_existing(root).map_err(|error| unreadable(root, &error))?;
    let real_path = follow_existing(&path).map_err(|error| unreadable(&path, &error))?;
    let real_roots = roots
        .iter()
        .filter_map(|root| follow_existing(root).ok())
        .chain([real_root]);
    if real_roots
        .into_iter()
        .any(|root| real_path.starts_with(root))
    {
        Ok(path)
    } else {
        Err(outside())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> CreationFailure {
    CreationFailure::Other(format!(
        "cannot look at {}: {error}; check its permissions",
        path.display()
    ))
}

/// The real path of the part of `path` that exists, followed by the rest as given.
fn follow_existing(path: &Path) -> io::Result<PathBuf> {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        // A dangling link exists although what it leads to does not; making a directory there would follow it.
        match std::fs::canonicalize(existing) {
            Ok(real) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(real, |path: PathBuf, name| path.join(name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if existing.is_symlink() {
                    return Err(io::Error::other("a symbolic link leads nowhere"));
                }
                let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
                    return Ok(path.to_owned());
                };
                missing.push(name);
                existing = if parent.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    parent
                };
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(location: &str, roots: &[PathBuf]) -> bool {
        matches!(
            resolve(location, roots),
            Err(CreationFailure::LocationOutsideRoots { .. })
        )
    }

    #[test]
    fn relative_locations_lie_below_the_first_root() {
        let folder = tempfile::tempdir().unwrap();
        let roots = [folder.path().join("one"), folder.path().join("two")];
        assert_eq!(
            resolve("a/b", &roots).unwrap(),
            folder.path().join("one/a/b")
        );
        let absolute = folder.path().join("two/x");
        assert_eq!(
            resolve(absolute.to_str().unwrap(), &roots).unwrap(),
            absolute
        );
    }

    #[test]
    fn everything_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let roots = [folder.path().join("one")];
        for location in [
            "/etc",
            "../x",
            "a/../../x",
            "/",
            &format!("{}/one/../x", folder.path().display()),
        ] {
            assert!(outside(location, &roots), "{location}");
        }
        assert!(outside(
            &format!("{}/one-more", folder.path().display()),
            &roots
        ));
        assert_eq!(
            resolve("x", &[]).unwrap_err().to_string(),
            "location [x] doesn't match any of the locations specified by path.repo because this setting is empty"
        );
    }

    #[test]
    fn symbolic_links_do_not_lead_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(&root).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("out")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), root.join("dangling")).unwrap();
        assert!(outside("out/x", std::slice::from_ref(&root)));
        assert!(resolve("dangling", std::slice::from_ref(&root)).is_err());
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("within")).unwrap();
        assert!(resolve("within/x", &[root]).is_ok());
    }
}
