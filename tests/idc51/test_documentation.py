"""The commands of `docs/51idc.md`, run by bash as they are written there; only addresses, folders and ids are put in."""

import json
import re
import subprocess

import pytest

from harness.server import ROOT, Server, binary
from idc51.idc import Disk, Zone, declare_host


def blocks() -> list[list[str]]:
    """The commands of each block, a line each."""
    text = (ROOT / "docs" / "51idc.md").read_text()
    return [block.strip().splitlines() for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def run(server: Server, line: str) -> str:
    line = line.replace("http://127.0.0.1:9250", server.url).replace("snapkeep-data", str(server.data))
    script = f'api="{server.url}/v2/zone/ac1"\n{line}'
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, cwd=server.folder)
    assert done.returncode in (0, 28), f"{line}: {done.stderr}"
    return done.stdout


@pytest.mark.skipif(subprocess.run(["bash", "-c", "command -v curl"], capture_output=True).returncode != 0, reason="curl is not installed")
def test_the_first_steps(server: Server) -> None:
    zone = Zone(server.http)
    host = Disk(server, "vol-system1")
    declare_host(server, "i-host001", "web", [host])
    [of_host] = zone.take("i-host001")
    job: dict = {}
    seen = set()
    for line in filter(None, blocks()[0]):
        ids = {
            "<snapshot_id of a host>": of_host["snapshot_id"],
            "<snapshot_id>": next((each["snapshot_id"] for each in zone.list("resource_id=vol-SACNVJNS")), ""),
            "<job_id>": job.get("job_id", ""),
        }
        for place, value in ids.items():
            line = line.replace(place, value)
        assert "<" not in line, line
        # A stream has no end of its own.
        answer = run(server, line.replace("curl -N", "curl -s -m 1 -N").replace("curl ", "curl -s ", 1))
        if answer.startswith("{"):
            body = json.loads(answer)
            assert "code" not in body, (line, body)
            if body.get("status") == "pending":
                job = zone.end(body)
                assert job["status"] == "successful", job
                seen.add(job["action"])
    assert seen == {"CreateSnapshots", "ApplySnapshots", "DeleteSnapshots", "CreateVolumeFromSnapshot", "CaptureInstanceFromSnapshot"}
    assert answer.startswith("event:hb\ndata:hb\n\n")


def test_signing_in(fresh_server: Server) -> None:
    [issue, ask, use] = blocks()[1]
    # The first credential must be an admin without limits.
    options = f"--data-dir {fresh_server.data} --json"
    first = f"{binary()} credential add root --role admin --kind password {options}"
    fresh_server.stop()
    run(fresh_server, first)
    line = issue.split("#")[0].replace("snapkeep ", f"{binary()} ", 1)
    issued = json.loads(run(fresh_server, f"{line} {options}"))
    fresh_server.start()
    ask = ask.replace("<access key>", issued["credential"]["key_id"]).replace("<secret>", issued["secret"])
    token = json.loads(run(fresh_server, ask))
    assert token["token_type"] == "Bearer"
    answer = run(fresh_server, use.replace("<access_token>", token["access_token"]))
    assert json.loads(answer) == {"snapshots": [], "total_count": 0}
