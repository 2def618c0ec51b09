"""kill -9 at random moments of Weaviate-style backups, restores, cancellations and purges; after each restart everything is proved.

The moments follow from the run's number alone; `SNAPKEEP_CRASH_COLLECTION_RUNS` asks for another number of runs than the default.
"""

import os
from pathlib import Path
from typing import Iterator

import pytest

from crash.collections_world import CollectionsWorld
from crash.killed import running

RUNS = int(os.environ.get("SNAPKEEP_CRASH_COLLECTION_RUNS", "36"))
OPERATIONS = ("backup", "restore", "cancel", "backup", "restore", "purge")
EVERY_BYTE_EACH = 12
"""`restic check --read-data` in every run of this number, the structure alone in the others."""


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[CollectionsWorld]:
    with running(CollectionsWorld, folder) as made:
        yield made


@pytest.mark.parametrize("run", range(RUNS), ids=lambda run: f"{run}-{OPERATIONS[run % len(OPERATIONS)]}")
def test_kill_9(world: CollectionsWorld, run: int) -> None:
    world.survive(run, OPERATIONS, EVERY_BYTE_EACH)


def test_after_all_kills_a_clean_stop_and_start_changes_nothing(world: CollectionsWorld) -> None:
    world.stop_and_start()
