"""Seed 003: every request as printed there, with each field of each answer. Where it prints a placeholder, the id of what was made stands."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.server import Server
from idc51.idc import (
    CURL, MIB, MORE_SNAPSHOT_KEYS, POINT, SNAPSHOT_KEYS, TIME, Disk, Zone, accepted, declare_host, digest, ended, not_an_error, refused,
)

CREATE = """
{
    "resources":["vol-SACNVJNS","vol-ascdvf"],
    "snapshot_name":"demos",
    "is_full":"IS_FULL"
}"""
APPLY = """
{
    "snapshots":["s-sdDCVGBE","s-sdDCVGBE"]
}"""
CAPTURE = """
{
    "image_name":"demo"
}"""
CREATE_VOLUME = """
{
   
    "volume_name":"demo"
}"""
UPDATE = """
{
    "snapshot_name":"name",
    "description":"description"
}"""


class World:
    """The disks of the document, and a host with two of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.first, self.second = Disk(server, "vol-SACNVJNS"), Disk(server, "vol-ascdvf", 5 * MIB)
        self.system, self.data = Disk(server, "vol-system1", 4 * MIB), Disk(server, "vol-data001", 3 * MIB)
        declare_host(server, "i-host001", "web", [self.system, self.data])
        self.zone = Zone(server.http)


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return World(server)


def check_types(snapshot: dict) -> None:
    assert list(snapshot) == SNAPSHOT_KEYS + MORE_SNAPSHOT_KEYS
    numbers = {"is_taken", "is_head", "head_chain", "size", "total_size", "total_count", "virtual_size"}
    for key, value in snapshot.items():
        expected = int if key in numbers else dict if key == "resource" else str
        assert type(value) is expected, (key, value)
    for key in ("create_time", "status_time", "snapshot_time", "lastest_snapshot_time"):
        assert TIME.fullmatch(snapshot[key]), (key, snapshot[key])
    assert snapshot["lastest_snapshot_time"] == snapshot["latest_snapshot_time"]
    assert POINT.fullmatch(snapshot["snapshot_id"])


def test_list_before_there_is_anything(world: World) -> None:
    answer = world.server.http.send("GET", "/v2/zone/ac1/volume_snapshots", headers={"User-Agent": "curl/8.5.0", "Accept": "*/*"})
    assert (answer.status, answer.json()) == (200, {"snapshots": [], "total_count": 0})


def test_create(world: World) -> None:
    # The type is that of a form, as curl sends it.
    answer = world.server.http.send("POST", "/v2/zone/ac1/volume_snapshots", CREATE, headers=CURL)
    assert answer.status == 200, answer.text
    begun = not_an_error(answer.json())
    ids = accepted(begun, "CreateSnapshots")
    assert len(ids) == 2 and all(map(POINT.fullmatch, ids))
    ended(world.zone.end(begun), begun)
    assert world.zone.get(f"/jobs/{begun['job_id']}") == world.zone.get(f"/job/{begun['job_id']}")
    points = {each["resource"]["resource_id"]: each for each in map(world.zone.snapshot, ids)}
    assert points.keys() == {"vol-SACNVJNS", "vol-ascdvf"}
    assert len({each["snapshot_time"] for each in points.values()}) == 1
    for identity, point in points.items():
        check_types(point)
        own = point["snapshot_id"]
        size_bytes = {"vol-SACNVJNS": 8 * MIB, "vol-ascdvf": 5 * MIB}[identity]
        shown = {key: value for key, value in point.items() if not key.endswith("_time") and key not in ("size", "total_size")}
        assert shown == {
            "snapshot_id": own, "snapshot_name": "demos", "description": "", "snapshot_type": "IS_FULL", "status": "available", "transition_status": "",
            "is_taken": 1, "is_head": 1, "head_chain": 1, "root_id": own, "parent_id": "self", "total_count": 1,
            "resource": {"resource_id": identity, "resource_name": identity, "resource_type": "volume"}, "virtual_size": size_bytes,
        }
        assert 1 <= point["size"] == point["total_size"] <= size_bytes // MIB
        assert point["lastest_snapshot_time"] == point["snapshot_time"]


def test_list(world: World) -> None:
    # The second time the system decides: increments.
    world.first.write(1)
    increments = world.zone.take("vol-SACNVJNS", "vol-ascdvf", name="son", is_full=0)
    answer = world.zone.get("/volume_snapshots")
    assert list(answer) == ["snapshots", "total_count"]
    assert answer["total_count"] == len(answer["snapshots"]) == 4
    assert [each["snapshot_type"] for each in answer["snapshots"]] == ["IS_INCREMENTAL"] * 2 + ["IS_FULL"] * 2
    times = [each["create_time"] for each in answer["snapshots"]]
    assert times == sorted(times, reverse=True)
    by_id = {each["snapshot_id"]: each for each in answer["snapshots"]}
    for increment in increments:
        check_types(increment)
        root = by_id[increment["root_id"]]
        assert increment["parent_id"] == increment["root_id"] == root["snapshot_id"]
        assert root["resource"] == increment["resource"]
        assert (increment["is_head"], increment["head_chain"], root["is_head"], root["head_chain"]) == (1, 1, 0, 1)
        assert (increment["total_size"], increment["total_count"]) == (0, 0)
        assert (root["total_count"], root["lastest_snapshot_time"]) == (2, increment["snapshot_time"])
        assert root["total_size"] >= root["size"]


