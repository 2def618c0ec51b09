//! The story itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::client::DemoClient;
use super::corpus::{Change, Corpus, bulk_body};
use super::proof;
use super::restic::Restic;
use super::story::Story;
use super::volume;
use crate::exit::{Exit, Failure};
use crate::output::{bytes, print_line, program};
use crate::serve::{Server, SettingsArgs, install_logging};

const DOCUMENTS: usize = 5_000;
const CHANGED: usize = DOCUMENTS / 100;
const INDEX: &str = "orders";
const BULK_BATCH: usize = 1_000;

/// Arguments of `snapkeep demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Serves on 127.0.0.1:9250 (a free port when that is taken) from a temporary folder that is removed
at the end: documents into an index, a repository, a snapshot, 1 % changed, a second snapshot, the
index deleted, restored, and every document compared. Then a disk: snapshot, change, increment,
rollback, and its hash compared.

Examples:
  snapkeep demo            And keep serving, to try more by hand; Ctrl-C ends
  snapkeep demo --exit     For scripts: 0 when everything was proved")]
pub struct DemoArgs {
    /// End after the proof instead of serving on.
    #[arg(long)]
    exit: bool,

    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:9250, or a free port when that is taken].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Runs it.
pub async fn run(arguments: DemoArgs, settings: &SettingsArgs) -> Result<Exit, Failure> {
    let temporary = tempfile::Builder::new()
        .prefix("snapkeep-demo-")
        .tempdir()?;
    let mut chosen = settings.clone();
    let folder = temporary.path().to_owned();
    chosen.data_dir = Some(
        settings
            .data_dir
            .clone()
            .unwrap_or_else(|| folder.join("data")),
    );
    chosen.log_level = Some(
        settings
            .log_level
            .clone()
            .unwrap_or_else(|| "error".to_owned()),
    );
    let listen = arguments.listen.unwrap_or_else(free_or_default);
    let settings = chosen.load(&[listen])?;
    install_logging(settings.log.format, &settings.log.level)?;
    let mut terminate = signal(SignalKind::terminate())?;

    let server = Server::start(&settings).await?;
    let told = tokio::select! {
        told = tell(&server, &folder, arguments.exit) => told,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Cancelled, "cancelled", "interrupted")),
        _ = terminate.recv() => Err(Failure::new(Exit::Cancelled, "cancelled", "interrupted")),
    };
    if told.is_ok() && !arguments.exit {
        print_line(&format!(
            "\nStill serving; Ctrl-C ends and removes {}.",
            folder.display()
        ))?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    server.stop().await;
    told.map(|()| Exit::Ok)
}

/// The well-known address, unless somebody listens there.
fn free_or_default() -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], 9250));
    match std::net::TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

async fn tell(server: &Server, folder: &Path, exit: bool) -> Result<(), Failure> {
    let base = server.urls().into_iter().next().unwrap_or_default();
    let story = Story::new();
    let client = DemoClient::new(&base, &story);
    story.say(&format!(
        "Snapkeep {} serves on {base}, with its data in {}.",
        env!("CARGO_PKG_VERSION"),
        server.data_dir().display()
    ));
    story.say(
        "Each request is shown as the curl line that does the same; the answers are shortened.",
    );

    let before = Corpus::new(DOCUMENTS);
    load(&client, &story, folder, &before).await?;
    register(&client, &story).await?;
    take(&client, &story, "snapshot_1").await?;
    let changes = before.changes(CHANGED);
    let after = before.after(&changes);
    change(&client, &story, folder, &changes).await?;
    take(&client, &story, "snapshot_2").await?;
    how_little(&client, &story).await?;
    lose(&client, &story).await?;
    restore(&client, &story, &after).await?;
    restore_earlier(&client, &story, &before).await?;
    check(&client, &story).await?;
    stock_restic(&client, &story, server.data_dir(), folder).await?;
    let disk = volume::tell(&client, &story, server.data_dir()).await?;

    story.say(&format!(
        "\nDone: {} documents were lost, restored and compared one by one; all are back. So is every byte of a disk.",
        after.documents.len()
    ));
    if exit {
        let program = program();
        story.say(&format!(
            "Try next:\n  {program} demo           the same, and it keeps serving\n  {program} serve          your own data, kept in ./snapkeep-data"
        ));
    } else {
        what_next(&story, &base, server.data_dir(), &disk);
    }
    Ok(())
}

