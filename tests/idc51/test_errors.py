"""Every row of the table of errors in `docs/51idc.md`, which is that of the program, is provoked. A refusal changes nothing."""

import json
import re
import time
from typing import Callable, Iterator

import pytest

from harness.http import Http, Response
from harness.server import ROOT, Server
from idc51.idc import CURL, Disk, Zone, declare_host, refused

NOWHERE = "ss-NOWHERE"


def rows() -> list[tuple[int, str, str, str]]:
    text = (ROOT / "docs" / "51idc.md").read_text()
    found = re.findall(r"^\| (\d{3}) \| (\d{4}) \| (\w+) \| (.+) \|$", text, re.MULTILINE)
    return [(int(status), code, word, when) for status, code, word, when in found]


class World:
    """A disk and a host with a chain of two each, and a disk that takes long to be snapshotted."""

    def __init__(self, server: Server) -> None:
        self.server, self.http, self.zone = server, server.http, Zone(server.http)
        self.disk, self.system, self.large = Disk(server, "vol-disk001"), Disk(server, "vol-system1"), Disk(server, "vol-large01")
        self.large.write(1, places=60)
        declare_host(server, "i-host001", "web", [self.system])
        self.root, self.host = (self.zone.take(resource, name="root")[0]["snapshot_id"] for resource in ("vol-disk001", "i-host001"))
        self.disk.write(1)
        self.increment = self.zone.take("vol-disk001", name="increment")[0]["snapshot_id"]

    def seen(self) -> tuple[dict, dict, str, str]:
        """All that a refusal must leave as it is."""
        lists = self.zone.get("/volume_snapshots?limit=100"), self.zone.get("/volumes?limit=100")
        return *lists, self.disk.digest(), self.system.digest()


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return World(server)


def rate(http: Http, each_second: str) -> None:
    settings = {"location": "volumes", "max_snapshot_bytes_per_sec": each_second}
    http.put("/_snapshot/volumes?verify=false", {"type": "fs", "settings": settings}).ok()


