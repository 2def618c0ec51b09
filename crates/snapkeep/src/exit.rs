//! How the program ends: exit codes and the error that carries one.

use std::fmt;
use std::process::ExitCode;

/// The documented exit codes (`docs/cli.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The command line or the configuration has a mistake; nothing was done.
    Usage = 2,
    /// It ended, but something is missing: a PARTIAL snapshot, a restore with failed shards.
    Partial = 3,
    /// A check found damage in a repository.
    Damaged = 4,
    /// The repository, snapshot, index, policy, key or job does not exist.
    NotFound = 5,
    /// No server answers, or another process uses the data folder.
    Unreachable = 6,
    /// The job was cancelled, or the command interrupted.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A failure to show to the operator: what went wrong, what to do, how to exit.
#[derive(Debug, thiserror::Error)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// A word for programs, as in the native API's errors.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(out, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

impl Failure {
    /// A failure with `exit` and no hint.
    pub fn new(exit: Exit, code: &str, message: impl fmt::Display) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            message: message.to_string(),
            hint: None,
        }
    }

    /// Exit code 1.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// Exit code 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl From<std::io::Error> for Failure {
    fn from(cause: std::io::Error) -> Self {
        Self::failed(cause)
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(cause: crate::config::ConfigError) -> Self {
        Self::new(Exit::Usage, "configuration", cause)
    }
}