def test_put(world: World) -> None:
    point = world.zone.list("resource_id=vol-ascdvf&snapshot_type=IS_INCREMENTAL")[0]
    answer = world.server.http.send("PUT", f"/v2/zone/ac1/volume_snapshots/{point['snapshot_id']}", UPDATE, headers=CURL)
    assert (answer.status, answer.text) == (200, "")
    # A client that finds a JSON type parses, also nothing.
    assert "content-type" not in answer.headers
    after = world.zone.snapshot(point["snapshot_id"])
    assert after == point | {"snapshot_name": "name", "description": "description"}


def test_apply(world: World) -> None:
    [point] = world.zone.list("resource_id=vol-SACNVJNS&snapshot_type=IS_INCREMENTAL")
    before = world.first.digest()
    assert world.first.write(2) != before
    refused(world.zone.send("POST", "/volume_snapshots/apply", APPLY), 404, "2100", "sdDCVGBE")
    # The prefix of the document is `s-`, and it names the same snapshot twice.
    body = APPLY.replace("s-sdDCVGBE", point["snapshot_id"].replace("ss-", "s-"))
    begun = world.zone.begin("POST", "/volume_snapshots/apply", body)
    assert "vol-SACNVJNS" in accepted(begun, "ApplySnapshots")
    ended(world.zone.end(begun), begun)
    assert world.first.digest() == before


def test_capture_instance(world: World) -> None:
    contents = {disk.identity: disk.digest() for disk in (world.system, world.data)}
    [point] = world.zone.take("i-host001", name="host")
    assert point["resource"] == {"resource_id": "i-host001", "resource_name": "web", "resource_type": "instance"}
    assert point["virtual_size"] == 7 * MIB
    begun = world.zone.begin("POST", f"/volume_snapshots/capture_instance/{point['snapshot_id']}", CAPTURE)
    [image] = accepted(begun, "CaptureInstanceFromSnapshot")
    assert image.startswith("img-")
    ended(world.zone.end(begun), begun)
    described = image_of(world.server, image)
    assert described["name"] == "demo"
    assert [disk["volume"] for disk in described["disks"]] == ["vol-system1", "vol-data001"]
    for disk in described["disks"]:
        file = described["folder"] / disk["file"]
        assert digest(file) == disk["sha256"]
    assert {disk.identity: disk.digest() for disk in (world.system, world.data)} == contents


def image_of(server: Server, identity: str) -> dict[str, Any]:
    for description in (server.data / "images").glob("*/image.json"):
        image = json.loads(description.read_text())
        if image["id"] == identity:
            return image | {"folder": Path(description).parent}
    raise AssertionError(f"no image {identity}")


def test_create_volume(world: World) -> None:
    [point] = world.zone.list("resource_id=vol-ascdvf&snapshot_type=IS_INCREMENTAL")
    begun = world.zone.begin("POST", f"/volume_snapshots/create_volume/{point['snapshot_id']}", CREATE_VOLUME)
    [volume] = accepted(begun, "CreateVolumeFromSnapshot")
    ended(world.zone.end(begun), begun)
    made = world.server.data / "volumes" / f"{volume}.raw"
    assert digest(made) == world.second.digest()
    [shown] = world.zone.get(f"/volumes?volumes={volume}")["volumes"]
    assert (shown["volume_id"], shown["volume_name"], shown["status"]) == (volume, "demo", "available")
    # It is a disk like any other.
    [taken] = world.zone.take(volume)
    assert taken["snapshot_type"] == "IS_FULL"


@pytest.mark.parametrize("form", ["path", "placeholder"])
def test_delete(world: World, form: str) -> None:
    [root] = world.zone.take("vol-ascdvf", name="root", is_full="IS_FULL")
    [increment] = world.zone.take("vol-ascdvf", name="increment")
    paths = {
        "path": f"/volume_snapshots/{root['snapshot_id']}",
        "placeholder": f"/volume_snapshots/:snapshot_id?snapshot={root['snapshot_id']}",
    }
    begun = world.zone.begin("DELETE", paths[form])
    gone = {root["snapshot_id"], increment["snapshot_id"]}
    assert set(accepted(begun, "DeleteSnapshots")) == gone
    ended(world.zone.end(begun), begun)
    assert not gone & world.zone.ids()
    assert gone <= world.zone.ids("status=deleted&limit=100")


def test_the_printed_placeholder_alone_names_nothing(world: World) -> None:
    before = world.zone.get("/volume_snapshots?limit=100")
    refused(world.zone.send("DELETE", "/volume_snapshots/:snapshot_id"), 400, "1100", "no snapshot")
    refused(world.zone.send("POST", "/volume_snapshots/capture_instance/:snapshot_id", CAPTURE), 400, "1100", "no snapshot")
    refused(world.zone.send("POST", "/volume_snapshots/create_volume/:snapshot_id", CREATE_VOLUME), 400, "1100", "no snapshot")
    # The id that the document prints for PUT.
    refused(world.zone.send("PUT", "/volume_snapshots/ss-qweqwrf", UPDATE), 404, "2100", "ss-qweqwrf")
    assert world.zone.get("/volume_snapshots?limit=100") == before
