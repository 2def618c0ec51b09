//! The tools that are measured, each behind the same seven jobs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::measure::{self, Cost};

/// One job of a tool on one corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// First backup into an empty repository.
    First,
    /// Backup again with nothing changed.
    Unchanged,
    /// Backup after the corpus has changed.
    Changed,
    /// Restore of the latest snapshot.
    Restore,
    /// Check of structure and every byte.
    Check,
    /// The first snapshot is dropped and its space reclaimed.
    Prune,
}

impl Job {
    /// All jobs in the order in which they are run.
    pub const ALL: [Job; 6] = [
        Job::First,
        Job::Unchanged,
        Job::Changed,
        Job::Restore,
        Job::Check,
        Job::Prune,
    ];

    /// The words of the report.
    pub fn label(self) -> &'static str {
        match self {
            Job::First => "first backup",
            Job::Unchanged => "unchanged",
            Job::Changed => "changed",
            Job::Restore => "restore",
            Job::Check => "check, all data",
            Job::Prune => "prune first",
        }
    }
}

/// A backup tool as installed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Our engine, as a process of its own.
    Snapkeep,
    /// Stock restic at its defaults.
    Restic,
    /// rustic at its defaults.
    Rustic,
    /// borg at its defaults (lz4).
    Borg,
}

const PASSWORD: &str = "benchmark";

impl Tool {
    /// The tools that can be started here; ours is always one of them.
    pub fn available() -> Vec<Tool> {
        [Tool::Snapkeep, Tool::Restic, Tool::Rustic, Tool::Borg]
            .into_iter()
            .filter(|tool| *tool == Tool::Snapkeep || tool.version().is_some())
            .collect()
    }

    /// The name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Snapkeep => "snapkeep",
            Tool::Restic => "restic",
            Tool::Rustic => "rustic",
            Tool::Borg => "borg",
        }
    }

    /// First line of what the tool says of its version; `None` where it is not installed.
    pub fn version(self) -> Option<String> {
        let argument = if self == Tool::Restic {
            "version"
        } else {
            "--version"
        };
        let output = Command::new(self.name()).arg(argument).output().ok()?;
        Some(
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .next()?
                .to_owned(),
        )
    }

    /// Makes an empty repository below `dir`.
    pub fn initialise(self, dir: &Path) -> Result<Place> {
        let place = Place {
            tool: self,
            dir: dir.join(self.name()),
        };
        if place.dir.exists() {
            fs::remove_dir_all(&place.dir)?;
        }
        fs::create_dir_all(&place.dir)?;
        match self {
            Tool::Snapkeep => measure::run(place.command()?.arg("init").arg(place.repository()))?,
            Tool::Restic => measure::run(place.command()?.arg("init"))?,
            Tool::Rustic => measure::run(place.command()?.arg("init"))?,
            Tool::Borg => measure::run(
                place
                    .command()?
                    .args(["init", "-e", "repokey"])
                    .arg(place.repository()),
            )?,
        };
        Ok(place)
    }
}

/// A repository of one tool and the caches that go with it.
pub struct Place {
    /// The tool that owns it.
    pub tool: Tool,
    dir: PathBuf,
}

impl Place {
    /// The repository folder.
    pub fn repository(&self) -> PathBuf {
        self.dir.join("repository")
    }

    /// Where [`Job::Restore`] puts the files.
    pub fn restored(&self) -> PathBuf {
        self.dir.join("restored")
    }

    /// Runs one job and returns its cost.
    pub fn run(&self, job: Job, corpus: &Path) -> Result<Cost> {
        if job == Job::Restore && self.restored().exists() {
            fs::remove_dir_all(self.restored())?;
        }
        let mut command = self.command()?;
        match self.tool {
            Tool::Snapkeep => self.snapkeep(&mut command, job, corpus),
            Tool::Restic => self.restic(&mut command, job, corpus),
            Tool::Rustic => self.rustic(&mut command, job, corpus),
            Tool::Borg => return self.borg(command, job, corpus),
        }
        measure::run(&mut command)
    }

