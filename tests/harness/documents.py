"""Documents to load, and the proof that they are all back."""

import json
import random
from typing import Any, Iterator

from harness.http import Http, Response

Documents = dict[str, dict]
"""What a search tells of each document, by id: `_source`, `_version`, `_seq_no`, and `_routing` where it has one."""

NDJSON = {"Content-Type": "application/x-ndjson"}


def create_index(http: Http, name: str, shards: int = 1, **more: Any) -> None:
    http.put(f"/{name}", {"settings": {"number_of_shards": shards, "number_of_replicas": 0}, **more}).ok()


def make_documents(count: int, seed: int = 1, text_bytes: int = 200) -> Iterator[tuple[str, dict]]:
    """Documents of many types of value, the same for the same seed; half of the text does not compress below its entropy."""
    source = random.Random(seed)
    for number in range(count):
        yield f"d{number}", {
            "n": number,
            "tag": source.choice(["red", "green", "blue", "naïve ☃"]),
            "ratio": source.random(),
            "when": f"20{source.randrange(10, 30)}-0{source.randrange(1, 10)}-15T00:00:00Z",
            "flags": [source.random() < 0.5, None],
            "nested": {"a": {"b": source.randrange(1_000_000)}},
            "blob": source.randbytes(text_bytes // 2).hex(),
        }


def bulk(http: Http, index: str, documents: Iterator[tuple[str, dict]] | list[tuple[str, dict]], batch: int = 1000) -> int:
    """Loads documents; every item must be accepted. How many."""
    lines, total, waiting = [], 0, 0
    for identity, source in documents:
        lines += [json.dumps({"index": {"_id": identity}}), json.dumps(source, ensure_ascii=False)]
        total, waiting = total + 1, waiting + 1
        if waiting == batch:
            bulk_lines(http, index, lines)
            lines, waiting = [], 0
    if lines:
        bulk_lines(http, index, lines)
    http.post(f"/{index}/_refresh").ok()
    return total


def bulk_lines(http: Http, index: str, lines: list[str]) -> None:
    answer = http.post(f"/{index}/_bulk", "\n".join(lines) + "\n", headers=NDJSON).ok()
    assert not answer["errors"], [item for item in answer["items"] if next(iter(item.values()))["status"] >= 300][:3]


def read_all(http: Http, index: str, page: int = 2000) -> Documents:
    """Every document of an index, by scrolling."""
    found: Documents = {}
    answer = http.post(
        f"/{index}/_search?scroll=1m", {"size": page, "sort": ["_doc"], "version": True, "seq_no_primary_term": True, "query": {"match_all": {}}}
    ).ok()
    while hits := answer["hits"]["hits"]:
        for hit in hits:
            assert hit["_id"] not in found, f"{hit['_id']} came twice"
            found[hit["_id"]] = {key: hit[key] for key in ("_source", "_version", "_seq_no", "_routing") if key in hit}
        answer = http.post("/_search/scroll", {"scroll": "1m", "scroll_id": answer["_scroll_id"]}).ok()
    http.delete("/_search/scroll", {"scroll_id": answer["_scroll_id"]})
    return found


def assert_same(found: Documents, expected: Documents) -> None:
    """Tells the difference in a few lines rather than printing two indices."""
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    changed = [identity for identity in expected.keys() & found.keys() if expected[identity] != found[identity]]
    assert not (missing or extra or changed), (
        f"{len(missing)} documents missing {missing[:3]}, {len(extra)} not expected {extra[:3]}, {len(changed)} differ "
        f"{[(identity, expected[identity], found[identity]) for identity in changed[:2]]}"
    )


def register(http: Http, name: str, location: str | None = None, **settings: Any) -> Response:
    answer = http.put(f"/_snapshot/{name}", {"type": "fs", "settings": {"location": location or name, **settings}})
    answer.ok()
    return answer


def take(http: Http, repository: str, snapshot: str, indices: str = "*", **more: Any) -> dict:
    """Takes a snapshot, waits, and proves that it says SUCCESS."""
    info = http.put(f"/_snapshot/{repository}/{snapshot}?wait_for_completion=true", {"indices": indices, **more}).ok()["snapshot"]
    assert info["state"] == "SUCCESS", info
    assert info["shards"]["failed"] == 0 and info["shards"]["successful"] == info["shards"]["total"], info
    return info


def restore(http: Http, repository: str, snapshot: str, **body: Any) -> dict:
    """Restores, waits, and proves that no shard failed."""
    info = http.post(f"/_snapshot/{repository}/{snapshot}/_restore?wait_for_completion=true", body).ok()["snapshot"]
    assert info["shards"]["failed"] == 0 and info["shards"]["successful"] == info["shards"]["total"], info
    return info
