"""Client credentials, tokens, and what each credential may do."""

import base64
import http.client
import json
import time
from typing import Iterator
from urllib.parse import urlencode

import pytest

from harness.http import Http, Response
from idc51.idc import CURL, Disk, Zone, not_an_error, refused
from security.secured import Credential, SecuredServer

FORM = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredServer]:
    server = SecuredServer(tmp_path_factory.mktemp("tokens"))
    for identity in ("vol-mine001", "vol-yours01"):
        Disk(server, identity)
    with server:
        yield server


@pytest.fixture(scope="module")
def key(server: SecuredServer) -> Credential:
    return server.add("signer", "--kind", "access-key", "--role", "admin")


def basic(credential: Credential, secret: str | None = None) -> dict[str, str]:
    pair = f"{credential.key_id}:{secret or credential.secret}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def ask(http: Http, form: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Response:
    return http.send("POST", "/v2/oauth2/token", urlencode(FORM if form is None else form), headers=CURL | (headers or {}))


def token(http: Http, credential: Credential) -> str:
    answer = ask(http, headers=basic(credential))
    assert answer.status == 200, answer.text
    return answer.json()["access_token"]


def zone(server: SecuredServer, credential: Credential, name: str = "ac1") -> Zone:
    return Zone(server.http, name, {"Authorization": f"Bearer {token(server.http, credential)}"})


def test_a_client_in_the_header_gets_a_token(server: SecuredServer, key: Credential) -> None:
    # As the SDK for Java does.
    answer = ask(server.http, headers=basic(key))
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    body = not_an_error(answer.json())
    assert body.keys() == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 7200)
    signed = Zone(server.http, headers={"Authorization": f"{body['token_type']} {body['access_token']}"})
    assert signed.get("/volume_snapshots") == {"snapshots": [], "total_count": 0}
    # The word is read in any case.
    assert Zone(server.http, headers={"Authorization": f"bearer {body['access_token']}"}).get("/unfinished_jobs") == []


def test_a_client_in_the_form_gets_a_token(server: SecuredServer, key: Credential) -> None:
    # As the SDK for PHP does, in both places.
    form = FORM | {"client_id": key.key_id, "client_secret": key.secret}
    assert ask(server.http, form).status == 200
    assert ask(server.http, form, basic(key)).status == 200
    assert server.http.post("/v2/oauth2/token/", json.dumps(form)).status == 200


@pytest.mark.parametrize("kind", ["api-key", "password"])
def test_other_kinds_of_credentials_get_one_too(server: SecuredServer, kind: str) -> None:
    other = server.add(f"of-{kind}", "--kind", kind, "--role", "viewer")
    assert zone(server, other).get("/volume_snapshots")["total_count"] == 0


def test_wrong_clients_get_none(server: SecuredServer, key: Credential) -> None:
    for headers in (basic(key, "wrong"), {"Authorization": "Basic !"}, {}):
        answer = ask(server.http, headers=headers)
        body = refused(answer, 401, "1200")
        assert body["error"] == "invalid_client" and "www-authenticate" in answer.headers
    unknown = Credential("unknown", "SKUNKNOWN", "wrong", None)
    refused(ask(server.http, headers=basic(unknown)), 401, "1200")
    body = refused(ask(server.http, {"grant_type": "password"}, basic(key)), 400, "1100", "client_credentials")
    assert body["error"] == "unsupported_grant_type"


def test_what_needs_a_token_answers_401_without_one(server: SecuredServer, key: Credential) -> None:
    for method, path in (
        ("GET", "/volume_snapshots"), ("POST", "/volume_snapshots"), ("DELETE", "/volume_snapshots/ss-ABCDEFG"), ("GET", "/unfinished_jobs"),
        ("GET", "/job/6fcb4e9a-5398-4ddb-89c2-d0917bbdc4af"), ("GET", "/notifier/stream"), ("GET", "/volumes"), ("GET", "/nowhere"),
    ):
        for headers in ({}, {"Authorization": "Bearer stale"}, {"Authorization": "Bearer"}):
            answer = Zone(server.http, headers=headers).send(method, path)
            refused(answer, 401, "1200")
            assert answer.headers["www-authenticate"].startswith("Bearer")
    refused(server.http.get("/v2/oauth2/token"), 401, "1200")
    assert zone(server, key).get("/unfinished_jobs") == []


def test_one_right_header_of_several_is_enough(server: SecuredServer, key: Credential) -> None:
    # After 401 the SDK for Java adds the fresh token beside the stale one.
    good = token(server.http, key)
    for order in (("stale", good), (good, "stale")):
        connection = http.client.HTTPConnection(server.http.host, server.http.port, timeout=30)
        connection.putrequest("GET", "/v2/zone/ac1/volume_snapshots")
        for value in order:
            connection.putheader("Authorization", f"Bearer {value}")
        connection.endheaders()
        assert connection.getresponse().status == 200, order
        connection.close()


def test_asking_for_tokens_is_no_failed_attempt(server: SecuredServer, key: Credential) -> None:
    for _ in range(30):
        assert ask(server.http, headers=basic(key)).status == 200