async fn load(
    client: &DemoClient<'_>,
    story: &Story,
    folder: &Path,
    corpus: &Corpus,
) -> Result<(), Failure> {
    story.step(&format!(
        "Create an index and load {} documents",
        corpus.documents.len()
    ));
    let mappings = json!({"properties": {"customer": {"type": "keyword"}, "town": {"type": "keyword"}, "quantity": {"type": "integer"}, "price": {"type": "double"}, "ordered_at": {"type": "date"}, "note": {"type": "text"}}});
    let created = client
        .send(
            Method::PUT,
            &format!("/{INDEX}"),
            Some(json!({"settings": {"number_of_shards": 2}, "mappings": mappings})),
        )
        .await?;
    story.answer(&created.to_string());
    let all: Vec<Change> = corpus
        .documents
        .iter()
        .map(|(id, document)| Change::Put(id.clone(), document.clone()))
        .collect();
    for (number, batch) in all.chunks(BULK_BATCH).enumerate() {
        let file = folder.join(format!("documents-{}.ndjson", number + 1));
        client
            .bulk(&file, bulk_body(INDEX, batch), number == 0)
            .await?;
    }
    story.answer(&format!(
        "… and {} more of these",
        all.len().div_ceil(BULK_BATCH) - 1
    ));
    let count = client
        .send(Method::GET, &format!("/{INDEX}/_count"), None)
        .await?;
    story.answer(&json!({"count": count["count"]}).to_string());
    Ok(())
}

async fn register(client: &DemoClient<'_>, story: &Story) -> Result<(), Failure> {
    story.step("Register a repository");
    let answer = client
        .send(
            Method::PUT,
            "/_snapshot/my_backup",
            Some(json!({"type": "fs", "settings": {"location": "my_backup"}})),
        )
        .await?;
    story.answer(&answer.to_string());
    Ok(())
}

async fn take(client: &DemoClient<'_>, story: &Story, name: &str) -> Result<(), Failure> {
    story.step(&format!("Take {name}"));
    let answer = client
        .send(
            Method::PUT,
            &format!("/_snapshot/my_backup/{name}?wait_for_completion=true"),
            None,
        )
        .await?;
    let taken = &answer["snapshot"];
    story.answer(&json!({"snapshot": taken["snapshot"], "state": taken["state"], "indices": taken["indices"], "shards": taken["shards"], "duration_in_millis": taken["duration_in_millis"]}).to_string());
    match taken["state"].as_str() {
        Some("SUCCESS") => Ok(()),
        _ => Err(Failure::failed(format!("{name} is no SUCCESS: {taken}"))),
    }
}

async fn change(
    client: &DemoClient<'_>,
    story: &Story,
    folder: &Path,
    changes: &[Change],
) -> Result<(), Failure> {
    let deleted = changes
        .iter()
        .filter(|change| matches!(change, Change::Delete(_)))
        .count();
    story.step(&format!(
        "Change 1 % of the documents: {} written, {deleted} deleted",
        changes.len() - deleted
    ));
    client
        .bulk(
            &folder.join("changes.ndjson"),
            bulk_body(INDEX, changes),
            true,
        )
        .await?;
    Ok(())
}

