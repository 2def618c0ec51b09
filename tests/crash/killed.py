"""A server that is killed at random moments of its operations, with a client that writes meanwhile."""

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from harness.server import Server

REQUEST_LIMIT_SECONDS = 60


class Writer(threading.Thread):
    """Writes until told to stop or the server is gone, and remembers what was acknowledged."""

    def __init__(self, server: Server, run: int) -> None:
        super().__init__(daemon=True)
        self.server, self.run_number = server, run
        self.acknowledged: set[str] = set()
        self.ending = threading.Event()

    def run(self) -> None:
        batch = 0
        while not self.ending.is_set():
            try:
                self.acknowledged |= self.write_batch(batch)
            except OSError:
                return
            batch += 1
            self.ending.wait(0.01)

    def write_batch(self, batch: int) -> set[str]:
        """Writes a few things and gives those that the server vouched for."""
        raise NotImplementedError


@dataclass
class KilledWorld:
    """A server and what it must still know. Has a `do_…` for each operation, which prepares it and gives the request."""

    server: Server
    cache: Path
    written: set[str] = field(default_factory=set)
    """What was acknowledged to writers."""
    longest: dict[str, float] = field(default_factory=dict)
    """Seconds that each operation took at most so far, so that kills fall into it."""
    taken: int = 0

    def prepare(self) -> None:
        raise NotImplementedError

    def prove(self, source: random.Random, every_byte: bool) -> None:
        """Nothing stuck, nothing lost, nothing half there."""
        raise NotImplementedError

    def listed(self) -> dict[str, dict]:
        raise NotImplementedError

    def make_writer(self, run: int) -> Writer | None:
        """A client that writes beside each operation; none where nobody does."""
        return None

    def kill_during(self, operation: str, source: random.Random) -> None:
        """Starts the operation beside a writer, kills the server at a random moment, starts it again."""
        action: Callable[[], object] = getattr(self, f"do_{operation}")(source)
        writer = self.make_writer(self.taken * 1000 + source.randrange(1000))
        started = time.monotonic()
        finished: list[float] = []

        def act() -> None:
            with contextlib.suppress(OSError, AssertionError, ValueError):
                action()
                finished.append(time.monotonic() - started)

        worker = threading.Thread(target=act, daemon=True)
        if writer:
            writer.start()
        worker.start()
        time.sleep(source.uniform(0, self.longest[operation]) * 1.1)
        self.server.kill()
        worker.join(REQUEST_LIMIT_SECONDS)
        assert not worker.is_alive(), "a request outlived the server"
        if writer:
            writer.ending.set()
            writer.join(REQUEST_LIMIT_SECONDS)
            assert not writer.is_alive(), "a write outlived the server"
            self.written |= writer.acknowledged
        for seconds in finished:
            self.longest[operation] = max(self.longest[operation], seconds)
        self.server.start()

    def survive(self, run: int, operations: tuple[str, ...], every_byte_each: int) -> None:
        """One kill and its proof; the moment follows from the number of the run alone."""
        source = random.Random(run)
        if self.server.process is None:
            self.server.start()
        try:
            self.kill_during(operations[run % len(operations)], source)
            self.prove(source, every_byte=run % every_byte_each == every_byte_each - 1)
        except Exception as error:
            raise AssertionError(f"{error}\n{self.server.log_tail(25)}") from error

    def stop_and_start(self) -> None:
        """After all kills a clean stop and start changes nothing."""
        before = self.listed()
        assert self.server.stop() == 0
        self.server.start()
        assert self.listed() == before
        self.prove(random.Random(0), every_byte=True)


@contextlib.contextmanager
def running(kind: type[KilledWorld], folder: Path) -> Iterator[KilledWorld]:
    """A world with its server started and its data written."""
    server = Server(folder)
    server.start()
    try:
        made = kind(server, folder / "restic-cache")
        made.prepare()
        yield made
    finally:
        server.kill()
