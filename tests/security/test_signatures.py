"""Requests signed as the clouds' SDKs sign them, written here a second time from their descriptions; and tokens."""

import hashlib
import hmac
import time
import uuid
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from harness.http import Response
from security.secured import Credential, SecuredServer

PROJECT = "6204a5bd270343b5885144cf9c8c158d"
CLUSTER = "ea244205-d641-45d9-9dcb-ab2236bcd07e"


@pytest.fixture(scope="module")
def cloud(secured: SecuredServer) -> Credential:
    return secured.add("cloud", "--role", "operator", "--kind", "access-key", "--project", PROJECT)


def encode(text: str) -> str:
    return quote(text, safe="-_.~")


def canonical_query(query: str) -> str:
    return "&".join(sorted(f"{encode(name)}={encode(value)}" for name, value in parse_qsl(query, keep_blank_values=True)))


def digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def huawei(server: SecuredServer, key: Credential, method: str, target: str, body: bytes = b"", age_seconds: float = 0, secret: str | None = None,
           sent_body: bytes | None = None, more: dict[str, str] | None = None) -> Response:
    url = urlsplit(target)
    headers = {
        "content-type": "application/json", "host": f"{server.http.host}:{server.http.port}", "x-project-id": PROJECT,
        "x-sdk-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - age_seconds)), **(more or {}),
    }
    names = sorted(headers)
    path = "/".join(encode(piece) for piece in unquote(url.path).split("/"))
    hashed = headers.get("x-sdk-content-sha256", digest(body))
    canonical = "\n".join([
        method, path if path.endswith("/") else path + "/", canonical_query(url.query), "".join(f"{name}:{headers[name]}\n" for name in names),
        ";".join(names), hashed,
    ])
    to_sign = f"SDK-HMAC-SHA256\n{headers['x-sdk-date']}\n{digest(canonical)}"
    signature = hmac.new((secret or key.secret).encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = f"SDK-HMAC-SHA256 Access={key.key_id}, SignedHeaders={';'.join(names)}, Signature={signature}"
    del headers["host"]
    return server.http.send(method, target, body if sent_body is None else sent_body, headers={"Host": f"{server.http.host}:{server.http.port}", **headers})


def alibaba(server: SecuredServer, key: Credential, method: str, target: str, age_seconds: float = 0, secret: str | None = None) -> Response:
    url = urlsplit(target)
    headers = {
        "host": f"{server.http.host}:{server.http.port}", "x-acs-action": "DescribeSnapshotSetting", "x-acs-content-sha256": digest(b""),
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age_seconds)), "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-version": "2017-06-13",
    }
    names = sorted(headers)
    canonical = "\n".join([
        method, url.path, canonical_query(url.query), "".join(f"{name}:{headers[name]}\n" for name in names), ";".join(names), headers["x-acs-content-sha256"],
    ])
    signature = hmac.new((secret or key.secret).encode(), f"ACS3-HMAC-SHA256\n{digest(canonical)}".encode(), hashlib.sha256).hexdigest()
    sent = {name: value for name, value in headers.items() if name != "host"}
    authorization = f"ACS3-HMAC-SHA256 Credential={key.key_id},SignedHeaders={';'.join(names)},Signature={signature}"
    return server.http.send(method, target, headers={"Host": headers["host"], **sent, "Authorization": authorization})


SNAPSHOTS = f"/v1.0/{PROJECT}/clusters/{CLUSTER}/index_snapshots"


def is_refused(answer: Response, detail: str = "") -> bool:
    return answer.status == 401 and answer.json()["error_code"] == "APIGW.0301" and detail in answer.json()["error_msg"]


def test_huawei_signatures(secured: SecuredServer, cloud: Credential) -> None:
    assert huawei(secured, cloud, "GET", SNAPSHOTS).status == 200
    assert huawei(secured, cloud, "GET", SNAPSHOTS + "?b=2&a=%2F&a=1").status == 200
    assert is_refused(huawei(secured, cloud, "GET", SNAPSHOTS, secret="wrong"), "verify aksk signature")
    assert is_refused(huawei(secured, cloud, "GET", SNAPSHOTS, age_seconds=16 * 60), "expired")
    assert is_refused(huawei(secured, cloud, "GET", SNAPSHOTS, age_seconds=-16 * 60), "expired")
    assert huawei(secured, cloud, "GET", SNAPSHOTS, age_seconds=14 * 60).status == 200
    unknown = Credential("x", "SKUNKNOWN", cloud.secret, None)
    assert is_refused(huawei(secured, unknown, "GET", SNAPSHOTS), "verify aksk signature")


