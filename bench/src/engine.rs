//! The repository engine beside its peers: every job on every corpus, taking turns.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::{
    corpus::{Corpus, Kind},
    measure,
    report::{self, Samples},
    tools::{Job, Place, Tool},
};

/// Measures all available tools and prints one table for each corpus.
pub fn run(dir: &Path, rounds: usize, kinds: &[Kind], scale: f64) -> Result<()> {
    fs::create_dir_all(dir)?;
    let dir = fs::canonicalize(dir)?;
    let tools = Tool::available();
    report::machine(&tools);
    for kind in kinds {
        let mut samples = Samples::default();
        let mut size_bytes = 0;
        for round in 0..rounds {
            let corpus = Corpus::make(*kind, &dir, scale)?;
            size_bytes = corpus.size_bytes()?;
            measure_round(&corpus, &dir, round, &tools, &mut samples)?;
        }
        println!("\n## {kind:?}: {} MiB, {rounds} rounds\n", size_bytes >> 20);
        for job in Job::ALL {
            samples.print(job.label());
        }
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
    samples: &mut Samples,
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
            let size = measure::folder_size(&place.repository())?;
            samples.add(tools[index].name(), job.label(), cost, size);
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
