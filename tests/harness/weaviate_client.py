"""The Python client of Weaviate with its own test suite, from its source distribution, in an environment of its own.

Nothing of it is kept in this repository; what is fetched stays in the cache folder.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from harness.server import ROOT

VERSION = "4.23.1"
TOOLS = ("pytest==9.2.0", "pytest-asyncio==1.5.0", "pytest-benchmark==5.3.1", "pytest-xdist==3.8.0")
CACHE = Path(os.environ.get("SNAPKEEP_TEST_CACHE") or ROOT / ".test") / f"weaviate-client-{VERSION}"
SOURCES = CACHE / f"weaviate_client-{VERSION}"
PYTHON = CACHE / "environment" / "bin" / "python"
FETCH_LIMIT_SECONDS = 600


class ClientUnavailable(Exception):
    """Why the client's suite cannot be run on this machine."""


def prepare() -> None:
    """Downloads and unpacks the source distribution and installs it, once."""
    marker = CACHE / "prepared"
    wanted = " ".join((VERSION, *TOOLS))
    if marker.exists() and marker.read_text() == wanted:
        return
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    print(f"fetching weaviate-client {VERSION} from PyPI", flush=True)
    run(sys.executable, "-m", "venv", CACHE / "environment")
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "download", "--no-binary", "weaviate-client", "--no-deps", "--dest", CACHE, f"weaviate-client=={VERSION}")
    with tarfile.open(CACHE / f"weaviate_client-{VERSION}.tar.gz") as archive:
        archive.extractall(CACHE, filter="data")
    run(*pip, "install", f"weaviate-client=={VERSION}", *TOOLS)
    marker.write_text(wanted)


def run(*command: object) -> None:
    try:
        done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=FETCH_LIMIT_SECONDS)
    except subprocess.TimeoutExpired as late:
        raise ClientUnavailable(f"`{command[0]}` did not end within {late.timeout} s") from late
    if done.returncode != 0:
        raise ClientUnavailable(f"`{' '.join(map(str, command))}` failed: {done.stdout.strip()[-1500:]}")
