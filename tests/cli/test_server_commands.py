"""The commands against a running server."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

from harness.documents import Documents, assert_same, bulk, create_index, make_documents, read_all
from harness.polling import wait_until
from harness.server import Server, binary, clean_environment, run_program
from harness.stock_restic import Restic


@pytest.fixture(scope="module")
def loaded(server: Server) -> Iterator[Documents]:
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(300))
    yield read_all(server.http, "books")


def run(server: Server, *arguments: str, code: int = 0) -> str:
    """A command that finds the server by its data folder; what it printed."""
    done = run_program(*arguments, "--data-dir", str(server.data))
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_json(server: Server, *arguments: str, code: int = 0) -> object:
    return json.loads(run(server, *arguments, "--json", code=code))


def test_a_repository_from_registration_to_restore(server: Server, loaded: Documents) -> None:
    run(server, "repo", "add", "main", "--location", "main")
    assert "main" in run(server, "repo", "ls")
    assert "main" in json.dumps(run_json(server, "repo", "ls"))
    run(server, "repo", "verify", "main")
    run(server, "snapshot", "create", "main", "one")
    assert "SUCCESS" in run(server, "snapshot", "ls", "main")
    assert "one" in json.dumps(run_json(server, "snapshot", "ls", "main"))
    server.http.delete("/books").ok()
    run(server, "restore", "main", "one")
    assert_same(read_all(server.http, "books"), loaded)
    run(server, "restore", "main", "one", "--index", "books", "--rename", "(.+)=back-$1")
    assert_same(read_all(server.http, "back-books"), loaded)


def test_check_and_prune(server: Server, loaded: Documents) -> None:
    run(server, "snapshot", "create", "main", "two")
    run(server, "check", "main")
    run(server, "check", "main", "--read-data")
    run(server, "snapshot", "rm", "main", "two")
    run(server, "prune", "main")
    assert "two" not in run(server, "snapshot", "ls", "main")


def test_jobs_are_listed(server: Server, loaded: Documents) -> None:
    assert run_json(server, "job", "ls")["jobs"]


def test_passwords(server: Server, loaded: Documents, tmp_path: Path) -> None:
    """A password that is added opens the repository for stock restic; removed, it does not."""
    (tmp_path / "password").write_text("a second password\n")
    before = run_json(server, "key", "ls", "main")["keys"]
    run(server, "key", "add", "main", "--password-file", str(tmp_path / "password"))
    after = run_json(server, "key", "ls", "main")["keys"]
    assert len(after) == len(before) + 1, after
    stock = Restic({"RESTIC_REPOSITORY": str(server.repo_roots[0] / "main"), "RESTIC_PASSWORD": "a second password"}, tmp_path / "cache")
    stock.check()
    [added] = [key["id"] for key in after if key["id"] not in {key["id"] for key in before}]
    run(server, "key", "rm", "main", added)
    assert stock.run("snapshots").returncode != 0


def test_repo_env_can_be_evaluated_by_a_shell(server: Server, loaded: Documents) -> None:
    script = f'eval "$("{binary()}" repo env main --data-dir "{server.data}")" && export RESTIC_REPOSITORY RESTIC_PASSWORD && restic snapshots --json --no-cache'
    done = subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("snapshot", "ls", "nope"), 5),
        (("restore", "main", "nope"), 5),
        (("check", "nope"), 5),
        (("key", "rm", "main", "00" * 32), 5),
        (("snapshot", "create", "main", "UPPER"), 1),
        (("repo", "add", "outside", "--location", "/nowhere/else"), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_failures_have_their_exit_code_and_a_reason(server: Server, loaded: Documents, arguments: tuple, code: int) -> None:
    done = run_program(*arguments, "--data-dir", str(server.data))
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr.strip() and "panicked" not in done.stderr
    told = run_program(*arguments, "--data-dir", str(server.data), "--json")
    assert told.returncode == code and json.loads(told.stdout or told.stderr)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    assert run_program("repo", "ls", "--server", "http://127.0.0.1:1").returncode == 6
    assert run_program("repo", "ls", "--data-dir", str(tmp_path / "nothing")).returncode == 6


def test_metrics_and_health(server: Server, loaded: Documents) -> None:
    assert server.http.get("/health").status == 200
    metrics = server.http.get("/metrics")
    assert metrics.status == 200 and "snapkeep_" in metrics.text


def test_openapi_document_describes_what_is_served(server: Server, loaded: Documents) -> None:
    document = server.http.get("/api/v1/openapi.json").ok()
    assert document["openapi"].startswith("3.")
    paths = [path for path, verbs in document["paths"].items() if "get" in verbs and "{" not in path and "event" not in path]
    assert len(paths) >= 3
    for path in paths:
        answer = server.http.get(path)
        assert answer.status == 200, f"{path}: {answer.status} {answer.text[:300]}"


def test_damage_is_found_and_told(server: Server, loaded: Documents, tmp_path: Path) -> None:
    run(server, "repo", "add", "hurt", "--location", "hurt")
    run(server, "snapshot", "create", "hurt", "one")
    [*_, pack] = sorted(path for path in (server.repo_roots[0] / "hurt" / "data").rglob("*") if path.is_file())
    pack.chmod(0o600)
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.write_bytes(content)
    assert "panicked" not in run(server, "check", "hurt", "--read-data", code=4)


@pytest.fixture
def own_server(tmp_path: Path) -> Callable[..., Server]:
    return lambda **environment: Server(tmp_path, environment=environment)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_cleanly(own_server: Callable[..., Server], which: int) -> None:
    server = own_server().start()
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(10))
    server.process.send_signal(which)
    assert server.process.wait(30) == 0
    server.process = None
    with server:
        assert len(read_all(server.http, "books")) == 10


def test_shutdown_while_a_snapshot_runs_leaves_nothing_stuck(own_server: Callable[..., Server]) -> None:
    server = own_server(SNAPKEEP_SERVER_SHUTDOWN_GRACE="1s").start()
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(2000, text_bytes=800))
    server.http.put("/_snapshot/slow", {"type": "fs", "settings": {"location": "slow", "max_snapshot_bytes_per_sec": "50kb"}}).ok()
    server.http.put("/_snapshot/slow/one", {"indices": "books"}).ok()
    wait_until("the snapshot to run", lambda: server.http.get("/_snapshot/_status").ok()["snapshots"])
    assert server.stop() == 0
    with server:
        wait_until(
            "the snapshot to end", lambda: all(info["state"] != "IN_PROGRESS" for info in server.http.get("/_snapshot/slow/_all").ok()["snapshots"]), limit_seconds=60
        )
        server.http.put("/_snapshot/slow", {"type": "fs", "settings": {"location": "slow"}}).ok()
        info = server.http.put("/_snapshot/slow/two?wait_for_completion=true", {"indices": "books"}).ok()["snapshot"]
        assert info["state"] == "SUCCESS"


def test_two_servers_never_share_a_data_folder(server: Server, tmp_path: Path) -> None:
    done = run_program("serve", "--data-dir", str(server.data), "--listen", "127.0.0.1:0", limit_seconds=30)
    assert done.returncode == 6, done.stderr
    assert str(server.data) in done.stderr


def test_serving_with_no_configuration_at_all(tmp_path: Path) -> None:
    """The defaults of the README: data under ./snapkeep-data; only the port is ours, since 9250 may be taken."""
    server = Server(tmp_path, repo_roots=())
    server.data = tmp_path / "snapkeep-data"
    with server:
        create_index(server.http, "books")
        bulk(server.http, "books", make_documents(10))
        server.http.put("/_snapshot/r", {"type": "fs", "settings": {"location": "r"}}).ok()
        assert server.http.put("/_snapshot/r/s?wait_for_completion=true").ok()["snapshot"]["state"] == "SUCCESS"
    assert (server.data / "repositories" / "r" / "config").exists(), "a relative location lies below repositories/ of the data folder"
    key = server.data / "repository.key"
    assert key.stat().st_mode & 0o077 == 0, "the password is nobody else's"
    assert "repository.key" in server.log.read_text(), "a notice asks to back the password up"
