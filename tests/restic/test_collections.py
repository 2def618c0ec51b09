"""Collections out of a repository with nothing but restic, Python and numpy, as docs/repository.md says."""

import json
import random
import struct
import subprocess
import sys
from pathlib import Path

from harness.polling import wait_until
from harness.server import ROOT, Server
from harness.stock_restic import Restic

REPOSITORY = "weaviate-filesystem"


def identity(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def script() -> str:
    """The one for collections in the document."""
    blocks = (ROOT / "docs" / "repository.md").read_text().split("```python\n")[1:]
    return next(text for text in (block.split("```")[0] for block in blocks) if "numpy" in text)


def back_up(server: Server, name: str) -> None:
    server.http.post("/v1/backups/filesystem", {"id": name}).ok()
    told = wait_until(name, lambda: (told := server.http.get(f"/v1/backups/filesystem/{name}").ok())["status"] not in ("STARTED", "TRANSFERRING", "TRANSFERRED") and told)
    assert told["status"] == "SUCCESS", told


def write(server: Server, objects: list[dict]) -> None:
    for item in server.http.post("/v1/batch/objects", {"objects": objects}).ok():
        assert item["result"]["status"] == "SUCCESS", item


def test_the_documents_script_finds_every_live_object_with_its_vectors(fresh_server: Server, tmp_path: Path) -> None:
    server, source = fresh_server, random.Random(7)

    def number() -> float:
        return struct.unpack("<f", struct.pack("<f", source.uniform(-1, 1)))[0]

    server.http.post("/v1/schema", {
        "class": "Article", "properties": [{"name": "n", "dataType": ["int"]}],
        "vectorConfig": {name: {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"} for name in ("title", "body")},
    }).ok()
    made = {identity(n): {"title": [number() for _ in range(12)], "body": [number() for _ in range(5)]} for n in range(300)}
    write(server, [{"class": "Article", "id": known, "properties": {"n": int(known[-12:])}, "vectors": vectors} for known, vectors in made.items()])
    back_up(server, "one")
    for n in range(0, 300, 9):
        server.http.delete(f"/v1/objects/Article/{identity(n)}")
        del made[identity(n)]
    changed = {identity(n): {"title": [number() for _ in range(12)]} for n in range(1, 300, 50) if identity(n) in made}
    write(server, [{"class": "Article", "id": known, "properties": {"n": -1}, "vectors": vectors} for known, vectors in changed.items()])
    back_up(server, "two")

    stock = Restic.of_server(server.data, REPOSITORY, tmp_path / "cache")
    stock.ok("restore", "latest", "--tag", "snapkeep:name=two", "--include", "/collections", "--target", str(tmp_path / "restored"))
    dump = "for known, vectors in live(shard):\n        print(json.dumps([known['_id'], known['_source']['properties'], {name: [x.hex() for x in vector.tolist()] for name, vector in vectors.items()}]))\n"
    program = tmp_path / "objects.py"
    text = script()
    head, loop = text.split("    for found, vectors in live(shard):")
    program.write_text(head + "    " + dump)
    assert "print(" in loop
    printed = subprocess.run([sys.executable, str(program), str(tmp_path / "restored"), "Article"], capture_output=True, text=True, check=True).stdout
    found = {known: (properties, vectors) for known, properties, vectors in map(json.loads, printed.splitlines())}
    expected = {
        known: ({"n": -1} if known in changed else {"n": int(known[-12:])}, {name: [x.hex() for x in vector] for name, vector in (changed.get(known) or vectors).items()})
        for known, vectors in made.items()
    }
    assert found == expected

    original = tmp_path / "original.py"
    original.write_text(text)
    lines = subprocess.run([sys.executable, str(original), str(tmp_path / "restored"), "Article"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(made)
    shards = stock.ok("ls", "latest", "/collections/Article").splitlines()
    assert any(line.endswith("/class.json") for line in shards), shards
