"""Stock restic on a repository of ours, with what `snapkeep repo env` prints."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

from harness.server import clean_environment, run_program

LIMIT_SECONDS = 120


class Restic:
    """restic with an environment that names one repository and its password."""

    def __init__(self, environment: dict[str, str], cache: Path) -> None:
        self.environment = environment
        self.cache = cache

    @classmethod
    def of_server(cls, data: Path, repository: str, cache: Path) -> "Restic":
        """Asks the program, as an operator would: `eval "$(snapkeep repo env NAME --data-dir DIR)"`."""
        printed = run_program("repo", "env", repository, "--data-dir", str(data))
        assert printed.returncode == 0, printed.stderr
        return cls(parse_environment(printed.stdout), cache)

    def run(self, *arguments: str, limit_seconds: float = LIMIT_SECONDS, **more: Any) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["restic", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_seconds,
            env=clean_environment(self.environment | {"RESTIC_CACHE_DIR": str(self.cache)}), **more,
        )

    def ok(self, *arguments: str, **more: Any) -> str:
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"restic {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout.decode()[-1500:]}\n{done.stderr.decode()[-1500:]}"
        return done.stdout.decode()

    def snapshots(self) -> list[dict]:
        return json.loads(self.ok("snapshots", "--json")) or []

    def names(self) -> dict[str, str]:
        """Our snapshots' names, from their tags: name → restic's id."""
        found = {}
        for snapshot in self.snapshots():
            for tag in snapshot.get("tags") or []:
                if tag.startswith("snapkeep:name="):
                    found[tag.removeprefix("snapkeep:name=")] = snapshot["id"]
        return found

    def check(self, *arguments: str) -> str:
        return self.ok("check", *arguments)


def parse_environment(text: str) -> dict[str, str]:
    """Lines as a shell would eval them: `NAME=value`, quoted where needed, with or without `export`."""
    found = {}
    for line in text.splitlines():
        for word in shlex.split(line):
            if word != "export":
                name, _, value = word.partition("=")
                found[name] = value
    assert {"RESTIC_REPOSITORY", "RESTIC_PASSWORD"} <= found.keys(), text
    return found
