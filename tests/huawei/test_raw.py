"""Restore, delete, setting, policy and stop as raw requests, in both spellings of keys."""

from typing import Iterator

import pytest

from huawei.css import CLUSTER, PROJECT, Css, refused
from harness.documents import assert_same, bulk, create_index, make_documents, read_all
from harness.server import Server


@pytest.fixture(scope="module")
def css(server: Server) -> Iterator[Css]:
    for name, shards in (("index_1", 2), ("index_2", 1), (".kibana", 1)):
        create_index(server.http, name, shards)
        bulk(server.http, name, make_documents(100, seed=shards))
    yield Css(server.http)


@pytest.fixture(scope="module")
def backup(css: Css) -> dict:
    return css.taken("base", indices="*")


@pytest.mark.parametrize(
    "pair", [("renamePattern", "renameReplacement", "targetCluster"), ("rename_pattern", "rename_replacement", "target_cluster")], ids=["camel", "snake"]
)
def test_restore_under_new_names(css: Css, backup: dict, pair: tuple[str, str, str]) -> None:
    prefix = f"{pair[2].lower()}_"
    body = {pair[2]: CLUSTER, "indices": "index_*", pair[0]: "index_(.+)", pair[1]: f"{prefix}$1"}
    answer = css.send("POST", f"/index_snapshot/{backup['id']}/restore", body)
    assert (answer.status, answer.text) == (201, ""), answer.text
    assert css.restore_ended(backup["id"])["restoreStatus"] == "success"
    css.restored(backup["id"], indices="index_2", renamePattern="(.+)", renameReplacement=f"{prefix}then_$1")
    for number in (1, 2):
        assert_same(read_all(css.http, f"{prefix}{number}"), read_all(css.http, f"index_{number}"))


def test_half_a_pair_is_ignored_and_what_is_there_is_not_replaced(css: Css, backup: dict) -> None:
    answer = css.restore(backup["id"], indices="index_2", renamePattern="index_(.+)")
    refused(answer, 400, "CSS.0001", "index_2")
    assert css.http.get("/index_2/_count").ok()["count"] == 100


def test_what_is_there_is_replaced_on_request(css: Css, backup: dict) -> None:
    before = read_all(css.http, "index_1")
    bulk(css.http, "index_1", make_documents(30, seed=9))
    css.http.delete("/index_1/_doc/d50?refresh=true").ok()
    css.restored(backup["id"], indices="index_1", replaceExistIndices=True)
    assert_same(read_all(css.http, "index_1"), before)


def test_another_number_of_shards_is_never_replaced(css: Css, backup: dict) -> None:
    create_index(css.http, "three", 3)
    answer = css.restore(backup["id"], indices="index_1", renamePattern="index_1", renameReplacement="three", replaceExistIndices=True)
    refused(answer, 400, "CSS.0001", "shards")
    assert css.http.get("/three/_count").ok()["count"] == 0


def test_kibana_comes_back_only_when_it_is_named(css: Css, backup: dict) -> None:
    css.restored(backup["id"], indices="*", renamePattern="^", renameReplacement="all-")
    assert css.http.get("/all-index_1").status == 200
    assert css.http.get("/all-.kibana").status == 404
    css.restored(backup["id"], indices=".kibana", renamePattern="kibana", renameReplacement="kibana_again")
    assert css.http.get("/.kibana_again/_count").ok()["count"] == 100


def test_targets_and_ids_that_are_unknown(css: Css, backup: dict) -> None:
    refused(css.restore(backup["id"], targetCluster="elsewhere"), 403, "CSS.0015")
    refused(css.send("POST", f"/index_snapshot/{backup['id']}/restore", {"indices": "*"}), 400, "CSS.0001", "targetCluster")
    refused(css.restore("00000000-0000-4000-8000-000000000000"), 404, "CSS.0028")
    refused(css.restore(backup["id"], indices="nope"), 400, "CSS.0001", "nope")
    refused(css.restore(backup["id"], indices=".opendistro_security"), 400, "CSS.0001")


