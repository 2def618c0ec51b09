"""How changes are found, seen from outside: what is read, what is said about it, and what happens when a tracker is lost or lies.

Whatever the tracker, every point has to restore what the disk was.
"""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from volumes.disks import AUDITED, BLOCK, MIB, Volumes, digest, overwrite, said

LARGE = 96 * MIB
"""Large enough that the sample of unchanged blocks is a small part of it."""
SMALL = 16 * MIB
"""64 blocks: all of them are in the sample."""


def holds(volumes: Volumes, point: str, path: Path) -> None:
    """Proves that a point holds what the disk is."""
    assert volumes.restored(point, volumes.server.folder / "restored.raw") == digest(path)


def read_as_a_whole(disk: dict, size: int, *reasons: str) -> None:
    assert disk["change_source"] == "scan" and disk["read_bytes"] >= size, disk
    for reason in reasons:
        assert reason in disk["reason"], disk


def read_as_told(disk: dict, source: str, changed: int) -> None:
    """Only what changed was read, beside the sample."""
    assert disk["change_source"] == source, disk
    assert disk["changed_bytes"] == changed and disk["read_bytes"] <= AUDITED + changed, disk


def anchor_of(volumes: Volumes, volume: str) -> Path:
    [anchor] = (volumes.folder / ".snapkeep").glob(f"{volume}-*")
    return anchor


def test_on_xfs_only_what_changed_is_read(on_xfs: Volumes) -> None:
    path = on_xfs.disk("vol-reflink", LARGE, seed=1)
    _, first = on_xfs.take_disk("vol-reflink")
    read_as_a_whole(first, LARGE)
    point, unchanged = on_xfs.take_disk("vol-reflink")
    read_as_told(unchanged, "reflink", changed=0)
    assert unchanged["stored_bytes"] == 0 and unchanged.get("reason") is None, unchanged
    holds(on_xfs, point, path)

    for number, block in enumerate((3, 77, 78, 300)):
        overwrite(path, block * BLOCK + 5000, 4000, seed=number)
    said("fallocate", "--punch-hole", "--offset", 200 * BLOCK, "--length", 2 * BLOCK, path)
    with open(path, "r+b"):
        point, changed = on_xfs.take_disk("vol-reflink")
    read_as_told(changed, "reflink", changed=6 * BLOCK)
    assert changed["consistency"] == "crash", "somebody had it open for writing"
    holds(on_xfs, point, path)
    assert anchor_of(on_xfs, "vol-reflink").exists(), "one generation is kept"


def test_the_state_of_reflinks_survives_a_kill(on_xfs: Volumes) -> None:
    path = on_xfs.disk("vol-killed1", LARGE, seed=2)
    on_xfs.take("vol-killed1")
    on_xfs.server.kill()
    overwrite(path, 40 * BLOCK, BLOCK, seed=3)
    on_xfs.server.start()
    point, disk = on_xfs.take_disk("vol-killed1")
    read_as_told(disk, "reflink", changed=BLOCK)
    holds(on_xfs, point, path)


def test_after_a_rollback_only_what_changed_since_is_read(on_xfs: Volumes) -> None:
    path = on_xfs.disk("vol-rolled1", LARGE, seed=4)
    first = on_xfs.take("vol-rolled1")["id"]
    overwrite(path, 9 * BLOCK, 5 * BLOCK, seed=5)
    on_xfs.take("vol-rolled1")
    on_xfs.roll_back(first)
    overwrite(path, 50 * BLOCK, BLOCK, seed=6)
    point, disk = on_xfs.take_disk("vol-rolled1")
    assert on_xfs.point(point)["parent_id"] == first
    read_as_told(disk, "reflink", changed=BLOCK)
    holds(on_xfs, point, path)


@pytest.mark.parametrize("damage", ["written to", "gone", "exchanged"])
def test_a_damaged_anchor_is_not_compared_with(on_xfs: Volumes, damage: str) -> None:
    volume = f"vol-anchor{len(damage)}"
    path = on_xfs.disk(volume, SMALL, seed=7)
    on_xfs.take(volume)
    anchor = anchor_of(on_xfs, volume)
    with pytest.raises(OSError):
        anchor.write_bytes(b"nobody, not even root, writes to it by mistake")
    said("chattr", "-i", anchor)
    overwrite(path, 5 * BLOCK, BLOCK, seed=8)
    if damage == "written to":
        overwrite(anchor, 0, BLOCK, seed=9)
    else:
        anchor.unlink()
    if damage == "exchanged":
        said("cp", "--reflink=always", path, anchor)
    point, disk = on_xfs.take_disk(volume)
    read_as_a_whole(disk, SMALL, "cannot be opened" if damage == "gone" else "is not the clone of the last snapshot any more", anchor.name)
    assert disk["changed_bytes"] == BLOCK
    holds(on_xfs, point, path)
    read_as_told(on_xfs.take_disk(volume)[1], "reflink", changed=0)


