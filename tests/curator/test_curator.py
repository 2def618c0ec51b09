"""elasticsearch-curator 8 as its users run it: the `curator` command with YAML files."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from harness.documents import Documents, assert_same, bulk, create_index, make_documents, read_all, register
from harness.server import Server, clean_environment

CURATOR = Path(sys.executable).parent / "curator"


@pytest.fixture(scope="module")
def loaded(server: Server) -> Iterator[dict[str, Documents]]:
    for number, index in enumerate(("logs-1", "logs-2", "figures")):
        create_index(server.http, index)
        bulk(server.http, index, make_documents(100 + number, seed=number))
    register(server.http, "backups")
    yield {index: read_all(server.http, index) for index in ("logs-1", "logs-2", "figures")}


def run_action(server: Server, folder: Path, action: str, options: dict[str, Any], filters: list[dict]) -> str:
    """One action file, one run of the command; it must succeed. What it logged."""
    config = {
        "elasticsearch": {"client": {"hosts": server.url, "request_timeout": 60}, "other_settings": {"skip_version_test": True}},
        "logging": {"loglevel": "INFO"},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    (folder / "action.yml").write_text(yaml.safe_dump({"actions": {1: {"action": action, "description": "a test", "options": options, "filters": filters}}}))
    done = subprocess.run(
        [str(CURATOR), "--config", str(folder / "config.yml"), str(folder / "action.yml")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, env=clean_environment({"LC_ALL": "C.UTF-8"}),
    )
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-3000:]
    assert "ERROR" not in log, log[-3000:]
    return log


def names(server: Server) -> list[str]:
    return [info["snapshot"] for info in server.http.get("/_snapshot/backups/_all").ok()["snapshots"]]


def test_snapshot_of_filtered_indices(server: Server, loaded: dict, tmp_path: Path) -> None:
    options = {"repository": "backups", "name": "cur-1", "wait_for_completion": True, "wait_interval": 1, "max_wait": 60, "include_global_state": True}
    run_action(server, tmp_path, "snapshot", options, [{"filtertype": "pattern", "kind": "prefix", "value": "logs-"}])
    [info] = server.http.get("/_snapshot/backups/cur-1").ok()["snapshots"]
    assert (info["state"], sorted(info["indices"])) == ("SUCCESS", ["logs-1", "logs-2"])


def test_snapshot_with_a_dated_name(server: Server, loaded: dict, tmp_path: Path) -> None:
    options = {"repository": "backups", "name": "dated-%Y%m%d", "wait_for_completion": True, "wait_interval": 1, "max_wait": 60, "skip_repo_fs_check": False}
    run_action(server, tmp_path, "snapshot", options, [{"filtertype": "none"}])
    assert any(name.startswith("dated-20") for name in names(server))


def test_restore_with_rename(server: Server, loaded: dict, tmp_path: Path) -> None:
    options = {
        "repository": "backups", "name": "cur-1", "indices": ["logs-1", "logs-2"], "rename_pattern": "(.+)", "rename_replacement": "back-$1",
        "wait_for_completion": True, "wait_interval": 1, "max_wait": 60, "include_aliases": False, "include_global_state": False,
    }
    run_action(server, tmp_path, "restore", options, [{"filtertype": "state", "state": "SUCCESS"}])
    for index in ("logs-1", "logs-2"):
        assert_same(read_all(server.http, f"back-{index}"), loaded[index])


def test_restore_of_the_latest(server: Server, loaded: dict, tmp_path: Path) -> None:
    server.http.delete("/figures").ok()
    options = {"repository": "backups", "indices": ["figures"], "wait_for_completion": True, "wait_interval": 1, "max_wait": 60}
    run_action(server, tmp_path, "restore", options, [{"filtertype": "pattern", "kind": "prefix", "value": "dated-"}])
    assert_same(read_all(server.http, "figures"), loaded["figures"])


def test_delete_snapshots(server: Server, loaded: dict, tmp_path: Path) -> None:
    for number in range(3):
        server.http.put(f"/_snapshot/backups/old-{number}?wait_for_completion=true", {"indices": "figures"}).ok()
    filters = [
        {"filtertype": "pattern", "kind": "prefix", "value": "old-"},
        {"filtertype": "count", "count": 1, "use_age": True, "source": "creation_date", "reverse": True},
    ]
    run_action(server, tmp_path, "delete_snapshots", {"repository": "backups", "retry_interval": 1, "retry_count": 3}, filters)
    assert [name for name in names(server) if name.startswith("old-")] == ["old-2"]
    run_action(server, tmp_path, "delete_snapshots", {"repository": "backups"}, [{"filtertype": "pattern", "kind": "prefix", "value": "old-"}])
    assert [name for name in names(server) if name.startswith("old-")] == []


def test_snapshots_by_age_are_kept_when_young(server: Server, loaded: dict, tmp_path: Path) -> None:
    before = names(server)
    filters = [{"filtertype": "age", "source": "creation_date", "direction": "older", "unit": "days", "unit_count": 1}]
    run_action(server, tmp_path, "delete_snapshots", {"repository": "backups", "ignore_empty_list": True}, filters)
    assert names(server) == before


def test_repositories_by_es_repo_mgr(server: Server, loaded: dict, tmp_path: Path) -> None:
    """The command that comes with curator for repositories."""
    config = {"elasticsearch": {"client": {"hosts": server.url}, "other_settings": {"skip_version_test": True}}, "logging": {"loglevel": "INFO"}}
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config))

    def manage(*arguments: str) -> str:
        done = subprocess.run(
            [str(CURATOR.with_name("es_repo_mgr")), "--config", str(tmp_path / "config.yml"), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=clean_environment({"LC_ALL": "C.UTF-8"}),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    manage("create", "fs", "--name", "managed", "--location", "managed")
    assert server.http.get("/_snapshot/managed").ok()["managed"]["type"] == "fs"
    assert "managed" in manage("show")
    manage("delete", "--name", "managed", "--yes")
    server.http.get("/_snapshot/managed").refused(404, "repository_missing_exception")