def test_the_status_of_a_restore_survives_a_restart(fresh_server: Server) -> None:
    css = Css(fresh_server.http)
    create_index(css.http, "books")
    bulk(css.http, "books", make_documents(200))
    backup = css.taken("whole")
    assert backup["restoreStatus"] == "none"
    css.restored(backup["id"], renamePattern="books", renameReplacement="again")
    assert css.backup(backup["id"])["restoreStatus"] == "success"
    fresh_server.stop()
    fresh_server.start()
    assert css.backup(backup["id"])["restoreStatus"] == "success"


def test_delete(css: Css) -> None:
    identity = css.taken("short-lived", indices="index_2")["id"]
    answer = css.send("DELETE", f"/index_snapshot/{identity}")
    assert (answer.status, answer.text) == (200, ""), answer.text
    assert css.backup(identity) is None
    refused(css.send("DELETE", f"/index_snapshot/{identity}"), 404, "CSS.0028")


def test_snapshots_of_other_dialects_in_the_bucket_are_listed(css: Css, backup: dict) -> None:
    css.http.put("/_snapshot/css-backup/by-elasticsearch?wait_for_completion=true", {"indices": "index_2"}).ok()
    listed = {found["name"]: found for found in css.backups()}
    assert listed["by-elasticsearch"]["status"] == "COMPLETED"
    assert listed["by-elasticsearch"]["bucketName"] == backup["bucketName"] == "css-backup"
    css.restored(listed["by-elasticsearch"]["id"], renamePattern="index", renameReplacement="from_es")


def test_stop_keeps_the_data_and_hides_the_list(fresh_server: Server) -> None:
    css = Css(fresh_server.http)
    create_index(css.http, "books")
    identity = css.taken("kept")["id"]
    assert css.send("POST", "/index_snapshot/policy", {"enable": True, "prefix": "auto", "keepday": 1, "frequency": "HOUR"}).status == 200
    answer = css.send("DELETE", "/index_snapshots")
    assert (answer.status, answer.text) == (200, "")
    refused(css.send("DELETE", "/index_snapshots"), 415, "CSS.0004")
    assert css.backups() == []
    for method, path, body in (
        ("POST", "/index_snapshot", {"name": "good"}),
        ("DELETE", f"/index_snapshot/{identity}", None),
        ("POST", f"/index_snapshot/{identity}/restore", {"targetCluster": CLUSTER}),
        ("POST", "/index_snapshot/policy", {"enable": "false"}),
    ):
        refused(css.send(method, path, body), 415, "CSS.0004")
    assert css.send("GET", "/index_snapshot/policy").json()["enable"] == "false"
    assert css.send("GET", "").json()["backupAvailable"] is False
    fresh_server.stop()
    fresh_server.start()
    assert css.backups() == []
    assert css.send("POST", "/index_snapshot/auto_setting").status == 200
    assert [found["id"] for found in css.backups()] == [identity]
    assert css.send("GET", "").json()["backupAvailable"] is True


def test_setting_makes_the_bucket_with_its_rates(fresh_server: Server) -> None:
    css = Css(fresh_server.http)
    create_index(css.http, "books")
    body = {
        "bucket": "es-backup", "agency": "usearch", "base_path": "css_repository/Es-name",
        "max_snapshot_bytes_per_seconds": "50MB", "max_restore_bytes_per_seconds": 0, "snapshotCmkId": "cmk",
    }
    answer = css.send("POST", "/index_snapshot/setting", body)
    assert (answer.status, answer.text) == (200, ""), answer.text
    settings = css.http.get("/_snapshot/es-backup").ok()["es-backup"]["settings"]
    assert settings["location"] == "es-backup/css_repository/Es-name"
    assert (settings["max_snapshot_bytes_per_sec"], settings["max_restore_bytes_per_sec"]) == ("50MB", "0")
    assert css.taken("there")["bucketName"] == "es-backup"
    assert (fresh_server.repo_roots[0] / "es-backup" / "css_repository" / "Es-name" / "config").exists()
    shown = css.send("GET", "/index_snapshot/policy").json()
    assert shown == {
        "keepday": 7, "period": "00:00 GMT+08:00", "frequency": "DAY", "prefix": "snapshot", "bucket": "es-backup", "basePath": "css_repository/Es-name",
        "agency": "usearch", "enable": "false", "indices": "*", "snapshotCmkId": "cmk", "maxSnapshotBytesPerSeconds": "50MB", "maxRestoreBytesPerSeconds": "0",
    }
    # Rates may change while snapshots are there, the place may not.
    assert css.send("POST", "/index_snapshot/setting", body | {"max_snapshot_bytes_per_seconds": "-1"}).status == 200
    assert css.http.get("/_snapshot/es-backup").ok()["es-backup"]["settings"]["max_snapshot_bytes_per_sec"] == "-1"
    refused(css.send("POST", "/index_snapshot/setting", body | {"base_path": "other"}), 412, "CSS.0004")
    for wrong in ({"base_path": None}, {"base_path": "a/../../b"}, {"bucket": "A"}, {"max_snapshot_bytes_per_seconds": "fast"}):
        refused(css.send("POST", "/index_snapshot/setting", body | wrong), 400, "CSS.0001")


