//! Tables in Markdown, ready for `docs/performance.md`.

use crate::{
    measure::{self, Cost},
    tools::Tool,
};

/// What all tools took at all jobs, in all rounds.
#[derive(Debug, Default)]
pub struct Samples {
    all: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    tool: &'static str,
    job: &'static str,
    cost: Cost,
    repository_bytes: u64,
}

impl Samples {
    /// Notes one, and shows it as progress.
    pub fn add(
        &mut self,
        tool: &'static str,
        job: &'static str,
        cost: Cost,
        repository_bytes: u64,
    ) {
        eprintln!(
            "{tool:>9} {job:<16} {:6.2} s wall {:6.2} s CPU {:6.0} MiB peak, repository {} MiB",
            cost.wall_s,
            cost.cpu_s,
            cost.peak_mib,
            repository_bytes >> 20
        );
        self.all.push(Sample {
            tool,
            job,
            cost,
            repository_bytes,
        });
    }

    /// Prints a table of the medians of one job, in the order in which the tools first did it.
    pub fn print(&self, job: &str) {
        let mut tools: Vec<&str> = Vec::new();
        for sample in self.all.iter().filter(|sample| sample.job == job) {
            if !tools.contains(&sample.tool) {
                tools.push(sample.tool);
            }
        }
        // Ours is the first column of every ratio.
        tools.sort_by_key(|tool| *tool != Tool::Snapkeep.name());
        let rows: Vec<(&str, Row)> = tools
            .into_iter()
            .map(|tool| (tool, self.medians(tool, job)))
            .collect();
        job_table(job, &rows);
    }

    fn medians(&self, tool: &str, job: &str) -> Row {
        let of = |value: &dyn Fn(&Sample) -> f64| {
            let samples = self.all.iter();
            let values: Vec<f64> = samples
                .filter(|sample| sample.tool == tool && sample.job == job)
                .map(value)
                .collect();
            measure::median(&values)
        };
        Row {
            wall_s: of(&|sample| sample.cost.wall_s),
            cpu_s: of(&|sample| sample.cost.cpu_s),
            peak_mib: of(&|sample| sample.cost.peak_mib),
            repository_mib: of(&|sample| sample.repository_bytes as f64 / (1 << 20) as f64),
        }
    }
}

/// Medians of one tool at one job.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
    /// Size of the repository after the job.
    repository_mib: f64,
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
fn job_table(job: &str, rows: &[(&str, Row)]) {
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
