"""The unmodified Huawei SDK, signing every request: with credentials off and on."""

import json
from typing import Iterator

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkcss.v1 import (
    CreateAutoCreatePolicyRequest, CreateSnapshotReq, CreateSnapshotRequest, CssClient, DeleteSnapshotRequest, ListSnapshotsRequest,
    RestoreSnapshotReq, RestoreSnapshotRequest, SetRDSBackupCnfReq, ShowAutoCreatePolicyRequest, StartAutoSettingRequest, StopSnapshotRequest,
    UpdateSnapshotSettingReq, UpdateSnapshotSettingRequest,
)

from harness.documents import assert_same, bulk, create_index, make_documents, read_all
from harness.http import Http
from harness.polling import wait_until
from harness.server import Server
from huawei.css import CLUSTER, PROJECT


def client_of(server: Server, access_key: str = "AKEXAMPLE0000000000", secret: str = "SKEXAMPLE", project: str = PROJECT) -> CssClient:
    return CssClient.new_builder().with_credentials(BasicCredentials(access_key, secret, project)).with_endpoint(server.url).build()


def listed(client: CssClient, name: str) -> object | None:
    found = [backup for backup in client.list_snapshots(ListSnapshotsRequest(CLUSTER)).backups if backup.name == name]
    return found[0] if found else None


def ended(client: CssClient, name: str) -> object:
    def probe() -> object | None:
        backup = listed(client, name)
        return backup if backup.status != "BUILDING" and backup.restore_status != "restoring" else None

    return wait_until(f"the end of {name}", probe)


def create(client: CssClient, name: str, **more: str) -> str:
    answer = client.create_snapshot(CreateSnapshotRequest(CLUSTER, CreateSnapshotReq(name=name, **more)))
    assert answer.status_code == 201 and answer.backup.name == name
    return answer.backup.id


def restore(client: CssClient, identity: str, **more: object) -> None:
    body = RestoreSnapshotReq(target_cluster=CLUSTER, **more)
    assert client.restore_snapshot(RestoreSnapshotRequest(CLUSTER, identity, body)).status_code == 201


def the_round_trip(client: CssClient, http: Http) -> None:
    """Create, list, restore, delete."""
    identity = create(client, "sdk_438b9d10d748", description="索引备份", indices="books*")
    backup = ended(client, "sdk_438b9d10d748")
    assert (backup.id, backup.status, backup.description) == (identity, "COMPLETED", "索引备份")
    assert (backup.cluster_id, backup.backup_type, backup.backup_method, backup.restore_status) == (CLUSTER, "1", "manual", "none")
    assert (backup.total_shards, backup.failed_shards, backup.datastore.type) == (2, 0, "elasticsearch")
    restore(client, identity, indices="*", rename_pattern="(.+)", rename_replacement="restored_$1")
    assert ended(client, "sdk_438b9d10d748").restore_status == "success"
    assert client.delete_snapshot(DeleteSnapshotRequest(CLUSTER, identity)).status_code == 200
    assert listed(client, "sdk_438b9d10d748") is None


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[CssClient]:
    create_index(server.http, "books", 2)
    bulk(server.http, "books", make_documents(300))
    yield client_of(server)


def test_the_round_trip(server: Server, client: CssClient) -> None:
    the_round_trip(client, server.http)
    assert_same(read_all(server.http, "restored_books"), read_all(server.http, "books"))


def test_policy_setting_and_stop(client: CssClient) -> None:
    setting = UpdateSnapshotSettingReq(
        bucket="es-backup", agency="usearch", base_path="css_repository/Es-name", max_snapshot_bytes_per_seconds="40mb", max_restore_bytes_per_seconds="0"
    )
    assert client.update_snapshot_setting(UpdateSnapshotSettingRequest(CLUSTER, setting)).status_code == 200
    policy = SetRDSBackupCnfReq(indices="*", prefix="snapshot", period="16:00 GMT+08:00", keepday=7, enable="true", delete_auto="false", frequency="DAY")
    assert client.create_auto_create_policy(CreateAutoCreatePolicyRequest(CLUSTER, policy)).status_code == 200
    shown = client.show_auto_create_policy(ShowAutoCreatePolicyRequest(CLUSTER))
    assert (shown.keepday, shown.period, shown.frequency, shown.prefix, shown.enable) == (7, "16:00 GMT+08:00", "DAY", "snapshot", "true")
    assert (shown.bucket, shown.agency, shown.base_path, shown.indices) == ("es-backup", "usearch", "css_repository/Es-name", "*")
    create(client, "before-the-stop")
    ended(client, "before-the-stop")
    assert client.stop_snapshot(StopSnapshotRequest(CLUSTER)).status_code == 200
    assert client.list_snapshots(ListSnapshotsRequest(CLUSTER)).backups == []
    assert client.show_auto_create_policy(ShowAutoCreatePolicyRequest(CLUSTER)).enable == "false"
    assert client.start_auto_setting(StartAutoSettingRequest(CLUSTER)).status_code == 200
    assert listed(client, "before-the-stop").status == "COMPLETED"


def test_the_sdk_passes_the_text_of_an_error_on(client: CssClient) -> None:
    with pytest.raises(ClientRequestException) as refusal:
        create(client, "Wrong")
    assert (refusal.value.status_code, refusal.value.error_code) == (400, "400")
    assert json.loads(refusal.value.error_msg)["errCode"] == "CSS.0001"
    assert len(refusal.value.request_id) == 32
    with pytest.raises(ClientRequestException) as refusal:
        client.delete_snapshot(DeleteSnapshotRequest(CLUSTER, "00000000-0000-4000-8000-000000000000"))
    assert (refusal.value.status_code, json.loads(refusal.value.error_msg)["errCode"]) == (404, "CSS.0028")


def test_a_client_built_with_a_region_asks_for_its_project(server: Server, client: CssClient) -> None:
    credentials = BasicCredentials("AKEXAMPLE0000000000", "SKEXAMPLE").with_iam_endpoint(server.url)
    regional = CssClient.new_builder().with_credentials(credentials).with_region(Region("local", server.url)).build()
    assert isinstance(regional.list_snapshots(ListSnapshotsRequest(CLUSTER)).backups, list)
