"""A locked snapshot is deleted by nobody before its time, whatever asks."""

import shutil
import time
from pathlib import Path

import pytest
from elasticsearch import ApiError, Elasticsearch
from opensearchpy import OpenSearch, TransportError

from harness.documents import create_index, register, take
from harness.polling import wait_until
from harness.server import Server
from harness.weaviate import Weaviate
from huawei.css import Css
from policies.helpers import NATIVE, command, of_policy, prepare, snapshots, text

REPOSITORY = "/api/v1/repositories/main"


@pytest.fixture(scope="module", autouse=True)
def locked(server: Server) -> None:
    prepare(server)
    for name in ("keep", "loose"):
        take(server.http, "main", name)
    server.http.post(f"{REPOSITORY}/snapshots/keep/lock", {"for": "30d"}).ok()


def names(server: Server) -> set[str]:
    return {info["name"] for info in snapshots(server.http)}


def test_the_lock_is_shown(server: Server) -> None:
    shown = server.http.get(f"{REPOSITORY}/snapshots/keep").ok()
    assert abs(shown["locked_until_ms"] / 1000 - time.time() - 30 * 86_400) < 600
    assert "locked" in text(server, "snapshot", "show", "main", "keep")
    assert "locked_until_ms" not in server.http.get(f"{REPOSITORY}/snapshots/loose").ok()


def test_no_api_deletes_it(server: Server) -> None:
    answer = server.http.delete(f"{REPOSITORY}/snapshots/keep")
    assert answer.status == 409 and answer.json()["error"]["code"] == "snapshot_locked"
    with Elasticsearch(server.url) as client, pytest.raises(ApiError) as failure:
        client.snapshot.delete(repository="main", snapshot="keep")
    assert failure.value.status_code == 409 and failure.value.error == "snapshot_exception"
    assert "[main:keep] is locked until" in failure.value.body["error"]["reason"]
    with pytest.raises(TransportError):
        OpenSearch(server.url).snapshot.delete(repository="main", snapshot="keep")
    assert "locked" in text(server, "snapshot", "rm", "main", "keep", code=1)
    assert "keep" in names(server)


def test_a_pattern_that_meets_it_deletes_nothing(server: Server) -> None:
    assert server.http.delete("/_snapshot/main/*").status == 409
    assert server.http.delete("/_snapshot/main/loose,keep?wait_for_completion=false").status == 409
    assert {"keep", "loose"} <= names(server)


def test_a_lock_is_extended_but_not_shortened(server: Server) -> None:
    before = server.http.get(f"{REPOSITORY}/snapshots/keep").ok()["locked_until_ms"]
    refused = server.http.post(f"{REPOSITORY}/snapshots/keep/lock", {"for": "1d"})
    assert refused.status == 409 and refused.json()["error"]["code"] == "lock_shortened"
    after = command(server, "snapshot", "lock", "main", "keep", "--until", "2099-01-01T00:00:00Z")["locked_until_ms"]
    assert after > before


def test_locks_that_mean_nothing_are_refused(server: Server) -> None:
    for body in ({}, {"for": "1d", "until": "2099-01-01T00:00:00Z"}, {"for": "soon"}, {"until": "2001-01-01T00:00:00Z"}, {"until": "soon"}):
        assert server.http.post(f"{REPOSITORY}/snapshots/loose/lock", body).status == 400, body
    assert server.http.post(f"{REPOSITORY}/snapshots/nope/lock", {"for": "1d"}).status == 404


def test_pruning_and_cleaning_up_leave_it(server: Server) -> None:
    text(server, "snapshot", "rm", "main", "loose")
    text(server, "prune", "main")
    text(server, "repo", "cleanup", "main")
    text(server, "check", "main", "--read-data")
    assert names(server) == {"keep"}


def test_retention_goes_round_a_lock(server: Server) -> None:
    """Snapshots of a policy with a lock are removed only when the lock is over."""
    server.http.put(f"{NATIVE}/locking", {"repository": "main", "lock": "6s", "retention": {"max_count": 1}, "indices": ["books"]}).ok()
    taken = [command(server, "policy", "run", "locking")["snapshot"] for _ in range(2)]
    assert all(info["locked_until_ms"] for info in snapshots(server.http) if info.get("policy") == "locking")
    done = command(server, "policy", "retain", "locking")
    if taken[0]["name"] not in done["deleted"]:
        assert server.http.delete(f"{REPOSITORY}/snapshots/{taken[0]['name']}").status == 409
    else:
        # Only when this machine took longer for two small snapshots than the lock lasts.
        assert time.time() * 1000 > taken[0]["start_ms"] + 6_000

    def is_removed() -> bool:
        server.http.post(f"{NATIVE}/locking/retention").ok()
        return [info["name"] for info in of_policy(server.http, "locking")] == [taken[1]["name"]]

    wait_until("the first to be removed once its lock is over", is_removed, every_seconds=0.5)


def lock_everything(server: Server) -> int:
    """Locks every snapshot of every repository; how many."""
    count = 0
    for repository in server.http.get("/api/v1/repositories").ok()["repositories"]:
        for info in snapshots(server.http, repository["name"]):
            server.http.post(f"/api/v1/repositories/{repository['name']}/snapshots/{info['name']}/lock", {"for": "30d"}).ok()
            count += 1
    return count


def test_the_dialects_of_the_clouds_do_not_delete_it_either(fresh_server: Server) -> None:
    create_index(fresh_server.http, "books")
    css = Css(fresh_server.http)
    backup = css.taken("base", indices="*")
    assert lock_everything(fresh_server) == 1
    refused = css.send("DELETE", f"/index_snapshot/{backup['id']}")
    assert refused.status >= 400, refused.text
    assert css.backup(backup["id"])["status"] == "COMPLETED"
    # Without the snapshot function the cluster shows no backups any more; they are still stored.
    css.send("DELETE", "/index_snapshots")
    [left] = snapshots(fresh_server.http, backup["bucketName"])
    assert left["state"] == "SUCCESS"


def test_weaviate_does_not_purge_it(fresh_server: Server) -> None:
    weaviate = Weaviate(fresh_server)
    weaviate.create_class("Things", properties=[{"name": "name", "dataType": ["text"]}])
    weaviate.back_up("kept", include=["Things"])
    assert lock_everything(fresh_server) == 1
    refused = fresh_server.http.delete("/v1/backups/filesystem/kept/purge")
    assert refused.status >= 400 and "locked until" in refused.text, refused.text
    assert lock_everything(fresh_server) == 1


def test_a_lock_survives_the_loss_of_the_catalogue(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with server:
        prepare(server)
        take(server.http, "main", "keep")
        until = server.http.post(f"{REPOSITORY}/snapshots/keep/lock", {"for": "30d"}).ok()["locked_until_ms"]
    key = (server.data / "repository.key").read_bytes()
    shutil.rmtree(server.data)
    server.data.mkdir()
    (server.data / "repository.key").write_bytes(key)
    (server.data / "repository.key").chmod(0o600)
    with server:
        register(server.http, "main")
        assert server.http.get(f"{REPOSITORY}/snapshots/keep").ok()["locked_until_ms"] == until
        assert server.http.delete("/_snapshot/main/keep").status == 409
