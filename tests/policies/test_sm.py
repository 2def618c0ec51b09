"""OpenSearch's snapshot management through opensearch-py."""

import copy
import re
from typing import Iterator

import pytest
from opensearchpy import NotFoundError, OpenSearch, RequestError, TransportError

from harness.polling import wait_until
from harness.server import Server
from policies.helpers import command, finished, of_policy, prepare

DAILY = {
    "description": "Daily snapshot policy",
    "creation": {"schedule": {"cron": {"expression": "0 8 * * *", "timezone": "UTC"}}, "time_limit": "1h"},
    "deletion": {
        "schedule": {"cron": {"expression": "0 1 * * *", "timezone": "America/Los_Angeles"}},
        "condition": {"max_age": "7d", "max_count": 21, "min_count": 7},
        "time_limit": "1h",
    },
    "snapshot_config": {
        "date_format": "yyyy-MM-dd-HH:mm", "date_format_timezone": "America/Los_Angeles", "indices": "*", "repository": "main",
        "ignore_unavailable": "true", "include_global_state": "false", "partial": "true", "metadata": {"any_key": "any_value"},
    },
}


@pytest.fixture(scope="module")
def server(folder) -> Iterator[Server]:
    with Server(folder, environment={"SNAPKEEP_ELASTICSEARCH_SHAPE": "opensearch"}) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> OpenSearch:
    prepare(server)
    return OpenSearch(server.url)


def changed(path: str, value: object) -> dict:
    body = copy.deepcopy(DAILY)
    *parents, last = path.split(".")
    part = body
    for name in parents:
        part = part[name]
    part[last] = value
    return body


def test_without_policies_there_is_no_index_for_them(client: OpenSearch) -> None:
    assert client.plugins.sm.get_policies() == {"policies": [], "total_policies": 0}
    for call in (client.plugins.sm.get_policy, client.plugins.sm.explain_policy, client.plugins.sm.start_policy, client.plugins.sm.delete_policy):
        with pytest.raises(NotFoundError) as failure:
            call(policy_name="nope")
        assert failure.value.info["error"]["reason"] == "Snapshot management config index not found"


def test_a_policy_is_created_once_and_given_back(server: Server, client: OpenSearch) -> None:
    made = server.http.post("/_plugins/_sm/policies/daily", DAILY)
    assert made.status == 201 and made.headers["location"] == "/_plugins/_sm/policies/daily"
    document = made.json()
    assert document["_id"] == "daily-sm-policy" and document["_version"] == 1 and document["_primary_term"] == 1
    source = document["sm_policy"]
    assert source["name"] == "daily" and source["enabled"] is True
    for key, value in DAILY.items():
        assert source[key] == value, key
    assert source["schedule"]["interval"]["unit"] == "Minutes" and source["enabled_time"] == source["last_updated_time"]
    assert client.plugins.sm.get_policy(policy_name="daily") == document
    assert client.plugins.sm.get_policies() == {"policies": [document], "total_policies": 1}
    with pytest.raises(TransportError) as failure:
        client.plugins.sm.create_policy(policy_name="daily", body=DAILY)
    assert failure.value.status_code == 409 and failure.value.error == "version_conflict_engine_exception"
    assert failure.value.info["error"]["reason"] == "[daily-sm-policy]: version conflict, document already exists (current version [1])"


def test_an_update_names_the_version_that_it_replaces(server: Server, client: OpenSearch) -> None:
    before = client.plugins.sm.get_policy(policy_name="daily")
    version = {"if_seq_no": before["_seq_no"], "if_primary_term": before["_primary_term"]}
    after = client.plugins.sm.update_policy(policy_name="daily", body=changed("description", "changed"), params=version)
    assert after["_version"] == 2 and after["_seq_no"] > before["_seq_no"] and after["sm_policy"]["description"] == "changed"
    with pytest.raises(TransportError) as failure:
        client.plugins.sm.update_policy(policy_name="daily", body=DAILY, params=version)
    assert failure.value.status_code == 409
    assert failure.value.info["error"]["reason"] == (
        "[daily-sm-policy]: version conflict, required seqNo [0], primary term [1]. current document has seqNo [1] and primary term [1]"
    )
    error = server.http.put("/_plugins/_sm/policies/daily", DAILY).refused(400, "action_request_validation_exception")
    assert "Sequence number and primary term must be provided when updating a snapshot management policy" in error["reason"]
    error = server.http.put("/_plugins/_sm/policies/nope?if_seq_no=0&if_primary_term=1", DAILY).refused(409)
    assert error["reason"].endswith("but no document was found")


@pytest.mark.parametrize(
    "path, value, reason",
    [
        ("creation", None, "Must provide the creation configuration."),
        ("snapshot_config", None, "snapshot_config field must not be null"),
        ("snapshot_config.repository", "", "Must provide the repository in snapshot config."),
        ("deletion.condition", {"min_count": 1}, "Please provide max_age or max_count."),
        ("deletion.condition", {"max_count": 2, "min_count": 2}, "max_count should be bigger than min_count."),
        ("deletion.condition", {"max_count": 2, "min_count": 0}, "min_count should be bigger than 0."),
    ],
)
def test_what_cannot_be_used_is_refused_in_the_words_of_real_servers(client: OpenSearch, path: str, value: object, reason: str) -> None:
    with pytest.raises(RequestError) as failure:
        client.plugins.sm.create_policy(policy_name="wrong", body=changed(path, value))
    assert failure.value.error == "illegal_argument_exception" and failure.value.info["error"]["reason"] == reason


