"""What weaviate-client 4, unmodified, does with collections beside backing them up."""

import os
import subprocess
from pathlib import Path

from harness import weaviate_client
from harness.server import Server, clean_environment

TESTS = Path(__file__).parent / "client" / "collections_v4.py"
LIMIT_SECONDS = 100


def test_the_client_finds_what_it_needs(server: Server) -> None:
    done = subprocess.run(
        [
            str(weaviate_client.PYTHON), "-m", "pytest", str(TESTS), "-q", "-p", "no:cacheprovider", "--tb=short",
            f"--rootdir={TESTS.parent}", f"--confcutdir={TESTS.parent}", "--import-mode=importlib",
        ],
        cwd=TESTS.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_SECONDS,
        env=clean_environment({"COLLECTIONS_PORT": str(server.port), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}),
    )
    assert done.returncode == 0, f"{done.stdout.strip()[-6000:]}\n{server.log_tail()}"
