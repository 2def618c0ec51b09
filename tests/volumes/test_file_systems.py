"""Images with real file systems: changed between points, rolled back, made volumes of and exported; whole to the last bit, and to fsck."""

import random
import shutil
from pathlib import Path
from typing import Callable

import pytest

from volumes.disks import MIB, Volumes, digest, files, mounted, said, sparse_file

POINTS = 4
FORMATS = (("raw",), ("qcow2", "--compress", "zstd"), ("qcow2", "--compress", "zlib"), ("qcow2",), ("vmdk",))


def write_files(folder: Path, source: random.Random, names: range) -> None:
    for number in names:
        (folder / f"file-{number:02}").write_bytes(source.randbytes(source.randrange(1, 700_000)))


class Ext4:
    """Made and changed by its own tools, without mounting."""

    size = 48 * MIB

    def __init__(self, image: Path, work: Path) -> None:
        self.image, self.work, self.source = image, work, random.Random("ext4")
        origin = work / "origin"
        (origin / "deeper" / "still").mkdir(parents=True)
        write_files(origin, self.source, range(10))
        write_files(origin / "deeper" / "still", self.source, range(10, 20))
        said("mkfs.ext4", "-q", "-d", origin, sparse_file(image, self.size))

    def change(self) -> None:
        """One file anew, one more, one less."""
        new = self.work / "new"
        number = self.source.randrange(1000, 9999)
        [gone] = self.source.sample(sorted(set(self.files(self.image)) - {"gone"}), 1)
        for script in (f"rm /{gone}", f"write {new} /{gone}", f"write {new} /added-{number}", f"rm /deeper/still/file-{10 + number % 10}"):
            new.write_bytes(self.source.randbytes(self.source.randrange(1, 900_000)))
            said("debugfs", "-w", "-R", script, self.image)

    def files(self, image: Path) -> dict[str, str]:
        seen = self.work / "seen"
        shutil.rmtree(seen, ignore_errors=True)
        seen.mkdir()
        said("debugfs", "-R", f"rdump / {seen}", image)
        return files(seen)

    def check(self, image: Path) -> None:
        said("e2fsck", "-fn", image)


class Xfs:
    """Changed and read through a loop mount. mkfs.xfs makes nothing smaller; most of it is a hole."""

    size = 300 * MIB

    def __init__(self, image: Path, work: Path) -> None:
        self.image, self.work, self.source = image, work, random.Random("xfs")
        said("mkfs.xfs", "-q", sparse_file(image, self.size))
        with mounted(image, work / "mount") as folder:
            (folder / "deeper" / "still").mkdir(parents=True)
            write_files(folder, self.source, range(10))
            write_files(folder / "deeper" / "still", self.source, range(10, 20))

    def change(self) -> None:
        with mounted(self.image, self.work / "mount") as folder:
            (folder / f"file-{self.source.randrange(10):02}").unlink(missing_ok=True)
            with open(folder / "deeper" / "still" / f"file-{self.source.randrange(10, 20)}", "r+b") as file:
                file.write(self.source.randbytes(5000))
            write_files(folder, self.source, range(start := self.source.randrange(100, 900), start + 3))

    def files(self, image: Path) -> dict[str, str]:
        # The same file system may be mounted elsewhere at the time, by its UUID.
        with mounted(image, self.work / "look", "loop,ro,norecovery,nouuid") as folder:
            return files(folder)

    def check(self, image: Path) -> None:
        said("xfs_repair", "-n", image)


@pytest.mark.parametrize("kind", [Ext4, Xfs], ids=["ext4", "xfs"])
def test_a_file_system_comes_back_as_it_was(volumes: Volumes, request: pytest.FixtureRequest, tmp_path: Path, kind: Callable[[Path, Path], Ext4 | Xfs]) -> None:
    if kind is Xfs:
        request.getfixturevalue("loops")
    identity = f"vol-{kind.__name__.lower()}fs"
    image = volumes.folder / f"{identity}.raw"
    system = kind(image, tmp_path)
    held: dict[str, tuple[str, dict[str, str]]] = {}
    for number in range(POINTS):
        if number:
            system.change()
        content = digest(image), system.files(image)
        assert content not in held.values(), "it was changed"
        point = volumes.take(identity)
        held[point["id"]] = content
        assert point["full"] == (number == 0) and point["disks"][0]["consistency"] == "offline", point
    room = image.stat().st_blocks

    for point in random.Random(kind.__name__).sample(sorted(held), POINTS):
        volumes.roll_back(point)
        assert (digest(image), system.files(image)) == held[point], point
        system.check(image)
        assert image.stat().st_blocks <= room + 2 * MIB // 512, "holes come back as holes"

    for number, point in enumerate(held):
        made = Path(volumes.create(point, f"copy {number}")["location"])
        assert digest(made) == held[point][0], point
        assert system.files(made) == held[point][1]
        system.check(made)
        said("qemu-img", "compare", "-f", "raw", "-F", "raw", made, volumes.export(point, tmp_path / f"{number}.raw", "--format", "raw"))

    # The last one is exported in every format; the image itself is at another by now.
    wanted = tmp_path / f"{POINTS - 1}.raw"
    for format, *flags in FORMATS:
        exported = volumes.export(point, tmp_path / f"exported.{format}", "--format", format, *flags, "--force")
        said("qemu-img", "compare", "-f", format, "-F", "raw", exported, wanted)
        if format == "raw":
            assert digest(exported) == held[point][0]
            system.check(exported)
        if format == "qcow2":
            said("qemu-img", "check", exported)
