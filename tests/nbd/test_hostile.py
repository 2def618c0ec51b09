"""Clients that do not keep to the rules: the program goes on serving the others, and takes no more memory for them."""

import random
import socket
import struct
from pathlib import Path
from typing import Iterator

import pytest

from harness.nbd import Served, qemu_io, served
from harness.polling import wait_until
from harness.server import Server
from nbd.conftest import MIB, Point

OPTION = b"IHAVEOPT"
GO, EXPORT_NAME, STRUCTURED_REPLY, SET_META_CONTEXT = 7, 1, 8, 10
READ, WRITE, DISCONNECT, BLOCK_STATUS = 0, 1, 2, 7
MEMORY_LIMIT_KIB = 400 << 10


def option(number: int, data: bytes = b"", length: int | None = None) -> bytes:
    return OPTION + struct.pack(">II", number, len(data) if length is None else length) + data


def request(command: int, offset: int, length: int) -> bytes:
    return struct.pack(">IHHQQI", 0x25609513, 0, command, 1, offset, length)


HANDSHAKE = struct.pack(">I", 3) + option(STRUCTURED_REPLY) + option(GO, struct.pack(">IH", 0, 0))


@pytest.fixture
def writing(machine: Server, point: Point, tmp_path: Path) -> Iterator[tuple[Served, Path]]:
    with served(machine, point.snapshot, "--writable", "--socket", str(tmp_path / "s")) as serving:
        yield serving, tmp_path / "s"


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(str(path))
    return client


def say(path: Path, *words: bytes) -> bytes:
    """Sends this and then nothing more; what came until the server hung up."""
    heard = b""
    with connect(path) as client:
        try:
            for word in words:
                client.sendall(word)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(1 << 20):
                heard += part
        except (BrokenPipeError, ConnectionResetError):
            pass
    return heard


def is_well(serving: Served) -> None:
    assert serving.process.poll() is None
    qemu_io(serving.uri, f"write -P 3 {10 * MIB} 5000", f"read -P 3 {10 * MIB} 5000", f"read -P 0 {30 * MIB} {MIB}")


def peak_kib(serving: Served) -> int:
    status = Path(f"/proc/{serving.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def test_garbage_at_any_point_of_a_session(writing: tuple[Served, Path]) -> None:
    serving, path = writing
    dice = random.Random(20261121)
    session = HANDSHAKE + request(READ, 0, 4096) + request(BLOCK_STATUS, 0, MIB) + request(DISCONNECT, 0, 0)
    say(path, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for _ in range(300):
        start = session[: dice.randrange(len(session) + 1)]
        say(path, start, dice.randbytes(dice.choice((0, 1, 28, 500, 20_000))))
    is_well(serving)


def test_lengths_that_lie_cost_nothing(writing: tuple[Served, Path]) -> None:
    serving, path = writing
    is_well(serving)
    before = peak_kib(serving)
    huge = 0xFFFF_FFFF
    for number in (GO, EXPORT_NAME, SET_META_CONTEXT, 999):
        say(path, struct.pack(">I", 3), option(number, b"x" * 100, length=huge))
    say(path, HANDSHAKE, request(WRITE, 0, huge), bytes(MIB))
    heard = say(path, HANDSHAKE, request(READ, 0, huge), request(READ, 1 << 63, 10), request(READ, 64 * MIB - 1, 2))
    assert heard.count(struct.pack(">I", 0x668E33EF)) == 3, "three errors, each of one chunk"
    assert peak_kib(serving) < before + (32 << 10)
    is_well(serving)


def test_many_clients_that_ask_for_much_and_take_nothing(writing: tuple[Served, Path]) -> None:
    serving, path = writing
    clients = []
    for _ in range(31):
        client = connect(path)
        client.sendall(HANDSHAKE + request(READ, 0, 32 * MIB) * 20)
        clients.append(client)
    is_well(serving)
    assert peak_kib(serving) < MEMORY_LIMIT_KIB
    # No room for more, until they leave.
    clients += [connect(path) for _ in range(3)]
    assert say(path, HANDSHAKE) == b""
    for client in clients:
        client.close()
    wait_until("room for new clients", lambda: say(path, HANDSHAKE) != b"")
    is_well(serving)


def test_a_long_write_that_is_cut_changes_nothing_but_its_own_bytes(writing: tuple[Served, Path], point: Point) -> None:
    serving, path = writing
    for sent in (0, 1, 65_536, 3 * MIB):
        say(path, HANDSHAKE, request(WRITE, 32 * MIB, 8 * MIB), b"\1" * sent)
    with open(point.disk, "rb") as disk:
        disk.seek(20 * MIB + 4096)
        byte = disk.read(1)[0]
    qemu_io(serving.uri, f"read -P {byte} {20 * MIB + 4096} 1", f"read -P 0 {31 * MIB} {MIB}", f"read -P 0 {40 * MIB} {MIB}")
    assert serving.end() == 0