def test_a_token_ends_with_the_secret_that_it_was_given_for(server: SecuredServer) -> None:
    passing = server.add("passing", "--kind", "access-key", "--role", "viewer")
    signed = zone(server, passing)
    signed.get("/volume_snapshots")
    assert server.run("credential", "rotate", "passing", "--json", credential=server.admin).returncode == 0
    refused(signed.send("GET", "/volume_snapshots"), 401, "1200")
    refused(ask(server.http, headers=basic(passing)), 401, "1200")


def test_a_token_expires(tmp_path_factory: pytest.TempPathFactory) -> None:
    brief = SecuredServer(tmp_path_factory.mktemp("brief"), "--set", "idc51.token_life=2s")
    with brief:
        answer = ask(brief.http, headers=basic(brief.admin)).json()
        assert answer["expires_in"] == 2
        signed = Zone(brief.http, headers={"Authorization": f"Bearer {answer['access_token']}"})
        signed.get("/volume_snapshots")
        time.sleep(2.1)
        refused(signed.send("GET", "/volume_snapshots"), 401, "1200")


def test_each_role_does_what_it_may(server: SecuredServer, key: Credential) -> None:
    viewer, operator = (zone(server, server.add(role, "--kind", "access-key", "--role", role)) for role in ("viewer", "operator"))
    [point] = operator.take("vol-mine001", name="by operator")
    identity = point["snapshot_id"]
    assert viewer.snapshot(identity)["status"] == "available"
    assert viewer.send("GET", "/volumes").status == 200
    for method, path, body in (
        ("POST", "/volume_snapshots", {"resources": ["vol-mine001"], "snapshot_name": "x"}),
        ("POST", "/volume_snapshots/apply", {"snapshots": [identity]}),
        ("POST", f"/volume_snapshots/create_volume/{identity}", {"volume_name": "x"}),
        ("PUT", f"/volume_snapshots/{identity}", {"snapshot_name": "x"}),
        ("DELETE", f"/volume_snapshots/{identity}", None),
    ):
        refused(viewer.send(method, path, body), 403, "1400", "viewer")
    refused(operator.send("DELETE", f"/volume_snapshots/{identity}"), 403, "1400", "admin")
    assert zone(server, key).delete(identity)["status"] == "successful"


def test_limits_to_projects_are_limits_to_zones(server: SecuredServer) -> None:
    local = server.add("local", "--kind", "access-key", "--role", "admin", "--project", "ac2")
    [point] = zone(server, local, "ac2").take("vol-mine001", name="in ac2")
    outside = zone(server, local, "ac1")
    refused(outside.send("GET", "/volume_snapshots"), 403, "1400", "ac1")
    refused(outside.send("POST", "/volume_snapshots", {"resources": ["vol-mine001"], "snapshot_name": "x"}), 403, "1400")
    refused(outside.send("DELETE", f"/volume_snapshots/{point['snapshot_id']}"), 403, "1400")
    zone(server, local, "ac2").delete(point["snapshot_id"])


def test_limits_to_resources_hide_the_others(server: SecuredServer, key: Credential) -> None:
    all_of_it = zone(server, key)
    mine, yours = all_of_it.take("vol-mine001", "vol-yours01", name="both")
    job = all_of_it.begin("POST", "/volume_snapshots/create_volume", {"snapshot": yours["snapshot_id"], "volume_name": "theirs"})
    all_of_it.end(job)
    confined = zone(server, server.add("confined", "--kind", "access-key", "--role", "admin", "--resource", "vol-mine*"))
    assert [each["snapshot_id"] for each in confined.list()] == [mine["snapshot_id"]]
    assert confined.get("/volume_snapshots?limit=0")["total_count"] == 1
    assert [each["volume_id"] for each in confined.get("/volumes")["volumes"]] == ["vol-mine001"]
    refused(confined.send("GET", f"/job/{job['job_id']}"), 404, "2100")
    for method, path, body in (
        ("POST", "/volume_snapshots", {"resources": ["vol-mine001", "vol-yours01"], "snapshot_name": "x"}),
        ("POST", "/volume_snapshots/apply", {"snapshots": [mine["snapshot_id"], yours["snapshot_id"]]}),
        ("DELETE", f"/volume_snapshots/{yours['snapshot_id']}", None),
        ("PUT", f"/volume_snapshots/{yours['snapshot_id']}", {"snapshot_name": "x"}),
    ):
        refused(confined.send(method, path, body), 403, "1400", "vol-yours01")
    assert confined.delete(mine["snapshot_id"])["resource_ids"] == [mine["snapshot_id"]]
    all_of_it.delete(yours["snapshot_id"])


def test_failed_attempts_end_in_429(tmp_path_factory: pytest.TempPathFactory) -> None:
    guessed = SecuredServer(tmp_path_factory.mktemp("guessed"))
    with guessed:
        statuses = []
        for _ in range(40):
            answer = ask(guessed.http, headers=basic(guessed.admin, "wrong"))
            statuses.append(answer.status)
            if answer.status == 429:
                break
        assert statuses[0] == 401 and statuses[-1] == 429
        refused(answer, 429, "2500")
        assert int(answer.headers["retry-after"]) >= 1


def test_without_credentials_there_are_tokens_too(fresh_server) -> None:
    answer = ask(fresh_server.http)
    assert answer.status == 200 and answer.json()["token_type"] == "Bearer"
    signed = Zone(fresh_server.http, headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert signed.get("/volume_snapshots") == {"snapshots": [], "total_count": 0}