def test_names_and_schedules_that_mean_nothing(client: OpenSearch) -> None:
    with pytest.raises(RequestError) as failure:
        client.plugins.sm.create_policy(policy_name="Wrong", body=DAILY)
    assert failure.value.info["error"]["reason"] == "Policy name must be lowercase."
    for key, value in (("expression", "whenever"), ("timezone", "Mars/Base")):
        with pytest.raises(RequestError) as failure:
            client.plugins.sm.create_policy(policy_name="wrong", body=changed(f"creation.schedule.cron.{key}", value))
        assert value in failure.value.info["error"]["reason"]
    with pytest.raises(NotFoundError) as failure:
        client.plugins.sm.get_policy(policy_name="wrong")
    assert failure.value.info["error"]["reason"] == "Snapshot management policy not found"


def test_policies_are_listed_in_pages(client: OpenSearch) -> None:
    for name in ("alpha", "beta"):
        client.plugins.sm.create_policy(policy_name=name, body=DAILY)
    page = client.plugins.sm.get_policies(params={"size": 2, "sortField": "sm_policy.name", "sortOrder": "desc"})
    assert [document["sm_policy"]["name"] for document in page["policies"]] == ["daily", "beta"] and page["total_policies"] == 3
    found = client.plugins.sm.get_policies(params={"queryString": "*a"})
    assert [document["sm_policy"]["name"] for document in found["policies"]] == ["alpha", "beta"]
    for name in ("alpha", "beta"):
        gone = client.plugins.sm.delete_policy(policy_name=name)
        assert gone["result"] == "deleted" and gone["_id"] == f"{name}-sm-policy" and gone["_index"] == ".opendistro-ism-config"


def test_explaining_starting_and_stopping(client: OpenSearch) -> None:
    [shown] = client.plugins.sm.explain_policy(policy_name="d*")["policies"]
    assert shown["name"] == "daily" and shown["enabled"] is True and shown["policy_primary_term"] == 1
    assert shown["creation"]["current_state"] == "CREATION_START" and shown["creation"]["trigger"]["time"] % 86_400_000 == 8 * 3_600_000
    assert shown["deletion"]["current_state"] == "DELETION_START"
    assert client.plugins.sm.stop_policy(policy_name="daily") == {"acknowledged": True}
    assert client.plugins.sm.explain_policy(policy_name="daily")["policies"][0]["enabled"] is False
    assert client.plugins.sm.get_policy(policy_name="daily")["sm_policy"]["enabled_time"] is None
    assert client.plugins.sm.start_policy(policy_name="daily") == {"acknowledged": True}
    assert client.plugins.sm.get_policy(policy_name="daily")["sm_policy"]["enabled"] is True
    assert client.plugins.sm.explain_policy(policy_name="zzz*") == {"policies": []}


def test_a_run_is_named_after_its_policy_and_explained(server: Server, client: OpenSearch) -> None:
    job = command(server, "policy", "run", "sm/daily", "--no-wait")
    name = job["subject"]
    assert re.fullmatch(r"daily-\d{4}-\d\d-\d\d-\d\d:\d\d-[a-z0-9]{8}", name)
    finished(server.http, "main", name)
    shown = client.snapshot.get(repository="main", snapshot=name)["snapshots"][0]
    assert shown["state"] == "SUCCESS" and shown["metadata"] == {"any_key": "any_value", "sm_policy": "daily"}
    latest = wait_until(
        "the run to be told", lambda: (found := client.plugins.sm.explain_policy(policy_name="daily")["policies"][0]["creation"]).get("latest_execution") and found
    )["latest_execution"]
    assert latest["status"] == "SUCCESS" and latest["info"] == {"message": f"Snapshot {name} creation end with state SUCCESS."}


def test_the_usual_name_has_the_second_in_it(server: Server, client: OpenSearch) -> None:
    body = changed("snapshot_config", {"repository": "main"})
    del body["deletion"]
    client.plugins.sm.create_policy(policy_name="plain", body=body)
    taken = command(server, "policy", "run", "sm/plain")["snapshot"]
    assert re.fullmatch(r"plain-\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d-[a-z0-9]{8}", taken["name"])
    assert client.plugins.sm.explain_policy(policy_name="plain")["policies"][0]["deletion"] is None


def test_deletion_also_takes_what_matches_the_pattern(server: Server, client: OpenSearch) -> None:
    client.snapshot.create(repository="main", snapshot="external-1", params={"wait_for_completion": "true"})
    body = changed("deletion.condition", {"max_count": 2, "min_count": 1})
    body["deletion"]["snapshot_pattern"] = "external-*"
    body["snapshot_config"] = {"repository": "main"}
    client.plugins.sm.create_policy(policy_name="tidy", body=body)
    for _ in range(2):
        command(server, "policy", "run", "sm/tidy")
    done = command(server, "policy", "retain", "sm/tidy")
    assert done["deleted"] == ["external-1"]
    assert len(of_policy(server.http, "sm/tidy")) == 2
    latest = client.plugins.sm.explain_policy(policy_name="tidy")["policies"][0]["deletion"]["latest_execution"]
    assert latest["status"] == "SUCCESS" and "external-1" in latest["info"]["message"]


def test_the_es_shape_does_not_know_it(tmp_path) -> None:
    with Server(tmp_path) as server:
        answer = server.http.get("/_plugins/_sm/policies/p1/_explain")
        assert answer.status == 400
        assert answer.json() == {"error": "no handler found for uri [/_plugins/_sm/policies/p1/_explain] and method [GET]"}
