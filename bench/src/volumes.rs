//! Disks: snapshots and rollbacks of an image through the API of 51idc, beside restic, rustic, borg and `qemu-img`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    corpus::{Corpus, Kind},
    measure::{self, Cost},
    report::{self, Samples},
    server::Server,
    subject::Subject,
    tools::{Job, Place, Tool},
};

const ZONE: &str = "/v2/zone/bench";
const VOLUME: &str = "vol-bench01";
/// The repository that points go to when nothing else is configured.
const REPOSITORY: &str = "volumes";
/// How often the end of a job is asked for; what it adds to a step.
const POLL: Duration = Duration::from_millis(2);
const ROLLBACK: &str = "rollback of 2 %";
const REWRITE: &str = "full rewrite";
const IMAGE_GIB: f64 = 2.0;

/// What is measured.
pub struct Plan<'a> {
    /// The snapkeep binary.
    pub snapkeep: &'a Path,
    /// Where images and repositories are kept; on XFS or btrfs changes are told by the file system.
    pub dir: &'a Path,
    /// How often.
    pub rounds: usize,
    /// Size of the image, half of it holes.
    pub gib: f64,
    /// Size of a sparse image with the same data whose snapshot must not take more memory; 0 = none.
    pub sparse_gib: u64,
}

/// Measures all tools that are here and prints one table for each job.
pub fn run(plan: &Plan<'_>) -> Result<()> {
    fs::create_dir_all(plan.dir)?;
    let dir = fs::canonicalize(plan.dir)?;
    let peers: Vec<Tool> = Tool::available()
        .into_iter()
        .filter(|tool| *tool != Tool::Snapkeep)
        .collect();
    report::machine(&peers);
    let mut samples = Samples::default();
    let mut notes = Vec::new();
    for round in 0..plan.rounds {
        let corpus = Corpus::make(Kind::Image, &dir, plan.gib / IMAGE_GIB)?;
        let first = dir.join("first.raw");
        copy_sparse(&corpus.root.join("disk.raw"), &first)?;
        let ours = Ours::start(plan.snapkeep, &dir.join("snapkeep"), &corpus)?;
        let places = peers
            .iter()
            .map(|tool| tool.initialise(&dir))
            .collect::<Result<Vec<_>>>()?;
        let contest = Contest {
            ours: &ours,
            places: &places,
            corpus: &corpus,
            first: &first,
        };
        contest.run(round, &mut samples)?;
        notes = ours.notes()?;
        ours.remove()?;
        for place in &places {
            fs::remove_dir_all(place.repository())?;
        }
        fs::remove_file(&first)?;
        fs::remove_dir_all(&corpus.root)?;
    }
    println!(
        "\n## Disks: an image of {} GiB, half of it holes, {} rounds\n",
        plan.gib, plan.rounds
    );
    for job in [Job::First, Job::Unchanged, Job::Changed] {
        samples.print(job.label());
    }
    samples.print(ROLLBACK);
    for note in notes {
        println!("{note}");
    }
    if plan.sparse_gib > 0 {
        memory_of_sparse(plan, &dir)?;
    }
    Ok(())
}

/// All tools in one round.
struct Contest<'a> {
    ours: &'a Ours,
    places: &'a [Place],
    corpus: &'a Corpus,
    /// A copy of the image before it was changed.
    first: &'a Path,
}

