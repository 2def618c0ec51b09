"""What the suites of policies share."""

import json
from typing import Any

from harness.documents import bulk, create_index, make_documents, register
from harness.http import Http
from harness.polling import wait_until
from harness.server import Server, run_program

NATIVE = "/api/v1/policies"


def prepare(server: Server, repository: str = "main", documents: int = 50) -> None:
    """An index to take and a repository to put it into."""
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(documents))
    register(server.http, repository)


def snapshots(http: Http, repository: str = "main") -> list[dict]:
    """The snapshots of a repository as the native API tells them, in the order they were taken."""
    return http.get(f"/api/v1/repositories/{repository}/snapshots").ok()["snapshots"]


def of_policy(http: Http, policy: str, repository: str = "main") -> list[dict]:
    """The finished snapshots that a policy took."""
    return [found for found in snapshots(http, repository) if found.get("policy") == policy and found["state"] != "IN_PROGRESS"]


def runs(http: Http, policy: str, kind: str | None = None) -> list[dict]:
    """What a policy did, the newest first."""
    found = http.get(f"{NATIVE}/{policy.replace('/', '%2F')}/runs?limit=200").ok()["runs"]
    return [run for run in found if kind in (None, run["kind"])]


def finished(http: Http, repository: str, snapshot: str) -> dict:
    """Waits until a snapshot has ended, and gives it."""

    def probe() -> dict | None:
        [found] = [found for found in snapshots(http, repository) if found["name"] == snapshot] or [None]
        return found if found and found["state"] != "IN_PROGRESS" else None

    return wait_until(f"the end of {snapshot}", probe)


def command(server: Server, *arguments: str, code: int = 0) -> Any:
    """A command that finds the server by its data folder; its JSON, errors included."""
    done = run_program(*arguments, "--data-dir", str(server.data), "--json")
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout or done.stderr)


def text(server: Server, *arguments: str, code: int = 0) -> str:
    """The same as text for people."""
    done = run_program(*arguments, "--data-dir", str(server.data))
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
