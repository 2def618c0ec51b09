//! The guest agent: freezing the file systems inside the guest
//! (<https://www.qemu.org/docs/master/interop/qemu-ga-ref.html>).

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::lines::{Lines, QmpError};

/// Longest wait for the agent to come into step: 5 s. One that does not run is silent, the socket is QEMU's.
const SYNC_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a freeze or thaw: 60 s. Busy file systems take seconds to write out what is dirty.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to a guest's agent, in step.
#[derive(Debug)]
pub struct Agent {
    lines: Lines,
}

impl Agent {
    /// Connects and drops what earlier clients left unread.
    pub fn connect(socket: &Path) -> Result<Self, QmpError> {
        let mut lines = Lines::connect(socket)?;
        let id = rand::random::<u32>();
        let sync = json!({"execute": "guest-sync-delimited", "arguments": {"id": id}});
        lines.send(&[0xFF], &sync, SYNC_TIMEOUT)?;
        loop {
            match lines.receive(SYNC_TIMEOUT) {
                Ok(answer) if answer["return"].as_u64() == Some(u64::from(id)) => {
                    return Ok(Self { lines });
                }
                // Left from before, whole or cut.
                Ok(_) | Err(QmpError::Protocol(_)) => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Freezes all file systems that can be frozen.
    pub fn freeze(&mut self) -> Result<(), QmpError> {
        self.execute("guest-fsfreeze-freeze").map(drop)
    }

    /// Thaws them; succeeds when none is frozen.
    pub fn thaw(&mut self) -> Result<(), QmpError> {
        self.execute("guest-fsfreeze-thaw").map(drop)
    }

    fn execute(&mut self, command: &str) -> Result<Value, QmpError> {
        self.lines
            .send(&[], &json!({"execute": command}), TIMEOUT)?;
        let mut answer = self.lines.receive(TIMEOUT)?;
        if let Some(value) = answer.get_mut("return") {
            return Ok(value.take());
        }
        Err(QmpError::refused(command, &answer))
    }
}
