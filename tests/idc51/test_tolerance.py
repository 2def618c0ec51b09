"""What the documentation and its examples say differently: all of it is understood. Filters and pages of lists."""

import json
from typing import Any

import pytest

from harness.http import JSON
from harness.server import Server
from idc51.idc import Disk, Zone, declare_host, digest, refused


class World:
    """Two disks with a chain of three and of one, and a host."""

    def __init__(self, server: Server) -> None:
        self.server, self.zone = server, Zone(server.http)
        self.disk, self.other, self.system = Disk(server, "vol-chain01"), Disk(server, "vol-other01"), Disk(server, "vol-system1")
        declare_host(server, "i-host001", "web", [self.system])
        self.chain = [self.take("vol-chain01", "root")]
        for number in (1, 2):
            self.disk.write(number)
            self.chain.append(self.take("vol-chain01", f"son {number}"))
        self.single = self.take("vol-other01", "single")
        self.host = self.take("i-host001", "host")

    def take(self, resource: str, name: str) -> str:
        return self.zone.take(resource, name=name)[0]["snapshot_id"]


@pytest.fixture(scope="module")
def world(server: Server) -> World:
    return World(server)


@pytest.mark.parametrize("value", [1, "1", True, "true", "IS_FULL", "is_full", "Is_Full"])
def test_full_is_asked_for_in_many_ways(world: World, value: Any) -> None:
    [point] = world.zone.take("vol-other01", is_full=value)
    assert (point["snapshot_type"], point["parent_id"]) == ("IS_FULL", "self")
    world.zone.delete(point["snapshot_id"])


@pytest.mark.parametrize("value", [0, "0", False, "false", None, "IS_AUTO", "IS_AUTH", "is_incremental"])
def test_the_system_decides_otherwise(world: World, value: Any) -> None:
    world.zone.apply(world.single)
    [point] = world.zone.take("vol-other01", is_full=value)
    assert (point["snapshot_type"], point["parent_id"]) == ("IS_INCREMENTAL", world.single)
    world.zone.delete(point["snapshot_id"])


@pytest.mark.parametrize("value", [2, "full", "", [1], {}, 1.5])
def test_nonsense_is_not_taken_for_either(world: World, value: Any) -> None:
    body = {"resources": ["vol-other01"], "snapshot_name": "x", "is_full": value}
    refused(world.zone.send("POST", "/volume_snapshots", body), 400, "1100", "is_full")


@pytest.mark.parametrize("value", ["vol-other01", ["vol-other01", "vol-other01"], " vol-other01 ,", ["vol-other01,"]])
def test_resources_are_a_list_or_a_text(world: World, value: Any) -> None:
    job = world.zone.do("POST", "/volume_snapshots", {"resources": value, "snapshot_name": "x"})
    [point] = job["resource_ids"]
    world.zone.delete(point)


def test_a_name_is_made_of_the_time(world: World) -> None:
    job = world.zone.do("POST", "/volume_snapshots", {"resources": ["vol-other01"]})
    point = world.zone.snapshot(job["resource_ids"][0])
    assert point["snapshot_name"].startswith("snapshot-20")
    world.zone.delete(point["snapshot_id"])


