//! Reading image formats through `qemu-nbd`, QEMU's own reader.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use snapkeep_nbd::protocol::BASE_ALLOCATION;
use snapkeep_nbd::{Client, Options, Uri};

use super::NbdSource;
use crate::volume::VolumeError;
use crate::volume::files::{PrivateFolder, find_tool};

/// Longest wait for the server to listen. Opening an image takes milliseconds; a machine under load, seconds.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server that was left over may take to answer.
const LEFT_OVER_TIMEOUT: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(5);
/// The longest complaint that is passed on, in bytes.
const LONGEST_COMPLAINT: usize = 1024;
const SOCKET: &str = "nbd.sock";
const COMPLAINTS: &str = "stderr";

/// Which view of a qcow2 image is wanted.
#[derive(Debug, Clone, Copy)]
pub(in crate::volume) struct ImageView<'a> {
    /// The image file.
    pub(in crate::volume) image: &'a Path,
    /// A persistent bitmap to show with it.
    pub(in crate::volume) bitmap: Option<&'a str>,
    /// Read even while somebody writes to it.
    pub(in crate::volume) ignore_writers: bool,
}

/// A running `qemu-nbd` that serves one image read-only. It serves one connection and ends with it, so that it does not outlive
/// this process even when that is killed; dropping it ends and reaps it.
pub(in crate::volume) struct QemuNbd {
    child: Child,
    folder: PrivateFolder,
}

impl QemuNbd {
    /// Starts a server and connects to it. Its socket is in a private folder below `state_dir`.
    ///
    /// # Errors
    /// [`VolumeError::ToolMissing`]; [`VolumeError::Tool`] with what `qemu-nbd` complains of.
    pub(in crate::volume) fn open(
        view: ImageView<'_>,
        state_dir: &Path,
    ) -> Result<NbdSource, VolumeError> {
        let location = view.image.display().to_string();
        let program = find_tool("qemu-nbd", "qemu-utils")?;
        let folder = PrivateFolder::for_socket(state_dir, SOCKET)?;
        let socket = folder.join(SOCKET);
        let complaints = folder.join(COMPLAINTS);
        let stderr = File::create(&complaints).map_err(VolumeError::io("create", &complaints))?;
        let mut command = Command::new(program);
        command
            .arg("--read-only")
            .arg("--socket")
            .arg(&socket)
            .arg("--image-opts")
            .arg(image_options(view));
        let mut contexts = vec![BASE_ALLOCATION.to_owned()];
        if let Some(bitmap) = view.bitmap {
            command.arg("--bitmap").arg(bitmap);
            contexts.push(bitmap_context(bitmap));
        }
        let child = command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(VolumeError::io("start qemu-nbd for", view.image))?;
        let mut server = Self { child, folder };
        let uri = Uri::unix(&socket, "");
        server.wait_until_listening(&socket, &location)?;
        let client = Client::connect(&uri, &Options::with_contexts(contexts))
            .map_err(|cause| server.failed(&location, &cause.to_string()))?;
        Ok(NbdSource::own(server, client, location))
    }

    /// The socket appears when it is bound; a client that comes before `listen` is refused, so the one connection is made later.
    fn wait_until_listening(&mut self, socket: &Path, location: &str) -> Result<(), VolumeError> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !is_listening(socket) {
            let ended = self
                .child
                .try_wait()
                .map_err(VolumeError::io("wait for qemu-nbd of", location))?;
            if let Some(status) = ended {
                return Err(self.failed(location, &status.to_string()));
            }
            if Instant::now() >= deadline {
                return Err(self.failed(
                    location,
                    &format!("it did not listen within {} s", START_TIMEOUT.as_secs()),
                ));
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn failed(&self, location: &str, otherwise: &str) -> VolumeError {
        let said = fs::read(self.folder.join(COMPLAINTS)).unwrap_or_default();
        let start = said.len().saturating_sub(LONGEST_COMPLAINT);
        let said = String::from_utf8_lossy(&said[start..]).trim().to_owned();
        VolumeError::Tool {
            tool: "qemu-nbd".to_owned(),
            location: location.to_owned(),
            message: if said.is_empty() {
                otherwise.to_owned()
            } else {
                said
            },
        }
    }
}

impl Drop for QemuNbd {
    fn drop(&mut self) {
        // It only reads, so it may be killed at any moment. Both fail only when it has ended and is reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cleans up below `state_dir` after captures that a crash cut off. To be called at start; captures of living processes are left alone.
pub fn recover_captures(state_dir: &Path) {
    for folder in PrivateFolder::left_over(state_dir) {
        // A server whose process was gone before it connected waits for its one client still, and ends with it.
        let options = Options {
            timeout: LEFT_OVER_TIMEOUT,
            ..Options::default()
        };
        let ended = Client::connect(&Uri::unix(&folder.join(SOCKET), ""), &options).is_ok();
        tracing::info!(folder = %folder.join("").display(), server_ended = ended, "cleaned up after a capture that was cut off");
    }
}

/// Name of the NBD context of a bitmap.
pub(in crate::volume) fn bitmap_context(bitmap: &str) -> String {
    format!("qemu:dirty-bitmap:{bitmap}")
}

/// The image as QEMU's options name it, so that nothing in its path or content is taken for another format or protocol.
fn image_options(view: ImageView<'_>) -> String {
    let path = view.image.display().to_string().replace(',', ",,");
    let share = if view.ignore_writers {
        ",force-share=on"
    } else {
        ""
    };
    format!("driver=qcow2,file.driver=file,file.filename={path}{share}")
}

/// Whether somebody listens at a UNIX socket, without connecting to it: `qemu-nbd` ends with its first client.
fn is_listening(socket: &Path) -> bool {
    const ACCEPTS_CONNECTIONS: u32 = 1 << 16;
    let Ok(table) = fs::read_to_string("/proc/net/unix") else {
        return socket.exists();
    };
    let path = format!(" {}", socket.display());
    // `Num RefCount Protocol Flags Type St Inode Path` (proc(5)).
    table.lines().any(|line| {
        let flags = line
            .split_ascii_whitespace()
            .nth(3)
            .and_then(|field| u32::from_str_radix(field, 16).ok());
        line.ends_with(&path) && flags.is_some_and(|flags| flags & ACCEPTS_CONNECTIONS != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_do_not_become_options() {
        let view = ImageView {
            image: Path::new("/v/a,b.qcow2"),
            bitmap: None,
            ignore_writers: true,
        };
        assert_eq!(
            image_options(view),
            "driver=qcow2,file.driver=file,file.filename=/v/a,,b.qcow2,force-share=on"
        );
    }

    #[test]
    fn a_listening_socket_is_told_from_a_mere_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        assert!(!is_listening(&path));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(is_listening(&path));
        drop(listener);
        assert!(path.exists());
        assert!(!is_listening(&path));
    }
}