async fn how_little(client: &DemoClient<'_>, story: &Story) -> Result<(), Failure> {
    story.step("See how little the second snapshot stored");
    let mut stored = Vec::new();
    for name in ["snapshot_1", "snapshot_2"] {
        let status = client
            .send(
                Method::GET,
                &format!("/api/v1/repositories/my_backup/snapshots/{name}/status"),
                None,
            )
            .await?;
        let shards = status["shards"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let sum = |key: &str| {
            shards
                .iter()
                .filter_map(|shard| shard[key].as_u64())
                .sum::<u64>()
        };
        let added = status["stored_bytes"].as_u64().unwrap_or(0);
        story.answer(&format!(
            "{name}: {} in all, {} of it new, {} added to the repository",
            bytes(sum("total_bytes")),
            bytes(sum("new_bytes")),
            bytes(added)
        ));
        stored.push(added);
    }
    if let [first, second] = stored[..]
        && first > 0
    {
        story.proved(&format!(
            "the second snapshot cost {:.1} % of the first, and is just as complete",
            second as f64 * 100.0 / first as f64
        ));
    }
    Ok(())
}

async fn lose(client: &DemoClient<'_>, story: &Story) -> Result<(), Failure> {
    story.step("Lose the index");
    let answer = client
        .send(Method::DELETE, &format!("/{INDEX}"), None)
        .await?;
    story.answer(&answer.to_string());
    let (status, answer) = client.status_of(&format!("/{INDEX}/_count")).await?;
    story.answer(&format!("{status} {}", answer["error"]["type"]));
    if status == 404 {
        Ok(())
    } else {
        Err(Failure::failed(format!(
            "the deleted index still answers {status}"
        )))
    }
}

async fn restore(client: &DemoClient<'_>, story: &Story, expected: &Corpus) -> Result<(), Failure> {
    story.step("Restore it");
    let body = json!({"indices": INDEX, "include_global_state": false});
    let answer = client
        .send(
            Method::POST,
            "/_snapshot/my_backup/snapshot_2/_restore?wait_for_completion=true",
            Some(body),
        )
        .await?;
    story.answer(&answer["snapshot"].to_string());
    story.step("Prove that every document is back");
    let compared = proof::compare(client, INDEX, expected).await?;
    story.proved(&format!("{compared} documents compared one by one: each is there, each is the same, and none is there that should not be"));
    Ok(())
}

async fn restore_earlier(
    client: &DemoClient<'_>,
    story: &Story,
    expected: &Corpus,
) -> Result<(), Failure> {
    story.step("Restore the earlier state beside it, under another name");
    let body = json!({"indices": INDEX, "rename_pattern": "(.+)", "rename_replacement": "$1_before", "include_global_state": false});
    let answer = client
        .send(
            Method::POST,
            "/_snapshot/my_backup/snapshot_1/_restore?wait_for_completion=true",
            Some(body),
        )
        .await?;
    story.answer(&answer["snapshot"].to_string());
    let compared = proof::compare(client, &format!("{INDEX}_before"), expected).await?;
    story.proved(&format!(
        "{compared} documents compared one by one with what was loaded before the change"
    ));
    Ok(())
}

async fn check(client: &DemoClient<'_>, story: &Story) -> Result<(), Failure> {
    story.step("Check the repository, every byte");
    let accepted = client
        .send(
            Method::POST,
            "/api/v1/repositories/my_backup/check",
            Some(json!({"read_data": "all"})),
        )
        .await?;
    let job = client.finished(&accepted).await?;
    story.answer(&json!({"state": job["state"], "result": job["result"]}).to_string());
    if job["result"]["problem_count"] != json!(0) {
        return Err(Failure::new(
            Exit::Damaged,
            "damaged",
            format!("the check found damage: {job}"),
        ));
    }
    story.proved("everything that the snapshots need is there and unharmed");
    Ok(())
}

async fn stock_restic(
    client: &DemoClient<'_>,
    story: &Story,
    data_dir: &Path,
    folder: &Path,
) -> Result<(), Failure> {
    story.step("Look at the same repository with stock restic, without Snapkeep");
    if !Restic::is_installed() {
        story.answer("restic is not on PATH; this step is left out");
        return Ok(());
    }
    let found: Value = client
        .quietly(Method::GET, "/api/v1/repositories/my_backup", None)
        .await?;
    let repository = PathBuf::from(found["location"].as_str().unwrap_or_default());
    story.command(&format!(
        "eval \"$({} repo env my_backup --data-dir {})\"",
        program(),
        data_dir.display()
    ));
    let (password_file, cache) = (data_dir.join("repository.key"), folder.join("restic-cache"));
    let restic = Restic {
        repository: &repository,
        password_file: &password_file,
        cache: &cache,
    };
    restic.run(&["snapshots"], 6, story).await?;
    restic.run(&["ls", "latest"], 8, story).await?;
    restic.run(&["check", "--read-data"], 2, story).await?;
    story
        .proved("stock restic lists, reads and verifies it: your data does not depend on Snapkeep");
    Ok(())
}

fn what_next(story: &Story, base: &str, data_dir: &Path, disk: &str) {
    let (program, data_dir) = (program(), data_dir.display());
    story.say(&format!(
        r#"
Try next:
  curl '{base}/_cat/snapshots/my_backup?v'
  curl '{base}/{INDEX}/_search?q=town:Bern&size=2&pretty'
  curl '{base}/_snapshot/my_backup/_all?pretty'
  {program} snapshot ls my_backup --server {base}
  eval "$({program} repo env my_backup --data-dir {data_dir})"; restic snapshots
  {program} volume serve {disk} --data-dir {data_dir}          the disk over NBD, without restoring it
  {program} serve          and your own data, kept in ./snapkeep-data"#
    ));
}
