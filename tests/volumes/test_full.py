"""A file system without room: nothing is harmed, nothing is left over, and it goes on when there is room again."""

import os
from pathlib import Path

from harness.stock_restic import Restic
from volumes.disks import KIB, MIB, REPOSITORY, Volumes, digest, overwrite

SIZE = 32 * MIB


class Ballast:
    """A file that takes all room but some."""

    def __init__(self, folder: Path, left: int) -> None:
        self.path = folder / "ballast"
        room = os.statvfs(folder)
        with open(self.path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.path.unlink()


def test_without_room_disks_and_points_stay_as_they_are(on_ext4: Volumes, tmp_path: Path) -> None:
    path = on_ext4.disk("vol-full001", SIZE, seed=1)
    first, then = on_ext4.take("vol-full001")["id"], digest(path)
    overwrite(path, 0, 20 * MIB, seed=2)
    now, beside = digest(path), sorted(os.listdir(path.parent))
    with Ballast(on_ext4.server.folder, left=8 * MIB):
        assert "room" in on_ext4.failed(on_ext4.begin_rollback(first))
        assert "room" in on_ext4.failed(on_ext4.post(f"/volume-snapshots/{first}/volume", {"name": "copy"}))
        error = on_ext4.failed(on_ext4.begin("vol-full001"))
        assert "space" in error, error
        assert digest(path) == now and sorted(os.listdir(path.parent)) == beside
        assert on_ext4.volume("vol-full001")["status"] == "available"
        assert on_ext4.ids("vol-full001") == {first}
    second, disk = on_ext4.take_disk("vol-full001")
    assert disk["changed_bytes"] == 20 * MIB, disk
    on_ext4.roll_back(first)
    assert digest(path) == then
    on_ext4.roll_back(second)
    assert digest(path) == now
    Restic.of_server(on_ext4.server.data, REPOSITORY, tmp_path / "cache").check("--read-data")


def test_a_sparse_disk_that_fits_only_with_its_holes(on_ext4: Volumes) -> None:
    path = on_ext4.disk("vol-full002", 4096 * MIB)
    overwrite(path, 3000 * MIB, 300 * KIB, seed=3)
    point, disk = on_ext4.take_disk("vol-full002")
    assert disk["read_bytes"] <= MIB, disk
    with Ballast(on_ext4.server.folder, left=40 * MIB):
        overwrite(path, 3000 * MIB, 300 * KIB, seed=4)
        on_ext4.roll_back(point)
        made = Path(on_ext4.create(point, "copy")["location"])
    assert path.stat().st_size == made.stat().st_size == 4096 * MIB
    assert max(path.stat().st_blocks, made.stat().st_blocks) * 512 <= MIB
    with open(made, "rb") as left, open(path, "rb") as right:
        for file in (left, right):
            file.seek(3000 * MIB)
        assert left.read(300 * KIB) == right.read(300 * KIB) != bytes(300 * KIB)
