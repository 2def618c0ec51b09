"""An unmodified opensearch-py against the `opensearch` shape."""

from pathlib import Path
from typing import Iterator

import pytest
from opensearchpy import NotFoundError, OpenSearch
from opensearchpy.helpers import bulk, scan

from harness.documents import make_documents
from harness.server import Server


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[OpenSearch]:
    with Server(folder / "opensearch", environment={"SNAPKEEP_ELASTICSEARCH_SHAPE": "opensearch"}) as server:
        yield OpenSearch(hosts=[{"host": "127.0.0.1", "port": server.port}], timeout=60, max_retries=0)


def test_round_trip(client: OpenSearch) -> None:
    documents = dict(make_documents(500, seed=9))
    assert client.info()["version"]["distribution"] == "opensearch"
    client.indices.create(index="things", body={"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
    assert bulk(client, ({"_index": "things", "_id": identity, **source} for identity, source in documents.items()), refresh=True) == (500, [])
    client.snapshot.create_repository(repository="r", body={"type": "fs", "settings": {"location": "r"}})
    info = client.snapshot.create(repository="r", snapshot="s", body={"indices": "things"}, params={"wait_for_completion": "true"})["snapshot"]
    assert info["state"] == "SUCCESS"
    [listed] = client.snapshot.get(repository="r", snapshot="s")["snapshots"]
    assert "repository" not in listed and listed["remote_store_index_shallow_copy"] is False
    [status] = client.snapshot.status(repository="r", snapshot="s")["snapshots"]
    assert "number_of_files" not in status["stats"]
    client.indices.delete(index="things")
    client.snapshot.restore(repository="r", snapshot="s", params={"wait_for_completion": "true"})
    assert {hit["_id"]: hit["_source"] for hit in scan(client, index="things")} == documents
    client.snapshot.clone(repository="r", snapshot="s", target_snapshot="t", body={"indices": "things"})
    client.snapshot.delete(repository="r", snapshot="s")
    with pytest.raises(NotFoundError):
        client.snapshot.get(repository="r", snapshot="s")
    client.snapshot.delete_repository(repository="r")
