"""Disks on the command line: added, snapshotted, rolled back, renamed, deleted, exported; against a server and offline."""

import hashlib
import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest

from harness.server import Server, run_program

MIB = 1 << 20
DISK_MIB = 64


@pytest.fixture(scope="module")
def disks(server: Server) -> Iterator[Server]:
    make_disk(server.data / "volumes" / "vol-abc1234.raw", seed=1)
    make_disk(server.folder / "data.raw", seed=2)
    yield server


def make_disk(path: Path, seed: int) -> None:
    """A sparse disk: 1 MiB of random data in three places."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as disk:
        for place in (0, 7, 40):
            disk.seek(place * MIB)
            disk.write(random.Random(seed * 100 + place).randbytes(MIB))
        disk.truncate(DISK_MIB * MIB)


def overwrite(path: Path, at: int, seed: int, length: int = MIB) -> None:
    with open(path, "r+b") as disk:
        disk.seek(at)
        disk.write(random.Random(seed).randbytes(length))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(server: Server, *arguments: str, code: int = 0) -> str:
    done = run_program(*arguments, "--data-dir", str(server.data))
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def ask(server: Server, *arguments: str) -> Any:
    done = run_program(*arguments, "--json", "--data-dir", str(server.data))
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def snapshot(server: Server, *arguments: str) -> dict[str, Any]:
    [taken] = ask(server, "volume", "snapshot", *arguments)["snapshots"]
    return taken


def test_files_in_the_folder_are_volumes_and_others_are_added(disks: Server) -> None:
    listed = ask(disks, "volume", "ls")["volumes"]
    assert [volume["id"] for volume in listed] == ["vol-abc1234"]
    assert listed[0]["format"] == "raw" and listed[0]["size_bytes"] == DISK_MIB * MIB and listed[0]["status"] == "available"
    added = ask(disks, "volume", "add", str(disks.folder / "data.raw"), "--name", "data")
    assert added["id"].startswith("vol-") and added["origin"] == "added", added
    assert "data.raw" in run(disks, "volume", "ls")
    assert "by swapping files" in run(disks, "volume", "show", added["id"])
    assert run(disks, "volume", "show", "data") == run(disks, "volume", "show", added["id"]), "a name does as well"
    assert "vol-nothing" in run(disks, "volume", "show", "vol-nothing", code=5)
    assert run(disks, "volume", "add", str(disks.folder / "nowhere.raw"), code=1)
    assert run(disks, "volume", "add", str(disks.folder / "data.raw"), "--name", "again", code=1)
    run(disks, "volume", "rm", added["id"])
    assert "data.raw" not in run(disks, "volume", "ls")
    assert (disks.folder / "data.raw").exists(), "only the entry is gone"
    assert run(disks, "volume", "rm", "vol-abc1234", code=1), "a found volume is removed by removing its file"


def test_snapshot_change_roll_back(disks: Server) -> None:
    path = disks.data / "volumes" / "vol-abc1234.raw"
    first_content = digest(path)
    first = snapshot(disks, "vol-abc1234", "--name", "first", "--description", "as made")
    assert first["full"] and first["status"] == "available" and first["is_head"], first
    assert first["disks"][0]["consistency"] == "offline", first
    overwrite(path, 7 * MIB, seed=77)
    second_content = digest(path)
    second = snapshot(disks, "vol-abc1234", "--name", "second")
    assert not second["full"] and second["parent_id"] == first["id"] and second["root_id"] == first["id"], second
    assert MIB <= second["disks"][0]["changed_bytes"] <= MIB + 2 * 256 * 1024 and second["size_bytes"] < first["size_bytes"] / 2, second

    shown = run(disks, "volume", "show", second["id"])
    assert f"increment on {first['id']}" in shown and "vol-abc1234" in shown, shown
    assert "--yes" in run(disks, "volume", "rollback", first["id"], code=2), "nobody can be asked"
    assert digest(path) == second_content
    back = run(disks, "volume", "rollback", first["id"], "--yes")
    assert "rolled back vol-abc1234" in back, back
    assert digest(path) == first_content
    assert path.stat().st_blocks * 512 < 5 * MIB, "holes come back as holes"
    again = run(disks, "volume", "rollback", second["id"], "--yes", "--safety-snapshot")
    assert "rolled back" in again and digest(path) == second_content
    newest = ask(disks, "volume", "snapshots", "vol-abc1234")["snapshots"]
    assert len(newest) == 3, newest


def test_lists_are_filtered(disks: Server) -> None:
    make_disk(disks.data / "volumes" / "listed.raw", seed=3)
    [volume] = [volume for volume in ask(disks, "volume", "ls")["volumes"] if volume["name"] == "listed"]
    made = [snapshot(disks, volume["id"], "--name", f"point {number}") for number in range(3)]
    ids = [point["id"] for point in made]

    def listed(*arguments: str) -> list[str]:
        return [point["id"] for point in ask(disks, "volume", "snapshots", volume["id"], *arguments)["snapshots"]]

    assert listed() == ids[::-1], "the newest first"
    assert listed("--full") == ids[:1]
    assert listed("--increments") == ids[:0:-1]
    assert listed("--search", "point 1") == ids[1:2]
    assert listed("--root", ids[0]) == ids[:0:-1]
    assert listed("--status", "ceased") == []
    assert listed("--limit", "1", "--offset", "1") == ids[1:2]
    page = ask(disks, "volume", "snapshots", volume["id"], "--limit", "1")
    assert page["total"] == 3 and len(page["snapshots"]) == 1
    assert "1 of 3" in run(disks, "volume", "snapshots", volume["id"], "--limit", "1")
    assert "no status" in run(disks, "volume", "snapshots", "--status", "broken", code=1)


def test_renamed_and_deleted_alone_or_with_what_hangs_on_it(disks: Server) -> None:
    path = disks.data / "volumes" / "vol-chain01.raw"
    make_disk(path, seed=4)
    points, contents = [], []
    for number in range(4):
        overwrite(path, 40 * MIB, seed=500 + number)
        contents.append(digest(path))
        points.append(snapshot(disks, "vol-chain01", "--name", f"chain {number}")["id"])
    renamed = ask(disks, "volume", "rename", points[2], "before upgrade", "--description", "schema 41")
    assert renamed["name"] == "before upgrade" and renamed["description"] == "schema 41"
    assert ask(disks, "volume", "rename", points[2], "--description", "schema 42")["name"] == "before upgrade"

    assert points[1] in run(disks, "volume", "delete", points[1])
    [middle] = [point for point in ask(disks, "volume", "snapshots", "vol-chain01")["snapshots"] if point["id"] == points[2]]
    assert middle["parent_id"] == points[0], "the next one hangs on what is left"
    run(disks, "volume", "rollback", points[2], "--yes")
    assert digest(path) == contents[2], "later ones stay whole"

    refused = run(disks, "volume", "delete", points[0], "--cascade", code=2)
    assert points[2] in refused and points[3] in refused, refused
    gone = ask(disks, "volume", "delete", points[0], "--cascade", "--yes")["deleted"]
    assert sorted(gone) == sorted([points[0], points[2], points[3]])
    assert ask(disks, "volume", "snapshots", "vol-chain01")["total"] == 0
    deleted = ask(disks, "volume", "snapshots", "vol-chain01", "--status", "deleted")["snapshots"]
    assert sorted(point["id"] for point in deleted) == sorted(points), "shown for two hours"
    assert run(disks, "volume", "delete", "ss-NOTHING", code=5)


def test_a_new_volume_from_a_snapshot(disks: Server) -> None:
    path = disks.data / "volumes" / "vol-source1.raw"
    make_disk(path, seed=5)
    content = digest(path)
    taken = snapshot(disks, "vol-source1")
    overwrite(path, 0, seed=55)
    made = ask(disks, "volume", "create", taken["id"], "copy")
    assert made["name"] == "copy" and made["format"] == "raw" and made["size_bytes"] == DISK_MIB * MIB, made
    assert digest(Path(made["location"])) == content
    assert Path(made["location"]).stat().st_blocks * 512 < 5 * MIB
    assert snapshot(disks, made["id"])["full"]


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed (apt-get install qemu-utils), so exports cannot be compared")
@pytest.mark.parametrize("how", [("raw",), ("qcow2",), ("qcow2", "--compress", "zlib"), ("qcow2", "--compress", "zstd"), ("vmdk",)], ids="-".join)
def test_export(disks: Server, tmp_path: Path, how: tuple[str, ...]) -> None:
    path = disks.data / "volumes" / "vol-export1.raw"
    if not path.exists():
        make_disk(path, seed=6)
    [point] = ask(disks, "volume", "snapshots", "vol-export1")["snapshots"] or [snapshot(disks, "vol-export1")]
    target = tmp_path / f"disk.{how[0]}"
    assert f"wrote {target}" in run(disks, "volume", "export", point["id"], str(target), "--format", *how)
    compared = subprocess.run(["qemu-img", "compare", "-f", how[0], "-F", "raw", str(target), str(path)], capture_output=True, text=True)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert "exists" in run(disks, "volume", "export", point["id"], str(target), "--format", *how, code=2)
    run(disks, "volume", "export", point["id"], str(target), "--format", *how, "--force")
    assert os.listdir(tmp_path) == [target.name], "nothing is left beside it"


def test_mistakes_in_the_command_line(disks: Server) -> None:
    assert "required" in run(disks, "volume", "snapshot", code=2)
    assert "--compress is for qcow2" in run(disks, "volume", "export", "ss-NOTHING", "/tmp/x.raw", "--format", "raw", "--compress", "zstd", code=2)
    assert "no folder" in run(disks, "volume", "export", "ss-NOTHING", "/nowhere/x.raw", "--format", "raw", code=2)
    assert run(disks, "volume", "export", "ss-NOTHING", "/tmp/snapkeep-nothing.raw", "--format", "raw", code=5)
    assert run(disks, "volume", "snapshot", "vol-nothing", code=5)
    assert run(disks, "volume", "snapshot", "vol-abc1234", "vol-abc1234", code=1)


def test_a_volume_in_use_is_refused_unless_allowed(disks: Server) -> None:
    path = disks.data / "volumes" / "vol-inuse01.raw"
    make_disk(path, seed=7)
    with open(path, "r+b"):
        refused = run_program("volume", "snapshot", "vol-inuse01", "--data-dir", str(disks.data))
        if refused.returncode == 0:
            # A file system with reflinks gives a consistent view of a file in use.
            [taken] = ask(disks, "volume", "snapshots", "vol-inuse01")["snapshots"]
            assert taken["disks"][0]["consistency"] == "crash", taken
            return
        assert refused.returncode == 1 and "in use" in refused.stderr, refused.stderr
        taken = snapshot(disks, "vol-inuse01", "--allow-inconsistent")
    assert taken["disks"][0]["consistency"] == "inconsistent", taken
    assert "INCONSISTENT" in run(disks, "volume", "show", taken["id"])


def test_instances_are_snapshotted_at_one_moment_and_made_images_of(disks: Server) -> None:
    paths = [disks.data / "volumes" / f"vol-node00{number}.raw" for number in (1, 2)]
    for number, path in enumerate(paths):
        make_disk(path, seed=8 + number)
    made = ask(disks, "instance", "add", "node", "vol-node001", "vol-node002", "--description", "two disks")
    assert made["id"].startswith("i-") and made["volumes"] == ["vol-node001", "vol-node002"] and made["host"] == {"driver": "none"}
    assert "two disks" in run(disks, "instance", "show", made["id"])
    assert made["id"] in run(disks, "volume", "ls")
    [point] = ask(disks, "instance", "snapshot", made["id"], "--name", "pair")["snapshots"]
    assert point["resource"] == {"id": made["id"], "name": "node", "kind": "instance"} and len(point["disks"]) == 2, point

    contents = [digest(path) for path in paths]
    for path in paths:
        overwrite(path, 40 * MIB, seed=99)
    assert "rolled back" in run(disks, "volume", "rollback", point["id"], "--yes")
    assert [digest(path) for path in paths] == contents

    assert "needed here" in run(disks, "volume", "create", point["id"], "copy", code=1)
    image = ask(disks, "instance", "image", point["id"], "golden", "--format", "raw")
    assert image["name"] == "golden" and image["instance"] == made["id"] and len(image["disks"]) == 2, image
    for disk, content in zip(image["disks"], contents, strict=True):
        assert disk["sha256"] == content and digest(Path(image["path"]) / disk["file"]) == content
    assert "golden" in run(disks, "instance", "images")
    run(disks, "instance", "rm", made["id"])
    assert "no instances" in run(disks, "instance", "ls")
    assert ask(disks, "volume", "show", point["id"])["status"] == "available", "its snapshots stay"


def test_hooks_stop_and_start_the_host_around_a_rollback(disks: Server, tmp_path: Path) -> None:
    path = disks.data / "volumes" / "vol-hooked1.raw"
    make_disk(path, seed=11)
    log = tmp_path / "log"
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$1" >> {log}\n[ "$1" = status ] && exit 0\nexit 0\n')
    hook.chmod(0o755)
    hooks = [argument for name in ("stop", "start", "status") for argument in (f"--{name}", f"{hook} {name}")]
    made = ask(disks, "instance", "add", "hooked", "vol-hooked1", *hooks)
    assert made["host"]["driver"] == "hooks" and made["host"]["stop"]["argv"] == [str(hook), "stop"], made
    point = snapshot(disks, "vol-hooked1", "--allow-inconsistent")
    content = digest(path)
    overwrite(path, 0, seed=12)
    run(disks, "volume", "rollback", point["id"], "--yes")
    assert digest(path) == content
    said = [line for line in log.read_text().split() if line != "status"]
    assert said == ["stop", "start"], said
    run(disks, "instance", "rm", made["id"])
    refused = run(disks, "instance", "add", "bad", "vol-hooked1", "--stop", f"{hook} stop", code=1)
    assert "stop" in refused and "start" in refused, refused


def test_offline(tmp_path: Path) -> None:
    """The same without a server: the command opens the data folder itself."""
    data = tmp_path / "data"
    source = tmp_path / "disk.raw"
    make_disk(source, seed=20)

    def call(*arguments: str, code: int = 0) -> Any:
        done = run_program(*arguments, "--json", "--data-dir", str(data))
        assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    volume = call("volume", "add", str(source))
    [taken] = call("volume", "snapshot", volume["id"])["snapshots"]
    content = digest(source)
    overwrite(source, 0, seed=21)
    call("volume", "rollback", taken["id"], "--yes")
    assert digest(source) == content
    target = tmp_path / "exported.raw"
    call("volume", "export", taken["id"], str(target), "--format", "raw")
    assert digest(target) == content


def test_configured_volumes_and_instances(tmp_path: Path) -> None:
    disk = tmp_path / "disks" / "db.raw"
    make_disk(disk, seed=30)
    found = tmp_path / "folder" / "scratch.raw"
    make_disk(found, seed=31)
    config = tmp_path / "snapkeep.toml"
    config.write_text(
        f'[volumes]\nfolder = "{found.parent}"\nrepository = "disks"\nmax_chain = 2\n\n'
        f'[[volume]]\nid = "vol-conf001"\nname = "db"\npath = "{disk}"\n\n'
        '[[instance]]\nid = "i-conf001"\nname = "dbhost"\nvolumes = ["db"]\n'
    )

    def call(*arguments: str) -> Any:
        done = run_program(*arguments, "--json", "--config", str(config), "--data-dir", str(tmp_path / "data"))
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    run_program("config", "check", "--config", str(config)).check_returncode()
    (tmp_path / "data").mkdir()
    volumes = {volume["name"]: volume for volume in call("volume", "ls")["volumes"]}
    assert volumes["db"]["id"] == "vol-conf001" and volumes["db"]["origin"] == "configured" and volumes["db"]["instance"] == "i-conf001"
    assert volumes["scratch"]["origin"] == "found"
    kinds = []
    for _ in range(3):
        [point] = call("volume", "snapshot", "vol-conf001")["snapshots"]
        assert point["repository"] == "disks"
        kinds.append(point["full"])
    assert kinds == [True, False, True], "a chain has two"

    for text, key in (
        ("[volumes]\nmax_chain = 0\n", "max_chain"),
        ('[[volume]]\npath = "relative.raw"\n', "volume.path"),
        ('[[volume]]\npath = "/x"\nfromat = "raw"\n', "fromat"),
        ('[[instance]]\nname = "a"\nvolumes = ["b"]\ndriver = "qmp"\n', "socket"),
    ):
        config.write_text(text)
        done = run_program("config", "check", "--config", str(config))
        assert done.returncode == 2 and key in done.stderr and "snapkeep.toml" in done.stderr, done.stderr