def test_changes_that_reflinks_hide_are_found_by_the_sample(on_xfs: Volumes) -> None:
    path = on_xfs.disk("vol-hidden1", SMALL, seed=10)
    on_xfs.take("vol-hidden1")
    overwrite(path, 33 * BLOCK, BLOCK, seed=11)
    # A clone of now that passes for the one of then: there is no difference to be seen.
    forged = on_xfs.folder / ".snapkeep" / "vol-hidden1-0123456789abcdef.anchor"
    said("cp", "--reflink=always", path, forged)
    forge(on_xfs, "vol-hidden1", path=str(forged), inode=forged.stat().st_ino, changed_ns=forged.stat().st_ctime_ns)
    point, disk = on_xfs.take_disk("vol-hidden1")
    read_as_a_whole(disk, SMALL, "reflink said that block 33 is unchanged, and it differs")
    holds(on_xfs, point, path)
    read_as_told(on_xfs.take_disk("vol-hidden1")[1], "reflink", changed=0)


def forge(volumes: Volumes, volume: str, **identity: object) -> None:
    """Changes what is noted of a volume's last point."""
    token, _ = volumes.state(volume)
    told = json.loads(token.read_text())
    told["identity"] |= identity
    token.write_text(json.dumps(told))


def test_on_ext4_an_unchanged_disk_is_not_read(on_ext4: Volumes) -> None:
    path = on_ext4.disk("vol-stat001", LARGE, seed=12)
    on_ext4.take("vol-stat001")
    point, unchanged = on_ext4.take_disk("vol-stat001")
    read_as_told(unchanged, "stat", changed=0)
    assert unchanged["stored_bytes"] == 0 and "cannot clone files" in unchanged["reason"], unchanged
    holds(on_ext4, point, path)
    overwrite(path, 8 * BLOCK, 10, seed=13)
    point, disk = on_ext4.take_disk("vol-stat001")
    read_as_a_whole(disk, LARGE, "cannot clone files", "the file changed since the last snapshot")
    assert disk["changed_bytes"] == BLOCK
    holds(on_ext4, point, path)
    on_ext4.server.stop()
    on_ext4.server.start()
    read_as_told(on_ext4.take_disk("vol-stat001")[1], "stat", changed=0)


@pytest.mark.parametrize("kind", ["on_ext4", "on_xfs"])
def test_a_forged_modification_time_hides_nothing(request: pytest.FixtureRequest, kind: str) -> None:
    volumes = request.getfixturevalue(kind)
    path = volumes.disk("vol-forged1", SMALL, seed=14)
    volumes.take("vol-forged1")
    then = path.stat()
    overwrite(path, 20 * BLOCK, BLOCK, seed=15)
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_ino) == (then.st_size, then.st_mtime_ns, then.st_ino)
    point, disk = volumes.take_disk("vol-forged1")
    assert disk["changed_bytes"] == BLOCK, disk
    holds(volumes, point, path)


def test_changes_that_times_hide_are_found_by_the_sample(on_ext4: Volumes) -> None:
    path = on_ext4.disk("vol-hidden2", SMALL, seed=16)
    on_ext4.take("vol-hidden2")
    overwrite(path, 12 * BLOCK, BLOCK, seed=17)
    now = path.stat()
    forge(on_ext4, "vol-hidden2", modified_ns=now.st_mtime_ns, changed_ns=now.st_ctime_ns)
    point, disk = on_ext4.take_disk("vol-hidden2")
    read_as_a_whole(disk, SMALL, "stat said that block 12 is unchanged, and it differs")
    holds(on_ext4, point, path)


@pytest.mark.parametrize("kind", ["on_ext4", "on_xfs"])
@pytest.mark.parametrize("lost", ["token", "all", "garbled", "another point"])
def test_without_its_token_a_disk_is_read_as_a_whole(request: pytest.FixtureRequest, kind: str, lost: str) -> None:
    volumes = request.getfixturevalue(kind)
    volume = f"vol-lost00{len(lost)}"
    path = volumes.disk(volume, SMALL, seed=18)
    before = volumes.take(volume)["id"]
    token, digests = volumes.state(volume)
    if lost == "garbled":
        token.write_bytes(b"\0" * 100)
        digests.write_bytes(random.Random(19).randbytes(5000))
    elif lost == "another point":
        told = json.loads(token.read_text())
        token.write_text(json.dumps(told | {"snapshot": "0" * 32}))
    else:
        for file in (token, digests)[: 1 if lost == "token" else 2]:
            file.unlink()
    overwrite(path, 2 * BLOCK, BLOCK, seed=20)
    reasons = {"token": "nothing was noted", "all": "nothing was noted", "garbled": "cannot be understood", "another point": "belongs to another point"}
    point, disk = volumes.take_disk(volume)
    read_as_a_whole(disk, SMALL, reasons[lost])
    assert disk["changed_bytes"] == BLOCK and volumes.point(point)["parent_id"] == before, "an increment all the same"
    holds(volumes, point, path)
    read_as_told(volumes.take_disk(volume)[1], "reflink" if kind == "on_xfs" else "stat", changed=0)


