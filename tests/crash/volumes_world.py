"""The same for disks, driven as a client of 51idc drives them: a model of what each volume and each point holds."""

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path

from crash.killed import KilledWorld
from harness.polling import wait_until
from harness.stock_restic import Restic

ZONE = "/v2/zone/ac1"
REPOSITORY = "volumes"
"""Where points go when nothing else is configured."""
SWAPPED, IN_PLACE = "vol-SWAPPED", "vol-INPLACE"
"""One volume whose rollbacks replace its file, one that is written in place as a device is."""
DISK_BYTES = 24 << 20
PAGE_BYTES = 64 << 10
KEPT_POINTS = 8


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class VolumesWorld(KilledWorld):
    points: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each point that was finished or may be: its volume and the hash of what it held, by name and volume."""
    ids: dict[str, str] = field(default_factory=dict)
    """The ids of points by the same names."""
    current: dict[str, set[str]] = field(default_factory=dict)
    """What each volume may hold now."""
    longest: dict[str, float] = field(default_factory=lambda: {"snapshot": 0.6, "swap": 0.6, "overwrite": 0.6, "delete": 0.3, "create": 0.6})

    @property
    def folder(self) -> Path:
        return self.server.data / "volumes"

    def disk(self, volume: str) -> Path:
        return (self.server.folder if volume == IN_PLACE else self.folder) / f"{volume}.raw"

    def prepare(self) -> None:
        source = random.Random(0)
        self.folder.mkdir(exist_ok=True)
        for volume in (SWAPPED, IN_PLACE):
            with open(self.disk(volume), "wb") as disk:
                disk.truncate(DISK_BYTES)
                for offset in range(0, DISK_BYTES, 4 << 20):
                    disk.seek(offset)
                    disk.write(source.randbytes(2 << 20))
            self.current[volume] = {sha256(self.disk(volume))}
        added = {"id": IN_PLACE, "location": str(self.disk(IN_PLACE)), "rollback": "in_place"}
        self.server.http.post("/api/v1/volumes", added).ok()
        for _ in range(3):
            self.change(source)
            self.snapshot(self.next_name())

    def call(self, method: str, path: str, body: object = None) -> dict:
        return self.server.http.send(method, ZONE + path, body).ok()

    def finish(self, job: dict) -> dict:
        ended = wait_until(f"job {job['action']}", lambda: (told := self.call("GET", f"/job/{job['job_id']}"))["status"] in ("successful", "failed") and told)
        assert ended["status"] == "successful", ended
        return ended

    def next_name(self) -> str:
        self.taken += 1
        return f"p{self.taken:03}"

    def change(self, source: random.Random) -> None:
        """A few pages anew in each volume, and a hole where something was."""
        for volume in (SWAPPED, IN_PLACE):
            with open(self.disk(volume), "r+b") as disk:
                for _ in range(20):
                    disk.seek(source.randrange(DISK_BYTES // PAGE_BYTES) * PAGE_BYTES)
                    disk.write(source.randbytes(PAGE_BYTES) if source.random() < 0.9 else bytes(PAGE_BYTES))
            self.current[volume] = {sha256(self.disk(volume))}

    def snapshot(self, name: str) -> None:
        """Two points at one moment. What they hold is noted first: they may be finished although nobody was told."""
        for volume in (SWAPPED, IN_PLACE):
            self.points[f"{name}/{volume}"] = (volume, sha256(self.disk(volume)))
        self.finish(self.call("POST", "/volume_snapshots", {"resources": [SWAPPED, IN_PLACE], "snapshot_name": name}))

    def told(self) -> list[dict]:
        return self.call("GET", "/volume_snapshots?limit=100")["snapshots"]

    def listed(self) -> dict[str, dict]:
        return {point["snapshot_id"]: point for point in self.told()}

    def points_of(self, volume: str) -> list[str]:
        return sorted(name for name in self.ids if self.points[name][0] == volume)

    def some_point(self, volume: str, source: random.Random) -> str:
        return source.choice(self.points_of(volume))

    def do_snapshot(self, source: random.Random):
        self.change(source)
        name = self.next_name()
        return lambda: self.snapshot(name)

    def do_swap(self, source: random.Random):
        return self.roll_back(SWAPPED, source)

    def do_overwrite(self, source: random.Random):
        return self.roll_back(IN_PLACE, source)

    def roll_back(self, volume: str, source: random.Random):
        self.change(source)
        name = self.some_point(volume, source)
        self.current[volume] |= {self.points[name][1]}
        return lambda: self.finish(self.call("POST", "/volume_snapshots/apply", {"snapshots": [self.ids[name]]}))

    def do_delete(self, source: random.Random):
        name = self.some_point(source.choice([SWAPPED, IN_PLACE]), source)
        cascade = source.choice("01")
        return lambda: self.finish(self.call("DELETE", f"/volume_snapshots/{self.ids[name]}?cascade={cascade}"))

    def do_create(self, source: random.Random):
        name = self.some_point(SWAPPED, source)
        return lambda: self.finish(self.call("POST", f"/volume_snapshots/create_volume/{self.ids[name]}", {"volume_name": "made"}))

    def prove(self, source: random.Random, every_byte: bool) -> None:
        wait_until("interrupted jobs to be finished or failed", lambda: self.call("GET", "/unfinished_jobs") == [])
        for volume, allowed in self.current.items():
            found = sha256(self.disk(volume))
            assert found in allowed, f"{volume} holds neither what it did nor what it was to be rolled back to"
            self.current[volume] = {found}
        for volume in self.server.http.get("/api/v1/volumes").ok()["volumes"]:
            assert volume["status"] in ("available", "missing"), volume
        listed = self.listed()
        for point in listed.values():
            assert (point["status"], point["transition_status"]) == ("available", ""), f"nothing runs after a restart: {point}"
        stock = Restic.of_server(self.server.data, REPOSITORY, self.cache)
        stock.check(*(["--read-data"] if every_byte else []))
        assert set(stock.names()) == set(listed), "list and repository tell different points"
        self.ids = {self.name_of(point): identity for identity, point in listed.items()}
        assert self.ids.keys() <= self.points.keys(), "a point that was deleted, or that never was, is listed"
        self.points = {name: held for name, held in self.points.items() if name in self.ids}
        self.prove_files()
        self.prove_restores(source)
        while len(self.ids) > KEPT_POINTS:
            oldest = min(self.ids)
            self.finish(self.call("DELETE", f"/volume_snapshots/{self.ids.pop(oldest)}?cascade=0"))
            del self.points[oldest]
        while min(len(self.points_of(SWAPPED)), len(self.points_of(IN_PLACE))) < 2:
            self.change(source)
            self.snapshot(self.next_name())
            self.ids = {self.name_of(point): identity for identity, point in self.listed().items()}

    @staticmethod
    def name_of(point: dict) -> str:
        return f"{point['snapshot_name']}/{point['resource']['resource_id']}"

    def prove_files(self) -> None:
        """A volume that was being made is whole or not there; nothing is left beside the disks."""
        for path in set(self.folder.iterdir()) - {self.disk(SWAPPED)}:
            assert path.suffix == ".raw" and not path.name.startswith("."), f"{path.name} is left over"
            assert sha256(path) in {held for _, held in self.points.values()}, f"{path.name} is no point's content"
            path.unlink()

    def prove_restores(self, source: random.Random) -> None:
        """The newest point and another, each as a new volume, byte for byte."""
        for name in {max(self.ids), source.choice(sorted(self.ids))}:
            job = self.finish(self.call("POST", f"/volume_snapshots/create_volume/{self.ids[name]}", {"volume_name": "proof"}))
            path = self.disk(job["resource_ids"][0])
            assert sha256(path) == self.points[name][1], f"{name} came back different"
            path.unlink()
