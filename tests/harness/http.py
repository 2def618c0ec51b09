"""A raw HTTP client: what is written is what is sent.

The usual libraries normalise paths (`..`, percent signs, doubled slashes) and add headers; the suites must not.
"""

import http.client
import json
from dataclasses import dataclass
from typing import Any

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    text: str
    raw: bytes = b""

    def json(self) -> Any:
        return json.loads(self.text)

    def ok(self) -> Any:
        """The parsed body of an answer that must be a success."""
        assert 200 <= self.status < 300, f"status {self.status}: {self.text[:1000]}"
        return self.json() if self.text.strip() else None

    def refused(self, status: int, error_type: str | None = None) -> dict:
        """The error of an answer that must have this status, and this type where one is given."""
        assert self.status == status, f"status {self.status} instead of {status}: {self.text[:1000]}"
        error = self.json()["error"]
        if error_type is not None:
            assert error["type"] == error_type, f"{error['type']} instead of {error_type}: {self.text[:1000]}"
        return error


class Http:
    """One server's address. Every request has a connection of its own, so that a killed server leaves no stale one."""

    def __init__(self, host: str, port: int, timeout_seconds: float = 60) -> None:
        self.host, self.port, self.timeout_seconds = host, port, timeout_seconds

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout_seconds: float | None = None
    ) -> Response:
        """`body`: bytes or text are sent as they are, anything else as JSON. A body has the JSON content type unless `headers` are given."""
        if body is not None and headers is None:
            headers = JSON
        if not isinstance(body, (bytes, str, type(None))):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_seconds or self.timeout_seconds)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            raw = answer.read()
            return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, raw.decode("utf-8", "replace"), raw)
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Response:
        return self.send("GET", path, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Response:
        return self.send("PUT", path, body, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Response:
        return self.send("POST", path, body, **more)

    def delete(self, path: str, body: Any = None, **more: Any) -> Response:
        return self.send("DELETE", path, body, **more)
