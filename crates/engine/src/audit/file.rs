//! The file: one JSON object a line, `audit.jsonl`, and a number of older ones.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::record::AuditRecord;

/// A file of this many bytes is put aside and a new one begun.
const MAX_BYTES: u64 = 16 << 20;
/// Files put aside that are kept: `audit.1.jsonl` is the latest.
const KEPT: u32 = 8;

/// Appends records.
#[derive(Debug)]
pub(super) struct AuditFile {
    folder: PathBuf,
    current: Option<(File, u64)>,
    max_bytes: u64,
}

impl AuditFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            current: None,
            max_bytes: MAX_BYTES,
        }
    }

    /// Adds a line. One `write` a record, so that a crash leaves whole lines and others may follow the file.
    pub(super) fn append(&mut self, record: &AuditRecord) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let added = line.len() as u64;
        let (mut file, length) = match self.current.take() {
            Some((_, length)) if length + added > self.max_bytes => {
                self.put_aside()?;
                self.open()?
            }
            Some(current) => current,
            None => self.open()?,
        };
        file.write_all(&line)?;
        self.current = Some((file, length + added));
        Ok(())
    }

    fn open(&self) -> std::io::Result<(File, u64)> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.path(0))?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    fn put_aside(&self) -> std::io::Result<()> {
        for number in (0..KEPT).rev() {
            let (from, to) = (self.path(number), self.path(number + 1));
            if from.exists() {
                std::fs::rename(from, to)?;
            }
        }
        Ok(())
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.join(match number {
            0 => "audit.jsonl".to_owned(),
            number => format!("audit.{number}.jsonl"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::AuditOutcome;
    use super::*;

    fn record(number: i64) -> AuditRecord {
        AuditRecord {
            at_ms: number,
            time: String::new(),
            principal: "alice".into(),
            role: None,
            method: "basic".into(),
            address: None,
            action: "x".into(),
            request: "PUT /x".into(),
            repository: None,
            resources: Vec::new(),
            project: None,
            outcome: AuditOutcome::Done,
            status: 200,
        }
    }

    #[test]
    fn lines_are_appended_and_old_files_put_aside_and_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AuditFile::new(folder.path());
        let line = serde_json::to_vec(&record(100)).unwrap().len() as u64 + 1;
        file.max_bytes = 2 * line;
        for number in 100..130 {
            file.append(&record(number)).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let numbers = |name: &str| -> Vec<i64> {
            read(name)
                .lines()
                .map(|line| serde_json::from_str::<AuditRecord>(line).unwrap().at_ms)
                .collect()
        };
        assert_eq!(numbers("audit.jsonl"), [128, 129]);
        assert_eq!(numbers("audit.1.jsonl"), [126, 127]);
        assert_eq!(numbers("audit.8.jsonl"), [112, 113]);
        assert!(!folder.path().join("audit.9.jsonl").exists());
    }

    #[test]
    fn a_file_that_is_there_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        AuditFile::new(folder.path()).append(&record(1)).unwrap();
        AuditFile::new(folder.path()).append(&record(2)).unwrap();
        let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 2);
    }
}
