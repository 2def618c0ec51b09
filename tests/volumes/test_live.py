"""Disks while something writes to them: qemu-storage-daemon by its QMP socket, and hosts that hooks freeze."""

import random
from pathlib import Path
from typing import Iterator

import pytest

from harness.polling import wait_until
from volumes.daemon import StorageDaemon, Writer
from volumes.disks import AUDITED, BLOCK, MIB, Hooks, Volumes, overwrite, said

SIZE = 96 * MIB


class Live:
    """An instance of one disk that the daemon has open."""

    def __init__(self, volumes: Volumes, folder: Path, format: str) -> None:
        self.volumes, self.format = volumes, format
        folder.mkdir()
        self.disk = folder / f"disk.{format}"
        said("qemu-img", "create", "-q", "-f", format, self.disk, SIZE)
        self.daemon = StorageDaemon(folder, self.disk).start()
        self.daemon.io(f"write -P 251 0 {SIZE}")
        self.volume = volumes.add(self.disk, name=f"live {format}")
        # The daemon runs an NBD server already, and can have only one.
        sockets = {"socket": str(self.daemon.qmp), "nbd_socket": str(self.daemon.nbd)}
        self.instance = volumes.add_instance(f"live {format}", [self.volume], driver="qmp", **sockets)

    def take(self) -> tuple[str, dict]:
        return self.volumes.take_disk(self.instance)

    def exported(self, point: str) -> Path:
        return self.volumes.export(point, self.volumes.server.folder / "exported.raw", "--format", "raw", "--force")

    def is_as(self, point: str) -> None:
        """Proves that a point holds what the disk is now."""
        said("qemu-img", "compare", "-f", "raw", "-F", "raw", self.exported(point), self.daemon.uri())


@pytest.fixture(scope="module", params=["qcow2", "raw"])
def live(request: pytest.FixtureRequest, server: object, folder: Path) -> Iterator[Live]:
    made = Live(Volumes(server), folder / f"live-{request.param}", request.param)
    yield made
    made.daemon.kill()


def test_a_disk_is_snapshotted_while_it_is_written_to(live: Live) -> None:
    places = 0, 48 * MIB, 95 * MIB
    points = []
    with Writer(live.daemon, *places) as writer:
        for _ in range(3):
            rounds = writer.rounds
            point, disk = live.take()
            assert disk["consistency"] == "crash", disk
            points.append(point)
            wait_until("the writer goes on", lambda: writer.rounds > rounds or writer.failure)
    assert disk["change_source"] == "bitmap" and disk["read_bytes"] <= AUDITED + len(places) * BLOCK, disk
    for point in points:
        writer.check(live.exported(point))
    point, _ = live.take()
    live.is_as(point)