def test_the_type_of_the_body_does_not_matter(world: World) -> None:
    body = json.dumps({"resources": ["vol-other01"], "snapshot_name": "typed"})
    for headers in ({}, JSON, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = world.server.http.send("POST", "/v2/zone/ac1/volume_snapshots", body, headers=headers)
        assert answer.status == 200, answer.text
        world.zone.delete(world.zone.end(answer.json())["resource_ids"][0])


def test_types_are_filtered_by_word_and_number(world: World) -> None:
    for word in ("IS_FULL", "is_full", "1"):
        assert world.zone.ids(f"resource_id=vol-chain01&snapshot_type={word}") == {world.chain[0]}
    for word in ("IS_INCREMENTAL", "Is_Incremental", "0"):
        assert world.zone.ids(f"resource_id=vol-chain01&snapshot_type={word}") == set(world.chain[1:])
    assert all(isinstance(each["snapshot_type"], str) for each in world.zone.list())
    for word in ("2", "FULL"):
        refused(world.zone.send("GET", f"/volume_snapshots?snapshot_type={word}"), 400, "1100", "snapshot_type")


def test_lists_in_queries_have_many_notations(world: World) -> None:
    root, middle, last = world.chain
    for query in (
        f"snapshots={root},{last}",
        f"snapshots={root}&snapshots={last}",
        f"snapshots.1={root}&snapshots.2={last}",
        f"snapshots[]={root}&snapshots%5B%5D={last}",
        f"snapshots={root},%20{last},{root}",
        f"snapshots={root.replace('ss-', 's-')},{last}",
    ):
        assert world.zone.ids(query) == {root, last}, query
    everything = world.zone.ids()
    for query in ("status=available,pending", "status=available&status=pending", "status.1=available", "status=AVAILABLE"):
        assert world.zone.ids(query + "&limit=100") == everything, query
    assert world.zone.ids("status=suspended,ceased") == set()
    refused(world.zone.send("GET", "/volume_snapshots?status=available,gone"), 400, "1100", "gone")
    assert middle in everything


def test_every_filter(world: World) -> None:
    root, middle, last = world.chain
    assert world.zone.ids("resource_id=vol-chain01") == set(world.chain)
    assert world.zone.ids("resource_id=i-host001") == {world.host}
    assert world.zone.ids("resource_id=vol-unknown") == set()
    assert world.zone.ids(f"root_id={root}") == {middle, last}
    assert world.zone.ids(f"root_id={middle}") == set()
    assert world.zone.ids("search_word=SON") == {middle, last}
    assert world.zone.ids(f"search_word={last}") == {last}
    assert world.zone.ids("search_word=nowhere") == set()
    assert world.zone.ids("resource_id=vol-chain01&snapshot_type=IS_INCREMENTAL&search_word=1") >= {middle}
    everything = world.zone.get("/volume_snapshots?limit=100")
    for query in ("tags=a", "tags.1=a&tags.2=b", "verbose=1", "verbose=9", "verbose=x", "whatever=1", "status=", "snapshots="):
        assert world.zone.get(f"/volume_snapshots?limit=100&{query}") == everything, query


def test_pages(world: World) -> None:
    everything = world.zone.get("/volume_snapshots?limit=100")
    total, order = everything["total_count"], [each["snapshot_id"] for each in everything["snapshots"]]
    assert total == len(order) >= 5
    for offset in (0, 1, total - 1, total, total + 7):
        page = world.zone.get(f"/volume_snapshots?offset={offset}&limit=2")
        assert [each["snapshot_id"] for each in page["snapshots"]] == order[offset : offset + 2]
        assert page["total_count"] == total
    assert len(world.zone.list("limit=100000")) == total
    assert world.zone.get("/volume_snapshots?limit=0") == {"snapshots": [], "total_count": total}
    for query in ("limit=-1", "limit=ten", "offset=-1", "offset=1.5"):
        refused(world.zone.send("GET", f"/volume_snapshots?{query}"), 400, "1100", query.split("=")[0])


def test_a_page_has_twenty_when_nothing_is_said(world: World) -> None:
    taken = []
    while world.zone.get("/volume_snapshots?limit=0")["total_count"] < 21:
        taken += world.zone.take("vol-other01", "vol-system1", name="many")
    page = world.zone.get("/volume_snapshots")
    assert len(page["snapshots"]) == 20 < page["total_count"]
    for each in taken:
        world.zone.send("DELETE", f"/volume_snapshots/{each['snapshot_id']}?cascade=0")
    for job in world.zone.get("/unfinished_jobs"):
        world.zone.end(job)


@pytest.mark.parametrize(
    "form",
    [
        "/volume_snapshots/{0}?snapshot={1}",
        "/volume_snapshots?snapshot={0},{1}",
        "/volume_snapshots?snapshots={0}&snapshots={1}",
        "/volume_snapshots/:snapshot_id?snapshot.1={0}&snapshot.2={1}&snapshot.3={0}",
        "/volume_snapshots/{0}/?snapshot[]={1}",
    ],
)
def test_what_to_delete_is_named_in_many_ways(world: World, form: str) -> None:
    points = [each["snapshot_id"] for each in world.zone.take("vol-other01", "vol-system1", is_full=1)]
    job = world.zone.do("DELETE", form.format(*points))
    assert sorted(job["resource_ids"]) == sorted(points)
    assert not set(points) & world.zone.ids()


@pytest.mark.parametrize("call, field, kind", [("capture_instance", "image_name", "host"), ("create_volume", "volume_name", "single")])
def test_the_snapshot_of_an_export_is_named_in_path_or_body(world: World, call: str, field: str, kind: str) -> None:
    point = getattr(world, kind)
    path = f"/volume_snapshots/{call}"
    for number, (where, body) in enumerate(
        [
            (path, {"snapshot": point}),
            (f"{path}/", {"snapshot": point}),
            (f"{path}/{point}", {}),
            (f"{path}/{point}", {"snapshot": point}),
            (f"{path}/:snapshot_id", {"snapshot": point.replace("ss-", "s-")}),
        ]
    ):
        assert len(world.zone.do("POST", where, body | {field: f"{call} {number}"})["resource_ids"]) == 1
    refused(world.zone.send("POST", f"{path}/{point}", {"snapshot": world.chain[0], field: "x"}), 400, "1100", point, world.chain[0])
    refused(world.zone.send("POST", path, {field: "x"}), 400, "1100", "no snapshot")


def test_put_by_path_and_by_body(world: World) -> None:
    for where, body in (
        (f"/volume_snapshots/{world.single}", {"snapshot_name": "by path"}),
        ("/volume_snapshots", {"snapshot": world.single, "snapshot_name": "by body"}),
        (f"/volume_snapshots/:snapshot_id?snapshot={world.single}", {"snapshot_name": "by query"}),
    ):
        answer = world.zone.send("PUT", where, body)
        assert (answer.status, answer.text, answer.headers.get("content-type")) == (200, "", None)
        assert world.zone.snapshot(world.single)["snapshot_name"] == body["snapshot_name"]
    assert world.zone.send("PUT", f"/volume_snapshots/{world.single}", {"description": "还原点\nsecond line"}).status == 200
    after = world.zone.snapshot(world.single)
    assert (after["snapshot_name"], after["description"]) == ("by query", "还原点\nsecond line")
    assert world.zone.send("PUT", f"/volume_snapshots/{world.single}", {"description": ""}).status == 200
    assert world.zone.snapshot(world.single)["description"] == ""


def test_names_outlive_a_restart(world: World) -> None:
    assert world.zone.send("PUT", f"/volume_snapshots/{world.single}", {"snapshot_name": "kept", "description": "kept too"}).status == 200
    before = world.zone.get("/volume_snapshots?limit=100")
    world.server.stop()
    world.server.start()
    assert world.zone.get("/volume_snapshots?limit=100") == before


def test_apply_takes_a_text_and_drops_repetitions(world: World) -> None:
    before = world.other.digest()
    for value in (world.single, f"{world.single},{world.single}", [world.single, world.single.replace("ss-", "s-")]):
        world.other.write(5)
        job = world.zone.do("POST", "/volume_snapshots/apply", {"snapshots": value})
        assert "vol-other01" in job["resource_ids"]
        assert world.other.digest() == before
    both = {"snapshots": world.chain[:2]}
    refused(world.zone.send("POST", "/volume_snapshots/apply", both), 400, "1100", "vol-chain01")


def test_jobs_are_found_in_any_zone_under_both_names(world: World) -> None:
    job = world.zone.begin("POST", "/volume_snapshots/create_volume", {"snapshot": world.single, "volume_name": "anywhere"})
    done = world.zone.end(job)
    elsewhere = Zone(world.server.http, "ac2")
    for path in (f"/job/{job['job_id']}", f"/jobs/{job['job_id']}", f"/job/{job['job_id'].upper()}", f"/job/{job['job_id']}/"):
        assert elsewhere.get(path) == done | {"zone": "ac2"}
    assert digest(world.server.data / "volumes" / f"{done['resource_ids'][0]}.raw") == world.other.digest()


def test_disks_are_listed(world: World) -> None:
    answer = world.zone.get("/volumes?volumes=vol-other01,vol-system1&limit=100")
    assert answer["total_count"] == 2
    shown = {each["volume_id"]: each for each in answer["volumes"]}
    assert shown["vol-other01"] == {
        "volume_id": "vol-other01", "volume_name": "vol-other01", "description": "", "size": 1, "status": "available", "transition_status": "",
        "create_time": "", "status_time": "", "instance": {"device": "", "instance_id": "", "instance_name": ""}, "virtual_size": 8 << 20,
    }
    assert shown["vol-system1"]["status"] == "in-use"
    assert shown["vol-system1"]["instance"] == {"device": "", "instance_id": "i-host001", "instance_name": "web"}
    assert {each["volume_id"] for each in world.zone.get("/volumes?status=in-use")["volumes"]} == {"vol-system1"}
    assert {each["volume_id"] for each in world.zone.get("/volumes?search_word=CHAIN")["volumes"]} == {"vol-chain01"}
    assert world.zone.get("/volumes?limit=0")["volumes"] == []
