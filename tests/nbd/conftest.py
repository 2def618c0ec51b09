"""A volume with a snapshot, and an instance of two volumes with one."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.server import Server, run_program

MIB = 1 << 20
DISK_MIB = 64

# A boot sector: says so on the serial port, writes itself to the second sector of the disk with the BIOS, and ends the machine.
BOOTED = b"booted from a snapshot"
BOOT_SECTOR = (
    bytes.fromhex("31c0 8ed8 8ec0 8ed0 bc007c")  # clear the segments, set the stack
    + bytes.fromhex("be307c ac 84c0 7406 baf803 ee ebf5")  # each byte of the text, from 0x7c30 on, to the port 0x3f8
    + bytes.fromhex("b80103 bb007c b90200 ba8000 cd13")  # INT 13h: write one sector from 0x7c00 to cylinder 0, head 0, sector 2
    + bytes.fromhex("b010 baf400 ee f4 ebfd")  # 0x10 to the port of isa-debug-exit; halt
)
BOOT_SECTOR = (BOOT_SECTOR.ljust(0x30, b"\x90") + BOOTED + b"\r\n\0").ljust(510, b"\0") + b"\x55\xaa"


@dataclass(frozen=True)
class Point:
    """A snapshot and the disk as it was then."""

    snapshot: str
    volume: str
    disk: Path


def make_disk(path: Path, seed: int) -> None:
    """A sparse disk that boots: data in four places, zeroes that are written, and holes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as disk:
        disk.write(BOOT_SECTOR)
        for place, length in ((1, 3 * MIB + 700), (9, 100), (20, 2 * MIB), (50, MIB)):
            disk.seek(place * MIB + 4096)
            disk.write(random.Random(seed * 100 + place).randbytes(length))
        disk.seek(30 * MIB)
        disk.write(bytes(MIB))
        disk.truncate(DISK_MIB * MIB)


def take(server: Server, resource: str) -> str:
    """The id of a new snapshot."""
    done = run_program("volume", "snapshot", resource, "--json", "--data-dir", str(server.data))
    assert done.returncode == 0, done.stdout + done.stderr
    [snapshot] = json.loads(done.stdout)["snapshots"]
    return snapshot["id"]


@pytest.fixture(scope="module")
def machine(server: Server) -> Server:
    """A server with two volumes of one instance."""
    for seed, volume in enumerate(("vol-system1", "vol-data001")):
        make_disk(server.data / "volumes" / f"{volume}.raw", seed)
    instance = server.data / "volumes" / "instances" / "i-machine.toml"
    instance.parent.mkdir(parents=True)
    instance.write_text('name = "machine"\nvolumes = ["vol-system1", "vol-data001"]\n')
    return server


@pytest.fixture(scope="module")
def point(machine: Server) -> Point:
    """A snapshot of one volume, which has changed since."""
    path = machine.data / "volumes" / "vol-system1.raw"
    as_it_was = machine.folder / "as-it-was.raw"
    shutil.copyfile(path, as_it_was)
    snapshot = take(machine, "vol-system1")
    with open(path, "r+b") as disk:
        disk.seek(2 * MIB)
        disk.write(b"changed since" * 1000)
    return Point(snapshot, "vol-system1", as_it_was)
