"""Every row of the table of errors in `docs/huawei-css.md`, which is that of the program, is provoked."""

import json
import re
import time
from typing import Callable, Iterator

import pytest

from huawei.css import PROJECT, Css, refused
from harness.documents import bulk, create_index, make_documents
from harness.http import Response
from harness.server import ROOT, Server

SLOW = {"bucket": "slow-bucket", "agency": "agency", "base_path": "slow", "max_snapshot_bytes_per_seconds": "20kb", "max_restore_bytes_per_seconds": "0"}
POLICY = {"enable": "true", "prefix": "snapshot", "period": "16:00 GMT+08:00", "keepday": 7}


def rows() -> list[tuple[int, str, str, str]]:
    text = (ROOT / "docs" / "huawei-css.md").read_text()
    found = re.findall(r"^\| (\d{3}) \| (CSS\.\d{4}) \| (.+?) \| (.+) \|$", text, re.MULTILINE)
    return [(int(status), code, sentence, when) for status, code, sentence, when in found]


@pytest.fixture(scope="module")
def css(server: Server) -> Iterator[Css]:
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(50))
    create_index(server.http, "large")
    bulk(server.http, "large", make_documents(1500, text_bytes=600))
    yield Css(server.http)


def policy(css: Css, **more: object) -> Response:
    body = {key: value for key, value in (POLICY | more).items() if value is not None}
    return css.send("POST", "/index_snapshot/policy", body)


def setting(css: Css, **more: object) -> Response:
    body = {"bucket": "css-backup", "agency": "agency", "base_path": "path"} | more
    return css.send("POST", "/index_snapshot/setting", {key: value for key, value in body.items() if value is not None})


class Building:
    """A snapshot that takes long enough to be looked at, in a bucket of its own; cancelled at the end."""

    def __init__(self, css: Css) -> None:
        self.css = css

    def __enter__(self) -> dict:
        self.css.send("DELETE", "/index_snapshots")
        assert self.css.send("POST", "/index_snapshot/setting", SLOW).status == 200
        return self.css.create(f"slow-{time.monotonic_ns()}", indices="large")

    def __exit__(self, *_: object) -> None:
        for backup in self.css.backups():
            self.css.http.delete(f"/_snapshot/slow-bucket/{backup['name']}").ok()
        assert setting(self.css).status == 200


def while_building(act: Callable[[Css, dict], Response]) -> Callable[[Css], Response]:
    def provoke(css: Css) -> Response:
        with Building(css) as backup:
            assert css.backup(backup["id"])["status"] == "BUILDING"
            return act(css, backup)

    return provoke


def name_used(css: Css) -> Response:
    css.taken("taken-name", indices="books")
    return css.send("POST", "/index_snapshot", {"name": "taken-name"})


def bucket_in_use(css: Css) -> Response:
    css.taken("in-the-way", indices="books")
    return setting(css, bucket="another-bucket")


def disabled(css: Css) -> Response:
    assert css.send("DELETE", "/index_snapshots").status == 200
    try:
        return css.send("POST", "/index_snapshot", {"name": "good"})
    finally:
        assert css.send("POST", "/index_snapshot/auto_setting").status == 200


def bucket_missing(css: Css) -> Response:
    css.http.put("/_snapshot/readonly-bucket", {"type": "fs", "settings": {"location": "ro", "readonly": True}}).ok()
    css.send("DELETE", "/index_snapshots")
    assert setting(css, bucket="readonly-bucket").status == 200
    try:
        return css.send("POST", "/index_snapshot", {"name": "good", "indices": "books"})
    finally:
        css.send("DELETE", "/index_snapshots")
        assert setting(css).status == 200


def data_gone(css: Css) -> Response:
    """The folder of the repository is taken away between the snapshot and the restore."""
    css.send("DELETE", "/index_snapshots")
    assert setting(css, bucket="lost-bucket").status == 200
    backup = css.taken("lost-data", indices="books")
    root = css.server.repo_roots[0]
    packs = root / "lost-bucket" / "path" / "data"
    packs.rename(root / "aside")
    css.server.stop()
    css.server.start()
    try:
        return css.restore(backup["id"], indices="books", renamePattern="books", renameReplacement="again")
    finally:
        (root / "aside").rename(packs)
        css.send("DELETE", "/index_snapshots")
        assert setting(css).status == 200


