"""The requests of seed 000 as they are printed there, tabs and all, in their order.

Its repository is `/mount/backups/my_backup`: used literally where this run may write there, else as `my_backup` of a folder of
the test's own, with that one path in the bodies changed.
"""

import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Iterator

import pytest

from harness.documents import assert_same, bulk, create_index, make_documents, read_all, restore
from harness.polling import wait_until
from harness.server import Server

PRINTED_ROOT = Path("/mount/backups")

REGISTER = """	{
	    "type": "fs",
	    "settings": {
	        "location": "/mount/backups/my_backup"
	    }
	}
"""
CHANGE_RATES = """	{
	    "type": "fs",
	    "settings": {
	        "location": "/mount/backups/my_backup",
	        "max_snapshot_bytes_per_sec" : "50mb",
	        "max_restore_bytes_per_sec" : "50mb"
	    }
	}
"""
TWO_INDICES = """{
    "indices": "index_1,index_2"
}
"""
SLOW = '{"type": "fs", "settings": {"location": "/mount/backups/my_backup", "max_snapshot_bytes_per_sec": "100kb"}}'


@pytest.fixture(scope="module")
def repo_root(folder: Path) -> Iterator[Path]:
    """`/mount/backups` where it can be made here and is nobody else's, else a folder of our own."""
    made = [path for path in (PRINTED_ROOT.parent, PRINTED_ROOT) if not path.exists()]
    if os.geteuid() != 0 or PRINTED_ROOT not in made:
        yield folder / "backups"
        return
    PRINTED_ROOT.mkdir(parents=True)
    yield PRINTED_ROOT
    shutil.rmtree(PRINTED_ROOT)
    for path in made:
        with contextlib.suppress(OSError):
            path.rmdir()


@pytest.fixture(scope="module")
def server(folder: Path, repo_root: Path) -> Iterator[Server]:
    with Server(folder, repo_roots=(repo_root,)) as running:
        for index, count in (("index_1", 50), ("index_2", 30), ("other", 10)):
            create_index(running.http, index)
            bulk(running.http, index, make_documents(count))
        yield running


def printed(body: str, repo_root: Path) -> str:
    """The body as printed; only where the printed folder cannot be used is it another."""
    return body.replace(str(PRINTED_ROOT), str(repo_root))


def test_register_my_backup(server: Server, repo_root: Path) -> None:
    assert server.http.put("/_snapshot/my_backup", printed(REGISTER, repo_root)).ok() == {"acknowledged": True}
    assert server.http.get("/_snapshot/my_backup").ok()["my_backup"]["settings"]["location"] == f"{repo_root}/my_backup"


def test_change_the_rates_with_a_post_and_a_trailing_slash(server: Server, repo_root: Path) -> None:
    assert server.http.post("/_snapshot/my_backup/", printed(CHANGE_RATES, repo_root)).ok() == {"acknowledged": True}
    settings = server.http.get("/_snapshot/my_backup").ok()["my_backup"]["settings"]
    assert settings["max_snapshot_bytes_per_sec"] == settings["max_restore_bytes_per_sec"] == "50mb"


def test_snapshot_1_returns_at_once_and_saves_all_open_indices(server: Server) -> None:
    assert server.http.put("/_snapshot/my_backup/snapshot_1").ok() == {"accepted": True}
    info = wait_until("snapshot_1 to end", lambda: ended(server, "snapshot_1"))
    assert info["state"] == "SUCCESS"
    assert sorted(info["indices"]) == ["index_1", "index_2", "other"]
    assert server.http.delete("/_snapshot/my_backup/snapshot_1").ok() == {"acknowledged": True}


def test_snapshot_1_waiting_for_completion(server: Server) -> None:
    info = server.http.put("/_snapshot/my_backup/snapshot_1?wait_for_completion=true").ok()["snapshot"]
    assert (info["snapshot"], info["state"], info["failures"]) == ("snapshot_1", "SUCCESS", [])
    assert info["shards"] == {"total": 3, "failed": 0, "successful": 3}


def test_snapshot_2_of_two_indices(server: Server) -> None:
    assert server.http.put("/_snapshot/my_backup/snapshot_2", TWO_INDICES).ok() == {"accepted": True}
    info = wait_until("snapshot_2 to end", lambda: ended(server, "snapshot_2"))
    assert (info["state"], sorted(info["indices"])) == ("SUCCESS", ["index_1", "index_2"])


