"""An unmodified elasticsearch-py 8: snapshots taken, watched, cancelled and restored through it, every document compared."""

import time
from typing import Iterator

import pytest
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError
from elasticsearch.helpers import bulk, scan

from harness.documents import make_documents
from harness.polling import wait_until
from harness.server import Server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Elasticsearch]:
    with Elasticsearch(server.url, request_timeout=60, retry_on_timeout=False, max_retries=0) as connected:
        yield connected


@pytest.fixture(scope="module")
def loaded(client: Elasticsearch) -> dict[str, dict]:
    """Two indices with documents; what was loaded, by index and id."""
    sources = {"library": dict(make_documents(1500, seed=3)), "archive": dict(make_documents(200, seed=4))}
    client.indices.create(index="library", settings={"number_of_shards": 3, "number_of_replicas": 0}, aliases={"books": {}},
                          mappings={"properties": {"tag": {"type": "keyword"}, "when": {"type": "date"}}})
    client.indices.create(index="archive", settings={"number_of_replicas": 0})
    for index, documents in sources.items():
        done, errors = bulk(client, ({"_index": index, "_id": identity, **source} for identity, source in documents.items()), refresh=True)
        assert (done, errors) == (len(documents), [])
    client.snapshot.create_repository(name="lib", repository={"type": "fs", "settings": {"location": "lib"}})
    return sources


def documents_of(client: Elasticsearch, index: str) -> dict[str, dict]:
    return {hit["_id"]: hit["_source"] for hit in scan(client, index=index, size=500)}


def test_identity(client: Elasticsearch) -> None:
    assert client.ping()
    info = client.info()
    assert info["tagline"] == "You Know, for Search"
    assert client.cluster.health()["status"] in ("green", "yellow")


def test_repositories(client: Elasticsearch, loaded: dict) -> None:
    answer = client.snapshot.create_repository(name="second", body={"type": "fs", "settings": {"location": "second", "compress": True}})
    assert answer["acknowledged"]
    assert client.snapshot.get_repository(name="second")["second"]["settings"] == {"location": "second", "compress": "true"}
    assert {"lib", "second"} <= set(client.snapshot.get_repository())
    assert len(client.snapshot.verify_repository(name="second")["nodes"]) == 1
    assert set(client.snapshot.cleanup_repository(name="second")["results"]) == {"deleted_bytes", "deleted_blobs"}
    assert client.snapshot.delete_repository(name="second")["acknowledged"]
    with pytest.raises(NotFoundError):
        client.snapshot.get_repository(name="second")


def test_snapshot_and_restore(client: Elasticsearch, loaded: dict) -> None:
    info = client.snapshot.create(repository="lib", snapshot="one", wait_for_completion=True, indices="library,archive", metadata={"why": "test"})["snapshot"]
    assert info["state"] == "SUCCESS" and info["shards"] == {"total": 4, "failed": 0, "successful": 4}
    [listed] = client.snapshot.get(repository="lib", snapshot="one")["snapshots"]
    assert listed["uuid"] == info["uuid"] and listed["metadata"] == {"why": "test"} and listed["repository"] == "lib"
    [status] = client.snapshot.status(repository="lib", snapshot="one")["snapshots"]
    assert status["state"] == "SUCCESS" and status["shards_stats"]["done"] == 4
    assert status["stats"]["total"]["size_in_bytes"] > 0

    mapping = client.indices.get_mapping(index="library")["library"]["mappings"]
    client.indices.delete(index="library")
    answer = client.snapshot.restore(repository="lib", snapshot="one", wait_for_completion=True, indices="library")
    assert answer["snapshot"]["shards"] == {"total": 3, "failed": 0, "successful": 3}
    assert documents_of(client, "library") == loaded["library"]
    assert client.indices.get_mapping(index="library")["library"]["mappings"] == mapping
    assert client.indices.get_alias(index="library")["library"]["aliases"] == {"books": {}}
    assert client.count(index="books")["count"] == len(loaded["library"])


