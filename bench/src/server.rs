//! A Snapkeep server as its users run it, for benchmarks that talk to it over HTTP.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::measure;

/// A Snapkeep server of our own on loopback with a fresh data folder.
pub struct Server {
    child: Child,
    /// Address such as `http://127.0.0.1:9200`.
    pub url: String,
    /// The folder that its repositories are in.
    pub repository_root: PathBuf,
}

impl Server {
    /// Starts it on a free port; an earlier data folder is replaced. `options` go to `serve`.
    pub fn start(binary: &Path, data: &Path, options: &[&str]) -> Result<Server> {
        if data.exists() {
            fs::remove_dir_all(data)?;
        }
        let repository_root = data.join("repositories");
        fs::create_dir_all(&repository_root)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(binary)
            .args([
                "serve",
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--data-dir",
            ])
            .arg(data)
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {}; build it with cargo build --release",
                    binary.display()
                )
            })?;
        let server = Server {
            child,
            url: format!("http://127.0.0.1:{port}"),
            repository_root,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while reqwest::blocking::get(format!("{}/health", server.url)).is_err() {
            if Instant::now() > deadline {
                bail!("the server did not answer within 30 s");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// CPU seconds so far.
    pub fn cpu_s(&self) -> Result<f64> {
        measure::process_cpu_s(self.child.id())
    }

    /// Highest resident memory so far, MiB.
    pub fn peak_memory_mib(&self) -> f64 {
        measure::peak_memory_mib(self.child.id()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The child may have ended by itself; either way there is nothing left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
