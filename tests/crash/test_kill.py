"""One server, killed at a random moment of an operation, again and again; after each restart everything is proved.

The moments follow from the run's number alone; `SNAPKEEP_CRASH_RUNS` asks for another number of runs than the default.
"""

import os
from pathlib import Path
from typing import Iterator

import pytest

from crash.world import World
from crash.killed import running

RUNS = int(os.environ.get("SNAPKEEP_CRASH_RUNS", "52"))
OPERATIONS = ("snapshot", "restore", "delete", "prune")
EVERY_BYTE_EACH = 13
"""`restic check --read-data` in every run of this number, the structure alone in the others."""


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[World]:
    with running(World, folder) as made:
        yield made


@pytest.mark.parametrize("run", range(RUNS), ids=lambda run: f"{run}-{OPERATIONS[run % len(OPERATIONS)]}")
def test_kill_9(world: World, run: int) -> None:
    world.survive(run, OPERATIONS, EVERY_BYTE_EACH)


def test_after_all_kills_a_clean_stop_and_start_changes_nothing(world: World) -> None:
    world.stop_and_start()
