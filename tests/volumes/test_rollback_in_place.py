"""Rollbacks of block devices: loop devices that are written in place, with a host that is stopped meanwhile."""

import contextlib
from pathlib import Path
from typing import Iterator

import pytest

from harness.polling import wait_until
from volumes.disks import BLOCK, MIB, Hooks, Volumes, digest, loop_device, mounted, overwrite, said, sparse_file

SIZE = 32 * MIB

pytestmark = pytest.mark.usefixtures("loops")


class Machine:
    """An instance of two loop devices, whose names are links as those below /dev/disk/by-id are."""

    def __init__(self, volumes: Volumes, folder: Path, devices: list[str], hooks: tuple[str, ...] = ("stop", "start")) -> None:
        self.volumes, self.hooks = volumes, Hooks(folder / "hooks")
        self.disks = [folder / f"disk{number}" for number in range(len(devices))]
        for number, (disk, device) in enumerate(zip(self.disks, devices, strict=True)):
            disk.symlink_to(device)
            for place in (0, 5, 20, 31):
                overwrite(disk, place * MIB, MIB, seed=10 * number + place)
        self.ids = [volumes.add(disk, name=f"{folder.name} {disk.name}") for disk in self.disks]
        self.instance = volumes.add_instance(folder.name, self.ids, **self.hooks.host(*hooks))

    def digests(self) -> list[str]:
        return [digest(disk) for disk in self.disks]

    def change(self, seed: int) -> list[str]:
        for disk in self.disks:
            overwrite(disk, 5 * MIB + 300, 3 * BLOCK, seed=seed)
            overwrite(disk, 12 * MIB, BLOCK, seed=seed + 1)
        return self.digests()

    def run(self) -> None:
        self.hooks.file("running").touch()
        self.hooks.forget()

    def runs(self) -> bool:
        return self.hooks.file("running").exists()

    def statuses(self) -> list[str]:
        return [self.volumes.volume(identity)["status"] for identity in self.ids]


@pytest.fixture
def machine(volumes: Volumes, tmp_path: Path) -> Iterator[Machine]:
    with contextlib.ExitStack() as stack:
        files = [sparse_file(tmp_path / f"backing{number}", SIZE) for number in range(2)]
        yield Machine(volumes, tmp_path, [stack.enter_context(loop_device(file)) for file in files])


def test_several_volumes_of_one_host_are_rolled_back_and_it_is_restarted_once(machine: Machine) -> None:
    assert [machine.volumes.volume(identity)["format"] for identity in machine.ids] == ["block", "block"]
    assert [machine.volumes.volume(identity)["rollback"] for identity in machine.ids] == ["in_place", "in_place"]
    contents = machine.digests()
    points = machine.volumes.take_all(*machine.ids)
    assert {point["disks"][0]["consistency"] for point in points} == {"offline"}
    changed = machine.change(seed=1)
    machine.run()
    first, second = (point["id"] for point in points)
    job = machine.volumes.roll_back(first, second, safety_snapshot=True)
    assert machine.digests() == contents
    assert machine.hooks.called() == ["stop", "start"] and machine.runs()
    for volume in job["result"]["volumes"]:
        outcome = volume["outcome"]
        assert (outcome["state"], outcome["mode"]) == ("applied", "in_place"), outcome
        # Three blocks that begin within one are four. What was a hole is cleared in ranges.
        assert outcome["written_bytes"] == 4 * BLOCK and BLOCK <= outcome["punched_bytes"] <= 4 * MIB, outcome

    # The points of how things were, taken before, hold what was overwritten.
    safety = job["result"]["safety_points"]
    machine.hooks.file("running").unlink()
    machine.hooks.forget()
    machine.volumes.roll_back(*safety)
    assert machine.digests() == changed
    assert machine.hooks.called() == [] and not machine.runs(), "a host that does not run is left as it is"


def test_a_point_of_the_instance_brings_all_its_disks_back(machine: Machine) -> None:
    contents = machine.digests()
    point = machine.volumes.take(machine.instance)["id"]
    machine.change(seed=2)
    machine.run()
    machine.volumes.roll_back(point)
    assert machine.digests() == contents
    assert machine.hooks.called() == ["stop", "start"]
    assert machine.statuses() == ["available"] * 2


