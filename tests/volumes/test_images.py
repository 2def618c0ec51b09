"""qcow2 volumes, and images of instances: what QEMU makes of them."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from volumes.disks import KIB, MIB, Volumes, digest, overwrite, said

SIZE = 48 * MIB


def compare(left: Path, left_format: str, right: Path, right_format: str) -> None:
    said("qemu-img", "compare", "-f", left_format, "-F", right_format, left, right)


def test_a_qcow2_volume_comes_back_and_is_made_another_of(volumes: Volumes, tmp_path: Path) -> None:
    image = volumes.folder / "vol-qcow201.qcow2"
    said("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=128k,lazy_refcounts=on", image, SIZE + 512)
    held = {}
    for number, commands in enumerate((
        ("write -P 1 0 9M", "write -P 2 20M 3M"),
        ("write -P 3 1M 100", "write -z 21M 1M", f"write -P 4 {SIZE} 512"),
        ("discard 0 4M", "write -P 5 40M 64k"),
    )):
        said("qemu-io", *(word for command in commands for word in ("-c", command)), image)
        point = volumes.take("vol-qcow201")
        assert point["disks"][0]["format"] == "qcow2" and point["virtual_size_bytes"] == SIZE + 512, point
        held[point["id"]] = tmp_path / f"{number}.raw"
        said("qemu-img", "convert", "-O", "raw", image, held[point["id"]])
    for point, wanted in held.items():
        volumes.roll_back(point)
        compare(image, "qcow2", wanted, "raw")
        said("qemu-img", "check", image)
        made = volumes.create(point, f"of {point}")
        assert made["format"] == "qcow2" and made["size_bytes"] == SIZE + 512, made
        compare(Path(made["location"]), "qcow2", wanted, "raw")
        said("qemu-img", "check", made["location"])
        for format in ("raw", "qcow2", "vmdk"):
            compare(volumes.export(point, tmp_path / f"exported.{format}", "--format", format, "--force"), format, wanted, "raw")
    assert volumes.restored(point, tmp_path / "restored.raw") == digest(wanted)


@pytest.mark.parametrize("format", ["raw", "qcow2", "qcow2_zlib", "ova"])
def test_an_image_of_an_instance_holds_all_its_disks_in_order(volumes: Volumes, tmp_path: Path, format: str) -> None:
    names = [f"vol-{letter}{format[-5:]}" for letter in "ab"]
    disks = [volumes.disk(name, SIZE) for name in names]
    said("mkfs.ext4", "-q", "-F", disks[0])
    overwrite(disks[1], 7 * MIB + 99, 3 * MIB, seed=1)
    instance = volumes.add_instance(f"host {format}", names[::-1])
    point = volumes.take(instance)["id"]
    held = []
    for disk in reversed(disks):
        held.append(tmp_path / disk.name)
        shutil.copyfile(disk, held[-1])
        overwrite(disk, 0, 64 * KIB, seed=2)
    job = volumes.done(volumes.post(f"/volume-snapshots/{point}/image", {"name": f"image {format}", "format": format}))
    [image] = [image for image in volumes.get("/images")["images"] if image["id"] in job["resources"]]
    assert image["name"] == f"image {format}" and len(image["disks"]) == 2, image
    place = Path(image["path"])
    if format == "ova":
        with tarfile.open(place) as archive:
            assert archive.getnames()[0].endswith(".ovf"), "the descriptor comes first"
            archive.extractall(tmp_path / "ova", filter="data")
        place = tmp_path / "ova"
    else:
        assert [disk["sha256"] for disk in json.loads((place / "image.json").read_text())["disks"]] == [disk["sha256"] for disk in image["disks"]]
    for disk, wanted in zip(image["disks"], held, strict=True):
        file = place / disk["file"]
        assert digest(file) == disk["sha256"]
        kind = file.suffix[1:]
        assert kind == {"ova": "vmdk", "qcow2_zlib": "qcow2"}.get(format, format)
        compare(file, kind, wanted, "raw")
        if kind == "qcow2":
            said("qemu-img", "check", file)
    volumes.roll_back(point)
    assert [digest(disk) for disk in reversed(disks)] == [digest(wanted) for wanted in held]
    said("e2fsck", "-fn", disks[0])


@pytest.mark.parametrize("size", [1, 511, 512, 256 * KIB - 1, 256 * KIB + 1, 3 * MIB + 12345])
def test_a_disk_of_an_odd_size_comes_back_to_the_last_byte(volumes: Volumes, tmp_path: Path, size: int) -> None:
    volume = f"vol-{size:07}"
    path = volumes.disk(volume, size, seed=size)
    first, content = volumes.take(volume)["id"], digest(path)
    overwrite(path, size - 1, 1, seed=size + 1)
    second = volumes.take(volume)["id"]
    for point in (first, second):
        volumes.roll_back(point)
        assert path.stat().st_size == size
        for format in ("raw", "qcow2", "vmdk"):
            exported = volumes.export(point, tmp_path / f"exported.{format}", "--format", format, "--force")
            # QEMU counts in sectors of 512 bytes; what is added are zeroes.
            compare(exported, format, path, "raw")
    volumes.roll_back(first)
    assert digest(path) == content
    assert digest(volumes.create(first, f"copy of {size}")["location"]) == content
