//! Tables in Markdown, ready for `docs/performance.md`.

use crate::tools::Tool;

/// Medians of one tool at one job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    /// Seconds from start to end.
    pub wall_s: f64,
    /// CPU seconds.
    pub cpu_s: f64,
    /// Highest resident memory in MiB.
    pub peak_mib: f64,
    /// Size of the repository after the job in MiB.
    pub repository_mib: f64,
}

/// Says what was measured on.
pub fn machine(tools: &[Tool]) {
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("")
        .trim_start_matches([' ', '\t', ':']);
    println!("Machine: {cores} cores, {model}");
    for tool in tools {
        println!(
            "- {}: {}",
            tool.name(),
            tool.version()
                .unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
        );
    }
}

/// One job: a line a tool, with our cost as a share of the tool's.
pub fn job_table(job: &str, rows: &[(&str, Row)]) {
    println!(
        "| {job} | wall s | CPU s | peak MiB | repository MiB | ours ÷ its wall | ours ÷ its CPU |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let Some((_, ours)) = rows.first() else {
        return;
    };
    for (name, row) in rows {
        println!(
            "| {name} | {:.2} | {:.2} | {:.0} | {:.1} | {} | {} |",
            row.wall_s,
            row.cpu_s,
            row.peak_mib,
            row.repository_mib,
            ratio(ours.wall_s, row.wall_s),
            ratio(ours.cpu_s, row.cpu_s)
        );
    }
    println!();
}

/// A ratio with two digits, or a dash where there is nothing to divide by.
pub fn ratio(ours: f64, theirs: f64) -> String {
    if theirs > 0.0 {
        format!("{:.2}", ours / theirs)
    } else {
        "–".to_owned()
    }
}
