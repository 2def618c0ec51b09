"""The unmodified Alibaba SDK: settings, snapshots, reference repositories; signed, with credentials off and on."""

import json
import shutil
from typing import Iterator

import pytest
from alibabacloud_elasticsearch20170613 import models
from alibabacloud_elasticsearch20170613.client import Client
from alibabacloud_tea_openapi.models import Config
from Tea.exceptions import TeaException

from harness.documents import assert_same, bulk, create_index, make_documents, read_all, restore
from harness.polling import wait_until
from harness.server import Server, run_program

INSTANCE = "es-cn-abcdefghijklmn"
SOURCE = "es-cn-zyxwvutsrqponm"
DAILY = "0 0 01 ? * * *"


def client_of(server: Server, access_key: str = "AKEXAMPLE", secret: str = "SKEXAMPLE") -> Client:
    return Client(Config(access_key_id=access_key, access_key_secret=secret, endpoint=f"127.0.0.1:{server.port}", protocol="HTTP"))


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(50))
    yield client_of(server)


def names(server: Server, repository: str = "aliyun_auto_snapshot") -> list[str]:
    answer = server.http.get(f"/_snapshot/{repository}/_all")
    return [info["snapshot"] for info in answer.json()["snapshots"] if info["state"] == "SUCCESS"] if answer.status == 200 else []


def test_the_setting_is_read_and_changed(client: Client) -> None:
    shown = client.describe_snapshot_setting(INSTANCE).body
    assert (shown.result.enable, shown.result.quartz_regex) == (False, DAILY)
    assert len(shown.request_id) == 36
    changed = client.update_snapshot_setting(INSTANCE, models.UpdateSnapshotSettingRequest(body={"enable": True, "quartzRegex": "0 30 2 ? * * *"}))
    assert (changed.body.result.enable, changed.body.result.quartz_regex) == (True, "0 30 2 ? * * *")
    shown = client.describe_snapshot_setting(INSTANCE).body.result
    assert (shown.enable, shown.quartz_regex) == (True, "0 30 2 ? * * *")


def test_a_snapshot_right_now_is_named_like_automatic_ones(server: Server, client: Client) -> None:
    request = models.CreateSnapshotRequest(client_token="5A2CFF0E-5718-45B5-9D4D-70B3FF3898")
    assert client.create_snapshot(INSTANCE, request).body.result is True
    [taken] = wait_until("the snapshot", lambda: names(server))
    assert taken.startswith(f"{INSTANCE}_")
    # The same token again: it was done already.
    assert client.create_snapshot(INSTANCE, request).body.result is True
    assert names(server) == [taken]


def test_the_serverless_setting_answers_in_lower_case(server: Server) -> None:
    path = "/openapi/es-serverless/instances/my-app/auto-snapshot-setting"
    answer = server.http.put(path, {"enable": True, "quartzRegex": DAILY}).ok()
    assert answer["result"] == {"enable": True, "quartzRegex": DAILY, "indices": "*"} and answer["requestId"]
    server.http.put(path, {"enable": False}).ok()


REFUSED = [
    ("POST", f"{INSTANCE}/snapshot-setting", None, 400, "RequestBodyEmpty"),
    ("POST", f"{INSTANCE}/snapshot-setting", {}, 400, "InvalidParameter"),
    ("POST", f"{INSTANCE}/snapshot-setting", {"enable": True}, 400, "InvalidParameter"),
    ("POST", f"{INSTANCE}/snapshot-setting", {"enable": True, "quartzRegex": "0 1 * * *"}, 400, "InvalidParameter"),
    ("GET", "NOT-AN-INSTANCE/snapshot-setting", None, 400, "InstanceNotFound"),
    ("POST", f"{INSTANCE}/snapshot-repos", {}, 400, "InvalidParameter"),
    ("POST", f"{INSTANCE}/snapshot-repos", {"repoPath": "es-cn-unknown"}, 400, "InstanceNotFound"),
    ("DELETE", f"{INSTANCE}/snapshot-repos?repoPath=es-cn-unknown", None, 400, "SnapshotRepoNotFound"),
    ("GET", f"{INSTANCE}/nodes", None, 404, "InvalidAction.NotFound"),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row[0]} {row[1]} {row[4]}")
def test_refusals(server: Server, row: tuple) -> None:
    method, path, body, status, code = row
    answer = server.http.send(method, f"/openapi/instances/{path}", body)
    assert answer.status == status, answer.text
    assert answer.json().keys() == {"RequestId", "HostId", "Code", "Message"} and answer.json()["Code"] == code, answer.text


def test_the_sdk_raises_the_code(client: Client) -> None:
    with pytest.raises(TeaException) as refusal:
        client.describe_snapshot_setting("NOPE")
    assert refusal.value.code == "InstanceNotFound" and "does not exist" in refusal.value.message