PROVOKED: dict[str, Callable[[Css], Response]] = {
    "a value breaks a rule": lambda css: css.send("POST", "/index_snapshot", {"name": "X"}),
    "a call that needs a body has none": lambda css: css.send("POST", "/index_snapshot"),
    "`keepday` is missing or not 1 to 90": lambda css: policy(css, keepday=91),
    "`period` is missing or not a whole hour": lambda css: policy(css, period="16:30 GMT+08:00"),
    "`prefix` is missing or breaks its rule": lambda css: policy(css, prefix="Snapshot"),
    "the zone in `period` cannot be read": lambda css: policy(css, period="16:00 Moon"),
    "`agency` is missing or breaks its rule": lambda css: setting(css, agency="a b"),
    "the repository behind `bucket` cannot be opened or made, or is read-only": bucket_missing,
    "the repository does not hold what a restore needs": data_gone,
    "cluster or project unknown, or not of this credential": lambda css: Css(css.http, cluster="x").send("GET", "/index_snapshots"),
    "a path outside of `/v1.0/{project_id}/clusters`": lambda css: css.http.get(f"/v1.0/{PROJECT}/flavors"),
    "no snapshot of this id": lambda css: css.send("DELETE", "/index_snapshot/00000000-0000-4000-8000-000000000000"),
    "`Content-Type` of a body, or `Accept`, is not JSON": lambda css: css.send("POST", "/index_snapshot", "name=x", headers={"Content-Type": "text/plain"}),
    "a snapshot or restore already runs on the cluster": while_building(lambda css, _: css.send("POST", "/index_snapshot", {"name": "second"})),
    "the snapshot is still building, has failed, or is locked": while_building(lambda css, backup: css.send("DELETE", f"/index_snapshot/{backup['id']}")),
    "the name of a new snapshot is taken": name_used,
    "the bucket is changed while it holds snapshots; disable the function first": bucket_in_use,
    "the body is larger than 1 MiB": lambda css: css.send("POST", "/index_snapshot", json.dumps({"name": "a" * (1 << 20)})),
    "the snapshot function is disabled": disabled,
    "another function of the real service, or another method": lambda css: css.send("POST", "/restart", {}),
}
ELSEWHERE = {
    "the role of the credential does not allow the call": "test_credentials.py",
    "a snapshot is deleted or restored while it is deleted": "a moment that no client can hold open",
    "the server's limit on operations at one time is reached": "a thousand operations at one time",
    "anything that should not happen; the server's log says more": "should not happen",
    "the server is shutting down": "a moment that no client can hold open",
}


def test_the_table_and_its_tests_have_the_same_rows() -> None:
    assert sorted(when for *_, when in rows()) == sorted([*PROVOKED, *ELSEWHERE])


@pytest.mark.parametrize("row", [row for row in rows() if row[3] in PROVOKED], ids=lambda row: f"{row[0]}-{row[1]}-{row[3][:24]}")
def test_the_row_is_answered(server: Server, css: Css, row: tuple[int, str, str, str]) -> None:
    status, code, sentence, when = row
    css.server = server
    message = refused(PROVOKED[when](css), status, code)
    assert message.startswith(f"{code} : {sentence}"), message


def test_a_building_snapshot_cannot_be_restored_either(css: Css) -> None:
    with Building(css) as backup:
        refused(css.restore(backup["id"]), 409, "CSS.0029")


def test_sentences_come_in_chinese_too(css: Css) -> None:
    answer = css.send("POST", "/index_snapshot", {"name": "X"}, headers={"Content-Type": "application/json", "X-Language": "zh-cn"})
    assert refused(answer, 400, "CSS.0001").startswith("CSS.0001 : 参数错误。 (name is invalid")
