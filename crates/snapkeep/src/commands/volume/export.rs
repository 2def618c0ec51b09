//! `snapkeep volume export`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use snapkeep_drivers::volume::write::{Compression, DiskFormat, WriteProgress, WrittenDisk};
use snapkeep_engine::{DISK_CACHE_BYTES, export_disk};

use super::source::Source;
use crate::client::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Transfer, bytes};

pub(super) const EXAMPLES: &str = "\
Reads the repository itself: the server need not run, and is not slowed down when it does. Every
block is checked against its hash. The file appears under its name when it is complete.

Examples:
  snapkeep volume export ss-abc1234 database.raw --format raw
  snapkeep volume export ss-abc1234 database.qcow2 --format qcow2 --compress zstd
  snapkeep volume export ss-abc1234 boot.vmdk --format vmdk --volume vol-abc1234";

/// Arguments of `snapkeep volume export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The snapshot, such as ss-abc1234.
    snapshot: String,

    /// The file to write.
    file: PathBuf,

    /// What to write: the bytes of the disk with its holes, qcow2, or a stream-optimised VMDK.
    #[arg(long, value_name = "FORMAT", value_parser = ["raw", "qcow2", "vmdk"])]
    format: String,

    /// How a qcow2 file is compressed; zstd needs QEMU 5.1 to be read, zlib is slow to write [default: none].
    #[arg(long, value_name = "HOW", value_parser = ["none", "zlib", "zstd"])]
    compress: Option<String>,

    /// Which disk of an instance.
    #[arg(long, value_name = "VOLUME")]
    volume: Option<String>,

    /// Repository of the snapshot [default: the one that the server knows it in].
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,

    /// Replace the file if there is one.
    #[arg(long)]
    force: bool,
}

/// Writes the file.
pub(super) async fn run(arguments: ExportArgs, connect: &ConnectArgs) -> Result<Exit, Failure> {
    let format = format_of(&arguments.format, arguments.compress.as_deref())?;
    check_target(&arguments.file, arguments.force)?;
    let repository = arguments.repository.as_deref();
    let source = Source::find(&arguments.snapshot, repository, connect).await?;
    let output = connect.output();
    let runtime = tokio::runtime::Handle::current();
    let progress = Arc::new(WriteProgress::new());
    let writer = {
        let progress = Arc::clone(&progress);
        let (file, volume) = (arguments.file.clone(), arguments.volume);
        tokio::task::spawn_blocking(move || {
            let disk = source.open(volume.as_deref(), DISK_CACHE_BYTES, runtime)?;
            export_disk(&disk, &file, format, arguments.force, &progress).map_err(Failure::failed)
        })
    };
    let bar = output.transfer(&format!("export {}", arguments.snapshot));
    let written = watch(writer, &progress, &bar).await;
    bar.finish();
    let written = written?;
    let shown = serde_json::json!({
        "file": written.path,
        "format": arguments.format,
        "bytes": written.bytes,
        "virtual_size_bytes": written.virtual_size_bytes,
    });
    output.show(&shown, |_| {
        format!(
            "wrote {}: {}, a disk of {}",
            written.path.display(),
            bytes(written.bytes),
            bytes(written.virtual_size_bytes)
        )
    })?;
    Ok(Exit::Ok)
}

/// Waits for the writer; Ctrl-C stops it, and leaves no file.
async fn watch(
    mut writer: tokio::task::JoinHandle<Result<WrittenDisk, Failure>>,
    progress: &WriteProgress,
    bar: &Transfer,
) -> Result<WrittenDisk, Failure> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            ended = &mut writer => {
                let ended = ended.map_err(Failure::failed)?;
                if ended.is_err() && progress.is_cancelled() {
                    let text = "the export was cancelled and left no file";
                    return Err(Failure::new(Exit::Cancelled, "cancelled", text));
                }
                return ended;
            }
            _ = &mut interrupted, if !progress.is_cancelled() => progress.cancel(),
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                let counts = progress.counts();
                bar.update(counts.done_bytes, counts.total_bytes);
            }
        }
    }
}

fn format_of(format: &str, compress: Option<&str>) -> Result<DiskFormat, Failure> {
    let compression = match compress {
        None | Some("none") => Compression::None,
        Some("zlib") => Compression::Zlib,
        Some(_) => Compression::Zstd,
    };
    match format {
        "qcow2" => Ok(DiskFormat::Qcow2 { compression }),
        _ if compression != Compression::None => Err(Failure::usage(format!(
            "--compress is for qcow2, not for {format}"
        ))
        .hint("raw files are not compressed, VMDK always is")),
        "vmdk" => Ok(DiskFormat::Vmdk),
        _ => Ok(DiskFormat::Raw),
    }
}

fn check_target(file: &Path, force: bool) -> Result<(), Failure> {
    if file.exists() && !force {
        return Err(Failure::usage(format!("{} exists", file.display()))
            .hint("name another file, or replace it with --force"));
    }
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        Ok(())
    } else {
        Err(Failure::usage(format!(
            "there is no folder {}",
            folder.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_for_qcow2_only() {
        assert_eq!(format_of("raw", None).unwrap(), DiskFormat::Raw);
        let zstd = DiskFormat::Qcow2 {
            compression: Compression::Zstd,
        };
        assert_eq!(format_of("qcow2", Some("zstd")).unwrap(), zstd);
        for format in ["raw", "vmdk"] {
            let failure = format_of(format, Some("zlib")).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    #[test]
    fn what_exists_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk.raw");
        check_target(&file, false).unwrap();
        std::fs::write(&file, "x").unwrap();
        assert_eq!(check_target(&file, false).unwrap_err().exit, Exit::Usage);
        check_target(&file, true).unwrap();
        assert!(check_target(&folder.path().join("no/disk.raw"), true).is_err());
    }
}
