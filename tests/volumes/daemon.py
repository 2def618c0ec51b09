"""qemu-storage-daemon with disks that are written to: a host by its QMP socket, or just somebody who uses them."""

import itertools
import subprocess
import threading
from pathlib import Path

from harness.polling import wait_until
from harness.server import clean_environment
from volumes.disks import said


class StorageDaemon:
    """The daemon with some disks, each exported for writing over NBD."""

    def __init__(self, folder: Path, *disks: Path) -> None:
        self.folder, self.disks = folder, disks
        self.qmp, self.nbd = folder / "qmp.sock", folder / "nbd.sock"
        self.process: subprocess.Popen | None = None

    def start(self) -> "StorageDaemon":
        for socket in (self.qmp, self.nbd):
            socket.unlink(missing_ok=True)
        command = ["qemu-storage-daemon", "--nbd-server", f"addr.type=unix,addr.path={self.nbd}"]
        for number, disk in enumerate(self.disks):
            command += ["--blockdev", f"driver=file,node-name=file{number},filename={disk}"]
            command += ["--blockdev", f"driver={disk.suffix[1:]},node-name=disk{number},file=file{number}"]
            command += ["--export", f"nbd,id=export{number},node-name=disk{number},name=disk{number},writable=on"]
        command += ["--chardev", f"socket,path={self.qmp},server=on,wait=off,id=monitor", "--monitor", "chardev=monitor"]
        with open(self.folder / "daemon.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=clean_environment())
        wait_until("the sockets of qemu-storage-daemon", lambda: self.process.poll() is not None or (self.qmp.exists() and self.nbd.exists()))
        assert self.process.poll() is None, (self.folder / "daemon.log").read_text()
        return self

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def uri(self, disk: int = 0) -> str:
        return f"nbd+unix:///disk{disk}?socket={self.nbd}"

    def io(self, *commands: str, disk: int = 0) -> str:
        """Reads and writes as a guest would."""
        options = [word for command in commands for word in ("-c", command)]
        return said("qemu-io", "-f", "raw", *options, self.uri(disk))

    def __enter__(self) -> "StorageDaemon":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


class Writer:
    """A guest that writes the same byte to several places of a disk, one after the other, then the next byte, and so on.

    A view of one moment shows the same byte in all places, or one more in the first ones.
    """

    LENGTH = 64 << 10

    def __init__(self, daemon: StorageDaemon, *places: int) -> None:
        self.daemon, self.places = daemon, places
        self.rounds = 0
        self.failure: BaseException | None = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.write, daemon=True)

    def write(self) -> None:
        try:
            for start in itertools.cycle(range(1, 251, 10)):
                if self.ending.is_set():
                    return
                self.daemon.io(*(f"write -P {byte} {place} {self.LENGTH}" for byte in range(start, start + 10) for place in self.places))
                self.rounds += 1
        except BaseException as failure:
            self.failure = failure

    def check(self, image: Path) -> None:
        """Proves that an image shows one moment."""
        seen = []
        with open(image, "rb") as file:
            for place in self.places:
                file.seek(place)
                [byte] = set(file.read(self.LENGTH))
                seen.append(byte)
        # The bytes go round from 250 to 1.
        behind = [(seen[0] - byte) % 250 for byte in seen]
        assert all(0 <= steps <= 1 for steps in behind) and behind == sorted(behind), seen

    def __enter__(self) -> "Writer":
        self.thread.start()
        wait_until("the first writes", lambda: self.rounds or self.failure)
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.thread.join(60)
        assert self.failure is None, self.failure
