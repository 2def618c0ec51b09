//! `snapkeep instance`: disks that belong together, with the host that uses them.

mod add;
mod show;

use clap::Subcommand;
use snapkeep_api::native::volumes::types::{
    CaptureImage, ImageFormat, Images, Instance, Instances, VolumeJob,
};

use super::Session;
use super::volume::{SnapshotArgs, id_of, later, take, within};
use crate::client::{ConnectArgs, succeeded};
use crate::exit::{Exit, Failure};

/// `snapkeep instance …`.
#[derive(Debug, Subcommand)]
pub enum InstanceCommand {
    /// Bring volumes together, and say how their host is stopped, started and frozen.
    #[command(after_help = add::EXAMPLES)]
    Add(Box<add::AddArgs>),
    /// List all instances.
    Ls,
    /// Show an instance: its volumes, and how its host is controlled.
    Show {
        /// Its id, such as i-abc1234, or its name.
        instance: String,
    },
    /// Forget an added instance. Its volumes and its snapshots stay.
    Rm {
        /// Its id, such as i-abc1234, or its name.
        instance: String,
    },
    /// Take a snapshot of all disks of an instance at one moment, and wait until it is stored.
    #[command(after_help = "Example:\n  snapkeep instance snapshot i-abc1234 --name nightly")]
    Snapshot(SnapshotArgs),
    /// Make an image from a snapshot of an instance: its disks, ready to boot elsewhere, and a description with their SHA-256.
    #[command(after_help = "Examples:
  snapkeep instance image ss-abc1234 web-2026-11
  snapkeep instance image ss-abc1234 web-2026-11 --format ova     For VMware and VirtualBox")]
    Image {
        /// The snapshot, such as ss-abc1234.
        snapshot: String,
        /// Name of the image.
        name: String,
        /// A folder with qcow2 disks compressed with zstd (QEMU 5.1 and later) or zlib, or with raw disks; or one OVA file.
        #[arg(long, value_name = "FORMAT", default_value = "qcow2", value_parser = ["qcow2", "qcow2-zlib", "raw", "ova"])]
        format: String,
        /// Return at once; `snapkeep job show` tells how it goes.
        #[arg(long)]
        no_wait: bool,
    },
    /// List the images that were made.
    Images,
}

/// Runs it.
pub async fn run(command: InstanceCommand, connect: &ConnectArgs) -> Result<Exit, Failure> {
    within(connect, async |session| work(command, session).await).await
}

async fn work(command: InstanceCommand, session: &Session) -> Result<Exit, Failure> {
    let Session { client, output } = session;
    match command {
        InstanceCommand::Add(arguments) => return add::add(*arguments, session).await,
        InstanceCommand::Snapshot(arguments) => return take(arguments, session).await,
        InstanceCommand::Ls => {
            let found: Instances = client.get(&["instances"]).await?;
            output.show(&found, show::instances)?;
        }
        InstanceCommand::Show { instance } => {
            let id = id_of(client, &instance).await?;
            let found: Instance = client.get(&["instances", &id]).await?;
            output.show(&found, show::instance)?;
        }
        InstanceCommand::Rm { instance } => {
            let id = id_of(client, &instance).await?;
            client.delete(&["instances", &id]).await?;
            output.show(&serde_json::json!({"removed": id}), |_| {
                format!("instance {id} is forgotten; its volumes and snapshots stay")
            })?;
        }
        InstanceCommand::Image {
            snapshot,
            name,
            format,
            no_wait,
        } => {
            let wanted = CaptureImage {
                name,
                format: format_of(&format),
            };
            let path = ["volume-snapshots", &snapshot, "image"];
            let accepted: VolumeJob = client.post(&path, &wanted).await?;
            if no_wait {
                return later(&accepted, session);
            }
            let job = succeeded(client.wait(accepted.job, output).await?)?;
            let found: Images = client.get(&["images"]).await?;
            let made = found
                .images
                .into_iter()
                .find(|image| job.resources.contains(&image.id));
            let made = made.ok_or_else(|| Failure::failed("the image cannot be found"))?;
            output.show(&made, show::image)?;
        }
        InstanceCommand::Images => {
            let found: Images = client.get(&["images"]).await?;
            output.show(&found, show::images)?;
        }
    }
    Ok(Exit::Ok)
}

fn format_of(word: &str) -> ImageFormat {
    match word {
        "qcow2-zlib" => ImageFormat::Qcow2Zlib,
        "raw" => ImageFormat::Raw,
        "ova" => ImageFormat::Ova,
        _ => ImageFormat::Qcow2,
    }
}
