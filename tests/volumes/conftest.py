"""Servers whose data is on file systems of a known kind. Mounting them needs root and loop devices."""

import os
from pathlib import Path
from typing import Iterator

import pytest

from harness.server import Server
from volumes.disks import MIB, Volumes, mounted, said, sparse_file


@pytest.fixture(scope="session")
def loops() -> None:
    """For tests that attach loop devices or mount them."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to attach loop devices and to mount file systems")
    try:
        said("losetup", "--find")
    except AssertionError as cause:
        pytest.skip(f"needs a free loop device, and there is none: {cause}")


@pytest.fixture
def volumes(server: Server) -> Volumes:
    return Volumes(server)


@pytest.fixture(scope="module")
def on_xfs(loops: None, folder: Path) -> Iterator[Volumes]:
    """A server on XFS, which clones files."""
    yield from on(folder, "xfs", "-q", "-m", "reflink=1")


@pytest.fixture(scope="module")
def on_ext4(loops: None, folder: Path) -> Iterator[Volumes]:
    """A server on ext4, which does not, and keeps exact times in its inodes of 256 bytes. Nothing of it is set aside for root."""
    yield from on(folder, "ext4", "-q", "-I", "256", "-m", "0")


def on(folder: Path, kind: str, *options: str) -> Iterator[Volumes]:
    image = sparse_file(folder / f"{kind}.img", 1536 * MIB)
    said(f"mkfs.{kind}", *options, image)
    with mounted(image, folder / kind) as place, Server(place / "server") as server:
        yield Volumes(server)
