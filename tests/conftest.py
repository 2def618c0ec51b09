"""Fixtures of all end-to-end suites."""

import shutil
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import pytest

from harness.server import Server
from harness.stock_restic import Restic


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for a module's server, away from the source tree, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="snapkeep-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """One server for a module's tests, with no configuration but its folders."""
    running = Server(folder)
    with running:
        yield running


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server of a test's own."""
    with Server(tmp_path) as running:
        yield running


@pytest.fixture
def restic(tmp_path: Path) -> Callable[[Server, str], Restic]:
    """Stock restic on a registered repository: `restic(server, "name")`."""
    return lambda server, repository: Restic.of_server(server.data, repository, tmp_path / "restic-cache")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failing test shows the end of its servers' logs."""
    report = yield
    if report.failed:
        for value in item.funcargs.values():
            if isinstance(value, Server):
                report.sections.append((f"log of the server at {value.url}", value.log_tail()))
    return report
