//! What a crash leaves of volumes and images that were being made.

use std::path::Path;
use std::sync::Arc;

use super::ids::IdKind;
use crate::engine::Inner;
use crate::error::EngineError;

/// Removes it. Called before any new work.
pub(crate) async fn remove_leftovers(inner: &Arc<Inner>) -> Result<(), EngineError> {
    inner
        .blocking(|inner| {
            let volumes = &inner.config.volumes;
            remove_unfinished(&volumes.folder, IdKind::Volume);
            remove_unfinished(&volumes.images_folder, IdKind::Image);
            Ok(())
        })
        .await
}

/// Only names that are made here are touched.
fn remove_unfinished(folder: &Path, kind: IdKind) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(made) = name
            .strip_prefix('.')
            .and_then(|name| name.strip_suffix(".snapkeep-new"))
        else {
            continue;
        };
        let id = made.split_once('.').map_or(made, |(id, _)| id);
        if !kind.matches(id) {
            continue;
        }
        let path = entry.path();
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Ok(()) => tracing::info!(path = %path.display(), "removed what a crash left"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove what a crash left");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_files_of_our_own_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            ".vol-ABC1234.raw.snapkeep-new",
            "vol-ABC1234.raw",
            ".web.raw.snapkeep-new",
            ".vol-ABC1234.raw",
            "notes.txt",
        ];
        for name in names {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_unfinished(folder.path(), IdKind::Volume);
        let is_there = |name: &&str| folder.path().join(name).exists();
        assert_eq!(
            names.iter().filter(|name| is_there(name)).count(),
            names.len() - 1
        );
        assert!(!is_there(&names[0]));
        remove_unfinished(&folder.path().join("missing"), IdKind::Image);
    }
}