def test_a_configured_instance_is_the_only_one(tmp_path) -> None:
    with Server(tmp_path, environment={"SNAPKEEP_ALIBABA_INSTANCE_ID": INSTANCE}) as server:
        assert client_of(server).describe_snapshot_setting(INSTANCE).body.result.enable is False
        with pytest.raises(TeaException) as refusal:
            client_of(server).describe_snapshot_setting(SOURCE)
        assert refusal.value.code == "InstanceNotFound"


def test_snapshots_of_another_instance_are_restored_from_a_reference(tmp_path) -> None:
    repositories = tmp_path / "shared"
    source, target = Server(tmp_path / "source", (repositories,)), Server(tmp_path / "target", (repositories,))
    with source:
        create_index(source.http, "books")
        bulk(source.http, "books", make_documents(80))
        client_of(source).create_snapshot(SOURCE, models.CreateSnapshotRequest())
        [taken] = wait_until("the snapshot of the source", lambda: names(source))
        target.data.mkdir(parents=True)
        shutil.copy(source.data / "repository.key", target.data / "repository.key")
        with target:
            client = client_of(target)
            alternatives = client.list_alternative_snapshot_repos(INSTANCE, models.ListAlternativeSnapshotReposRequest()).body.result
            assert [(found.instance_id, found.repo_path) for found in alternatives] == [(SOURCE, SOURCE)]
            request = models.AddSnapshotRepoRequest(body=json.dumps({"repoPath": SOURCE}))
            assert client.add_snapshot_repo(INSTANCE, request).body.result is True
            [found] = client.list_snapshot_repos_by_instance_id(INSTANCE).body.result
            assert (found.instance_id, found.repo_path, found.snap_warehouse, found.status) == (INSTANCE, SOURCE, f"aliyun_snapshot_from_{SOURCE}", "available")
            left = client.list_alternative_snapshot_repos(INSTANCE, models.ListAlternativeSnapshotReposRequest(already_set_items=False))
            assert not left.body.result
            assert names(target, f"aliyun_snapshot_from_{SOURCE}") == [taken]
            refused = target.http.put(f"/_snapshot/aliyun_snapshot_from_{SOURCE}/mine", {})
            assert refused.status >= 400 and "readonly" in refused.text
            restore(target.http, f"aliyun_snapshot_from_{SOURCE}", taken, indices="books")
            assert_same(read_all(target.http, "books"), read_all(source.http, "books"))
            assert client.delete_snapshot_repo(INSTANCE, models.DeleteSnapshotRepoRequest(repo_path=SOURCE)).body.result is True
            assert not client.list_snapshot_repos_by_instance_id(INSTANCE).body.result
    assert (repositories / "aliyun_auto_snapshot" / SOURCE / "config").exists()


def test_a_reference_with_another_password_is_refused_with_advice(tmp_path) -> None:
    repositories = tmp_path / "shared"
    with Server(tmp_path / "source", (repositories,)) as source:
        create_index(source.http, "books")
        client_of(source).create_snapshot(SOURCE, models.CreateSnapshotRequest())
        wait_until("the snapshot of the source", lambda: names(source))
        with Server(tmp_path / "target", (repositories,)) as target:
            request = models.AddSnapshotRepoRequest(body=json.dumps({"repoPath": SOURCE}))
            with pytest.raises(TeaException) as refusal:
                client_of(target).add_snapshot_repo(INSTANCE, request)
            assert refusal.value.code == "InvalidParameter" and "password" in refusal.value.message


def test_signatures_count_where_credentials_are_on(tmp_path) -> None:
    with Server(tmp_path) as server:
        server.stop()
        keys = {}
        for name, kind, role in (("root", "password", "admin"), ("signer", "access-key", "admin"), ("looker", "access-key", "viewer")):
            done = run_program("credential", "add", name, "--kind", kind, "--role", role, "--data-dir", str(server.data), "--json")
            assert done.returncode == 0, done.stdout + done.stderr
            issued = json.loads(done.stdout)
            keys[name] = issued["credential"] | {"secret": issued["secret"]}
        server.start()
        signer, looker = (client_of(server, keys[name]["key_id"], keys[name]["secret"]) for name in ("signer", "looker"))
        body = models.UpdateSnapshotSettingRequest(body={"enable": True, "quartzRegex": DAILY})
        assert signer.update_snapshot_setting(INSTANCE, body).body.result.enable is True
        assert looker.describe_snapshot_setting(INSTANCE).body.result.enable is True
        with pytest.raises(TeaException) as refusal:
            looker.update_snapshot_setting(INSTANCE, body)
        assert refusal.value.code == "NoPermission"
        with pytest.raises(TeaException):
            client_of(server, keys["signer"]["key_id"], "wrong").describe_snapshot_setting(INSTANCE)
        unsigned = server.http.get(f"/openapi/instances/{INSTANCE}/snapshot-setting")
        assert (unsigned.status, unsigned.json()["Code"]) == (400, "MissingAccessKeyId")
