"""A QEMU without a guest whose two disks are written to through its devices, and what they must hold."""

import contextlib
import json
import random
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

MIB = 1 << 20
PIECE = 64 * 1024
SIZES = {"system.qcow2": 128, "data.raw": 32}
START_LIMIT_SECONDS = 60


class Machine:
    """Started by the same script that is the instance's `start` hook. Every write is also done to a model of each disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "qmp.sock"
        self.script = folder / "start"
        self.log = folder / "qemu.log"
        self.disks = [folder / name for name in SIZES]
        self.models = [folder / f"{name}.model" for name in SIZES]
        folder.mkdir(parents=True, exist_ok=True)
        arguments = ["-machine", "q35,accel=tcg", "-m", "32", "-display", "none", "-nodefaults"]
        for number, disk in enumerate(self.disks):
            size = SIZES[disk.name] * MIB
            form = disk.suffix[1:]
            subprocess.run(["qemu-img", "create", "-q", "-f", form, str(disk), str(size)], check=True)
            with open(self.models[number], "wb") as model:
                model.truncate(size)
            arguments += ["-blockdev", f"driver=file,node-name=file{number},filename={disk}"]
            arguments += ["-blockdev", f"driver={form},node-name=disk{number},file=file{number}"]
            arguments += ["-device", f"virtio-blk-pci,drive=disk{number},id=vd{number}"]
        arguments += ["-qmp", f"unix:{self.socket},server=on,wait=off"]
        words = " ".join(f"'{word}'" for word in arguments)
        self.script.write_text(f"#!/bin/sh\nexec setsid --fork qemu-system-x86_64 {words} </dev/null >>'{self.log}' 2>&1\n")
        self.script.chmod(self.script.stat().st_mode | stat.S_IXUSR)

    def start(self) -> "Machine":
        subprocess.run([str(self.script)], check=True, stdin=subprocess.DEVNULL, timeout=START_LIMIT_SECONDS)
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self.is_running():
            assert time.monotonic() < deadline, f"QEMU does not answer: {self.log.read_text()}"
            time.sleep(0.05)
        return self

    def command(self, name: str, **arguments: Any) -> Any:
        """Runs a QMP command over a connection of its own: QEMU answers one client at a time."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_LIMIT_SECONDS)
            assert connection.connect_ex(str(self.socket)) == 0, f"QEMU has ended: {self.log.read_text()[-2000:]}"
            lines = connection.makefile("rw")
            answer: dict[str, Any] = json.loads(lines.readline())
            for wanted in ("qmp_capabilities", name):
                lines.write(json.dumps({"execute": wanted, "arguments": arguments if wanted == name else {}}) + "\n")
                lines.flush()
                answer = json.loads(lines.readline())
                while "event" in answer:
                    answer = json.loads(lines.readline())
            assert "error" not in answer, f"{name}: {answer}"
            return answer["return"]

    def write(self, dice: random.Random, pieces: int) -> None:
        """Fills pieces of both disks, each with one byte, and the models with the same."""
        for number, model in enumerate(self.models):
            with open(model, "r+b") as file:
                for _ in range(pieces):
                    at = dice.randrange(model.stat().st_size // PIECE) * PIECE
                    byte = dice.randrange(256)
                    device = f"/machine/peripheral/vd{number}/virtio-backend"
                    self.command("human-monitor-command", **{"command-line": f'qemu-io -d {device} "write -P {byte} {at} {PIECE}"'})
                    file.seek(at)
                    file.write(bytes([byte]) * PIECE)

    def status(self) -> str:
        return self.command("query-status")["status"]

    def added_nodes(self) -> list[str]:
        """Block nodes that are not its own."""
        nodes = self.command("query-named-block-nodes", flat=True)
        own = {f"{kind}{number}" for kind in ("file", "disk") for number in range(len(self.disks))}
        return sorted(node["node-name"] for node in nodes if node["node-name"] not in own)

    def is_running(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.socket)) == 0

    def end(self) -> None:
        """As a clean shutdown of the process: images closed, bitmaps stored."""
        with contextlib.suppress(OSError, json.JSONDecodeError, AssertionError):
            self.command("quit")
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while self.is_running():
            assert time.monotonic() < deadline, "QEMU does not end"
            time.sleep(0.05)
