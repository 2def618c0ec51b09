"""What the tools of others see of a snapshot that is served, and that nothing they do reaches it."""

import hashlib
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from harness.nbd import CERTIFICATES, Served, allocation, qemu_io, served, tool
from harness.server import Server, run_program
from nbd.conftest import BOOT_SECTOR, BOOTED, DISK_MIB, MIB, Point, take


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def reading(machine: Server, point: Point) -> Iterator[Served]:
    with served(machine, point.snapshot) as serving:
        yield serving


def identical(one: str, other: str) -> bool:
    done = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "raw", one, other], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stdout
    return done.returncode == 0


def test_what_is_served_is_told(reading: Served, point: Point) -> None:
    told = reading.told
    assert told["volume"] == point.volume and told["size_bytes"] == DISK_MIB * MIB and told["writable"] is False
    assert told["uri"].startswith("nbd+unix:///vol-system1?socket=") and any("qemu-system" in command for command in told["commands"])
    socket = Path(told["uri"].split("socket=")[1])
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600 and stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    info = tool("nbdinfo", reading.uri)
    assert "is_read_only: true" in info and "base:allocation" in info and f"export-size: {DISK_MIB * MIB}" in info, info
    assert point.snapshot in tool("nbdinfo", "--list", reading.uri)


def test_the_disk_reads_as_it_was_and_its_holes_are_holes(reading: Served, point: Point, tmp_path: Path) -> None:
    tool("nbdcopy", reading.uri, str(tmp_path / "copy.raw"))
    assert digest(tmp_path / "copy.raw") == digest(point.disk)
    assert identical(reading.uri, str(point.disk))
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", reading.uri, str(tmp_path / "copy.qcow2"))
    tool("qemu-img", "compare", "-F", "raw", str(tmp_path / "copy.qcow2"), str(point.disk))
    extents = allocation(reading.uri)
    assert sum(extent["length"] for extent in extents) == DISK_MIB * MIB
    data = sum(extent["length"] for extent in extents if extent["type"] == 0)
    assert 6 * MIB < data < 9 * MIB, "holes and zeroes are told"
    assert all(extent["type"] == 3 for extent in extents if extent["offset"] == 30 * MIB)
    for _ in range(2):
        with open(point.disk, "rb") as disk:
            disk.seek(20 * MIB + 4096)
            first = disk.read(1)[0]
        qemu_io(reading.uri, f"read -P {first} {20 * MIB + 4096} 1", f"read -P 0 {30 * MIB} {MIB}", read_only=True)


