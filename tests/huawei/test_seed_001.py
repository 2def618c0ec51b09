"""Seed 001: creating a snapshot by hand, as printed there, with every rule of its tables."""

import re

import pytest

from huawei.css import CLUSTER, PROJECT, SHOWN_KEYS, Css, refused
from harness.documents import bulk, create_index, make_documents
from harness.server import Server

PRINTED_BODY = """{
    "name":"snapshot_001",
    "indices":"myindex1,myindex2",
    "description":""
}"""


@pytest.fixture(scope="module")
def css(server: Server) -> Css:
    for name in ("myindex1", "myindex2", "2018-06-01", "2018-06-02", "2018-07-01"):
        create_index(server.http, name)
        bulk(server.http, name, make_documents(20))
    return Css(server.http)


def test_the_printed_request(server: Server, css: Css) -> None:
    # Nothing is set up, and no header beside those that HTTP needs.
    path = f"/v1.0/{PROJECT}/clusters/{CLUSTER}/index_snapshot"
    answer = server.http.send("POST", path, PRINTED_BODY, headers={})
    assert answer.status == 201, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    backup = answer.json()["backup"]
    assert list(backup) == SHOWN_KEYS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", backup["created"])
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", backup["id"])
    assert backup["datastore"].keys() == {"type", "version"}
    shown = {key: backup[key] for key in SHOWN_KEYS if key not in ("created", "datastore", "id", "clusterName", "startTime", "bucketName")}
    assert shown == {
        "description": "", "clusterId": CLUSTER, "name": "snapshot_001", "status": "BUILDING", "updated": None, "backupType": "1",
        "backupMethod": "manual", "backupExpectedStartTime": None, "backupKeepDay": None, "backupPeriod": None,
        "indices": "myindex1,myindex2", "totalShards": None, "failedShards": None, "version": None, "restoreStatus": "none", "endTime": 0,
    }
    done = css.finished(backup["id"])
    assert done["status"] == "COMPLETED"
    assert (done["totalShards"], done["failedShards"]) == (2, 0)
    assert done["endTime"] >= done["startTime"] == backup["startTime"]
    assert done["updated"] and done["version"] == done["datastore"]["version"]


def test_a_prefix_with_a_star_takes_what_it_matches(css: Css) -> None:
    backup = css.create("prefix-2018", indices="2018-06*", description="索引备份")
    assert (backup["indices"], backup["description"]) == ("2018-06*", "索引备份")
    assert css.finished(backup["id"])["indices"] == "2018-06-01,2018-06-02"


def test_all_indices_are_taken_when_none_is_named(css: Css) -> None:
    for number, more in enumerate(({}, {"indices": ""}, {"indices": None}, {"indices": "*"})):
        done = css.taken(f"everything-{number}", **more)
        assert done["indices"] == "2018-06-01,2018-06-02,2018-07-01,myindex1,myindex2"


LEGAL = [
    {"name": "abcd"}, {"name": "a" * 64}, {"name": "z9-_"}, {"name": "desc", "description": "索" * 256}, {"name": "plain", "description": "& = ! ' \""},
]


@pytest.mark.parametrize("body", LEGAL, ids=lambda body: str(body)[:40])
def test_what_the_rules_allow_is_accepted(css: Css, body: dict) -> None:
    backup = css.finished(css.create(**body)["id"])
    assert backup["description"] == body.get("description", "")


ILLEGAL = [
    {}, {"name": None, "description": "x"}, {"name": "abc"}, {"name": "a" * 65}, {"name": "1abc"}, {"name": "-abc"}, {"name": "_abc"}, {"name": "aBcd"},
    {"name": "Abcd"}, {"name": "ab.d"}, {"name": "ab d"}, {"name": "abc/"}, {"name": "快照名称"}, {"name": 1234},
    {"name": "good", "description": "索" * 257}, {"name": "good", "description": "a<b"}, {"name": "good", "description": "a>b"}, {"name": "good", "description": 7},
    {"name": "good", "indices": "a" * 1025}, {"name": "good", "indices": "a b"}, {"name": "good", "indices": "Abc"},
    *({"name": "good", "indices": f"a{c}b"} for c in '"\\<|>/?'), {"name": "good", "indices": ["myindex1"]}, {"name": "good", "indices": "no-such-index"},
]


@pytest.mark.parametrize("body", ILLEGAL, ids=lambda body: str(body)[:40])
def test_what_the_rules_forbid_is_refused(css: Css, body: dict) -> None:
    answer = css.send("POST", "/index_snapshot", body)
    refused(answer, 400, "CSS.0001" if body else "CSS.0006")


def test_lengths_are_counted_in_characters_however_they_are_written(css: Css) -> None:
    escaped = '{"name": "escaped", "description": "' + "\\u7d22" * 256 + '"}'
    assert css.send("POST", "/index_snapshot", escaped).status == 201
    wait = [backup["id"] for backup in css.backups() if backup["name"] == "escaped"]
    assert css.finished(wait[0])["description"] == "索" * 256


def test_every_status_of_the_table(server: Server, css: Css) -> None:
    refused(css.send("POST", "/index_snapshot", "{"), 400, "CSS.0001")
    refused(Css(server.http, cluster="nope").send("POST", "/index_snapshot", {"name": "good"}), 403, "CSS.0015")
    refused(css.send("POST", "/index_snapshot", "<a/>", headers={"Content-Type": "application/xml"}), 406, "CSS.0001")
    refused(css.send("POST", "/index_snapshot", {"name": "good"}, headers={"Accept": "text/html"}), 406, "CSS.0001")
    refused(css.send("POST", "/restart", {}), 501, "CSS.0016")
    refused(css.send("PATCH", "/index_snapshot", {}), 501, "CSS.0016")