class Building:
    """A snapshot of the large disk that takes long enough to be looked at."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __enter__(self) -> str:
        rate(self.world.http, "50kb")
        self.job = self.world.zone.begin("POST", "/volume_snapshots", {"resources": ["vol-large01"], "snapshot_name": "slow", "is_full": 1})
        return self.job["resource_ids"][0]

    def __exit__(self, *_: object) -> None:
        rate(self.world.http, "1gb")
        assert self.world.zone.end(self.job)["status"] == "successful"


def locked(world: World) -> Response:
    """The increment is locked; the root that it hangs on is to go."""
    world.http.post(f"/api/v1/repositories/volumes/snapshots/{world.increment}/lock", {"for": "3s"}).ok()
    try:
        return world.zone.send("DELETE", f"/volume_snapshots/{world.root}")
    finally:
        time.sleep(3.1)


def unavailable(world: World) -> Response:
    """The folder of the repository is taken away while the server is down."""
    folder = world.server.repo_roots[0] / "volumes"
    aside = folder.with_name("aside")
    world.server.stop()
    folder.rename(aside)
    world.server.start()
    try:
        return world.zone.send("POST", "/volume_snapshots", {"resources": ["vol-disk001"], "snapshot_name": "x"})
    finally:
        world.server.stop()
        aside.rename(folder)
        world.server.start()


PROVOKED: dict[str, Callable[[World], Response]] = {
    "the body is no JSON object, a field or parameter is missing or breaks its rule": lambda it: it.zone.send("POST", "/volume_snapshots", "[]"),
    "no such zone, snapshot, resource or job": lambda it: it.zone.send("DELETE", f"/volume_snapshots/{NOWHERE}"),
    "a path below `/v2` that is not offered": lambda it: it.zone.send("GET", "/instances"),
    "a path that is offered, with another method; `Allow` names those that it has": lambda it: it.zone.send("PATCH", "/volume_snapshots", {}),
    "the state of the snapshot or resource, or the kind of the snapshot, does not allow the call": lambda it: it.zone.send(
        "POST", f"/volume_snapshots/capture_instance/{it.root}", {"image_name": "x"}
    ),
    "a snapshot that would be deleted is locked; nothing is deleted": locked,
    "the body is larger than 1 MiB": lambda it: it.zone.send("POST", "/volume_snapshots", json.dumps({"snapshot_name": "a" * (1 << 20)})),
    "the repository cannot be reached, or the server is shutting down": unavailable,
}
ELSEWHERE = {
    "no token, a wrong or expired one, or wrong client credentials": "test_tokens.py",
    "the role or the limits of the credential do not allow the call": "test_tokens.py",
    "the server's limit on operations at one time is reached, or too many failed attempts to sign in": "test_tokens.py",
    "anything that should not happen; the server's log says more": "should not happen",
}


def test_the_table_and_its_tests_have_the_same_rows() -> None:
    assert sorted(when for *_, when in rows()) == sorted([*PROVOKED, *ELSEWHERE])


@pytest.mark.parametrize("row", [row for row in rows() if row[3] in PROVOKED], ids=lambda row: f"{row[0]}-{row[1]}-{row[3][:24]}")
def test_the_row_is_answered(world: World, row: tuple[int, str, str, str]) -> None:
    status, code, word, when = row
    before = world.seen()
    body = refused(PROVOKED[when](world), status, code)
    assert body["message"].startswith(f"{word}, "), body
    assert world.seen() == before


UNKNOWN = [
    ("POST", "/volume_snapshots", {"resources": ["vol-nowhere"], "snapshot_name": "x"}, "vol-nowhere"),
    ("POST", "/volume_snapshots", {"resources": ["vol-disk001", "i-nowhere"], "snapshot_name": "x"}, "i-nowhere"),
    ("DELETE", f"/volume_snapshots/{NOWHERE}", None, NOWHERE),
    ("DELETE", "/volume_snapshots/{root}?snapshot=" + NOWHERE, None, NOWHERE),
    ("POST", "/volume_snapshots/apply", {"snapshots": ["{root}", NOWHERE]}, NOWHERE),
    ("POST", f"/volume_snapshots/capture_instance/{NOWHERE}", {"image_name": "x"}, NOWHERE),
    ("POST", f"/volume_snapshots/create_volume/{NOWHERE}", {"volume_name": "x"}, NOWHERE),
    ("PUT", f"/volume_snapshots/{NOWHERE}", {"snapshot_name": "x"}, NOWHERE),
    ("GET", "/job/6fcb4e9a-5398-4ddb-89c2-d0917bbdc4af", None, "6fcb4e9a"),
    ("GET", "/job/not-a-job", None, "not-a-job"),
]


@pytest.mark.parametrize("method, path, body, named", UNKNOWN)
def test_what_is_not_there_is_named_and_nothing_changes(world: World, method: str, path: str, body: dict | None, named: str) -> None:
    before = world.seen()
    sent = body and json.loads(json.dumps(body).replace("{root}", world.root))
    refused(world.zone.send(method, path.replace("{root}", world.root), sent), 404, "2100", named)
    assert world.seen() == before


def test_zones_are_words(world: World) -> None:
    for zone in ("{zone}", "a%20b", "%E5%8C%BA"):
        answer = world.http.send("GET", f"/v2/zone/{zone}/volume_snapshots")
        refused(answer, 404, "2100", "zone")


def test_zones_can_be_configured(tmp_path) -> None:
    server = Server(tmp_path, environment={"SNAPKEEP_IDC51_ZONES": "ac1,ac2", "SNAPKEEP_IDC51_REQUIRE_NAMES": "true"})
    Disk(server, "vol-disk001")
    with server:
        for zone in ("ac1", "ac2"):
            assert Zone(server.http, zone).get("/volume_snapshots") == {"snapshots": [], "total_count": 0}
        body = refused(Zone(server.http, "ac3").send("GET", "/volume_snapshots"), 404, "2100", "ac3")
        assert "ac1, ac2" in body["detail"]
        refused(Zone(server.http).send("POST", "/volume_snapshots", {"resources": ["vol-disk001"]}), 400, "1100", "snapshot_name")


WRONG = [
    ("POST", "/volume_snapshots", {"snapshot_name": "x"}, "resources"),
    ("POST", "/volume_snapshots", {"resources": [], "snapshot_name": "x"}, "resources"),
    ("POST", "/volume_snapshots", {"resources": [1], "snapshot_name": "x"}, "resources"),
    ("POST", "/volume_snapshots", {"resources": {"a": 1}, "snapshot_name": "x"}, "resources"),
    ("POST", "/volume_snapshots", {"resources": ["vol-disk001"], "snapshot_name": 1}, "snapshot_name"),
    ("POST", "/volume_snapshots", {"resources": ["vol-disk001"], "snapshot_name": "a" * 256}, "snapshot_name"),
    ("POST", "/volume_snapshots", {"resources": ["vol-disk001"], "snapshot_name": "x", "allow_inconsistent": "maybe"}, "allow_inconsistent"),
    ("POST", "/volume_snapshots", '{"resources": ["vol-disk001"]', "JSON"),
    ("POST", "/volume_snapshots", "resources=vol-disk001&snapshot_name=x", "JSON"),
    ("POST", "/volume_snapshots/apply", {}, "snapshots"),
    ("POST", "/volume_snapshots/apply", {"snapshots": []}, "snapshots"),
    ("POST", "/volume_snapshots/apply", {"snapshots": ["{root}", "{increment}"]}, "vol-disk001"),
    ("POST", "/volume_snapshots/create_volume", {"volume_name": "x"}, "no snapshot"),
    ("POST", "/volume_snapshots/create_volume/{root}", {"volume_name": "x", "snapshot": "{increment}"}, "one snapshot"),
    ("DELETE", "/volume_snapshots", None, "no snapshot"),
    ("PUT", "/volume_snapshots", {"snapshot_name": "x"}, "no snapshot"),
    ("PUT", "/volume_snapshots/{root}", {}, "neither"),
    ("PUT", "/volume_snapshots/{root}", {"description": ["x"]}, "description"),
]


@pytest.mark.parametrize("method, path, body, named", WRONG)
def test_what_breaks_a_rule_is_named_and_nothing_changes(world: World, method: str, path: str, body: object, named: str) -> None:
    before = world.seen()
    places = {"{root}": world.root, "{increment}": world.increment}
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    for place, value in places.items():
        path, text = path.replace(place, value), text and text.replace(place, value)
    refused(world.zone.send(method, path, text), 400, "1100", named)
    assert world.seen() == before


def test_methods_that_a_path_has_are_named(world: World) -> None:
    for method, path, allow in (
        ("GET", f"/volume_snapshots/{world.root}", "PUT, DELETE"),
        ("GET", "/volume_snapshots/apply", "POST"),
        ("DELETE", "/volume_snapshots/apply", "POST"),
        ("PATCH", "/volume_snapshots", "GET, POST, PUT, DELETE"),
        ("POST", "/unfinished_jobs", "GET"),
        ("DELETE", "/job/x", "GET"),
    ):
        answer = world.zone.send(method, path)
        refused(answer, 405, "1101")
        assert answer.headers["allow"] == allow


def test_paths_below_v2_are_this_dialect(world: World) -> None:
    for path in ("/v2", "/v2/", "/v2/_search", "/v2/zone", "/v2/zone/ac1", "/v2/zone/ac1/volume_snapshots/a/b", "/v2/oauth2"):
        refused(world.http.send("GET", path, headers=CURL), 404, "1101")


def test_each_kind_of_snapshot_has_its_export(world: World) -> None:
    before = world.seen()
    refused(world.zone.send("POST", f"/volume_snapshots/capture_instance/{world.root}", {"image_name": "x"}), 409, "1400", world.root)
    refused(world.zone.send("POST", f"/volume_snapshots/create_volume/{world.host}", {"volume_name": "x"}), 409, "1400", world.host)
    assert world.seen() == before


def test_a_snapshot_that_is_being_made_and_its_disk_wait(world: World) -> None:
    with Building(world) as point:
        shown = world.zone.snapshot(point)
        assert (shown["status"], shown["transition_status"]) == ("pending", "creating")
        assert point in world.zone.ids("status=pending") and point not in world.zone.ids("status=available&limit=100")
        unfinished = world.zone.get("/unfinished_jobs")
        assert [(job["action"], job["status"], job["resource_ids"]) for job in unfinished] == [("CreateSnapshots", "working", [point])]
        # The source may change as soon as the capture is done, long before everything is stored.
        for method, path, body in (
            ("POST", "/volume_snapshots", {"resources": ["vol-large01"], "snapshot_name": "x"}),
            ("POST", "/volume_snapshots/apply", {"snapshots": [point]}),
            ("POST", f"/volume_snapshots/create_volume/{point}", {"volume_name": "x"}),
            ("DELETE", f"/volume_snapshots/{point}", None),
        ):
            refused(world.zone.send(method, path, body), 409, "1400")
        # Another resource is not concerned.
        world.zone.delete(world.zone.take("vol-disk001", name="meanwhile")[0]["snapshot_id"])
    shown = world.zone.snapshot(point)
    assert (shown["status"], shown["transition_status"], shown["is_taken"]) == ("available", "", 1)
    assert world.zone.get("/unfinished_jobs") == []


def test_a_disk_that_is_gone_fails_with_a_reason(world: World) -> None:
    gone = Disk(world.server, "vol-gone001")
    [point] = world.zone.take("vol-gone001")
    gone.path.unlink()
    answer = world.zone.send("POST", "/volume_snapshots", {"resources": ["vol-gone001"], "snapshot_name": "x"})
    assert answer.status >= 400, answer.text
    refused(answer, answer.status, answer.json()["code"], "vol-gone001")
    assert world.zone.snapshot(point["snapshot_id"])["status"] == "available"


def test_a_disk_in_use_fails_alone_unless_that_is_allowed(world: World) -> None:
    """Of the snapshots of one call those that can be taken are; the job says why the others are not."""
    body = {"resources": ["vol-disk001", "vol-system1"], "snapshot_name": "busy"}
    listed = world.zone.ids()
    with open(world.disk.path, "r+b"):
        job = world.zone.end(world.zone.begin("POST", "/volume_snapshots", body))
        assert job["status"] == "failed", job
        assert "vol-disk001" in job["info"] and "in use" in job["info"] and "vol-system1" not in job["info"], job
        assert job["error"] == {"code": "5000", "message": job["info"]}
        busy, free = (world.zone.snapshot(identity) for identity in job["resource_ids"])
        assert (busy["resource"]["resource_id"], busy["status"], busy["is_taken"], busy["is_head"]) == ("vol-disk001", "ceased", 0, 0)
        assert (free["resource"]["resource_id"], free["status"], free["is_taken"], free["is_head"]) == ("vol-system1", "available", 1, 1)
        # What could not be made is listed only where it is asked for.
        assert world.zone.ids() - listed == {free["snapshot_id"]}
        assert busy["snapshot_id"] in world.zone.ids("status=ceased")
        for method, path, more in (
            ("POST", "/volume_snapshots/apply", {"snapshots": [busy["snapshot_id"]]}),
            ("POST", f"/volume_snapshots/create_volume/{busy['snapshot_id']}", {"volume_name": "x"}),
        ):
            refused(world.zone.send(method, path, more), 409, "1400", busy["snapshot_id"])
        [allowed] = world.zone.take("vol-disk001", allow_inconsistent=1)
    assert (allowed["parent_id"], allowed["status"]) == (world.increment, "available")
    for point in (allowed, free):
        world.zone.delete(point["snapshot_id"])


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_running(server: Server) -> Iterator[None]:
    yield
    assert Zone(server.http).get("/unfinished_jobs") == []
