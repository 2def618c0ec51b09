"""Volumes that somebody uses: refused by name unless it is allowed, and noted then."""

import contextlib
import mmap
from pathlib import Path
from typing import Iterator

import pytest

from volumes.daemon import StorageDaemon
from volumes.disks import MIB, Volumes, digest, loop_device, mounted, overwrite, said, sparse_file

SIZE = 32 * MIB

pytestmark = pytest.mark.usefixtures("loops")


@contextlib.contextmanager
def attached(path: Path, folder: Path) -> Iterator[tuple[str, ...]]:
    with loop_device(path) as device:
        yield (device.removeprefix("/dev/"),)


@contextlib.contextmanager
def loop_mounted(path: Path, folder: Path) -> Iterator[tuple[str, ...]]:
    # Nothing is to be written in the background while the test compares.
    said("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", path)
    with mounted(path, folder / "mounted", "loop,noinit_itable,noatime") as place:
        (place / "file").write_text("written to")
        said("sync", "--file-system", place)
        yield ("loop",)


@contextlib.contextmanager
def served_by_qemu(path: Path, folder: Path) -> Iterator[tuple[str, ...]]:
    with StorageDaemon(folder, path) as daemon:
        daemon.io("write -P 5 1M 1M")
        yield "QEMU", "qemu-storage-da", str(daemon.process.pid)


@contextlib.contextmanager
def opened(path: Path, folder: Path) -> Iterator[tuple[str, ...]]:
    with open(path, "r+b"):
        yield ("process",)


@contextlib.contextmanager
def mapped(path: Path, folder: Path) -> Iterator[tuple[str, ...]]:
    """In memory, to be written to, although the file is not open any more."""
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    with memory:
        yield ("process",)


@pytest.mark.parametrize("use", [attached, loop_mounted, served_by_qemu, opened, mapped], ids=lambda use: use.__name__)
def test_a_volume_in_use_is_refused_unless_it_is_allowed(on_ext4: Volumes, tmp_path: Path, use: object) -> None:
    volume = f"vol-{use.__name__.replace('_', '')[:7]}"
    path = on_ext4.disk(volume, SIZE, seed=1)
    before = on_ext4.take(volume)["id"]
    content = digest(path)
    with use(path, tmp_path) as names:
        for error in (on_ext4.failed(on_ext4.begin(volume)), on_ext4.failed(on_ext4.begin_rollback(before))):
            assert volume in error and "in use" in error, error
            assert any(name in error for name in names), error
        assert on_ext4.ids(volume) == {before}, "nothing is left of what was refused"
        point, disk = on_ext4.take_disk(volume, allow_inconsistent=True)
        assert (disk["consistency"], disk["change_source"]) == ("inconsistent", "scan"), disk
        # Nobody wrote meanwhile, so it is right, but nothing that it says is built upon.
        assert on_ext4.restored(point, tmp_path / "restored.raw") == digest(path)
    ceased = on_ext4.get(f"/volume-snapshots?resource={volume}&status=ceased")["snapshots"]
    assert len(ceased) == 1 and "in use" in ceased[0]["reason"], ceased
    _, after = on_ext4.take_disk(volume)
    assert (after["consistency"], after["change_source"]) == ("offline", "scan"), after
    on_ext4.roll_back(before)
    assert digest(path) == content


def test_the_setting_of_a_volume_allows_it_too(on_ext4: Volumes, tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "disk.raw", SIZE)
    overwrite(path, 0, MIB, seed=2)
    volume = on_ext4.add(path, allow_inconsistent=True)
    with served_by_qemu(path, tmp_path):
        _, disk = on_ext4.take_disk(volume)
    assert disk["consistency"] == "inconsistent", disk


def test_a_device_in_use_is_refused(on_ext4: Volumes, tmp_path: Path) -> None:
    with loop_device(sparse_file(tmp_path / "backing", SIZE)) as device:
        said("mkfs.ext4", "-q", device)
        volume = on_ext4.add(device)
        with mounted(Path(device), tmp_path / "mounted", "rw") as place:
            error = on_ext4.failed(on_ext4.begin(volume))
            assert "in use" in error and str(place) in error, error
            _, disk = on_ext4.take_disk(volume, allow_inconsistent=True)
            assert disk["consistency"] == "inconsistent", disk
        _, disk = on_ext4.take_disk(volume)
        assert disk["consistency"] == "offline", disk


def test_a_call_on_several_volumes_of_which_one_is_in_use(on_ext4: Volumes) -> None:
    used, free = on_ext4.disk("vol-oneused", SIZE, seed=3), on_ext4.disk("vol-onefree", SIZE, seed=4)
    with open(used, "r+b"):
        job = on_ext4.end(on_ext4.begin("vol-oneused", "vol-onefree").ok())
    assert job["state"] == "failed" and "vol-oneused" in job["error"], job
    assert on_ext4.ids("vol-oneused") == set(), "what could not be had is not there"
    for point in on_ext4.ids("vol-onefree"):
        assert on_ext4.restored(point, on_ext4.server.folder / "restored.raw") == digest(free), "what is there is whole"
