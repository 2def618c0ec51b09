"""A real OpenSearch node from Maven Central, in one JVM, on loopback."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from harness.http import Http
from harness.server import ROOT, clean_environment, free_port

SOURCES = ROOT / "tests" / "peers"
CACHE = Path(os.environ.get("SNAPKEEP_TEST_CACHE") or ROOT / ".test") / "opensearch"
START_LIMIT_SECONDS = 120
OPENED_PACKAGES = ("java.lang", "java.util", "java.nio", "java.io", "java.net", "sun.nio.ch", "sun.nio.fs", "jdk.internal.ref")


class PeerUnavailable(Exception):
    """Why there is no real OpenSearch on this machine."""


def prepare() -> None:
    """Downloads the server's jars and compiles its starter, once: both are kept in the cache folder."""
    for tool in ("java", "javac", "mvn"):
        if not shutil.which(tool):
            raise PeerUnavailable(f"{tool} is not installed (a JDK of version 17 or newer and Maven are needed to start a real OpenSearch)")
    marker = CACHE / "prepared"
    wanted = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in ("pom.xml", "OpenSearchPeer.java"))).hexdigest()
    if marker.exists() and marker.read_text() == wanted:
        return
    shutil.rmtree(CACHE, ignore_errors=True)
    (CACHE / "classes").mkdir(parents=True)
    print("fetching OpenSearch from Maven Central", flush=True)
    run("mvn", "-q", "-B", "-f", SOURCES / "pom.xml", "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={CACHE / 'lib'}")
    run("javac", "-cp", f"{CACHE / 'lib'}/*", "-d", CACHE / "classes", SOURCES / "OpenSearchPeer.java")
    marker.write_text(wanted)


def run(*command: object) -> None:
    try:
        done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    except subprocess.TimeoutExpired as late:
        raise PeerUnavailable(f"`{command[0]}` did not end within {late.timeout} s") from late
    if done.returncode != 0:
        raise PeerUnavailable(f"`{command[0]}` failed: {done.stdout.strip()[-1500:]}")


class OpenSearchPeer:
    """Running while used as a context manager. Relative repository locations lie in `repo_root`."""

    def __init__(self, folder: Path) -> None:
        self.home = Path(folder)
        self.repo_root = self.home / "repo"
        self.log = self.home / "peer.log"
        self.http = Http("127.0.0.1", free_port())
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "OpenSearchPeer":
        self.home.mkdir(parents=True, exist_ok=True)
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED_PACKAGES]
        flags = ["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-Dio.netty.noUnsafe=true", "-Dlog4j2.disable.jmx=true", "-Dopensearch.set.netty.runtime.available.processors=false"]
        arguments = [str(self.home), str(self.http.port), str(free_port())]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["java", *flags, *opens, "-cp", f"{CACHE / 'classes'}:{CACHE / 'lib'}/*", "OpenSearchPeer", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=clean_environment(), start_new_session=True,
            )
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"OpenSearch ended while starting:\n{self.log.read_text()[-3000:]}"
            with contextlib.suppress(OSError):
                if self.http.get("/_cluster/health?wait_for_status=yellow&timeout=5s").status == 200:
                    return self
            time.sleep(0.2)
        self.__exit__()
        raise AssertionError(f"OpenSearch did not answer within {START_LIMIT_SECONDS} s:\n{self.log.read_text()[-3000:]}")

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
            self.process = None
