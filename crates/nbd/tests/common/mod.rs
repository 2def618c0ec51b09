//! What the suites share: a disk in memory and servers of it.
#![allow(dead_code, clippy::unwrap_used)]

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use snapkeep_nbd::protocol::BASE_ALLOCATION;
use snapkeep_nbd::{
    Client, Export, ListenOn, NamedExport, Options, Server, ServerOptions, ZeroRange,
};

pub const MIB: usize = 1 << 20;
/// Extents of the disk in memory have at least this length.
const BLOCK: usize = 4096;

/// A disk in memory.
pub struct Memory {
    pub bytes: RwLock<Vec<u8>>,
    pub is_writable: bool,
}

impl Memory {
    pub fn read_only(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            bytes: RwLock::new(bytes),
            is_writable: false,
        })
    }

    pub fn writable(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            bytes: RwLock::new(bytes),
            is_writable: true,
        })
    }
}

impl Export for Memory {
    fn size_bytes(&self) -> u64 {
        self.bytes.read().unwrap().len() as u64
    }

    fn is_read_only(&self) -> bool {
        !self.is_writable
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        buffer.copy_from_slice(&self.bytes.read().unwrap()[start..start + buffer.len()]);
        Ok(())
    }

    fn extents(&self, range: Range<u64>, limit: usize) -> io::Result<Vec<ZeroRange>> {
        let bytes = self.bytes.read().unwrap();
        let mut found: Vec<ZeroRange> = Vec::new();
        let mut at = range.start as usize;
        while at < range.end as usize {
            let end = (at / BLOCK * BLOCK + BLOCK).min(range.end as usize);
            let is_zero = bytes[at..end].iter().all(|byte| *byte == 0);
            let is_full = found.len() == limit;
            match found.last_mut() {
                Some(last) if last.is_zero == is_zero => last.range.end = end as u64,
                _ if is_full => break,
                _ => found.push(ZeroRange {
                    range: at as u64..end as u64,
                    is_zero,
                }),
            }
            at = end;
        }
        Ok(found)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = offset as usize;
        self.bytes.write().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn write_zeroes(&self, range: Range<u64>, _: bool) -> io::Result<()> {
        self.bytes.write().unwrap()[range.start as usize..range.end as usize].fill(0);
        Ok(())
    }

    fn trim(&self, range: Range<u64>) -> io::Result<()> {
        self.write_zeroes(range, true)
    }
}

/// Bytes that look random, with zeroes between them: 64 KiB of each.
pub fn pattern(length: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(0x9e37_79b9) >> 13) as u8 | 1;
    let is_zero = |at: usize| (at >> 16) % 2 == 1;
    (0..length)
        .map(|at| if is_zero(at) { 0 } else { byte(at) })
        .collect()
}

/// A server at a UNIX socket in a folder of its own.
pub struct Served {
    pub server: Server,
    pub folder: tempfile::TempDir,
}

impl Served {
    pub fn of(export: Arc<dyn Export>) -> Self {
        Self::with(export, |_| {})
    }

    pub fn with(export: Arc<dyn Export>, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = ServerOptions::new(ListenOn::Unix(folder.path().join("s")));
        change(&mut options);
        let export = NamedExport {
            name: "disk".to_owned(),
            description: "a disk for tests".to_owned(),
            export,
        };
        let server = Server::start(options, vec![export]).unwrap();
        Self { server, folder }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    pub fn client(&self) -> Client {
        let options = Options::with_contexts([BASE_ALLOCATION]);
        Client::connect(&self.server.uri("disk"), &options).unwrap()
    }

    /// Waits until no connection is left: none is stuck.
    pub fn wait_until_idle(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.server.connections() > 0 {
            assert!(Instant::now() < deadline, "a connection is stuck");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
