"""The suites of `./test`: sets up what they need, runs them, and sums up.

    ./test                 everything
    ./test --list          the suites, one a line
    ./test NAME [ARGS]     one of them; ARGS go to its runner (pytest, or cargo test)
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Tally:
    """What a suite counted. A suite that could not run counts as one skipped, with the reason."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.reasons += other.reasons

    def line(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Suite:
    name: str
    about: str
    limit_seconds: int
    needs: tuple[str, ...] = ()


SUITES = (
    Suite("unit", "unit, property and battery tests of all crates (cargo test --workspace)", 1800),
    Suite("seeds", "every request of the two source documents, as printed there", 300, ("binary", "restic")),
    Suite("clients", "elasticsearch-py 8 and opensearch-py: snapshot, restore, status, cancel, documents compared", 300, ("binary",)),
    Suite("policies", "schedules, retention and locks: SLM, snapshot management, native API and commands", 600, ("binary",)),
    Suite("security", "credentials, roles and limits, TLS, failed attempts and the audit log", 600, ("binary",)),
    Suite("huawei", "Huawei CSS: the requests of the source document, the unmodified SDK, every row of the table of errors", 300, ("binary",)),
    Suite("alibaba", "Alibaba: automatic snapshots by schedule, the unmodified SDK, reference repositories", 300, ("binary", "restic")),
    Suite("idc51", "51idc: the requests of the source document, its contradictions, chains, exports, tokens, events, every row of the table of errors", 600, ("binary",)),
    Suite("weaviate", "collections: the Python client's own backup tests, round trips to the last bit, increments, writers, cancels, kills", 600, ("binary", "weaviate-client")),
    Suite("curator", "elasticsearch-curator 8: snapshot, restore and delete_snapshots actions", 300, ("binary",)),
    Suite("restic", "interoperability with stock restic, both ways", 300, ("binary", "restic")),
    Suite("crash", "kill -9 at random points of snapshot, restore, delete and prune, of backups of collections, and of snapshots and rollbacks of disks", 1200, ("binary", "restic")),
    Suite("conformance", "the same requests to a real OpenSearch and to Snapkeep, answers compared", 600, ("binary", "opensearch")),
    Suite("nbd", "disks of snapshots over NBD: nbdinfo, nbdcopy, qemu-img, booting, overlays, TLS, hostile clients; the client on the servers of others", 600, ("binary", "nbd-tools")),
    Suite("volumes", "disks: ext4 and XFS images, how changes are found, live disks of QEMU, chains, images, rollbacks in place, disks in use, no room", 600, ("binary", "restic", "disk-tools")),
    Suite("hosts", "a running QEMU as the host of disks: live snapshots, a server killed in the middle of them, rollbacks that stop and start it", 600, ("binary", "qemu")),
    Suite("cli", "the program: commands, JSON output, exit codes, configuration errors, shutdown", 300, ("binary", "restic")),
    Suite("demo", "the round trip that `cargo run -- demo` shows a newcomer", 300, ("binary",)),
)


class Unavailable(Exception):
    """A need that could not be met; the text says why."""


def run_quietly(command: list[str], limit_seconds: int) -> None:
    """Runs a set-up command; its output is shown only when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_seconds)
    if done.returncode != 0:
        raise Unavailable(f"`{' '.join(command)}` failed: {done.stdout.strip()[-2000:]}")


def provide_binary() -> None:
    """Builds the debug binary that the suites drive, unless SNAPKEEP_BINARY names one."""
    if os.environ.get("SNAPKEEP_BINARY"):
        return
    build = subprocess.run(["cargo", "build", "--quiet", "-p", "snapkeep"], cwd=ROOT, stdin=subprocess.DEVNULL, timeout=2400)
    if build.returncode != 0:
        raise SystemExit("the build failed, so no suite can run")


def provide_restic() -> None:
    provide_programs({"restic": "restic"})


def provide_opensearch() -> None:
    from harness.peer import PeerUnavailable, prepare

    try:
        prepare()
    except PeerUnavailable as reason:
        raise Unavailable(str(reason)) from reason


def provide_weaviate_client() -> None:
    from harness.weaviate_client import ClientUnavailable, prepare

    try:
        prepare()
    except ClientUnavailable as reason:
        raise Unavailable(str(reason)) from reason


def provide_programs(packages: dict[str, str]) -> None:
    """Programs, by the packages that they come with."""
    missing = sorted({package for program, package in packages.items() if not shutil.which(program)})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable(f"programs of {', '.join(missing)} are not installed, and installing them needs root and apt-get")
    print(f"installing {', '.join(missing)} with apt-get", flush=True)
    run_quietly(["apt-get", "update", "-qq"], 300)
    # A newer QEMU of another suite must not be removed for an older one.
    run_quietly(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "--no-remove", *missing], 300)


def provide_nbd_tools() -> None:
    qemu = dict.fromkeys(["qemu-img", "qemu-io", "qemu-nbd"], "qemu-utils")
    provide_programs(qemu | {"nbdkit": "nbdkit", "nbdinfo": "libnbd-bin", "nbdcopy": "libnbd-bin"})


def provide_disk_tools() -> None:
    """What makes and looks at disks. Loop devices and mounts are up to the tests: those that need them say why they are skipped."""
    qemu = dict.fromkeys(["qemu-img", "qemu-io", "qemu-nbd"], "qemu-utils") | {"qemu-storage-daemon": "qemu-system-common"}
    ext4 = dict.fromkeys(["mkfs.ext4", "debugfs", "e2fsck", "chattr"], "e2fsprogs")
    provide_programs(qemu | ext4 | dict.fromkeys(["mkfs.xfs", "xfs_repair"], "xfsprogs"))


def provide_qemu() -> None:
    provide_programs({"qemu-img": "qemu-utils", "qemu-system-x86_64": "qemu-system-x86"})


PROVIDERS = {"binary": provide_binary, "disk-tools": provide_disk_tools, "nbd-tools": provide_nbd_tools, "qemu": provide_qemu, "restic": provide_restic, "opensearch": provide_opensearch, "weaviate-client": provide_weaviate_client}


class Needs:
    """Meets each need once a run and remembers the outcome."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str | None] = {}

    def missing(self, suite: Suite) -> list[str]:
        return [reason for need in suite.needs if (reason := self.meet(need))]

    def meet(self, need: str) -> str | None:
        if need not in self.outcomes:
            try:
                PROVIDERS[need]()
                self.outcomes[need] = None
            except (Unavailable, subprocess.TimeoutExpired) as reason:
                self.outcomes[need] = str(reason)
        return self.outcomes[need]


def run_cargo(suite: Suite, arguments: list[str]) -> Tally:
    """`cargo test`, its output passed on line by line and its result lines summed up."""
    tally = Tally()
    command = ["timeout", str(suite.limit_seconds), "cargo", "test", "--workspace", "--no-fail-fast", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    for line in process.stdout:
        # The passing tests are thousands of lines; what fails is printed again at the end of each target.
        if not re.match(r"test .* \.\.\. ok$", line):
            print(line, end="", flush=True)
        if counts := re.match(r"test result: .* (\d+) passed; (\d+) failed; (\d+) ignored", line):
            tally.add(Tally(*map(int, counts.groups())))
    if process.wait() != 0 and tally.failed == 0:
        tally.add(Tally(failed=1))
        print(f"cargo test ended with {process.returncode}", flush=True)
    return tally


def run_pytest(suite: Suite, arguments: list[str]) -> Tally:
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [
            "timeout", "--kill-after=30", str(suite.limit_seconds),
            sys.executable, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", ".", f"tests/{suite.name}", f"--junitxml={report.name}", *arguments,
        ]
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode
        try:
            results = xml.parse(report.name).getroot().find("testsuite").attrib
        except (xml.ParseError, AttributeError):
            print(f"suite {suite.name}: no result within {suite.limit_seconds} s (pytest ended with {code})", flush=True)
            return Tally(failed=1)
    failed = int(results["failures"]) + int(results["errors"])
    skipped = int(results["skipped"])
    passed = int(results["tests"]) - failed - skipped
    if code != 0 and failed == 0:
        print(f"suite {suite.name}: pytest ended with {code}", flush=True)
        failed = 1
    return Tally(passed, failed, skipped)


def run_suite(suite: Suite, needs: Needs, arguments: list[str]) -> Tally:
    started = time.monotonic()
    print(f"\n=== {suite.name}: {suite.about}", flush=True)
    if missing := needs.missing(suite):
        tally = Tally(skipped=1, reasons=[f"{suite.name} skipped: {reason}" for reason in missing])
        print("\n".join(tally.reasons), flush=True)
    elif suite.name == "unit":
        tally = run_cargo(suite, arguments)
    else:
        tally = run_pytest(suite, arguments)
    print(f"--- {suite.name}: {tally.line()} in {time.monotonic() - started:.0f} s", flush=True)
    return tally


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--list"]:
        for suite in SUITES:
            print(f"{suite.name:<12} {suite.about}")
        return 0
    if arguments[:1] in (["--help"], ["-h"]):
        print(__doc__.strip())
        return 0
    chosen = list(SUITES)
    if arguments:
        chosen = [suite for suite in SUITES if suite.name == arguments[0]]
        if not chosen:
            print(f"no suite {arguments[0]!r}; there are: {', '.join(suite.name for suite in SUITES)}", file=sys.stderr)
            return 2

    needs, total, lines = Needs(), Tally(), []
    for suite in chosen:
        tally = run_suite(suite, needs, arguments[1:])
        total.add(tally)
        lines.append(f"{suite.name:<12} {tally.line()}")

    print("\n" + "\n".join(lines))
    for reason in total.reasons:
        print(f"not run: {reason}")
    print(total.line(), flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
