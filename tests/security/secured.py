"""Servers that require credentials, and whoever calls them."""

import base64
import http.client
import json
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.http import JSON, Http, Response
from harness.server import Server, run_program


@dataclass(frozen=True)
class Credential:
    """What `snapkeep credential add` printed."""

    name: str
    key_id: str
    secret: str
    encoded: str | None

    @property
    def header(self) -> str:
        if self.encoded is not None:
            return f"ApiKey {self.encoded}"
        return "Basic " + base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()


class Caller:
    """Somebody who sends a header with every request; nobody if it is None."""

    def __init__(self, http: Http, header: str | None) -> None:
        self.http, self.header = http, header

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
        sent = dict(headers or (JSON if body is not None else {}))
        if self.header is not None:
            sent["Authorization"] = self.header
        return self.http.send(method, path, body, headers=sent)

    def get(self, path: str) -> Response:
        return self.send("GET", path)

    def put(self, path: str, body: Any = None) -> Response:
        return self.send("PUT", path, body)

    def post(self, path: str, body: Any = None) -> Response:
        return self.send("POST", path, body)

    def delete(self, path: str) -> Response:
        return self.send("DELETE", path)


class SecuredServer(Server):
    """A server whose first credential was made before it was started."""

    def __init__(self, folder: Path, *flags: str, environment: dict[str, str] | None = None) -> None:
        super().__init__(folder, environment=environment)
        self.flags = flags
        self.secrets: list[str] = []
        self.admin = self.add("admin", "--role", "admin")

    def command(self) -> list[str]:
        return [*super().command(), *self.flags]

    def add(self, name: str, *arguments: str) -> Credential:
        """Makes a credential: offline while the server does not run, through it with the admin's password while it does."""
        environment = {"SNAPKEEP_CREDENTIAL": f"admin:{self.admin.secret}"} if self.process else {}
        done = run_program("credential", "add", name, *arguments, "--json", "--data-dir", str(self.data), environment=environment)
        assert done.returncode == 0, done.stderr
        issued = json.loads(done.stdout)
        self.secrets += [issued["secret"], *filter(None, [issued.get("encoded")])]
        return Credential(name, issued["credential"]["key_id"], issued["secret"], issued.get("encoded"))

    def as_(self, credential: Credential | None) -> Caller:
        return Caller(self.http, credential and credential.header)

    def run(self, *arguments: str, credential: Credential | None = None) -> subprocess.CompletedProcess:
        """A command that finds the server by its data folder."""
        environment = {}
        if credential is not None:
            environment["SNAPKEEP_CREDENTIAL"] = credential.encoded or f"{credential.name}:{credential.secret}"
        return run_program(*arguments, "--data-dir", str(self.data), environment=environment)


class Https(Http):
    """Speaks TLS and trusts one certificate."""

    def __init__(self, host: str, port: int, authority: Path) -> None:
        super().__init__(host, port)
        self.authority = authority

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout_seconds: float | None = None) -> Response:
        if not isinstance(body, (bytes, str, type(None))):
            body = json.dumps(body)
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout_seconds or 60, context=self.context())
        try:
            connection.request(method, path, body, headers or (JSON if body is not None else {}))
            answer = connection.getresponse()
            raw = answer.read()
            return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, raw.decode("utf-8", "replace"), raw)
        finally:
            connection.close()


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for this machine and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True, timeout=60,
    )
    return certificate, key
