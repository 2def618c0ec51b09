"""The stream of events."""

import http.client
import json
from pathlib import Path
from typing import Iterator

from harness.server import Server
from idc51.idc import JOB_KEYS, MORE_JOB_KEYS, Disk, Zone, refused
from security.secured import SecuredServer


class Stream:
    """Server-sent events as they arrive."""

    def __init__(self, server: Server, headers: dict[str, str] | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)
        self.connection.request("GET", "/v2/zone/ac1/notifier/stream", headers=headers or {})
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[tuple[str, str]]:
        name, data = "", []
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text.startswith("event:"):
                name = text[len("event:") :].strip()
            elif text.startswith("data:"):
                data.append(text[len("data:") :].strip())
            elif not text and name:
                yield name, "\n".join(data)
                name, data = "", []

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def test_each_change_of_a_job_is_told_once(server: Server) -> None:
    Disk(server, "vol-event01")
    zone = Zone(server.http)
    with Stream(server) as stream:
        assert stream.answer.status == 200
        assert stream.answer.headers["content-type"] == "text/event-stream"
        events = stream.events()
        assert next(events) == ("hb", "hb")
        job = zone.begin("POST", "/volume_snapshots", {"resources": ["vol-event01"], "snapshot_name": "told"})
        told = []
        for name, data in events:
            if name == "message":
                told.append(json.loads(data))
                if told[-1]["status"] in ("successful", "failed"):
                    break
    assert [each["status"] for each in told] == ["pending", "working", "successful"]
    for each in told:
        assert list(each) == JOB_KEYS + MORE_JOB_KEYS
        assert (each["job_id"], each["action"], each["zone"]) == (job["job_id"], "CreateSnapshots", "ac1")
    assert told[0] == job
    assert told[-1] == zone.end(job)


def test_there_is_a_sign_of_life(server: Server) -> None:
    with Stream(server) as stream:
        events = stream.events()
        # One at once, the next after a while without anything else.
        assert [next(events), next(events)] == [("hb", "hb")] * 2


def test_work_of_other_dialects_is_not_told(server: Server) -> None:
    server.http.put("/books/_doc/1", {"title": "first"}).ok()
    server.http.put("/_snapshot/elsewhere", {"type": "fs", "settings": {"location": "elsewhere"}}).ok()
    Disk(server, "vol-event02")
    zone = Zone(server.http)
    with Stream(server) as stream:
        events = stream.events()
        next(events)
        server.http.put("/_snapshot/elsewhere/s1?wait_for_completion=true").ok()
        zone.take("vol-event02")
        first = next(data for name, data in events if name == "message")
    assert json.loads(first)["action"] == "CreateSnapshots"


def test_a_stream_does_not_hold_up_the_end_of_the_server(fresh_server: Server) -> None:
    with Stream(fresh_server) as stream:
        events = stream.events()
        next(events)
        assert fresh_server.stop() == 0
        assert list(events) == []


def test_a_confined_client_hears_of_its_own_disks_only(tmp_path: Path) -> None:
    server = SecuredServer(tmp_path)
    for identity in ("vol-mine001", "vol-yours01"):
        Disk(server, identity)
    with server:
        confined = {"Authorization": server.add("confined", "--kind", "api-key", "--role", "viewer", "--resource", "vol-mine*").header}
        zone = Zone(server.http, headers={"Authorization": server.admin.header})
        with Stream(server, confined) as stream:
            events = stream.events()
            next(events)
            zone.take("vol-yours01")
            [mine] = zone.take("vol-mine001")
            first = next(data for name, data in events if name == "message")
        assert json.loads(first)["resource_ids"] == [mine["snapshot_id"]]


def test_only_get(server: Server) -> None:
    answer = Zone(server.http).send("POST", "/notifier/stream", {})
    refused(answer, 405, "1101")
    assert answer.headers["allow"] == "GET"
