//! The Elasticsearch dialect under load: the life of one index with a snapshot after every change.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use anyhow::{Result, bail};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};

use crate::{
    corpus::Documents,
    peer::Peer,
    server::Server,
    subject::{Step, Subject, print_steps},
};

const BATCH_DOCUMENTS: u64 = 2_000;
const INDEX: &str = "bench";
const REPOSITORY: &str = "bench";

/// Measures Snapkeep and, where one is given, a real OpenSearch with the same requests.
pub fn run(
    snapkeep: &Path,
    dir: &Path,
    documents: u64,
    rounds: usize,
    peer: Option<Peer>,
) -> Result<()> {
    fs::create_dir_all(dir)?;
    let dir = fs::canonicalize(dir)?;
    let server = Server::start(snapkeep, &dir.join("api-data"), &[])?;
    let mut columns = vec![(
        "snapkeep",
        Life::new(&server.url, server.repository_root.clone())?.measure(documents, rounds)?,
    )];
    println!("snapkeep: peak memory {:.0} MiB", server.peak_memory_mib());
    drop(server);
    if let Some(peer) = peer {
        columns.push((
            "opensearch",
            Life::new(&peer.url, peer.repository_root)?.measure(documents, rounds)?,
        ));
    }
    print_table(documents, rounds, &columns);
    Ok(())
}

fn print_table(documents: u64, rounds: usize, columns: &[(&str, Vec<Step>)]) {
    println!(
        "\n## API: {documents} documents, {rounds} rounds of 1 % edits, one shard, no throttle\n"
    );
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, steps)| (*name, steps.as_slice()))
        .collect();
    print_steps(&columns);
}

/// The requests of one index's life against one server.
struct Life {
    server: Subject,
}

impl Life {
    fn new(url: &str, repository_root: PathBuf) -> Result<Life> {
        let server = Subject::new(url, repository_root.join(REPOSITORY))?;
        Ok(Life { server })
    }

    fn timed(&mut self, label: &str, step: impl FnOnce(&Life) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        step(self)?;
        self.server.note(label, start.elapsed().as_secs_f64())
    }

    fn measure(mut self, documents: u64, rounds: usize) -> Result<Vec<Step>> {
        self.prepare()?;
        self.timed("bulk load", |life| life.load(documents))?;
        self.server
            .call("POST", &format!("/{INDEX}/_refresh"), None)?;
        self.timed("first snapshot", |life| life.snapshot("first"))?;
        self.timed("unchanged snapshot", |life| life.snapshot("unchanged"))?;
        let mut snapshots_s = 0.0;
        let mut slowest_s: f64 = 0.0;
        for round in 0..rounds {
            self.edit(documents, round as u64)?;
            let start = Instant::now();
            self.snapshot(&format!("round-{round}"))?;
            let elapsed_s = start.elapsed().as_secs_f64();
            snapshots_s += elapsed_s;
            slowest_s = slowest_s.max(elapsed_s);
        }
        self.server.note("all rounds' snapshots", snapshots_s)?;
        self.server.note("slowest round's snapshot", slowest_s)?;
        let before = self.fingerprint()?;
        self.server.call("DELETE", &format!("/{INDEX}"), None)?;
        self.timed("restore of the last", |life| life.restore(rounds))?;
        if self.fingerprint()? != before {
            bail!("the restored index differs from the one that was deleted");
        }
        self.timed("delete of the first", |life| {
            life.server
                .call("DELETE", &format!("/_snapshot/{REPOSITORY}/first"), None)
                .map(drop)
        })?;
        self.server.call("DELETE", &format!("/{INDEX}"), None)?;
        Ok(self.server.into_steps())
    }

    fn prepare(&self) -> Result<()> {
        let mapping = json!({
            "settings": {"number_of_shards": 1, "number_of_replicas": 0},
            "mappings": {"properties": {
                "number": {"type": "long"}, "kind": {"type": "keyword"}, "tag": {"type": "keyword"}, "price": {"type": "double"},
                "quantity": {"type": "integer"}, "at": {"type": "date"}, "body": {"type": "text"}, "key": {"type": "keyword"},
            }},
        });
        self.server
            .call("PUT", &format!("/{INDEX}"), Some(mapping.to_string()))?;
        let repository = json!({"type": "fs", "settings": {
            "location": self.server.repository, "max_snapshot_bytes_per_sec": "0", "max_restore_bytes_per_sec": "0",
        }});
        self.server.call(
            "PUT",
            &format!("/_snapshot/{REPOSITORY}"),
            Some(repository.to_string()),
        )?;
        Ok(())
    }

