//! A client of QMP, QEMU's machine protocol (<https://www.qemu.org/docs/master/interop/qmp-spec.html>).
//!
//! A connection lives as long as one action: QEMU answers one client at a time, and everything it was told to do outlives the
//! connection.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::UCred;
use serde_json::{Value, json};

use super::lines::{Lines, QmpError};

/// Longest wait for the greeting and for most commands: 30 s. A guest's disks can be slow to drain.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How many events are kept that nobody waited for yet; older ones are dropped.
const KEPT_EVENTS: usize = 64;
/// How often the state of something that goes away is asked for.
const TICK: Duration = Duration::from_millis(10);

/// A connection to a QEMU or qemu-storage-daemon, ready for commands.
#[derive(Debug)]
pub struct Qmp {
    lines: Lines,
    serial: u64,
    events: VecDeque<String>,
}

impl Qmp {
    /// Connects, takes the greeting and agrees on no further capabilities.
    pub fn connect(socket: &Path) -> Result<Self, QmpError> {
        let mut lines = Lines::connect(socket)?;
        let greeting = lines.receive(TIMEOUT)?;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::Protocol(format!(
                "expected a greeting, got {greeting}"
            )));
        }
        let mut qmp = Self {
            lines,
            serial: 0,
            events: VecDeque::new(),
        };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// The process, and the user that it runs as.
    pub fn peer(&self) -> Option<UCred> {
        self.lines.peer()
    }

    /// Runs a command and returns what it answers.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        self.serial += 1;
        let id = self.serial;
        let request = json!({"execute": command, "arguments": arguments, "id": id});
        self.lines.send(&[], &request, TIMEOUT)?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let mut answer = self
                .lines
                .receive(deadline.saturating_duration_since(Instant::now()))
                .map_err(|cause| match cause {
                    QmpError::Timeout(_) => QmpError::Timeout(TIMEOUT),
                    other => other,
                })?;
            if let Some(event) = answer.get("event").and_then(Value::as_str) {
                self.keep_event(event.to_owned());
            } else if answer.get("id").and_then(Value::as_u64) != Some(id) {
                return Err(QmpError::Protocol(format!(
                    "an answer to nothing that was asked: {answer}"
                )));
            } else if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            } else {
                return Err(QmpError::refused(command, &answer));
            }
        }
    }

    /// Waits until `name` happens, or has happened since the connection was made. False: not within `timeout`. The end of the
    /// process is [`QmpError::Closed`].
    pub fn wait_for_event(&mut self, name: &str, timeout: Duration) -> Result<bool, QmpError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(position) = self.events.iter().position(|event| event == name) {
                self.events.remove(position);
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match self.lines.receive(left) {
                Ok(value) => {
                    if let Some(event) = value.get("event").and_then(Value::as_str) {
                        self.keep_event(event.to_owned());
                    }
                }
                Err(QmpError::Timeout(_)) => return Ok(false),
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Asks `query` every 10 ms until no element of the list it answers has `name` as its `key`.
    pub fn wait_until_gone(&mut self, query: &str, key: &str, name: &str) -> Result<(), QmpError> {
        let deadline = Instant::now() + TIMEOUT;
        while self.lists(query, key, name)? {
            if Instant::now() >= deadline {
                return Err(QmpError::Timeout(TIMEOUT));
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// Whether the list that `query` answers has an element with `name` as its `key`.
    pub fn lists(&mut self, query: &str, key: &str, name: &str) -> Result<bool, QmpError> {
        let list = self.execute(query, json!({}))?;
        Ok(list
            .as_array()
            .into_iter()
            .flatten()
            .any(|element| element.get(key).and_then(Value::as_str) == Some(name)))
    }

    fn keep_event(&mut self, event: String) {
        if self.events.len() == KEPT_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}
