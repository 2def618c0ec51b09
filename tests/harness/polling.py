"""Waiting for something, never for ever."""

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")


def wait_until(what: str, probe: Callable[[], Value], limit_seconds: float = 30, every_seconds: float = 0.05) -> Value:
    """Calls `probe` until it gives something true, which is returned."""
    deadline = time.monotonic() + limit_seconds
    while True:
        if value := probe():
            return value
        assert time.monotonic() < deadline, f"{what}: not within {limit_seconds} s"
        time.sleep(every_seconds)
