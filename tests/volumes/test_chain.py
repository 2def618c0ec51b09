"""Chains with branches: every point restores, deletions in any order harm no other, and stock restic agrees."""

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from harness.server import Server, run_program
from harness.stock_restic import Restic
from volumes.disks import BLOCK, KIB, MIB, REPOSITORY, Volumes, digest, overwrite, said

SIZE = 32 * MIB
INCREMENTS = 10


class Chain:
    """A disk with a point and ten increments, in branches that the seed decides."""

    def __init__(self, volumes: Volumes, seed: int) -> None:
        self.volumes, self.volume, self.source = volumes, f"vol-chain{seed:02}", random.Random(seed)
        self.path = volumes.disk(self.volume, SIZE)
        self.contents: dict[str, str] = {}
        self.parents: dict[str, str | None] = {}
        for number in range(INCREMENTS + 1):
            if number in (4, 8):
                # The next increment hangs on what is rolled back to, so that there is a branch.
                base = self.source.choice(list(self.contents)[:-1])
                self.roll_back(base)
            self.change()
            self.take()

    def change(self) -> None:
        """Random bytes, zeroes and holes in some places."""
        for _ in range(4):
            length = self.source.choice([700, 64 * KIB, BLOCK, MIB])
            offset = self.source.randrange(SIZE - length)
            overwrite(self.path, offset, length, self.source.random())
        with open(self.path, "r+b") as file:
            file.seek(self.source.randrange(SIZE // MIB - 1) * MIB)
            file.write(bytes(MIB))
        said("fallocate", "--punch-hole", "--offset", self.source.randrange(SIZE // BLOCK) * BLOCK, "--length", BLOCK, self.path)

    def take(self) -> None:
        point = self.volumes.take(self.volume)
        assert point["parent_id"] == self.head if self.contents else point["full"], point
        self.contents[point["id"]], self.parents[point["id"]] = digest(self.path), point.get("parent_id")
        self.head = point["id"]

    def roll_back(self, point: str) -> None:
        self.volumes.roll_back(point)
        assert digest(self.path) == self.contents[point], f"{point} came back different"
        self.head = point

    def prove(self) -> None:
        """Every point that is there restores; the disk goes from one to the next, which writes other blocks each time."""
        assert self.volumes.ids(self.volume) == set(self.contents)
        for point in self.source.sample(sorted(self.contents), len(self.contents)):
            self.roll_back(point)

    def delete(self, point: str) -> None:
        """One alone: what hung on it hangs on the nearest that is left."""
        self.volumes.delete(point)
        del self.contents[point]
        for identity in self.contents:
            ancestor = self.parents[identity]
            while ancestor is not None and ancestor not in self.contents:
                ancestor = self.parents[ancestor]
            told = self.volumes.point(identity)
            assert (told.get("parent_id"), told["full"]) == (ancestor, ancestor is None), told


@pytest.mark.parametrize("seed", range(3))
def test_a_chain_of_ten_increments_with_branches(volumes: Volumes, restic: Callable[[Server, str], Restic], tmp_path: Path, seed: int) -> None:
    chain = Chain(volumes, seed)
    assert len(set(chain.contents.values())) == len(chain.contents) == INCREMENTS + 1
    children = list(chain.parents.values())
    assert any(children.count(parent) > 1 for parent in children), "there are branches"
    chain.prove()

    order = chain.source.sample(sorted(chain.contents), INCREMENTS - 2)
    for number, point in enumerate(order, 1):
        chain.delete(point)
        if number % 4 == 0:
            chain.prove()
    pruned = run_program("prune", REPOSITORY, "--data-dir", str(volumes.server.data))
    assert pruned.returncode == 0, pruned.stdout + pruned.stderr
    chain.prove()

    stock = restic(volumes.server, REPOSITORY)
    stock.check("--read-data")
    names = stock.names()
    assert chain.contents.keys() <= names.keys() and not names.keys() & set(order)
    for point, content in chain.contents.items():
        assert dumped(stock, names[point], f"/volumes/{chain.volume}/disk-0000/disk.raw", tmp_path / "dumped.raw") == content
    restored = restic_restore(stock, names[point], tmp_path / "restored") / "volumes" / chain.volume
    [piece] = restored.glob("disk-*/disk.raw")
    assert digest(piece) == content
    assert json.loads((restored / "volume.json").read_text())["size_bytes"] == SIZE

    # The next one hangs on the head, if that is left, and all can go.
    chain.change()
    chain.take()
    chain.prove()
    for point in chain.source.sample(sorted(chain.contents), len(chain.contents)):
        chain.delete(point)
    assert volumes.ids(chain.volume) == set()
    assert volumes.take(chain.volume)["full"]


def dumped(stock: Restic, snapshot: str, path: str, target: Path) -> str:
    """The hash of a file as `restic dump` prints it."""
    done = stock.run("dump", snapshot, path)
    assert done.returncode == 0, done.stderr
    target.write_bytes(done.stdout)
    return digest(target)


def restic_restore(stock: Restic, snapshot: str, target: Path) -> Path:
    """`restic restore`, with holes where this restic can make them (from 0.15 on)."""
    sparse = ["--sparse"] if b"--sparse" in subprocess.run(["restic", "restore", "--help"], capture_output=True, timeout=60).stdout else []
    stock.ok("restore", snapshot, "--target", str(target), *sparse)
    if sparse:
        used = sum(file.stat().st_blocks * 512 for file in target.rglob("disk.raw"))
        apparent = sum(file.stat().st_size for file in target.rglob("disk.raw"))
        assert used < apparent, "holes come back as holes"
    return target


def test_prunes_and_repairs_wait_for_each_other(volumes: Volumes) -> None:
    """Also for the one that the server itself begins a moment after a deletion."""
    path = volumes.disk("vol-pruned1", SIZE, seed=1)
    for number in range(3):
        point = volumes.take("vol-pruned1")["id"]
        overwrite(path, number * MIB, 20 * MIB, seed=number)
        volumes.delete(point)
    prunes_and_repairs = [("prune", {}), ("check", {"repair": True})] * 2
    jobs = [volumes.post(f"/repositories/{REPOSITORY}/{work}", body) for work, body in prunes_and_repairs]
    for job in jobs:
        volumes.done(job)


def test_a_disk_of_several_pieces(volumes: Volumes, restic: Callable[[Server, str], Restic], tmp_path: Path) -> None:
    """4 GiB are a piece: here two, with data on both sides of the seam, and nearly all of it holes."""
    piece = 16_384 * BLOCK
    path = volumes.disk("vol-pieces1", piece + 10 * MIB + 1536)
    overwrite(path, piece - MIB, 2 * MIB, seed=1)
    overwrite(path, 100 * MIB, MIB, seed=2)
    overwrite(path, piece + 10 * MIB, 1536, seed=3)
    kept = {}

    def keep() -> None:
        point, disk = volumes.take_disk("vol-pieces1")
        kept[point] = tmp_path / f"{point}.raw"
        said("cp", "--sparse=always", path, kept[point])
        assert disk["read_bytes"] <= 8 * MIB, disk

    keep()
    overwrite(path, piece + 5 * MIB, 100, seed=4)
    keep()
    overwrite(path, 7 * MIB, 100, seed=5)
    keep()
    for point in reversed(kept):
        volumes.roll_back(point)
        said("qemu-img", "compare", "-f", "raw", "-F", "raw", path, kept[point])
        assert path.stat().st_blocks * 512 <= 8 * MIB, "holes come back as holes"
    for point, wanted in kept.items():
        said("qemu-img", "compare", "-f", "qcow2", "-F", "raw", volumes.export(point, tmp_path / f"{point}.qcow2", "--format", "qcow2"), wanted)

    # As docs/repository.md puts one together again, here of the second piece alone.
    stock = restic(volumes.server, REPOSITORY)
    second = tmp_path / "second.raw"
    with open(kept[point], "rb") as file:
        file.seek(piece)
        second.write_bytes(file.read())
    snapshot = stock.names()[point]
    assert dumped(stock, snapshot, "/volumes/vol-pieces1/disk-0001/disk.raw", tmp_path / "dumped.raw") == digest(second)
    os.unlink(path)