def test_restore_with_rename(client: Elasticsearch, loaded: dict) -> None:
    client.snapshot.restore(
        repository="lib", snapshot="one", wait_for_completion=True, indices="library,archive", include_aliases=False,
        rename_pattern="(.+)", rename_replacement="$1_restored", index_settings={"index.refresh_interval": "7s"},
    )
    for index in ("library", "archive"):
        assert documents_of(client, f"{index}_restored") == loaded[index]
    assert client.indices.get_settings(index="library_restored")["library_restored"]["settings"]["index"]["refresh_interval"] == "7s"
    shards = client.indices.recovery(index="library_restored")["library_restored"]["shards"]
    assert [(shard["type"], shard["stage"]) for shard in shards] == [("SNAPSHOT", "DONE")] * 3
    assert {shard["source"]["snapshot"] for shard in shards} == {"one"}
    client.indices.delete(index="library_restored,archive_restored")


def test_restore_into_a_closed_index_and_over_an_open_one(client: Elasticsearch, loaded: dict) -> None:
    client.index(index="archive", id="later", document={"added": "after the snapshot"}, refresh=True)
    with pytest.raises(Exception, match="snapshot_restore_exception"):
        client.snapshot.restore(repository="lib", snapshot="one", wait_for_completion=True, indices="archive")
    client.indices.close(index="archive")
    client.snapshot.restore(repository="lib", snapshot="one", wait_for_completion=True, indices="archive")
    assert documents_of(client, "archive") == loaded["archive"]


def test_a_second_snapshot_has_the_changes(client: Elasticsearch, loaded: dict) -> None:
    client.index(index="archive", id="d0", document={"n": 7777}, refresh=True)
    client.delete(index="archive", id="d1", refresh=True)
    client.snapshot.create(repository="lib", snapshot="two", wait_for_completion=True, indices="archive")
    expected = documents_of(client, "archive")
    assert expected["d0"] == {"n": 7777} and "d1" not in expected
    for snapshot, documents in (("two", expected), ("one", loaded["archive"])):
        client.indices.delete(index="archive")
        client.snapshot.restore(repository="lib", snapshot=snapshot, wait_for_completion=True, indices="archive")
        assert documents_of(client, "archive") == documents


def test_clone_and_delete_the_source(client: Elasticsearch, loaded: dict) -> None:
    assert client.snapshot.clone(repository="lib", snapshot="one", target_snapshot="copy", indices="archive")["acknowledged"]
    assert client.snapshot.delete(repository="lib", snapshot="one")["acknowledged"]
    with pytest.raises(NotFoundError) as missing:
        client.snapshot.get(repository="lib", snapshot="one")
    assert missing.value.error == "snapshot_missing_exception"
    client.indices.delete(index="archive")
    client.snapshot.restore(repository="lib", snapshot="copy", wait_for_completion=True)
    assert documents_of(client, "archive") == loaded["archive"]


def test_status_while_running_and_cancel(client: Elasticsearch, loaded: dict) -> None:
    client.snapshot.create_repository(name="slow", repository={"type": "fs", "settings": {"location": "slow", "max_snapshot_bytes_per_sec": "20kb"}})
    assert client.snapshot.create(repository="slow", snapshot="long", wait_for_completion=False, indices="library")["accepted"]
    [status] = wait_until("the snapshot to be seen running", lambda: client.snapshot.status()["snapshots"])
    assert (status["snapshot"], status["state"]) == ("long", "IN_PROGRESS")
    [info] = client.snapshot.get(repository="slow", snapshot="_current")["snapshots"]
    assert info["state"] == "IN_PROGRESS"
    with pytest.raises(BadRequestError):
        client.snapshot.create(repository="slow", snapshot="long", indices="archive")
    with pytest.raises(BadRequestError, match="snapshot_in_progress_exception"):
        client.indices.delete(index="library")
    asked = time.monotonic()
    assert client.snapshot.delete(repository="slow", snapshot="long")["acknowledged"]
    assert time.monotonic() - asked < 5
    assert client.snapshot.get(repository="slow", snapshot="*")["snapshots"] == []
    assert documents_of(client, "library") == loaded["library"]


