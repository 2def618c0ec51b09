//! Programs of the operator's or of the system: run with a timeout, without a shell, their output kept within bounds.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::volume::VolumeError;

/// How much of each output is kept: the last 16 KiB of hooks; more is only read by callers that ask for it.
const KEPT_BYTES: usize = 16 * 1024;
/// How often the end of the program is looked for while it is silent.
const TICK: Duration = Duration::from_millis(10);
/// How long a program has between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(2);
/// Variables that are handed on; the others of the server, which may be secrets, are not.
const HANDED_ON: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
];

/// What a program did.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// The last bytes of its standard output, at most as many as asked for.
    pub stdout: String,
    /// The last bytes of its standard error.
    pub stderr: String,
}

impl Output {
    /// How it ended and what it said, for an error's text.
    pub fn complaint(&self) -> String {
        let said = [self.stderr.trim(), self.stdout.trim()]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or("it said nothing");
        format!("{}: {said}", self.status)
    }
}

/// A program to run.
pub struct Program<'a> {
    /// Its path and arguments.
    pub argv: &'a [String],
    /// Variables of its environment, beside the few that are handed on.
    pub variables: &'a [(&'a str, String)],
    /// After this long it and all that it started are ended.
    pub timeout: Duration,
    /// How much of each output is kept, in bytes.
    pub kept_bytes: usize,
}

/// Runs a program to its end: without a shell, in a process group of its own, ended with all that it started after `timeout`. Keeps the
/// last 16 KiB of each output. An exit status other than 0 is no error here.
pub fn run_program(
    argv: &[String],
    variables: &[(&str, String)],
    timeout: Duration,
) -> Result<Output, VolumeError> {
    Program {
        argv,
        variables,
        timeout,
        kept_bytes: KEPT_BYTES,
    }
    .run()
}

