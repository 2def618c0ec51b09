"""The two requests of seed 002 on a repository registered as `aliyun_auto_snapshot`, with the snapshot names shown there.

The answers must have every key that the source shows, at every level, with values of the same kind.
"""

import re
from typing import Any, Iterator

import pytest

from harness.documents import bulk, create_index, make_documents, register
from harness.server import Server

NAMES = ("es-cn-abcdefghijklmn_20180628092236", "es-cn-abcdefghijklmn_20180628092500")

SHOWN_SNAPSHOT = {
    "snapshot": "es-cn-abcdefghijklmn_20180628092236",
    "uuid": "n7YIayyZTm2hwg8BeWbydA",
    "version_id": 5050399,
    "version": "5.5.3",
    "indices": [".kibana"],
    "state": "SUCCESS",
    "start_time": "2018-06-28T01:22:39.609Z",
    "start_time_in_millis": 1530148959609,
    "end_time": "2018-06-28T01:22:39.923Z",
    "end_time_in_millis": 1530148959923,
    "duration_in_millis": 314,
    "failures": [],
    "shards": {"total": 1, "failed": 0, "successful": 1},
}
SHOWN_COUNTERS = {"initializing": 0, "started": 0, "finalizing": 0, "done": 1, "failed": 0, "total": 1}
SHOWN_STATS = {
    "number_of_files": 4,
    "processed_files": 4,
    "total_size_in_bytes": 3296,
    "processed_size_in_bytes": 3296,
    "start_time_in_millis": 1530148959688,
    "time_in_millis": 77,
}
SHOWN_STATUS = {
    "snapshot": "es-cn-abcdefghijklmn_20180628092236",
    "repository": "aliyun_auto_snapshot",
    "uuid": "n7YIayyZTm2hwg8BeWbydA",
    "state": "SUCCESS",
    "shards_stats": SHOWN_COUNTERS,
    "stats": SHOWN_STATS,
    "indices": {
        ".kibana": {
            "shards_stats": SHOWN_COUNTERS,
            "stats": SHOWN_STATS,
            "shards": {"0": {"stage": "DONE", "stats": SHOWN_STATS}},
        }
    },
}


@pytest.fixture(scope="module", autouse=True)
def snapshots(server: Server) -> Iterator[None]:
    create_index(server.http, ".kibana")
    bulk(server.http, ".kibana", make_documents(20))
    register(server.http, "aliyun_auto_snapshot")
    for name in NAMES:
        server.http.put(f"/_snapshot/aliyun_auto_snapshot/{name}?wait_for_completion=true", {"indices": ".kibana"}).ok()
    yield


def assert_has_all_that_is_shown(found: Any, shown: Any, place: str = "") -> None:
    """Every key shown is there, with a value of the same kind; counts, times and sizes are of this run."""
    assert type(found) is type(shown), f"{place}: {found!r} is not of the kind of {shown!r}"
    if isinstance(shown, dict):
        missing = shown.keys() - found.keys()
        assert not missing, f"{place}: without {sorted(missing)}"
        for key, value in shown.items():
            assert_has_all_that_is_shown(found[key], value, f"{place}.{key}")
    elif isinstance(shown, list):
        assert len(found) == len(shown), place
    elif isinstance(shown, str):
        pattern = re.sub(r"\d", r"\\d", re.escape(shown)) if "time" in place else r"[\w-]{22}" if place.endswith("uuid") else r"\d+\.\d+\.\d+" if place.endswith("version") else re.escape(shown)
        assert re.fullmatch(pattern, found), f"{place}: {found!r} instead of {shown!r}"


def test_all_snapshots(server: Server) -> None:
    listed = server.http.get("/_snapshot/aliyun_auto_snapshot/_all").ok()["snapshots"]
    assert [info["snapshot"] for info in listed] == list(NAMES)
    for name, info in zip(NAMES, listed):
        assert_has_all_that_is_shown(info, SHOWN_SNAPSHOT | {"snapshot": name})
        assert info["end_time_in_millis"] - info["start_time_in_millis"] == info["duration_in_millis"]
        assert info["shards"] == SHOWN_SNAPSHOT["shards"]
        assert info["indices"] == [".kibana"]


def test_keys_come_in_the_order_shown(server: Server) -> None:
    [info] = server.http.get(f"/_snapshot/aliyun_auto_snapshot/{NAMES[0]}").ok()["snapshots"]
    assert [key for key in info if key in SHOWN_SNAPSHOT] == list(SHOWN_SNAPSHOT)


@pytest.mark.parametrize("name", NAMES)
def test_status_of_one_snapshot(server: Server, name: str) -> None:
    [status] = server.http.get(f"/_snapshot/aliyun_auto_snapshot/{name}/_status").ok()["snapshots"]
    assert_has_all_that_is_shown(status, SHOWN_STATUS | {"snapshot": name})
    assert status["shards_stats"] == SHOWN_COUNTERS
    for stats in (status["stats"], status["indices"][".kibana"]["stats"], status["indices"][".kibana"]["shards"]["0"]["stats"]):
        assert stats["processed_files"] == stats["number_of_files"]
        assert stats["processed_size_in_bytes"] == stats["total_size_in_bytes"]
    assert status["stats"]["start_time_in_millis"] > 1_500_000_000_000


def test_the_first_status_counts_what_was_written(server: Server) -> None:
    [status] = server.http.get(f"/_snapshot/aliyun_auto_snapshot/{NAMES[0]}/_status").ok()["snapshots"]
    assert status["stats"]["number_of_files"] > 0
    assert status["stats"]["total_size_in_bytes"] > 0