def test_a_read_only_export_takes_no_writes(reading: Served) -> None:
    done = subprocess.run(["qemu-io", "-f", "raw", "-c", "write 0 512", reading.uri], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode != 0, done.stdout


def test_what_is_written_goes_to_the_overlay_and_never_to_the_snapshot(machine: Server, point: Point, reading: Served, tmp_path: Path) -> None:
    scratch = tmp_path / "overlay"
    flags = ("--overlay", str(scratch), "--socket", str(tmp_path / "s"))
    with served(machine, point.snapshot, *flags) as writing:
        assert writing.told["writable"] is True
        qemu_io(writing.uri, f"write -P 9 {MIB} 65536", "write -P 7 12345 789", f"write -z -u {20 * MIB} {MIB}", f"discard {50 * MIB} {MIB}", "flush")
        assert identical(reading.uri, str(point.disk)) and not identical(writing.uri, reading.uri)
        other = run_program("volume", "serve", point.snapshot, "--overlay", str(scratch), "--data-dir", str(machine.data))
        assert other.returncode == 2 and "another server uses it" in other.stderr, other.stderr
        assert writing.end() == 0
    assert scratch.stat().st_blocks * 512 < MIB, "only what was written takes space"
    assert not (tmp_path / "s").exists()

    # It is continued, also after a kill: what was flushed is there.
    with served(machine, point.snapshot, *flags) as writing:
        qemu_io(writing.uri, f"read -P 9 {MIB} 65536", "read -P 7 12345 789", f"read -P 0 {20 * MIB} {MIB}", f"write -P 5 {40 * MIB} 100000", "flush")
        writing.end(signal.SIGKILL)
    with served(machine, point.snapshot, *flags) as writing:
        qemu_io(writing.uri, f"read -P 5 {40 * MIB} 100000", f"read -P 9 {MIB} 65536")
        tool("nbdcopy", writing.uri, str(tmp_path / "changed.raw"))
    model = bytearray(point.disk.read_bytes())
    model[MIB : MIB + 65536] = b"\x09" * 65536
    model[12345 : 12345 + 789] = b"\x07" * 789
    model[20 * MIB : 21 * MIB] = bytes(MIB)
    model[50 * MIB : 51 * MIB] = bytes(MIB)
    model[40 * MIB : 40 * MIB + 100000] = b"\x05" * 100000
    assert (tmp_path / "changed.raw").read_bytes() == bytes(model)
    assert identical(reading.uri, str(point.disk))


def test_an_overlay_fits_only_its_snapshot(machine: Server, point: Point, tmp_path: Path) -> None:
    scratch = tmp_path / "overlay"
    with served(machine, point.snapshot, "--overlay", str(scratch)) as writing:
        assert writing.end() == 0
    later = take(machine, "vol-system1")
    refused = run_program("volume", "serve", later, "--overlay", str(scratch), "--data-dir", str(machine.data))
    assert refused.returncode == 2 and f"belongs to another disk: vol-system1 of snapshot {point.snapshot}" in refused.stderr, refused.stderr
    (tmp_path / "file").write_text("precious")
    refused = run_program("volume", "serve", later, "--overlay", str(tmp_path / "file"), "--data-dir", str(machine.data))
    assert refused.returncode == 2 and "no overlay" in refused.stderr and (tmp_path / "file").read_text() == "precious"


def test_a_writable_disk_without_a_file_forgets(machine: Server, point: Point) -> None:
    for _ in range(2):
        with served(machine, point.snapshot, "--writable") as writing:
            assert identical(writing.uri, str(point.disk))
            qemu_io(writing.uri, f"write -P 9 0 {3 * MIB}", "flush", f"read -P 9 0 {3 * MIB}")
            assert writing.end(signal.SIGTERM) == 0


def test_the_disk_of_an_instance_is_chosen(machine: Server) -> None:
    snapshot = take(machine, "i-machine")
    undecided = run_program("volume", "serve", snapshot, "--data-dir", str(machine.data))
    assert undecided.returncode == 1 and "vol-data001" in undecided.stderr and "vol-system1" in undecided.stderr, undecided.stderr
    with served(machine, snapshot, "--volume", "vol-data001", "--repository", "volumes", "--export-name", "the disk") as serving:
        assert serving.told["export"] == "the disk" and "the%20disk" in serving.uri
        assert identical(serving.uri, str(machine.data / "volumes" / "vol-data001.raw"))


@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="qemu-system-x86_64 is not installed, so nothing can be booted (apt-get install --no-remove qemu-system-x86)")
def test_a_machine_boots_from_the_snapshot_and_writes_to_its_disk(machine: Server, point: Point, reading: Served, tmp_path: Path) -> None:
    def boot(drive: str) -> None:
        serial = tmp_path / "serial"
        devices = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive", f"file={drive},format=raw,if=ide"]
        tool("qemu-system-x86_64", "-accel", "tcg", "-m", "32", "-display", "none", "-nic", "none", "-serial", f"file:{serial}", *devices, code=0x21)
        assert BOOTED in serial.read_bytes()

    with served(machine, point.snapshot, "--writable", "--socket", str(tmp_path / "s")) as writing:
        boot(writing.uri)
        tool("nbdcopy", writing.uri, str(tmp_path / "booted.raw"))
    booted = (tmp_path / "booted.raw").read_bytes()
    assert booted[512:1024] == BOOT_SECTOR, "the machine wrote to its disk"
    assert booted[1024:] == point.disk.read_bytes()[1024:]
    # A read-only disk with QEMU's own scratch file, as the printed command has it.
    boot(f"{reading.uri},snapshot=on")
    assert identical(reading.uri, str(point.disk))


