//! Running a command and reading what it cost from `/proc`.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What one run of a command cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Seconds of user and system time, of the process and all its children.
    pub cpu_s: f64,
    /// The most memory that was resident, in MiB.
    pub peak_mib: f64,
}

/// The kernel counts CPU time in these (USER_HZ).
const TICKS_PER_S: f64 = 100.0;

/// Runs `command` to its end and returns its cost; a failure is an error with what it printed.
pub fn run(command: &mut Command) -> Result<Cost> {
    let shown = format!("{command:?}");
    let cpu_before = children_cpu_s()?;
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let pid = child.id();
    let sampler = thread::spawn(move || {
        let mut peak_mib: f64 = 0.0;
        while let Some(now) = peak_memory_mib(pid) {
            peak_mib = peak_mib.max(now);
            thread::sleep(Duration::from_millis(5));
        }
        peak_mib
    });
    let output = child.wait_with_output()?;
    let wall_s = start.elapsed().as_secs_f64();
    let peak_mib = sampler.join().unwrap_or_default();
    if !output.status.success() {
        bail!(
            "{shown} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(Cost {
        wall_s,
        cpu_s: children_cpu_s()? - cpu_before,
        peak_mib,
    })
}

/// Highest resident size of a process so far; `None` once it has ended.
pub fn peak_memory_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// CPU seconds that a running process has taken so far, without its children.
pub fn process_cpu_s(pid: u32) -> Result<f64> {
    cpu_fields(&format!("/proc/{pid}/stat"), 13)
}

/// CPU seconds of all children that this process has waited for, and of theirs.
fn children_cpu_s() -> Result<f64> {
    cpu_fields("/proc/self/stat", 15)
}

/// Sum of two neighbouring tick counters of a `stat` file, counted from 0 as in proc(5).
fn cpu_fields(path: &str, first: usize) -> Result<f64> {
    let stat = std::fs::read_to_string(path)?;
    // The command name may contain spaces; the fields begin behind its closing parenthesis with field 2.
    let fields = stat.rsplit_once(')').context("unexpected stat file")?.1;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(first - 2)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap_or_default())
        .sum();
    Ok(ticks / TICKS_PER_S)
}

/// The middle of the values; 0 when there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Bytes that all files below a folder occupy by their length.
pub fn folder_size(dir: &std::path::Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() {
            folder_size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(total)
}
