"""Roles and limits: what is refused changes nothing, what may not be seen is not shown."""

from typing import Any

import pytest

from security.secured import Caller, Credential, SecuredServer


@pytest.fixture(scope="module")
def admin(secured: SecuredServer) -> Caller:
    caller = secured.as_(secured.admin)
    for name in ("own", "other"):
        caller.put(f"/_snapshot/{name}", {"type": "fs", "settings": {"location": name}}).ok()
    for index in ("logs-1", "logs-2", "secret"):
        caller.put(f"/{index}/_doc/1?refresh=true", {"n": 1}).ok()
    caller.post("/_aliases", {"actions": [{"add": {"index": "secret", "alias": "back-door"}}]}).ok()
    for repository in ("own", "other"):
        caller.put(f"/_snapshot/{repository}/all?wait_for_completion=true").ok()
    return caller


@pytest.fixture(scope="module")
def limited(secured: SecuredServer, admin: Caller) -> Caller:
    return secured.as_(secured.add("limited", "--role", "operator", "--kind", "api-key", "--repository", "own", "--resource", "logs-*"))


@pytest.fixture(scope="module")
def viewer(secured: SecuredServer, admin: Caller) -> Caller:
    return secured.as_(secured.add("viewer", "--role", "viewer", "--kind", "api-key"))


def state(admin: Caller) -> Any:
    """Everything that a refused call could have changed."""
    return [
        admin.get(path).json()
        for path in ("/_snapshot", "/_snapshot/own/_all", "/_snapshot/other/_all", "/_cat/indices?format=json&h=index,docs.count,uuid",
                     "/_alias", "/_cluster/settings", "/_index_template", "/api/v1/credentials")
    ]


CHANGES = [
    ("PUT", "/_snapshot/new", {"type": "fs", "settings": {"location": "new"}}),
    ("DELETE", "/_snapshot/own", None),
    ("PUT", "/_snapshot/own/mine", None),
    ("DELETE", "/_snapshot/own/all", None),
    ("POST", "/_snapshot/own/all/_restore", {"rename_pattern": "(.+)", "rename_replacement": "back-$1"}),
    ("PUT", "/_snapshot/own/all/_clone/copy", {"indices": "*"}),
    ("PUT", "/new", {}),
    ("DELETE", "/logs-1", None),
    ("POST", "/logs-1/_close", None),
    ("PUT", "/logs-1/_doc/2", {"n": 2}),
    ("POST", "/logs-1/_bulk", '{"index":{}}\n{"n":3}\n'),
    ("DELETE", "/logs-1/_doc/1", None),
    ("POST", "/logs-1/_update/1", {"doc": {"n": 9}}),
    ("PUT", "/logs-1/_settings", {"index": {"number_of_replicas": 0}}),
    ("POST", "/_aliases", {"actions": [{"add": {"index": "logs-1", "alias": "x"}}]}),
    ("PUT", "/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": "900"}}),
    ("PUT", "/_index_template/t", {"index_patterns": ["t-*"]}),
    ("PUT", "/api/v1/repositories/new", {"kind": "fs", "settings": {"location": "new"}}),
    ("DELETE", "/api/v1/repositories/own", None),
    ("POST", "/api/v1/repositories/own/snapshots", {"name": "mine"}),
    ("DELETE", "/api/v1/repositories/own/snapshots/all", None),
    ("POST", "/api/v1/repositories/own/prune", {}),
    ("POST", "/api/v1/credentials", {"name": "more", "role": "admin"}),
    ("POST", "/api/v1/credentials/admin/rotate", {}),
    ("DELETE", "/api/v1/credentials/limited", None),
]


def test_a_viewer_changes_nothing(admin: Caller, viewer: Caller, limited: Caller) -> None:
    before = state(admin)
    for method, path, body in CHANGES:
        answer = viewer.send(method, path, body)
        assert answer.status == 403, f"{method} {path}: {answer.status} {answer.text[:300]}"
    assert state(admin) == before
    assert viewer.get("/_search").ok()["hits"]["total"]["value"] == 3
    assert viewer.post("/logs-1/_search", {"query": {"match_all": {}}}).status == 200
    assert viewer.get("/_snapshot/other/all").status == 200


def test_a_refusal_names_action_user_and_role(viewer: Caller) -> None:
    reason = viewer.delete("/_snapshot/own/all").refused(403, "security_exception")["reason"]
    assert reason.startswith("action [cluster:admin/snapshot/delete] is unauthorized for user [viewer] with effective roles [viewer]")


def test_lists_show_what_may_be_seen(limited: Caller) -> None:
    indices = {row["index"] for row in limited.get("/_cat/indices?format=json").ok()}
    assert indices == {"logs-1", "logs-2"}
    assert set(limited.get("/_alias").ok()) == {"logs-1", "logs-2"}
    assert set(limited.get("/_all").ok()) == {"logs-1", "logs-2"}
    assert set(limited.get("/_snapshot").ok()) == {"own"}
    assert {row["id"] for row in limited.get("/_cat/repositories?format=json").ok()} == {"own"}
    assert [one["name"] for one in limited.get("/api/v1/repositories").ok()["repositories"]] == ["own"]
    assert {job["repository"] for job in limited.get("/api/v1/jobs").ok()["jobs"]} == {"own"}
    assert limited.get("/_search").ok()["hits"]["total"]["value"] == 2
    assert limited.get("/_count").ok()["count"] == 2
    assert {row["index"] for row in limited.get("/_cat/shards?format=json").ok()} == {"logs-1", "logs-2"}
    assert set(limited.get("/_stats").ok()["indices"]) == {"logs-1", "logs-2"}
    assert set(limited.get("/_cluster/state/metadata").ok()["metadata"]["indices"]) == {"logs-1", "logs-2"}
    assert {one["name"] for one in limited.get("/_resolve/index/*").ok()["indices"]} == {"logs-1", "logs-2"}