    /// Two connections keep the server busy while the next batch is being made.
    fn load(&self, documents: u64) -> Result<()> {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<String>(4);
        let receiver = std::sync::Mutex::new(receiver);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        loop {
                            let batch = match receiver.lock() {
                                Ok(queue) => queue.recv(),
                                Err(_) => bail!("another connection failed"),
                            };
                            match batch {
                                Ok(batch) => self.bulk(batch)?,
                                Err(_) => return Ok(()),
                            }
                        }
                    })
                })
                .collect();
            let mut stream = Documents::new(0);
            let mut batch = String::new();
            for number in 0..documents {
                push_operation(&mut batch, number, &stream.next_document());
                if (number + 1) % BATCH_DOCUMENTS == 0 || number + 1 == documents {
                    sender.send(std::mem::take(&mut batch))?;
                }
            }
            drop(sender);
            for worker in workers {
                worker
                    .join()
                    .map_err(|_| anyhow::anyhow!("a connection panicked"))??;
            }
            Ok(())
        })
    }

    fn edit(&self, documents: u64, round: u64) -> Result<()> {
        let mut rng = SmallRng::seed_from_u64(500 + round);
        let mut stream = Documents::new(100 + round);
        let mut batch = String::new();
        for _ in 0..documents / 100 {
            push_operation(
                &mut batch,
                rng.random_range(0..documents),
                &stream.next_document(),
            );
        }
        self.bulk(batch)?;
        self.server
            .call("POST", &format!("/{INDEX}/_refresh"), None)?;
        Ok(())
    }

    fn bulk(&self, body: String) -> Result<()> {
        let response = self
            .server
            .client
            .post(format!(
                "{}/{INDEX}/_bulk?filter_path=errors",
                self.server.url
            ))
            .header("content-type", "application/x-ndjson")
            .body(body)
            .send()?;
        let answer: Value = response.json()?;
        if answer["errors"] != json!(false) {
            bail!("bulk request failed: {answer}");
        }
        Ok(())
    }

    fn snapshot(&self, name: &str) -> Result<()> {
        let body = json!({"indices": INDEX, "include_global_state": false}).to_string();
        let answer = self.server.call(
            "PUT",
            &format!("/_snapshot/{REPOSITORY}/{name}?wait_for_completion=true"),
            Some(body),
        )?;
        if answer["snapshot"]["state"] != "SUCCESS" {
            bail!("snapshot {name} did not succeed: {answer}");
        }
        Ok(())
    }

    fn restore(&self, rounds: usize) -> Result<()> {
        let last = if rounds == 0 {
            "unchanged".to_owned()
        } else {
            format!("round-{}", rounds - 1)
        };
        let body = json!({"indices": INDEX}).to_string();
        let answer = self.server.call(
            "POST",
            &format!("/_snapshot/{REPOSITORY}/{last}/_restore?wait_for_completion=true"),
            Some(body),
        )?;
        if answer["snapshot"]["shards"]["failed"] != 0 {
            bail!("restore failed: {answer}");
        }
        Ok(())
    }

    /// Number of documents and a sample of them; whole contents are compared by the tests.
    fn fingerprint(&self) -> Result<(Value, Value)> {
        let count = self.server.call("GET", &format!("/{INDEX}/_count"), None)?["count"].clone();
        let ids: Vec<String> = (0..1_000)
            .map(|number| (number * 37 % 100_000).to_string())
            .collect();
        let documents = self.server.call(
            "POST",
            &format!("/{INDEX}/_mget?filter_path=docs._id,docs._source"),
            Some(json!({"ids": ids}).to_string()),
        )?;
        Ok((count, documents))
    }
}

fn push_operation(batch: &mut String, id: u64, document: &str) {
    batch.push_str(&format!("{{\"index\":{{\"_id\":\"{id}\"}}}}\n"));
    batch.push_str(document);
    batch.push('\n');
}
