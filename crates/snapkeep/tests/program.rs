//! The program as an operator meets it: starting, answering, stopping, and what a mistake says.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn snapkeep(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapkeep"));
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SNAPKEEP_")) {
        command.env_remove(name);
    }
    command
}

fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, said)
}

/// Starts a server on a free port; the address is read from what it prints. Prepares the client that will ask it, too.
fn serve(folder: &Path) -> (Child, String) {
    // The client is built without a cryptography of its own choice. A second test finds it installed.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let mut child = snapkeep(folder)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let listening = lines.find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned));
    (child, listening.expect("the server says where it listens"))
}

fn terminate(child: &mut Child) -> std::process::ExitStatus {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap()
}

#[test]
fn a_server_needs_no_configuration_and_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, base) = serve(folder.path());

    let health: serde_json::Value = reqwest::blocking::get(format!("{base}/health"))
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(health["status"], "ok");
    let metrics = reqwest::blocking::get(format!("{base}/metrics"))
        .unwrap()
        .text()
        .unwrap();
    assert!(
        metrics.contains("snapkeep_http_requests_total"),
        "{metrics}"
    );
    let document: serde_json::Value = reqwest::blocking::get(format!("{base}/api/v1/openapi.json"))
        .unwrap()
        .json()
        .unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert!(folder.path().join("snapkeep-data/repository.key").exists());

    // A stream of events that stays open must not hold up the end.
    let _events = reqwest::blocking::get(format!("{base}/api/v1/events")).unwrap();
    let began = std::time::Instant::now();
    assert!(terminate(&mut child).success());
    assert!(
        began.elapsed().as_secs() < 20,
        "the open stream held up the shutdown"
    );
}

#[test]
fn commands_find_the_running_server_and_work_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, base) = serve(folder.path());
    for arguments in [
        &["repo", "ls", "--json"][..],
        &["repo", "ls", "--json", "--server", &base],
    ] {
        let (output, said) = run(snapkeep(folder.path()).args(arguments));
        assert!(output.status.success(), "{said}");
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(listed["repositories"], serde_json::json!([]));
    }
    let (second, said) = run(snapkeep(folder.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    assert_eq!(second.status.code(), Some(6), "{said}");

    assert!(terminate(&mut child).success());
    let (offline, said) = run(snapkeep(folder.path()).args(["job", "ls", "--json"]));
    assert!(offline.status.success(), "{said}");
}

#[test]
fn a_variable_wins_over_the_file_and_a_flag_over_both() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "[elasticsearch]\nshape = \"es\"\n[log]\nlevel = \"warn\"\n[server]\ndata_dir = \"/file\"\n").unwrap();
    let (output, said) = run(snapkeep(folder.path())
        .args([
            "config",
            "check",
            "--config",
            "a.toml",
            "--json",
            "--data-dir",
            "/flag",
        ])
        .env("SNAPKEEP_ELASTICSEARCH_SHAPE", "opensearch")
        .env("SNAPKEEP_SERVER_DATA_DIR", "/variable")
        .env("SNAPKEEP_SERVER_LISTEN", "127.0.0.1:1,[::1]:2"));
    assert!(output.status.success(), "{said}");
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(settings["elasticsearch_shape"], "opensearch");
    assert_eq!(settings["log_level"], "warn");
    assert_eq!(settings["data_dir"], "/flag");
    assert_eq!(
        settings["listen"],
        serde_json::json!(["127.0.0.1:1", "[::1]:2"])
    );
}

#[test]
fn a_mistake_in_the_environment_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (variable, value) in [
        ("SNAPKEEP_ELASTICSEARCH_SHAPE", "mongo"),
        ("SNAPKEEP_SERVER_LISTEN", "nowhere"),
        ("SNAPKEEP_LOG_LEVLE", "info"),
    ] {
        let (output, said) = run(snapkeep(folder.path()).arg("serve").env(variable, value));
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(variable), "{said}");
        assert!(
            !folder.path().join("snapkeep-data").exists(),
            "nothing is done on a mistake"
        );
    }
}

#[test]
fn what_is_not_there_has_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (nowhere, said) =
        run(snapkeep(folder.path()).args(["repo", "ls", "--data-dir", "nothing", "--json"]));
    assert_eq!(nowhere.status.code(), Some(6), "{said}");
    let problem: serde_json::Value = serde_json::from_slice(&nowhere.stderr).unwrap();
    assert_eq!(problem["error"]["code"], "no_data_folder");
    let (unknown, said) = run(snapkeep(folder.path()).args(["frobnicate"]));
    assert_eq!(unknown.status.code(), Some(2), "{said}");
}