@pytest.mark.parametrize("kind", ["on_ext4", "on_xfs"])
@pytest.mark.parametrize("size", [SMALL - 3 * BLOCK, SMALL + 5 * BLOCK // 2], ids=["smaller", "larger"])
def test_a_disk_of_another_size_is_read_as_a_whole(request: pytest.FixtureRequest, kind: str, size: int) -> None:
    volumes = request.getfixturevalue(kind)
    volume = f"vol-s{size:06x}"[:11]
    path = volumes.disk(volume, SMALL, seed=21)
    first, content = volumes.take(volume)["id"], digest(path)
    os.truncate(path, size)
    point, disk = volumes.take_disk(volume)
    read_as_a_whole(disk, min(size, SMALL), "size", str(SMALL), str(size))
    holds(volumes, point, path)
    volumes.roll_back(first)
    assert path.stat().st_size == SMALL and digest(path) == content
    volumes.roll_back(point)
    assert path.stat().st_size == size
    read_as_told(volumes.take_disk(volume)[1], "reflink" if kind == "on_xfs" else "stat", changed=0)


def test_another_file_in_the_place_of_a_disk_is_read_as_a_whole(on_ext4: Volumes) -> None:
    path = on_ext4.disk("vol-swapped", SMALL, seed=22)
    on_ext4.take("vol-swapped")
    then = path.stat()
    other = path.with_name("other.new")
    shutil.copyfile(path, other)
    overwrite(other, 7 * BLOCK, BLOCK, seed=23)
    os.utime(other, ns=(then.st_atime_ns, then.st_mtime_ns))
    other.rename(path)
    point, disk = on_ext4.take_disk("vol-swapped")
    read_as_a_whole(disk, SMALL, "changed since the last snapshot")
    holds(on_ext4, point, path)


def test_a_qcow2_image_tells_its_changes_by_a_bitmap_of_its_own(volumes: Volumes) -> None:
    image = volumes.folder / "vol-bitmap1.qcow2"
    said("qemu-img", "create", "-f", "qcow2", image, LARGE)
    said("qemu-io", "-c", "write -P 17 0 96M", "-c", "write -z 40M 10M", image)
    _, first = volumes.take_disk("vol-bitmap1")
    assert first["change_source"] == "scan" and first["format"] == "qcow2", first
    assert [bitmap["flags"] for bitmap in bitmaps(image)] == [["auto"]]
    point, unchanged = volumes.take_disk("vol-bitmap1")
    read_as_told(unchanged, "bitmap", changed=0)
    said("qemu-io", "-c", f"write -P 18 {5 * BLOCK} {BLOCK}", "-c", f"write -P 19 {41 * MIB} 4k", "-c", f"write -z {20 * MIB} {2 * BLOCK}", image)
    point, changed = volumes.take_disk("vol-bitmap1")
    read_as_told(changed, "bitmap", changed=4 * BLOCK)
    same_as(volumes, point, image)

    # Without it everything is read, and from then on there is one again.
    [bitmap] = bitmaps(image)
    said("qemu-img", "bitmap", "--remove", image, bitmap["name"])
    said("qemu-io", "-c", f"write -P 20 {BLOCK} 1", image)
    point, lost = volumes.take_disk("vol-bitmap1")
    assert lost["change_source"] == "scan" and lost["reason"] and lost["changed_bytes"] == BLOCK, lost
    same_as(volumes, point, image)
    read_as_told(volumes.take_disk("vol-bitmap1")[1], "bitmap", changed=0)


def bitmaps(image: Path) -> list[dict]:
    return json.loads(said("qemu-img", "info", "--output=json", image))["format-specific"]["data"].get("bitmaps", [])


def same_as(volumes: Volumes, point: str, image: Path) -> None:
    exported = volumes.export(point, volumes.server.folder / "exported.raw", "--format", "raw", "--force")
    said("qemu-img", "compare", "-f", "raw", "-F", "qcow2", exported, image)