def test_the_body_is_covered_unless_the_request_says_that_it_is_not(secured: SecuredServer, cloud: Credential) -> None:
    create, body = SNAPSHOTS.removesuffix("s"), b'{"name": "x"}'
    assert not is_refused(huawei(secured, cloud, "POST", create, body))
    assert is_refused(huawei(secured, cloud, "POST", create, body, sent_body=b'{"name": "y"}'))
    hashed = {"x-sdk-content-sha256": digest(body)}
    assert not is_refused(huawei(secured, cloud, "POST", create, body, more=hashed))
    assert is_refused(huawei(secured, cloud, "POST", create, body, sent_body=b'{"name": "y"}', more=hashed))
    unsigned = {"x-sdk-content-sha256": "UNSIGNED-PAYLOAD"}
    assert not is_refused(huawei(secured, cloud, "POST", create, body, sent_body=b'{"name": "y"}', more=unsigned))


def test_a_key_is_good_for_its_projects_and_its_role(secured: SecuredServer, cloud: Credential) -> None:
    other = huawei(secured, cloud, "GET", f"/v1.0/{'0' * 32}/clusters/{CLUSTER}/index_snapshots")
    assert other.status == 403 and other.json()["errCode"] == "CSS.0015"
    policy = huawei(secured, cloud, "POST", f"/v1.0/{PROJECT}/clusters/{CLUSTER}/index_snapshot/policy", b'{"enable": "false"}')
    assert policy.status == 403 and policy.json()["errCode"] == "CSS.0032"


def test_a_token_is_obtained_with_a_password_and_ends_with_its_rotation(secured: SecuredServer) -> None:
    person = secured.add("person", "--role", "viewer")

    def ask(password: str) -> Response:
        user = {"name": "person", "password": password, "domain": {"name": "domain"}}
        scope = {"project": {"id": PROJECT}}
        return secured.http.post("/v3/auth/tokens", {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}})

    assert ask("wrong").status == 401
    issued = ask(person.secret)
    assert issued.status == 201, issued.text
    token = {"X-Auth-Token": issued.headers["x-subject-token"]}
    assert issued.headers["x-subject-token"] not in issued.text
    assert secured.http.send("GET", SNAPSHOTS, headers=token).status == 200
    assert secured.http.send("GET", SNAPSHOTS.replace(PROJECT, "0" * 32), headers=token).status == 403
    assert is_refused(secured.http.send("GET", SNAPSHOTS, headers={"X-Auth-Token": "stale"}))
    assert secured.run("credential", "rotate", "person", credential=secured.admin).returncode == 0
    assert is_refused(secured.http.send("GET", SNAPSHOTS, headers=token))


def test_alibaba_signatures(secured: SecuredServer) -> None:
    key = secured.add("aliyun", "--role", "viewer", "--kind", "access-key")
    setting = "/openapi/instances/es-cn-abcdefghijklmn/snapshot-setting"
    assert alibaba(secured, key, "GET", setting).status == 200
    assert alibaba(secured, key, "GET", setting + "?b=2&a=x%20y").status == 200
    wrong = alibaba(secured, key, "GET", setting, secret="wrong")
    assert (wrong.status, wrong.json()["Code"]) == (400, "SignatureDoesNotMatch")
    stale = alibaba(secured, key, "GET", setting, age_seconds=16 * 60)
    assert (stale.status, stale.json()["Code"]) == (400, "InvalidTimeStamp.Expired")
    assert alibaba(secured, key, "POST", "/openapi/instances/es-cn-abcdefghijklmn/snapshots").status == 403
    huawei_with_it = huawei(secured, key, "GET", "/openapi/instances/i/snapshot-setting")
    assert huawei_with_it.status == 400, "each signature is taken where it belongs"
