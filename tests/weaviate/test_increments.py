"""Every backup is an increment: what it stores is what changed, though nobody names a base."""

import random
from pathlib import Path

from harness.server import Server
from harness.weaviate import Weaviate, identity, single

OBJECTS, DIMS, SEED = 4_000, 128, 7


def stored(server: Server) -> int:
    return sum(path.stat().st_size for path in (server.repo_roots[0] / "weaviate" / "data").rglob("*") if path.is_file())


def objects(numbers: list[int], source: random.Random) -> list[dict]:
    return [
        {
            "class": "Big", "id": identity(number), "properties": {"text": f"{source.getrandbits(1600):x}"},
            "vector": [single(source.uniform(-1, 1)) for _ in range(DIMS)],
        }
        for number in numbers
    ]


def test_one_percent_changed_stores_about_one_percent(fresh_server: Server, tmp_path: Path) -> None:
    weaviate, source = Weaviate(fresh_server), random.Random(SEED)
    weaviate.create_class("Big", properties=[{"name": "text", "dataType": ["text"]}])
    for start in range(0, OBJECTS, 500):
        weaviate.write(objects(list(range(start, start + 500)), source))
    weaviate.back_up("full")
    full = stored(fresh_server)
    changed = source.sample(range(OBJECTS), OBJECTS // 100)
    weaviate.write(objects(changed, source))
    expected = weaviate.read_all("Big")
    weaviate.back_up("increment")
    increment = stored(fresh_server) - full
    assert 0 < increment < full * 0.02, f"{increment} of {full} bytes"
    weaviate.back_up("unchanged")
    assert stored(fresh_server) - full - increment < full * 0.005
    # Nothing depends on the ones before.
    for name in ("full", "unchanged"):
        assert fresh_server.http.delete(f"/v1/backups/filesystem/{name}/purge").status == 204
    fresh_server.http.delete("/v1/schema/Big").ok()
    weaviate.restore("increment")
    assert weaviate.read_all("Big") == expected