impl Contest<'_> {
    fn run(&self, round: usize, samples: &mut Samples) -> Result<()> {
        let mut points = Vec::new();
        for (number, job) in [Job::First, Job::Unchanged, Job::Changed]
            .into_iter()
            .enumerate()
        {
            if job == Job::Changed {
                self.corpus.change()?;
            }
            let turns = self.places.len() + 1;
            for turn in 0..turns {
                match (turn + round + number) % turns {
                    0 => {
                        let (cost, job_answer) = self.ours.snapshot(job.label())?;
                        points.push(resource_of(&job_answer)?);
                        let size = self.ours.repository_bytes()?;
                        samples.add(Tool::Snapkeep.name(), job.label(), cost, size);
                    }
                    index => {
                        let place = &self.places[index - 1];
                        let cost = place.run(job, &self.corpus.root)?;
                        let size = measure::folder_size(&place.repository())?;
                        samples.add(place.tool.name(), job.label(), cost, size);
                    }
                }
            }
            if job == Job::First {
                self.convert(samples)?;
            }
        }
        let first_point = points.first().context("no point was made")?;
        self.roll_back(first_point, samples)
    }

    /// What people do who have no backup program.
    fn convert(&self, samples: &mut Samples) -> Result<()> {
        let target = self.first.with_extension("qcow2");
        let cost = measure::run(
            Command::new("qemu-img")
                .args([
                    "convert",
                    "-c",
                    "-O",
                    "qcow2",
                    "-o",
                    "compression_type=zstd",
                ])
                .arg(self.first)
                .arg(&target),
        )?;
        let size = fs::metadata(&target)?.len();
        samples.add("qemu-img convert -c", Job::First.label(), cost, size);
        Ok(fs::remove_file(&target)?)
    }

    /// Back to the first point, once by writing what differs and once by writing all of it.
    fn roll_back(&self, point: &str, samples: &mut Samples) -> Result<()> {
        let size = self.ours.repository_bytes()?;
        let body = json!({ "snapshots": [point] });
        let (cost, _) = self.ours.job("/volume_snapshots/apply", &body)?;
        self.compare(&self.ours.disk)?;
        samples.add(Tool::Snapkeep.name(), ROLLBACK, cost, size);
        let path = format!("/volume_snapshots/create_volume/{point}");
        let (cost, answer) = self.ours.job(&path, &json!({ "volume_name": "whole" }))?;
        let made = self
            .ours
            .volumes
            .join(format!("{}.raw", resource_of(&answer)?));
        self.compare(&made)?;
        fs::remove_file(&made)?;
        samples.add(REWRITE, ROLLBACK, cost, size);
        for place in self.places {
            let cost = place.run(Job::Restore, &self.corpus.root)?;
            fs::remove_dir_all(place.restored())?;
            let size = measure::folder_size(&place.repository())?;
            samples.add(place.tool.name(), ROLLBACK, cost, size);
        }
        Ok(())
    }

    fn compare(&self, made: &Path) -> Result<()> {
        let status = Command::new("cmp").arg(self.first).arg(made).status()?;
        if !status.success() {
            bail!("{} is not what it was at first", made.display());
        }
        Ok(())
    }
}

/// A server with one volume.
struct Ours {
    server: Server,
    subject: Subject,
    data: PathBuf,
    volumes: PathBuf,
    disk: PathBuf,
}

impl Ours {
    fn start(binary: &Path, data: &Path, corpus: &Corpus) -> Result<Self> {
        let server = Server::start(binary, data, &[])?;
        let volumes = data.join("volumes");
        fs::create_dir_all(&volumes)?;
        let disk = volumes.join(format!("{VOLUME}.raw"));
        // The same file: what changes in the corpus changes in the volume.
        fs::hard_link(corpus.root.join("disk.raw"), &disk)?;
        let subject = Subject::new(&server.url, server.repository_root.join(REPOSITORY))?;
        Ok(Self {
            server,
            subject,
            data: data.to_owned(),
            volumes,
            disk,
        })
    }

    /// Stops the server and removes its data.
    fn remove(self) -> Result<()> {
        drop(self.server);
        // The clones by which changes are told are immutable where the file system knows that.
        let anchors = self.volumes.join(".snapkeep");
        if anchors.exists() {
            let _ = Command::new("chattr")
                .args(["-R", "-i"])
                .arg(&anchors)
                .status();
        }
        Ok(fs::remove_dir_all(&self.data)?)
    }

