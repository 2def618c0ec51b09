//! The repository engine beside its peers: every job on every corpus, taking turns.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::{
    corpus::{Corpus, Kind},
    measure::{self, Cost},
    report::{self, Row},
    tools::{Job, Place, Tool},
};

/// Measures all available tools and prints one table for each corpus.
pub fn run(dir: &Path, rounds: usize, kinds: &[Kind], scale: f64) -> Result<()> {
    fs::create_dir_all(dir)?;
    let dir = fs::canonicalize(dir)?;
    let tools = Tool::available();
    report::machine(&tools);
    for kind in kinds {
        let mut results = Results::new(&tools);
        let mut size_bytes = 0;
        for round in 0..rounds {
            let corpus = Corpus::make(*kind, &dir, scale)?;
            size_bytes = corpus.size_bytes()?;
            measure_round(&corpus, &dir, round, &tools, &mut results)?;
        }
        println!("\n## {kind:?}: {} MiB, {rounds} rounds\n", size_bytes >> 20);
        results.print();
        fs::remove_dir_all(dir.join(format!("corpus-{kind:?}").to_lowercase()))?;
    }
    Ok(())
}

/// One round: all tools do a job before any does the next, in an order that rotates.
fn measure_round(
    corpus: &Corpus,
    dir: &Path,
    round: usize,
    tools: &[Tool],
    results: &mut Results,
) -> Result<()> {
    let places = tools
        .iter()
        .map(|tool| tool.initialise(dir))
        .collect::<Result<Vec<_>>>()?;
    for (number, job) in Job::ALL.into_iter().enumerate() {
        if job == Job::Changed {
            corpus.change()?;
        }
        for turn in 0..places.len() {
            let index = (turn + round + number) % places.len();
            let place = &places[index];
            let cost = place.run(job, &corpus.root)?;
            if job == Job::Restore {
                compare_folders(&corpus.root, place)?;
                fs::remove_dir_all(place.restored())?;
            }
            results.add(index, job, cost, measure::folder_size(&place.repository())?);
        }
    }
    for place in &places {
        fs::remove_dir_all(place.repository())?;
    }
    Ok(())
}

/// A restore counts only if every file is back byte for byte.
fn compare_folders(corpus: &Path, place: &Place) -> Result<()> {
    let direct = place.restored();
    let nested = direct.join(corpus.strip_prefix("/").unwrap_or(corpus));
    let restored = if nested.exists() { nested } else { direct };
    let status = std::process::Command::new("diff")
        .arg("-rq")
        .arg(corpus)
        .arg(&restored)
        .status()?;
    if !status.success() {
        bail!(
            "{} did not restore {} correctly",
            place.tool.name(),
            corpus.display()
        );
    }
    Ok(())
}

struct Results<'a> {
    tools: &'a [Tool],
    samples: Vec<(usize, Job, Cost, u64)>,
}

impl<'a> Results<'a> {
    fn new(tools: &'a [Tool]) -> Results<'a> {
        Results {
            tools,
            samples: Vec::new(),
        }
    }

    fn add(&mut self, tool: usize, job: Job, cost: Cost, repository_bytes: u64) {
        eprintln!(
            "{:>9} {:<16} {:6.2} s wall {:6.2} s CPU {:6.0} MiB peak, repository {} MiB",
            self.tools[tool].name(),
            job.label(),
            cost.wall_s,
            cost.cpu_s,
            cost.peak_mib,
            repository_bytes >> 20
        );
        self.samples.push((tool, job, cost, repository_bytes));
    }

    fn medians(&self, tool: usize, job: Job) -> Row {
        let of = |value: &dyn Fn(&Cost, u64) -> f64| {
            let values: Vec<f64> = self
                .samples
                .iter()
                .filter(|sample| sample.0 == tool && sample.1 == job)
                .map(|sample| value(&sample.2, sample.3))
                .collect();
            measure::median(&values)
        };
        Row {
            wall_s: of(&|cost, _| cost.wall_s),
            cpu_s: of(&|cost, _| cost.cpu_s),
            peak_mib: of(&|cost, _| cost.peak_mib),
            repository_mib: of(&|_, bytes| bytes as f64 / (1 << 20) as f64),
        }
    }

    fn print(&self) {
        for job in Job::ALL {
            let rows: Vec<(&str, Row)> = self
                .tools
                .iter()
                .enumerate()
                .map(|(index, tool)| (tool.name(), self.medians(index, job)))
                .collect();
            report::job_table(job.label(), &rows);
        }
    }
}