def test_rates_change_while_a_snapshot_runs(client: Elasticsearch, loaded: dict) -> None:
    client.snapshot.create(repository="slow", snapshot="hurried", indices="library")
    wait_until("the snapshot to be seen running", lambda: client.snapshot.status()["snapshots"])
    client.snapshot.create_repository(name="slow", repository={"type": "fs", "settings": {"location": "slow", "max_snapshot_bytes_per_sec": "1gb"}})
    wait_until("the snapshot to end", lambda: client.snapshot.get(repository="slow", snapshot="hurried")["snapshots"][0]["state"] == "SUCCESS", limit_seconds=20)


def test_pages_sorting_and_details(client: Elasticsearch, loaded: dict) -> None:
    for number in range(4):
        client.snapshot.create(repository="lib", snapshot=f"page-{number}", wait_for_completion=True, indices="archive")
    first = client.snapshot.get(repository="lib", snapshot="page-*", sort="name", order="desc", size=3)
    assert [info["snapshot"] for info in first["snapshots"]] == ["page-3", "page-2", "page-1"]
    assert (first["total"], first["remaining"]) == (4, 1)
    rest = client.snapshot.get(repository="lib", snapshot="page-*", sort="name", order="desc", after=first["next"])
    assert [info["snapshot"] for info in rest["snapshots"]] == ["page-0"]
    [detailed] = client.snapshot.get(repository="lib", snapshot="page-0", index_details=True)["snapshots"]
    assert detailed["index_details"]["archive"]["shard_count"] == 1
    [brief] = client.snapshot.get(repository="lib", snapshot="page-0", verbose=False)["snapshots"]
    assert brief["state"] == "SUCCESS" and "start_time" not in brief
    by_time = client.snapshot.get(repository="lib", snapshot="page-*")["snapshots"]
    assert [info["snapshot"] for info in by_time] == [f"page-{number}" for number in range(4)]


def test_cat(client: Elasticsearch, loaded: dict) -> None:
    rows = client.cat.snapshots(repository="lib", format="json")
    assert {row["id"]: row["status"] for row in rows}["page-1"] == "SUCCESS"
    assert {row["id"] for row in client.cat.repositories(format="json")} >= {"lib", "slow"}
    assert {row["index"]: row["docs.count"] for row in client.cat.indices(format="json")}["library"] == str(len(loaded["library"]))
    assert client.cat.count(index="library", format="json")[0]["count"] == str(len(loaded["library"]))
    assert client.cat.recovery(index="archive", format="json")[0]["type"] == "snapshot"


def test_delete_several_at_once(client: Elasticsearch, loaded: dict) -> None:
    client.snapshot.delete(repository="lib", snapshot="page-0,page-1")
    client.snapshot.delete(repository="lib", snapshot="page-*")
    assert client.snapshot.get(repository="lib", snapshot="page-*", ignore_unavailable=True)["snapshots"] == []


def test_a_forgotten_server_lists_and_restores_what_is_in_the_repository(client: Elasticsearch, loaded: dict, server: Server, tmp_path) -> None:
    """Registering an existing repository on an empty server with the same key brings everything back."""
    client.snapshot.create(repository="lib", snapshot="kept", wait_for_completion=True, indices="library", metadata={"a": 1})
    [known] = client.snapshot.get(repository="lib", snapshot="kept")["snapshots"]
    other = Server(tmp_path, repo_roots=server.repo_roots)
    other.data.mkdir(parents=True)
    key = server.data / "repository.key"
    (other.data / "repository.key").write_bytes(key.read_bytes())
    (other.data / "repository.key").chmod(0o600)
    with other, Elasticsearch(other.url, request_timeout=60) as empty:
        empty.snapshot.create_repository(name="found", repository={"type": "fs", "settings": {"location": "lib"}})
        [listed] = empty.snapshot.get(repository="found", snapshot="kept")["snapshots"]
        assert {key: listed[key] for key in known if key != "repository"} == {key: known[key] for key in known if key != "repository"}
        empty.snapshot.restore(repository="found", snapshot="kept", wait_for_completion=True)
        assert documents_of(empty, "library") == loaded["library"]
