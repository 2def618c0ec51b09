"""What the suite of the Huawei CSS dialect shares: the cluster's calls as raw requests."""

from typing import Any

from harness.http import JSON, Http, Response
from harness.polling import wait_until

PROJECT = "6204a5bd270343b5885144cf9c8c158d"
CLUSTER = "ea244205-d641-45d9-9dcb-ab2236bcd07e"
SHOWN_KEYS = [
    "created", "datastore", "description", "id", "clusterId", "clusterName", "name", "status", "updated", "backupType", "backupMethod",
    "backupExpectedStartTime", "backupKeepDay", "backupPeriod", "indices", "totalShards", "failedShards", "version", "restoreStatus",
    "startTime", "endTime", "bucketName",
]
"""Keys of a backup, in the order of the source document."""


class Css:
    """One cluster of one project."""

    def __init__(self, http: Http, project: str = PROJECT, cluster: str = CLUSTER) -> None:
        self.http, self.project, self.cluster = http, project, cluster

    @property
    def path(self) -> str:
        return f"/v1.0/{self.project}/clusters/{self.cluster}"

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
        """`path` begins below the cluster. The content type is sent on every call, as the SDK does."""
        return self.http.send(method, self.path + path, body, headers=JSON if headers is None else headers)

    def create(self, name: str, **more: Any) -> dict:
        answer = self.send("POST", "/index_snapshot", {"name": name, **more})
        assert answer.status == 201, answer.text
        return answer.json()["backup"]

    def backups(self) -> list[dict]:
        answer = self.send("GET", "/index_snapshots")
        assert answer.status == 200, answer.text
        return answer.json()["backups"]

    def backup(self, identity: str) -> dict | None:
        found = [backup for backup in self.backups() if backup["id"] == identity]
        return found[0] if found else None

    def finished(self, identity: str) -> dict:
        """Waits until a snapshot is no longer being built."""

        def probe() -> dict | None:
            backup = self.backup(identity)
            return backup if backup and backup["status"] != "BUILDING" else None

        return wait_until(f"the end of {identity}", probe)

    def taken(self, name: str, **more: Any) -> dict:
        """Takes a snapshot, which must become complete."""
        backup = self.finished(self.create(name, **more)["id"])
        assert backup["status"] == "COMPLETED", backup
        return backup

    def restore(self, identity: str, **more: Any) -> Response:
        return self.send("POST", f"/index_snapshot/{identity}/restore", {"targetCluster": self.cluster, **more})

    def restored(self, identity: str, **more: Any) -> dict:
        """Restores, which must succeed."""
        answer = self.restore(identity, **more)
        assert (answer.status, answer.text) == (201, ""), answer.text
        backup = self.restore_ended(identity)
        assert backup["restoreStatus"] == "success", backup
        return backup

    def restore_ended(self, identity: str) -> dict:
        """Waits until a snapshot is no longer being restored."""

        def probe() -> dict | None:
            backup = self.backup(identity)
            assert backup is not None
            return backup if backup["restoreStatus"] not in ("none", "restoring") else None

        return wait_until(f"the restore of {identity}", probe)


def refused(answer: Response, status: int, code: str, detail: str = "") -> str:
    """Proves the shape of a refusal and gives its message."""
    assert answer.status == status, f"{answer.status} instead of {status}: {answer.text}"
    body = answer.json()
    assert set(body) == {"errCode", "externalMessage"}, body
    assert body["errCode"] == code, body
    assert body["externalMessage"].startswith(f"{code} : "), body
    assert detail in body["externalMessage"], body
    assert len(answer.headers["x-request-id"]) == 32
    return body["externalMessage"]
