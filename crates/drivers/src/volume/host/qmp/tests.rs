//! The conversations, against stand-ins that misbehave.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::agent::Agent;
use super::client::Qmp;
use super::lines::{Lines, QmpError};
use crate::volume::host::{FreezeGuard, HostContext, HostControl, HostSpec, QmpSpec};

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"major": 9}}, "capabilities": ["oob"]}}"#;
const SHORT: Duration = Duration::from_millis(200);

/// A server at a socket that says `hello` to each client and answers each line with what `answer` makes of it; the commands it was
/// given are told through the channel.
struct StandIn {
    folder: tempfile::TempDir,
    heard: Receiver<String>,
}

impl StandIn {
    fn new(
        hello: &'static [u8],
        answer: impl Fn(&Value, &mut UnixStream) + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("sock")).unwrap();
        let (tell, heard) = channel();
        // Ends with the test's process; it owns nothing.
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let _ = client.write_all(hello);
                for line in BufReader::new(client.try_clone().unwrap()).split(b'\n') {
                    let Ok(line) = line else { break };
                    let text: Vec<u8> = line.into_iter().filter(|byte| *byte != 0xFF).collect();
                    let request: Value = serde_json::from_slice(&text).unwrap();
                    let _ = tell.send(request["execute"].as_str().unwrap().to_owned());
                    answer(&request, &mut client);
                }
            }
        });
        Self { folder, heard }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    fn heard(&self) -> Vec<String> {
        self.heard.try_iter().collect()
    }
}

fn say(client: &mut UnixStream, value: &Value) {
    let _ = writeln!(client, "{value}");
}

/// An agent that comes into step after what was left from before.
fn agent(refuses: bool) -> StandIn {
    StandIn::new(b"", move |request, client| {
        if request["execute"] == "guest-sync-delimited" {
            let _ = client.write_all(b"{\"return\": 4}\n{\"ret");
            let _ = client.write_all(&[0xFF]);
            say(client, &json!({"return": request["arguments"]["id"]}));
        } else if refuses && request["execute"] == "guest-fsfreeze-freeze" {
            say(
                client,
                &json!({"error": {"class": "GenericError", "desc": "failed to freeze /home"}}),
            );
        } else {
            say(client, &json!({"return": 1}));
        }
    })
}

fn host_with(agent: &StandIn) -> Box<dyn HostControl> {
    HostSpec::Qmp(QmpSpec {
        socket: "/nowhere/qmp.sock".into(),
        guest_agent: Some(agent.socket()),
        ..QmpSpec::default()
    })
    .control(HostContext::default())
}

#[test]
fn events_between_question_and_answer_are_kept() {
    let server = StandIn::new(b"{\"QMP\": {}}\n", |request, client| {
        say(client, &json!({"event": "SHUTDOWN", "data": {}}));
        say(
            client,
            &json!({"return": {"running": true}, "id": request["id"]}),
        );
    });
    let mut qmp = Qmp::connect(&server.socket()).unwrap();
    let status = qmp.execute("query-status", json!({})).unwrap();
    assert_eq!(status["running"], true);
    assert!(qmp.wait_for_event("SHUTDOWN", SHORT).unwrap());
    assert!(qmp.wait_for_event("SHUTDOWN", SHORT).unwrap());
    assert!(!qmp.wait_for_event("SHUTDOWN", SHORT).unwrap());
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let server = StandIn::new(b"{\"QMP\": {}}\n", |request, client| {
        if request["execute"] == "qmp_capabilities" {
            say(client, &json!({"return": {}, "id": request["id"]}));
        } else {
            let error =
                json!({"class": "CommandNotFound", "desc": "The command cont has not been found"});
            say(client, &json!({"error": error, "id": request["id"]}));
        }
    });
    let mut qmp = Qmp::connect(&server.socket()).unwrap();
    let cause = qmp.execute("cont", json!({})).unwrap_err();
    assert!(cause.is_unknown_command());
    assert!(cause.to_string().contains("has not been found"));
    assert_eq!(server.heard(), ["qmp_capabilities", "cont"]);
}

