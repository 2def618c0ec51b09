//! Benchmarks: Snapkeep beside its peers, in one run, on corpora that the program makes itself.
//!
//! Every figure in `docs/performance.md` comes from here. Tools take turns within a round and the
//! order rotates from round to round, so that a noisy machine disturbs all of them alike; medians
//! and ratios are printed. Nothing here is run by the tests.

mod api;
mod collections;
mod corpus;
mod engine;
mod measure;
mod peer;
mod report;
mod server;
mod subject;
mod tools;
mod vault_job;
mod volumes;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures Snapkeep beside restic, rustic, borg, OpenSearch and Weaviate, and prints ratios.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The repository engine beside restic, rustic and borg (those that are on the PATH).
    Engine {
        /// Where corpora and repositories are kept while measuring; several GiB.
        #[arg(long, default_value = "target/bench")]
        dir: PathBuf,
        /// How often each job is measured with each tool.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Which corpora: image, ndjson, tree.
        #[arg(long, value_delimiter = ',', default_value = "image,ndjson,tree")]
        corpora: Vec<corpus::Kind>,
        /// Size of each corpus relative to the standard one (2 GiB image, 512 MiB NDJSON, 20,000 files).
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
    },
    /// The Elasticsearch dialect: bulk load, snapshots of a changing index, restore, delete.
    Api {
        /// The snapkeep binary to measure.
        #[arg(long, default_value = "target/release/snapkeep")]
        snapkeep: PathBuf,
        /// Where data and repositories are kept while measuring.
        #[arg(long, default_value = "target/bench")]
        dir: PathBuf,
        /// Number of documents of about 1 KB.
        #[arg(long, default_value_t = 300_000)]
        documents: u64,
        /// Rounds of 1 % edits with a snapshot each.
        #[arg(long, default_value_t = 30)]
        rounds: usize,
        /// Address of a real OpenSearch to measure beside (its `path.repo` must contain --opensearch-repo).
        #[arg(long)]
        opensearch: Option<String>,
        /// The repository folder of that OpenSearch.
        #[arg(long)]
        opensearch_repo: Option<PathBuf>,
    },
    /// The Weaviate dialect: backups of a changing collection, restore, reads and writes beside a backup.
    Collections {
        /// The snapkeep binary to measure.
        #[arg(long, default_value = "target/release/snapkeep")]
        snapkeep: PathBuf,
        /// Where data and repositories are kept while measuring.
        #[arg(long, default_value = "target/bench")]
        dir: PathBuf,
        /// Number of objects with a vector of 768 dimensions and 400 bytes of properties.
        #[arg(long, default_value_t = 100_000)]
        objects: u64,
        /// Rounds of 1 % changes with a backup each.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Address of a real Weaviate to measure beside.
        #[arg(long)]
        weaviate: Option<String>,
        /// The backup folder of that Weaviate.
        #[arg(long)]
        weaviate_repo: Option<PathBuf>,
    },
    /// Disks through the API of 51idc: full, unchanged and 2 % changed snapshots, rollback, beside restic, rustic, borg and qemu-img.
    Volumes {
        /// The snapkeep binary to measure.
        #[arg(long, default_value = "target/release/snapkeep")]
        snapkeep: PathBuf,
        /// Where images and repositories are kept while measuring; `bench/on-xfs` gives a folder on XFS.
        #[arg(long, default_value = "target/bench")]
        dir: PathBuf,
        /// How often each job is measured with each tool.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Size of the image in GiB, half of it holes.
        #[arg(long, default_value_t = 4.0)]
        gib: f64,
        /// Size in GiB of a sparse image with the same data, to compare the memory; 0 = none.
        #[arg(long, default_value_t = 64)]
        sparse_gib: u64,
    },
    /// Makes a corpus and keeps it, to look at one job with a profiler.
    Corpus {
        /// Which one.
        kind: corpus::Kind,
        /// Where it is made.
        #[arg(long, default_value = "target/bench")]
        dir: PathBuf,
        /// As for `engine`.
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
    },
    /// One job of the repository engine in a process of its own, as the engine benchmark measures it.
    #[command(hide = true)]
    Vault {
        #[command(subcommand)]
        job: vault_job::Job,
    },
}

fn main() -> Result<()> {
    // Only the first call has an effect, and this is it.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    match Arguments::parse().command {
        Command::Engine {
            dir,
            rounds,
            corpora,
            scale,
        } => engine::run(&dir, rounds, &corpora, scale),
        Command::Api {
            snapkeep,
            dir,
            documents,
            rounds,
            opensearch,
            opensearch_repo,
        } => {
            let peer = peer::peer("opensearch", opensearch, opensearch_repo)?;
            api::run(&snapkeep, &dir, documents, rounds, peer)
        }
        Command::Collections {
            snapkeep,
            dir,
            objects,
            rounds,
            weaviate,
            weaviate_repo,
        } => {
            let peer = peer::peer("weaviate", weaviate, weaviate_repo)?;
            collections::run(&snapkeep, &dir, objects, rounds, peer)
        }
        Command::Volumes {
            snapkeep,
            dir,
            rounds,
            gib,
            sparse_gib,
        } => volumes::run(&volumes::Plan {
            snapkeep: &snapkeep,
            dir: &dir,
            rounds,
            gib,
            sparse_gib,
        }),
        Command::Corpus { kind, dir, scale } => {
            std::fs::create_dir_all(&dir)?;
            println!(
                "{}",
                corpus::Corpus::make(kind, &dir, scale)?.root.display()
            );
            Ok(())
        }
        Command::Vault { job } => vault_job::run(job),
    }
}