@pytest.mark.parametrize(("method", "path", "body"), [
    ("GET", "/secret", None),
    ("GET", "/secret/_doc/1", None),
    ("GET", "/back-door/_doc/1", None),
    ("GET", "/back-door/_search", None),
    ("GET", "/logs-1,secret/_search", None),
    ("GET", "/nothing-there/_search", None),
    ("HEAD", "/secret", None),
    ("PUT", "/secret/_doc/2", {"n": 2}),
    ("PUT", "/back-door/_doc/2", {"n": 2}),
    ("PUT", "/new", {}),
    ("PUT", "/new/_doc/1", {}),
    ("DELETE", "/secret", None),
    ("POST", "/_aliases", {"actions": [{"add": {"index": "secret", "alias": "logs-x"}}]}),
    ("GET", "/_snapshot/other", None),
    ("GET", "/_snapshot/other/_all", None),
    ("PUT", "/_snapshot/other/mine", None),
    ("PUT", "/_snapshot/own/mine", {"indices": "secret"}),
    ("POST", "/_snapshot/own/all/_restore", {"indices": "secret", "rename_pattern": "secret", "rename_replacement": "logs-stolen"}),
    ("POST", "/_snapshot/own/all/_restore", {"indices": "logs-1", "rename_pattern": "logs-1", "rename_replacement": "elsewhere"}),
    ("POST", "/_snapshot/own/all/_restore", {"indices": "logs-1", "include_global_state": True}),
    ("GET", "/api/v1/repositories/other", None),
    ("POST", "/api/v1/repositories/own/snapshots", {"name": "mine", "indices": ["secret"]}),
    ("POST", "/api/v1/repositories/own/snapshots/all/restore", {"indices": ["secret"], "rename_pattern": "secret", "rename_replacement": "logs-9"}),
])
def test_what_lies_outside_of_the_limits_is_refused(admin: Caller, limited: Caller, method: str, path: str, body: Any) -> None:
    before = state(admin)
    answer = limited.send(method, path, body)
    assert answer.status == 403, answer.text[:300]
    assert state(admin) == before


def test_bulk_refuses_single_operations(admin: Caller, limited: Caller) -> None:
    lines = '{"index":{"_index":"logs-1","_id":"b"}}\n{"n":1}\n{"index":{"_index":"secret","_id":"b"}}\n{"n":1}\n{"index":{"_index":"logs-2","_id":"b"}}\n{"n":1}\n'
    answer = limited.post("/_bulk?refresh=true", lines).ok()
    assert answer["errors"]
    assert [item["index"]["status"] for item in answer["items"]] == [201, 403, 201]
    assert answer["items"][1]["index"]["error"]["type"] == "security_exception"
    assert admin.get("/secret/_doc/b").status == 404
    docs = limited.post("/_mget", {"docs": [{"_index": "logs-1", "_id": "b"}, {"_index": "secret", "_id": "1"}]}).ok()["docs"]
    assert docs[0]["found"] and docs[1]["error"]["type"] == "security_exception"
    found = limited.post("/_msearch", '{"index":"secret"}\n{}\n{"index":"logs-1"}\n{}\n').ok()["responses"]
    assert found[0]["status"] == 403 and found[1]["hits"]["total"]["value"] >= 1


def test_a_snapshot_of_everything_holds_what_may_be_seen(limited: Caller) -> None:
    taken = limited.put("/_snapshot/own/visible?wait_for_completion=true").ok()["snapshot"]
    assert sorted(taken["indices"]) == ["logs-1", "logs-2"]
    body = {"rename_pattern": "logs-(.+)", "rename_replacement": "logs-back-$1"}
    back = limited.post("/_snapshot/own/all/_restore?wait_for_completion=true", body).ok()["snapshot"]
    assert sorted(back["indices"]) == ["logs-back-1", "logs-back-2"]


def test_an_admin_with_limits_keeps_no_credentials(secured: SecuredServer, admin: Caller) -> None:
    partly: Credential = secured.add("partly", "--role", "admin", "--kind", "api-key", "--repository", "own")
    caller = secured.as_(partly)
    assert caller.post("/api/v1/credentials", {"name": "x", "role": "admin"}).status == 403
    assert caller.get("/api/v1/audit").status == 403
    assert caller.put("/_cluster/settings", {"persistent": {}}).status == 403
    assert caller.put("/_snapshot/elsewhere", {"type": "fs", "settings": {"location": "elsewhere"}}).status == 403
    assert caller.delete("/_snapshot/own/visible").status == 200
