"""`snapkeep volume serve` as a process, and the tools of others that look at what it serves."""

import contextlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator

from harness.server import ROOT, Server, binary, clean_environment

LIMIT_SECONDS = 120
# An authority, and a certificate of it for localhost and 127.0.0.1.
CERTIFICATES = ROOT / "crates" / "nbd" / "tests" / "data"


class Served:
    """A disk that is served. Nothing is known but what the command printed."""

    def __init__(self, process: subprocess.Popen, told: dict[str, Any]) -> None:
        self.process = process
        self.told = told
        self.uri: str = told["uri"]

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(LIMIT_SECONDS)


@contextlib.contextmanager
def served(server: Server, snapshot: str, *arguments: str) -> Iterator[Served]:
    """Serves a snapshot with these flags."""
    command = [str(binary()), "volume", "serve", snapshot, *arguments, "--json", "--data-dir", str(server.data)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
    try:
        lines = []
        while not lines or lines[-1] != "}":
            line = process.stdout.readline()
            assert line, f"{command} ended with {process.wait(LIMIT_SECONDS)}: {process.stderr.read()}"
            lines.append(line.rstrip("\n"))
        yield Served(process, json.loads("\n".join(lines)))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(LIMIT_SECONDS)


def tool(*command: str, code: int = 0) -> str:
    """Runs a tool that has to end like this; what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=LIMIT_SECONDS)
    assert done.returncode == code, f"{command} ended with {done.returncode}: {done.stdout}"
    return done.stdout


def qemu_io(uri: str, *commands: str, read_only: bool = False) -> str:
    """Reads and writes as QEMU does. A read with `-P` fails when there are other bytes, which qemu-io only says."""
    options = [word for command in commands for word in ("-c", command)]
    said = tool("qemu-io", *(["-r"] if read_only else []), "-f", "raw", *options, uri)
    assert "Pattern verification failed" not in said, said
    return said


def allocation(uri: str) -> list[dict[str, Any]]:
    """`base:allocation` of an export."""
    return json.loads(tool("nbdinfo", "--json", "--map", uri))
