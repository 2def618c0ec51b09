"""The client, which reads volumes that are NBD exports, on the servers of QEMU and nbdkit."""

import subprocess

import pytest

from harness.server import ROOT


@pytest.mark.timeout(560)  # it may have to be compiled first
def test_the_client_on_the_servers_of_others() -> None:
    command = ["cargo", "test", "--quiet", "-p", "snapkeep-nbd", "--test", "peers", "--", "--ignored"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=540)
    assert done.returncode == 0 and "7 passed" in done.stdout, done.stdout[-5000:]
