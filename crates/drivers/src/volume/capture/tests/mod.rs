//! Captures of real files, devices, images and exports.

mod devices;
mod files;
mod group;
mod images;
mod reflink;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{DiskCapture, DiskRequest, GroupCapture, capture, forget, forget_gone};
use crate::volume::host::{HostContext, HostControl, HostSpec};
use crate::volume::{DiskSource, DiskToken, VolumeError, VolumeFormat};

/// Longest wait for what happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk under test, with the folder for sockets of its captures.
struct Bench {
    source: DiskSource,
    state: tempfile::TempDir,
}

impl Bench {
    fn new(format: VolumeFormat, location: &str) -> Self {
        Self {
            source: DiskSource {
                volume: "vol-abc1234".to_owned(),
                format,
                location: location.to_owned(),
            },
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn at(format: VolumeFormat, path: &Path) -> Self {
        Self::new(format, path.to_str().unwrap())
    }

    fn request(&self, token: Option<&DiskToken>) -> DiskRequest {
        DiskRequest {
            source: self.source.clone(),
            token: token.cloned(),
        }
    }

    fn capture_with(
        &self,
        token: Option<&DiskToken>,
        host: &dyn HostControl,
        allow_inconsistent: bool,
    ) -> Result<Box<dyn DiskCapture>, VolumeError> {
        let disks = [self.request(token)];
        let mut captures = capture(GroupCapture {
            disks: &disks,
            host,
            allow_inconsistent,
            state_dir: self.state.path(),
        })?;
        Ok(captures.remove(0))
    }

    fn capture(&self, token: Option<&DiskToken>) -> Result<Box<dyn DiskCapture>, VolumeError> {
        self.capture_with(token, no_host().as_ref(), false)
    }

    fn refusal(&self) -> String {
        match self.capture(None) {
            Ok(_) => panic!("the capture was not refused"),
            Err(cause) => cause.to_string(),
        }
    }

    /// Captures and settles without reading, as after a rollback.
    fn token(&self, snapshot: &str) -> Option<DiskToken> {
        self.capture(None).unwrap().settle(Some(snapshot)).unwrap()
    }
}

fn no_host() -> Box<dyn HostControl> {
    HostSpec::None.control(HostContext::default())
}

/// All of a disk, holes by its extents alone.
fn read_all(capture: &dyn DiskCapture) -> Vec<u8> {
    let size = capture.size_bytes();
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    let mut at = 0;
    for extent in capture.extents(0..size).unwrap() {
        assert_eq!(extent.range.start, at, "extents do not adjoin");
        at = extent.range.end;
        if !extent.zero {
            let piece = &mut bytes[extent.range.start as usize..extent.range.end as usize];
            capture.read_at(extent.range.start, piece).unwrap();
        }
    }
    assert_eq!(at, size, "extents do not cover the disk");
    bytes
}

/// How much of a disk has to be read.
fn data_bytes(capture: &dyn DiskCapture) -> u64 {
    capture
        .extents(0..u64::MAX)
        .unwrap()
        .iter()
        .filter(|extent| !extent.zero)
        .map(|extent| extent.range.end - extent.range.start)
        .sum()
}

/// A program that runs until this is dropped.
struct Running(Child);

impl Running {
    fn new(program: &str, arguments: &[&str]) -> Self {
        Self(
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    /// A process that has `path` open, in the way that the shell's `redirection` says.
    fn that_opens(path: &Path, redirection: &str) -> Self {
        let ready = tempfile::NamedTempFile::new().unwrap();
        let script = format!(
            "exec 3{redirection}'{}'; echo > '{}'; read wait",
            path.display(),
            ready.path().display()
        );
        let running = Self::new("sh", &["-c", &script]);
        wait_for(|| fs::metadata(ready.path()).unwrap().len() > 0);
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A raw disk in `folder`: data, a hole, data.
fn raw_disk(folder: &Path) -> PathBuf {
    use std::os::unix::fs::FileExt;
    let path = folder.join("disk.raw");
    let file = File::create_new(&path).unwrap();
    file.set_len(8 << 20).unwrap();
    file.write_all_at(&[1; 1 << 20], 0).unwrap();
    file.write_all_at(&[2; 1 << 20], 5 << 20).unwrap();
    path
}