def test_get_snapshot_2(server: Server) -> None:
    [info] = server.http.get("/_snapshot/my_backup/snapshot_2").ok()["snapshots"]
    assert info["snapshot"] == "snapshot_2"


def test_get_all(server: Server) -> None:
    listed = server.http.get("/_snapshot/my_backup/_all").ok()["snapshots"]
    assert [info["snapshot"] for info in listed] == ["snapshot_1", "snapshot_2"]


def test_delete_snapshot_2(server: Server) -> None:
    assert server.http.delete("/_snapshot/my_backup/snapshot_2").ok() == {"acknowledged": True}
    server.http.get("/_snapshot/my_backup/snapshot_2").refused(404, "snapshot_missing_exception")


def test_snapshot_1_restores_what_was_there(server: Server) -> None:
    before = read_all(server.http, "index_1")
    server.http.delete("/index_1").ok()
    restore(server.http, "my_backup", "snapshot_1", indices="index_1")
    assert_same(read_all(server.http, "index_1"), before)


@pytest.fixture(scope="module")
def five_shards(server: Server) -> None:
    """The picture of the source: an index of five shards, one with far more to transfer than the others."""
    create_index(server.http, "five", shards=5)
    for routing, count, text_bytes in (("0", 2000, 1000), *((str(other), 3, 50) for other in range(1, 12))):
        lines = []
        for identity, source in make_documents(count, seed=int(routing), text_bytes=text_bytes):
            action = {"index": {"_id": f"{routing}-{identity}", "routing": routing}}
            lines += [action, source]
        body = "\n".join(map(json.dumps, lines)) + "\n"
        assert not server.http.post("/five/_bulk", body).ok()["errors"]


def repository_files(root: Path) -> set[str]:
    """What counts in a repository: everything but locks, and whatever the program keeps beside it."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in ("locks", "snapkeep")}


def test_status_and_cancel_of_snapshot_3(server: Server, repo_root: Path, five_shards: None, restic) -> None:
    server.http.put("/_snapshot/my_backup", printed(SLOW, repo_root)).ok()
    before = repository_files(repo_root / "my_backup")
    assert server.http.put("/_snapshot/my_backup/snapshot_3", {"indices": "five"}).ok() == {"accepted": True}

    def transferring() -> dict | None:
        [status] = server.http.get("/_snapshot/my_backup/snapshot_3/_status").ok()["snapshots"]
        assert status["state"] == "IN_PROGRESS", status
        counters = status["shards_stats"]
        assert list(counters) == ["initializing", "started", "finalizing", "done", "failed", "total"]
        assert counters["total"] == 5 == sum(counters.values()) - counters["total"], counters
        return status if counters["started"] else None

    status = wait_until("a shard to be seen started", transferring, limit_seconds=5)
    assert (status["snapshot"], status["repository"]) == ("snapshot_3", "my_backup")
    time.sleep(1)
    status = transferring()
    assert status, "a shard stays started while its data is being transferred: at 100 kb a second that takes many seconds"
    stages = [shard["stage"] for shard in status["indices"]["five"]["shards"].values()]
    assert stages.count("STARTED") == status["shards_stats"]["started"] and stages.count("DONE") == status["shards_stats"]["done"]
    [running] = server.http.get("/_snapshot/_status").ok()["snapshots"]
    assert running["snapshot"] == "snapshot_3"
    [info] = server.http.get("/_snapshot/my_backup/snapshot_3").ok()["snapshots"]
    assert info["state"] == "IN_PROGRESS"

    asked = time.monotonic()
    assert server.http.delete("/_snapshot/my_backup/snapshot_3").ok() == {"acknowledged": True}
    assert time.monotonic() - asked < 5, "cancelling must stop the snapshot within 2 s, with some slack for a busy machine"
    server.http.get("/_snapshot/my_backup/snapshot_3").refused(404, "snapshot_missing_exception")
    assert server.http.get("/_snapshot/_status").ok() == {"snapshots": []}
    assert repository_files(repo_root / "my_backup") == before, "a cancelled snapshot leaves the repository as it was"
    stock = restic(server, "my_backup")
    stock.check("--read-data")
    assert set(stock.names()) == {"snapshot_1"}


def ended(server: Server, snapshot: str) -> dict | None:
    [info] = server.http.get(f"/_snapshot/my_backup/{snapshot}").ok()["snapshots"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", info["start_time"]), info
    return info if info["state"] != "IN_PROGRESS" else None
