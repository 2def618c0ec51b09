"""The requests of seed 004 as they are printed there: create, status, restore, restore status, their parameters and conditions."""

import pytest

from harness.server import Server
from harness.weaviate import Weaviate, identity


@pytest.fixture(scope="module")
def weaviate(server: Server) -> Weaviate:
    running = Weaviate(server)
    for name in ("Article", "Publication"):
        running.create_class(name, properties=[{"name": "title", "dataType": ["text"]}])
        running.write({"class": name, "id": identity(number), "properties": {"title": f"{name} {number}"}, "vector": [0.5, number]} for number in range(3))
    return running


def test_create_and_status(weaviate: Weaviate) -> None:
    created = weaviate.http.post("/v1/backups/filesystem", {"id": "my-very-first_backup1", "include": ["Article", "Publication"]}).ok()
    assert created["id"] == "my-very-first_backup1" and created["backend"] == "filesystem"
    assert sorted(created["classes"]) == ["Article", "Publication"]
    status = weaviate.ended("my-very-first_backup1")
    assert status["status"] == "SUCCESS" and "error" not in status and status["path"] == created["path"]


def test_exclude_leaves_out(weaviate: Weaviate) -> None:
    assert weaviate.http.post("/v1/backups/filesystem", {"id": "without", "exclude": ["Article"]}).ok()["classes"] == ["Publication"]
    assert weaviate.ended("without")["status"] == "SUCCESS"


def test_without_lists_all_classes_are_included(weaviate: Weaviate) -> None:
    assert sorted(weaviate.http.post("/v1/backups/filesystem", {"id": "all"}).ok()["classes"]) == ["Article", "Publication"]
    assert weaviate.ended("all")["status"] == "SUCCESS"


def test_include_and_exclude_together_are_refused(weaviate: Weaviate) -> None:
    both = {"id": "both", "include": ["Article"], "exclude": ["Publication"]}
    assert "cannot both contain values" in weaviate.message("POST", "/v1/backups/filesystem", both, 422)
    assert "cannot both contain values" in weaviate.message("POST", "/v1/backups/filesystem/all/restore", both, 422)


@pytest.mark.parametrize("name", ["Upper", "with space", "a.b", "ä", ""])
def test_ids_have_lower_case_letters_digits_underscore_and_minus(weaviate: Weaviate, name: str) -> None:
    assert "lowercase, 0-9, _, -" in weaviate.message("POST", "/v1/backups/filesystem", {"id": name}, 422)


@pytest.mark.parametrize("backend", ["s3", "gcs", "azure"])
def test_a_backend_that_is_not_configured_is_named(weaviate: Weaviate, backend: str) -> None:
    assert f'"{backend}"' in weaviate.message("POST", f"/v1/backups/{backend}", {"id": "x"}, 422)


def test_restore_and_its_status(weaviate: Weaviate) -> None:
    weaviate.back_up("restored")
    before = {name: weaviate.read_all(name) for name in ("Article", "Publication")}
    for name in before:
        weaviate.http.delete(f"/v1/schema/{name}").ok()
    started = weaviate.http.post("/v1/backups/filesystem/restored/restore", {"include": ["Article"]}).ok()
    assert started["classes"] == ["Article"] and started["id"] == "restored"
    assert weaviate.ended("restored/restore")["status"] == "SUCCESS"
    weaviate.restore("restored", exclude=["Article"])
    assert {name: weaviate.read_all(name) for name in before} == before


def test_a_class_that_exists_fails_the_restore_and_is_named(weaviate: Weaviate) -> None:
    weaviate.back_up("existing")
    assert weaviate.http.post("/v1/backups/filesystem/existing/restore", {}).ok()["status"] == "STARTED"
    status = weaviate.ended("existing/restore")
    assert status["status"] == "FAILED" and "Article" in status["error"] and "already exists" in status["error"]


def test_lists_of_a_restore_are_about_the_classes_of_the_backup(weaviate: Weaviate) -> None:
    text = weaviate.message("POST", "/v1/backups/filesystem/without/restore", {"include": ["Article"]}, 422)
    assert text == "class Article doesn't exist in the backup, but does have [Publication]: "


def test_a_node_that_is_not_there_is_named(weaviate: Weaviate) -> None:
    assert '"ghost"' in weaviate.message("POST", "/v1/backups/filesystem/without/restore", {"node_mapping": {"old": "ghost"}}, 422)


def test_another_server_restores_it(weaviate: Weaviate, server: Server) -> None:
    before = weaviate.read_all("Publication")
    # All that another server needs is the password of the repositories.
    password = server.data / "repository.key"
    kept = password.read_bytes()
    server.stop()
    server.erase()
    server.data.mkdir()
    password.write_bytes(kept)
    server.start()
    assert server.http.get("/v1/schema").ok() == {"classes": []}
    assert "without" in {backup["id"] for backup in server.http.get("/v1/backups/filesystem").ok()}
    weaviate.restore("without")
    assert weaviate.read_all("Publication") == before
