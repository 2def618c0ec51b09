"""kill -9 at random moments of Weaviate-style backups, restores, cancellations and purges; after each restart everything is proved.

The moments follow from the run's number alone; `SNAPKEEP_CRASH_COLLECTION_RUNS` asks for another number of runs than the default.
"""

import os
import random
from pathlib import Path
from typing import Iterator

import pytest

from crash.collections_world import CollectionsWorld
from harness.server import Server

RUNS = int(os.environ.get("SNAPKEEP_CRASH_COLLECTION_RUNS", "36"))
OPERATIONS = ("backup", "restore", "cancel", "backup", "restore", "purge")
EVERY_BYTE_EACH = 12
"""`restic check --read-data` in every run of this number, the structure alone in the others."""


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[CollectionsWorld]:
    server = Server(folder)
    server.start()
    try:
        made = CollectionsWorld(server, folder / "restic-cache")
        made.prepare()
        yield made
    finally:
        server.kill()


@pytest.mark.parametrize("run", range(RUNS), ids=lambda run: f"{run}-{OPERATIONS[run % len(OPERATIONS)]}")
def test_kill_9(world: CollectionsWorld, run: int) -> None:
    source = random.Random(run)
    if world.server.process is None:
        world.server.start()
    try:
        world.kill_during(OPERATIONS[run % len(OPERATIONS)], source)
        world.prove(source, every_byte=run % EVERY_BYTE_EACH == EVERY_BYTE_EACH - 1)
    except Exception as error:
        raise AssertionError(f"{error}\n{world.server.log_tail(25)}") from error


def test_after_all_kills_a_clean_stop_and_start_changes_nothing(world: CollectionsWorld) -> None:
    before = world.listed()
    assert world.server.stop() == 0
    world.server.start()
    assert world.listed() == before
    world.prove(random.Random(0), every_byte=True)
