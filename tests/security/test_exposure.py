"""Who may listen where."""

import socket
import subprocess
from pathlib import Path

import pytest

from harness.http import Http
from harness.server import Server, binary, clean_environment, free_port, run_program
from security.secured import SecuredServer


def another_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "0.0.0.0"


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_without_credentials_only_loopback_is_served(tmp_path: Path, address: str) -> None:
    data = tmp_path / "data"
    done = run_program("serve", "--data-dir", str(data), "--listen", "127.0.0.1:0", "--listen", address)
    assert done.returncode == 2
    assert "credential add" in done.stderr and "--insecure-no-credentials" in done.stderr
    assert not data.exists(), "nothing may be made by a refused start"


def test_a_data_folder_without_credentials_is_refused_too(fresh_server: Server) -> None:
    fresh_server.stop()
    done = run_program("serve", "--data-dir", str(fresh_server.data), "--listen", "0.0.0.0:0")
    assert done.returncode == 2 and "no credentials" in done.stderr


class Elsewhere(Server):
    """Listens on loopback and on another address."""

    def __init__(self, folder: Path, *flags: str) -> None:
        super().__init__(folder)
        self.flags, self.second = flags, Http(another_address(), free_port())

    def command(self) -> list[str]:
        return [*super().command(), "--listen", f"{self.second.host}:{self.second.port}", *self.flags]


def test_the_flag_opens_the_server_and_says_so(tmp_path: Path) -> None:
    with Elsewhere(tmp_path, "--insecure-no-credentials") as server:
        assert server.http.get("/").status == 200
        assert server.second.get("/_cat/indices").status == 200
        assert "everybody who can reach this server" in server.log.read_text()


def test_with_credentials_every_listener_asks_for_them(tmp_path: Path) -> None:
    second = Http(another_address(), free_port())
    with SecuredServer(tmp_path, "--listen", f"{second.host}:{second.port}") as server:
        for http in (server.http, second):
            assert http.get("/").status == 401
            assert http.send("GET", "/", headers={"Authorization": server.admin.header}).status == 200
        assert "travel unencrypted" in server.log.read_text()


def test_the_first_credential_closes_a_running_server_and_the_last_admin_stays(fresh_server: Server) -> None:
    data = str(fresh_server.data)
    assert fresh_server.http.get("/_cat/indices").status == 200
    refused = run_program("credential", "add", "alice", "--role", "viewer", "--data-dir", data)
    assert refused.returncode == 1 and "first credential must be an admin" in refused.stderr
    added = run_program("credential", "add", "admin", "--role", "admin", "--data-dir", data)
    assert added.returncode == 0, added.stderr
    secret = next(line.removeprefix("password: ") for line in added.stdout.splitlines() if line.startswith("password: "))
    assert fresh_server.http.get("/_cat/indices").status == 401
    unnamed = run_program("credential", "ls", "--data-dir", data)
    assert unnamed.returncode == 1 and "--credential-file" in unnamed.stderr
    file = fresh_server.folder / "credential"
    file.write_text(f"admin:{secret}\n")
    named = ("--credential-file", str(file), "--data-dir", data)
    assert "admin" in run_program("credential", "ls", *named).stdout
    last = run_program("credential", "rm", "admin", *named)
    assert last.returncode == 1 and "last admin" in last.stderr


def test_what_strangers_see(tmp_path: Path) -> None:
    with SecuredServer(tmp_path) as server:
        stranger, admin = server.as_(None), server.as_(server.admin)
        assert stranger.get("/health").ok() == {"status": "ok"}
        assert "workers" in admin.get("/health").ok()
        assert stranger.get("/metrics").status == 401
        assert "snapkeep_http_requests_total" in admin.get("/metrics").text
        for path in ("/", "/_cat/indices", "/nobody/knows/this", "/api/v1", "/api/v1/openapi.json", "/v1/meta", "/v1/schema", "/v1.0/p/clusters",
                     "/v3/projects", "/openapi/instances/i/snapshot-setting"):
            assert stranger.get(path).status in (400, 401), path
        assert stranger.get("/v1/.well-known/ready").status == 200


def test_a_half_configured_certificate_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(binary()), "serve", "--data-dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--tls-certificate", "c.pem"],
        capture_output=True, text=True, env=clean_environment(), timeout=60,
    )
    assert done.returncode == 2 and "tls.key" in done.stderr
