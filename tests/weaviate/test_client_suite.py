"""The backup tests that come with Weaviate's Python client, unmodified, against a server on the ports they are written for."""

import os
import re
import subprocess
from pathlib import Path

from harness import weaviate_client
from harness.server import Server, clean_environment

REST_PORT, GRPC_PORT = 8093, 50065
TESTS = 22
LIMIT_SECONDS = 200


class OnFixedPorts(Server):
    """A server that listens where the suite looks for one, too."""

    def command(self) -> list[str]:
        ports = [argument for port in (REST_PORT, GRPC_PORT) for argument in ("--listen", f"127.0.0.1:{port}")]
        return super().command() + ports


def test_all_of_them_pass(tmp_path: Path) -> None:
    with OnFixedPorts(tmp_path) as server:
        # Two of them want backups in a folder of pytest's, which must lie where repositories may.
        folder = server.repo_roots[0] / "of-pytest"
        done = subprocess.run(
            [
                str(weaviate_client.PYTHON), "-m", "pytest", "integration/test_backup_v4.py", "-q",
                "-p", "no:cacheprovider", f"--basetemp={folder}", "--tb=short",
            ],
            cwd=weaviate_client.SOURCES, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=LIMIT_SECONDS, env=clean_environment({"PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}),
        )
        summary = done.stdout.strip()[-4000:]
        assert done.returncode == 0, f"{summary}\n{server.log_tail()}"
        assert re.search(rf"\b{TESTS} passed\b", summary) and not re.search(r"skipped|failed|error", summary.splitlines()[-1]), summary