#[test]
fn the_native_api_refuses_with_a_reason_and_gives_no_password_out() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, base) = serve(folder.path());
    let client = reqwest::blocking::Client::new();
    let send = |method: reqwest::Method, path: &str, body: &str| {
        let request = client
            .request(method, format!("{base}/api/v1{path}"))
            .body(body.to_owned());
        let answer = request.send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let (get, put, post) = (
        reqwest::Method::GET,
        reqwest::Method::PUT,
        reqwest::Method::POST,
    );

    let registration = r#"{"kind": "fs", "settings": {"location": "main"}}"#;
    assert_eq!(send(put.clone(), "/repositories/main", registration).0, 200);
    for (method, path, body, status, code) in [
        (get.clone(), "/nothing", "", 404, "no_such_path"),
        (
            get.clone(),
            "/repositories/nope",
            "",
            404,
            "repository_missing",
        ),
        (
            get.clone(),
            "/repositories/main/snapshots/nope",
            "",
            404,
            "snapshot_missing",
        ),
        (get.clone(), "/jobs/nope", "", 404, "job_missing"),
        (
            put.clone(),
            "/repositories/x",
            r#"{"kind": "fs", "extra": 1}"#,
            400,
            "invalid_body",
        ),
        (
            put.clone(),
            "/repositories/x",
            r#"{"kind": "tape"}"#,
            400,
            "repository_type_unknown",
        ),
        (
            put,
            "/repositories/x",
            r#"{"kind": "fs", "settings": {"location": "/etc"}}"#,
            400,
            "repository_refused",
        ),
        (
            post.clone(),
            "/repositories/main/snapshots",
            "not json",
            400,
            "invalid_body",
        ),
        (
            post.clone(),
            "/repositories/main/snapshots",
            r#"{"name": "UPPER"}"#,
            400,
            "invalid_name",
        ),
        (
            post.clone(),
            "/repositories/main/check",
            r#"{"read_data": {"sample": 7}}"#,
            400,
            "invalid_body",
        ),
        (
            post,
            "/repositories/main/keys",
            r#"{"password": ""}"#,
            400,
            "key_refused",
        ),
    ] {
        let (answered, text) = send(method, path, body);
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (answered, problem["error"]["code"].as_str()),
            (status, Some(code)),
            "{path} {body}: {text}"
        );
    }

    let password =
        std::fs::read_to_string(folder.path().join("snapkeep-data/repository.key")).unwrap();
    for path in [
        "/repositories",
        "/repositories/main",
        "/repositories/main/keys",
        "/jobs",
    ] {
        let (status, text) = send(get.clone(), path, "");
        assert_eq!(status, 200, "{text}");
        assert!(
            !text.contains(password.trim()),
            "{path} gives the password out"
        );
    }
    assert!(terminate(&mut child).success());
}

#[test]
fn a_refusal_says_what_to_do_about_just_that() {
    let folder = tempfile::tempdir().unwrap();
    let say = |arguments: &[&str]| {
        let (output, said) = run(snapkeep(folder.path()).args(arguments));
        (output.status.code(), said)
    };
    let (code, said) = say(&["repo", "add", "r"]);
    assert_eq!(code, Some(0), "{said}");

    let (code, said) = say(&["--server", "nowhere", "repo", "ls"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("write it as http://"), "{said}");

    let (code, said) = say(&["config", "check", "--log-level", "wanr"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`wanr` is no log level"), "{said}");

    let (code, said) = say(&["repo", "add", "r", "--max-snapshot-rate", "fast"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("such as 50mb"), "{said}");
    assert!(!said.contains("--repo-root"), "{said}");

    let (code, said) = say(&["snapshot", "create", "r", "kept"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = say(&["snapshot", "rm", "r", "kept", "nope"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("[r:nope] is missing (kept: deleted)"),
        "{said}"
    );
    assert!(said.contains("snapkeep snapshot ls REPOSITORY"), "{said}");

    let (code, said) = say(&["job", "show", "-an-id-may-begin-so"]);
    assert_eq!(code, Some(5), "{said}");
}

#[test]
fn working_offline_under_another_root_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let say = |arguments: &[&str]| {
        let (output, said) = run(snapkeep(folder.path()).args(arguments));
        (output.status.code(), said)
    };
    let (code, said) = say(&["repo", "add", "r", "--repo-root", "backups"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = say(&["snapshot", "create", "r", "kept", "--repo-root", "backups"]);
    assert_eq!(code, Some(0), "{said}");

    let (code, said) = say(&["check", "r"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is --repo-root the one"), "{said}");
    assert!(!folder.path().join("snapkeep-data/repositories/r").exists());

    let (code, said) = say(&["snapshot", "show", "r", "kept", "--repo-root", "backups"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn damage_is_named_and_repaired_and_the_next_snapshot_stores_again_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, base) = serve(folder.path());
    let say = |arguments: &[&str]| {
        let (output, said) = run(snapkeep(folder.path()).args(arguments));
        (output.status.code(), said)
    };
    let client = reqwest::blocking::Client::new();
    let document = client
        .put(format!("{base}/notes/_doc/1"))
        .header("content-type", "application/json")
        .body(r#"{"text": "remember"}"#);
    assert!(document.send().unwrap().status().is_success());
    assert_eq!(say(&["repo", "add", "r"]).0, Some(0));
    assert_eq!(say(&["snapshot", "create", "r", "first"]).0, Some(0));

    for pack in packs(&folder.path().join("snapkeep-data/repositories/r/data")) {
        std::fs::remove_file(pack).unwrap();
    }
    let (code, said) = say(&["check", "r"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("of snapshot first"), "{said}");
    assert!(
        said.contains("snapkeep check r --read-data --repair"),
        "{said}"
    );

    let (_, said) = say(&["check", "r", "--read-data", "--repair"]);
    assert!(said.contains("repaired: "), "{said}");
    let (code, said) = say(&["snapshot", "create", "r", "second"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(say(&["snapshot", "rm", "r", "first"]).0, Some(0));
    let (code, said) = say(&["check", "r", "--read-data"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = say(&["restore", "r", "second", "--rename", "(.+)=$1-again"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(terminate(&mut child).success());
}

fn packs(data: &Path) -> Vec<std::path::PathBuf> {
    let entries = |folder: &Path| {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
    };
    entries(data)
        .flat_map(|folder| entries(&folder).collect::<Vec<_>>())
        .collect()
}
