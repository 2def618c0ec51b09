//! Where a command's result goes.

use std::io::Write;

use comfy_table::{Table, presets};
use serde::Serialize;
use snapkeep_api::native::types::Job;

use super::progress::{Progress, Transfer};
use crate::exit::Failure;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// JSON or text; with or without progress.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints the value as JSON, or what `text` makes of it.
    pub fn show<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let printed = if self.json {
            serde_json::to_string_pretty(value).map_err(Failure::failed)?
        } else {
            text(value)
        };
        print_line(&printed)
    }

    /// A bar for a job; invisible with `--json`, `--quiet` or where standard error is no terminal.
    pub fn progress(&self, job: &Job) -> Progress {
        Progress::new(job, self.json || self.quiet)
    }

    /// A bar for work in this process, under the same conditions.
    pub fn transfer(&self, what: &str) -> Transfer {
        Transfer::new(what, self.json || self.quiet)
    }

    /// Prints a failure to standard error: text, or the native API's error document.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let document = serde_json::json!({"error": {"code": failure.code, "message": failure.message, "hint": failure.hint}});
            eprintln!("{document:#}");
        } else {
            eprintln!("snapkeep: {failure}");
        }
    }
}

/// Text and a line break on standard output. A reader that has seen enough (`| head`) is no error, and must not end a server.
pub fn print_line(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n')) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => Err(cause.into()),
        _ => Ok(()),
    }
}

/// A table without lines: easy to read, easy to cut.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    let aligned = table.to_string();
    aligned
        .lines()
        .map(|line| line.trim_end().strip_prefix(' ').unwrap_or(line.trim_end()))
        .collect::<Vec<_>>()
        .join("\n")
}
