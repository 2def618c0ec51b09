"""The Huawei SDK against a server with credentials: signatures, roles, projects, tokens."""

import json
from typing import Iterator

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcss.v1 import CreateSnapshotReq, CreateSnapshotRequest, CssClient, DeleteSnapshotRequest, ListSnapshotsRequest

from harness.documents import make_documents
from harness.http import JSON
from harness.server import Server, run_program
from huawei.css import CLUSTER, PROJECT, Css, refused
from huawei.test_sdk import client_of, create, ended, the_round_trip


def add(server: Server, name: str, *more: str) -> dict:
    done = run_program("credential", "add", name, *more, "--data-dir", str(server.data), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    issued = json.loads(done.stdout)
    return issued["credential"] | {"secret": issued["secret"]}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, dict]]]:
    """A server with an admin by password and access keys of each role, one of them for one project."""
    server = Server(tmp_path_factory.mktemp("guarded"))
    keys: dict[str, dict] = {}
    with server:
        server.http.put("/books", {"settings": {"number_of_shards": 2}}).ok()
        for identity, source in make_documents(50):
            server.http.put(f"/books/_doc/{identity}", source).ok()
        server.stop()
        keys["root"] = add(server, "root", "--kind", "password", "--role", "admin")
        keys["admin"] = add(server, "signer", "--kind", "access-key", "--role", "admin", "--project", PROJECT)
        keys["viewer"] = add(server, "looker", "--kind", "access-key", "--role", "viewer")
        keys["operator"] = add(server, "worker", "--kind", "access-key", "--role", "operator")
        server.start()
        yield server, keys


def of(server: Server, key: dict, project: str = PROJECT) -> CssClient:
    return client_of(server, key["key_id"], key["secret"], project)


def code(refusal: pytest.ExceptionInfo) -> tuple[int, str]:
    return refusal.value.status_code, json.loads(refusal.value.error_msg)["errCode"]


def test_the_round_trip_is_signed(guarded: tuple[Server, dict]) -> None:
    server, keys = guarded
    the_round_trip(of(server, keys["admin"]), server.http)


def test_a_wrong_secret_and_an_unknown_key_are_refused(guarded: tuple[Server, dict]) -> None:
    server, keys = guarded
    for key in (keys["admin"] | {"secret": "wrong"}, keys["admin"] | {"key_id": "AKUNKNOWN"}):
        with pytest.raises(ClientRequestException) as refusal:
            of(server, key).list_snapshots(ListSnapshotsRequest(CLUSTER))
        assert (refusal.value.status_code, refusal.value.error_code) == (401, "APIGW.0301")


def test_a_request_without_a_signature_is_refused(guarded: tuple[Server, dict]) -> None:
    server, _ = guarded
    answer = Css(server.http).send("GET", "/index_snapshots")
    assert (answer.status, answer.json()["error_code"]) == (401, "APIGW.0301")


def test_the_project_in_the_path_must_belong_to_the_key(guarded: tuple[Server, dict]) -> None:
    server, keys = guarded
    with pytest.raises(ClientRequestException) as refusal:
        of(server, keys["admin"], "f" * 32).list_snapshots(ListSnapshotsRequest(CLUSTER))
    assert code(refusal) == (403, "CSS.0015")


def test_each_role_does_what_it_may(guarded: tuple[Server, dict]) -> None:
    server, keys = guarded
    viewer, operator, admin = (of(server, keys[role]) for role in ("viewer", "operator", "admin"))
    assert isinstance(viewer.list_snapshots(ListSnapshotsRequest(CLUSTER)).backups, list)
    with pytest.raises(ClientRequestException) as refusal:
        viewer.create_snapshot(CreateSnapshotRequest(CLUSTER, CreateSnapshotReq(name="by-viewer")))
    assert code(refusal) == (403, "CSS.0032")
    identity = create(operator, "by-operator")
    ended(operator, "by-operator")
    with pytest.raises(ClientRequestException) as refusal:
        operator.delete_snapshot(DeleteSnapshotRequest(CLUSTER, identity))
    assert code(refusal) == (403, "CSS.0032")
    assert admin.delete_snapshot(DeleteSnapshotRequest(CLUSTER, identity)).status_code == 200


def test_a_token_is_good_for_its_project(guarded: tuple[Server, dict]) -> None:
    server, keys = guarded
    user = {"name": "root", "password": keys["root"]["secret"], "domain": {"name": "domain"}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": {"id": PROJECT}}}}
    token = server.http.post("/v3/auth/tokens", body).headers["x-subject-token"]
    headers = JSON | {"X-Auth-Token": token}
    assert Css(server.http).send("GET", "/index_snapshots", headers=headers).status == 200
    refused(Css(server.http, project="f" * 32).send("GET", "/index_snapshots", headers=headers), 403, "CSS.0015")
    user["password"] = "wrong"
    assert server.http.post("/v3/auth/tokens", body).status == 401
    assert Css(server.http).send("GET", "/index_snapshots", headers=JSON | {"X-Auth-Token": token[:-1] + "x"}).status == 401
