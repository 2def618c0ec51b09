"""The commands without a server, and what a mistake in the configuration says."""

import json
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from harness.documents import Documents, assert_same, bulk, create_index, make_documents, read_all
from harness.http import Http
from harness.server import Server, free_port, run_program


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Iterator[tuple[Server, Documents]]:
    """The data of a server that does not run any more: an index, a repository, a snapshot."""
    server = Server(folder)
    with server:
        create_index(server.http, "books")
        bulk(server.http, "books", make_documents(200))
        documents = read_all(server.http, "books")
        server.http.put("/_snapshot/main", {"type": "fs", "settings": {"location": "main"}}).ok()
        server.http.put("/_snapshot/main/one?wait_for_completion=true").ok()
    yield server, documents


def offline(server: Server, *arguments: str) -> str:
    done = run_program(*arguments, "--data-dir", str(server.data), "--repo-root", str(server.repo_roots[0]))
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_everything_works_offline(stopped: tuple[Server, Documents]) -> None:
    server, documents = stopped
    assert "main" in offline(server, "repo", "ls")
    assert json.loads(offline(server, "snapshot", "ls", "main", "--json"))
    offline(server, "snapshot", "create", "main", "two")
    offline(server, "check", "main", "--read-data")
    offline(server, "restore", "main", "two", "--rename", "(.+)=again-$1")
    offline(server, "snapshot", "rm", "main", "one")
    offline(server, "prune", "main")
    with server:
        assert_same(read_all(server.http, "again-books"), documents)
        listed = server.http.get("/_snapshot/main/_all").ok()["snapshots"]
        assert [info["snapshot"] for info in listed] == ["two"]


def test_repo_env_offline(stopped: tuple[Server, Documents]) -> None:
    server, _ = stopped
    assert f"{server.repo_roots[0]}/main" in offline(server, "repo", "env", "main")


MISTAKES = {
    "unknown key": ("[server]\nlisten = ['127.0.0.1:0']\nnosuch = 1\n", "nosuch"),
    "unknown section": ("[nosuch]\na = 1\n", "nosuch"),
    "wrong type": ("[server]\n\nlisten = 5\n", "listen"),
    "bad address": ("[server]\nlisten = ['nowhere']\n", "listen"),
    "bad shape": ("[elasticsearch]\nshape = 'solr'\n", "shape"),
    "bad size": ("[server]\nmax_body = 'huge'\n", "max_body"),
    "not TOML": ("[server\n", "1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_names_line_and_key(tmp_path: Path, mistake: str) -> None:
    text, named = MISTAKES[mistake]
    (tmp_path / "snapkeep.toml").write_text(text)
    done = run_program("serve", "--config", str(tmp_path / "snapkeep.toml"), "--data-dir", str(tmp_path / "data"), limit_seconds=20)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr and "snapkeep.toml" in done.stderr, done.stderr
    line = str(next((number for number, content in enumerate(text.splitlines(), 1) if named in content), 1))
    assert line in done.stderr, f"line {line} is not named: {done.stderr}"
    assert not (tmp_path / "data").exists(), "nothing is done on a mistake"


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    done = run_program("serve", "--data-dir", str(tmp_path / "data"), environment={"SNAPKEEP_ELASTICSEARCH_SHAPE": "solr"}, limit_seconds=20)
    assert done.returncode == 2
    assert "SNAPKEEP_ELASTICSEARCH_SHAPE" in done.stderr, done.stderr


def test_a_mistake_on_the_command_line(tmp_path: Path) -> None:
    assert run_program("serve", "--listen", "nowhere", "--data-dir", str(tmp_path / "data"), limit_seconds=20).returncode == 2
    assert run_program("nosuch").returncode == 2
    assert run_program("--help").returncode == 0
    assert run_program("--version").stdout.startswith("snapkeep ")


def test_file_environment_and_flags_in_this_order(tmp_path: Path) -> None:
    (tmp_path / "snapkeep.toml").write_text("[elasticsearch]\nshape = 'es'\n")
    server = Server(tmp_path, environment={"SNAPKEEP_ELASTICSEARCH_SHAPE": "opensearch"})
    original = server.command
    server.command = lambda: [*original(), "--config", str(tmp_path / "snapkeep.toml")]
    with server:
        assert server.http.get("/").ok()["version"]["distribution"] == "opensearch", "the environment wins over the file"


def test_several_listeners_serve_the_same(tmp_path: Path) -> None:
    server, second = Server(tmp_path), free_port()
    original = server.command
    server.command = lambda: [*original(), "--listen", f"127.0.0.1:{second}"]
    with server:
        server.http.put("/books/_doc/1?refresh=true", {"n": 1}).ok()
        assert Http("127.0.0.1", second).get("/books/_count").ok()["count"] == 1


def test_the_reference_of_settings_is_complete() -> None:
    done = run_program("config", "reference")
    assert done.returncode == 0
    for key in ("data_dir", "listen", "shape", "roots"):
        assert key in done.stdout


def test_the_template_is_a_valid_configuration(tmp_path: Path) -> None:
    template = run_program("config", "template")
    assert template.returncode == 0
    (tmp_path / "snapkeep.toml").write_text(template.stdout)
    checked = run_program("config", "check", "--config", str(tmp_path / "snapkeep.toml"))
    assert checked.returncode == 0, checked.stderr


def test_a_data_folder_can_be_moved(stopped: tuple[Server, Documents], tmp_path: Path) -> None:
    """Nothing in it knows its own path."""
    server, _ = stopped
    shutil.copytree(server.data, tmp_path / "moved")
    moved = Server(tmp_path, repo_roots=server.repo_roots)
    moved.data = tmp_path / "moved"
    with moved:
        assert moved.http.get("/_snapshot/main/_all").ok()["snapshots"]
