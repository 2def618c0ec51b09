//! Volumes that are known: `snapkeep volume add|ls|show|rm`.

use snapkeep_api::native::volumes::types::{
    AddVolume, RollbackMode, Volume, VolumeFormat, Volumes,
};

use super::super::Session;
use super::names::id_of;
use super::show;
use crate::exit::{Exit, Failure};

pub(super) const ADD_EXAMPLES: &str = "\
Files in the volumes folder (DATA_DIR/volumes) need not be added: they are volumes already. Nothing
is written to the disk.

Examples:
  snapkeep volume add /var/lib/images/database.raw
  snapkeep volume add /var/lib/images/web.qcow2 --name web
  snapkeep volume add /dev/sdb --name data --rollback in-place
  snapkeep volume add 'nbd+unix:///live?socket=/run/vm.sock' --name live";

/// Arguments of `snapkeep volume add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Path of the file or block device on the server, or an NBD URI.
    location: String,

    /// Its name [default: the name of the file].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Its id, `vol-` and seven letters and digits [default: a new one].
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// What it is [default: what is found there].
    #[arg(long, value_name = "FORMAT", value_parser = ["raw", "block", "qcow2", "nbd"])]
    format: Option<String>,

    /// Snapshot it even while somebody writes to it and no consistent view can be had. It is noted on the snapshot.
    #[arg(long)]
    allow_inconsistent: bool,

    /// How a rollback writes: `swap` puts a new file in the place of the old one, `in-place` writes where the blocks are
    /// [default: swap for files, in-place for everything else].
    #[arg(long, value_name = "HOW", value_parser = ["swap", "in-place"])]
    rollback: Option<String>,
}

/// Makes a volume known.
pub(super) async fn add(arguments: AddArgs, session: &Session) -> Result<Exit, Failure> {
    let wanted = AddVolume {
        location: absolute(&arguments.location)?,
        name: arguments.name,
        id: arguments.id,
        format: arguments.format.as_deref().map(format_of),
        allow_inconsistent: arguments.allow_inconsistent,
        rollback: arguments.rollback.as_deref().map(rollback_of),
    };
    let added: Volume = session.client.post(&["volumes"], &wanted).await?;
    session.output.show(&added, |added| {
        format!(
            "volume {} is {}: {}\nsnapshot it: snapkeep volume snapshot {0}",
            added.id,
            added.location,
            show::kind_and_size(added)
        )
    })?;
    Ok(Exit::Ok)
}

/// Lists them.
pub(super) async fn list(session: &Session) -> Result<Exit, Failure> {
    let found: Volumes = session.client.get(&["volumes"]).await?;
    session.output.show(&found, show::volumes)?;
    Ok(Exit::Ok)
}

/// Shows one.
pub(super) async fn show(volume: &str, session: &Session) -> Result<Exit, Failure> {
    let id = id_of(&session.client, volume).await?;
    let found: Volume = session.client.get(&["volumes", &id]).await?;
    session.output.show(&found, show::volume)?;
    Ok(Exit::Ok)
}

/// Forgets one.
pub(super) async fn remove(volume: &str, session: &Session) -> Result<Exit, Failure> {
    let id = id_of(&session.client, volume).await?;
    session.client.delete(&["volumes", &id]).await?;
    session
        .output
        .show(&serde_json::json!({"removed": id}), |_| {
            format!("volume {id} is forgotten; the disk and its snapshots stay")
        })?;
    Ok(Exit::Ok)
}

/// A relative path is meant from here, not from where the server was started.
fn absolute(location: &str) -> Result<String, Failure> {
    if location.contains("://") || location.starts_with("nbd:") {
        return Ok(location.to_owned());
    }
    let path = std::path::absolute(location)?;
    let text = path.into_os_string().into_string();
    text.map_err(|path| {
        Failure::usage(format!("the path {} is not UTF-8", path.display()))
            .hint("rename it, or make a symbolic link to it")
    })
}

fn format_of(word: &str) -> VolumeFormat {
    match word {
        "block" => VolumeFormat::Block,
        "qcow2" => VolumeFormat::Qcow2,
        "nbd" => VolumeFormat::Nbd,
        _ => VolumeFormat::Raw,
    }
}

fn rollback_of(word: &str) -> RollbackMode {
    match word {
        "in-place" => RollbackMode::InPlace,
        _ => RollbackMode::Swap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_meant_from_here_and_uris_are_left_alone() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            absolute("disk.raw").unwrap(),
            here.join("disk.raw").display().to_string()
        );
        for text in ["/dev/sdb", "nbd://host/x", "nbd+unix:///x?socket=/run/s"] {
            assert_eq!(absolute(text).unwrap(), text);
        }
    }
}