def test_increments_read_what_the_bitmap_says(live: Live) -> None:
    live.take()
    _, unchanged = live.take()
    assert (unchanged["change_source"], unchanged["changed_bytes"], unchanged["stored_bytes"]) == ("bitmap", 0, 0), unchanged
    assert unchanged["read_bytes"] <= AUDITED, unchanged
    source = random.Random(live.format)
    blocks = source.sample(range(SIZE // BLOCK), 9)
    live.daemon.io(*(f"write -P {byte} {block * BLOCK} 64k" for byte, block in enumerate(blocks, 1)), f"write -z {30 * MIB} {BLOCK}")
    changed = len({*blocks, 30 * MIB // BLOCK}) * BLOCK
    point, disk = live.take()
    assert disk["change_source"] == "bitmap" and disk.get("reason") is None, disk
    assert disk["changed_bytes"] == changed and disk["read_bytes"] <= AUDITED + changed, disk
    live.is_as(point)


def test_when_the_daemon_was_killed_everything_is_read(live: Live) -> None:
    before, _ = live.take()
    live.daemon.kill()
    live.daemon.start()
    live.daemon.io(f"write -P 99 {7 * BLOCK} {BLOCK}")
    point, disk = live.take()
    assert disk["change_source"] == "scan" and disk["reason"] and disk["read_bytes"] >= SIZE - BLOCK, disk
    assert disk["changed_bytes"] == BLOCK and live.volumes.point(point)["parent_id"] == before, disk
    live.is_as(point)
    _, again = live.take()
    assert again["change_source"] == "bitmap" and again["read_bytes"] <= AUDITED, again


def test_after_a_kill_of_the_server_the_next_point_is_right_and_the_guest_goes_on(live: Live) -> None:
    live.take()
    live.daemon.io(f"write -P 252 0 {SIZE}")
    with Writer(live.daemon, 0, 50 * MIB) as writer:
        job = live.volumes.begin(live.instance).ok()
        wait_until("the capture", lambda: live.volumes.point(job["snapshots"][0])["taken"] or live.volumes.get(f"/jobs/{job['id']}")["state"] != "running")
        live.volumes.server.kill()
        rounds = writer.rounds
        live.volumes.server.start()
        wait_until("the guest goes on", lambda: writer.rounds > rounds + 1 or writer.failure)
        point, disk = live.take()
        assert disk["consistency"] == "crash", disk
        writer.check(live.exported(point))
    point, _ = live.take()
    live.is_as(point)


class Frozen:
    """A disk on XFS, open for writing, of an instance with hooks."""

    def __init__(self, volumes: Volumes, hooks: Hooks, number: int) -> None:
        self.volumes, self.hooks, self.volume = volumes, hooks, f"vol-frozen{number}"
        self.path = volumes.disk(self.volume, 16 * MIB, seed=number)
        self.instance = volumes.add_instance(f"frozen {number}", [self.volume], **hooks.host("freeze", "thaw"))
        hooks.file("running").touch()

    def take(self) -> dict:
        [disk] = self.volumes.take(self.instance)["disks"]
        return disk


@pytest.fixture
def frozen(on_xfs: Volumes, tmp_path: Path) -> Frozen:
    number = len(on_xfs.get("/volumes")["volumes"])
    return Frozen(on_xfs, Hooks(tmp_path / "hooks"), number)


def test_a_running_host_is_frozen_for_the_moment_and_thawed(frozen: Frozen) -> None:
    assert frozen.take()["consistency"] == "frozen"
    assert frozen.hooks.called() == ["freeze", "thaw"]
    frozen.hooks.file("running").unlink()
    frozen.hooks.forget()
    assert frozen.take()["consistency"] == "offline"
    assert frozen.hooks.called() == [], "a host that does not run is left alone"


def test_a_freeze_that_fails_is_thawed_and_there_is_no_point(frozen: Frozen) -> None:
    frozen.hooks.file("fail-freeze").touch()
    error = frozen.volumes.failed(frozen.volumes.begin(frozen.instance))
    assert "freeze" in error, error
    assert frozen.hooks.called() == ["freeze", "thaw"]
    assert frozen.volumes.ids(frozen.instance) == set()
    frozen.hooks.file("fail-freeze").unlink()
    assert frozen.take()["consistency"] == "frozen"


@pytest.mark.parametrize("hook", ["freeze", "thaw"])
def test_what_a_kill_left_frozen_is_thawed_when_the_server_starts(frozen: Frozen, hook: str) -> None:
    frozen.take()
    frozen.hooks.forget()
    overwrite(frozen.path, BLOCK, BLOCK, seed=1)
    hold = frozen.hooks.file(f"hold-{hook}")
    hold.touch()
    frozen.volumes.begin(frozen.instance).ok()
    wait_until(f"the hook {hook}", lambda: hook in frozen.hooks.called())
    frozen.volumes.server.kill()
    hold.unlink()
    called = frozen.hooks.called()
    frozen.volumes.server.start()
    wait_until("the thaw", lambda: frozen.hooks.called() == [*called, "thaw"])
    disk = frozen.take()
    assert (disk["consistency"], disk["changed_bytes"]) == ("frozen", BLOCK), disk
    assert frozen.hooks.called() == [*called, "thaw", "freeze", "thaw"]
    assert not list((frozen.volumes.server.data / "volume-state" / "driver" / "hosts").iterdir()), "nothing is noted as frozen"