def test_a_host_that_cannot_be_stopped_leaves_everything_as_it_is(machine: Machine) -> None:
    points = [point["id"] for point in machine.volumes.take_all(*machine.ids)]
    changed = machine.change(seed=3)
    machine.run()
    machine.hooks.file("fail-stop").touch()
    error = machine.volumes.failed(machine.volumes.begin_rollback(*points))
    assert machine.instance in error and "stop" in error and "unchanged" in error, error
    assert machine.digests() == changed
    assert machine.statuses() == ["available"] * 2 and machine.runs()
    machine.hooks.file("fail-stop").unlink()
    machine.hooks.forget()
    machine.volumes.roll_back(*points)
    assert machine.hooks.called() == ["stop", "start"]


def test_a_host_that_cannot_be_started_again_is_told_of(machine: Machine) -> None:
    contents = machine.digests()
    point = machine.volumes.take(machine.instance)["id"]
    machine.change(seed=4)
    machine.run()
    machine.hooks.file("fail-start").touch()
    error = machine.volumes.failed(machine.volumes.begin_rollback(point))
    assert "left stopped" in error, error
    assert machine.digests() == contents, "the disks are as they should be all the same"


@pytest.mark.parametrize("hook", ["stop", "start"])
def test_a_rollback_that_a_kill_cut_off_is_finished_and_the_host_runs_again(machine: Machine, hook: str) -> None:
    contents = machine.digests()
    points = [point["id"] for point in machine.volumes.take_all(*machine.ids)]
    machine.change(seed=7)
    machine.run()
    hold = machine.hooks.file(f"hold-{hook}")
    hold.touch()
    machine.volumes.begin_rollback(*points).ok()
    wait_until(f"the hook {hook}", lambda: hook in machine.hooks.called())
    assert machine.statuses() == ["suspended"] * 2
    machine.volumes.server.kill()
    hold.unlink()
    machine.volumes.server.start()
    wait_until("the end of the rollback", lambda: machine.statuses() == ["available"] * 2)
    assert machine.digests() == contents
    assert machine.runs() and machine.hooks.called()[-1] == "start"
    [first, second] = machine.volumes.take_all(*machine.ids, allow_inconsistent=True)
    assert [first["parent_id"], second["parent_id"]] == points, "the next increments hang on what was rolled back to"


def test_a_device_that_is_too_small_is_refused(machine: Machine, tmp_path: Path) -> None:
    points = [point["id"] for point in machine.volumes.take_all(*machine.ids)]
    machine.run()
    with loop_device(sparse_file(tmp_path / "small", SIZE - MIB)) as small:
        overwrite(small, 0, MIB, seed=5)
        content = digest(small)
        device = machine.disks[0].readlink()
        machine.disks[0].unlink()
        machine.disks[0].symlink_to(small)
        error = machine.volumes.failed(machine.volumes.begin_rollback(points[0]))
        assert "make it larger" in error and str(SIZE) in error and str(SIZE - MIB) in error, error
        assert digest(small) == content
        assert machine.runs() and machine.statuses() == ["available"] * 2
        machine.disks[0].unlink()
        machine.disks[0].symlink_to(device)
    machine.volumes.roll_back(*points)


def test_a_larger_device_is_written_and_keeps_the_rest(machine: Machine, tmp_path: Path) -> None:
    content = machine.digests()[0]
    point = machine.volumes.take(machine.ids[0])["id"]
    with loop_device(sparse_file(tmp_path / "large", SIZE + 4 * MIB)) as large:
        overwrite(large, SIZE - MIB, 3 * MIB, seed=6)
        with open(large, "rb") as file:
            file.seek(SIZE)
            rest = file.read()
        device = machine.disks[0].readlink()
        machine.disks[0].unlink()
        machine.disks[0].symlink_to(large)
        machine.volumes.roll_back(point)
        with open(large, "rb") as file:
            written, after = file.read(SIZE), file.read()
        (tmp_path / "written").write_bytes(written)
        assert digest(tmp_path / "written") == content and after == rest
        machine.disks[0].unlink()
        machine.disks[0].symlink_to(device)


def test_a_file_system_on_a_device_mounts_again(machine: Machine, tmp_path: Path) -> None:
    device = machine.disks[1]
    said("mkfs.ext4", "-q", "-F", device)
    place = tmp_path / "mounted"
    with mounted(device, place, "rw"):
        (place / "kept").write_text("as it was")
    point = machine.volumes.take(machine.ids[1])["id"]
    with mounted(device, place, "rw"):
        refused = machine.volumes.failed(machine.volumes.begin_rollback(point))
        assert str(place) in refused or "mount" in refused, refused
        (place / "kept").write_text("overwritten")
        (place / "more").write_bytes(bytes(range(256)) * 9000)
    machine.volumes.roll_back(point)
    said("e2fsck", "-fn", device)
    with mounted(device, place, "rw"):
        assert (place / "kept").read_text() == "as it was" and not (place / "more").exists()
