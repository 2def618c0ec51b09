//! `snapkeep volume`: disks, their snapshots, and what can be made of these.

mod export;
mod names;
mod registry;
mod serve;
mod show;
mod snapshots;
mod source;

use clap::Subcommand;

use super::Session;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};

pub(super) use names::id_of;
pub(super) use show::origin;
pub(super) use snapshots::{SnapshotArgs, later, take};

/// `snapkeep volume …`.
#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Make a disk known: a raw or qcow2 file, a block device, or an NBD export.
    #[command(after_help = registry::ADD_EXAMPLES)]
    Add(registry::AddArgs),
    /// List all volumes: those of the volumes folder, of the configuration, and added ones.
    Ls,
    /// Show a volume, or a snapshot and its disks.
    #[command(
        after_help = "Examples:\n  snapkeep volume show vol-abc1234\n  snapkeep volume show ss-abc1234"
    )]
    Show {
        /// Its id, such as vol-abc1234 or ss-abc1234, or the name of a volume.
        id: String,
    },
    /// Forget an added volume. The disk and its snapshots stay.
    Rm {
        /// Its id, such as vol-abc1234, or its name.
        volume: String,
    },
    /// Take snapshots of volumes and instances, all at one moment, and wait until they are stored.
    #[command(after_help = snapshots::SNAPSHOT_EXAMPLES)]
    Snapshot(snapshots::SnapshotArgs),
    /// List snapshots of volumes and instances, the newest first.
    #[command(after_help = snapshots::LIST_EXAMPLES)]
    Snapshots(snapshots::ListArgs),
    /// Bring volumes back to what they were: only the blocks that differ are written.
    #[command(after_help = snapshots::ROLLBACK_EXAMPLES)]
    Rollback(snapshots::RollbackArgs),
    /// Make a new volume from a snapshot, in the volumes folder and of the format the source has.
    #[command(after_help = "Example:\n  snapkeep volume create ss-abc1234 database-copy")]
    Create(snapshots::CreateArgs),
    /// Give a snapshot another name or description.
    #[command(
        after_help = "Example:\n  snapkeep volume rename ss-abc1234 'before upgrade' --description 'schema 41'"
    )]
    Rename(snapshots::RenameArgs),
    /// Delete snapshots. Later ones stay whole, unless --cascade takes them along.
    #[command(after_help = snapshots::DELETE_EXAMPLES)]
    Delete(snapshots::DeleteArgs),
    /// Write a snapshot into a file: raw, qcow2 or VMDK.
    #[command(after_help = export::EXAMPLES)]
    Export(export::ExportArgs),
    /// Attach a snapshot as a disk over NBD at once, without restoring it.
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::ServeArgs),
}

/// Runs it.
pub async fn run(command: VolumeCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    use VolumeCommand as C;
    match command {
        C::Add(given) => {
            let session = Session::open_or_create(connect).await?;
            let outcome = registry::add(given, &session).await;
            session.end(outcome).await
        }
        C::Ls => within(connect, registry::list).await,
        C::Show { id } if id.starts_with("ss-") => {
            within(connect, async |session| {
                snapshots::show_one(&id, session).await
            })
            .await
        }
        C::Show { id } => within(connect, async |session| registry::show(&id, session).await).await,
        C::Rm { volume } => {
            within(connect, async |session| {
                registry::remove(&volume, session).await
            })
            .await
        }
        C::Snapshot(given) => {
            within(connect, async |session| {
                snapshots::take(given, session).await
            })
            .await
        }
        C::Snapshots(given) => {
            within(connect, async |session| {
                snapshots::list(given, session).await
            })
            .await
        }
        C::Rollback(given) => {
            within(connect, async |session| {
                snapshots::roll_back(given, session).await
            })
            .await
        }
        C::Create(given) => {
            within(connect, async |session| {
                snapshots::create(given, session).await
            })
            .await
        }
        C::Rename(given) => {
            within(connect, async |session| {
                snapshots::rename(given, session).await
            })
            .await
        }
        C::Delete(given) => {
            within(connect, async |session| {
                snapshots::delete(given, session).await
            })
            .await
        }
        C::Export(given) => export::run(given, connect).await,
        C::Serve(given) => serve::run(given, connect).await,
    }
}

/// Does work with a connection.
pub(super) async fn within(
    connect: &ConnectArgs,
    work: impl AsyncFnOnce(&Session) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let session = Session::open(connect).await?;
    let outcome = work(&session).await;
    session.end(outcome).await
}