#[test]
fn what_does_not_speak_the_protocol_is_refused() {
    for (hello, part) in [
        (&b"220 mail.example ESMTP\n"[..], "does not speak"),
        (b"{\"return\": {}}\n", "expected a greeting"),
    ] {
        let server = StandIn::new(hello, |_, _| {});
        let text = Qmp::connect(&server.socket()).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
    let wrong = StandIn::new(b"{\"QMP\": {}}\n", |_, client| {
        say(client, &json!({"return": {}, "id": "another"}));
    });
    let text = Qmp::connect(&wrong.socket()).unwrap_err().to_string();
    assert!(text.contains("nothing that was asked"), "{text}");
}

#[test]
fn an_endless_line_is_cut_off() {
    let (mut server, client) = UnixStream::pair().unwrap();
    let flood = thread::spawn(move || {
        let part = [b' '; 1 << 16];
        // Until the reader gives up and closes.
        while server.write_all(&part).is_ok() {}
    });
    let mut lines = Lines::over(client);
    let cause = lines.receive(Duration::from_secs(60)).unwrap_err();
    assert!(
        matches!(&cause, QmpError::Protocol(text) if text.contains("longer than")),
        "{cause}"
    );
    drop(lines);
    flood.join().unwrap();
}

#[test]
fn silence_and_a_closed_connection_are_told_apart() {
    let (server, client) = UnixStream::pair().unwrap();
    let mut lines = Lines::over(client);
    assert!(matches!(lines.receive(SHORT), Err(QmpError::Timeout(_))));
    drop(server);
    let cause = lines.receive(SHORT).unwrap_err();
    assert!(cause.is_gone(), "{cause}");
    let folder = tempfile::tempdir().unwrap();
    assert!(
        Qmp::connect(&folder.path().join("none"))
            .unwrap_err()
            .is_gone()
    );
}

#[test]
fn values_that_come_in_pieces_are_put_together() {
    let (mut server, client) = UnixStream::pair().unwrap();
    let mut lines = Lines::over(client);
    let text = format!("{GREETING}\r\n\r\n{{\"return\": {{}}}}\n");
    let writer = thread::spawn(move || {
        for byte in text.bytes() {
            server.write_all(&[byte]).unwrap();
        }
    });
    let wait = Duration::from_secs(60);
    assert!(lines.receive(wait).unwrap().get("QMP").is_some());
    assert_eq!(lines.receive(wait).unwrap(), json!({"return": {}}));
    writer.join().unwrap();
}

#[test]
fn the_agent_is_brought_into_step_before_it_freezes() {
    let server = agent(false);
    Agent::connect(&server.socket()).unwrap().freeze().unwrap();
    Agent::connect(&server.socket()).unwrap().thaw().unwrap();
    assert_eq!(
        server.heard(),
        [
            "guest-sync-delimited",
            "guest-fsfreeze-freeze",
            "guest-sync-delimited",
            "guest-fsfreeze-thaw"
        ]
    );
}

#[test]
fn an_agent_that_fails_halfway_is_thawed_and_a_silent_one_is_not_waited_for_again() {
    let state = tempfile::tempdir().unwrap();
    let server = agent(true);
    let host = host_with(&server);
    let text = FreezeGuard::freeze(host.as_ref(), state.path())
        .unwrap_err()
        .to_string();
    assert!(text.contains("failed to freeze /home"), "{text}");
    assert_eq!(server.heard().last().unwrap(), "guest-fsfreeze-thaw");

    let silent = StandIn::new(b"", |_, _| {});
    let host = host_with(&silent);
    let text = FreezeGuard::freeze(host.as_ref(), state.path())
        .unwrap_err()
        .to_string();
    assert!(text.contains("no answer"), "{text}");
    assert_eq!(silent.heard(), ["guest-sync-delimited"]);
    assert_eq!(
        std::fs::read_dir(state.path().join("hosts"))
            .unwrap()
            .count(),
        0
    );
}
