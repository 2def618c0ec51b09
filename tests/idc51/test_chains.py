"""Chains, branches and deletions, seen on the disks."""

import itertools

import pytest

from harness.server import Server
from idc51.idc import Disk, Zone, declare_host, refused


class Chain:
    """A disk with points, and what it was at each."""

    def __init__(self, server: Server, identity: str) -> None:
        self.zone, self.disk = Zone(server.http), Disk(server, identity)
        self.contents: dict[str, str] = {}
        self.parents: dict[str, str] = {}
        self.writes = 0

    def take(self, **more: object) -> str:
        """Changes the disk and takes a point."""
        self.writes += 1
        content = self.disk.write(self.writes)
        [point] = self.zone.take(self.disk.identity, name=f"{self.writes}", **more)
        identity = point["snapshot_id"]
        self.contents[identity], self.parents[identity] = content, point["parent_id"]
        return identity

    def ids(self) -> set[str]:
        return self.zone.ids(f"resource_id={self.disk.identity}&limit=100")

    def below(self, identity: str) -> set[str]:
        """A point and all that hang on it, as they were taken."""
        found = {identity}
        while more := {child for child, parent in self.parents.items() if parent in found} - found:
            found |= more
        return found

    def prove(self) -> None:
        """Every point that is there restores what the disk was then."""
        for identity in sorted(self.ids()):
            self.zone.apply(identity)
            assert self.disk.digest() == self.contents[identity], identity


def test_a_tree_of_points(server: Server) -> None:
    chain = Chain(server, "vol-tree001")
    root, a = chain.take(), chain.take()
    b = chain.take()
    # After a rollback the next increment hangs on the point that was applied.
    chain.zone.apply(a)
    assert chain.zone.snapshot(a)["is_head"] == 1 and chain.zone.snapshot(b)["is_head"] == 0
    c, d = chain.take(), chain.take()
    assert chain.parents == {root: "self", a: root, b: a, c: a, d: c}
    second_root = chain.take(is_full=1)
    e = chain.take()
    chain.prove()
    chain.zone.apply(e)
    shown = {each["snapshot_id"]: each for each in chain.zone.list("resource_id=vol-tree001&limit=100")}
    assert {key for key, each in shown.items() if each["is_head"]} == {e}
    assert {key for key, each in shown.items() if each["head_chain"]} == {second_root, e}
    assert {key: each["root_id"] for key, each in shown.items()} == {root: root, a: root, b: root, c: root, d: root, second_root: second_root, e: second_root}
    assert (shown[root]["total_count"], shown[second_root]["total_count"]) == (5, 2)
    assert chain.zone.ids(f"root_id={root}") == {a, b, c, d}
    # What hangs on a point goes with it: not what came later elsewhere in the tree.
    job = chain.zone.delete(c)
    assert set(job["resource_ids"]) == {c, d}
    assert chain.ids() == {root, a, b, second_root, e}
    chain.prove()
    assert set(chain.zone.delete(root)["resource_ids"]) == {root, a, b}
    assert chain.ids() == {second_root, e}
    chain.prove()


def test_cascade_can_be_left_out(server: Server) -> None:
    chain = Chain(server, "vol-alone01")
    root, a, b = chain.take(), chain.take(), chain.take()
    assert chain.zone.delete(a, "?cascade=0")["resource_ids"] == [a]
    assert chain.zone.snapshot(b)["parent_id"] == root
    chain.prove()
    assert chain.zone.delete(root, "?cascade=false")["resource_ids"] == [root]
    left = chain.zone.snapshot(b)
    assert (left["snapshot_type"], left["root_id"], left["parent_id"]) == ("IS_FULL", b, "self")
    chain.prove()
    refused(chain.zone.send("DELETE", f"/volume_snapshots/{b}?cascade=perhaps"), 400, "1100", "cascade")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_points_go_one_by_one_in_every_order(server: Server, order: tuple[int, ...]) -> None:
    chain = Chain(server, "vol-order" + "".join(map(str, order)))
    points = [chain.take() for _ in order]
    for position in order:
        chain.zone.delete(points[position], "?cascade=0")
        points[position] = ""
        assert chain.ids() == set(filter(None, points))
        chain.prove()


def test_several_resources_at_one_moment(server: Server) -> None:
    disks = [Disk(server, f"vol-multi{number}") for number in range(3)]
    zone = Zone(server.http)
    points = zone.take(*(disk.identity for disk in disks), name="all")
    assert len({point["snapshot_time"] for point in points}) == 1
    contents = [disk.digest() for disk in disks]
    for disk in disks:
        disk.write(9)
    zone.do("POST", "/volume_snapshots/apply", {"snapshots": [point["snapshot_id"] for point in points]})
    assert [disk.digest() for disk in disks] == contents


def test_a_safety_snapshot_holds_what_was_there(server: Server) -> None:
    chain = Chain(server, "vol-safety1")
    root = chain.take()
    overwritten = chain.disk.write(99)
    before = chain.ids()
    chain.zone.apply(root, safety_snapshot=1)
    assert chain.disk.digest() == chain.contents[root]
    [safety] = chain.ids() - before
    chain.zone.apply(safety)
    assert chain.disk.digest() == overwritten


def test_a_running_host_is_restarted_once_for_all_its_disks(server: Server) -> None:
    disks = [Disk(server, f"vol-host00{number}") for number in range(2)]
    zone, log, running = Zone(server.http), server.folder / "host.log", server.folder / "running"
    script = server.folder / "host.sh"
    script.write_text(f'#!/bin/sh\necho "$1" >> {log}\ncase "$1" in stop) rm {running};; start) touch {running};; status) test -e {running};; esac\n')
    script.chmod(0o755)
    running.touch()
    hooks = "".join(f'{name} = {{ argv = ["{script}", "{name}"] }}\n' for name in ("stop", "start", "status"))
    declare_host(server, "i-hooked1", "hooked", disks, f'driver = "hooks"\n{hooks}')
    contents = [disk.digest() for disk in disks]
    [point] = zone.take("i-hooked1", allow_inconsistent=1)
    assert (point["resource"]["resource_type"], point["status"]) == ("instance", "available")
    for disk in disks:
        disk.write(7)
    log.write_text("")
    zone.apply(point["snapshot_id"])
    assert [disk.digest() for disk in disks] == contents
    assert [line for line in log.read_text().split() if line != "status"] == ["stop", "start"]
    assert running.exists()
    # A host that does not run is left as it is.
    running.unlink()
    log.write_text("")
    disks[0].write(8)
    zone.apply(point["snapshot_id"])
    assert disks[0].digest() == contents[0]
    assert "start" not in log.read_text().split() and not running.exists()
