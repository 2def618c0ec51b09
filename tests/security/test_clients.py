"""Real clients and raw requests with every way of proving who calls."""

import base64

import pytest
from elasticsearch import AuthenticationException, AuthorizationException, Elasticsearch

from security.secured import Credential, SecuredServer


@pytest.fixture(scope="module")
def key(secured: SecuredServer) -> Credential:
    return secured.add("robot", "--role", "operator", "--kind", "api-key")


def connect(server: SecuredServer, **how: object) -> Elasticsearch:
    return Elasticsearch(server.url, max_retries=0, retry_on_timeout=False, **how)


def test_each_way_of_elasticsearch_py_is_recognised(secured: SecuredServer, key: Credential) -> None:
    ways = {
        "admin": {"basic_auth": ("admin", secured.admin.secret)},
        "robot": {"api_key": (key.key_id, key.secret)},
    }
    for name, how in ways.items():
        with connect(secured, **how) as client:
            assert client.info()["tagline"] == "You Know, for Search"
            told = client.security.authenticate()
            assert told["username"] == name and told["enabled"]
    with connect(secured, api_key=key.encoded) as client:
        assert client.security.authenticate()["authentication_type"] == "api_key"
    with connect(secured, bearer_auth=key.encoded) as client:
        assert client.security.authenticate()["roles"] == ["operator"]


@pytest.mark.parametrize("how", [{}, {"basic_auth": ("admin", "wrong")}, {"basic_auth": ("nobody", "x")}, {"api_key": "bm86Ym9keQ=="}, {"bearer_auth": "stale"}])
def test_the_wrong_ones_are_not(secured: SecuredServer, how: dict) -> None:
    with connect(secured, **how) as client:
        with pytest.raises(AuthenticationException) as refused:
            client.info()
        assert refused.value.body["error"]["type"] == "security_exception"


def test_an_operator_works_and_is_stopped_where_admins_begin(secured: SecuredServer, key: Credential) -> None:
    with connect(secured, basic_auth=("admin", secured.admin.secret)) as admin, connect(secured, api_key=key.encoded) as robot:
        admin.snapshot.create_repository(name="backups", repository={"type": "fs", "settings": {"location": "backups"}})
        robot.index(index="notes", id="1", document={"text": "hello"})
        assert robot.snapshot.create(repository="backups", snapshot="one", wait_for_completion=True)["snapshot"]["state"] == "SUCCESS"
        with pytest.raises(AuthorizationException) as refused:
            robot.snapshot.delete(repository="backups", snapshot="one")
        assert "cluster:admin/snapshot/delete" in refused.value.body["error"]["reason"]
        assert robot.snapshot.get(repository="backups", snapshot="one")["snapshots"][0]["state"] == "SUCCESS"
        with pytest.raises(AuthorizationException):
            robot.snapshot.create_repository(name="mine", repository={"type": "fs", "settings": {"location": "mine"}})
        assert "mine" not in admin.snapshot.get_repository()


def test_refusals_of_each_dialect(secured: SecuredServer) -> None:
    nobody = secured.as_(None)
    refused = nobody.get("/_cat/indices")
    assert refused.status == 401
    assert refused.headers["www-authenticate"]
    assert refused.json()["error"]["root_cause"][0]["header"]["WWW-Authenticate"]
    weaviate = nobody.get("/v1/schema")
    assert (weaviate.status, weaviate.headers["content-type"]) == (401, "text/plain; charset=utf-8")
    assert weaviate.json()["message"].startswith("anonymous access not enabled.")
    wrong = nobody.send("GET", "/v1/schema", headers={"Authorization": "Bearer wrong"})
    assert wrong.json() == {"code": 401, "message": "unauthorized: invalid api key"}
    huawei = nobody.get("/v1.0/p/clusters")
    assert huawei.status == 401 and huawei.json()["error_code"] == "APIGW.0301"
    assert huawei.headers["x-request-id"] == huawei.json()["request_id"]
    alibaba = nobody.get("/openapi/instances/es-cn-1/snapshot-setting")
    assert alibaba.status == 400 and set(alibaba.json()) == {"RequestId", "Code", "Message"}
    native = nobody.get("/api/v1/jobs")
    assert native.status == 401 and native.json()["error"]["code"] == "unauthenticated"


def test_one_stale_header_beside_a_good_one_does_no_harm(secured: SecuredServer, key: Credential) -> None:
    import http.client

    connection = http.client.HTTPConnection(secured.http.host, secured.http.port, timeout=30)
    connection.putrequest("GET", "/_cat/indices")
    connection.putheader("Authorization", "Bearer stale")
    connection.putheader("Authorization", f"Bearer {key.encoded}")
    connection.endheaders()
    assert connection.getresponse().status == 200


def test_a_rotated_secret_is_void_at_once(secured: SecuredServer) -> None:
    old = secured.add("rotating", "--role", "viewer")
    assert secured.as_(old).get("/_cat/indices").status == 200
    done = secured.run("credential", "rotate", "rotating", "--json", credential=secured.admin)
    assert done.returncode == 0, done.stderr
    assert secured.as_(old).get("/_cat/indices").status == 401
    assert secured.run("credential", "rm", "rotating", credential=secured.admin).returncode == 0
    assert secured.as_(old).get("/_cat/indices").status == 401


def test_a_password_of_ones_own_with_colons_and_umlauts(secured: SecuredServer) -> None:
    file = secured.folder / "password.txt"
    file.write_text("grüße:an:alle\n")
    secured.add("alice", "--role", "viewer", "--password-file", str(file))
    header = "Basic " + base64.b64encode("alice:grüße:an:alle".encode()).decode()
    assert secured.http.send("GET", "/_cat/indices", headers={"Authorization": header}).status == 200