    fn command(&self) -> Result<Command> {
        let mut command = match self.tool {
            Tool::Snapkeep => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("vault");
                command
            }
            other => Command::new(other.name()),
        };
        let cache = self.dir.join("cache");
        command
            .env("RESTIC_PASSWORD", PASSWORD)
            .env("RESTIC_REPOSITORY", self.repository())
            .env("RESTIC_CACHE_DIR", &cache)
            .env("RUSTIC_PASSWORD", PASSWORD)
            .env("RUSTIC_REPOSITORY", self.repository())
            .env("RUSTIC_CACHE_DIR", &cache)
            .env("BORG_PASSPHRASE", PASSWORD)
            .env("BORG_BASE_DIR", &cache)
            .env("SNAPKEEP_BENCH_PASSWORD", PASSWORD)
            .env("SNAPKEEP_BENCH_CACHE", &cache);
        Ok(command)
    }

    fn snapkeep(&self, command: &mut Command, job: Job, corpus: &Path) {
        let repository = self.repository();
        match job {
            Job::First | Job::Unchanged | Job::Changed => {
                command.arg("backup").arg(repository).arg(corpus)
            }
            Job::Restore => command.arg("restore").arg(repository).arg(self.restored()),
            Job::Check => command.arg("check").arg(repository),
            Job::Prune => command.arg("prune").arg(repository),
        };
    }

    fn restic(&self, command: &mut Command, job: Job, corpus: &Path) {
        match job {
            Job::First | Job::Unchanged | Job::Changed => command.arg("backup").arg(corpus),
            Job::Restore => command
                .args(["restore", "latest", "--target"])
                .arg(self.restored()),
            Job::Check => command.args(["check", "--read-data"]),
            Job::Prune => command.args(["forget", "--keep-last", "1", "--prune", "--group-by", ""]),
        };
    }

    fn rustic(&self, command: &mut Command, job: Job, corpus: &Path) {
        match job {
            Job::First | Job::Unchanged | Job::Changed => command.arg("backup").arg(corpus),
            Job::Restore => command.args(["restore", "latest"]).arg(self.restored()),
            Job::Check => command.args(["check", "--read-data"]),
            Job::Prune => {
                command.args(["forget", "--keep-last", "1", "--prune", "--instant-delete"])
            }
        };
    }

    fn borg(&self, mut command: Command, job: Job, corpus: &Path) -> Result<Cost> {
        let repository = self.repository();
        match job {
            Job::First | Job::Unchanged | Job::Changed => {
                command.args(["create", "--sparse"]).arg(format!(
                    "{}::{}-{{now:%s%f}}",
                    repository.display(),
                    job.label().replace([' ', ','], "-")
                ));
                command.arg(corpus);
            }
            Job::Restore => {
                fs::create_dir_all(self.restored())?;
                let latest = self.borg_archives()?.pop().unwrap_or_default();
                command
                    .args(["extract", "--sparse"])
                    .arg(format!("{}::{latest}", repository.display()));
                command.current_dir(self.restored());
            }
            Job::Check => {
                command.args(["check", "--verify-data"]).arg(&repository);
            }
            Job::Prune => {
                command.args(["prune", "--keep-last", "1"]).arg(&repository);
                let prune = measure::run(&mut command)?;
                let compact = measure::run(self.command()?.arg("compact").arg(&repository))?;
                return Ok(Cost {
                    wall_s: prune.wall_s + compact.wall_s,
                    cpu_s: prune.cpu_s + compact.cpu_s,
                    peak_mib: prune.peak_mib.max(compact.peak_mib),
                });
            }
        }
        // borg resolves a relative repository against its working folder, which restore changes.
        measure::run(&mut command)
    }

    fn borg_archives(&self) -> Result<Vec<String>> {
        let output = self
            .command()?
            .args(["list", "--short"])
            .arg(self.repository())
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect())
    }
}