def test_policy_is_given_back_in_camel_case(css: Css) -> None:
    body = {"indices": "index_*", "prefix": "nightly", "period": "16:00 GMT+08:00", "keepday": 30, "enable": "true", "delete_auto": "false", "frequency": "SUN"}
    answer = css.send("POST", "/index_snapshot/policy", body)
    assert (answer.status, answer.text) == (200, ""), answer.text
    shown = css.send("GET", "/index_snapshot/policy").json()
    for key in ("indices", "prefix", "period", "keepday", "enable", "frequency"):
        assert shown[key] == body[key]
    assert css.send("GET", "").json()["snapshotPolicy"] == {"backupEnable": True, "bakPeriod": "16:00 GMT+08:00", "bakFrequency": "SUN", "bakKeepDay": 30}
    assert css.send("POST", "/index_snapshot/policy", {"enable": "false"}).status == 200
    assert css.send("GET", "/index_snapshot/policy").json()["enable"] == "false"


def test_the_second_version_opens_and_closes_the_policy(css: Css) -> None:
    path = f"/v2.0/{PROJECT}/clusters/{CLUSTER}/snapshots/policy"
    answer = css.http.post(f"{path}/open", {"keepday": 3, "prefix": "second", "frequency": "HOUR"})
    assert (answer.status, answer.text) == (200, ""), answer.text
    shown = css.send("GET", "/index_snapshot/policy").json()
    assert (shown["enable"], shown["prefix"], shown["frequency"]) == ("true", "second", "HOUR")
    assert css.http.put(f"{path}/close").status == 200
    assert css.send("GET", "/index_snapshot/policy").json()["enable"] == "false"
    refused(css.http.post(f"{path}/open", {"prefix": "second"}), 400, "CSS.5017")


def test_automatic_snapshots_are_told_apart(fresh_server: Server) -> None:
    css = Css(fresh_server.http)
    create_index(css.http, "books")
    assert css.send("POST", "/index_snapshot/policy", {"enable": "true", "prefix": "auto", "keepday": 5, "period": "03:00 GMT+08:00"}).status == 200
    [policy] = [found for found in css.http.get("/api/v1/policies").ok()["policies"] if found["origin"] == "huawei_css"]
    css.http.post("/api/v1/policies/" + policy["id"].replace("/", "%2F") + "/run").ok()
    [backup] = [css.finished(found["id"]) for found in css.backups()]
    assert backup["name"].startswith("auto-") and len(backup["name"]) == len("auto-1566921603720")
    assert (backup["backupType"], backup["backupMethod"], backup["backupKeepDay"]) == ("0", "auto", 5)
    assert (backup["backupFrequency"], backup["backupPeriod"]) == ("DAY", "03:00 GMT+08:00")
    manual = css.taken("manual")
    assert css.send("POST", "/index_snapshot/policy", {"enable": "false", "delete_auto": "true"}).status == 200
    assert [found["id"] for found in css.backups()] == [manual["id"]]


