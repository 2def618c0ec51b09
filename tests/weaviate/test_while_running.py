"""Backups beside writers, cancelled, and cut off by a kill."""

import random
import threading
import time

from harness.server import Server
from harness.weaviate import Weaviate, identity, single

SEED, DIMS, HEAVY_OBJECTS = 11, 256, 1_000
SLOW_BYTES_PER_SEC = "100kb"
CANCEL_LIMIT_SECONDS = 2


def heavy(weaviate: Weaviate) -> None:
    """A class of about a megabyte, so that a slow repository takes ten seconds for it."""
    source = random.Random(SEED)
    weaviate.create_class("Heavy")
    weaviate.write(
        {"class": "Heavy", "id": identity(number), "properties": {}, "vector": [single(source.uniform(-1, 1)) for _ in range(DIMS)]}
        for number in range(HEAVY_OBJECTS)
    )


def limit(server: Server, **rates: str) -> None:
    settings = {"location": "weaviate", "max_snapshot_bytes_per_sec": "0", "max_restore_bytes_per_sec": "0"} | rates
    server.http.put("/_snapshot/weaviate-filesystem", {"type": "fs", "settings": settings}).ok()


def cancel(server: Server, path: str) -> None:
    since = time.monotonic()
    assert server.http.delete(f"/v1/backups/filesystem/{path}").status == 204
    status = server.http.get(f"/v1/backups/filesystem/{path}").ok()
    assert status["status"] == "CANCELED", status
    assert time.monotonic() - since < CANCEL_LIMIT_SECONDS


def test_a_backup_is_one_moment_of_two_classes(fresh_server: Server) -> None:
    weaviate = Weaviate(fresh_server)
    for name in ("First", "Second"):
        weaviate.create_class(name, properties=[{"name": "n", "dataType": ["int"]}])
    ending = threading.Event()
    written = 0

    def write() -> None:
        """Object n of Second only after object n of First was acknowledged."""
        nonlocal written
        while not ending.is_set():
            for name in ("First", "Second"):
                weaviate.write([{"class": name, "id": identity(written), "properties": {"n": written}}])
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    acknowledged = []
    try:
        for number in range(5):
            time.sleep(0.2)
            low = written
            weaviate.back_up(f"cut{number}")
            acknowledged.append((low, written))
    finally:
        ending.set()
        writer.join()
    for number, (low, high) in enumerate(acknowledged):
        weaviate.restore(f"cut{number}", config={"onConflict": "overwrite"})
        first, second = (sorted(item["properties"]["n"] for item in weaviate.read_all(name).values()) for name in ("First", "Second"))
        assert first == list(range(len(first))) and second == list(range(len(second))), "there are holes"
        assert len(second) <= len(first) <= len(second) + 1, f"{len(first)} of First and {len(second)} of Second were never there together"
        assert low <= len(second) <= high + 1


def test_cancelling_takes_no_time_and_leaves_nothing(fresh_server: Server) -> None:
    weaviate = Weaviate(fresh_server)
    heavy(weaviate)
    limit(fresh_server, max_snapshot_bytes_per_sec=SLOW_BYTES_PER_SEC)
    fresh_server.http.post("/v1/backups/filesystem", {"id": "one"}).ok()
    time.sleep(0.5)
    cancel(fresh_server, "one")
    assert weaviate.http.get("/v1/backups/filesystem").ok()[0]["status"] == "CANCELED"
    limit(fresh_server)
    weaviate.back_up("one")
    expected = weaviate.read_all("Heavy")
    fresh_server.http.delete("/v1/schema/Heavy").ok()
    limit(fresh_server, max_restore_bytes_per_sec=SLOW_BYTES_PER_SEC)
    fresh_server.http.post("/v1/backups/filesystem/one/restore", {}).ok()
    time.sleep(0.5)
    cancel(fresh_server, "one/restore")
    assert fresh_server.http.get("/v1/schema").ok() == {"classes": []}
    limit(fresh_server)
    weaviate.restore("one")
    assert weaviate.read_all("Heavy") == expected


def test_a_backup_cut_off_by_a_kill_is_failed_and_says_why(fresh_server: Server) -> None:
    weaviate = Weaviate(fresh_server)
    heavy(weaviate)
    limit(fresh_server, max_snapshot_bytes_per_sec=SLOW_BYTES_PER_SEC)
    fresh_server.http.post("/v1/backups/filesystem", {"id": "cut"}).ok()
    time.sleep(0.5)
    fresh_server.kill()
    fresh_server.start()
    status = weaviate.ended("cut", limit_seconds=10)
    assert status["status"] == "FAILED" and status["error"] == "the server stopped before it was done", status
    limit(fresh_server)
    weaviate.back_up("next")


def test_a_restore_cut_off_by_a_kill_is_failed_and_leaves_nothing(fresh_server: Server) -> None:
    weaviate = Weaviate(fresh_server)
    heavy(weaviate)
    weaviate.back_up("one")
    fresh_server.http.delete("/v1/schema/Heavy").ok()
    limit(fresh_server, max_restore_bytes_per_sec=SLOW_BYTES_PER_SEC)
    fresh_server.http.post("/v1/backups/filesystem/one/restore", {}).ok()
    time.sleep(0.5)
    fresh_server.kill()
    fresh_server.start()
    assert weaviate.ended("one/restore", limit_seconds=10)["status"] == "FAILED"
    assert fresh_server.http.get("/v1/schema").ok() == {"classes": []}