def test_a_port_has_a_secret_name_and_other_hosts_need_tls(machine: Server, point: Point) -> None:
    with served(machine, point.snapshot, "--listen", "127.0.0.1:0") as serving:
        address, name = serving.uri.rsplit("/", 1)
        assert len(name) == 32 and identical(serving.uri, str(point.disk))
        for guess in (f"{address}/", f"{address}/vol-system1"):
            tool("nbdinfo", guess, code=1)
        tool("nbdinfo", "--list", f"{address}/", code=1)
    refused = run_program("volume", "serve", point.snapshot, "--listen", "0.0.0.0:0", "--data-dir", str(machine.data))
    assert refused.returncode == 2 and "in the clear" in refused.stderr, refused.stderr


def test_tls(machine: Server, point: Point, tmp_path: Path) -> None:
    flags = ("--tls-cert", str(CERTIFICATES / "server-cert.pem"), "--tls-key", str(CERTIFICATES / "server-key.pem"))
    with served(machine, point.snapshot, "--listen", "127.0.0.1:0", "--export-name", "disk", *flags) as serving:
        assert serving.uri.startswith("nbds://127.0.0.1:") and "FOLDER" in serving.told["commands"][0]
        trusted = f"{serving.uri.replace('127.0.0.1', 'localhost')}?tls-certificates={CERTIFICATES}"
        tool("nbdcopy", trusted, str(tmp_path / "copy.raw"))
        assert digest(tmp_path / "copy.raw") == digest(point.disk)
        assert "base:allocation" in tool("nbdinfo", trusted)
        tool("nbdinfo", serving.uri.replace("nbds:", "nbd:"), code=1)
    # A client without a certificate is not let in where one is wanted.
    with served(machine, point.snapshot, "--socket", str(tmp_path / "s"), *flags, "--tls-client-ca", str(CERTIFICATES / "ca-cert.pem")) as serving:
        assert serving.uri.startswith("nbds+unix://")
        tool("nbdinfo", f"{serving.uri}&tls-certificates={CERTIFICATES}", code=1)
        assert "base:allocation" in tool("nbdinfo", f"{serving.uri}&tls-certificates={CERTIFICATES / 'client'}")


def test_a_snapshot_that_is_served_is_not_pruned_away(machine: Server, tmp_path: Path) -> None:
    path = machine.data / "volumes" / "vol-system1.raw"
    snapshot = take(machine, "vol-system1")
    before = digest(path)
    with served(machine, snapshot, "--cache", "1") as serving:
        deleted = run_program("volume", "delete", snapshot, "--yes", "--data-dir", str(machine.data))
        run_program("prune", "volumes", "--data-dir", str(machine.data))
        tool("nbdcopy", serving.uri, str(tmp_path / "copy.raw"))
        assert digest(tmp_path / "copy.raw") == before, deleted.stdout + deleted.stderr


def test_the_mistakes_of_an_operator_are_told(machine: Server, point: Point, tmp_path: Path) -> None:
    def told(*arguments: str, code: int) -> str:
        done = run_program("volume", "serve", *arguments, "--data-dir", str(machine.data))
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr

    assert "ss-nothing" in told("ss-nothing", code=5)
    assert "vol-nothing" in told(point.snapshot, "--volume", "vol-nothing", code=1)
    (tmp_path / "file").write_text("precious")
    assert "already" in told(point.snapshot, "--socket", str(tmp_path / "file"), code=2)
    assert "too long" in told(point.snapshot, "--socket", str(tmp_path / ("s" * 200)), code=2)
    assert "cert.pem" in told(point.snapshot, "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"), code=2)
    assert "tls-key" in told(point.snapshot, "--tls-cert", "cert.pem", code=2)
    assert os.listdir(tmp_path) == ["file"]