    fn snapshot(&self, name: &str) -> Result<(Cost, Value)> {
        let body = json!({ "resources": [VOLUME], "snapshot_name": name });
        self.job("/volume_snapshots", &body)
    }

    /// Begins a job and follows it to its end.
    fn job(&self, path: &str, body: &Value) -> Result<(Cost, Value)> {
        let cpu_s = self.server.cpu_s()?;
        let start = Instant::now();
        let path = format!("{ZONE}{path}");
        let mut answer = self.subject.call("POST", &path, Some(body.to_string()))?;
        let id = answer["job_id"].as_str().unwrap_or_default().to_owned();
        while matches!(answer["status"].as_str(), Some("pending" | "working")) {
            thread::sleep(POLL);
            answer = self
                .subject
                .call("GET", &format!("{ZONE}/job/{id}"), None)?;
        }
        if answer["status"] != "successful" {
            bail!("{path} ended as {answer}");
        }
        let cost = Cost {
            wall_s: start.elapsed().as_secs_f64(),
            cpu_s: self.server.cpu_s()? - cpu_s,
            peak_mib: self.server.peak_memory_mib(),
        };
        Ok((cost, answer))
    }

    fn repository_bytes(&self) -> Result<u64> {
        measure::folder_size(&self.subject.repository)
    }

    /// How each point found out what had changed.
    fn notes(&self) -> Result<Vec<String>> {
        let answer = self.subject.call("GET", "/api/v1/volume-snapshots", None)?;
        let points = answer["snapshots"].as_array().cloned().unwrap_or_default();
        let told = points.iter().map(|point| {
            let disk = &point["disks"][0];
            format!(
                "{}: {} of {} MiB read, changes told by {}",
                point["name"].as_str().unwrap_or_default(),
                disk["read_bytes"].as_u64().unwrap_or_default() >> 20,
                disk["size_bytes"].as_u64().unwrap_or_default() >> 20,
                disk["change_source"].as_str().unwrap_or("?")
            )
        });
        Ok(told.collect())
    }
}

fn resource_of(job: &Value) -> Result<String> {
    let resource = job["resource_ids"][0].as_str();
    Ok(resource.context("the job names no resource")?.to_owned())
}

/// The same data as in the image, in a disk many times as large.
fn memory_of_sparse(plan: &Plan<'_>, dir: &Path) -> Result<()> {
    let corpus = Corpus::make(Kind::Image, dir, plan.gib / IMAGE_GIB)?;
    let mut peaks = Vec::new();
    for gib in [plan.gib, plan.sparse_gib as f64] {
        resize(&corpus.root.join("disk.raw"), gib)?;
        let ours = Ours::start(plan.snapkeep, &dir.join("snapkeep"), &corpus)?;
        let (cost, answer) = ours.snapshot("first")?;
        let (applied, _) = ours.job(
            "/volume_snapshots/apply",
            &json!({ "snapshots": [resource_of(&answer)?] }),
        )?;
        peaks.push(format!(
            "{gib} GiB: first snapshot {:.1} s, rollback {:.1} s, peak {:.0} MiB",
            cost.wall_s, applied.wall_s, applied.peak_mib
        ));
        ours.remove()?;
    }
    fs::remove_dir_all(&corpus.root)?;
    println!("\nThe same data in a larger disk: {}.", peaks.join("; "));
    Ok(())
}

/// The disk is closed when this returns: one that somebody could write to is not snapshotted.
fn resize(disk: &Path, gib: f64) -> Result<()> {
    let disk = fs::OpenOptions::new().write(true).open(disk)?;
    Ok(disk.set_len((gib * (1u64 << 30) as f64) as u64)?)
}

fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp")
        .arg("--sparse=always")
        .args([from, to])
        .status()?;
    if !status.success() {
        bail!("cannot copy {}", from.display());
    }
    Ok(())
}
