"""Failed attempts are counted, what is done is noted, and secrets are nowhere to be seen."""

import base64
import json
import sqlite3
from pathlib import Path

from harness.polling import wait_until
from security.secured import Caller, Credential, SecuredServer


def guess(server: SecuredServer, name: str, password: str) -> Caller:
    return Caller(server.http, "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())


def test_too_many_guesses_are_turned_away(tmp_path: Path) -> None:
    with SecuredServer(tmp_path) as server:
        server.add("alice", "--role", "viewer")
        right = server.as_(server.admin)
        assert right.get("/").status == 200
        key = server.as_(server.add("robot", "--role", "viewer", "--kind", "api-key"))
        for number in range(10):
            assert guess(server, "alice", f"wrong-{number}").get("/").status == 401
        refused = guess(server, "alice", "wrong").get("/")
        assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["type"] == "security_exception"
        # Whoever was recognised a moment ago goes on, and so do keys, which cannot be guessed.
        assert right.get("/").status == 200
        assert key.get("/").status == 200
        for number in range(40):
            last = guess(server, f"name-{number}", "wrong").get("/api/v1/jobs")
        assert last.status == 429 and last.json()["error"]["code"] == "too_many_attempts"
        entries = server.run("audit", "--json", "--limit", "100", credential=server.admin)
        records = json.loads(entries.stdout)["records"]
        assert any(record["principal"] == "alice" and record["outcome"] == "unauthenticated" for record in records)


def test_changes_and_refusals_are_noted_in_file_and_table(tmp_path: Path) -> None:
    with SecuredServer(tmp_path) as server:
        admin = server.as_(server.admin)
        viewer = server.as_(server.add("viewer", "--role", "viewer"))
        admin.put("/_snapshot/backups", {"type": "fs", "settings": {"location": "backups"}}).ok()
        admin.put("/notes/_doc/1", {"text": "private"}).ok()
        admin.put("/_snapshot/backups/one?wait_for_completion=true", {"indices": "notes"}).ok()
        admin.get("/_snapshot/backups/one").ok()
        assert viewer.delete("/_snapshot/backups/one").status == 403
        assert admin.delete("/_snapshot/backups/nothing").status == 404
        lines = [json.loads(line) for line in (server.data / "audit.jsonl").read_text().splitlines()]
        seen = [(line["principal"], line["action"], line["outcome"], line["status"]) for line in lines]
        assert ("admin", "cluster:admin/repository/put", "done", 200) in seen
        assert ("viewer", "cluster:admin/snapshot/delete", "denied", 403) in seen
        assert ("admin", "cluster:admin/snapshot/delete", "failed", 404) in seen
        assert ("admin", "credential:add", "done", 201) in seen
        assert not any("cluster:admin/snapshot/get" in line["action"] for line in lines), "reading is not noted"
        taken = next(line for line in lines if line["action"] == "cluster:admin/snapshot/create")
        assert (taken["repository"], taken["resources"], taken["address"], taken["method"]) == ("backups", ["notes"], "127.0.0.1", "basic")
        assert taken["request"] == "PUT /_snapshot/backups/one" and taken["role"] == "admin"
        listed = admin.get("/api/v1/audit?principal=viewer").ok()["records"]
        assert [record["action"] for record in listed] == ["cluster:admin/snapshot/delete"]
        shown = server.run("audit", credential=server.admin)
        assert "cluster:admin/snapshot/create" in shown.stdout, shown.stderr
        assert viewer.get("/api/v1/audit").status == 403

        def rows() -> int:
            with sqlite3.connect(f"file:{server.data}/catalogue.sqlite?mode=ro", uri=True) as catalogue:
                return catalogue.execute("SELECT count(*) FROM audit").fetchone()[0]

        wait_until("the table", lambda: rows() >= len(lines))
        before = server.data / "audit.jsonl"
        assert oct(before.stat().st_mode & 0o777) == "0o600"


def test_credentials_survive_kill_and_restart(tmp_path: Path) -> None:
    server = SecuredServer(tmp_path)
    with server:
        key = server.add("robot", "--role", "viewer", "--kind", "api-key")
        server.kill()
        server.start()
        assert server.as_(key).get("/").status == 200
        assert server.as_(None).get("/").status == 401


def everything_written(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and "password" not in path.name)


def test_secrets_are_nowhere_to_be_seen(tmp_path: Path) -> None:
    environment = {"SNAPKEEP_LOG_LEVEL": "trace"}
    with SecuredServer(tmp_path, environment=environment) as server:
        chosen = tmp_path / "password.txt"
        chosen.write_text("correct horse battery\n")
        server.add("alice", "--role", "viewer", "--password-file", str(chosen))
        robot = server.add("robot", "--role", "operator", "--kind", "api-key")
        cloud = server.add("cloud", "--role", "operator", "--kind", "access-key")
        admin = server.as_(server.admin)
        answers = [
            admin.get("/api/v1/credentials"), admin.get("/api/v1/audit"), admin.get("/metrics"), admin.get("/health"),
            server.as_(robot).get("/_security/_authenticate"), server.as_(robot).put("/notes/_doc/1", {"n": 1}),
            guess(server, "alice", "a wrong secret").get("/"),
            server.http.send("GET", "/", headers={"Authorization": f"Bearer {robot.key_id}:a wrong secret"}),
        ]
        cmdline = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        listed = server.run("credential", "ls", "--json", credential=server.admin)
        secrets = [*server.secrets, "correct horse battery", "a wrong secret", cloud.secret]
        seen = b"\0".join(answer.raw for answer in answers) + cmdline + listed.stdout.encode() + listed.stderr.encode()
        server.stop()
        written = everything_written(tmp_path)
        for secret in secrets:
            for form in (secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")):
                assert form not in seen, "a secret in an answer"
                assert form not in written, "a secret in a log or file"
        for basic in ("alice:a wrong secret", f"admin:{server.admin.secret}"):
            assert base64.b64encode(basic.encode()) not in written


def test_the_key_that_seals_secrets_is_needed(tmp_path: Path) -> None:
    with SecuredServer(tmp_path) as server:
        cloud: Credential = server.add("cloud", "--role", "operator", "--kind", "access-key")
        assert cloud.key_id.startswith("SK") and len(cloud.secret) == 40
        assert oct((server.data / "server.key").stat().st_mode & 0o777) == "0o600"
