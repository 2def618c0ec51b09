"""Instances whose host is a running QEMU: snapshotted live, killed in the middle, rolled back, by the server and the commands."""

import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from harness.server import Server, binary, clean_environment, run_program

from .machine import MIB, SIZES, Machine


class World:
    """A server, a machine, and the instance that it is."""

    def __init__(self, server: Server, machine: Machine) -> None:
        self.server, self.machine = server, machine
        self.volumes = [self.ask("volume", "add", str(disk), "--name", disk.stem)["id"] for disk in machine.disks]
        added = self.ask("instance", "add", "vm", *self.volumes, "--qmp-socket", str(machine.socket), "--start", str(machine.script), "--stop-timeout", "1")
        self.instance = added["id"]

    def run(self, *arguments: str, code: int = 0) -> str:
        done = run_program(*arguments, "--data-dir", str(self.server.data), limit_seconds=120)
        assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def ask(self, *arguments: str) -> Any:
        done = run_program(*arguments, "--json", "--data-dir", str(self.server.data), limit_seconds=120)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def snapshot(self) -> dict[str, Any]:
        [taken] = self.ask("volume", "snapshot", self.instance)["snapshots"]
        return self.ask("volume", "show", taken["id"])

    def holds(self, snapshot: str, models: list[Path]) -> None:
        """Every disk of the snapshot, byte for byte."""
        for volume, model in zip(self.volumes, models, strict=True):
            exported = self.server.folder / "exported.raw"
            exported.unlink(missing_ok=True)
            self.run("volume", "export", snapshot, str(exported), "--format", "raw", "--volume", volume)
            same = subprocess.run(["cmp", str(exported), str(model)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert same.returncode == 0, f"{volume} of {snapshot}: {same.stdout}"

    def keep_models(self, name: str) -> list[Path]:
        kept = [model.with_suffix(f".{name}") for model in self.machine.models]
        for model, copy in zip(self.machine.models, kept, strict=True):
            shutil.copyfile(model, copy)
        return kept


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    machine = Machine(tmp_path / "machine").start()
    try:
        with Server(tmp_path / "server") as server:
            yield World(server, machine)
    finally:
        machine.end()


def by_method(point: dict[str, Any]) -> list[str]:
    return [disk["change_source"] for disk in point["disks"]]


def test_a_running_machine_is_snapshotted_again_and_again(world: World) -> None:
    dice = random.Random(1)
    points = []
    for turn in range(5):
        world.machine.write(dice, 12)
        kept = world.keep_models(str(turn))
        point = world.snapshot()
        assert [disk["consistency"] for disk in point["disks"]] == ["crash", "crash"]
        points.append((point["id"], kept))
        if turn == 0:
            assert by_method(point) == ["scan", "scan"] and all("no earlier" in disk["reason"] for disk in point["disks"])
            continue
        assert by_method(point) == ["bitmap", "bitmap"]
        for disk in point["disks"]:
            # At most the blocks of 12 pieces, each in a block of 256 KiB of its own.
            assert disk["changed_bytes"] <= 12 * MIB // 4, disk
    assert world.machine.status() == "running" and world.machine.added_nodes() == []
    for snapshot, kept in points:
        world.holds(snapshot, kept)


def test_a_single_disk_and_a_restarted_machine_go_on_as_increments(world: World) -> None:
    dice = random.Random(2)
    world.machine.write(dice, 12)
    world.snapshot()
    world.machine.write(dice, 4)
    world.machine.end()
    offline = world.snapshot()
    assert [disk["consistency"] for disk in offline["disks"]] == ["offline", "offline"]
    # A bitmap of a qcow2 disk outlives the process, one of a raw disk does not.
    assert by_method(offline)[0] == "bitmap" and by_method(offline)[1] != "bitmap"
    world.holds(offline["id"], world.machine.models)
    world.machine.start()
    world.machine.write(dice, 4)
    again = world.snapshot()
    assert by_method(again)[0] == "bitmap" and again["parent_id"] == offline["id"]
    world.holds(again["id"], world.machine.models)


def test_a_server_killed_in_the_middle_leaves_the_machine_as_it_was(world: World) -> None:
    dice = random.Random(3)
    world.machine.write(dice, 40)
    world.snapshot()
    for turn in range(12):
        world.machine.write(dice, 6)
        command = run_in_background(world, "volume", "snapshot", world.instance, "--name", f"cut-{turn}")
        time.sleep(dice.uniform(0, 0.25))
        world.server.kill()
        command.wait(60)
        world.server.start()
        assert world.machine.status() == "running", f"turn {turn}"
        assert world.machine.added_nodes() == [], f"turn {turn}"
        world.machine.write(dice, 2)
    point = world.snapshot()
    assert [disk["consistency"] for disk in point["disks"]] == ["crash", "crash"]
    world.holds(point["id"], world.machine.models)
    listed = world.ask("volume", "snapshots", world.instance)["snapshots"]
    assert point["id"] in [entry["id"] for entry in listed]
    scratch = world.server.data / "volume-state" / "driver"
    # A record that was being written is removed when it is a minute old.
    left = [path.name for path in scratch.rglob("*") if path.is_file() and path.suffix != ".new"]
    assert left == [], "files of live captures are left"


def test_a_rollback_stops_the_machine_and_starts_it_again(world: World) -> None:
    dice = random.Random(4)
    world.machine.write(dice, 20)
    first = world.snapshot()
    kept = world.keep_models("first")
    world.machine.write(dice, 20)
    world.run("volume", "rollback", first["id"], "--yes")
    assert world.machine.status() == "running", "it ran before, so it runs again"
    for model, copy in zip(world.machine.models, kept, strict=True):
        shutil.copyfile(copy, model)
    world.machine.write(dice, 5)
    point = world.snapshot()
    assert point["parent_id"] == first["id"]
    world.holds(point["id"], world.machine.models)
    world.machine.end()
    for disk, model in zip(world.machine.disks, world.machine.models, strict=True):
        subprocess.run(["qemu-img", "compare", "-q", "-f", disk.suffix[1:], "-F", "raw", str(disk), str(model)], check=True)
    subprocess.run(["qemu-img", "check", "-q", str(world.machine.disks[0])], check=True)


def test_without_its_host_a_disk_in_use_is_refused(world: World) -> None:
    world.run("instance", "rm", world.instance)
    said = world.run("volume", "snapshot", world.volumes[1], code=1)
    assert "in use" in said and "qemu-system" in said, said
    assert SIZES["data.raw"] * MIB == world.machine.disks[1].stat().st_size, "untouched"


def run_in_background(world: World, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [str(binary()), *arguments, "--server", world.server.url],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment(),
    )