impl Program<'_> {
    /// Runs it without a shell, in a process group of its own, with nothing on its standard input. Whatever its exit status is, that is
    /// no error here. A program that goes on in the background after the one that was started has ended is left alone, but its output
    /// is not read any more: it should have been sent elsewhere.
    ///
    /// # Errors
    /// It cannot be started, or ran longer than the timeout.
    pub fn run(&self) -> Result<Output, VolumeError> {
        let (program, arguments) = self.argv.split_first().ok_or_else(|| VolumeError::Host {
            operation: "run a program for".into(),
            host: String::new(),
            message: "no program is given".into(),
        })?;
        let failed = |message: String| VolumeError::Host {
            operation: "run a program for".into(),
            host: program.clone(),
            message,
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for name in HANDED_ON {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in self.variables {
            command.env(name, value);
        }
        let mut child = command.spawn().map_err(|cause| {
            if cause.kind() == std::io::ErrorKind::NotFound {
                failed("it is not there; correct its path, or install it".into())
            } else {
                failed(format!("it cannot be started: {cause}"))
            }
        })?;
        let mut stdout = Tail::new(child.stdout.take(), self.kept_bytes);
        let mut stderr = Tail::new(child.stderr.take(), self.kept_bytes);
        let deadline = Instant::now() + self.timeout;
        let status = loop {
            if let Some(status) = child
                .try_wait()
                .map_err(|cause| failed(format!("it cannot be waited for: {cause}")))?
            {
                break status;
            }
            if Instant::now() >= deadline {
                end_group(&mut child);
                read_ready(&mut stdout, &mut stderr, Duration::ZERO);
                return Err(failed(format!(
                    "it took longer than its timeout of {} s and was ended; it had said: {}{}",
                    self.timeout.as_secs_f64(),
                    stderr.text(),
                    stdout.text(),
                )));
            }
            read_ready(&mut stdout, &mut stderr, TICK);
        };
        // What it wrote before its end is in the pipes already.
        while read_ready(&mut stdout, &mut stderr, Duration::ZERO) {}
        Ok(Output {
            status,
            stdout: stdout.text(),
            stderr: stderr.text(),
        })
    }
}

/// Ends a program and all that it started: politely, then by force.
fn end_group(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let signal = |signal: Signal| {
        if let Some(group) = group {
            // Fails only when nothing of the group is left.
            let _ = kill_process_group(group, signal);
        }
    };
    signal(Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(TICK);
    }
    signal(Signal::KILL);
    // It is dead; this takes its status from the system.
    let _ = child.wait();
}

/// The end of one of a program's outputs.
struct Tail<R> {
    pipe: Option<R>,
    kept: Vec<u8>,
    most: usize,
}

impl<R: Read + AsFd> Tail<R> {
    fn new(pipe: Option<R>, most: usize) -> Self {
        Self {
            pipe,
            kept: Vec::new(),
            most,
        }
    }

    /// Reads once; to be called when there is something to read, else it blocks.
    fn read(&mut self) {
        let mut buffer = [0; 8192];
        let Some(pipe) = &mut self.pipe else {
            return;
        };
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                self.kept.extend_from_slice(&buffer[..length]);
                if self.kept.len() > self.most {
                    self.kept.drain(..self.kept.len() - self.most);
                }
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => self.pipe = None,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}

/// Waits at most `patience` for output and reads what is there; says whether there was any.
fn read_ready<A: Read + AsFd, B: Read + AsFd>(
    stdout: &mut Tail<A>,
    stderr: &mut Tail<B>,
    patience: Duration,
) -> bool {
    let wanted = PollFlags::IN | PollFlags::HUP;
    let mut waiting = Vec::with_capacity(2);
    if let Some(pipe) = &stdout.pipe {
        waiting.push(PollFd::new(pipe, wanted));
    }
    let stderr_at = waiting.len();
    if let Some(pipe) = &stderr.pipe {
        waiting.push(PollFd::new(pipe, wanted));
    }
    if waiting.is_empty() {
        thread::sleep(patience);
        return false;
    }
    let Ok(timeout) = Timespec::try_from(patience) else {
        return false;
    };
    if !matches!(poll(&mut waiting, Some(&timeout)), Ok(ready) if ready > 0) {
        return false;
    }
    let is_ready = |at: usize| waiting.get(at).is_some_and(|fd| !fd.revents().is_empty());
    let (stdout_ready, stderr_ready) = (stderr_at == 1 && is_ready(0), is_ready(stderr_at));
    if stdout_ready {
        stdout.read();
    }
    if stderr_ready {
        stderr.read();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<Output, VolumeError> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        run_program(&argv, &[("ANSWER", "42".into())], timeout)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn output_status_and_variables_are_told() {
        let output = shell("echo \"$ANSWER\"; echo bad >&2; exit 3", LONG).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, "42\n");
        assert!(
            output.complaint().contains("exit status: 3: bad"),
            "{}",
            output.complaint()
        );
    }

    #[test]
    fn of_a_flood_only_the_end_is_kept() {
        let output = shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end", LONG).unwrap();
        assert_eq!(output.stdout.len(), KEPT_BYTES);
        assert!(output.stdout.ends_with("xend\n"));
    }

    #[test]
    fn after_the_timeout_all_that_it_started_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("pid");
        let script = format!(
            "sleep 300 & echo $! > {}; echo waiting; wait",
            mark.display()
        );
        let text = shell(&script, Duration::from_millis(700))
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("timeout") && text.contains("waiting"),
            "{text}"
        );
        let pid: i32 = std::fs::read_to_string(mark)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let deadline = Instant::now() + LONG;
        // Ended and taken by init, or at least a zombie that waits for it.
        let is_alive = || {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        while is_alive() {
            assert!(
                Instant::now() < deadline,
                "the child of the hook still runs"
            );
            thread::sleep(TICK);
        }
    }

    #[test]
    fn what_goes_on_in_the_background_is_not_waited_for() {
        let output = shell("sleep 5 & echo started", LONG).unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, "started\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let argv = ["/nowhere/hook".to_owned()];
        let text = run_program(&argv, &[], LONG).unwrap_err().to_string();
        assert!(
            text.contains("/nowhere/hook") && text.contains("not there"),
            "{text}"
        );
    }

    #[test]
    fn secrets_of_the_server_are_not_handed_on() {
        let output = shell("env", LONG).unwrap();
        assert!(!output.stdout.contains("CARGO"), "{}", output.stdout);
        assert!(output.stdout.contains("PATH="));
    }
}
