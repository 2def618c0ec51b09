"""Who may do what with policies, on a server that requires credentials."""

from pathlib import Path
from typing import Iterator

import pytest

from security.secured import Caller, SecuredServer

NATIVE = "/api/v1/policies"
SLM = {"schedule": "1h", "name": "s", "repository": "own", "config": {"indices": ["logs-*"], "include_global_state": False}}


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[SecuredServer]:
    with SecuredServer(folder) as running:
        yield running


@pytest.fixture(scope="module")
def admin(secured: SecuredServer) -> Caller:
    caller = secured.as_(secured.admin)
    for name in ("own", "other"):
        caller.put(f"/_snapshot/{name}", {"type": "fs", "settings": {"location": name}}).ok()
        caller.put(f"{NATIVE}/{name}", {"repository": name}).ok()
        caller.put(f"/_slm/policy/{name}", SLM | {"repository": name}).ok()
    caller.put("/logs-1/_doc/1?refresh=true", {"n": 1}).ok()
    return caller


@pytest.fixture(scope="module")
def roles(secured: SecuredServer, admin: Caller) -> dict[str, Caller]:
    limits = ("--repository", "own", "--resource", "logs-*")
    made = {role: secured.as_(secured.add(role, "--role", role)) for role in ("viewer", "operator")}
    return made | {"limited": secured.as_(secured.add("limited", "--role", "admin", *limits))}


def test_viewers_look_and_operators_also_run(admin: Caller, roles: dict[str, Caller]) -> None:
    for role in ("viewer", "operator"):
        caller = roles[role]
        assert caller.get(NATIVE).status == 200 and caller.get("/_slm/policy/own").status == 200
        assert caller.put(f"{NATIVE}/mine", {"repository": "own"}).status == 403
        assert caller.put("/_slm/policy/mine", SLM).status == 403
        assert caller.delete(f"{NATIVE}/own").status == 403 and caller.delete("/_slm/policy/own").status == 403
        assert caller.post(f"{NATIVE}/own/disable").status == 403 and caller.post("/_slm/stop").status == 403
        assert caller.post(f"{NATIVE}/own/retention").status == 403
    assert roles["viewer"].post(f"{NATIVE}/own/run").status == 403
    assert roles["viewer"].post("/_slm/policy/own/_execute").status == 403
    assert roles["operator"].post(f"{NATIVE}/own/run").status == 202
    name = roles["operator"].post("/_slm/policy/own/_execute").ok()["snapshot_name"]
    assert roles["operator"].post(f"/api/v1/repositories/own/snapshots/{name}/lock", {"for": "1d"}).status == 403
    assert admin.get(f"{NATIVE}/own").ok()["version"] == 1


def test_limits_hold_for_what_a_policy_does(admin: Caller, roles: dict[str, Caller]) -> None:
    """A policy runs with the rights of the server: whoever is confined to a part of it makes none, and runs what stays within that part."""
    within = {"repository": "own", "indices": ["logs-1*"], "include_global_state": False}
    admin.put(f"{NATIVE}/within", within).ok()
    admin.put(f"{NATIVE}/named", within | {"indices": ["secret"]}).ok()
    limited = roles["limited"]
    assert [policy["id"] for policy in limited.get(NATIVE).ok()["policies"]] == ["named", "own", "within", "slm/own"]
    assert set(limited.get("/_slm/policy").ok()) == {"own"} and limited.get("/_slm/policy/other").status == 404
    assert limited.get(f"{NATIVE}/other").status == 403
    assert limited.post(f"{NATIVE}/within/run").status == 202
    for policy in ("own", "named", "other"):
        assert limited.post(f"{NATIVE}/{policy}/run").status == 403, policy
    assert limited.post("/_slm/policy/own/_execute").status == 200
    assert limited.post("/_slm/policy/other/_execute").status == 403
    for path, body in ((f"{NATIVE}/mine", within), ("/_slm/policy/mine", SLM), (f"{NATIVE}/own", within)):
        assert limited.put(path, body).status == 403, path
    for path in (f"{NATIVE}/within", "/_slm/policy/own", "/_slm/policy/other"):
        assert limited.delete(path).status == 403, path
    assert limited.post("/_slm/stop").status == 403 and limited.post("/_slm/_execute_retention").status == 403
