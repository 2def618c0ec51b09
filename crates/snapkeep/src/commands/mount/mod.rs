//! `snapkeep mount`.

mod filesystem;
mod inodes;

use std::path::{Path, PathBuf};

use fuser::{Config, MountOption, SessionACL};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{Session, opened};
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use filesystem::SnapshotFilesystem;

/// Threads that answer the kernel; each may wait for the repository.
const THREADS: usize = 8;
const MIB: u64 = 1 << 20;

/// Arguments of `snapkeep mount`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything that is in the snapshot appears as files, read-only: documents as NDJSON, vectors as raw
floats, with the descriptions beside them. What is read comes from the repository and is checked
against its hashes; nothing is restored first. The repository is locked against the removal of data
for as long as the mount lasts. End it with Ctrl-C or with `umount DIR`.

Needs FUSE: as root /dev/fuse, otherwise the program fusermount3 (Debian: apt-get install fuse3).

Examples:
  snapkeep mount my_backup nightly-1 /mnt --data-dir /var/lib/snapkeep
  grep -h '\"user\":\"kim\"' /mnt/indices/orders/*/docs-*.ndjson")]
pub struct MountArgs {
    /// Name of the repository.
    repository: String,

    /// Name of the snapshot.
    snapshot: String,

    /// An existing empty folder.
    dir: PathBuf,

    /// Let other users read it too.
    #[arg(long)]
    allow_other: bool,

    /// Memory for what was read a moment ago, MiB.
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    cache: u64,
}

/// Mounts, and returns when it is unmounted.
pub async fn run(arguments: MountArgs, connect: &ConnectArgs) -> Result<Exit, Failure> {
    check_mount_point(&arguments.dir)?;
    // Asked first, so that a signal while the repository is being opened is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let session = Session::open(connect).await?;
    let output = session.output;
    let found = opened::find(
        &arguments.repository,
        &arguments.snapshot,
        connect,
        &session,
    );
    let found = found.await;
    let found = session.end(found).await?;
    crate::serve::logging::install(crate::config::LogFormat::Text, "warn")?;

    let place = arguments.dir.clone();
    let runtime = tokio::runtime::Handle::current();
    let opened = tokio::task::spawn_blocking(move || {
        let opened = opened::open(&found, arguments.cache * MIB, runtime)?;
        let filesystem = SnapshotFilesystem::new(opened.cache, opened.tree, opened.time);
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::RO,
            MountOption::NoDev,
            MountOption::NoSuid,
            MountOption::DefaultPermissions,
            MountOption::FSName(format!("{}/{}", arguments.repository, arguments.snapshot)),
            MountOption::Subtype("snapkeep".to_owned()),
        ];
        config.n_threads = Some(THREADS);
        config.clone_fd = true;
        if arguments.allow_other {
            config.acl = SessionACL::All;
        }
        let mounted = fuser::spawn_mount(filesystem, &arguments.dir, &config).map_err(|cause| {
            Failure::new(
                Exit::Failed,
                "cannot_mount",
                format!("cannot mount on {}: {cause}", arguments.dir.display()),
            )
            .hint("FUSE is needed: as root /dev/fuse, otherwise the program fusermount3 (Debian: apt-get install fuse3)")
        })?;
        Ok::<_, Failure>((mounted, opened.lock))
    });
    let (mounted, lock) = opened.await.map_err(Failure::failed)??;
    output.show(&json!({"mounted": place}), |_| {
        format!(
            "mounted on {}; end it with Ctrl-C or `umount {0}`",
            place.display()
        )
    })?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = unmounted(place.clone()) => ended,
    };
    let closed = tokio::task::spawn_blocking(move || {
        let closed = mounted.umount_and_join();
        drop(lock);
        closed
    });
    let closed = closed.await.map_err(Failure::failed)?;
    ended?;
    if let Err(cause) = closed {
        tracing::debug!(%cause, "already unmounted");
    }
    Ok(Exit::Ok)
}

/// The mount would be refused, or hide what is there.
fn check_mount_point(dir: &Path) -> Result<(), Failure> {
    let problem = match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => return Ok(()),
        Ok(false) => "is not empty".to_owned(),
        Err(cause) => format!("cannot be used: {cause}"),
    };
    Err(
        Failure::usage(format!("the folder {} {problem}", dir.display()))
            .hint("name an existing empty folder"),
    )
}

/// Returns when somebody has unmounted it.
async fn unmounted(dir: PathBuf) -> Result<(), Failure> {
    let inside = device_of(&dir)?;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let place = dir.clone();
        let now = tokio::task::spawn_blocking(move || device_of(&place)).await;
        if !matches!(now, Ok(Ok(device)) if device == inside) {
            return Ok(());
        }
    }
}

fn device_of(dir: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(dir)?.dev())
}
