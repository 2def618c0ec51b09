"""A snapshot that a later version wrote is listed as INCOMPATIBLE, in every dialect in its words, and cannot be restored."""

import json
from typing import Callable

from alibabacloud_elasticsearch20170613 import models

from alibaba.test_sdk import INSTANCE, client_of, names
from harness.documents import bulk, create_index, make_documents
from harness.polling import wait_until
from harness.server import Server
from harness.stock_restic import Restic
from huawei.css import Css

LATER = f"{INSTANCE}_20991231235959"


def test_incompatible(fresh_server: Server, restic: Callable[[Server, str], Restic], tmp_path) -> None:
    server = fresh_server
    create_index(server.http, "books")
    bulk(server.http, "books", make_documents(10))
    client_of(server).create_snapshot(INSTANCE, models.CreateSnapshotRequest())
    [taken] = wait_until("the snapshot", lambda: names(server))
    stock = restic(server, "aliyun_auto_snapshot")
    server.stop()
    folder = tmp_path / "content"
    stock.ok("restore", stock.names()[taken], "--target", str(folder))
    description = folder / "snapkeep.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"format": 999}))
    stock.ok("backup", ".", "--tag", "snapkeep", "--tag", f"snapkeep:name={LATER}", cwd=folder)
    server.start()
    found = {info["snapshot"]: info for info in server.http.get("/_snapshot/aliyun_auto_snapshot/_all").ok()["snapshots"]}
    assert found[LATER]["state"] == "INCOMPATIBLE"
    assert found[LATER]["indices"] == [] and "upgrade" in found[LATER]["reason"]
    assert found[taken]["state"] == "SUCCESS"
    refused = server.http.post(f"/_snapshot/aliyun_auto_snapshot/{LATER}/_restore")
    assert refused.status >= 400 and "INCOMPATIBLE" in refused.text
    css = Css(server.http)
    setting = {"bucket": "aliyun-auto", "agency": "a", "base_path": "b"}
    location = f"aliyun_auto_snapshot/{INSTANCE}"
    server.http.put("/_snapshot/aliyun-auto", {"type": "fs", "settings": {"location": location}}).ok()
    assert css.send("POST", "/index_snapshot/setting", setting).status == 200
    assert {backup["name"]: backup["status"] for backup in css.backups()} == {taken: "COMPLETED", LATER: "FAILED"}
