//! Stock restic on the demo's repository, where it is installed.

use std::path::Path;

use super::story::Story;
use crate::exit::Failure;

/// What restic needs, and where it may cache.
#[derive(Debug)]
pub struct Restic<'a> {
    /// The repository's folder.
    pub repository: &'a Path,
    /// File with the password.
    pub password_file: &'a Path,
    /// Folder for restic's cache.
    pub cache: &'a Path,
}

impl Restic<'_> {
    /// Whether `restic` is on PATH.
    pub fn is_installed() -> bool {
        let Some(path) = std::env::var_os("PATH") else {
            return false;
        };
        std::env::split_paths(&path).any(|folder| folder.join("restic").is_file())
    }

    /// Runs restic, shows the last `lines` of what it says, and fails when it does.
    pub async fn run(
        &self,
        arguments: &[&str],
        lines: usize,
        story: &Story,
    ) -> Result<String, Failure> {
        story.command(&format!("restic {}", arguments.join(" ")));
        let mut command = std::process::Command::new("restic");
        command
            .args(arguments)
            .env("RESTIC_REPOSITORY", self.repository)
            .env("RESTIC_PASSWORD_FILE", self.password_file)
            .env("RESTIC_CACHE_DIR", self.cache)
            .env_remove("RESTIC_PASSWORD")
            .stdin(std::process::Stdio::null());
        let done = tokio::task::spawn_blocking(move || command.output())
            .await
            .map_err(Failure::failed)??;
        let output = String::from_utf8_lossy(&done.stdout).into_owned();
        let said: Vec<&str> = output
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let shown = said
            .iter()
            .skip(said.len().saturating_sub(lines))
            .map(|line| clipped(line))
            .collect::<Vec<_>>();
        story.answer(&shown.join("\n"));
        if done.status.success() {
            return Ok(output);
        }
        Err(Failure::failed(format!(
            "restic {} ended with {}: {}",
            arguments.join(" "),
            done.status,
            String::from_utf8_lossy(&done.stderr)
        )))
    }
}

fn clipped(line: &str) -> String {
    const WIDTH: usize = 140;
    if line.chars().count() <= WIDTH {
        line.to_owned()
    } else {
        line.chars().take(WIDTH).chain("…".chars()).collect()
    }
}
