"""kill -9 at random moments of snapshots, rollbacks, deletions and new volumes; each disk is what it was or what it was to become.

The moments follow from the run's number alone; `SNAPKEEP_CRASH_VOLUME_RUNS` asks for another number of runs than the default.
"""

import os
from pathlib import Path
from typing import Iterator

import pytest

from crash.killed import running
from crash.volumes_world import VolumesWorld

RUNS = int(os.environ.get("SNAPKEEP_CRASH_VOLUME_RUNS", "56"))
OPERATIONS = ("snapshot", "swap", "overwrite", "delete", "snapshot", "overwrite", "create")
EVERY_BYTE_EACH = 14
"""`restic check --read-data` in every run of this number, the structure alone in the others."""


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[VolumesWorld]:
    with running(VolumesWorld, folder) as made:
        yield made


@pytest.mark.parametrize("run", range(RUNS), ids=lambda run: f"{run}-{OPERATIONS[run % len(OPERATIONS)]}")
def test_kill_9(world: VolumesWorld, run: int) -> None:
    world.survive(run, OPERATIONS, EVERY_BYTE_EACH)


def test_after_all_kills_a_clean_stop_and_start_changes_nothing(world: VolumesWorld) -> None:
    world.stop_and_start()
