"""Collections on the command line: taken beside indices or alone, shown, restored under another name, tenant by tenant."""

import json
from typing import Iterator

import pytest

from harness.documents import bulk, create_index, make_documents
from harness.server import Server, run_program


@pytest.fixture(scope="module")
def loaded(server: Server) -> Iterator[Server]:
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(30))
    server.http.post("/v1/schema", {"class": "Notes", "vectorizer": "none", "multiTenancyConfig": {"enabled": True}}).ok()
    server.http.post("/v1/schema", {"class": "Article", "vectorizer": "none"}).ok()
    server.http.post("/v1/schema/Notes/tenants", [{"name": "alice"}, {"name": "bob"}, {"name": "gone"}]).ok()
    objects = [{"class": "Article", "properties": {"n": number}, "vector": [number, 0.5]} for number in range(20)]
    objects += [{"class": "Notes", "tenant": tenant, "properties": {"n": number}, "vector": [1, number]} for tenant in ("alice", "bob", "gone") for number in range(5)]
    assert all(item["result"]["status"] == "SUCCESS" for item in server.http.post("/v1/batch/objects", {"objects": objects}).ok())
    assert run(server, "repo", "add", "main", "--location", "main")
    yield server


def run(server: Server, *arguments: str, code: int = 0) -> str:
    done = run_program(*arguments, "--data-dir", str(server.data))
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def count(server: Server, class_name: str, more: str = "") -> int:
    return len(server.http.get(f"/v1/objects?class={class_name}&limit=100{more}").ok()["objects"])


def test_what_is_named_is_taken_and_everything_when_nothing_is(loaded: Server) -> None:
    printed = run(loaded, "snapshot", "create", "main", "all")
    assert "1 index(es), 2 collection(s), 65 document(s)" in printed, printed
    run(loaded, "snapshot", "create", "main", "vectors", "--collection", "Art*")
    run(loaded, "snapshot", "create", "main", "search", "--index", "books")
    listed = run(loaded, "snapshot", "ls", "main")
    assert "books,Article,Notes" in listed
    shown = run(loaded, "snapshot", "show", "main", "vectors")
    assert "COLLECTION" in shown and "INDEX" not in shown and "Notes" not in shown, shown
    found = json.loads(run_program("snapshot", "show", "main", "search", "--json", "--data-dir", str(loaded.data)).stdout)
    assert "collections" not in found and [index["name"] for index in found["indices"]] == ["books"]
    assert "bob" in run(loaded, "snapshot", "status", "main", "all")
    assert "no such collection [Nothing]" in run(loaded, "snapshot", "create", "main", "none", "--collection", "Nothing", code=5)


def test_collections_are_restored_beside_skipped_or_overwritten(loaded: Server) -> None:
    refused = run(loaded, "restore", "main", "vectors", code=1)
    assert "Article" in refused and "already exist" in refused
    assert "restored Copy" in run(loaded, "restore", "main", "vectors", "--rename", "Article=Copy")
    assert count(loaded, "Copy") == 20
    first = loaded.http.get("/v1/objects?class=Article&limit=1").ok()["objects"][0]["id"]
    loaded.http.delete(f"/v1/objects/Article/{first}")
    run(loaded, "restore", "main", "vectors", "--on-conflict", "skip")
    assert count(loaded, "Article") == 19
    run(loaded, "restore", "main", "vectors", "--on-conflict", "overwrite")
    assert count(loaded, "Article") == 20
    run(loaded, "restore", "main", "all", "--collection", "Notes", "--tenant", "alice", "--rename", "Notes=OfAlice")
    assert count(loaded, "OfAlice", "&tenant=alice") == 5
    assert [tenant["name"] for tenant in loaded.http.get("/v1/schema/OfAlice/tenants").ok()] == ["alice"]
    assert "no such tenant [carol]" in run(loaded, "restore", "main", "all", "--collection", "Notes", "--tenant", "carol", code=5)
    assert "cannot be renamed" in run(loaded, "restore", "main", "vectors", "--rename", "Article=not-a-class", code=1)
