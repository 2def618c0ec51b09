"""TLS: with a certificate of one's own, renewed while the server runs."""

import shutil
import ssl
from pathlib import Path
from typing import Iterator

import pytest
from elasticsearch import Elasticsearch

from harness.http import Http
from harness.polling import wait_until
from harness.server import run_program
from security.secured import Https, SecuredServer, make_certificate


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[SecuredServer]:
    certificate, key = make_certificate(tmp_path, "first")
    in_use = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copy(certificate, in_use[0])
    shutil.copy(key, in_use[1])
    server = SecuredServer(tmp_path, "--tls-certificate", str(in_use[0]), "--tls-key", str(in_use[1]))
    server.http = Https("127.0.0.1", server.port, in_use[0])
    with server:
        yield server


def test_clients_trust_the_certificate_they_are_given(encrypted: SecuredServer) -> None:
    assert encrypted.as_(encrypted.admin).get("/").ok()["tagline"] == "You Know, for Search"
    assert encrypted.as_(None).get("/").status == 401
    with Elasticsearch(encrypted.url, ca_certs=str(encrypted.folder / "server.pem"), basic_auth=("admin", encrypted.admin.secret)) as client:
        assert client.info()["version"]["number"]
    with pytest.raises(ssl.SSLCertVerificationError):
        Https("127.0.0.1", encrypted.port, make_certificate(encrypted.folder, "another")[0]).get("/")


def test_both_protocols_are_offered(encrypted: SecuredServer) -> None:
    import socket

    for offered, expected in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")):
        context = ssl.create_default_context(cafile=str(encrypted.folder / "server.pem"))
        context.set_alpn_protocols(offered)
        with socket.create_connection(("127.0.0.1", encrypted.port), timeout=30) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
            assert wrapped.selected_alpn_protocol() == expected


def test_plain_http_is_told_what_to_do(encrypted: SecuredServer) -> None:
    answer = Http("127.0.0.1", encrypted.port).get("/")
    assert answer.status == 400 and "https://" in answer.text


def test_commands_trust_the_server_of_their_data_folder_and_others_by_file(encrypted: SecuredServer) -> None:
    assert "admin" in encrypted.run("credential", "ls", credential=encrypted.admin).stdout
    environment = {"SNAPKEEP_CREDENTIAL": f"admin:{encrypted.admin.secret}"}
    trusted = run_program("credential", "ls", "--server", encrypted.url, "--ca-file", str(encrypted.folder / "server.pem"), environment=environment)
    assert trusted.returncode == 0, trusted.stderr
    unknown = run_program("credential", "ls", "--server", encrypted.url, environment=environment)
    assert unknown.returncode == 6 and "--ca-file" in unknown.stderr


def test_a_renewed_certificate_is_used_without_a_restart(encrypted: SecuredServer) -> None:
    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", encrypted.port), timeout=30)

    first = (encrypted.folder / "first.pem").read_text()
    assert ssl.PEM_cert_to_DER_cert(shown()) == ssl.PEM_cert_to_DER_cert(first)
    certificate, key = make_certificate(encrypted.folder, "second")
    # Half of it does not fit: the old one stays.
    shutil.copy(certificate, encrypted.folder / "server.pem")
    wait_until("the warning", lambda: "cannot be used" in encrypted.log.read_text())
    assert ssl.PEM_cert_to_DER_cert(shown()) == ssl.PEM_cert_to_DER_cert(first)
    shutil.copy(key, encrypted.folder / "server.key")
    second = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    wait_until("the new certificate", lambda: ssl.PEM_cert_to_DER_cert(shown()) == second)
    assert encrypted.as_(encrypted.admin).get("/").status == 200


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path, "one")
    _, key = make_certificate(tmp_path, "two")
    done = run_program("serve", "--data-dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--tls-certificate", str(certificate), "--tls-key", str(key))
    assert done.returncode == 2 and "one.pem" in done.stderr and "two.key" in done.stderr
    assert not (tmp_path / "d").exists()
