"""What is known after the server was killed in the middle of a snapshot."""

import time

from harness.server import Server
from idc51.idc import Disk, Zone


def test_a_snapshot_that_was_cut_off_has_failed_and_the_chain_goes_on(fresh_server: Server) -> None:
    disk, zone = Disk(fresh_server, "vol-killed1"), Zone(fresh_server.http)
    [root] = zone.take("vol-killed1", name="root")
    before = disk.digest()
    disk.write(1, places=60)
    settings = {"location": "volumes", "max_snapshot_bytes_per_sec": "50kb"}
    fresh_server.http.put("/_snapshot/volumes?verify=false", {"type": "fs", "settings": settings}).ok()
    begun = zone.begin("POST", "/volume_snapshots", {"resources": ["vol-killed1"], "snapshot_name": "cut off"})
    time.sleep(0.5)
    assert zone.get("/unfinished_jobs")[0]["job_id"] == begun["job_id"]
    fresh_server.kill()
    fresh_server.start()
    settings["max_snapshot_bytes_per_sec"] = "1gb"
    fresh_server.http.put("/_snapshot/volumes?verify=false", {"type": "fs", "settings": settings}).ok()
    assert zone.get("/unfinished_jobs") == []
    job = zone.get(f"/job/{begun['job_id']}")
    assert (job["status"], job["resource_ids"]) == ("failed", begun["resource_ids"])
    assert "stopped before it was done" in job["info"]
    assert zone.snapshot(begun["resource_ids"][0])["status"] == "ceased"
    assert zone.ids() == {root["snapshot_id"]}
    after = disk.digest()
    [increment] = zone.take("vol-killed1", name="again")
    assert (increment["snapshot_type"], increment["parent_id"]) == ("IS_INCREMENTAL", root["snapshot_id"])
    for point, content in ((root, before), (increment, after)):
        zone.apply(point["snapshot_id"])
        assert disk.digest() == content