def test_clusters_are_listed_under_the_ids_in_use(css: Css, backup: dict) -> None:
    listed = css.http.get(f"/v1.0/{PROJECT}/clusters").ok()
    assert listed["totalSize"] == len(listed["clusters"])
    [found] = [cluster for cluster in listed["clusters"] if cluster["id"] == CLUSTER]
    assert (found["status"], found["actions"]) == ("200", [])
    assert found["datastore"]["type"] == "elasticsearch"


def test_projects_and_tokens_for_clients_that_ask_first(server: Server) -> None:
    projects = server.http.get("/v3/projects?name=local").ok()["projects"]
    assert len(projects) == 1 and len(projects[0]["id"]) == 32 and projects[0]["name"] == "local"
    user = {"name": "user", "password": "secret", "domain": {"name": "domain"}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": {"id": PROJECT}}}}
    answer = server.http.post("/v3/auth/tokens", body)
    assert answer.status == 201 and answer.headers["x-subject-token"]
    assert answer.json()["token"]["project"]["id"] == PROJECT and answer.json()["token"]["expires_at"]


def test_configured_clusters_and_projects_are_the_only_ones(tmp_path) -> None:
    environment = {"SNAPKEEP_HUAWEI_CSS_CLUSTERS": CLUSTER.upper(), "SNAPKEEP_HUAWEI_CSS_PROJECTS": PROJECT}
    with Server(tmp_path, environment=environment) as server:
        assert Css(server.http).backups() == []
        assert Css(server.http, cluster=CLUSTER.upper()).backups() == []
        refused(Css(server.http, cluster="00000000-0000-4000-8000-000000000000").send("GET", "/index_snapshots"), 403, "CSS.0015")
        refused(Css(server.http, project="f" * 32).send("GET", "/index_snapshots"), 403, "CSS.0015")
        assert [cluster["id"] for cluster in server.http.get(f"/v1.0/{PROJECT}/clusters").ok()["clusters"]] == [CLUSTER]
        assert server.http.get("/v3/projects?name=x").ok()["projects"][0]["id"] == PROJECT


def test_the_literal_project_of_a_client_without_one_is_refused(server: Server) -> None:
    refused(server.http.get(f"/v1.0/%7Bproject_id%7D/clusters/{CLUSTER}/index_snapshots"), 403, "CSS.0015")


def test_a_running_restore_is_seen_keeps_others_out_and_may_fail(fresh_server: Server) -> None:
    css = Css(fresh_server.http)
    create_index(css.http, "large")
    bulk(css.http, "large", make_documents(1500, text_bytes=600))
    setting = {"bucket": "slow-bucket", "agency": "agency", "base_path": "path", "max_restore_bytes_per_seconds": "20kb"}
    assert css.send("POST", "/index_snapshot/setting", setting).status == 200
    backup = css.taken("large-one")
    assert css.restore(backup["id"], renamePattern="large", renameReplacement="again").status == 201
    assert css.backup(backup["id"])["restoreStatus"] == "restoring"
    assert css.send("GET", "").json()["actions"] == ["RESTORING"]
    refused(css.send("POST", "/index_snapshot", {"name": "second"}), 409, "CSS.0011", "large-one")
    refused(css.restore(backup["id"], renamePattern="large", renameReplacement="other"), 409, "CSS.0011")
    refused(css.send("DELETE", f"/index_snapshot/{backup['id']}"), 409, "CSS.0011")
    # Whoever deletes the index ends the restore.
    css.http.delete("/again").ok()
    assert css.restore_ended(backup["id"])["restoreStatus"] == "failed"
    assert css.send("GET", "").json()["actions"] == []
    assert css.send("DELETE", f"/index_snapshot/{backup['id']}").status == 200


def test_a_locked_snapshot_is_not_deleted(fresh_server: Server) -> None:
    css = Css(fresh_server.http)
    create_index(css.http, "books")
    backup = css.taken("locked-one")
    css.http.post("/api/v1/repositories/css-backup/snapshots/locked-one/lock", {"for": "1h"}).ok()
    refused(css.send("DELETE", f"/index_snapshot/{backup['id']}"), 409, "CSS.0029", "locked until")
    assert css.backup(backup["id"]) is not None
