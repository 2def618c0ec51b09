"""What the first command of the README shows: the round trip of documents, proved, with every request printed."""

import re
from pathlib import Path

from harness.server import run_program


def test_demo_ends_with_a_proof(tmp_path: Path) -> None:
    done = run_program("demo", "--exit", folder=tmp_path, limit_seconds=200)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    shown = done.stdout
    for step in ("_bulk", "_snapshot", "_restore", "DELETE", "volume-snapshots", "every byte of the disk is as it was"):
        assert step in shown, f"the demo must show {step}:\n{shown[-3000:]}"
    assert re.search(r"curl .*127\.0\.0\.1:\d+", shown), "each request is printed as curl"


def test_demo_runs_again(tmp_path: Path) -> None:
    """What one demo leaves is not in the way of the next."""
    first = run_program("demo", "--exit", folder=tmp_path, limit_seconds=200)
    second = run_program("demo", "--exit", folder=tmp_path, limit_seconds=200)
    assert (first.returncode, second.returncode) == (0, 0), second.stdout[-2000:] + second.stderr[-2000:]
