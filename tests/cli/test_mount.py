"""`snapkeep mount`: what is in a snapshot, as files. Skipped, with the reason, where the machine has no FUSE."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from harness.documents import Documents, bulk, create_index, make_documents, read_all
from harness.polling import wait_until
from harness.server import Server, binary, clean_environment, run_program
from harness.stock_restic import Restic

pytestmark = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="this machine has no usable /dev/fuse, so nothing can be mounted")


@pytest.fixture(scope="module")
def taken(folder: Path) -> Iterator[tuple[Server, Documents]]:
    server = Server(folder)
    with server:
        create_index(server.http, "books")
        bulk(server.http, "books", make_documents(3000))
        documents = read_all(server.http, "books")
        server.http.put("/_snapshot/main", {"type": "fs", "settings": {"location": "main"}}).ok()
        server.http.put("/_snapshot/main/one?wait_for_completion=true").ok()
        yield server, documents


def is_mounted(place: Path) -> bool:
    return any(line.split()[1] == str(place) for line in Path("/proc/mounts").read_text().splitlines())


@contextlib.contextmanager
def mounted(server: Server, snapshot: str, place: Path) -> Iterator[subprocess.Popen]:
    place.mkdir()
    command = [str(binary()), "mount", "main", snapshot, str(place), "--data-dir", str(server.data)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
    try:
        wait_until(f"a mount on {place}", lambda: is_mounted(place) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        if is_mounted(place):
            subprocess.run(["umount", "-l", str(place)], check=False)


def hashes(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*")) if path.is_file()}


def test_every_file_reads_as_stock_restic_restores_it(taken: tuple[Server, Documents], tmp_path: Path) -> None:
    server, documents = taken
    restic = Restic.of_server(server.data, "main", tmp_path / "cache")
    restic.ok("restore", restic.names()["one"], "--target", str(tmp_path / "restored"))
    with mounted(server, "one", tmp_path / "mnt"):
        found = hashes(tmp_path / "mnt")
        assert found == hashes(tmp_path / "restored")
        assert "snapkeep.json" in found
        lines = [line for path in (tmp_path / "mnt/indices/books").glob("*/docs-*.ndjson") for line in path.read_text().splitlines()]
        assert len(lines) == len(documents)
        assert {json.loads(line)["_id"] for line in lines} == set(documents)
        assert os.listdir(tmp_path / "mnt") == sorted(os.listdir(tmp_path / "mnt"))


def test_a_file_reads_at_any_position_and_nothing_can_be_written(taken: tuple[Server, Documents], tmp_path: Path) -> None:
    server, _ = taken
    with mounted(server, "one", tmp_path / "mnt"):
        path = next((tmp_path / "mnt/indices/books").glob("*/docs-*.ndjson"))
        whole = path.read_bytes()
        assert path.stat().st_size == len(whole)
        with open(path, "rb") as file:
            for offset in range(len(whole) - 1, -1, -max(1, len(whole) // 50)):
                file.seek(offset)
                assert file.read(777) == whole[offset : offset + 777]
        for attempt in (lambda: path.write_bytes(b""), lambda: path.unlink(), lambda: (tmp_path / "mnt/new").mkdir()):
            with pytest.raises(OSError):
                attempt()
        with pytest.raises(FileNotFoundError):
            (tmp_path / "mnt/indices/nosuch").stat()


def test_ctrl_c_and_umount_both_end_it(taken: tuple[Server, Documents], tmp_path: Path) -> None:
    server, _ = taken
    with mounted(server, "one", tmp_path / "first") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, process.stderr.read()
        assert not is_mounted(tmp_path / "first")
    with mounted(server, "one", tmp_path / "second") as process:
        subprocess.run(["umount", str(tmp_path / "second")], check=True)
        assert process.wait(30) == 0, process.stderr.read()


def test_what_is_mounted_stays_readable_though_the_snapshot_is_deleted_and_space_reclaimed(taken: tuple[Server, Documents], tmp_path: Path) -> None:
    server, _ = taken
    bulk(server.http, "books", make_documents(500, seed=9))
    server.http.put("/_snapshot/main/two?wait_for_completion=true").ok()
    restic = Restic.of_server(server.data, "main", tmp_path / "cache")
    with mounted(server, "two", tmp_path / "mnt"):
        server.http.delete("/_snapshot/main/two").ok()
        server.http.post("/_snapshot/main/_cleanup").ok()
        time.sleep(0.5)
        assert len(hashes(tmp_path / "mnt")) > 3
    restic.check("--read-data")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nosuch", "one", "{empty}"), 5, "nosuch"),
        (("main", "nosuch", "{empty}"), 5, "nosuch"),
        (("main", "one", "{full}"), 2, "not empty"),
        (("main", "one", "{missing}"), 2, "existing empty folder"),
    ],
)
def test_a_mistake_is_told_before_anything_is_mounted(taken: tuple[Server, Documents], tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    server, _ = taken
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    places = {name: str(tmp_path / name) for name in ("empty", "full", "missing")}
    done = run_program("mount", *(argument.format(**places) for argument in arguments), "--data-dir", str(server.data))
    assert done.returncode == code, done.stderr
    assert said in done.stderr, done.stderr
