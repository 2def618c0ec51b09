//! The Weaviate dialect under load: the life of one collection of vectors with a backup after every change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};

use crate::{
    peer::Peer,
    report,
    server::Server,
    subject::{Step, Subject, print_steps},
};

const CLASS: &str = "Bench";
/// Backed up while it is read and written.
const BUSY_CLASS: &str = "Busy";
const DIMENSIONS: usize = 768;
const PROPERTY_BYTES: usize = 400;
const BATCH_OBJECTS: u64 = 500;
/// Objects a request while rates are measured.
const BUSY_BATCH_OBJECTS: u64 = 20;
const IDLE_TIME: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(5);
const WORDS: [&str; 16] = [
    "harbour", "ledger", "winter", "copper", "signal", "meadow", "archive", "lantern", "granite",
    "orchard", "current", "velvet", "station", "thunder", "paper", "window",
];

/// Measures Snapkeep and, where one is given, a real Weaviate with the same requests.
pub fn run(
    snapkeep: &Path,
    dir: &Path,
    objects: u64,
    rounds: usize,
    peer: Option<Peer>,
) -> Result<()> {
    fs::create_dir_all(dir)?;
    let dir = fs::canonicalize(dir)?;
    let server = Server::start(snapkeep, &dir.join("collections-data"), &[])?;
    let mut columns = vec![(
        "snapkeep",
        Life::new(&server.url, server.repository_root.clone())?.measure(objects, rounds)?,
    )];
    println!("snapkeep: peak memory {:.0} MiB", server.peak_memory_mib());
    drop(server);
    if let Some(peer) = peer {
        let life = Life::new(&peer.url, peer.repository_root)?;
        columns.push(("weaviate", life.measure(objects, rounds)?));
    }
    print_tables(objects, rounds, &columns);
    Ok(())
}

/// Requests a second, while nothing else happens and while a backup runs.
#[derive(Clone, Copy)]
struct Rates {
    idle: f64,
    beside_backup: f64,
    /// How long that backup took.
    backup_s: f64,
}

/// What one server did.
struct Measured {
    steps: Vec<Step>,
    reads: Rates,
    writes: Rates,
}

fn print_tables(objects: u64, rounds: usize, columns: &[(&str, Measured)]) {
    println!(
        "\n## Collections: {objects} objects, {DIMENSIONS} dimensions, {PROPERTY_BYTES} bytes of properties, {rounds} rounds of 1 % changes\n"
    );
    let steps: Vec<_> = columns
        .iter()
        .map(|(name, measured)| (*name, measured.steps.as_slice()))
        .collect();
    print_steps(&steps);
    println!("\n| requests a second | server | idle | while a backup runs | share |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for (name, measured) in columns {
        for (what, rates) in [("reads", measured.reads), ("writes", measured.writes)] {
            println!(
                "| {what} | {name} | {:.0} | {:.0} | {} |",
                rates.idle,
                rates.beside_backup,
                report::ratio(rates.beside_backup, rates.idle)
            );
        }
    }
}

/// The requests of one collection's life against one server.
struct Life {
    server: Subject,
}

impl Life {
    fn new(url: &str, repository: PathBuf) -> Result<Life> {
        let server = Subject::new(url, repository)?;
        Ok(Life { server })
    }

    fn timed(&mut self, label: &str, step: impl FnOnce(&Life) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        step(self)?;
        self.server.note(label, start.elapsed().as_secs_f64())
    }

