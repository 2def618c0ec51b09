"""Snapshot lifecycle management through elasticsearch-py 8, and the texts of its errors."""

import re
from typing import Iterator

import pytest
from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from harness.polling import wait_until
from harness.server import Server
from policies.helpers import finished, of_policy, prepare, snapshots

DAILY = {"schedule": "0 30 1 * * ?", "name": "<daily-snap-{now/d}>", "repository": "main", "config": {"indices": ["books"], "ignore_unavailable": False}}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Elasticsearch]:
    prepare(server)
    with Elasticsearch(server.url) as client:
        yield client


def error_of(failure: pytest.ExceptionInfo[ApiError]) -> dict:
    return failure.value.body["error"]


def test_without_policies_the_list_is_empty_and_a_name_is_unknown(client: Elasticsearch) -> None:
    assert client.slm.get_lifecycle().body == {}
    with pytest.raises(NotFoundError) as failure:
        client.slm.get_lifecycle(policy_id="x")
    assert error_of(failure)["type"] == "resource_not_found_exception"
    assert error_of(failure)["reason"] == "snapshot lifecycle policy or policies [x] not found, no policies are configured"
    with pytest.raises(NotFoundError) as failure:
        client.slm.delete_lifecycle(policy_id="x")
    assert error_of(failure)["reason"] == "snapshot lifecycle policy not found: x"


def test_statistics_of_a_server_without_policies(client: Elasticsearch) -> None:
    assert client.slm.get_stats().body == {
        "retention_runs": 0, "retention_failed": 0, "retention_timed_out": 0, "retention_deletion_time": "0s", "retention_deletion_time_millis": 0,
        "total_snapshots_taken": 0, "total_snapshots_failed": 0, "total_snapshots_deleted": 0, "total_snapshot_deletion_failures": 0, "policy_stats": [],
    }


