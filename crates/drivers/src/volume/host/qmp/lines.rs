//! JSON values, one a line, over a UNIX socket, as QMP and the guest agent speak.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::UCred;
use serde_json::Value;

use crate::volume::VolumeError;

/// Longest line that is taken: 16 MiB. The longest of QEMU's is the schema of its commands, below 1 MiB.
const LONGEST_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// Nobody listens at the socket, or it is not there: the process does not run.
    #[error("nobody answers at it: {0}")]
    Gone(std::io::Error),
    /// The other side closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(std::io::Error),
    /// No answer in time.
    #[error(
        "no answer within {} s; QEMU serves one client at a time, so see that nobody else is connected to the socket",
        .0.as_secs_f64()
    )]
    Timeout(Duration),
    /// The answer is none of the protocol's.
    #[error("it does not speak the protocol: {0}")]
    Protocol(String),
    /// The command was refused.
    #[error("`{command}` was refused: {message}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's class of error, as `CommandNotFound`.
        class: String,
        /// QEMU's own words.
        message: String,
    },
}

impl QmpError {
    /// Whether the process has no such command: it is older, or not a whole QEMU.
    pub fn is_unknown_command(&self) -> bool {
        matches!(self, Self::Refused { class, .. } if class == "CommandNotFound")
    }

    /// Whether the process does not run, or has just ended.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Gone(_) | Self::Closed => true,
            Self::Io(cause) => matches!(
                cause.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            ),
            _ => false,
        }
    }

    /// What an answer without `return` says.
    pub fn refused(command: &str, answer: &Value) -> Self {
        let word = |key: &str| {
            answer["error"][key]
                .as_str()
                .unwrap_or("no reason given")
                .to_owned()
        };
        Self::Refused {
            command: command.to_owned(),
            class: word("class"),
            message: word("desc"),
        }
    }

    /// As the error of an action on a host.
    pub fn on(self, operation: &str, socket: &Path) -> VolumeError {
        VolumeError::Host {
            operation: operation.into(),
            host: socket.display().to_string(),
            message: self.to_string(),
        }
    }
}

/// A connection that carries a JSON value a line.
#[derive(Debug)]
pub struct Lines {
    stream: UnixStream,
    received: Vec<u8>,
    /// Up to where `received` was searched for the end of a line.
    searched: usize,
}

impl Lines {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Self, QmpError> {
        let stream = UnixStream::connect(path).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => QmpError::Gone(cause),
            _ => QmpError::Io(cause),
        })?;
        Ok(Self::over(stream))
    }

    /// Over a connection that stands.
    pub fn over(stream: UnixStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            searched: 0,
        }
    }

    /// The process and the user that listen on the other side.
    pub fn peer(&self) -> Option<UCred> {
        rustix::net::sockopt::socket_peercred(&self.stream).ok()
    }

    /// Sends a value, after `prefix`.
    pub fn send(
        &mut self,
        prefix: &[u8],
        value: &Value,
        timeout: Duration,
    ) -> Result<(), QmpError> {
        let mut line = prefix.to_vec();
        line.extend_from_slice(value.to_string().as_bytes());
        line.push(b'\n');
        self.stream
            .set_write_timeout(Some(timeout))
            .and_then(|()| self.stream.write_all(&line))
            .map_err(|cause| match cause.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => QmpError::Timeout(timeout),
                _ => QmpError::Io(cause),
            })
    }

    /// The next value, waited for until `timeout` has passed. What comes before the last 0xFF of a line is dropped: the guest agent sends
    /// that byte before the answer to its resynchronisation.
    pub fn receive(&mut self, timeout: Duration) -> Result<Value, QmpError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(line) = self.take_line() {
                let text = line.rsplit(|byte| *byte == 0xFF).next().unwrap_or_default();
                if text.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return serde_json::from_slice(text)
                    .map_err(|cause| QmpError::Protocol(cause.to_string()));
            }
            if self.received.len() > LONGEST_LINE_BYTES {
                return Err(QmpError::Protocol(format!(
                    "a line is longer than {LONGEST_LINE_BYTES} bytes"
                )));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(QmpError::Timeout(timeout));
            }
            self.stream
                .set_read_timeout(Some(left))
                .map_err(QmpError::Io)?;
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(QmpError::Closed),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(cause) => match cause.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        return Err(QmpError::Timeout(timeout));
                    }
                    ErrorKind::Interrupted => {}
                    _ => return Err(QmpError::Io(cause)),
                },
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.received[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|position| self.searched + position);
        let Some(end) = end else {
            self.searched = self.received.len();
            return None;
        };
        self.searched = 0;
        let rest = self.received.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.received, rest);
        line.pop();
        Some(line)
    }
}
