"""Collections over Weaviate's REST API, as the suites need them."""

import struct
import uuid
from typing import Any, Iterable

from harness.polling import wait_until
from harness.server import Server

ENDED = ("SUCCESS", "FAILED", "CANCELED")
PAGE = 500


def single(value: float) -> float:
    """The 32-bit number nearest to a value: what a vector can hold."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def identity(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


class Weaviate:
    """One server's collections and backups."""

    def __init__(self, server: Server, backend: str = "filesystem") -> None:
        self.http, self.backups = server.http, f"/v1/backups/{backend}"

    def create_class(self, name: str, **more: Any) -> None:
        self.http.post("/v1/schema", {"class": name} | more).ok()

    def write(self, objects: Iterable[dict]) -> None:
        """As one batch; all must be written."""
        for answer in self.http.post("/v1/batch/objects", {"objects": list(objects)}).ok():
            assert answer["result"]["status"] == "SUCCESS", answer

    def read_all(self, name: str, tenant: str | None = None) -> dict[str, dict]:
        """All objects by id, vectors included, page by page."""
        found: dict[str, dict] = {}
        suffix = f"&tenant={tenant}" if tenant else ""
        after = ""
        while True:
            page = self.http.get(f"/v1/objects?class={name}&limit={PAGE}&include=vector{after}{suffix}").ok()["objects"]
            if not page:
                return found
            found |= {item["id"]: item for item in page}
            after = f"&after={page[-1]['id']}"

    def ended(self, path: str, limit_seconds: float = 60) -> dict:
        """The status of a backup or restore when it has ended."""

        def ended() -> dict | None:
            status = self.http.get(f"{self.backups}/{path}").ok()
            return status if status["status"] in ENDED else None

        return wait_until(f"{path} ends", ended, limit_seconds)

    def back_up(self, name: str, **more: Any) -> dict:
        """Takes a backup, which must succeed."""
        assert self.http.post(self.backups, {"id": name} | more).ok()["status"] == "STARTED"
        status = self.ended(name)
        assert status["status"] == "SUCCESS", status
        return status

    def restore(self, name: str, **more: Any) -> dict:
        """Restores a backup, which must succeed."""
        self.http.post(f"{self.backups}/{name}/restore", more).ok()
        status = self.ended(f"{name}/restore")
        assert status["status"] == "SUCCESS", status
        return status

    def message(self, method: str, path: str, body: Any, status: int) -> str:
        """The text of an answer that must be refused with this status."""
        return self.http.send(method, path, body).refused(status)[0]["message"]