    fn measure(mut self, objects: u64, rounds: usize) -> Result<Measured> {
        self.create_class(CLASS)?;
        self.timed("load", |life| life.load(CLASS, objects, 0))?;
        self.timed("first backup", |life| life.backup(CLASS, "first", None))?;
        self.timed("unchanged backup", |life| {
            life.backup(CLASS, "unchanged", Some("first"))
        })?;
        let mut last = "unchanged".to_owned();
        for round in 0..rounds {
            self.change(objects, round as u64)?;
            let name = format!("round-{round}");
            self.timed(&format!("1 % changed, round {}", round + 1), |life| {
                life.backup(CLASS, &name, Some(&last))
            })?;
            last = name;
        }
        let before = self.sample(objects)?;
        self.server
            .call("DELETE", &format!("/v1/schema/{CLASS}"), None)?;
        self.timed("restore of the last", |life| life.restore(&last))?;
        if self.sample(objects)? != before {
            bail!("the restored collection differs from the one that was deleted");
        }
        self.server
            .call("DELETE", &format!("/v1/schema/{CLASS}"), None)?;
        self.create_class(BUSY_CLASS)?;
        self.load(BUSY_CLASS, objects, 1)?;
        let (reads, writes) = self.rates(objects)?;
        self.server
            .note("first backup beside reads and writes", reads.backup_s)?;
        self.server
            .call("DELETE", &format!("/v1/schema/{BUSY_CLASS}"), None)?;
        Ok(Measured {
            steps: self.server.into_steps(),
            reads,
            writes,
        })
    }

    fn create_class(&self, class: &str) -> Result<()> {
        let body = json!({
            "class": class, "vectorizer": "none", "vectorIndexType": "flat",
            "properties": [
                {"name": "number", "dataType": ["int"]},
                {"name": "kind", "dataType": ["text"], "tokenization": "field"},
                {"name": "body", "dataType": ["text"], "indexSearchable": false},
            ],
        });
        self.server
            .call("POST", "/v1/schema", Some(body.to_string()))?;
        Ok(())
    }