def test_a_policy_is_given_back_as_it_was_put(client: Elasticsearch) -> None:
    retention = {"expire_after": "30d", "min_count": 5, "max_count": 50}
    assert client.slm.put_lifecycle(policy_id="daily", **DAILY, retention=retention).body == {"acknowledged": True}
    shown = client.slm.get_lifecycle(policy_id="daily").body["daily"]
    assert set(shown) == {"version", "modified_date_millis", "policy", "next_execution_millis", "stats"}
    assert shown["version"] == 1
    assert shown["policy"] == DAILY | {"retention": retention}
    assert shown["stats"] == {"policy": "daily", "snapshots_taken": 0, "snapshots_failed": 0, "snapshots_deleted": 0, "snapshot_deletion_failures": 0}
    assert shown["next_execution_millis"] % 86_400_000 == 90 * 60_000, "half past one, UTC"
    readable = client.slm.get_lifecycle(policy_id="daily", human=True).body["daily"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT01:30:00\.000Z", readable["next_execution"])
    assert "modified_date" in readable


def test_putting_the_same_again_is_no_new_version(client: Elasticsearch) -> None:
    before = client.slm.get_lifecycle(policy_id="daily").body["daily"]
    client.slm.put_lifecycle(policy_id="daily", **before["policy"])
    assert client.slm.get_lifecycle(policy_id="daily").body["daily"]["modified_date_millis"] == before["modified_date_millis"]
    client.slm.put_lifecycle(policy_id="daily", **before["policy"] | {"schedule": "0 45 2 * * ?"})
    assert client.slm.get_lifecycle(policy_id="daily").body["daily"]["version"] == before["version"] + 1


def test_several_policies_by_name(client: Elasticsearch) -> None:
    client.slm.put_lifecycle(policy_id="hourly", **DAILY | {"schedule": "1h"})
    assert set(client.slm.get_lifecycle().body) == {"daily", "hourly"}
    assert set(client.slm.get_lifecycle(policy_id="hourly,nope").body) == {"hourly"}
    with pytest.raises(NotFoundError) as failure:
        client.slm.get_lifecycle(policy_id="nope,nor-this")
    assert error_of(failure)["reason"] == "snapshot lifecycle policy or policies [nope, nor-this] not found"
    client.slm.delete_lifecycle(policy_id="hourly")
    assert set(client.slm.get_lifecycle().body) == {"daily"}


@pytest.mark.parametrize(
    "name, change, kind, reason",
    [
        ("p", {"schedule": "0 * * * * ?"}, "illegal_argument_exception",
         "invalid schedule [0 * * * * ?]: schedule would be too frequent, executing more than every [15m]"),
        ("p", {"schedule": "10m"}, "illegal_argument_exception", "invalid schedule [10m]: schedule would be too frequent, executing more than every [15m]"),
        ("p", {"repository": "missing-repo"}, "illegal_argument_exception", "no such repository [missing-repo]"),
        ("p", {"schedule": "sometimes"}, "action_request_validation_exception",
         "Validation Failed: 1: invalid schedule [sometimes]: must be a valid cron expression or time unit;"),
        ("p", {"schedule": "30 1 * * *"}, "action_request_validation_exception",
         "Validation Failed: 1: invalid schedule [30 1 * * *]: must be a valid cron expression or time unit;"),
        ("p", {"name": "UPPER"}, "action_request_validation_exception", "Validation Failed: 1: invalid snapshot name [UPPER]: must be lowercase;"),
        ("_p", {}, "action_request_validation_exception", "Validation Failed: 1: invalid policy id [_p]: must not start with '_';"),
        ("p", {"config": {"metadata": {"policy": "mine"}}}, "action_request_validation_exception",
         "Validation Failed: 1: invalid configuration.metadata: field name [policy] is reserved and will be added automatically;"),
    ],
)
def test_what_cannot_be_used_is_refused_in_the_words_of_real_servers(client: Elasticsearch, name: str, change: dict, kind: str, reason: str) -> None:
    with pytest.raises(BadRequestError) as failure:
        client.slm.put_lifecycle(policy_id=name, **DAILY | change)
    assert (error_of(failure)["type"], error_of(failure)["reason"]) == (kind, reason)
    assert "p" not in client.slm.get_lifecycle().body


def test_a_retention_that_contradicts_itself(client: Elasticsearch) -> None:
    with pytest.raises(BadRequestError) as failure:
        client.slm.put_lifecycle(policy_id="p", **DAILY, retention={"min_count": 5, "max_count": 3})
    cause = error_of(failure)["caused_by"]["caused_by"]
    assert cause == {"type": "illegal_argument_exception", "reason": "minimum snapshot count 5 cannot be larger than maximum snapshot count 3"}


def test_what_is_missing_is_named(server: Server, client: Elasticsearch) -> None:
    error = server.http.put("/_slm/policy/p", {"name": "x"}).refused(400, "illegal_argument_exception")
    assert error["reason"] == "Required [schedule, repository]"
    assert server.http.put("/_slm/policy/p").refused(400)["reason"] == "request body is required"
    assert "unrecognized parameter: [wait]" in server.http.put("/_slm/policy/p?wait=1", DAILY).refused(400)["reason"]


def test_executing_takes_a_snapshot_that_names_its_policy(server: Server, client: Elasticsearch) -> None:
    config = {"indices": "books", "metadata": {"by": "a test"}}
    client.slm.put_lifecycle(policy_id="tagged", **DAILY | {"config": config, "name": "<tagged-{now/d}>"})
    name = client.slm.execute_lifecycle(policy_id="tagged").body["snapshot_name"]
    assert re.fullmatch(r"tagged-\d{4}\.\d\d\.\d\d-[a-z0-9_-]{22}", name)
    finished(server.http, "main", name)
    shown = client.snapshot.get(repository="main", snapshot=name).body["snapshots"][0]
    assert shown["state"] == "SUCCESS" and shown["metadata"] == {"by": "a test", "policy": "tagged"}
    state = wait_until("the success to be recorded", lambda: client.slm.get_lifecycle(policy_id="tagged").body["tagged"].get("last_success"))
    assert state["snapshot_name"] == name and state["start_time"] <= state["time"]
    stats = client.slm.get_stats().body
    assert stats["total_snapshots_taken"] >= 1
    assert {"policy": "tagged", "snapshots_taken": 1, "snapshots_failed": 0, "snapshots_deleted": 0, "snapshot_deletion_failures": 0} in stats["policy_stats"]


def test_snapshots_are_filtered_by_policy(server: Server, client: Elasticsearch) -> None:
    client.snapshot.create(repository="main", snapshot="by-hand", wait_for_completion=True)

    def names(pattern: str) -> set[str]:
        found = client.snapshot.get(repository="main", snapshot="*", slm_policy_filter=pattern).body["snapshots"]
        return {info["snapshot"].split("-")[0] for info in found}

    assert names("tagged") == {"tagged"}
    assert names("_none") == {"by"}
    assert names("*,-tag*") == set()
    assert names("*,_none") == {"tagged", "by"}


def test_executing_what_is_not_there(client: Elasticsearch) -> None:
    with pytest.raises(BadRequestError) as failure:
        client.slm.execute_lifecycle(policy_id="nope")
    assert error_of(failure) | {"root_cause": None} == {
        "root_cause": None, "type": "illegal_argument_exception", "reason": "no such snapshot lifecycle policy [nope]",
    }


def test_retention_keeps_what_it_should(server: Server, client: Elasticsearch) -> None:
    client.slm.put_lifecycle(policy_id="few", **DAILY | {"name": "few"}, retention={"max_count": 2})
    names = []
    for _ in range(4):
        names.append(client.slm.execute_lifecycle(policy_id="few").body["snapshot_name"])
        finished(server.http, "main", names[-1])
        wait_until("the run to end", lambda: "in_progress" not in client.slm.get_lifecycle(policy_id="few").body["few"])
    assert client.slm.execute_retention().body == {"acknowledged": True}
    wait_until("two to be removed", lambda: [info["name"] for info in of_policy(server.http, "slm/few")] == names[2:])
    stats = wait_until("the removals to be counted", lambda: (found := client.slm.get_stats().body)["total_snapshots_deleted"] >= 2 and found)
    assert stats["retention_runs"] >= 1 and stats["total_snapshot_deletion_failures"] == 0


def test_a_failure_is_recorded_with_its_reason(client: Elasticsearch) -> None:
    client.slm.put_lifecycle(policy_id="broken", **DAILY | {"name": "broken", "config": {"indices": ["no-such-index"]}})
    with pytest.raises(ApiError):
        client.slm.execute_lifecycle(policy_id="broken")
    shown = wait_until("the failure to be recorded", lambda: (found := client.slm.get_lifecycle(policy_id="broken").body["broken"]).get("last_failure") and found)
    assert "no-such-index" in shown["last_failure"]["details"]
    assert shown["stats"]["snapshots_failed"] == 1 and "last_success" not in shown
    client.slm.delete_lifecycle(policy_id="broken")


def test_starting_and_stopping(client: Elasticsearch) -> None:
    assert client.slm.get_status().body == {"operation_mode": "RUNNING"}
    assert client.slm.stop().body == {"acknowledged": True}
    assert client.slm.get_status().body == {"operation_mode": "STOPPED"}
    assert "next_execution_millis" in client.slm.get_lifecycle(policy_id="daily").body["daily"]
    assert client.slm.start().body == {"acknowledged": True}
    assert client.slm.get_status().body == {"operation_mode": "RUNNING"}


def test_the_schedules_of_the_cluster_settings(server: Server, client: Elasticsearch) -> None:
    """With the least distance lowered a policy of every second takes snapshots, and retention of every second removes them."""
    defaults = client.cluster.get_settings(include_defaults=True, filter_path="**.slm").body
    assert defaults["defaults"]["slm"] == {"minimum_interval": "15m", "retention_schedule": "0 30 1 * * ?"}
    with pytest.raises(BadRequestError):
        client.cluster.put_settings(persistent={"slm.retention_schedule": "sometimes"})
    client.cluster.put_settings(persistent={"slm.minimum_interval": "1s"})
    client.slm.put_lifecycle(policy_id="busy", **DAILY | {"name": "busy", "schedule": "0/1 * * * * ?"}, retention={"max_count": 1})
    first = wait_until("three automatic snapshots", lambda: len(found := of_policy(server.http, "slm/busy")) >= 3 and found)[0]
    assert first["state"] == "SUCCESS"
    client.cluster.put_settings(persistent={"slm.retention_schedule": "0/1 * * * * ?"})
    wait_until("the first to be removed", lambda: first["name"] not in {info["name"] for info in snapshots(server.http)})
    wait_until("the others to follow", lambda: len(of_policy(server.http, "slm/busy")) <= 3)
    client.slm.delete_lifecycle(policy_id="busy")
    client.cluster.put_settings(persistent={"slm.minimum_interval": None, "slm.retention_schedule": None})


def test_policies_are_not_indices_of_the_opensearch_shape(tmp_path) -> None:
    with Server(tmp_path, environment={"SNAPKEEP_ELASTICSEARCH_SHAPE": "opensearch"}) as server:
        answer = server.http.get("/_slm/policy")
        assert answer.status in (400, 405), answer.text
        assert server.http.put("/_slm/policy/p", DAILY).json() == {"error": "no handler found for uri [/_slm/policy/p] and method [PUT]"}
