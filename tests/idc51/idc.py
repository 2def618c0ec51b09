"""What the suite of the 51idc dialect shares: disks with known content, the calls as curl sends them, jobs followed to their end."""

import hashlib
import random
import re
from pathlib import Path
from typing import Any

from harness.http import Http, Response
from harness.polling import wait_until
from harness.server import Server

CURL = {"User-Agent": "curl/8.5.0", "Accept": "*/*", "Content-Type": "application/x-www-form-urlencoded"}
"""What curl sends with `--data` when nothing else is said."""

SNAPSHOT_KEYS = [
    "snapshot_id", "snapshot_name", "description", "snapshot_type", "status", "transition_status", "create_time", "status_time", "snapshot_time",
    "is_taken", "is_head", "head_chain", "root_id", "parent_id", "size", "total_size", "total_count", "lastest_snapshot_time",
]
"""Keys of a snapshot, in the order of the source document."""
MORE_SNAPSHOT_KEYS = ["latest_snapshot_time", "resource", "virtual_size"]
JOB_KEYS = ["job_id", "id_prefix", "action", "request_id", "status", "create_time", "begin_time", "finished_time", "info", "extra"]
"""Keys of a job, in the order of the source document."""
MORE_JOB_KEYS = ["zone", "resource_ids"]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
POINT = re.compile(r"ss-[0-9A-Z]{7}")

MIB = 1 << 20


class Disk:
    """A sparse raw file in the folder of volumes, written to in places that a seed decides."""

    def __init__(self, server: Server, identity: str, size_bytes: int = 8 * MIB) -> None:
        self.identity, self.size_bytes = identity, size_bytes
        self.path = server.data / "volumes" / f"{identity}.raw"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "wb") as file:
            file.truncate(size_bytes)
        self.write(0, places=4)

    def write(self, seed: int, places: int = 2, length: int = 70_000) -> str:
        """Changes some places. What the disk is then."""
        source = random.Random(f"{self.identity} {seed}")
        with open(self.path, "r+b") as file:
            for _ in range(places):
                file.seek(source.randrange(self.size_bytes - length))
                file.write(source.randbytes(length))
        return self.digest()

    def digest(self) -> str:
        return digest(self.path)


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def declare_host(server: Server, identity: str, name: str, disks: list[Disk], driver: str = 'driver = "none"\n') -> None:
    """An instance of some disks; nothing stops or starts it unless its driver does."""
    folder = server.data / "instances"
    folder.mkdir(parents=True, exist_ok=True)
    ids = ", ".join(f'"{disk.identity}"' for disk in disks)
    (folder / f"{identity}.toml").write_text(f'name = "{name}"\nvolumes = [{ids}]\n{driver}')


class Zone:
    """The calls below one zone."""

    def __init__(self, http: Http, zone: str = "ac1", headers: dict[str, str] | None = None) -> None:
        self.http, self.zone, self.headers = http, zone, headers or {}

    def send(self, method: str, path: str, body: Any = None) -> Response:
        """`path` begins below the zone. A body has the type that curl gives it."""
        headers = {name: value for name, value in CURL.items() if body is not None or name != "Content-Type"}
        return self.http.send(method, f"/v2/zone/{self.zone}{path}", body, headers=headers | self.headers)

    def get(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.status == 200, f"{answer.status}: {answer.text}"
        assert answer.headers["content-type"] == "application/json"
        return not_an_error(answer.json())

    def begin(self, method: str, path: str, body: Any = None) -> dict:
        """A call that begins a job; the job as it was accepted."""
        answer = self.send(method, path, body)
        assert answer.status == 200, f"{answer.status}: {answer.text}"
        assert answer.headers["content-type"] == "application/json"
        return not_an_error(answer.json())

    def end(self, job: dict) -> dict:
        """Waits until a job has ended."""

        def probe() -> dict | None:
            now = self.get(f"/job/{job['job_id']}")
            return now if now["status"] in ("successful", "failed") else None

        return wait_until(f"the end of {job['action']} {job['job_id']}", probe)

    def do(self, method: str, path: str, body: Any = None) -> dict:
        """A call whose job must succeed; the job as it ended."""
        job = self.end(self.begin(method, path, body))
        assert job["status"] == "successful", job
        return job

    def take(self, *resources: str, name: str = "demo", **more: Any) -> list[dict]:
        """Snapshots, which must become available."""
        job = self.do("POST", "/volume_snapshots", {"resources": list(resources), "snapshot_name": name, **more})
        taken = [self.snapshot(identity) for identity in job["resource_ids"]]
        assert all(each["status"] == "available" for each in taken), taken
        return taken

    def list(self, query: str = "limit=100") -> list[dict]:
        return self.get(f"/volume_snapshots?{query}")["snapshots"]

    def ids(self, query: str = "limit=100") -> set[str]:
        return {each["snapshot_id"] for each in self.list(query)}

    def snapshot(self, identity: str) -> dict:
        [found] = self.list(f"snapshots={identity}")
        return found

    def apply(self, identity: str, **more: Any) -> dict:
        return self.do("POST", "/volume_snapshots/apply", {"snapshots": [identity], **more})

    def delete(self, identity: str, query: str = "") -> dict:
        return self.do("DELETE", f"/volume_snapshots/{identity}{query}")


def not_an_error(value: Any) -> Any:
    """A client takes a body with both of these for an error, whatever the status."""
    assert not (isinstance(value, dict) and "code" in value and "message" in value), value
    return value


def accepted(job: dict, action: str, zone: str = "ac1") -> list[str]:
    """Proves every field of a job that was just accepted; the ids that it names."""
    assert list(job) == JOB_KEYS + MORE_JOB_KEYS, list(job)
    assert UUID.fullmatch(job["job_id"]) and UUID.fullmatch(job["request_id"])
    assert TIME.fullmatch(job["create_time"])
    shown = {key: job[key] for key in ("id_prefix", "action", "status", "begin_time", "finished_time", "info", "extra", "zone")}
    assert shown == {
        "id_prefix": "", "action": action, "status": "pending", "begin_time": "", "finished_time": "", "info": "", "extra": "", "zone": zone,
    }
    return job["resource_ids"]


def ended(job: dict, begun: dict) -> None:
    """Proves every field of a job that has succeeded."""
    assert list(job) == JOB_KEYS + MORE_JOB_KEYS, list(job)
    assert {key: job[key] for key in ("job_id", "request_id", "action", "create_time", "resource_ids")} == {
        key: begun[key] for key in ("job_id", "request_id", "action", "create_time", "resource_ids")
    }
    assert (job["status"], job["info"], job["extra"], job["id_prefix"]) == ("successful", "", "", "")
    assert TIME.fullmatch(job["begin_time"]) and TIME.fullmatch(job["finished_time"])
    assert job["create_time"] <= job["begin_time"] <= job["finished_time"]


def refused(answer: Response, status: int, code: str, *texts: str) -> dict:
    """Proves the shape of a refusal."""
    assert answer.status == status, f"{answer.status} instead of {status}: {answer.text}"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert {"code", "message", "detail"} <= set(body) and all(isinstance(value, str) for value in body.values()), body
    assert body["code"] == code, body
    assert re.match(r"[A-Z][A-Za-z]+, ", body["message"]), body
    for text in texts:
        assert text in body["message"], body
    return body