    /// Two connections keep the server busy while the next batch is being made.
    fn load(&self, class: &str, objects: u64, seed: u64) -> Result<()> {
        let next = AtomicU64::new(0);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        loop {
                            let start = next.fetch_add(BATCH_OBJECTS, Ordering::Relaxed);
                            if start >= objects {
                                return Ok(());
                            }
                            let numbers = start..objects.min(start + BATCH_OBJECTS);
                            self.batch(class, numbers, seed)?;
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker
                    .join()
                    .map_err(|_| anyhow::anyhow!("a connection panicked"))??;
            }
            Ok(())
        })
    }

    /// New content for 1 % of the objects, spread over all.
    fn change(&self, objects: u64, round: u64) -> Result<()> {
        let numbers: Vec<u64> = (0..objects)
            .skip(round as usize % 100)
            .step_by(100)
            .collect();
        for chunk in numbers.chunks(BATCH_OBJECTS as usize) {
            self.batch(CLASS, chunk.iter().copied(), 100 + round)?;
        }
        Ok(())
    }

    fn batch(&self, class: &str, numbers: impl Iterator<Item = u64>, seed: u64) -> Result<()> {
        let mut sent = 0;
        let mut body = String::new();
        body.push_str("{\"objects\":[");
        for (at, number) in numbers.enumerate() {
            if at > 0 {
                body.push(',');
            }
            push_object(&mut body, class, number, seed)?;
            sent += 1;
        }
        body.push_str("]}");
        let answer = self.server.call("POST", "/v1/batch/objects", Some(body))?;
        let results = answer.as_array().context("batch: no array came back")?;
        if results.len() != sent
            || results
                .iter()
                .any(|result| result["result"]["status"] != "SUCCESS")
        {
            bail!("not all objects of a batch were stored");
        }
        Ok(())
    }

    /// `base` is what a real Weaviate needs to be told for an increment.
    fn backup(&self, class: &str, id: &str, base: Option<&str>) -> Result<()> {
        let mut body = json!({"id": id, "include": [class]});
        if let Some(base) = base {
            body["incremental_base_backup_id"] = json!(base);
        }
        self.server
            .call("POST", "/v1/backups/filesystem", Some(body.to_string()))?;
        self.wait(&format!("/v1/backups/filesystem/{id}"))
    }

    fn restore(&self, id: &str) -> Result<()> {
        let path = format!("/v1/backups/filesystem/{id}/restore");
        self.server
            .call("POST", &path, Some(json!({"include": [CLASS]}).to_string()))?;
        self.wait(&path)
    }

    fn wait(&self, path: &str) -> Result<()> {
        loop {
            let answer = self.server.call("GET", path, None)?;
            match answer["status"].as_str() {
                Some("SUCCESS") => return Ok(()),
                Some("FAILED" | "CANCELED") | None => bail!("{path}: {answer}"),
                Some(_) => thread::sleep(POLL),
            }
        }
    }

    /// Number of objects and some of them with their vectors; whole contents are compared by the tests.
    fn sample(&self, objects: u64) -> Result<(Value, Vec<Value>)> {
        let query = json!({"query": format!("{{Aggregate{{{CLASS}{{meta{{count}}}}}}}}")});
        let count = self
            .server
            .call("POST", "/v1/graphql", Some(query.to_string()))?;
        let count = count["data"]["Aggregate"][CLASS][0]["meta"]["count"].clone();
        if count != json!(objects) {
            bail!("{count} objects are there instead of {objects}");
        }
        let mut found = Vec::new();
        for number in (0..objects).step_by((objects / 200).max(1) as usize) {
            let path = format!("/v1/objects/{CLASS}/{}?include=vector", id(number));
            let object = self.server.call("GET", &path, None)?;
            found.push(json!([
                object["id"],
                object["properties"],
                object["vector"]
            ]));
        }
        Ok((count, found))
    }

    /// Reads and writes of one connection each, alone and beside a first backup.
    fn rates(&self, objects: u64) -> Result<(Rates, Rates)> {
        let idle = self.count_requests(objects, || {
            thread::sleep(IDLE_TIME);
            Ok(())
        })?;
        let beside = self.count_requests(objects, || self.backup(BUSY_CLASS, "busy", None))?;
        let rates = |idle, beside_backup| Rates {
            idle,
            beside_backup,
            backup_s: beside.2,
        };
        Ok((rates(idle.0, beside.0), rates(idle.1, beside.1)))
    }

    /// Reads and writes a second for as long as `work` takes, and its seconds.
    fn count_requests(
        &self,
        objects: u64,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<(f64, f64, f64)> {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let reads = scope.spawn(|| -> Result<u64> {
                let mut rng = SmallRng::seed_from_u64(7);
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    let number = rng.random_range(0..objects);
                    let path = format!("/v1/objects/{BUSY_CLASS}/{}", id(number));
                    self.server.call("GET", &path, None)?;
                    done += 1;
                }
                Ok(done)
            });
            let writes = scope.spawn(|| -> Result<u64> {
                let mut rng = SmallRng::seed_from_u64(8);
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    let start =
                        rng.random_range(0..objects.saturating_sub(BUSY_BATCH_OBJECTS).max(1));
                    self.batch(BUSY_CLASS, start..start + BUSY_BATCH_OBJECTS, 1000 + done)?;
                    done += 1;
                }
                Ok(done)
            });
            let start = Instant::now();
            let worked = work();
            let seconds = start.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
            let panicked = |_| anyhow::anyhow!("a connection panicked");
            let reads = reads.join().map_err(panicked)??;
            let writes = writes.join().map_err(panicked)??;
            worked?;
            Ok((reads as f64 / seconds, writes as f64 / seconds, seconds))
        })
    }
}

/// Ids in an order that has nothing to do with that of writing.
fn id(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        mixed >> 32,
        (mixed >> 16) & 0xFFFF,
        number
    )
}

fn push_object(body: &mut String, class: &str, number: u64, seed: u64) -> Result<()> {
    let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(1_000_003) ^ number);
    let mut text = String::with_capacity(PROPERTY_BYTES);
    while text.len() < PROPERTY_BYTES - 60 {
        text.push_str(WORDS[rng.random_range(0..WORDS.len())]);
        text.push_str(&format!(" {} ", rng.random_range(0..1000)));
    }
    let vector: Vec<f32> = (0..DIMENSIONS)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let properties = json!({"number": number, "kind": WORDS[(number % 16) as usize], "body": text});
    body.push_str(&format!(
        "{{\"class\":\"{class}\",\"id\":\"{}\",\"properties\":{properties},\"vector\":{}}}",
        id(number),
        serde_json::to_string(&vector)?
    ));
    Ok(())
}
