"""What the suite of volumes shares: the native API as a client, real images with file systems, loop devices and mounts."""

import contextlib
import hashlib
import os
import random
import subprocess
from pathlib import Path
from typing import Any, Iterator

from harness.http import Response
from harness.polling import wait_until
from harness.server import Server, run_program

API = "/api/v1"
REPOSITORY = "volumes"
"""Where points go when nothing else is configured."""
MIB = 1 << 20
KIB = 1 << 10
BLOCK = 256 * KIB
"""Disks of up to 1 TiB are compared and stored in blocks of this size."""
AUDITED = 128 * BLOCK
"""Most that is read of what a tracker calls unchanged, on a disk of less than 3 GiB: 64 blocks of any and 64 of those with data. A disk of
16 MiB is audited as a whole."""
LIMIT_SECONDS = 60


class Volumes:
    """A server's volumes as a client of the native API sees them."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def folder(self) -> Path:
        folder = self.server.data / "volumes"
        folder.mkdir(exist_ok=True)
        return folder

    def disk(self, volume: str, size: int = 0, seed: int | None = None) -> Path:
        """A raw file in the volumes folder, filled with random bytes when there is a seed."""
        path = self.folder / f"{volume}.raw"
        path.write_bytes(random.Random(seed).randbytes(size) if seed is not None else b"")
        os.truncate(path, size)
        return path

    def get(self, path: str) -> Any:
        return self.server.http.get(API + path).ok()

    def post(self, path: str, body: Any) -> Response:
        return self.server.http.post(API + path, body)

    def add(self, location: object, **more: Any) -> str:
        """The id of a volume that was added."""
        return self.post("/volumes", {"location": str(location), **more}).ok()["id"]

    def add_instance(self, name: str, volumes: list[str], **host: Any) -> str:
        return self.post("/instances", {"name": name, "volumes": volumes, "host": host or {"driver": "none"}}).ok()["id"]

    def volume(self, identity: str) -> dict:
        return self.get(f"/volumes/{identity}")

    def point(self, identity: str) -> dict:
        return self.get(f"/volume-snapshots/{identity}")

    def ids(self, resource: str) -> set[str]:
        return {point["id"] for point in self.get(f"/volume-snapshots?resource={resource}&limit=1000")["snapshots"]}

    def end(self, job: dict) -> dict:
        """Waits until a job has ended."""

        def probe() -> dict | None:
            now = self.get(f"/jobs/{job['id']}")
            return now if now["state"] in ("succeeded", "failed", "cancelled") else None

        return wait_until(f"the end of {job['kind']} {job['id']}", probe, limit_seconds=LIMIT_SECONDS, every_seconds=0.02)

    def done(self, answer: Response) -> dict:
        """The job of a call, which must succeed."""
        job = self.end(answer.ok())
        assert job["state"] == "succeeded", job
        return job

    def failed(self, answer: Response) -> str:
        """Why a call was refused, at once or by its job."""
        if answer.status >= 400:
            return answer.json()["error"]["message"]
        job = self.end(answer.ok())
        assert job["state"] == "failed", job
        return job["error"]

    def begin(self, *resources: str, **more: Any) -> Response:
        return self.post("/volume-snapshots", {"resources": resources, "name": "point", **more})

    def take_all(self, *resources: str, **more: Any) -> list[dict]:
        """Points of several resources at one moment."""
        points = [self.point(identity) for identity in self.done(self.begin(*resources, **more))["resources"]]
        assert all(point["status"] == "available" for point in points), points
        return points

    def take(self, resource: str, **more: Any) -> dict:
        [point] = self.take_all(resource, **more)
        return point

    def take_disk(self, resource: str, **more: Any) -> tuple[str, dict]:
        """A point of one disk: its id, and how the disk was read."""
        point = self.take(resource, **more)
        [disk] = point["disks"]
        return point["id"], disk

    def begin_rollback(self, point: str, *more: str, **body: Any) -> Response:
        return self.post(f"/volume-snapshots/{point}/apply", {"with": more, **body})

    def roll_back(self, point: str, *more: str, **body: Any) -> dict:
        return self.done(self.begin_rollback(point, *more, **body))

    def create(self, point: str, name: str) -> dict:
        """A new volume of a point."""
        [identity] = self.done(self.post(f"/volume-snapshots/{point}/volume", {"name": name}))["resources"]
        return self.volume(identity)

    def delete(self, point: str, cascade: bool = False) -> None:
        answer = self.server.http.delete(f"{API}/volume-snapshots/{point}?cascade={str(cascade).lower()}")
        self.done(answer)

    def export(self, point: str, target: Path, *flags: str) -> Path:
        """A point as a file, as an operator exports it."""
        arguments = ["volume", "export", point, str(target), *flags, "--data-dir", str(self.server.data)]
        done = run_program(*arguments, limit_seconds=LIMIT_SECONDS)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return target

    def restored(self, point: str, target: Path) -> str:
        """The hash of a point, exported as a raw file that is removed again."""
        found = digest(self.export(point, target, "--format", "raw"))
        target.unlink()
        return found

    def state(self, volume: str) -> list[Path]:
        """What is kept of a volume between points: what its changes are told by, and digests of its blocks."""
        folder = self.server.data / "volume-state"
        return [folder / "tokens" / f"{volume}.json", folder / "digests" / volume]


def digest(path: object) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def overwrite(path: object, offset: int, length: int, seed: int) -> None:
    """Random bytes in the middle of a file or device, written out."""
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(random.Random(seed).randbytes(length))
        file.flush()
        os.fsync(file.fileno())


def said(*command: object, code: int = 0) -> str:
    """Runs a program that has to end like this; what it said."""
    done = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == code, f"{command} ended with {done.returncode}: {done.stdout}"
    return done.stdout


def files(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder, by its path."""
    return {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def sparse_file(path: Path, size: int) -> Path:
    path.touch()
    os.truncate(path, size)
    return path


@contextlib.contextmanager
def loop_device(file: Path) -> Iterator[str]:
    """A loop device on a file."""
    device = said("losetup", "--find", "--show", file).strip()
    try:
        yield device
    finally:
        said("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(image: Path, folder: Path, options: str = "loop") -> Iterator[Path]:
    """An image's file system at a folder."""
    folder.mkdir(exist_ok=True)
    said("mount", "-o", options, image, folder)
    try:
        yield folder
    finally:
        said("umount", folder)


class Hooks:
    """A host whose hooks note in a file that they were called. What is in its folder decides how they end.

    `running`: it runs. `fail-NAME`: the hook of that name fails. `hold-NAME`: it does not end before that file is gone.
    """

    NAMES = ("freeze", "thaw", "stop", "start", "status")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.calls = folder / "calls"
        self.script = folder / "hook"
        self.script.write_text(
            f"#!/bin/sh\ncd {folder}\n[ $1 = status ] || echo $1 >> calls\nwhile [ -e hold-$1 ]; do sleep 0.05; done\n[ -e fail-$1 ] && exit 7\n"
            "case $1 in stop) rm -f running ;; start) touch running ;; status) test -e running ;; esac\n"
        )
        self.script.chmod(0o755)

    def host(self, *names: str) -> dict:
        """The host that these hooks control, as the API wants it."""
        return {"driver": "hooks"} | {name: {"argv": [str(self.script), name], "timeout_s": 30} for name in (*names, "status")}

    def file(self, name: str) -> Path:
        return self.folder / name

    def called(self) -> list[str]:
        return self.calls.read_text().split() if self.calls.exists() else []

    def forget(self) -> None:
        self.calls.unlink(missing_ok=True)
