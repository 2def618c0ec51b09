"""The program under test: the debug binary as a process of its own, with its data in a folder that the test owns."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from harness.http import Http

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 30


def binary() -> Path:
    return Path(os.environ.get("SNAPKEEP_BINARY") or Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug" / "snapkeep")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without settings that would reach the program, restic or curator by accident."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNAPKEEP_", "RESTIC_", "PYTHONPATH"))}
    return kept | (extra or {})


class Server:
    """`snapkeep serve` on a free port. Used as a context manager it is stopped at the end, whatever happened."""

    def __init__(self, folder: Path, repo_roots: tuple[Path, ...] | None = None, environment: dict[str, str] | None = None) -> None:
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.repo_roots = (self.folder / "repos",) if repo_roots is None else repo_roots
        self.environment = environment or {}
        self.log = self.folder / "server.log"
        self.port = free_port()
        self.http = Http("127.0.0.1", self.port)
        self.process: subprocess.Popen | None = None
        self.folder.mkdir(parents=True, exist_ok=True)
        for root in self.repo_roots:
            root.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return self.http.url

    def command(self) -> list[str]:
        roots = [argument for root in self.repo_roots for argument in ("--repo-root", str(root))]
        return [str(binary()), "serve", "--data-dir", str(self.data), "--listen", f"127.0.0.1:{self.port}", *roots]

    def start(self) -> "Server":
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=clean_environment(self.environment), start_new_session=True,
            )
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode} while starting:\n{self.log_tail()}")
            with contextlib.suppress(OSError):
                if self.http.get("/health", timeout_seconds=5).status == 200:
                    return self
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the server did not answer /health within {START_LIMIT_SECONDS} s:\n{self.log_tail()}")

    def stop(self) -> int | None:
        """Asks the server to end; kills it when it takes too long. Its exit code, negative for a signal."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end within {STOP_LIMIT_SECONDS} s of SIGTERM:\n{self.log_tail()}") from None
        finally:
            self.process = None

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(STOP_LIMIT_SECONDS)
            self.process = None

    def log_tail(self, lines: int = 60) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def erase(self) -> None:
        """Forgets the server's data, not its repositories."""
        shutil.rmtree(self.data)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, kind: type | None, error: object, trace: object) -> None:
        if self.process is None:
            return
        if kind is None:
            self.stop()
        else:
            self.kill()


def run_program(*arguments: str, environment: dict[str, str] | None = None, limit_seconds: float = 60, folder: Path | None = None) -> subprocess.CompletedProcess:
    """Runs a command of the program to its end; text in, text out."""
    return subprocess.run(
        [str(binary()), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=clean_environment(environment), timeout=limit_seconds, cwd=folder,
    )
